//! The timers of a connected call: session timers, the check of both dialogs, silence, the longest call.
//!
//! Together they hold that no leg can leak: whatever is lost on the network, one of them ends the call.

use std::time::Duration;

use media::LegId;

use super::call::{Call, Role, Stage};
use super::context::Context;
use super::doubt::Doubt;
use super::fork::Fork;
use super::input::{Presence, SessionTerms};
use super::leg::{Leg, Stream};
use super::{ControlSettings, SipCommand};

/// What is watched while a call is connected.
#[derive(Debug)]
pub(super) struct Watch {
    /// When both dialogs are next asked whether they still exist.
    next_check: Duration,
    /// When the call has lasted long enough.
    limit: Duration,
    /// Until when the caller's ACK may take; after that the dialog is asked.
    confirm_by: Option<Duration>,
    /// Silence counts from here at the earliest: the answer, or the last change of the streams.
    quiet_floor: Duration,
    /// The beginning of the silence that both sides have been asked about.
    quiet_asked: Option<Duration>,
}

impl Watch {
    pub(super) fn new(now: Duration, settings: &ControlSettings) -> Watch {
        Watch {
            next_check: now + settings.limits.session_check.max(CHECK_MIN),
            limit: now + settings.limits.call,
            confirm_by: Some(now + CONFIRM_WAIT),
            quiet_floor: now,
            quiet_asked: None,
        }
    }

    /// Whether the caller's INVITE is over.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirm_by.is_none()
    }

    /// The caller's INVITE is over, or no longer matters.
    pub(super) fn confirm(&mut self) {
        self.confirm_by = None;
    }

    /// A leg was swapped or agreed anew: silence counts from here.
    pub(super) fn streams_changed(&mut self, now: Duration) {
        self.quiet_floor = now;
        self.quiet_asked = None;
    }
}

impl Call {
    /// The ACK has come, with the answer when the caller had made no offer.
    pub(super) fn confirmed(&mut self, context: &mut Context<'_>, sdp: Option<&str>) {
        if let Stage::Talking(talking) = &mut self.stage
            && talking.watch.confirm_by.take().is_some()
            && self.caller.settings.is_none()
        {
            self.caller_chose(context, sdp);
        }
    }

    /// A re-INVITE or UPDATE was accepted.
    pub(super) fn streams_changed(&mut self, now: Duration) {
        if let Stage::Talking(talking) = &mut self.stage {
            talking.watch.streams_changed(now);
        }
    }

    /// What the far end says to our UPDATE.
    pub(super) fn updated(&mut self, context: &mut Context<'_>, id: LegId, code: u16, session: &SessionTerms) {
        let now = context.now;
        if let Some(leg) = self.leg_mut(id) {
            leg.refresh_answered(now, code, session, REFRESH_AGAIN);
        }
        self.judge_code(context, id, code);
    }

    /// What a final response inside a dialog says of the dialog itself (RFC 5057 §5.1).
    pub(super) fn judge_code(&mut self, context: &mut Context<'_>, id: LegId, code: u16) {
        let is_up = self.leg_mut(id).is_some_and(|leg| leg.is_answered());
        match code {
            481 => self.lose_party(context, id, FORGOTTEN),
            // Lost or not, the dialog has to be asked.
            408 if is_up => context.sip(SipCommand::Probe { leg: id }),
            _ => {}
        }
    }

