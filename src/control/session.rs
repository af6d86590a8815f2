//! The timers of a connected call: session expiry, the check of both dialogs, silence, the longest call.
//!
//! Together they hold that no leg can leak: whatever is lost on the network, one of them ends the call.

use std::time::Duration;

use media::LegId;

use super::call::{Call, Stage};
use super::context::Context;
use super::leg::header;
use super::{ControlSettings, Header, SipCommand};

/// What is watched while a call is connected.
#[derive(Debug)]
pub(super) struct Watch {
    expiry: Option<Expiry>,
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

/// A session timer (RFC 4028) that the caller refreshes.
#[derive(Debug, Clone, Copy)]
struct Expiry {
    interval_s: u32,
    until: Duration,
}

impl Expiry {
    fn new(now: Duration, interval_s: u32) -> Expiry {
        // The side that does not refresh gives up this much early (RFC 4028 §10).
        let early_s = (interval_s / 3).min(32);
        Expiry { interval_s, until: now + Duration::from_secs(u64::from(interval_s - early_s)) }
    }
}

impl Watch {
    pub(super) fn new(now: Duration, settings: &ControlSettings, session_expires_s: Option<u32>) -> Watch {
        Watch {
            expiry: session_expires_s.map(|interval_s| Expiry::new(now, interval_s)),
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

    /// What a re-INVITE to the caller says about the session timer: the caller goes on refreshing it (RFC 4028 §7.4).
    pub(super) fn refresh_headers(&self) -> Vec<Header> {
        let expires = |expiry: Expiry| header("Session-Expires", format!("{};refresher=uas", expiry.interval_s));
        self.expiry.map(expires).into_iter().collect()
    }

    /// A leg was swapped or agreed anew: silence counts from here.
    pub(super) fn streams_changed(&mut self, now: Duration) {
        self.quiet_floor = now;
        self.quiet_asked = None;
    }
}

impl Call {
    /// The ACK has come.
    pub(super) fn confirmed(&mut self) {
        if let Stage::Talking(talking) = &mut self.stage {
            talking.watch.confirm_by = None;
        }
    }

    /// What a 2xx to the caller says about the session timer.
    pub(super) fn expiry_headers(&self) -> Vec<Header> {
        let Stage::Talking(talking) = &self.stage else { return Vec::new() };
        let Some(expiry) = talking.watch.expiry else { return Vec::new() };
        vec![header("Session-Expires", format!("{};refresher=uac", expiry.interval_s)), header("Require", "timer")]
    }

    /// A re-INVITE or UPDATE was accepted; the caller's refreshes the session.
    pub(super) fn refreshed(&mut self, now: Duration, by_caller: bool) {
        if let Stage::Talking(talking) = &mut self.stage {
            talking.watch.streams_changed(now);
            if by_caller && let Some(expiry) = &mut talking.watch.expiry {
                *expiry = Expiry::new(now, expiry.interval_s);
            }
        }
    }

    /// The caller's 2xx to our re-INVITE: the timer goes on as it says, and without a word of it there is none any more
    /// (RFC 4028 §7.2).
    pub(super) fn session_agreed(&mut self, now: Duration, session_expires_s: Option<u32>) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(expiry) = talking.watch.expiry.take()
        {
            let agreed = session_expires_s.map(|interval_s| interval_s.clamp(SESSION_EXPIRES_S_MIN, expiry.interval_s));
            talking.watch.expiry = agreed.map(|interval_s| Expiry::new(now, interval_s));
        }
    }

    /// A leg sends again.
    pub(super) fn heard_again(&mut self, leg: LegId) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.silent_since = None;
        }
    }

    /// A far end does not know the dialog any more.
    pub(super) fn probe_failed(&mut self, context: &mut Context<'_>, leg: LegId) {
        if self.leg_mut(leg).is_some_and(|leg| leg.is_answered()) {
            self.finish(context, "a far end no longer knows the call");
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
        if watch.expiry.is_some_and(|expiry| now >= expiry.until) {
            return self.finish(context, "session expired without a refresh");
        }
        let mut ask = false;
        if watch.confirm_by.is_some_and(|until| now >= until) {
            watch.confirm_by = None;
            ask = true;
        }
        if now >= watch.next_check {
            watch.next_check = now + context.shared.settings.limits.session_check.max(CHECK_MIN);
            ask = true;
        }
        if quiet.both.is_some_and(|since| now >= since + context.shared.settings.silence_limit) {
            return self.finish(context, "nobody sent any audio");
        }
        let unasked = quiet.latest.filter(|&since| watch.quiet_asked != Some(since));
        if unasked.is_some_and(|since| now >= since + context.shared.settings.silence) {
            watch.quiet_asked = unasked;
            ask = true;
        }
        if ask {
            self.ask_both(context);
        }
    }

    /// The deadlines of a connected call.
    pub(super) fn watch_deadlines(&self, settings: &ControlSettings, out: &mut Vec<(Duration, &'static str)>) {
        let Stage::Talking(talking) = &self.stage else { return };
        let watch = &talking.watch;
        out.push((watch.limit, "call limit"));
        out.push((watch.next_check, "session check"));
        out.extend(watch.expiry.map(|expiry| (expiry.until, "session expiry")));
        out.extend(watch.confirm_by.map(|until| (until, "caller's ACK")));
        let quiet = self.quiet();
        out.extend(quiet.both.map(|since| (since + settings.silence_limit, "silence limit")));
        let unasked = quiet.latest.filter(|&since| watch.quiet_asked != Some(since));
        out.extend(unasked.map(|since| (since + settings.silence, "silence check")));
    }

    fn ask_both(&self, context: &mut Context<'_>) {
        for leg in std::iter::once(&self.caller).chain(self.far.as_ref()) {
            if leg.is_answered() {
                context.sip(SipCommand::Probe { leg: leg.id });
            }
        }
    }

    /// Since when nothing was sent; nothing while a side is on hold, or is not there.
    fn quiet(&self) -> Quiet {
        let (Stage::Talking(talking), Some(far)) = (&self.stage, &self.far) else { return Quiet::default() };
        if !self.caller.expects_audio() || !far.expects_audio() {
            return Quiet::default();
        }
        let (caller, far) = (self.caller.silent_since, far.silent_since);
        let from_floor = |since: Duration| since.max(talking.watch.quiet_floor);
        Quiet {
            latest: caller.into_iter().chain(far).max().map(from_floor),
            both: caller.zip(far).map(|(caller, far)| from_floor(caller.max(far))),
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

/// The smallest session interval we agree to, seconds (RFC 4028 §5).
pub(super) const SESSION_EXPIRES_S_MIN: u32 = 90;
/// How long the ACK may take: as long as the 2xx is sent again (RFC 3261 §13.3.1.4, 64·T1).
const CONFIRM_WAIT: Duration = Duration::from_secs(32);
/// The shortest time between two checks of the same call.
const CHECK_MIN: Duration = Duration::from_secs(1);
