//! One leg: the task that owns a dialog and turns commands into requests, and requests into events.
//!
//! What is special to incoming and outgoing INVITEs is in `incoming` and `outgoing`. One task per leg and one queue
//! into it: commands and messages of a leg keep their order, and a leg that panics ends alone.

mod inside;
mod refer;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use rsipstack::sip::{Method, Response};
use rsipstack::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::inside::Offer;
use self::refer::{Referral, Served};
use super::Shared;
use super::dialog::Dialog;
use super::exchange::{self, CallNews, Outcome, Responder, ServerNews, Voucher, Way};
use super::incoming::Answering;
use super::message;
use super::outgoing::Calling;
use super::transport::Link;
use super::trunk::Trunk;
use crate::control::SipCommand;
use crate::control::{Header, Presence, ReplyId, SipEvent};

/// How many messages and commands wait for a leg; more means that the leg is stuck.
pub(super) const INBOX_MAX: usize = 64;

/// How long a leg waits for others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// An INVITE that came in, for call control's final word.
    pub(super) ringing: Duration,
    /// An offer inside the dialog, for call control's reply.
    pub(super) reply: Duration,
    /// A cancelled INVITE, for its final response.
    pub(super) cancel: Duration,
    /// A place that an INVITE was sent to, for its first word, when there is another place.
    pub(super) hop: Duration,
    /// A BYE, for its response; the leg is over anyway then.
    pub(super) bye: Duration,
    /// A re-INVITE of ours that rings, until it is cancelled.
    pub(super) reinvite: Duration,
    /// A probe that could not be sent, until it is tried again.
    pub(super) probe: Duration,
    /// A provisional response, for its PRACK, until it is first sent again; each time after that is twice as long.
    pub(super) repeat: Duration,
    /// A provisional response, for its PRACK, in all: 64·T1 (RFC 3262 §3).
    pub(super) acknowledgement: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            ringing: Duration::from_secs(300),
            reply: Duration::from_secs(5),
            cancel: Duration::from_secs(32),
            hop: Duration::from_secs(4),
            bye: Duration::from_secs(4),
            reinvite: Duration::from_secs(20),
            probe: Duration::from_secs(15),
            repeat: Duration::from_millis(500),
            acknowledgement: Duration::from_secs(32),
        }
    }
}

/// Everything that can happen to a leg.
pub(super) enum Input {
    /// Call control wants something.
    Command(SipCommand),
    /// A request inside the dialog.
    Request(Box<Transaction>),
    /// News of an INVITE that we sent: which one, counted from the first place that was tried.
    Call(usize, CallNews),
    /// News of the INVITE that we answer.
    Caller(ServerNews),
    /// News of a re-INVITE or UPDATE that we answer.
    Offer(ReplyId, ServerNews),
    /// The final response to our re-INVITE; nothing when there was none.
    Reinvited(Option<Box<Response>>),
    /// What became of a request of ours.
    Done(Errand, Outcome),
    /// The whole SIP side stops.
    Shutdown,
}

/// What a request of ours was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// BYE.
    Bye,
    /// REFER.
    Refer,
    /// OPTIONS inside the dialog.
    Probe,
    /// NOTIFY about a REFER of the far end.
    Notify {
        /// Whether the subscription ends with it.
        last: bool,
    },
    /// INFO or MESSAGE.
    Inform,
    /// UPDATE without an offer.
    Refresh,
    /// PRACK.
    Acknowledgement,
}

/// How a leg ends; told to call control once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Our INVITE failed.
    Failed(u16, String),
    /// It was not sent, for those whom it could go to have asked for fewer calls, or none, for so long.
    KeptBack(String, Duration),
    /// The caller gave up.
    Cancelled,
    /// Any other end.
    Ended(String),
}

impl End {
    /// The event for call control.
    pub(super) fn event(self, leg: LegId) -> SipEvent {
        match self {
            Self::Failed(code, reason) => SipEvent::Failed { leg, code, reason, retry_after: None },
            Self::KeptBack(reason, holds) => SipEvent::Failed { leg, code: 503, reason, retry_after: Some(holds) },
            Self::Cancelled => SipEvent::Cancelled { leg },
            Self::Ended(reason) => SipEvent::Ended { leg, reason },
        }
    }
}

