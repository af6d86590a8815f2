//! The INVITE that came in: progress, answer, refusal, CANCEL, and the ACK that may never come.

use std::ops::ControlFlow;

use tokio::time::Instant;

use super::exchange::{Responder, ServerNews};
use super::leg::{End, Flow, Leg, Stage};
use super::message::Reply;
use crate::control::{Header, SipEvent};

/// Where the answer to the INVITE is.
#[derive(Debug)]
pub(super) enum Answering {
    /// No final response yet.
    Ringing {
        /// Answers the INVITE.
        caller: Box<Responder>,
        /// Until when call control must have said its final word.
        until: Instant,
    },
    /// 200 sent, no ACK yet; with the hang-up that call control wants as soon as that is allowed.
    Answered {
        /// The reason to give with BYE, when one was given.
        bye: Option<Option<String>>,
    },
}

impl Leg {
    /// Sends a provisional response.
    pub(super) fn progress(&self, code: u16, sdp: Option<&str>) {
        if let Stage::Answering(Answering::Ringing { caller, .. }) = &self.stage {
            caller.respond(&Reply { sdp, ..Reply::code(code.clamp(101, 199)) });
        }
    }

    /// Sends 200.
    pub(super) fn answer(&mut self, sdp: &str, headers: &[Header]) {
        let Stage::Answering(Answering::Ringing { caller, .. }) = &self.stage else {
            return tracing::debug!(leg = self.id.0, "nothing to answer any more");
        };
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
            (Stage::Answering(Answering::Answered { bye }), ServerNews::Acknowledged) => {
                let bye = bye.take();
                self.tell(SipEvent::Confirmed { leg: self.id }).await;
                self.come_up().await?;
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
