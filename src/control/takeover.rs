//! A new caller takes the place of a leg: an INVITE with Replaces (RFC 3891), as the last step of somebody's transfer.

use media::LegId;
use media::sdp::{self, Session};

use super::call::{Call, Role, Stage};
use super::codecs;
use super::context::Context;
use super::leg::{Beginning, Dialog, Farewell, Leg};
use super::setup::{Refusal, not_acceptable};
use super::timer::{self, Timer};
use super::{Invite, SipCommand};
use crate::notice::{CALLER_REPLACED, What};

impl Call {
    /// Answers `invite` in the place of the leg `old`, which gets its BYE.
    pub(super) fn take_over(
        &mut self,
        context: &mut Context<'_>,
        old: LegId,
        new: LegId,
        invite: &Invite,
    ) -> Result<(), Refusal> {
        let (Some(role @ (Role::Caller | Role::Far)), Stage::Talking(_)) = (self.role(old), &self.stage) else {
            return Err(Refusal::new(481, "nobody to replace"));
        };
        if let Some(headers) = timer::too_short(&invite.session) {
            return Err(Refusal { headers, ..Refusal::new(422, "Session Interval Too Small") });
        }
        let text =
            invite.sdp.as_deref().ok_or_else(|| not_acceptable("an INVITE without an offer is not supported"))?;
        let session = sdp::parse(text).map_err(|error| not_acceptable(&error.to_string()))?;
        let (replaced, other) = match role {
            Role::Caller => (&self.caller, self.far.as_ref()),
            _ => (self.far.as_ref().unwrap_or(&self.caller), Some(&self.caller)),
        };
        let mut leg = self.answered_for(context, new, replaced, other, &session)?;
        let ours_s = context.terms.settings.limits.session_expires_s;
        leg.takes_update = invite.session.takes_update;
        leg.timer = Timer::for_answer(context.now, &invite.session, ours_s, None);
        let headers = leg.timer.as_ref().map(Timer::answer_headers).unwrap_or_default();

        let answer = leg.sdp.clone().unwrap_or_default();
        context.sip(SipCommand::Answer { leg: new, sdp: answer, headers });
        if let Some(other) = other {
            context.media(media::Command::Bridge { a: new, b: other.id });
        }
        self.seat(context, role, leg);
        Ok(())
    }

    /// A leg that answers `session` as the one it replaces would.
    fn answered_for(
        &self,
        context: &mut Context<'_>,
        new: LegId,
        replaced: &Leg,
        other: Option<&Leg>,
        session: &Session,
    ) -> Result<Leg, Refusal> {
        let certified = context.terms.settings.fingerprint.is_some();
        let audio = replaced.audio.clone();
        let offered =
            session.formats(audio.protection, certified).map_err(|error| not_acceptable(&error.to_string()))?;
        let formats = codecs::usable(&offered, &audio.codecs);
        let codec = other.and_then(Leg::codec).or(replaced.codec());
        let best = codec.map(|codec| codecs::answers_for(&formats, &audio.codecs, codec)).unwrap_or_default();
        let best = best.get(..1).ok_or_else(|| not_acceptable("no audio stream in a codec that is spoken here"))?;
        let beginning = Beginning {
            name: &replaced.name,
            audio,
            formats,
            wishes: session.wishes(),
            partner: other.map(Leg::as_partner).unwrap_or_default(),
            destination: session.address(),
            bind: None,
        };
        let Some(mut leg) = Leg::open(context, self.key, Some(new), beginning) else {
            return Err(Refusal::new(503, "No media port is free"));
        };
        let noise = other.is_some_and(|other| other.comfort_noise);
        match leg.answer(session, &leg.local, best, noise) {
            Ok((text, agreement)) => {
                leg.sdp = Some(text.into());
                leg.dialog = Dialog::Answered;
                leg.party = replaced.party;
                leg.agree(context, agreement, false);
                leg.await_keys(context);
                Ok(leg)
            }
            Err(error) => {
                leg.end_stream(context);
                context.shared.owners.remove(&new);
                Err(not_acceptable(&error.to_string()))
            }
        }
    }

    /// Puts a leg in the place of the caller's or the far leg, and lets that one go.
    fn seat(&mut self, context: &mut Context<'_>, role: Role, leg: Leg) {
        let (now, new, target) = (context.now, leg.id, leg.name.clone());
        let is_caller = role == Role::Caller;
        if let Stage::Talking(talking) = &mut self.stage {
            talking.watch.streams_changed(now);
        }
        if is_caller {
            self.keep_secret(context, new);
        }
        let old = if is_caller { Some(std::mem::replace(&mut self.caller, leg)) } else { self.far.replace(leg) };
        if is_caller {
            self.caller_replaced(context);
        }
        if is_caller || context.terms.settings.listens_to_far() {
            if let Some(old) = &old {
                context.tap(old.id, false);
            }
            self.tap(context, new, true);
        }
        let via = if is_caller { CALLER_REPLACED } else { "replaces" }.to_owned();
        self.notice(context, What::Rerouted { via, target, answer_ms: 0, gap_ms: None });
        if let Some(old) = old {
            self.dismiss(context, old, Farewell { code: 480, reason: "replaced" });
        }
    }
}
