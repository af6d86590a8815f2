//! Supervisors: phones that are called by order and then listen to the call, whisper to one side, or speak to both.
//!
//! Those who come by browser (`browser`) are supervisors like these. A supervisor's leg never carries the call. It hangs on the caller's leg, so it survives every re-route; whatever
//! becomes of it, the call goes on; when the call ends, it is hung up.

use std::net::SocketAddr;
use std::time::Duration;

use media::{LegId, Sides, Supervision};

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::leg::{Dialog, Farewell, Leg, header};
use super::order::{Denied, DeniedKind, Hears, Party, SupervisorMode, Whom};
use super::{Command, Description};
use crate::notice::What;
use crate::settings::{Target, is_plain_sip};

/// The supervisors of one call.
#[derive(Debug, Default)]
pub(super) struct Supervisors {
    present: Vec<Supervisor>,
    /// The number that was given last.
    last: u32,
}

/// One supervisor.
#[derive(Debug)]
pub(super) struct Supervisor {
    number: u32,
    pub(super) leg: Leg,
    pub(super) by: By,
    part: Part,
    called: Duration,
    /// When it has rung long enough; nothing once it takes part.
    ring_until: Option<Duration>,
    /// The last description of a provisional response, for a 2xx that brings none.
    early: Option<Description>,
}

/// What a supervisor hears and speaks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A phone that we call.
    Phone,
    /// A browser, whose plain RTP somebody of ours sends and receives there.
    Browser {
        /// Where it receives.
        socket: SocketAddr,
        /// Whether it may ever send anything.
        speaks: bool,
    },
}

/// How a supervisor takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) mode: SupervisorMode,
    pub(super) hears: Hears,
}

/// What is to change of how a supervisor takes part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) mode: Option<SupervisorMode>,
    pub(super) hears: Option<Hears>,
    /// What a browser of whoever asks is called, where whose it is counts.
    pub(super) by: Option<&'a str>,
}

impl Supervisors {
    /// Every supervisor's leg.
    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.present.iter().map(|supervisor| &supervisor.leg)
    }

    /// Every supervisor's leg.
    pub(super) fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.present.iter_mut().map(|supervisor| &mut supervisor.leg)
    }

    /// How those take part who have joined.
    pub(super) fn modes(&self) -> impl Iterator<Item = SupervisorMode> {
        self.present.iter().filter(|each| each.has_joined()).map(|each| each.part.mode)
    }

    pub(super) fn by_number(&mut self, number: u32) -> Option<&mut Supervisor> {
        self.present.iter_mut().find(|supervisor| supervisor.number == number)
    }

    fn by_leg(&mut self, leg: LegId) -> Option<&mut Supervisor> {
        self.present.iter_mut().find(|supervisor| supervisor.leg.id == leg)
    }

    /// Those who have joined go on with another leg of the caller's.
    pub(super) fn follow(&self, context: &mut Context<'_>, caller: LegId) {
        for supervisor in self.present.iter().filter(|each| each.has_joined()) {
            context.media(supervisor.part.command(supervisor.leg.id, caller));
        }
    }

    fn take(&mut self, fits: impl Fn(&Supervisor) -> bool) -> Option<Supervisor> {
        let index = self.present.iter().position(fits)?;
        Some(self.present.remove(index))
    }
}

impl Supervisor {
    pub(super) fn has_joined(&self) -> bool {
        self.ring_until.is_none()
    }

    /// Takes part from now on, with what the media path has been told of its leg; what is told of that.
    pub(super) fn join(&mut self, context: &mut Context<'_>, caller: LegId) -> What {
        self.ring_until = None;
        context.media(self.part.command(self.leg.id, caller));
        let answer_ms = millis(context.now.saturating_sub(self.called));
        What::SupervisorJoined { supervisor: self.number, answer_ms }
    }
}

impl Call {
    /// Calls a supervisor.
    pub(super) fn call_supervisor(&mut self, context: &mut Context<'_>, whom: Whom, part: Part) -> Result<u32, Denied> {
        self.check_room_for_supervisor(context)?;
        let ring = context.terms.settings.limits.ring;
        let (name, target) = self.phone_of(context, whom)?;
        let headers = vec![header("X-Calmline-Supervision", part.mode.as_str())];
        let mut leg = self
            .invite(context, &name, target, headers, &self.caller)
            .ok_or_else(|| Denied::new(DeniedKind::Full, "no media port is free"))?;
        leg.party = "supervisor";
        self.seat_supervisor(context, leg, (By::Phone, part), ring)
    }

