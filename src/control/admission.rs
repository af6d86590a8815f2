//! What becomes of an INVITE outside a dialog: a call, a leg in the place of another one, a word to go elsewhere, or no.

use std::time::Duration;

use media::LegId;

use super::call::Call;
use super::context::Context;
use super::leg::header;
use super::setup::{self, Elsewhere, Refusal};
use super::{Command, Control, Invite, SipCommand};
use crate::notice::{Notice, What};

impl Control {
    /// Takes up, redirects or refuses whoever calls.
    pub(super) fn incoming(&mut self, now: Duration, leg: LegId, invite: &Invite, out: &mut Vec<Command>) {
        if self.shared.owners.contains_key(&leg) {
            return;
        }
        if invite.is_recording {
            return self.incoming_recording(now, leg, invite, out);
        }
        let (key, id) = self.new_call();
        if let Some(replaced) = invite.replaces {
            let mut refusal = Some(Refusal::new(481, "nobody to replace"));
            self.with_owner(now, replaced, out, |call, context| {
                refusal = call.take_over(context, replaced, leg, invite).err();
            });
            if let Some(refusal) = refusal {
                self.refuse(leg, id, refusal, out);
            }
            return;
        }
        let room = self.room_for_one_more(now);
        if let Some(elsewhere) = setup::elsewhere(&self.shared, now, invite, room.is_ok()) {
            let Elsewhere { target, uri, reason } = elsewhere;
            let headers = vec![header("X-Calmline-Call", id.clone())];
            out.push(Command::Sip(SipCommand::Redirect { leg, uri, headers }));
            let what = What::CallRedirected { target, reason: reason.to_owned() };
            return out.push(Command::Notice(Notice { call: id, call_ms: 0, what }));
        }
        let admitted = room.and_then(|()| setup::admit(&self.shared, invite));
        let mut context = Context::of_newest(now, &mut self.shared, out);
        let started = admitted.and_then(|admitted| Call::start(&mut context, key, id.clone(), leg, invite, admitted));
        match started {
            Ok(call) => self.take_up(now, key, call, out),
            Err(refusal) => self.refuse(leg, id, refusal, out),
        }
    }

    /// Whether one more call can be taken without harm to others.
    pub(super) fn room_for_one_more(&mut self, now: Duration) -> Result<(), Refusal> {
        if self.drain.is_some() {
            return Err(Refusal::new(503, "Draining"));
        }
        // Calls that are over but whose legs are still awaited count four times less.
        let limit = self.shared.terms.settings.limits.calls;
        // Chats have a limit of their own.
        let (up, all) = (self.calls_up - self.chats_up, self.calls.len() - self.chats_up);
        if up >= limit || all >= limit.saturating_mul(4) {
            return Err(Refusal::new(503, "Call limit reached"));
        }
        if !self.shared.ports.has(now, PORTS_PER_CALL) {
            return Err(Refusal::new(503, "No media port is free"));
        }
        self.spare_load_for_one_more(now)
    }

    /// Says no; a 503 that says nothing of the time says when to come back.
    pub(super) fn refuse(&self, leg: LegId, id: String, refusal: Refusal, out: &mut Vec<Command>) {
        let Refusal { code, reason, mut headers } = refusal;
        if code == 503 && headers.is_empty() {
            let seconds = self.shared.terms.settings.limits.retry_after.as_secs().max(1);
            headers.push(header("Retry-After", seconds.to_string()));
        }
        let what = What::CallRefused { code, reason: reason.clone() };
        out.push(Command::Sip(SipCommand::Reject { leg, code, reason, headers }));
        out.push(Command::Notice(Notice { call: id, call_ms: 0, what }));
    }
}

/// The RTP ports a call begins with: one per leg.
const PORTS_PER_CALL: usize = 2;
