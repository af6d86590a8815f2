//! The door: what happens to a request before a leg has it.
//!
//! Answers what needs no call (OPTIONS, refusals), makes legs of INVITEs, and hands the rest to the leg it belongs to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use media::LegId;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Method, Request};
use rsipstack::transaction::{Transaction, make_tag};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::dialog::Dialog;
use super::exchange;
use super::incoming::Answering;
use super::leg::{Input, Leg, Stage};
use super::message::{self, Reply};
use super::{INCOMING_BIT, Shared};
use crate::control::{Description, Header, Invite, SipEvent};

/// Deals with one request of the stack.
pub(super) async fn accept(shared: &Arc<Shared>, transaction: Transaction) {
    let to_tag = transaction.original.to_header().ok().and_then(|to| message::tag_of(to.value()));
    if let Some(tag) = to_tag {
        return accept_inside(shared, transaction, tag).await;
    }
    let source = source(&transaction);
    if !source.is_some_and(|source| (shared.trusted)(source)) {
        tracing::warn!(?source, method = %transaction.original.method, "refused a request from an unknown source");
        return refuse(shared, transaction, Reply::code(403)).await;
    }
    match transaction.original.method {
        Method::Invite => accept_invite(shared, transaction).await,
        Method::Options => {
            let accepted = [header("Accept", "application/sdp")];
            refuse(shared, transaction, Reply { headers: &accepted, ..Reply::code(200) }).await;
        }
        Method::Notify | Method::Bye | Method::Update | Method::Info | Method::PRack => {
            refuse(shared, transaction, Reply::code(481)).await;
        }
        _ => refuse(shared, transaction, Reply::code(405)).await,
    }
}

/// A request inside a dialog goes to its leg.
async fn accept_inside(shared: &Arc<Shared>, transaction: Transaction, tag: String) {
    let call_id = transaction.original.call_id_header().map(|header| header.value().to_owned());
    let inbox = call_id.ok().and_then(|call_id| shared.legs.inbox_of_dialog(&(call_id, tag)));
    let Some(inbox) = inbox else {
        return refuse(shared, transaction, Reply::code(481)).await;
    };
    match inbox.try_send(Input::Request(Box::new(transaction))) {
        Ok(()) => {}
        Err(TrySendError::Closed(input)) => refuse_input(shared, input, 481).await,
        Err(TrySendError::Full(input)) => refuse_input(shared, input, 500).await,
    }
}

async fn refuse_input(shared: &Shared, input: Input, code: u16) {
    if let Input::Request(transaction) = input {
        refuse(shared, *transaction, Reply::code(code)).await;
    }
}

async fn accept_invite(shared: &Arc<Shared>, mut transaction: Transaction) {
    let request = &transaction.original;
    if message::is_out_of_hops(request) {
        return refuse(shared, transaction, Reply::code(483)).await;
    }
    if let Some(unknown) = message::unknown_extensions(request) {
        let headers = [header("Unsupported", &unknown)];
        return refuse(shared, transaction, Reply { headers: &headers, ..Reply::code(420) }).await;
    }
    let sdp = message::sdp(&request.headers, &request.body);
    if sdp.is_none() && !request.body.is_empty() {
        let headers = [header("Accept", "application/sdp")];
        return refuse(shared, transaction, Reply { headers: &headers, ..Reply::code(415) }).await;
    }
    let Some(dialog) = Dialog::from_invite(request) else {
        return refuse(shared, transaction, Reply::code(400)).await;
    };
    let Some((invite, room)) = invite(request, sdp).zip(shared.events.try_reserve().ok()) else {
        return refuse_busy(shared, transaction).await;
    };
    if shared.draining.load(Ordering::Relaxed) {
        return refuse_busy(shared, transaction).await;
    }
    if let Err(error) = transaction.send_trying().await {
        tracing::debug!(%error, "100 Trying not sent");
    }

    let number = shared.next_incoming.fetch_add(1, Ordering::Relaxed);
    let id = LegId(number | INCOMING_BIT);
    let key = dialog.key();
    let transaction = Box::new(transaction);
    let caller = Box::new(exchange::Responder::new(&transaction, dialog.local_tag()));
    let stage = Stage::Answering(Answering::Ringing { caller, until: Instant::now() + shared.waits.ringing });
    let (leg, inbox) = Leg::new(id, shared.clone(), dialog, stage);
    if !shared.legs.add(id, key, inbox.clone()) {
        tracing::error!(leg = id.0, "a leg number or tag was used twice");
        return refuse(shared, *transaction, Reply::code(500)).await;
    }
    room.send(SipEvent::Incoming { leg: id, invite });
    shared.runtime.spawn(exchange::drive_server(transaction, inbox, Input::Caller));
    shared.supervise(leg);
}

/// What call control has to know of an INVITE.
fn invite(request: &Request, sdp: Option<Description>) -> Option<Invite> {
    Some(Invite {
        request_uri: request.uri.to_string(),
        from: request.from_header().ok()?.value().to_owned(),
        to: request.to_header().ok()?.value().to_owned(),
        sip_call_id: request.call_id_header().ok()?.value().to_owned(),
        headers: message::pass_through(&request.headers),
        sdp,
        session_expires_s: message::session_expires_s(request),
    })
}

async fn refuse_busy(shared: &Shared, transaction: Transaction) {
    let headers = [header("Retry-After", "5")];
    refuse(shared, transaction, Reply { headers: &headers, ..Reply::code(503) }).await;
}

/// Answers a request that belongs to no dialog of ours.
async fn refuse(shared: &Shared, transaction: Transaction, reply: Reply<'_>) {
    exchange::refuse(transaction, &make_tag().to_string(), &shared.identity, &reply).await;
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}

/// Where the request came from.
fn source(transaction: &Transaction) -> Option<IpAddr> {
    match transaction.connection.as_ref()? {
        rsipstack::transport::SipConnection::Udp(connection) => {
            connection.get_remote_addr()?.get_socketaddr().ok().map(|address| address.ip())
        }
        _ => None,
    }
}