/// Goes on, or ends the leg.
pub(super) type Flow = ControlFlow<End>;

/// Where the leg is in its life.
#[derive(Debug)]
pub(super) enum Stage {
    /// An INVITE came in.
    Answering(Answering),
    /// An INVITE went out.
    Calling(Box<Calling>),
    /// The dialog is up.
    Up,
    /// A BYE went out; the leg ends with its answer, or at the latest at this time.
    Closing(Instant, String),
}

/// One leg.
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) shared: Arc<Shared>,
    pub(super) dialog: Dialog,
    pub(super) stage: Stage,
    /// The connection that its first request came by, when the requests of the dialog are to go back over it; over UDP,
    /// the way to a far end whose own address leads nowhere.
    pub(super) flow: Option<Link>,
    /// The neighbour at its other end.
    pub(super) trunk: Option<Arc<Trunk>>,
    inbox: mpsc::Receiver<Input>,
    /// For the tasks that drive this leg's transactions.
    pub(super) me: mpsc::Sender<Input>,
    offers: BTreeMap<ReplyId, Offer>,
    /// Our re-INVITE has no final response yet.
    reinvites: bool,
    referral: Referral,
    /// A REFER of the far end.
    served: Option<Served>,
    /// A hang-up that waits for the last NOTIFY: its reason, and until when.
    parting: Option<(Option<String>, Instant)>,
    /// Requests that came before the response which names their dialog.
    parked: Vec<Transaction>,
}

impl Leg {
    /// A leg and the way to reach it.
    pub(super) fn new(id: LegId, shared: Arc<Shared>, dialog: Dialog, stage: Stage) -> (Self, mpsc::Sender<Input>) {
        let (me, inbox) = mpsc::channel(INBOX_MAX);
        let leg = Self {
            id,
            shared,
            dialog,
            stage,
            flow: None,
            trunk: None,
            inbox,
            me: me.clone(),
            offers: BTreeMap::new(),
            reinvites: false,
            referral: Referral::None,
            served: None,
            parting: None,
            parked: Vec::new(),
        };
        (leg, me)
    }

    /// Lives until the leg ends.
    ///
    /// What it does is boxed: a leg waits for most of its life, and only the wait should lie in memory that long.
    pub(super) async fn run(mut self) -> End {
        let mut step = Box::pin(self.begin()).await;
        loop {
            if let ControlFlow::Break(end) = step {
                Box::pin(self.abandon()).await;
                return end;
            }
            step = match self.next().await {
                Some(input) => Box::pin(self.handle(input)).await,
                None => Box::pin(self.handle_deadline()).await,
            };
        }
    }

    /// The next input, or nothing when a deadline has passed.
    async fn next(&mut self) -> Option<Input> {
        match self.deadline() {
            Some(deadline) => tokio::time::timeout_at(deadline, self.inbox.recv()).await.ok().flatten(),
            None => self.inbox.recv().await,
        }
    }

    /// An input that has come already.
    pub(super) fn next_at_hand(&mut self) -> Option<Input> {
        self.inbox.try_recv().ok()
    }

