//! Requests inside a dialog: offers of both sides, probes, BYE and the small ones. REFER is in `refer`.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use media::dtmf::info;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Method, Response};
use rsipstack::transaction::Transaction;
use tokio::time::Instant;

use super::super::accept;
use super::super::astray;
use super::super::exchange::{self, Responder, ServerNews};
use super::super::incoming::Answering;
use super::super::message::{self, Reply, session};
use super::super::transport::{Link, SipTransport};
use super::{End, Errand, Flow, Input, Leg, Stage};
use crate::control::{Description, Header, OfferMethod, Presence, ReplyId, SessionTerms, SipEvent};

/// How many requests are kept for a dialog that is not named yet.
const PARKED_MAX: usize = 4;

/// The bodies of INFO that tell of keys.
const KEY_TYPES: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];

/// A re-INVITE or UPDATE of the far end.
#[derive(Debug)]
pub(super) struct Offer {
    responder: Responder,
    method: OfferMethod,
    /// Until when call control must have replied; nothing once it has.
    pub(super) deadline: Option<Instant>,
    /// True when the far end has to send an ACK for our 2xx.
    owes_ack: bool,
    /// True when that ACK brings the answer, because the request brought no offer.
    asks: bool,
}

impl Offer {
    /// Whether another INVITE has to wait for it (RFC 3261 §14.1).
    fn is_open(&self) -> bool {
        self.deadline.is_some() || self.owes_ack
    }

    /// Answers with an error, unless it is answered.
    pub(super) fn refuse(&self, code: u16) {
        if self.deadline.is_some() {
            self.responder.respond(&Reply::code(code));
        }
    }
}

impl Leg {
    /// A request of the far end inside this dialog.
    pub(super) async fn handle_request(&mut self, transaction: Box<Transaction>) -> Flow {
        let request = &transaction.original;
        if self.overtakes_the_answer(request) && self.parked.len() < PARKED_MAX {
            self.parked.push(*transaction);
            return ControlFlow::Continue(());
        }
        if !self.dialog.is_from_peer(request) {
            self.refuse(*transaction, 481).await;
            return ControlFlow::Continue(());
        }
        if !self.dialog.accept_sequence(request) {
            self.refuse(*transaction, 500).await;
            return ControlFlow::Continue(());
        }
        if let Some(unknown) = message::unknown_extensions(request).filter(|_| request.method != Method::Bye) {
            self.refuse_extensions(*transaction, unknown).await;
            return ControlFlow::Continue(());
        }
        match request.method {
            Method::Bye => return self.handle_bye(transaction).await,
            Method::Invite => self.handle_offer_request(transaction, OfferMethod::Invite).await,
            Method::Update => self.handle_offer_request(transaction, OfferMethod::Update).await,
            Method::Notify => self.handle_notify(transaction).await,
            Method::Info => self.handle_info(*transaction).await,
            Method::Options | Method::Message => self.refuse(*transaction, 200).await,
            Method::Refer => self.handle_refer(transaction).await,
            Method::PRack => self.handle_prack(transaction).await,
            _ => self.refuse(*transaction, 405).await,
        }
        ControlFlow::Continue(())
    }

    /// Whether the response that makes way for `request` is still on its way to this task.
    ///
    /// The stack sends the ACK before this task hears of the 2xx, and a far end may be faster: what names a dialog that
    /// is not known yet, and what a callee may send only after the ACK (RFC 3261 §14.2, §15), comes behind that 2xx.
    fn overtakes_the_answer(&self, request: &rsipstack::sip::Request) -> bool {
        let waits = matches!(request.method, Method::Invite | Method::Bye) || !self.parked.is_empty();
        matches!(self.stage, Stage::Calling(_)) && (waits || !self.dialog.is_from_peer(request))
    }

    /// Answers at once, with nothing but a code.
    pub(super) async fn refuse(&self, transaction: Transaction, code: u16) {
        exchange::refuse(&self.shared, transaction, self.dialog.local_tag(), &Reply::code(code)).await;
    }

    /// Refuses a request that needs what we lack (RFC 3261 §8.2.2.3). Never a BYE: whoever hangs up is let go.
    async fn refuse_extensions(&self, transaction: Transaction, unknown: String) {
        let headers = [Header { name: "Unsupported".to_owned(), value: unknown }];
        let reply = Reply { headers: &headers, ..Reply::code(420) };
        exchange::refuse(&self.shared, transaction, self.dialog.local_tag(), &reply).await;
    }

