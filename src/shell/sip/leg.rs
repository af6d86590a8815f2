//! One leg: the task that owns a dialog and turns commands into requests, and requests into events.
//!
//! What is special to incoming and outgoing INVITEs is in `incoming` and `outgoing`. One task per leg and one queue
//! into it: commands and messages of a leg keep their order, and a leg that panics ends alone.

mod inside;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use rsipstack::sip::{Method, Response};
use rsipstack::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::inside::{Offer, Referral};
use super::Shared;
use super::dialog::Dialog;
use super::exchange::{self, CallNews, Outcome, Responder, ServerNews};
use super::incoming::Answering;
use super::outgoing::Calling;
use crate::control::SipCommand;
use crate::control::{Header, ReplyId, SipEvent};

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
    /// A BYE, for its response; the leg is over anyway then.
    pub(super) bye: Duration,
    /// A re-INVITE of ours that rings, until it is cancelled.
    pub(super) reinvite: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            ringing: Duration::from_secs(300),
            reply: Duration::from_secs(5),
            cancel: Duration::from_secs(32),
            bye: Duration::from_secs(4),
            reinvite: Duration::from_secs(20),
        }
    }
}

/// Everything that can happen to a leg.
pub(super) enum Input {
    /// Call control wants something.
    Command(SipCommand),
    /// A request inside the dialog.
    Request(Box<Transaction>),
    /// News of the INVITE that we sent.
    Call(CallNews),
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
}

/// How a leg ends; told to call control once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Our INVITE failed.
    Failed(u16, String),
    /// The caller gave up.
    Cancelled,
    /// Any other end.
    Ended(String),
}

impl End {
    /// The event for call control.
    pub(super) fn event(self, leg: LegId) -> SipEvent {
        match self {
            Self::Failed(code, reason) => SipEvent::Failed { leg, code, reason },
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
    inbox: mpsc::Receiver<Input>,
    /// For the tasks that drive this leg's transactions.
    pub(super) me: mpsc::Sender<Input>,
    offers: BTreeMap<ReplyId, Offer>,
    /// Our re-INVITE has no final response yet.
    reinvites: bool,
    referral: Referral,
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
            inbox,
            me: me.clone(),
            offers: BTreeMap::new(),
            reinvites: false,
            referral: Referral::None,
            parked: Vec::new(),
        };
        (leg, me)
    }

    /// Lives until the leg ends.
    pub(super) async fn run(mut self) -> End {
        if let ControlFlow::Break(end) = self.begin().await {
            self.abandon().await;
            return end;
        }
        loop {
            let step = match self.next().await {
                Some(input) => self.handle(input).await,
                None => self.handle_deadline(),
            };
            if let ControlFlow::Break(end) = step {
                self.abandon().await;
                return end;
            }
        }
    }

    /// The next input, or nothing when a deadline has passed.
    async fn next(&mut self) -> Option<Input> {
        match self.deadline() {
            Some(deadline) => tokio::time::timeout_at(deadline, self.inbox.recv()).await.ok().flatten(),
            None => self.inbox.recv().await,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Closing(until, _) => Some(*until),
            Stage::Calling(calling) => calling.deadline(),
            Stage::Answering(Answering::Ringing { until, .. }) => Some(*until),
            Stage::Answering(Answering::Answered { .. }) | Stage::Up => None,
        };
        let offer = self.offers.values().filter_map(|offer| offer.deadline).min();
        stage.into_iter().chain(offer).min()
    }

