//! Relief in an overload that lasts: the audio of running calls is led past us, some at a time, and taken back later.
//!
//! Comes after listening is spared and new calls are refused, and only for calls whose routes allow it. Those that can
//! best do without us go first: calm ones before excited ones, long ones before young ones, and never one whose caller
//! has been angry. Each is asked once in an overload; what an operator or a drain has led past us is left alone.

use std::time::Duration;

use routing::CallKey;

use super::bypass::{BypassBy, Path};
use super::call::{Call, Stage};
use super::{Command, Control, Load};
use crate::settings::OverloadSettings;

/// How far the relief has come.
#[derive(Debug)]
pub(super) struct Relief {
    load: Load,
    /// Since when the load is what it is.
    since: Duration,
    /// When the next call may be led past us, or taken back.
    next: Duration,
    /// The number of the overload that calls are asked in; one ends when all calls are back.
    overload: u64,
}

impl Default for Relief {
    fn default() -> Self {
        Relief { load: Load::Normal, since: Duration::ZERO, next: Duration::ZERO, overload: 1 }
    }
}

/// What is done for running calls at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    /// So many more calls are led past us.
    LeadPast(usize),
    /// So many are taken back.
    TakeBack(usize),
}

/// What an overload may do to one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relievable {
    is_allowed: bool,
    /// The number of the overload that it was asked in last; 0: never.
    asked_in: u64,
}

impl Relievable {
    /// As the route says.
    pub(super) fn by(is_allowed: bool) -> Relievable {
        Relievable { is_allowed, asked_in: 0 }
    }
}

impl Relief {
    /// What is to be done at `now`; `lasts` when the load gives no sign of falling.
    fn step(&mut self, now: Duration, load: Load, lasts: bool, settings: &OverloadSettings) -> Step {
        if load != self.load {
            (self.load, self.since, self.next) = (load, now, now);
        }
        let patience = match load {
            Load::Overloaded if lasts => settings.bypass_after,
            Load::Normal => settings.bypass_calm,
            Load::Overloaded | Load::Sparing => return Step::Nothing,
        };
        // What was not used of earlier seconds is gone.
        self.next = self.next.max(self.since + patience).max(now.saturating_sub(Duration::from_secs(1)));
        let mut count = 0;
        while self.next <= now {
            self.next += Duration::from_secs(1) / settings.bypass_per_s;
            count += 1;
        }
        match (count, load) {
            (0, _) => Step::Nothing,
            (_, Load::Overloaded) => Step::LeadPast(count),
            _ => Step::TakeBack(count),
        }
    }
}

impl Control {
    /// Leads running calls past us, or takes them back, as the load asks for. Comes after every measurement.
    pub(super) fn relieve(&mut self, now: Duration, out: &mut Vec<Command>) {
        if self.drain.is_some() {
            return;
        }
        let settings = &self.shared.terms.settings.limits.overload;
        match self.relief.step(now, self.overload.load(), self.overload.lasts(), settings) {
            Step::Nothing => {}
            Step::LeadPast(count) => {
                let overload = self.relief.overload;
                for key in self.most_dispensable(overload, count) {
                    self.with_call(now, key, out, |call, context| {
                        call.relievable.asked_in = overload;
                        // It was looked at this very moment: nothing keeps it.
                        let _ = call.begin_bypass(context, BypassBy::Overload);
                    });
                }
            }
            Step::TakeBack(count) => {
                let are_away = self.calls.iter().filter(|(_, call)| call.is_away_by_overload());
                let keys: Vec<CallKey> = are_away.take(count).map(|(key, _)| *key).collect();
                if keys.is_empty() {
                    self.relief.overload += 1;
                }
                for key in keys {
                    self.with_call(now, key, out, |call, context| call.bring_back(context, "the overload is over"));
                }
            }
        }
    }

