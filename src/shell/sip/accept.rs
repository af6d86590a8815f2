//! The door: what happens to a request before a leg has it.
//!
//! Answers what needs no call (OPTIONS, refusals), makes legs of INVITEs, and hands the rest to the leg it belongs to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use media::LegId;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header as SipHeader, Method, Request};
use rsipstack::transaction::{Transaction, make_tag};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::dialog::{self, Dialog};
use super::digest::{self, Judgement, Subject};
use super::exchange;
use super::guard::{Refused, Who};
use super::incoming::Answering;
use super::leg::{Input, Leg, Stage};
use super::message::{self, Body, Reply, session};
use super::referral;
use super::registry::{Origin, Taken};
use super::reliable::Reliable;
use super::transport::{Link, SipTransport};
use super::trunk::Trunk;
use super::{INCOMING_BIT, Shared, astray, uri};
use crate::control::{Header, Invite, SipEvent};

/// Deals with one request of the stack.
pub(super) async fn accept(shared: &Arc<Shared>, mut transaction: Transaction) {
    // The stack would read it out of Via, which it cannot for IPv6 when the far end has written a name there.
    transaction.destination = shared.transports.link_back(&transaction).map(|link| link.destination);
    let to_tag = transaction.original.to_header().ok().and_then(|to| message::tag_of(to.value()));
    if let Some(tag) = to_tag {
        return accept_inside(shared, transaction, tag).await;
    }
    let Some((transaction, trunk)) = admit(shared, transaction).await else { return };
    if shared.transports.stamper.has_passed(&transaction.original) {
        note(shared, &transaction, Refused::Loop);
        return refuse(shared, transaction, Reply::code(482)).await;
    }
    // RFC 3261 §8.2.2.3.
    if let Some(unknown) = message::unknown_extensions(&transaction.original) {
        let headers = [header("Unsupported", &unknown)];
        return refuse(shared, transaction, Reply { headers: &headers, ..Reply::code(420) }).await;
    }
    match transaction.original.method {
        Method::Invite => accept_invite(shared, transaction, trunk).await,
        Method::Options => {
            let accepted = [header("Accept", message::ACCEPT)];
            refuse(shared, transaction, Reply { headers: &accepted, ..Reply::code(200) }).await;
        }
        Method::Notify | Method::Bye | Method::Update | Method::Info | Method::PRack => {
            refuse(shared, transaction, Reply::code(481)).await;
        }
        _ => refuse(shared, transaction, Reply::code(405)).await,
    }
}

/// The request again and the trunk that it is of; nothing when its sender is not who it should be, which it has been
/// told.
async fn admit(shared: &Arc<Shared>, transaction: Transaction) -> Option<(Transaction, Option<Arc<Trunk>>)> {
    let authorization = transaction.original.header_value("Authorization");
    let user = authorization.as_deref().and_then(digest::user_of);
    let who = match shared.transports.peer(&transaction) {
        Some(peer) => shared.guard().identify(&peer, user.as_deref()),
        None => Who::Stranger(Refused::UnknownSource),
    };
    let trunk = match who {
        Who::Known(None) => return Some((transaction, None)),
        Who::Known(Some(trunk)) => trunk,
        Who::Stranger(why) => {
            note(shared, &transaction, why);
            refuse(shared, transaction, Reply::code(403)).await;
            return None;
        }
    };
    let Some(demand) = trunk.demand() else { return Some((transaction, Some(trunk))) };
    let (method, uri) = (transaction.original.method.to_string(), uri::text(&transaction.original.uri));
    let judged =
        authorization.map(|value| shared.guard().judge(demand, Subject { method: &method, uri: &uri }, &value));
    if judged == Some(Judgement::Proven) {
        return Some((transaction, Some(trunk)));
    }
    if let Some(Judgement::Wrong(why)) = judged {
        tracing::debug!(trunk = trunk.name, why, "credentials that are none");
        note(shared, &transaction, Refused::Authentication);
    }
    let challenges = shared.guard().challenge(demand, judged == Some(Judgement::Stale));
    exchange::challenge(shared, transaction, &make_tag().to_string(), challenges).await;
    None
}

fn note(shared: &Shared, transaction: &Transaction, why: Refused) {
    if let Some(peer) = shared.transports.peer(transaction) {
        let method = transaction.original.method.to_string();
        shared.guard().note(peer.address, peer.transport, why, Some(&method));
    }
}

