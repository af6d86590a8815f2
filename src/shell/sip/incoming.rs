//! The INVITE that came in: progress, answer, refusal, CANCEL, and the ACK that may never come.

use std::ops::ControlFlow;

use rsipstack::sip::Request;
use tokio::time::Instant;

use super::exchange::{Responder, ServerNews};
use super::leg::{End, Flow, Leg, Stage};
use super::message::{Reply, session};
use super::reliable::Reliable;
use crate::control::{Description, Header, SipEvent};

/// Where the answer to the INVITE is.
#[derive(Debug)]
pub(super) enum Answering {
    /// No final response yet.
    Ringing {
        /// Answers the INVITE.
        caller: Box<Responder>,
        /// Until when call control must have said its final word.
        until: Instant,
        /// What is said before that.
        reliable: Box<Reliable>,
    },
    /// 200 sent, no ACK yet; with the hang-up that call control wants as soon as that is allowed.
    Answered {
        /// The reason to give with BYE, when one was given.
        bye: Option<Option<String>>,
    },
}

impl Leg {
    /// Sends a provisional response.
    pub(super) fn progress(&mut self, code: u16, sdp: Option<&Description>) {
        if let Stage::Answering(Answering::Ringing { caller, reliable, .. }) = &mut self.stage {
            reliable.progress(caller, code.clamp(101, 199), sdp);
        }
    }

    /// A PRACK of the caller; true when it acknowledges what waits for one.
    pub(super) fn acknowledged(&mut self, request: &Request) -> bool {
        let Stage::Answering(Answering::Ringing { caller, reliable, .. }) = &mut self.stage else { return false };
        let is_expected = reliable.acknowledge(caller, session::acknowledged(request));
        if let Some((sdp, headers)) = reliable.take_answer() {
            self.answer(&sdp, &headers);
        }
        is_expected
    }

    /// Sends again what has no PRACK; a caller who never sends one is refused (RFC 3262 §3).
    pub(super) fn insist(&mut self, now: Instant) -> Flow {
        let Stage::Answering(Answering::Ringing { caller, reliable, .. }) = &mut self.stage else {
            return ControlFlow::Continue(());
        };
        if reliable.handle_deadline(caller, now) {
            return ControlFlow::Continue(());
        }
        tracing::warn!(leg = self.id.0, "no PRACK for a provisional response");
        self.reject(504, "", &[])
    }

    /// Sends 200, as soon as the caller has acknowledged what went before.
    pub(super) fn answer(&mut self, sdp: &Description, headers: &[Header]) {
        let Stage::Answering(Answering::Ringing { caller, reliable, .. }) = &mut self.stage else {
            return tracing::debug!(leg = self.id.0, "nothing to answer any more");
        };
        if reliable.holds(sdp, headers) {
            return;
        }
        caller.respond(&Reply { headers, sdp: Some(sdp), ..Reply::code(200) });
        self.stage = Stage::Answering(Answering::Answered { bye: None });
    }

    /// Sends a final failure.
    pub(super) fn reject(&mut self, code: u16, reason: &str, headers: &[Header]) -> Flow {
        let Stage::Answering(Answering::Ringing { caller, .. }) = &self.stage else {
            return self.hang_up(None);
        };
        let code = code.clamp(300, 699);
        caller.respond(&Reply { reason, headers, ..Reply::code(code) });
        ControlFlow::Break(End::Ended(format!("rejected with {code}")))
    }

    /// Sends the caller elsewhere.
    pub(super) fn redirect(&mut self, uri: &str, headers: &[Header]) -> Flow {
        let Stage::Answering(Answering::Ringing { caller, .. }) = &self.stage else { return self.hang_up(None) };
        let reply = Reply { headers, contact: Some(uri), ..Reply::code(302) };
        caller.respond(&reply);
        ControlFlow::Break(End::Ended("sent elsewhere with 302".to_owned()))
    }

    /// News of the caller's INVITE.
    pub(super) async fn handle_caller(&mut self, news: ServerNews) -> Flow {
        match (&mut self.stage, news) {
            (Stage::Answering(Answering::Ringing { caller, .. }), ServerNews::Cancelled) => {
                caller.respond(&Reply::code(487));
                ControlFlow::Break(End::Cancelled)
            }
            (Stage::Answering(Answering::Ringing { .. }), ServerNews::Over) => {
                ControlFlow::Break(End::Ended("the INVITE was lost".to_owned()))
            }
            (Stage::Answering(Answering::Answered { bye }), ServerNews::Acknowledged(sdp)) => {
                let bye = bye.take();
                self.come_up(SipEvent::Confirmed { leg: self.id, sdp }).await?;
                match bye {
                    Some(reason) => self.hang_up(reason),
                    None => ControlFlow::Continue(()),
                }
            }
            // The stack has repeated the 200 for 64*T1 (RFC 3261 §13.3.1.4).
            (Stage::Answering(Answering::Answered { .. }), ServerNews::Over) => {
                self.give_up("no ACK");
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
