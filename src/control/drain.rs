//! The way to the end: no new calls, time for those that run, and then whoever still talks is handed over.
//!
//! A call is handed over by letting its audio go past us, or by asking the caller's side to take our place as well. What
//! stays is cut when the server stops.

use std::collections::VecDeque;
use std::time::Duration;

use routing::CallKey;

use super::bypass::{BypassBy, Path};
use super::call::{Call, Stage};
use super::context::Context;
use super::leg::{Dialog, Farewell};
use super::{Command, Control, SipCommand};
use crate::notice::{HANDED_OVER, What};
use crate::settings::HandOver;

/// A drain that has begun.
#[derive(Debug)]
pub(super) struct Drain {
    /// When running calls have had their time.
    hand_over_at: Duration,
    is_over: bool,
}

/// What became of calls since the drain began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Departures {
    /// Calls that ended by themselves.
    pub finished: u64,
    /// Calls that go on without us.
    pub handed_over: u64,
    /// Calls that were hung up because the server stopped.
    pub cut: u64,
}

/// How a call has left us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Departure {
    #[default]
    Finished,
    HandedOver,
    Cut,
}

/// A call that is being handed over.
#[derive(Debug)]
pub(super) struct HandingOver {
    ways: VecDeque<HandOver>,
    until: Duration,
}

impl Departures {
    pub(super) fn note(&mut self, departure: Departure) {
        match departure {
            Departure::Finished => self.finished += 1,
            Departure::HandedOver => self.handed_over += 1,
            Departure::Cut => self.cut += 1,
        }
    }
}

impl Control {
    /// What has become of calls since the drain began.
    pub fn departures(&self) -> Departures {
        self.departures
    }

    /// Whether nothing is left to wait for: no call is up, or those that are have had their time and cannot go further.
    pub fn is_drained(&self) -> bool {
        let is_waiting = |call: &Call| matches!(&call.stage, Stage::Talking(talking) if talking.handing_over.is_some());
        let time_is_over = self.drain.as_ref().is_some_and(|drain| drain.is_over);
        self.calls_up == 0 || time_is_over && !self.calls.values().any(is_waiting)
    }

    /// How long calls that are up then are stayed for, so that their far ends can tell each other of the end.
    pub fn stay(&self) -> Duration {
        self.shared.terms.settings.limits.stay
    }

    /// New calls are refused from now on; those that run have their time.
    pub(super) fn begin_drain(&mut self, now: Duration) {
        let hand_over_at = now + self.shared.terms.settings.limits.drain;
        self.drain.get_or_insert(Drain { hand_over_at, is_over: false });
    }

    /// Hands the calls over whose time is up.
    pub(super) fn drain_tick(&mut self, now: Duration, out: &mut Vec<Command>) {
        let is_due = |drain: &&mut Drain| !drain.is_over && now >= drain.hand_over_at;
        let Some(drain) = self.drain.as_mut().filter(is_due) else { return };
        drain.is_over = true;
        for key in self.keys() {
            self.with_call(now, key, out, Call::begin_hand_over);
        }
    }

    /// When that is.
    pub(super) fn drain_deadline(&self) -> Option<(Duration, &'static str)> {
        let drain = self.drain.as_ref().filter(|drain| !drain.is_over)?;
        Some((drain.hand_over_at, "end of the drain"))
    }

    /// Lets go of every call: those whose audio goes past us live on, the others are hung up.
    pub(super) fn stop(&mut self, now: Duration, out: &mut Vec<Command>) {
        self.begin_drain(now);
        for key in self.keys() {
            self.with_call(now, key, out, Call::stop);
        }
    }

    fn keys(&self) -> Vec<CallKey> {
        self.calls.keys().copied().collect()
    }
}