    /// A leg sends again.
    pub(super) fn heard_again(&mut self, leg: LegId) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.silent_since = None;
            leg.doubt = Doubt::None;
        }
    }

    /// What came of asking a far end whether it still knows the call.
    pub(super) fn probed(&mut self, context: &mut Context<'_>, role: Role, id: LegId, found: Presence) {
        let now = context.now;
        let is_gone = self.leg_mut(id).is_some_and(|leg| {
            let is_heard = leg.is_heard();
            leg.doubt.judge(now, found, is_heard)
        });
        if !is_gone {
            return;
        }
        match role {
            Role::Caller | Role::Far if found == Presence::Gone => self.lose_party(context, id, FORGOTTEN),
            Role::Caller | Role::Far => self.lose_party(context, id, "a far end no longer answers"),
            Role::Supervisor => self.lose_supervisor(context, id, "the far end no longer knows the call"),
            Role::Next | Role::Leaving => {}
        }
    }

    /// A far end is not there any more, for all that is known.
    fn lose_party(&mut self, context: &mut Context<'_>, leg: LegId, why: &str) {
        if self.leg_mut(leg).is_some_and(|leg| leg.is_answered()) {
            self.finish(context, why);
        }
    }

    /// Does what the timers of a connected call ask for.
    pub(super) fn watch_tick(&mut self, context: &mut Context<'_>) {
        let (now, quiet) = (context.now, self.quiet());
        let Stage::Talking(talking) = &mut self.stage else { return };
        let watch = &mut talking.watch;

        if now >= watch.limit {
            return self.finish(context, "the longest call is over");
        }
        if let Some((_, why)) = self.fork.as_ref().and_then(Fork::expires_at).filter(|(at, _)| now >= *at) {
            return self.finish(context, why);
        }
        if let Some(fork) = &mut self.fork {
            fork.ask_again(context);
        }
        let mut ask = self.timers_tick(context);
        let Stage::Talking(talking) = &mut self.stage else { return };
        let watch = &mut talking.watch;
        if watch.confirm_by.is_some_and(|until| now >= until) {
            watch.confirm_by = None;
            ask = true;
        }
        if now >= watch.next_check {
            watch.next_check = now + context.terms.settings.limits.session_check.max(CHECK_MIN);
            ask = true;
        }
        let silence_limit = self.fork.as_ref().map_or(context.terms.settings.silence_limit, |fork| {
            fork.silence_limit(context.terms.settings.silence, context.terms.settings.silence_limit)
        });
        if quiet.both.is_some_and(|since| now >= since + silence_limit) {
            return self.finish(context, "nobody sent any audio");
        }
        let unasked = quiet.latest.filter(|&since| watch.quiet_asked != Some(since));
        if unasked.is_some_and(|since| now >= since + context.terms.settings.silence) {
            watch.quiet_asked = unasked;
            ask = true;
        }
        if ask {
            self.ask_all(context);
        }
    }

    /// Refreshes the sessions that are ours to refresh and ends a call that nobody has refreshed; true when both sides
    /// have to be asked whether they are there.
    fn timers_tick(&mut self, context: &mut Context<'_>) -> bool {
        let Stage::Talking(talking) = &mut self.stage else { return false };
        let (mut ask, mut expired) = (false, Vec::new());
        let parties = [Some(&mut self.caller), self.far.as_mut()].into_iter().flatten();
        for leg in parties.chain(talking.supervisors.legs_mut()) {
            if leg.doubt.is_due(context.now) && leg.is_answered() {
                context.sip(SipCommand::Probe { leg: leg.id });
            }
            match leg.timer.filter(|timer| context.now >= timer.ends_at()) {
                // The far end refuses our refreshes and keeps the call: that it is there is asked in another way.
                Some(timer) if timer.is_ours() => {
                    leg.timer = None;
                    ask = true;
                }
                Some(_) => expired.push(leg.id),
                None => leg.refresh_when_due(context),
            }
        }
        for leg in expired {
            match self.role(leg) {
                Some(Role::Supervisor) => self.lose_supervisor(context, leg, EXPIRED),
                _ => self.finish(context, EXPIRED),
            }
        }
        ask
    }

    /// The deadlines of a connected call.
    pub(super) fn watch_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        let Stage::Talking(talking) = &self.stage else { return };
        let settings = &self.terms.settings;
        let watch = &talking.watch;
        out.push((watch.limit, "call limit"));
        out.push((watch.next_check, "session check"));
        let parties = std::iter::once(&self.caller).chain(&self.far);
        for leg in parties.chain(talking.supervisors.legs()) {
            if let Some(timer) = leg.timer {
                out.push((timer.ends_at(), "session expiry"));
                out.extend(timer.refresh_at().map(|at| (at, "session refresh")));
            }
            out.extend(leg.doubt.ask_at().map(|at| (at, "second question")));
        }
        out.extend(self.fork.as_ref().and_then(Fork::ask_at).map(|at| (at, "second question")));
        out.extend(self.fork.as_ref().and_then(Fork::expires_at).map(|(at, _)| (at, "session expiry")));
        out.extend(watch.confirm_by.map(|until| (until, "caller's ACK")));
        let quiet = self.quiet();
        let silence_limit = self
            .fork
            .as_ref()
            .map_or(settings.silence_limit, |fork| fork.silence_limit(settings.silence, settings.silence_limit));
        out.extend(quiet.both.map(|since| (since + silence_limit, "silence limit")));
        let unasked = quiet.latest.filter(|&since| watch.quiet_asked != Some(since));
        out.extend(unasked.map(|since| (since + settings.silence, "silence check")));
    }

    fn ask_all(&self, context: &mut Context<'_>) {
        if let Some(fork) = &self.fork {
            return fork.probe(context);
        }
        let supervisors = match &self.stage {
            Stage::Talking(talking) => Some(talking.supervisors.legs()),
            Stage::Seeking(_) | Stage::Finished(_) => None,
        };
        for leg in std::iter::once(&self.caller).chain(self.far.as_ref()).chain(supervisors.into_iter().flatten()) {
            if leg.is_answered() {
                context.sip(SipCommand::Probe { leg: leg.id });
            }
        }
    }

    /// Since when nothing was sent; nothing while a side is on hold, or is not there, or sends past us.
    fn quiet(&self) -> Quiet {
        let Stage::Talking(talking) = &self.stage else { return Quiet::default() };
        if self.fork.is_some() {
            return self.quiet_streams(talking.watch.quiet_floor);
        }
        let Some(far) = &self.far else { return Quiet::default() };
        if !talking.path.is_through() || !self.caller.expects_audio() || !far.expects_audio() {
            return Quiet::default();
        }
        let (caller, far) = (self.caller.silent_since, far.silent_since);
        let from_floor = |since: Duration| since.max(talking.watch.quiet_floor);
        Quiet {
            latest: caller.into_iter().chain(far).max().map(from_floor),
            both: caller.zip(far).map(|(caller, far)| from_floor(caller.max(far))),
        }
    }

    /// The same of a forked call, as far as its streams are switched on.
    fn quiet_streams(&self, floor: Duration) -> Quiet {
        let on = std::iter::once(&self.caller).chain(&self.far).filter(|leg| leg.expects_audio());
        let silent: Vec<Option<Duration>> = on.map(|leg| leg.silent_since).collect();
        let latest = silent.iter().flatten().max().map(|since| (*since).max(floor));
        Quiet { latest, both: latest.filter(|_| silent.iter().all(Option::is_some)) }
    }
}