    /// A key in a body, or a sign of life without one; nobody here understands anything else.
    async fn handle_info(&mut self, transaction: Transaction) {
        let request = &transaction.original;
        if request.body.is_empty() {
            return self.refuse(transaction, 200).await;
        }
        let content_type = request.header_value("Content-Type").unwrap_or_default();
        if let Some(info) = info::parse(&content_type, &request.body) {
            self.refuse(transaction, 200).await;
            return self.tell(SipEvent::Key { leg: self.id, key: info.key }).await;
        }
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if KEY_TYPES.iter().any(|known| known.eq_ignore_ascii_case(media_type)) {
            return self.refuse(transaction, 400).await;
        }
        let accepted = [Header { name: "Accept".to_owned(), value: KEY_TYPES.join(", ") }];
        let reply = Reply { headers: &accepted, ..Reply::code(415) };
        exchange::refuse(&self.shared, transaction, self.dialog.local_tag(), &reply).await;
    }

    async fn handle_bye(&mut self, transaction: Box<Transaction>) -> Flow {
        let reason = match transaction.original.reason_header() {
            Some(reason) => format!("BYE from the far end: {}", reason.value()),
            None => "BYE from the far end".to_owned(),
        };
        self.refuse(*transaction, 200).await;
        if let Stage::Answering(Answering::Ringing { caller, .. }) = &self.stage {
            caller.respond(&Reply::code(487));
            return ControlFlow::Break(End::Cancelled);
        }
        ControlFlow::Break(End::Ended(reason))
    }

    /// Acknowledges a provisional response of ours, and may bring an offer (RFC 3262 §5).
    async fn handle_prack(&mut self, transaction: Box<Transaction>) {
        let request = &transaction.original;
        if !self.acknowledged(request) {
            return self.refuse(*transaction, 481).await;
        }
        match message::sdp(&request.headers, &request.body) {
            Some(_) => self.handle_offer_request(transaction, OfferMethod::Update).await,
            None => self.refuse(*transaction, 200).await,
        }
    }

    async fn handle_offer_request(&mut self, transaction: Box<Transaction>, method: OfferMethod) {
        if matches!(self.stage, Stage::Closing(..)) {
            return self.refuse(*transaction, 481).await;
        }
        // A second offer while the first is open (RFC 3261 §14.2, RFC 3311 §5.2).
        if self.offers.values().any(|offer| offer.deadline.is_some()) {
            let wait = [Header { name: "Retry-After".to_owned(), value: "1".to_owned() }];
            let reply = Reply { headers: &wait, ..Reply::code(500) };
            return exchange::refuse(&self.shared, *transaction, self.dialog.local_tag(), &reply).await;
        }
        let mut transaction = transaction;
        if method == OfferMethod::Invite
            && let Err(error) = transaction.send_trying().await
        {
            tracing::debug!(%error, "100 Trying not sent");
        }
        self.dialog.refresh_target(&transaction.original);
        self.follow(&transaction);
        let message::Body { sdp, metadata } =
            message::Body::read(&transaction.original.headers, &transaction.original.body);
        let session = session::terms(&transaction.original);
        let reply = ReplyId(self.shared.next_reply.fetch_add(1, Ordering::Relaxed));
        let responder = self.responder(transaction, move |news| Input::Offer(reply, news));
        let deadline = Some(Instant::now() + self.shared.waits.reply);
        let asks = method == OfferMethod::Invite && sdp.is_none();
        self.offers.insert(reply, Offer { responder, method, deadline, owes_ack: false, asks });
        self.tell(SipEvent::Offer { leg: self.id, reply, method, sdp, session, metadata }).await;
    }

    /// Where a far end speaks from whose own address leads nowhere may change, and with it where it is reached.
    fn follow(&mut self, transaction: &Transaction) {
        let is_datagrams = |link: &Link| link.transport == SipTransport::Udp;
        if self.flow.as_ref().is_none_or(is_datagrams) {
            self.flow = accept::flow(&self.shared, transaction, &self.dialog).filter(is_datagrams);
        }
    }