/// A request inside a dialog goes to its leg.
async fn accept_inside(shared: &Arc<Shared>, transaction: Transaction, tag: String) {
    let call_id = transaction.original.call_id_header().map(|header| header.value().to_owned());
    let inbox = call_id.ok().and_then(|call_id| shared.legs.inbox_of_dialog(&(call_id, tag)));
    let Some(inbox) = inbox else {
        // A dialog that nobody knows, from somebody whom nobody knows: a scanner hears nothing.
        let known = shared.transports.peer(&transaction).is_some_and(|peer| shared.guard().knows(peer.address.ip()));
        if !known {
            return note(shared, &transaction, Refused::UnknownSource);
        }
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

async fn accept_invite(shared: &Arc<Shared>, mut transaction: Transaction, trunk: Option<Arc<Trunk>>) {
    let request = &transaction.original;
    if message::hops_left(request).is_none() {
        note(shared, &transaction, Refused::Loop);
        return refuse(shared, transaction, Reply::code(483)).await;
    }
    let body = Body::read(&request.headers, &request.body);
    if body.sdp.is_none() && !request.body.is_empty() {
        let headers = [header("Accept", message::ACCEPT)];
        return refuse(shared, transaction, Reply { headers: &headers, ..Reply::code(415) }).await;
    }
    let replaces = match referral::replaces(request) {
        Ok(None) => None,
        Ok(Some(named)) => match shared.legs.replaced(&named) {
            // The dialogs that are found have been answered (RFC 3891 §3).
            Some(_) if referral::is_early_only(request) => return refuse(shared, transaction, Reply::code(486)).await,
            Some(leg) => Some(leg),
            None => return refuse(shared, transaction, Reply::code(481)).await,
        },
        Err(()) => return refuse(shared, transaction, Reply::code(400)).await,
    };
    let Some(dialog) = Dialog::from_invite(request) else {
        return refuse(shared, transaction, Reply::code(400)).await;
    };
    let Some((invite, room)) = invite(request, body, replaces).zip(shared.events.try_reserve().ok()) else {
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
    let caller = Box::new(exchange::Responder::new(shared, &transaction, dialog.local_tag()));
    let flow = flow(shared, &transaction, &dialog);
    let until = Instant::now() + shared.waits.ringing;
    let reliable = Box::new(Reliable::new(&transaction.original, shared.waits));
    let stage = Stage::Answering(Answering::Ringing { caller, until, reliable });
    let (mut leg, inbox) = Leg::new(id, shared.clone(), dialog, stage);
    (leg.flow, leg.trunk) = (flow, trunk);
    let origin = origin(&transaction.original);
    match shared.legs.add(id, key, origin, inbox.clone()) {
        Ok(()) => {}
        // A proxy in front has sent one call two ways: it is one call.
        Err(Taken::Invite) => return refuse(shared, *transaction, Reply::code(482)).await,
        Err(Taken::Name) => {
            tracing::error!(leg = id.0, "a leg number or tag was used twice");
            return refuse(shared, *transaction, Reply::code(500)).await;
        }
    }
    room.send(SipEvent::Incoming { leg: id, invite });
    shared.runtime.spawn(exchange::drive_server(transaction, inbox, Input::Caller));
    shared.supervise(leg);
}

/// The way that a request of `dialog` came by, when ours go back over it: a connection whose far end is the caller itself
/// (it may be behind a NAT, or a browser), or a proxy that stays in the path (RFC 5626, RFC 7118 §5); over UDP, that of a
/// caller whose Contact leads nowhere.
pub(super) fn flow(shared: &Shared, transaction: &Transaction, dialog: &Dialog) -> Option<Link> {
    let vias = transaction.original.headers.iter().filter(|header| matches!(header, SipHeader::Via(_))).count();
    let link = shared.transports.link_back(transaction)?;
    let goes_back = match link.transport {
        SipTransport::Udp => vias == 1 && astray::leads_back(dialog, &link),
        _ => vias == 1 || dialog.has_routes(),
    };
    goes_back.then_some(link)
}

/// Names an INVITE whichever way it comes.
fn origin(invite: &Request) -> Option<Origin> {
    let tag = message::tag_of(invite.from_header().ok()?.value())?;
    Some((invite.call_id_header().ok()?.value().to_owned(), tag, dialog::sequence(invite)?))
}

/// What call control has to know of an INVITE.
fn invite(request: &Request, body: Body, replaces: Option<LegId>) -> Option<Invite> {
    let Body { sdp, metadata } = body;
    Some(Invite {
        request_uri: uri::text(&request.uri),
        hops_left: message::hops_left(request)?,
        from: request.from_header().ok()?.value().to_owned(),
        to: request.to_header().ok()?.value().to_owned(),
        sip_call_id: request.call_id_header().ok()?.value().to_owned(),
        headers: message::pass_through(&request.headers),
        sdp,
        is_recording: metadata.is_some() || message::is_from_recording_client(request),
        metadata,
        session: session::terms(request),
        replaces,
    })
}

async fn refuse_busy(shared: &Shared, transaction: Transaction) {
    let headers = [header("Retry-After", "5")];
    refuse(shared, transaction, Reply { headers: &headers, ..Reply::code(503) }).await;
}

/// Answers a request that belongs to no dialog of ours.
async fn refuse(shared: &Shared, transaction: Transaction, reply: Reply<'_>) {
    exchange::refuse(shared, transaction, &make_tag().to_string(), &reply).await;
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}
