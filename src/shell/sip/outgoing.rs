//! The INVITE that went out: progress, answer, failure, CANCEL and its race with the answer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Host, Method, Request, Response};
use tokio::time::Instant;

use super::astray;
use super::exchange::{self, CallNews, Fate, Way};
use super::leg::{End, Errand, Flow, Leg, Stage};
use super::message::{self, session};
use super::resolve::Router;
use super::transport::{Hop, Link, SipTransport};
use super::trunk::Health;
use crate::control::{Header, SipEvent};

/// How often an INVITE is sent again with credentials.
const CHALLENGES_MAX: u32 = 2;

/// An INVITE of ours that has no final response.
pub(super) struct Calling {
    /// Without Via: every place that is tried gets its own.
    invite: Request,
    proxy: Option<SocketAddr>,
    /// The places that have not been tried.
    hops: VecDeque<Hop>,
    /// Those that have, the last one is the present one.
    attempts: Vec<Attempt>,
    /// Until when the present one has to say something, while there is another one.
    patience: Option<Instant>,
    /// Its caller comes before others (RFC 4412, RFC 3261 §20.26).
    is_pressing: bool,
    challenges: u32,
    /// It has been sent again with a longer session interval.
    asked_for_longer: bool,
    /// True since the present one's first provisional response: only then may CANCEL be sent (RFC 3261 §9.1).
    heard: bool,
    /// True since somebody has been told of the call: from then on no other place is tried.
    rings: bool,
    cancel: Cancel,
    acknowledged: Acknowledged,
}

/// The number of the last provisional response that each far end wanted a PRACK for, by its tag (RFC 3262 §4).
#[derive(Debug, Default)]
struct Acknowledged(BTreeMap<String, u32>);

/// Far ends that a forked INVITE rings at; what more of them say is left alone.
const FORKS_MAX: usize = 16;

impl Acknowledged {
    /// Notes a response; false when it was there before, or when one is missing before it.
    fn is_next(&mut self, response: &Response, number: u32) -> bool {
        let Some(tag) = response.to_header().ok().and_then(|to| message::tag_of(to.value())) else { return false };
        let is_next = match self.0.get(&tag) {
            Some(last) => last.checked_add(1) == Some(number),
            None => self.0.len() < FORKS_MAX,
        };
        if is_next {
            self.0.insert(tag, number);
        }
        is_next
    }
}

/// An INVITE as it was sent.
struct Attempt {
    hop: Hop,
    invite: Request,
    link: Link,
    fate: Arc<Fate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted(Instant),
    Sent(Instant),
}

impl fmt::Debug for Calling {
    /// Without the INVITE, whose body may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calling({} tried, {} left, {:?})", self.attempts.len(), self.hops.len(), self.cancel)
    }
}

impl Calling {
    /// For an INVITE that goes out as soon as the leg runs, to `proxy` when there is one.
    pub(super) fn new(invite: Request, proxy: Option<SocketAddr>) -> Self {
        Self {
            is_pressing: message::is_pressing(&invite),
            invite,
            proxy,
            hops: VecDeque::new(),
            attempts: Vec::new(),
            patience: None,
            challenges: 0,
            asked_for_longer: false,
            heard: false,
            rings: false,
            cancel: Cancel::No,
            acknowledged: Acknowledged::default(),
        }
    }

    /// When a cancelled INVITE is given up, or a place that says nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.cancel {
            Cancel::No => self.patience,
            Cancel::Wanted(until) | Cancel::Sent(until) => Some(until),
        }
    }
}