    /// Refuses one more supervisor where there cannot be one.
    pub(super) fn check_room_for_supervisor(&self, context: &Context<'_>) -> Result<(), Denied> {
        self.check_sound()?;
        self.check_audio_here()?;
        let Stage::Talking(talking) = &self.stage else { return Err(Denied::not_connected()) };
        let most = context.terms.settings.supervision.per_call;
        if talking.supervisors.present.len() >= most {
            let reason = format!("the call has as many supervisors as it may have: {most}");
            return Err(Denied::new(DeniedKind::Conflict, reason));
        }
        Ok(())
    }

    /// Awaits a supervisor for as long as `patience`.
    pub(super) fn seat_supervisor(
        &mut self,
        context: &mut Context<'_>,
        leg: Leg,
        (by, part): (By, Part),
        patience: Duration,
    ) -> Result<u32, Denied> {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let supervisors = &mut talking.supervisors;
        supervisors.last += 1;
        let (number, target) = (supervisors.last, leg.name.clone().into());
        let ring_until = Some(now + patience);
        supervisors.present.push(Supervisor { number, leg, by, part, called: now, ring_until, early: None });
        let (mode, party, hears) = part.in_words();
        self.notice(context, What::SupervisorCalled { supervisor: number, target, mode, party, hears });
        Ok(number)
    }

    /// Where a supervisor is called, and its name in notices.
    fn phone_of(&self, context: &Context<'_>, whom: Whom) -> Result<(String, Target), Denied> {
        let settings = &context.terms.settings;
        match whom {
            Whom::Target(name) => match settings.targets.get(&name) {
                Some(target) => Ok((name, target.clone())),
                None => {
                    let known: Vec<&str> = settings.targets.keys().map(String::as_str).collect();
                    let reason = format!("no target named {name}; there are: {}", known.join(", "));
                    Err(Denied::new(DeniedKind::Wrong, reason))
                }
            },
            Whom::Uri(uri) => {
                // What a pattern sees must be what is called: no parameters, no second @, nothing to hide a host in.
                if !is_plain_sip(&uri) {
                    let reason =
                        "expected a URI like sip:2000@192.0.2.10 or sip:2000@pbx.example:5060, nothing after it";
                    return Err(Denied::new(DeniedKind::Wrong, reason));
                }
                if !settings.supervision.uris.iter().any(|pattern| pattern.matches(&uri)) {
                    let reason = "the configuration does not allow this address: [supervision] uris";
                    return Err(Denied::new(DeniedKind::Forbidden, reason));
                }
                Ok((uri.clone(), Target { uri, ..Target::default() }))
            }
        }
    }

    /// Changes how a supervisor takes part, now or once it answers.
    pub(super) fn change_supervisor(
        &mut self,
        context: &mut Context<'_>,
        number: u32,
        Change { mode, hears, by }: Change<'_>,
    ) -> Result<(), Denied> {
        let caller = self.caller.id;
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let supervisor = talking.supervisors.by_number(number).ok_or_else(unknown)?;
        let before = supervisor.part;
        let part = Part { mode: mode.unwrap_or(before.mode), hears: hears.unwrap_or(before.hears) };
        if before == part {
            return Ok(());
        }
        supervisor.by.check_voice(part.mode)?;
        if part.mode != before.mode {
            supervisor.by.check_owner(&supervisor.leg.name, part.mode, by)?;
        }
        supervisor.part = part;
        if supervisor.has_joined() {
            context.media(part.command(supervisor.leg.id, caller));
        }
        let (mode, party, hears) = part.in_words();
        self.notice(context, What::SupervisorChanged { supervisor: number, mode, party, hears });
        Ok(())
    }

    /// Hangs up on a supervisor, or gives up calling it.
    pub(super) fn end_supervisor(&mut self, context: &mut Context<'_>, number: u32) -> Result<(), Denied> {
        let Stage::Talking(talking) = &mut self.stage else { return Err(Denied::not_connected()) };
        let supervisor = talking.supervisors.take(|supervisor| supervisor.number == number).ok_or_else(unknown)?;
        self.dismiss_supervisor(context, supervisor, "ended by an operator");
        Ok(())
    }