    fn deadline(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Closing(until, _) => Some(*until),
            Stage::Calling(calling) => calling.deadline(),
            Stage::Answering(Answering::Ringing { until, reliable, .. }) => {
                Some(reliable.deadline().map_or(*until, |again| again.min(*until)))
            }
            Stage::Answering(Answering::Answered { .. }) | Stage::Up => None,
        };
        let offer = self.offers.values().filter_map(|offer| offer.deadline).min();
        let parting = self.parting.as_ref().map(|(_, until)| *until);
        stage.into_iter().chain(offer).chain(parting).min()
    }

    async fn handle_deadline(&mut self) -> Flow {
        let now = Instant::now();
        self.refuse_late_offers(now);
        self.part_if_told();
        match &self.stage {
            Stage::Closing(until, reason) if *until <= now => {
                ControlFlow::Break(End::Ended(format!("{reason}, BYE unanswered")))
            }
            Stage::Answering(Answering::Ringing { until, .. }) if *until <= now => {
                tracing::error!(leg = self.id.0, "call control never answered an INVITE");
                self.reject(480, "", &[])
            }
            Stage::Calling(calling) if calling.deadline().is_some_and(|deadline| deadline <= now) => {
                self.call_is_late().await
            }
            _ => self.insist(now),
        }
    }

    pub(super) async fn handle(&mut self, input: Input) -> Flow {
        match input {
            Input::Command(command) => self.obey(command).await,
            Input::Request(transaction) => self.handle_request(transaction).await,
            Input::Call(attempt, news) => self.handle_call(attempt, news).await,
            Input::Caller(news) => self.handle_caller(news).await,
            Input::Offer(reply, news) => self.handle_offer(reply, news).await,
            Input::Reinvited(response) => {
                self.handle_reinvited(response.as_deref()).await;
                ControlFlow::Continue(())
            }
            Input::Done(errand, outcome) => self.handle_outcome(errand, outcome).await,
            Input::Shutdown => self.hang_up(Some("SIP;cause=503;text=\"shutting down\"".to_owned())),
        }
    }

    async fn obey(&mut self, command: SipCommand) -> Flow {
        match command {
            SipCommand::Progress { code, sdp, .. } => self.progress(code, sdp.as_ref()),
            SipCommand::Answer { sdp, headers, .. } => self.answer(&sdp, &headers),
            SipCommand::Reject { code, reason, headers, .. } => return self.reject(code, &reason, &headers),
            SipCommand::Cancel { .. } => return self.cancel(),
            SipCommand::Bye { reason, .. } => return self.hang_up(reason),
            SipCommand::Reply { reply, code, sdp, headers, .. } => self.reply(reply, code, sdp.as_deref(), &headers),
            SipCommand::Reinvite { sdp, headers, .. } => self.reinvite(&sdp, &headers).await,
            SipCommand::Update { headers, .. } => self.update(&headers).await,
            SipCommand::Refer { uri, replaces, headers, .. } => self.refer(&uri, replaces, &headers).await,
            SipCommand::TellReferrer { code, reason, .. } => self.tell_referrer(code, &reason),
            SipCommand::Inform { method, headers, json, .. } => self.inform(method, &headers, &json).await,
            SipCommand::Redirect { uri, headers, .. } => return self.redirect(&uri, &headers),
            SipCommand::Leave { .. } => return ControlFlow::Break(End::Ended("left to the far end".to_owned())),
            SipCommand::Probe { .. } => self.probe().await,
            SipCommand::Invite { .. } => tracing::error!(leg = self.id.0, "a leg was invited twice"),
        }
        ControlFlow::Continue(())
    }

    /// Ends the leg by whatever message its stage asks for.
    pub(super) fn hang_up(&mut self, reason: Option<String>) -> Flow {
        if matches!(self.stage, Stage::Up) && self.part_later(reason.as_ref()) {
            return ControlFlow::Continue(());
        }
        match &mut self.stage {
            Stage::Up => {
                let why = reason.clone().unwrap_or_else(|| "hung up".to_owned());
                self.send_bye(reason, why);
            }
            Stage::Answering(Answering::Ringing { .. }) => return self.reject(480, "", &[]),
            // A callee must not send BYE before the ACK (RFC 3261 §15).
            Stage::Answering(Answering::Answered { bye }) => *bye = Some(reason),
            Stage::Calling(_) => return self.cancel(),
            Stage::Closing(..) => {}
        }
        ControlFlow::Continue(())
    }

    /// Hangs up because the far end does not do its part (`why`).
    pub(super) fn give_up(&mut self, why: &str) {
        if !matches!(self.stage, Stage::Closing(..)) {
            self.send_bye(Some(format!("SIP;cause=408;text=\"{why}\"")), why.to_owned());
        }
    }

    /// Sends BYE with a Reason header; the leg ends with its answer or soon after, because of `why`.
    pub(super) fn send_bye(&mut self, reason: Option<String>, why: String) {
        let header = reason.map(|value| Header { name: "Reason".to_owned(), value });
        self.stage = Stage::Closing(Instant::now() + self.shared.waits.bye, why);
        self.send(Errand::Bye, Method::Bye, header.as_slice());
    }

    /// Sends a request inside the dialog; its outcome comes back as `Input::Done`.
    pub(super) fn send(&mut self, errand: Errand, method: Method, headers: &[Header]) {
        self.send_with(errand, method, headers, None);
    }

    /// The same with a body: its type and text.
    fn send_with(&mut self, errand: Errand, method: Method, headers: &[Header], body: Option<(&str, &str)>) {
        let mut request = self.dialog.request(self.shared.user_agent(), method, headers, None);
        if let Some((content_type, text)) = body {
            message::set_body(&mut request, content_type, text);
        }
        let (shared, me, way, voucher) = (self.shared.clone(), self.me.clone(), self.way(), self.voucher());
        tokio::spawn(async move {
            let outcome = match errand {
                Errand::Probe => exchange::probe(&shared, request, &way, &voucher).await,
                _ => exchange::exchange(&shared, request, &way, &voucher).await,
            };
            let _ = me.send(Input::Done(errand, outcome)).await;
        });
    }

    /// The way of the next request.
    pub(super) fn way(&self) -> Way {
        Way::Dialog { flow: self.flow.clone(), next: self.dialog.next_uri() }
    }

    /// What a request of this leg is sent again with.
    pub(super) fn voucher(&self) -> Voucher {
        Voucher { trunk: self.trunk.clone(), sequence: self.dialog.sequence() }
    }

    async fn handle_outcome(&mut self, errand: Errand, outcome: Outcome) -> Flow {
        match errand {
            Errand::Bye => match &self.stage {
                Stage::Closing(_, reason) => return ControlFlow::Break(End::Ended(reason.clone())),
                _ => return ControlFlow::Continue(()),
            },
            Errand::Refer => self.handle_refer_response(outcome).await,
            Errand::Notify { last } => self.handle_notified(last, &outcome),
            Errand::Inform => {
                let Outcome { code, reason, .. } = outcome;
                self.tell(SipEvent::Informed { leg: self.id, code, reason }).await;
            }
            Errand::Probe => {
                let found = match outcome.code {
                    408 => Presence::Silent,
                    481 => Presence::Gone,
                    _ => Presence::Here,
                };
                self.tell_probed(found).await;
            }
            Errand::Refresh => self.tell_updated(outcome.code, outcome.session).await,
            // A far end that refuses a PRACK goes on with its INVITE, or ends it.
            Errand::Acknowledgement => tracing::debug!(leg = self.id.0, code = outcome.code, "PRACK answered"),
        }
        ControlFlow::Continue(())
    }

    /// Tells call control; waits while its queue is full.
    pub(super) async fn tell(&self, event: SipEvent) {
        if self.shared.events.send(event).await.is_err() {
            tracing::debug!(leg = self.id.0, "nobody listens to SIP events any more");
        }
    }

    /// The dialog is up, which `news` tells: requests that came too early are served now.
    pub(super) async fn come_up(&mut self, news: SipEvent) -> Flow {
        self.stage = Stage::Up;
        // Before anybody hears of it: whoever does may have a third one take this dialog over.
        self.shared.legs.take_place(self.id, self.dialog.place());
        self.tell(news).await;
        for transaction in std::mem::take(&mut self.parked) {
            self.handle_request(Box::new(transaction)).await?;
        }
        ControlFlow::Continue(())
    }

    /// Answers what still waits when the leg is over.
    async fn abandon(&mut self) {
        for offer in std::mem::take(&mut self.offers).into_values() {
            offer.refuse(487);
        }
        self.inbox.close();
        let mut waiting = std::mem::take(&mut self.parked);
        while let Ok(input) = self.inbox.try_recv() {
            if let Input::Request(transaction) = input {
                waiting.push(*transaction);
            }
        }
        for transaction in waiting {
            let code = if transaction.original.method == Method::Bye { 200 } else { 481 };
            self.refuse(transaction, code).await;
        }
    }

    /// A responder for a request that this leg answers later; the request is driven from now on.
    pub(super) fn responder(
        &self,
        transaction: Box<Transaction>,
        name: impl Fn(ServerNews) -> Input + Send + Sync + 'static,
    ) -> Responder {
        let responder = Responder::new(&self.shared, &transaction, self.dialog.local_tag());
        tokio::spawn(exchange::drive_server(transaction, self.me.clone(), name));
        responder
    }
}
