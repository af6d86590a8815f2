//! The DTLS handshake of a leg as call control sees it (RFC 5763): asked for, awaited, done or failed, and what becomes
//! of a call whose audio gets no keys.
//!
//! An association stands until the far end shows another certificate or the roles change (RFC 8842 §3.1): hold, resume,
//! a new address and an ICE restart leave it alone.

use std::time::Duration;

use media::LegId;
use media::sdp::{Handshake, Wanted};
use media::srtp::Suite;

use super::call::{Call, Role, Stage, millis};
use super::context::Context;
use super::leg::{Farewell, Leg, Stream};
use super::{Command, HandshakeFailure};
use crate::notice::What;

/// A leg's handshake.
#[derive(Debug)]
pub(super) struct Shaking {
    pub(super) agreed: Handshake,
    /// When it was asked for.
    since: Duration,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Keys are awaited; until when, once the leg is answered: before that, a far end need not be ready.
    Awaited { until: Option<Duration> },
    /// There are keys.
    Done,
    /// There are none.
    Failed,
}

impl Leg {
    /// Takes what was agreed about the handshake. It is asked for when it is another one than before, or when the one
    /// before has failed; `forks` when what was agreed is one of several answers to our offer.
    pub(super) fn agree_handshake(&mut self, context: &mut Context<'_>, agreed: Option<Handshake>, forks: bool) {
        let stands = |shaking: &&Shaking| agreed.as_ref() == Some(&shaking.agreed);
        if self.shaking.as_ref().filter(stands).is_some_and(|shaking| shaking.progress != Progress::Failed) {
            return;
        }
        self.shaking = None;
        if let Some(agreed) = agreed {
            self.shake(context, agreed, forks);
        }
    }

    /// The dialog has its 2xx: from now on, a handshake has to come to an end.
    pub(super) fn await_keys(&mut self, context: &mut Context<'_>) {
        match &mut self.shaking {
            Some(Shaking { progress: Progress::Awaited { until }, .. }) => {
                until.get_or_insert(context.now + KEYS_WAIT);
            }
            // The far end was not ready before.
            Some(Shaking { agreed, progress: Progress::Failed, .. }) => {
                let agreed = agreed.clone();
                self.shake(context, agreed, false);
            }
            Some(Shaking { progress: Progress::Done, .. }) | None => {}
        }
    }

    fn shake(&mut self, context: &mut Context<'_>, agreed: Handshake, forks: bool) {
        if self.stream != Stream::Open {
            return;
        }
        context.out.push(Command::Handshake { leg: self.id, handshake: agreed.clone(), forks });
        let until = self.is_agreed().then(|| context.now + KEYS_WAIT);
        self.shaking = Some(Shaking { agreed, since: context.now, progress: Progress::Awaited { until } });
    }

    fn keys_awaited_until(&self) -> Option<Duration> {
        match self.shaking.as_ref()?.progress {
            Progress::Awaited { until } => until,
            Progress::Done | Progress::Failed => None,
        }
    }
}

impl Call {
    /// A handshake has come to its end.
    pub(super) fn shaken(&mut self, context: &mut Context<'_>, id: LegId, outcome: Result<Suite, HandshakeFailure>) {
        if self.talker(id).is_none() {
            return;
        }
        let Some(leg) = self.leg_mut(id) else { return };
        // A leg that was agreed anew without a handshake needs none any more.
        let Some(shaking) = &mut leg.shaking else { return };
        match outcome {
            Ok(suite) => {
                shaking.progress = Progress::Done;
                let took_ms = millis(context.now.saturating_sub(shaking.since));
                let (party, suite) = (leg.party.to_owned(), suite.name().to_owned());
                self.notice(context, What::HandshakeDone { party, suite, took_ms });
            }
            Err(failure) => self.handshake_failed(context, id, failure),
        }
    }

    /// Gives up on keys that have not come.
    pub(super) fn handshakes_tick(&mut self, context: &mut Context<'_>) {
        let is_late = |leg: &&Leg| leg.keys_awaited_until().is_some_and(|until| context.now >= until);
        let late: Vec<LegId> = self.talkers().filter(is_late).map(|leg| leg.id).collect();
        for leg in late {
            self.handshake_failed(context, leg, HandshakeFailure::NotBegun);
        }
    }

    /// Until when keys are awaited.
    pub(super) fn handshakes_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        out.extend(self.talkers().filter_map(Leg::keys_awaited_until).map(|until| (until, "keys of a handshake")));
    }

    /// What has no keys is never sent in plain. Where protection is required the leg ends, and so does one that somebody
    /// else has answered on the media path; a leg that may be plain stays, silent, for the far end to offer anew.
    fn handshake_failed(&mut self, context: &mut Context<'_>, id: LegId, failure: HandshakeFailure) {
        let Some(role) = self.talker(id) else { return };
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(shaking) = &mut leg.shaking else { return };
        shaking.progress = Progress::Failed;
        let is_stranger = failure == HandshakeFailure::WrongCertificate;
        if !is_stranger && !leg.is_agreed() {
            // It is tried again when the leg is answered.
            return;
        }
        let ends = is_stranger || leg.audio.protection.wanted == Wanted::Required;
        let (party, reason) = (leg.party.to_owned(), failure.to_string());
        self.notice(context, What::HandshakeFailed { party, failure: failure.name().to_owned(), reason });
        if !ends {
            return;
        }
        let reason = format!("audio could not be protected: {failure}");
        match role {
            Role::Caller => self.finish_with(context, Farewell { code: 488, reason: &reason }),
            Role::Far => self.far_gone(context, 488, &reason),
            Role::Supervisor => self.lose_supervisor(context, id, &reason),
            Role::Next | Role::Leaving => {}
        }
    }

    /// What a leg is whose audio is heard, or hears.
    fn talker(&self, id: LegId) -> Option<Role> {
        let is_over = matches!(self.stage, Stage::Finished(_));
        self.role(id).filter(|role| !is_over && !matches!(role, Role::Next | Role::Leaving))
    }

    /// Those legs.
    fn talkers(&self) -> impl Iterator<Item = &Leg> {
        let (supervisors, over) = match &self.stage {
            Stage::Talking(talking) => (Some(talking.supervisors.legs()), false),
            Stage::Seeking(_) => (None, false),
            Stage::Finished(_) => (None, true),
        };
        let supervisors = supervisors.into_iter().flatten();
        std::iter::once(&self.caller).chain(&self.far).chain(supervisors).filter(move |_| !over)
    }
}

/// How long keys may take once a leg is answered: longer than a handshake that has begun.
const KEYS_WAIT: Duration = Duration::from_secs(15);