    /// A provisional response of a supervisor's phone.
    pub(super) fn supervisor_rings(&mut self, leg: LegId, sdp: Option<Description>) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(supervisor) = talking.supervisors.by_leg(leg)
            && sdp.is_some()
        {
            supervisor.early = sdp;
        }
    }

    /// A supervisor's phone has answered: it takes part.
    pub(super) fn supervisor_answered(&mut self, context: &mut Context<'_>, leg: LegId, sdp: Option<&str>) {
        let caller = self.caller.id;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let Some(supervisor) = talking.supervisors.by_leg(leg) else { return };
        supervisor.leg.dialog = Dialog::Answered;
        let agreement = match supervisor.leg.accept(sdp.or(supervisor.early.as_deref())) {
            Ok(agreement) => agreement,
            Err(reason) => return self.lose_supervisor(context, leg, &reason),
        };
        supervisor.leg.agree_first(context, agreement, false);
        let joined = supervisor.join(context, caller);
        self.notice(context, joined);
    }

    /// A supervisor has hung up, or will not come.
    pub(super) fn supervisor_gone(&mut self, context: &mut Context<'_>, leg: LegId, code: u16, reason: &str) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let joined = talking.supervisors.by_leg(leg).is_some_and(|supervisor| supervisor.has_joined());
        let refused = format!("{code} {reason}");
        self.lose_supervisor(context, leg, if joined { reason } else { &refused });
    }

    /// A supervisor can take part no longer.
    pub(super) fn lose_supervisor(&mut self, context: &mut Context<'_>, leg: LegId, reason: &str) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        if let Some(supervisor) = talking.supervisors.take(|supervisor| supervisor.leg.id == leg) {
            self.dismiss_supervisor(context, supervisor, reason);
        }
    }

    /// Nobody takes part any more, for this reason.
    pub(super) fn dismiss_supervisors(&mut self, context: &mut Context<'_>, supervisors: Supervisors, reason: &str) {
        for supervisor in supervisors.present {
            self.dismiss_supervisor(context, supervisor, reason);
        }
    }

    fn dismiss_supervisor(&mut self, context: &mut Context<'_>, supervisor: Supervisor, reason: &str) {
        let (number, joined) = (supervisor.number, supervisor.has_joined());
        if matches!(supervisor.by, By::Browser { .. }) {
            context.out.push(Command::EndBrowser { leg: supervisor.leg.id, reason: reason.to_owned() });
        }
        self.dismiss(context, supervisor.leg, Farewell { code: 480, reason });
        let reason = reason.to_owned();
        let what = if joined {
            What::SupervisorLeft { supervisor: number, reason }
        } else {
            What::SupervisorFailed { supervisor: number, reason }
        };
        self.notice(context, what);
    }

    /// Gives up on supervisors that have rung long enough.
    pub(super) fn supervisors_tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let Stage::Talking(talking) = &mut self.stage else { return };
        let late = |supervisor: &Supervisor| supervisor.ring_until.is_some_and(|until| now >= until);
        let late: Vec<Supervisor> = talking.supervisors.present.extract_if(.., |supervisor| late(supervisor)).collect();
        for supervisor in late {
            self.dismiss_supervisor(context, supervisor, "no answer in time");
        }
    }

    /// The deadlines of supervisors that ring.
    pub(super) fn supervisors_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Talking(talking) = &self.stage {
            let ringing = talking.supervisors.present.iter().filter_map(|supervisor| supervisor.ring_until);
            out.extend(ringing.map(|until| (until, "supervisor's answer")));
        }
    }
}

pub(super) fn unknown() -> Denied {
    Denied::new(DeniedKind::Unknown, "no such supervisor in this call")
}

impl Part {
    /// The order to the media path, which sees the call from the caller's leg.
    fn command(self, supervisor: LegId, caller: LegId) -> media::Command {
        let mode = match self.mode {
            SupervisorMode::Listen => Supervision::Listen,
            SupervisorMode::Whisper(Party::Caller) => Supervision::Whisper,
            SupervisorMode::Whisper(Party::Callee) => Supervision::WhisperAcross,
            SupervisorMode::Barge => Supervision::Barge,
        };
        let hears = match self.hears {
            Hears::Both => Sides::Both,
            Hears::Only(Party::Caller) => Sides::Supervised,
            Hears::Only(Party::Callee) => Sides::Across,
        };
        media::Command::Supervise { supervisor, leg: caller, mode, hears }
    }

    /// The mode, the only hearer, and whom it hears, as notices have them.
    fn in_words(self) -> (String, Option<String>, String) {
        let party = self.mode.party().map(|party| party.as_str().to_owned());
        (self.mode.as_str().to_owned(), party, self.hears.as_str().to_owned())
    }
}