    /// Call control answers an offer.
    pub(super) fn reply(&mut self, reply: ReplyId, code: u16, sdp: Option<&str>, headers: &[Header]) {
        let Some(offer) = self.offers.get_mut(&reply).filter(|offer| offer.deadline.is_some()) else {
            return tracing::debug!(leg = self.id.0, reply = reply.0, "reply to an offer that is gone");
        };
        offer.deadline = None;
        offer.owes_ack = offer.method == OfferMethod::Invite && code < 300;
        offer.responder.respond(&Reply { headers, sdp, ..Reply::code(code) });
    }

    /// News of an offer's transaction.
    pub(super) async fn handle_offer(&mut self, reply: ReplyId, news: ServerNews) -> Flow {
        let Some(offer) = self.offers.get_mut(&reply) else { return ControlFlow::Continue(()) };
        match news {
            ServerNews::Acknowledged(sdp) => {
                // Only once: the ACK is repeated as often as our 2xx was.
                let was_owed = std::mem::take(&mut offer.owes_ack);
                if was_owed && offer.asks {
                    self.tell(SipEvent::Acknowledged { leg: self.id, reply, sdp }).await;
                }
            }
            ServerNews::Cancelled => {
                offer.refuse(487);
                offer.deadline = None;
            }
            ServerNews::Over => {
                let lost = offer.owes_ack;
                self.offers.remove(&reply);
                if lost {
                    self.give_up("no ACK for the answer to a re-INVITE");
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Refuses the offers that call control forgot.
    pub(super) fn refuse_late_offers(&mut self, now: Instant) {
        for offer in self.offers.values_mut().filter(|offer| offer.deadline.is_some_and(|until| until <= now)) {
            tracing::warn!(leg = self.id.0, "no reply to an offer in time");
            offer.refuse(500);
            offer.deadline = None;
        }
    }

    /// Offers the far end something else; the answer is told as `SipEvent::Reinvited`.
    pub(super) async fn reinvite(&mut self, sdp: &str, headers: &[Header]) {
        let is_free = matches!(self.stage, Stage::Up) && !self.reinvites;
        if !is_free || self.offers.values().any(Offer::is_open) {
            return self.tell_reinvited(491, None, SessionTerms::default()).await;
        }
        let request = self.dialog.request(self.shared.user_agent(), Method::Invite, headers, Some(sdp));
        self.reinvites = true;
        let (shared, way, voucher) = (self.shared.clone(), self.way(), self.voucher());
        tokio::spawn(exchange::drive_reinvite(shared, request, way, voucher, self.me.clone()));
    }

    /// The final response to our re-INVITE.
    pub(super) async fn handle_reinvited(&mut self, response: Option<&Response>) {
        self.reinvites = false;
        let Some(response) = response else {
            return self.tell_reinvited(408, None, SessionTerms::default()).await;
        };
        let code = response.status_code.code();
        if code < 300 {
            self.dialog.refresh_target(response);
            let is_past = |flow: &mut Link| {
                let is_datagrams = flow.transport == SipTransport::Udp;
                is_datagrams && !astray::leads_back(&self.dialog, flow)
            };
            self.flow.take_if(is_past);
        }
        let sdp = message::sdp(&response.headers, &response.body);
        self.tell_reinvited(code, sdp, session::terms(response)).await;
    }

    async fn tell_reinvited(&self, code: u16, sdp: Option<Description>, session: SessionTerms) {
        self.tell(SipEvent::Reinvited { leg: self.id, code, sdp, session }).await;
    }

    /// Refreshes the session without an offer; the answer is told as `SipEvent::Updated`.
    pub(super) async fn update(&mut self, headers: &[Header]) {
        match self.stage {
            Stage::Up => self.send(Errand::Refresh, Method::Update, headers),
            _ => self.tell_updated(491, SessionTerms::default()).await,
        }
    }

    pub(super) async fn tell_updated(&self, code: u16, session: SessionTerms) {
        self.tell(SipEvent::Updated { leg: self.id, code, session }).await;
    }

    pub(super) async fn tell_probed(&self, found: Presence) {
        self.tell(SipEvent::Probed { leg: self.id, found }).await;
    }

    /// Asks whether the far end still knows the dialog.
    pub(super) async fn probe(&mut self) {
        match self.stage {
            Stage::Up => self.send(Errand::Probe, Method::Options, &[]),
            // Its ACK is on its way; when none comes, the leg ends by itself.
            Stage::Answering(Answering::Answered { .. }) => self.tell_probed(Presence::Here).await,
            _ => self.tell_probed(Presence::Gone).await,
        }
    }
}