    /// The calls that can best do without us, that one first.
    fn most_dispensable(&self, overload: u64, count: usize) -> Vec<CallKey> {
        let ranked = self.calls.iter().filter_map(|(key, call)| Some((call.dispensability(overload)?, *key)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_unstable();
        ranked.into_iter().take(count).map(|(_, key)| key).collect()
    }
}

impl Call {
    /// How badly the call needs us, the least first; `None` when it cannot, or may not, be led past us.
    fn dispensability(&self, overload: u64) -> Option<nlu::Level> {
        let Stage::Talking(talking) = &self.stage else { return None };
        let was_asked = self.relievable.asked_in == overload;
        let is_free = talking.path.is_through() && talking.handing_over.is_none() && self.needs_us().is_none();
        let level = self.tally.peak_level;
        (self.relievable.is_allowed && !was_asked && is_free && level < nlu::Level::High).then_some(level)
    }

    fn is_away_by_overload(&self) -> bool {
        let Stage::Talking(talking) = &self.stage else { return false };
        matches!(talking.path, Path::Leaving { by: BypassBy::Overload, .. } | Path::Past { by: BypassBy::Overload, .. })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// How often the load is measured here.
    const STEP: Duration = Duration::from_millis(500);

    #[test]
    fn nothing_is_done_before_its_time_and_so_much_a_second_after_it() {
        use Step::{LeadPast, Nothing, TakeBack};

        let settings = settings(3);
        let mut relief = Relief::default();
        let mut now = Duration::ZERO;
        let mut feed = |load, lasts, steps: usize| -> Vec<Step> {
            let mut step = || {
                now += STEP;
                relief.step(now, load, lasts, &settings)
            };
            (0..steps).map(|_| step()).collect()
        };
        // Two seconds of it, then three a second.
        assert_eq!(feed(Load::Overloaded, true, 4), [Nothing; 4]);
        assert_eq!(feed(Load::Overloaded, true, 4), [LeadPast(1), LeadPast(1), LeadPast(2), LeadPast(1)]);
        // It begins to fall, and rises again: what was not used meanwhile is not made up for.
        assert_eq!(feed(Load::Overloaded, false, 20), [Nothing; 20]);
        assert_eq!(feed(Load::Overloaded, true, 2), [LeadPast(4), LeadPast(1)]);
        assert_eq!(feed(Load::Sparing, false, 20), [Nothing; 20]);
        // Four seconds of peace, counted from the last trouble on.
        assert_eq!(feed(Load::Normal, false, 7), [Nothing; 7]);
        assert_eq!(feed(Load::Sparing, false, 1), [Nothing]);
        assert_eq!(feed(Load::Normal, false, 8), [Nothing; 8]);
        assert_eq!(feed(Load::Normal, false, 2), [TakeBack(1), TakeBack(1)]);
    }

    proptest! {
        /// Whatever the load does: never too early, never too many in a second, and peace takes back without end.
        #[test]
        fn it_keeps_to_its_measure(
            loads in prop::collection::vec((0_usize..3, any::<bool>(), 1_usize..30), 1..40), per_s in 1_u32..50,
        ) {
            let (mut relief, settings) = (Relief::default(), settings(per_s));
            let (mut now, mut since, mut was) = (Duration::ZERO, Duration::ZERO, Load::Normal);
            let mut done: VecDeque<(Duration, usize)> = VecDeque::new();
            for (load, lasts, times) in loads {
                let load = Load::ALL[load];
                for _ in 0..times {
                    now += STEP;
                    if load != was {
                        (was, since) = (load, now);
                    }
                    let count = match relief.step(now, load, lasts, &settings) {
                        Step::Nothing => 0,
                        Step::LeadPast(count) => {
                            prop_assert!(load == Load::Overloaded && lasts && now - since >= settings.bypass_after);
                            count
                        }
                        Step::TakeBack(count) => {
                            prop_assert!(load == Load::Normal && now - since >= settings.bypass_calm);
                            count
                        }
                    };
                    done.push_back((now, count));
                    done.retain(|(at, _)| *at + Duration::from_secs(2) > now);
                    let total: usize = done.iter().map(|(_, count)| count).sum();
                    prop_assert!(total <= 3 * per_s as usize + 1, "{total} in two seconds, {per_s} a second");
                }
            }
            let late = now + Duration::from_secs(60);
            relief.step(now + STEP, Load::Normal, false, &settings);
            prop_assert!(matches!(relief.step(late, Load::Normal, false, &settings), Step::TakeBack(_)));
        }
    }

    fn settings(bypass_per_s: u32) -> OverloadSettings {
        let (bypass_after, bypass_calm) = (Duration::from_secs(2), Duration::from_secs(4));
        OverloadSettings { bypass_after, bypass_per_s, bypass_calm, ..OverloadSettings::default() }
    }
}