impl Call {
    /// Begins to hand the call over: whoever only listens, or is played something, gives way.
    fn begin_hand_over(&mut self, context: &mut Context<'_>) {
        let (Stage::Talking(talking), None) = (&mut self.stage, &self.fork) else { return };
        // How a server stops is for whoever stops it to say, not for how the call began.
        let ways = context.shared.terms.settings.limits.hand_over.iter().copied().collect();
        talking.handing_over = Some(HandingOver { ways, until: context.now + HAND_OVER_WAIT });
        let was = talking.wants_copy();
        let (supervisors, audio) = (std::mem::take(&mut talking.supervisors), std::mem::take(&mut talking.audio));
        if std::mem::take(&mut talking.keeps_audio) {
            self.end_reel(context);
        }
        self.copy_as_wanted(context, was);
        self.dismiss_supervisors(context, supervisors, "the call is handed over");
        self.end_audio(context, audio);
        for leg in std::iter::once(&self.caller).chain(&self.far) {
            if self.is_played_to(leg.id) {
                context.media(media::Command::StopPlay { leg: leg.id });
            }
        }
    }

    /// Does the next step of handing the call over. Comes after everything that happened to it.
    pub(super) fn hand_over_next(&mut self, context: &mut Context<'_>) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let is_busy = talking.is_being_moved() || matches!(talking.path, Path::Leaving { .. } | Path::Returning { .. });
        let is_past = matches!(talking.path, Path::Past { .. });
        let Some(handing_over) = &mut talking.handing_over else { return };
        if is_past || context.now >= handing_over.until {
            talking.handing_over = None;
            return;
        }
        if is_busy {
            return;
        }
        match handing_over.ways.front() {
            None => talking.handing_over = None,
            Some(HandOver::Refer) => {
                handing_over.ways.pop_front();
                if !self.ask_to_take_our_place(context) {
                    self.hand_over_next(context);
                }
            }
            Some(HandOver::Bypass) => {
                if self.begin_bypass(context, BypassBy::Drain).is_ok() || !self.could_part() {
                    self.forget_way();
                }
                self.steer_audio(context);
            }
        }
    }

    /// When a hand-over has to be done.
    pub(super) fn hand_over_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Talking(talking) = &self.stage {
            out.extend(talking.handing_over.as_ref().map(|handing_over| (handing_over.until, "hand-over")));
        }
    }

    /// The caller's side is asked to talk to the far end itself, in our place (RFC 3891): then nothing of the call is ours;
    /// false when that cannot be.
    fn ask_to_take_our_place(&mut self, context: &mut Context<'_>) -> bool {
        let Some(far) = self.far.take_if(|far| far.is_answered() && self.caller.is_answered()) else {
            return false;
        };
        let (via, target) = (HANDED_OVER.to_owned(), far.name.clone());
        self.notice(context, What::RerouteStarted { via, target });
        self.refer_attended(context, far, context.now, HANDED_OVER);
        true
    }

    fn forget_way(&mut self) {
        if let Stage::Talking(talking) = &mut self.stage
            && let Some(handing_over) = &mut talking.handing_over
        {
            handing_over.ways.pop_front();
        }
    }

    /// The server stops: the two sides go on without us where they can.
    fn stop(&mut self, context: &mut Context<'_>) {
        match &self.stage {
            Stage::Talking(talking) if matches!(talking.path, Path::Past { .. }) => self.leave(context),
            Stage::Talking(_) | Stage::Seeking(_) => {
                self.departure = Departure::Cut;
                let farewell = Farewell { code: 503, reason: "the server stops" };
                // Whoever has no answer yet is told when to call again.
                let headers = vec![context.shared.retry_after(context.terms.settings.limits.retry_after)];
                self.caller.reject(context, farewell, headers);
                self.finish_with(context, farewell);
            }
            Stage::Finished(_) => {}
        }
    }

    /// Leaves the two sides to each other: we forget their dialogs, and say nothing.
    fn leave(&mut self, context: &mut Context<'_>) {
        for leg in std::iter::once(&mut self.caller).chain(self.far.as_mut()) {
            context.sip(SipCommand::Leave { leg: leg.id });
            leg.dialog = Dialog::Ending;
        }
        self.departure = Departure::HandedOver;
        self.finish(context, "handed over");
    }
}

/// How long handing a call over may take.
const HAND_OVER_WAIT: Duration = Duration::from_secs(10);
