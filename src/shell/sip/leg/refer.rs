//! REFER on a leg, both ways: ours with its NOTIFYs, and the far end's, for which we send them. INFO and MESSAGE of ours.

use std::collections::VecDeque;
use std::time::Duration;

use rsipstack::sip::Method;
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::transaction::Transaction;
use tokio::time::Instant;

use super::super::exchange::{self, Outcome};
use super::super::message::{self, Reply};
use super::super::referral;
use super::{Errand, Leg, Stage};
use crate::control::{Header, InfoMethod, SipEvent};
use media::LegId;

/// Where our REFER is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Referral {
    /// None is on.
    None,
    /// Sent, no response yet.
    Sent,
    /// Accepted: NOTIFYs follow.
    Accepted,
}

/// A REFER of the far end that is being carried out.
#[derive(Debug)]
pub(super) struct Served {
    /// Names the REFER, for far ends that send more than one (RFC 3515 §2.4.6).
    sequence: u32,
    /// Whether nobody wants to know.
    quiet: bool,
    /// What is to be told, one NOTIFY after the other.
    untold: VecDeque<(u16, String)>,
    /// A NOTIFY has no response yet.
    telling: bool,
}

impl Served {
    /// Whether something is still to be told.
    fn is_busy(&self) -> bool {
        self.telling || !self.untold.is_empty()
    }
}

impl Leg {
    /// Asks the far end to call `uri`, or to take the place of our leg `replaces`.
    pub(super) async fn refer(&mut self, uri: &str, replaces: Option<LegId>, headers: &[Header]) {
        if !matches!(self.stage, Stage::Up) || self.referral != Referral::None {
            let reason = "the leg cannot be referred now".to_owned();
            return self.tell_refer(491, reason, true).await;
        }
        let mut asked = headers.to_vec();
        let mut uri = uri.to_owned();
        if let Some(replaced) = replaces {
            let Some((place, target)) = self.shared.legs.place_of(replaced) else {
                return self.tell_refer(481, "nobody to replace".to_owned(), true).await;
            };
            uri = target;
            asked.push(Header { name: "Replaces".to_owned(), value: place.value() });
        }
        let target = message::name_and_address(&format!("<{}>", message::with_headers(&uri, &asked)));
        let Some(target) = target.filter(|_| message::is_clean(&uri) && uri.contains(':')) else {
            return self.tell_refer(400, "the target is no URI".to_owned(), true).await;
        };
        let by = self.dialog.local_address();
        let mut all = vec![
            Header { name: "Refer-To".to_owned(), value: target },
            Header { name: "Referred-By".to_owned(), value: by },
        ];
        all.extend_from_slice(headers);
        self.referral = Referral::Sent;
        self.send(Errand::Refer, Method::Refer, &all);
    }

    /// The response to our REFER.
    pub(super) async fn handle_refer_response(&mut self, outcome: Outcome) {
        if self.referral != Referral::Sent {
            return; // A NOTIFY came first and stood for the 202.
        }
        let accepted = outcome.code < 300;
        self.referral = if accepted { Referral::Accepted } else { Referral::None };
        self.tell_refer(outcome.code, outcome.reason, !accepted).await;
    }

    pub(super) async fn handle_notify(&mut self, transaction: Box<Transaction>) {
        let sipfrag = message::sipfrag(&transaction.original);
        let is_ours = self.referral != Referral::None
            && transaction.original.header_value("Event").is_some_and(|event| event.trim_start().starts_with("refer"));
        self.refuse(*transaction, if is_ours { 200 } else { 481 }).await;
        let Some(sipfrag) = sipfrag.filter(|_| is_ours) else { return };
        if self.referral == Referral::Sent {
            self.tell_refer(202, "Accepted".to_owned(), false).await;
        }
        self.referral = if sipfrag.last { Referral::None } else { Referral::Accepted };
        self.tell_refer(sipfrag.code, sipfrag.reason, sipfrag.last).await;
    }

    async fn tell_refer(&self, code: u16, reason: String, last: bool) {
        self.tell(SipEvent::ReferProgress { leg: self.id, code, reason, last }).await;
    }