impl Leg {
    /// Whether its audio comes, as far as the media path can tell: then the far end is there, whatever else it does.
    pub(super) fn is_heard(&self) -> bool {
        self.stream == Stream::Open && self.expects_audio() && self.led.is_none() && self.silent_since.is_none()
    }

    /// Refreshes the session when that is due: by UPDATE where the far end takes it, else by offering it again what is
    /// in use (RFC 4028 §7.4).
    fn refresh_when_due(&mut self, context: &mut Context<'_>) {
        let (is_up, may_offer) = (self.is_answered(), self.may_offer());
        let Some(timer) = &mut self.timer else { return };
        if timer.refresh_at().is_none_or(|at| context.now < at) {
            return;
        }
        if !is_up || !(self.takes_update || may_offer) {
            return timer.ask_again(context.now + REFRESH_AGAIN);
        }
        timer.asked();
        if self.takes_update {
            let headers = timer.request_headers();
            context.sip(SipCommand::Update { leg: self.id, headers });
        } else {
            self.offer_to_refresh(context);
        }
    }

    /// What the far end says to a refresh of ours: agreed, tried again in `wait`, or never again.
    pub(super) fn refresh_answered(&mut self, now: Duration, code: u16, session: &SessionTerms, wait: Duration) {
        let Some(timer) = &mut self.timer else { return };
        match code {
            200..=299 => self.timer = timer.refreshed(now, session),
            422 if timer.ask_for_longer(now + wait, session.least_s) => {}
            408 | 491 | 500..=599 => timer.ask_again(now + wait),
            _ => self.timer = None,
        }
    }
}

/// Since when audio is missing. Both sides are asked whenever one falls silent, and a call is ended by silence only
/// when both are: one silent side may be a caller who listens.
#[derive(Debug, Clone, Copy, Default)]
struct Quiet {
    /// The side that fell silent last has sent nothing since then.
    latest: Option<Duration>,
    /// Neither side has.
    both: Option<Duration>,
}

/// Why a call ends of which a far end says that it does not know it.
const FORGOTTEN: &str = "a far end no longer knows the call";
/// Why a leg ends whose far end should have refreshed the session.
pub(super) const EXPIRED: &str = "session expired without a refresh";
/// How long a refresh waits that could not be made.
const REFRESH_AGAIN: Duration = Duration::from_secs(10);
/// How long the ACK may take: as long as the 2xx is sent again (RFC 3261 §13.3.1.4, 64·T1).
const CONFIRM_WAIT: Duration = Duration::from_secs(32);
/// The shortest time between two checks of the same call.
const CHECK_MIN: Duration = Duration::from_secs(1);