    fn handle_deadline(&mut self) -> Flow {
        let now = Instant::now();
        self.refuse_late_offers(now);
        match &self.stage {
            Stage::Closing(until, reason) if *until <= now => {
                ControlFlow::Break(End::Ended(format!("{reason}, BYE unanswered")))
            }
            Stage::Answering(Answering::Ringing { until, .. }) if *until <= now => {
                tracing::error!(leg = self.id.0, "call control never answered an INVITE");
                self.reject(480, "", &[])
            }
            Stage::Calling(calling) if calling.deadline().is_some_and(|deadline| deadline <= now) => {
                ControlFlow::Break(End::Failed(487, "cancelled, INVITE unanswered".to_owned()))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    async fn handle(&mut self, input: Input) -> Flow {
        match input {
            Input::Command(command) => self.obey(command).await,
            Input::Request(transaction) => self.handle_request(transaction).await,
            Input::Call(news) => self.handle_call(news).await,
            Input::Caller(news) => self.handle_caller(news).await,
            Input::Offer(reply, news) => self.handle_offer(reply, news),
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
            SipCommand::Progress { code, sdp, .. } => self.progress(code, sdp.as_deref()),
            SipCommand::Answer { sdp, headers, .. } => self.answer(&sdp, &headers),
            SipCommand::Reject { code, reason, headers, .. } => return self.reject(code, &reason, &headers),
            SipCommand::Cancel { .. } => return self.cancel(),
            SipCommand::Bye { reason, .. } => return self.hang_up(reason),
            SipCommand::Reply { reply, code, sdp, headers, .. } => self.reply(reply, code, sdp.as_deref(), &headers),
            SipCommand::Reinvite { sdp, headers, .. } => self.reinvite(&sdp, &headers).await,
            SipCommand::Refer { uri, headers, .. } => self.refer(&uri, &headers).await,
            SipCommand::Probe { .. } => self.probe().await,
            SipCommand::Invite { .. } => tracing::error!(leg = self.id.0, "a leg was invited twice"),
        }
        ControlFlow::Continue(())
    }

    /// Ends the leg by whatever message its stage asks for.
    pub(super) fn hang_up(&mut self, reason: Option<String>) -> Flow {
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
    fn send_bye(&mut self, reason: Option<String>, why: String) {
        let header = reason.map(|value| Header { name: "Reason".to_owned(), value });
        self.stage = Stage::Closing(Instant::now() + self.shared.waits.bye, why);
        self.send(Errand::Bye, Method::Bye, header.as_slice());
    }

    /// Sends a request inside the dialog; its outcome comes back as `Input::Done`.
    pub(super) fn send(&mut self, errand: Errand, method: Method, headers: &[Header]) {
        let request = self.dialog.request(&self.shared.endpoint, &self.shared.identity, method, headers, None);
        let (endpoint, me) = (self.shared.endpoint.clone(), self.me.clone());
        tokio::spawn(async move {
            let outcome = match request {
                Some(request) => exchange::exchange(endpoint, request, None).await,
                None => Outcome { code: 408, reason: "no address to send from".to_owned() },
            };
            let _ = me.send(Input::Done(errand, outcome)).await;
        });
    }

    async fn handle_outcome(&mut self, errand: Errand, outcome: Outcome) -> Flow {
        match errand {
            Errand::Bye => match &self.stage {
                Stage::Closing(_, reason) => return ControlFlow::Break(End::Ended(reason.clone())),
                _ => return ControlFlow::Continue(()),
            },
            Errand::Refer => self.handle_refer_response(outcome).await,
            Errand::Probe => {
                let alive = ![408, 481].contains(&outcome.code);
                self.tell(SipEvent::Probed { leg: self.id, alive }).await;
            }
        }
        ControlFlow::Continue(())
    }

    /// Tells call control; waits while its queue is full.
    pub(super) async fn tell(&self, event: SipEvent) {
        if self.shared.events.send(event).await.is_err() {
            tracing::debug!(leg = self.id.0, "nobody listens to SIP events any more");
        }
    }

    /// The dialog is up: requests that came too early are served now.
    pub(super) async fn come_up(&mut self) -> Flow {
        self.stage = Stage::Up;
        for transaction in std::mem::take(&mut self.parked) {
            self.handle_request(Box::new(transaction)).await?;
        }
        ControlFlow::Continue(())
    }

    /// Answers what still waits when the leg is over.
    async fn abandon(&mut self) {
        for offer in std::mem::take(&mut self.offers).into_values() {
            offer.refuse(&self.shared.identity, 487);
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
        let responder = Responder::new(&transaction, self.dialog.local_tag());
        tokio::spawn(exchange::drive_server(transaction, self.me.clone(), name));
        responder
    }
}