impl Leg {
    /// Sends the INVITE of an outgoing leg.
    pub(super) async fn begin(&mut self) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        if let Some(trunk) = self.trunk.as_ref().filter(|trunk| trunk.health() == Health::Down) {
            return ControlFlow::Break(End::Failed(503, format!("the trunk {} is down", trunk.name)));
        }
        let found = match calling.proxy {
            Some(proxy) => Ok(vec![Router::proxy(proxy, &calling.invite.uri)]),
            None => self.shared.router.hops(&calling.invite.uri).await,
        };
        match found {
            Ok(hops) => calling.hops = hops.into(),
            Err(reason) => return ControlFlow::Break(End::Failed(503, reason)),
        }
        self.try_next_hop(Vec::new()).await
    }

    /// Sends the INVITE to the next place that takes calls and can be reached; `reasons` are why it went no further so
    /// far.
    async fn try_next_hop(&mut self, mut reasons: Vec<String>) -> Flow {
        let mut wait: Option<Duration> = None;
        loop {
            let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
            let Some(hop) = calling.hops.pop_front() else {
                let reason = reasons.join("; ");
                return ControlFlow::Break(match wait {
                    Some(wait) => End::KeptBack(reason, wait),
                    None => End::Failed(503, reason),
                });
            };
            // Nobody keeps back what may save a life (RFC 7339 §5.10.1).
            if !calling.is_pressing
                && let Err((why, holds)) = self.shared.keeper.admit(hop.address)
            {
                wait = Some(wait.map_or(holds, |wait| wait.min(holds)));
                reasons.push(format!("{hop}: {why}"));
                continue;
            }
            match self.shared.transports.open_for(&hop, Some(&calling.invite)).await {
                Ok(link) => {
                    self.hear_before_sending().await?;
                    return self.send_invite(hop, link);
                }
                Err(why) => {
                    self.shared.router.suspect(&hop);
                    reasons.push(format!("{hop}: {why}"));
                }
            }
        }
    }

    /// Takes what was asked of the leg while names were resolved and a connection was made: of an INVITE that was given up
    /// meanwhile nobody hears.
    async fn hear_before_sending(&mut self) -> Flow {
        let unsent = |stage: &Stage| matches!(stage, Stage::Calling(calling) if calling.attempts.is_empty());
        while unsent(&self.stage)
            && let Some(input) = self.next_at_hand()
        {
            Box::pin(self.handle(input)).await?;
        }
        match &self.stage {
            Stage::Calling(calling) if calling.attempts.is_empty() && calling.cancel != Cancel::No => {
                ControlFlow::Break(End::Failed(487, "cancelled before the INVITE was sent".to_owned()))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn send_invite(&mut self, hop: Hop, link: Link) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        let Some(transaction) = exchange::client(&self.shared, calling.invite.clone(), &link, self.trunk.as_ref())
        else {
            return ControlFlow::Break(End::Failed(503, "INVITE not sendable".to_owned()));
        };
        let number = calling.attempts.len();
        calling.patience = (!calling.hops.is_empty()).then(|| Instant::now() + self.shared.waits.hop);
        calling.heard = false;
        let invite = transaction.original.clone();
        let fate = Arc::new(Fate::new(self.trunk.clone()));
        calling.attempts.push(Attempt { hop, invite, link: link.clone(), fate: fate.clone() });
        tokio::spawn(exchange::drive_invite(self.shared.clone(), transaction, link, (number, fate), self.me.clone()));
        ControlFlow::Continue(())
    }

    /// The present place is of no use: the next one is tried, when there is one and nobody has heard of the call yet.
    async fn fail_over(&mut self, code: u16, reason: String) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        if calling.hops.is_empty() || calling.rings || calling.cancel != Cancel::No {
            return self.fail(code, reason);
        }
        if let Some(attempt) = calling.attempts.last() {
            attempt.fate.give_up();
            self.shared.router.suspect(&attempt.hop);
            tracing::warn!(leg = self.id.0, hop = %attempt.hop, code, reason, "the next place is tried");
        }
        self.shared.metrics().count_failover();
        self.try_next_hop(vec![reason]).await
    }

    /// What was waited for has not come.
    pub(super) async fn call_is_late(&mut self) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        if calling.cancel != Cancel::No {
            return ControlFlow::Break(End::Failed(487, "cancelled, INVITE unanswered".to_owned()));
        }
        calling.patience = None;
        self.fail_over(408, "no answer".to_owned()).await
    }

    /// Gives up on the INVITE; the leg ends with its final response.
    pub(super) fn cancel(&mut self) -> Flow {
        match &mut self.stage {
            Stage::Calling(calling) if calling.cancel == Cancel::No => {
                calling.cancel = Cancel::Wanted(Instant::now() + self.shared.waits.cancel);
                if calling.heard {
                    self.send_cancel();
                }
                ControlFlow::Continue(())
            }
            // The answer was faster.
            Stage::Up => self.hang_up(None),
            _ => ControlFlow::Continue(()),
        }
    }

    fn send_cancel(&mut self) {
        let Stage::Calling(calling) = &mut self.stage else { return };
        calling.cancel = Cancel::Sent(Instant::now() + self.shared.waits.cancel);
        let Some(Attempt { invite, link, .. }) = calling.attempts.last() else { return };
        // The leg ends with the INVITE, not with the CANCEL.
        tokio::spawn(exchange::cancel(self.shared.clone(), invite.clone(), link.clone()));
    }

    /// News of an INVITE that came before it was given up: it must neither ring nor be a call.
    fn handle_old_attempt(&self, attempt: usize, news: CallNews) {
        let (Stage::Calling(calling), CallNews::Response(response)) = (&self.stage, news) else { return };
        if let Some(Attempt { invite, link, fate, .. }) = calling.attempts.get(attempt) {
            exchange::dismiss(&self.shared, invite, &response, link, fate);
        }
    }

    /// News of our INVITE.
    pub(super) async fn handle_call(&mut self, attempt: usize, news: CallNews) -> Flow {
        if matches!(&self.stage, Stage::Calling(calling) if attempt + 1 != calling.attempts.len()) {
            self.handle_old_attempt(attempt, news);
            return ControlFlow::Continue(());
        }
        let response = match news {
            CallNews::Response(response) => response,
            CallNews::Unsent => return self.fail_over(503, "INVITE not sent".to_owned()).await,
            CallNews::Lost => return self.fail_over(503, "the connection was lost".to_owned()).await,
            CallNews::Over => return self.fail(408, "INVITE lost".to_owned()),
        };
        match response.status_code.code() {
            100..200 => self.handle_provisional(&response).await,
            200..300 => self.handle_success(&response).await,
            401 | 407 if self.answer_challenge(&response) => ControlFlow::Continue(()),
            422 if self.ask_for_longer(&response) => ControlFlow::Continue(()),
            code => {
                let reason = message::code_and_reason(&response).1;
                self.heed_retry_after(&response);
                // These say that the place is of no use, not that the call is not wanted (RFC 3263 §4.3).
                if [408, 503].contains(&code) { self.fail_over(code, reason).await } else { self.fail(code, reason) }
            }
        }
    }

    /// A server that is out of service and says for how long gets no calls meanwhile (RFC 3261 §21.5.4).
    fn heed_retry_after(&self, response: &Response) {
        let Stage::Calling(calling) = &self.stage else { return };
        let (Some(attempt), 503) = (calling.attempts.last(), response.status_code.code()) else { return };
        if let Some(time) = message::retry_after(response) {
            self.shared.keeper.close(attempt.hop.address, time);
        }
    }

    /// Sends the INVITE again with credentials; false when there are none, or none that help.
    fn answer_challenge(&mut self, response: &Response) -> bool {
        let voucher = self.voucher();
        let Stage::Calling(calling) = &mut self.stage else { return false };
        if calling.challenges >= CHALLENGES_MAX || calling.cancel != Cancel::No {
            return false;
        }
        let Some(again) = voucher.again(&calling.invite, response) else { return false };
        let Some(Attempt { hop, link, .. }) = calling.attempts.last() else { return false };
        let (hop, link) = (hop.clone(), link.clone());
        calling.challenges += 1;
        calling.invite = again;
        self.send_invite(hop, link).is_continue()
    }

    /// Sends the INVITE again with a session interval that is long enough for the far end (RFC 4028 §7.3), once; false
    /// when there is none.
    fn ask_for_longer(&mut self, response: &Response) -> bool {
        let sequence = self.dialog.sequence();
        let Stage::Calling(calling) = &mut self.stage else { return false };
        if calling.asked_for_longer || calling.cancel != Cancel::No {
            return false;
        }
        let Some(least_s) = session::least_interval_s(response) else { return false };
        let Some(Attempt { hop, link, .. }) = calling.attempts.last() else { return false };
        let (hop, link) = (hop.clone(), link.clone());
        calling.asked_for_longer = true;
        session::ask_for(&mut calling.invite.headers, least_s, sequence.next());
        self.send_invite(hop, link).is_continue()
    }

    /// Ends the leg when it still waits for an answer.
    fn fail(&mut self, code: u16, reason: String) -> Flow {
        let Stage::Calling(calling) = &self.stage else { return ControlFlow::Continue(()) };
        if code == 408 && calling.heard && calling.cancel == Cancel::No {
            // Nobody answered for three minutes: the far end must stop ringing (RFC 3261 §16.8).
            self.send_cancel();
        }
        ControlFlow::Break(End::Failed(code, reason))
    }

    async fn handle_provisional(&mut self, response: &Response) -> Flow {
        let Stage::Calling(calling) = &mut self.stage else { return ControlFlow::Continue(()) };
        calling.heard = true;
        calling.rings |= response.status_code.code() > 100;
        calling.patience = None;
        let reliable = session::reliable_number(response);
        // One that was repeated, or is ahead of one that is still on its way.
        let is_out_of_turn = reliable.is_some_and(|(number, _)| !calling.acknowledged.is_next(response, number));
        if matches!(calling.cancel, Cancel::Wanted(_)) {
            self.send_cancel();
        }
        let (code, reason) = message::code_and_reason(response);
        if code == 100 || is_out_of_turn {
            return ControlFlow::Continue(());
        }
        self.dialog.establish(response);
        self.keep_flow();
        if let Some((number, invite)) = reliable {
            let what = Header { name: "RAck".to_owned(), value: format!("{number} {invite} INVITE") };
            self.send(Errand::Acknowledgement, Method::PRack, &[what]);
        }
        let sdp = message::sdp(&response.headers, &response.body);
        self.tell(SipEvent::Progress { leg: self.id, code, reason, sdp }).await;
        ControlFlow::Continue(())
    }

    async fn handle_success(&mut self, response: &Response) -> Flow {
        let Stage::Calling(calling) = &self.stage else {
            self.end_fork(response);
            return ControlFlow::Continue(());
        };
        let cancelled = calling.cancel != Cancel::No;
        if !self.dialog.establish(response) {
            return self.fail(502, "200 without a tag".to_owned());
        }
        self.keep_flow();
        if cancelled {
            // CANCEL and 200 crossed: the call is up and has to be taken down (RFC 3261 §9.1).
            self.say_bye_to_nobody();
            return self.fail(487, "cancelled, the answer crossed".to_owned());
        }
        let sdp = message::sdp(&response.headers, &response.body);
        self.come_up(SipEvent::Answered { leg: self.id, sdp, session: session::terms(response) }).await
    }

    /// The requests of the dialog stay on the connection of its INVITE when they go to the same machine anyway: far
    /// ends often forget to say in Contact that they speak TCP or TLS. Over UDP they go where the INVITE went when the
    /// Contact leads nowhere.
    fn keep_flow(&mut self) {
        let Stage::Calling(calling) = &self.stage else { return };
        let Some(Attempt { hop, link, .. }) = calling.attempts.last() else { return };
        let is_same = match self.dialog.next_uri().host_with_port.host {
            Host::IpAddr(ip) => ip == hop.address.ip(),
            // Only the connection leads to it (RFC 7118 §5).
            Host::Domain(name) => name.to_string().ends_with(".invalid"),
        };
        let is_kept = match link.transport {
            SipTransport::Udp => astray::leads_back(&self.dialog, link),
            _ => is_same,
        };
        self.flow = is_kept.then(|| link.clone());
    }

    /// Sends BYE without waiting for its answer.
    fn say_bye_to_nobody(&mut self) {
        let bye = self.dialog.request(self.shared.user_agent(), Method::Bye, &[], None);
        self.send_and_forget(bye, self.way());
    }

    /// Takes down a second dialog that a forked 2xx made; a repeated 2xx of ours is nothing new.
    fn end_fork(&mut self, response: &Response) {
        if self.dialog.is_answer(response) {
            return;
        }
        let Some(mut fork) = self.dialog.fork(response) else { return };
        let bye = fork.request(self.shared.user_agent(), Method::Bye, &[], None);
        let flow = self.flow.clone().filter(|flow| astray::leads_back(&fork, flow));
        let way = Way::Dialog { flow, next: fork.next_uri() };
        self.send_and_forget(bye, way);
    }

    fn send_and_forget(&self, request: Request, way: Way) {
        let (shared, voucher) = (self.shared.clone(), self.voucher());
        tokio::spawn(async move { exchange::exchange(&shared, request, &way, &voucher).await });
    }
}
