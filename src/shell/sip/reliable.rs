//! Provisional responses that must arrive (RFC 3262): each is sent again until the caller's PRACK, one at a time, and
//! the answer waits behind one that described the session.
//!
//! Knows no dialog: `incoming` owns it and says when time has passed.

use std::time::Duration;

use rsipstack::sip::Request;
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use tokio::time::Instant;

use super::exchange::Responder;
use super::leg::Waits;
use super::message::{self, Reply, session};
use crate::control::{Description, Header};

/// What a caller's INVITE says of provisional responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// They may be lost.
    Plain,
    /// The caller takes reliable ones: those that describe the session are.
    Supported,
    /// All must be.
    Required,
    /// All must be, and the first would have to carry our offer: the caller gets none.
    None,
}

/// The provisional responses to one INVITE.
#[derive(Debug)]
pub(super) struct Reliable {
    wish: Wish,
    waits: Waits,
    invite: u32,
    next: u32,
    sent: Option<Sent>,
    /// The newest that has to wait for its turn.
    waiting: Option<(u16, Option<Description>)>,
    /// The answer that has to wait.
    answer: Option<(Description, Vec<Header>)>,
}

/// A response without its PRACK.
#[derive(Debug)]
struct Sent {
    number: u32,
    code: u16,
    sdp: Option<Description>,
    again: Instant,
    wait: Duration,
    until: Instant,
}

impl Reliable {
    /// For the responses to `invite`.
    pub(super) fn new(invite: &Request, waits: Waits) -> Reliable {
        let has_offer = message::sdp(&invite.headers, &invite.body).is_some();
        let wish = match (invite.header_contains_token("Require", "100rel"), session::knows(invite, "100rel")) {
            (true, _) if !has_offer => Wish::None,
            (true, _) => Wish::Required,
            (false, true) if has_offer => Wish::Supported,
            (false, _) => Wish::Plain,
        };
        let number = invite.cseq_header().ok().and_then(|header| header.typed().ok()).map_or(0, |cseq| cseq.seq);
        Reliable { wish, waits, invite: number, next: 1, sent: None, waiting: None, answer: None }
    }

    /// Sends a provisional response now, or when it is its turn.
    pub(super) fn progress(&mut self, to: &Responder, code: u16, sdp: Option<&Description>) {
        let is_reliable = match self.wish {
            Wish::None => return,
            Wish::Plain => false,
            Wish::Supported => sdp.is_some(),
            Wish::Required => true,
        };
        if !is_reliable {
            return to.respond(&Reply { sdp: sdp.map(|sdp| &**sdp), ..Reply::code(code) });
        }
        if self.sent.is_some() {
            self.waiting = Some((code, sdp.cloned()));
            return;
        }
        let now = Instant::now();
        let wait = self.waits.repeat;
        let (again, until) = (now + wait, now + self.waits.acknowledgement);
        let sent = Sent { number: self.next, code, sdp: sdp.cloned(), again, wait, until };
        self.next += 1;
        sent.send(to);
        self.sent = Some(sent);
    }

    /// Keeps an answer back while a description is on its way that the caller has not acknowledged (RFC 3262 §3); true
    /// when it waits.
    pub(super) fn holds(&mut self, sdp: &Description, headers: &[Header]) -> bool {
        let waits = self.sent.as_ref().is_some_and(|sent| sent.sdp.is_some());
        if waits {
            self.answer = Some((sdp.clone(), headers.to_vec()));
        }
        waits
    }

    /// Takes what a PRACK acknowledges; false when that is not what waits for one.
    pub(super) fn acknowledge(&mut self, to: &Responder, acknowledged: Option<(u32, u32)>) -> bool {
        let expected = self.sent.as_ref().map(|sent| (sent.number, self.invite));
        if expected.is_none() || acknowledged != expected {
            return false;
        }
        self.sent = None;
        // With the answer at hand nobody needs to be told that it rings.
        if let (Some((code, sdp)), None) = (self.waiting.take(), &self.answer) {
            self.progress(to, code, sdp.as_ref());
        }
        true
    }

    /// The answer that has waited for the PRACK.
    pub(super) fn take_answer(&mut self) -> Option<(Description, Vec<Header>)> {
        self.answer.take_if(|_| self.sent.is_none())
    }

    /// When something has to be done.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sent.as_ref().map(|sent| sent.again.min(sent.until))
    }

    /// Sends again what is due; false when the caller has had long enough.
    pub(super) fn handle_deadline(&mut self, to: &Responder, now: Instant) -> bool {
        let Some(sent) = &mut self.sent else { return true };
        if sent.until <= now {
            return false;
        }
        if sent.again <= now {
            sent.wait *= 2;
            sent.again = now + sent.wait;
            sent.send(to);
        }
        true
    }
}

impl Sent {
    fn send(&self, to: &Responder) {
        let header = |name: &str, value: String| Header { name: name.to_owned(), value };
        let headers = [header("Require", "100rel".to_owned()), header("RSeq", self.number.to_string())];
        to.respond(&Reply { headers: &headers, sdp: self.sdp.as_deref(), ..Reply::code(self.code) });
    }
}