    /// The far end asks us to call somebody: 202 and a first NOTIFY at once (RFC 3515 §2.4.4), the rest from call control.
    pub(super) async fn handle_refer(&mut self, transaction: Box<Transaction>) {
        let Some(asked) = referral::referral(&transaction.original) else {
            return self.refuse(*transaction, 400).await;
        };
        if !matches!(self.stage, Stage::Up) {
            return self.refuse(*transaction, 481).await;
        }
        if self.served.is_some() {
            return self.refuse(*transaction, 491).await;
        }
        let sequence = transaction.original.cseq_header().ok().and_then(|cseq| cseq.typed().ok());
        let sequence = sequence.map_or(0, |cseq| cseq.seq);
        let agreed = [Header { name: "Refer-Sub".to_owned(), value: "false".to_owned() }];
        let reply = Reply { headers: if asked.quiet { &agreed } else { &[] }, ..Reply::code(202) };
        exchange::refuse(&self.shared, *transaction, self.dialog.local_tag(), &reply).await;
        self.served = Some(Served { sequence, quiet: asked.quiet, untold: VecDeque::new(), telling: false });
        self.tell_referrer(100, "");
        self.tell(SipEvent::Referred { leg: self.id, uri: asked.uri, headers: asked.headers }).await;
    }

    /// Tells the far end how its REFER goes; the last word from 200 on.
    pub(super) fn tell_referrer(&mut self, code: u16, reason: &str) {
        let Some(served) = &mut self.served else { return };
        if served.quiet {
            if code >= 200 {
                self.served = None;
            }
            return;
        }
        // One far end that answers no NOTIFY must not make us remember them all.
        if served.untold.len() >= UNTOLD_MAX {
            served.untold.pop_front();
        }
        served.untold.push_back((code, reason.to_owned()));
        self.notify_next();
    }

    /// Sends the next NOTIFY, when none is on its way.
    fn notify_next(&mut self) {
        let Some(served) = self.served.as_mut().filter(|served| !served.telling) else { return };
        let Some((code, reason)) = served.untold.pop_front() else { return };
        served.telling = true;
        let last = code >= 200;
        let state = if last { "terminated;reason=noresource" } else { "active;expires=60" };
        let headers = [
            Header { name: "Event".to_owned(), value: format!("refer;id={}", served.sequence) },
            Header { name: "Subscription-State".to_owned(), value: state.to_owned() },
        ];
        let body = message::status_line_of(code, &reason);
        self.send_with(Errand::Notify { last }, Method::Notify, &headers, Some(("message/sipfrag;version=2.0", &body)));
    }

    /// What the far end says to a NOTIFY of ours.
    pub(super) fn handle_notified(&mut self, last: bool, outcome: &Outcome) {
        let Some(served) = &mut self.served else { return };
        served.telling = false;
        // 481: it has forgotten the subscription, so that nothing is left to be told (RFC 6665 §4.2.2).
        if last || outcome.code == 481 {
            self.served = None;
        }
        self.notify_next();
        self.part_if_told();
    }

    /// Puts a hang-up off until the far end knows how its REFER went; false when it knows already.
    pub(super) fn part_later(&mut self, reason: Option<&String>) -> bool {
        let busy = self.served.as_ref().is_some_and(Served::is_busy);
        if busy && self.parting.is_none() {
            self.parting = Some((reason.cloned(), Instant::now() + PART_WAIT));
        }
        busy
    }

    /// Hangs up if that was put off and nothing keeps it any more.
    pub(super) fn part_if_told(&mut self) {
        let busy = self.served.as_ref().is_some_and(Served::is_busy);
        let late = self.parting.as_ref().is_some_and(|(_, until)| *until <= Instant::now());
        if (!busy || late)
            && let Some((reason, _)) = self.parting.take()
        {
            let why = reason.clone().unwrap_or_else(|| "hung up".to_owned());
            self.send_bye(reason, why);
        }
    }

    /// Tells the far end something in an INFO or MESSAGE.
    pub(super) async fn inform(&mut self, method: InfoMethod, headers: &[Header], json: &str) {
        if !matches!(self.stage, Stage::Up) {
            let reason = "the leg is not up".to_owned();
            return self.tell(SipEvent::Informed { leg: self.id, code: 481, reason }).await;
        }
        let method = match method {
            InfoMethod::Info => Method::Info,
            InfoMethod::Message => Method::Message,
        };
        self.send_with(Errand::Inform, method, headers, Some(("application/json", json)));
    }
}

/// NOTIFYs that wait; more than a call can have steps.
const UNTOLD_MAX: usize = 16;
/// How long a BYE waits for the last NOTIFY.
const PART_WAIT: Duration = Duration::from_secs(2);
