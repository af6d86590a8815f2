//! Overload control: how much of what the server does is still done, by the load that is measured.
//!
//! Under load, listening is spared first; new calls are refused next, before running ones are hurt; audio is never
//! touched, and led past us only where routes allow it (`relief`). A level is entered once a measure has reached its threshold for a second, and left once all have stayed
//! below four fifths of theirs for the calm time. New calls are then let in again little by little.

use std::time::Duration;

use super::context::Shared;
use super::leg::header;
use super::setup::Refusal;
use super::{Command, Control, Header};
use crate::notice::{LoadReason, Notice, What};
use crate::settings::{Measure, OverloadSettings, Thresholds};
use crate::thinning::Thinning;

/// How much the server has to do, by what it does about that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    /// Everything is done.
    #[default]
    Normal,
    /// Listening is spared.
    Sparing,
    /// New calls are refused, too.
    Overloaded,
}

impl Load {
    /// All of them, lightest first.
    pub const ALL: [Load; 3] = [Load::Normal, Load::Sparing, Load::Overloaded];

    /// As events and metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Load::Normal => "normal",
            Load::Sparing => "sparing",
            Load::Overloaded => "overloaded",
        }
    }
}

/// What was measured at one moment, each in its unit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured([f32; Measure::ALL.len()]);

impl Measured {
    /// The value of every measure.
    pub fn new(value: impl FnMut(Measure) -> f32) -> Measured {
        Measured(Measure::ALL.map(value))
    }

    /// The value of one measure.
    pub fn of(&self, measure: Measure) -> f32 {
        self.0[measure as usize]
    }
}

/// Another load than before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    pub(super) was: Load,
    pub(super) is: Load,
    /// The measure that is highest above its threshold, when the load has risen.
    pub(super) by: Option<(Measure, f32)>,
}

/// What is known of the load.
#[derive(Debug, Default)]
pub(super) struct Overload {
    sparing: Latch,
    refusing: Latch,
    /// When new calls were last refused altogether, when they no longer are.
    relieved: Option<Duration>,
    /// Those who call while some are refused.
    newcomers: Thinning,
}

impl Overload {
    /// Takes in what was measured at `now`; what changes by it.
    pub(super) fn take(&mut self, now: Duration, measured: &Measured, settings: &OverloadSettings) -> Option<Change> {
        let was = self.load();
        if settings.enabled {
            let (spare, refuse) = (|each: Thresholds| each.spare, |each: Thresholds| each.refuse);
            self.sparing.take(now, excess(measured, settings, spare), settings.calm);
            self.refusing.take(now, excess(measured, settings, refuse), settings.calm);
        } else {
            *self = Overload::default();
        }
        let is = self.load();
        if is == was {
            return None;
        }
        if settings.enabled && was == Load::Overloaded {
            self.relieved = Some(now);
        }
        let of = |each: Thresholds| if is == Load::Overloaded { each.refuse } else { each.spare };
        let by = highest(measured, settings, of).filter(|_| is > was);
        Some(Change { was, is, by: by.map(|(measure, _)| (measure, measured.of(measure))) })
    }

    /// The load at present.
    pub(super) fn load(&self) -> Load {
        match (self.refusing.is_on, self.sparing.is_on) {
            (true, _) => Load::Overloaded,
            (false, true) => Load::Sparing,
            (false, false) => Load::Normal,
        }
    }

    /// Whether there is an overload, and nothing tells yet that it will pass.
    pub(super) fn lasts(&self) -> bool {
        self.refusing.is_on && self.refusing.since.is_none()
    }

    /// Whether one more call may come at `now`: after an overload, more and more of them.
    pub(super) fn admits(&mut self, now: Duration, settings: &OverloadSettings) -> bool {
        let refused_percent = self.refused_percent(now, settings);
        self.newcomers.passes(refused_percent)
    }

    /// How many of a hundred new calls are refused at `now`.
    pub(super) fn refused_percent(&self, now: Duration, settings: &OverloadSettings) -> u32 {
        let passed = self.relieved.map(|relieved| now.saturating_sub(relieved));
        match (self.refusing.is_on, passed) {
            (true, _) => 100,
            (false, Some(passed)) if passed < settings.calm => {
                100 - (100.0 * passed.as_secs_f64() / settings.calm.as_secs_f64()) as u32
            }
            (false, _) => 0,
        }
    }
}

impl Control {
    /// The load at present.
    pub fn load(&self) -> Load {
        self.overload.load()
    }

    /// How many of a hundred new calls are refused at `now`, for the load or because the server drains.
    pub fn refused_percent(&self, now: Duration) -> u32 {
        match self.is_taking_calls() {
            true => self.overload.refused_percent(now, &self.shared.terms.settings.limits.overload),
            false => 100,
        }
    }

    /// Takes in what was measured of the load, and does what it asks for.
    pub(super) fn measured(&mut self, now: Duration, measured: &Measured, out: &mut Vec<Command>) {
        self.weigh(now, measured, out);
        self.relieve(now, out);
    }

    /// Everybody is told when the load is another one than before.
    fn weigh(&mut self, now: Duration, measured: &Measured, out: &mut Vec<Command>) {
        let Some(Change { was, is, by }) =
            self.overload.take(now, measured, &self.shared.terms.settings.limits.overload)
        else {
            return;
        };
        let by = by.map(|(measure, value)| LoadReason { measure: measure.key().to_owned(), value });
        let what = What::LoadChanged { load: is.as_str().to_owned(), was: was.as_str().to_owned(), by };
        out.push(Command::Notice(Notice { call: String::new(), call_ms: 0, what }));
    }

    /// Whether one more call would not harm those that run. Those who are refused come back at different times.
    pub(super) fn spare_load_for_one_more(&mut self, now: Duration) -> Result<(), Refusal> {
        let limits = &self.shared.terms.settings.limits;
        if self.overload.admits(now, &limits.overload) {
            return Ok(());
        }
        let least = limits.retry_after;
        let headers = vec![self.shared.retry_after(least)];
        Err(Refusal { headers, ..Refusal::new(503, "Overloaded") })
    }
}

impl Shared {
    /// Between one and two times `least`, by chance: those who are refused together do not come back together.
    pub(super) fn retry_after(&mut self, least: Duration) -> Header {
        let least_s = least.as_millis().div_ceil(1_000).max(1);
        let least_s = u64::try_from(least_s).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        let seconds = self.random_in(least_s..2 * least_s + 1);
        header("Retry-After", seconds.to_string())
    }
}

/// One thing that is done above a threshold, with the patience that keeps it from flickering.
#[derive(Debug, Default)]
struct Latch {
    is_on: bool,
    /// Since when it should be the other way.
    since: Option<Duration>,
}

impl Latch {
    /// `excess`: the load as a share of the threshold.
    fn take(&mut self, now: Duration, excess: f32, calm: Duration) {
        let (should_change, patience) = match self.is_on {
            true => (excess < HELD_FROM, calm),
            false => (excess >= 1.0, ENTER_AFTER),
        };
        if !should_change {
            self.since = None;
        } else if now.saturating_sub(*self.since.get_or_insert(now)) >= patience {
            *self = Latch { is_on: !self.is_on, since: None };
        }
    }
}

fn excess(measured: &Measured, settings: &OverloadSettings, of: impl Fn(Thresholds) -> Option<u16>) -> f32 {
    highest(measured, settings, of).map_or(0.0, |(_, excess)| excess)
}

/// The measure that is highest as a share of its threshold, and that share.
fn highest(
    measured: &Measured,
    settings: &OverloadSettings,
    of: impl Fn(Thresholds) -> Option<u16>,
) -> Option<(Measure, f32)> {
    let shares = Measure::ALL.into_iter().filter_map(|measure| {
        let threshold = of(settings.of(measure))?;
        Some((measure, measured.of(measure) / f32::from(threshold)))
    });
    shares.max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// How long a threshold has to be reached.
const ENTER_AFTER: Duration = Duration::from_secs(1);
/// The share of the threshold below which a level is left.
const HELD_FROM: f32 = 0.8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How often the load is measured here.
    const STEP: Duration = Duration::from_millis(500);

    #[test]
    fn a_level_is_entered_after_a_second_and_left_after_the_calm_time() {
        check(
            Measure::Cpu,
            &[
                (10.0, 10, "normal"),
                // Too short to count.
                (99.0, 2, "normal"),
                (10.0, 1, "normal"),
                (85.0, 2, "normal"),
                (85.0, 1, "sparing"),
                (96.0, 2, "sparing"),
                (96.0, 1, "overloaded"),
                // Four fifths of 95 hold it.
                (77.0, 60, "overloaded"),
                (75.0, 10, "overloaded"),
                (75.0, 1, "sparing"),
                // Four fifths of 80 hold that.
                (65.0, 60, "sparing"),
                (63.0, 9, "sparing"),
                (64.0, 1, "sparing"),
                (63.0, 10, "sparing"),
                (63.0, 1, "normal"),
            ],
        );
    }

    #[test]
    fn every_measure_counts() {
        for (measure, little, much) in [
            (Measure::Lateness, 3.0, 20.0),
            (Measure::Cpu, 60.0, 100.0),
            (Measure::Backlog, 10.0, 75.0),
            (Measure::Queue, 10.0, 75.0),
            (Measure::Unsent, 0.5, 5.0),
        ] {
            check(measure, &[(little, 10, "normal"), (much, 2, "normal"), (much, 1, "overloaded")]);
        }
    }

    #[test]
    fn the_change_tells_what_it_came_by() {
        let (mut overload, settings) = (Overload::default(), OverloadSettings::default());
        let measured = Measured::new(|measure| match measure {
            Measure::Lateness => 7.0,
            Measure::Backlog => 90.0,
            _ => 0.0,
        });
        assert_eq!(overload.take(STEP, &measured, &settings), None);
        let change = overload.take(3 * STEP, &measured, &settings).expect("it has lasted");
        let expected = Change { was: Load::Normal, is: Load::Overloaded, by: Some((Measure::Backlog, 90.0)) };
        assert_eq!(change, expected);
        assert_eq!(overload.take(4 * STEP, &Measured::default(), &settings), None);
        let relieved = overload.take(14 * STEP, &Measured::default(), &settings).expect("it is over");
        assert_eq!(relieved, Change { was: Load::Overloaded, is: Load::Normal, by: None });
    }

    #[test]
    fn new_calls_come_back_little_by_little() {
        let (mut overload, settings) = (Overload::default(), OverloadSettings::default());
        let mut now = Duration::ZERO;
        feed(&mut overload, &settings, &mut now, Measure::Cpu, 100.0, 10);
        assert_eq!(admitted(&mut overload, now, &settings), 0);
        feed(&mut overload, &settings, &mut now, Measure::Cpu, 5.0, 11);
        assert_eq!(overload.load(), Load::Normal);
        let of_a_hundred: Vec<usize> =
            (0..=5).map(|second| admitted(&mut overload, now + Duration::from_secs(second), &settings)).collect();
        assert_eq!(of_a_hundred, [0, 20, 40, 60, 80, 100]);
        assert_eq!(admitted(&mut overload, now + Duration::from_secs(3_600), &settings), 100);
    }

    #[test]
    fn what_is_switched_off_does_nothing() {
        let (mut overload, mut settings) = (Overload::default(), OverloadSettings::default());
        let mut now = Duration::ZERO;
        feed(&mut overload, &settings, &mut now, Measure::Cpu, 100.0, 10);
        settings.enabled = false;
        feed(&mut overload, &settings, &mut now, Measure::Cpu, 100.0, 1);
        assert_eq!((overload.load(), admitted(&mut overload, now, &settings)), (Load::Normal, 100));

        settings = OverloadSettings { thresholds: Default::default(), ..OverloadSettings::default() };
        feed(&mut overload, &settings, &mut now, Measure::Cpu, 100.0, 10);
        assert_eq!(overload.load(), Load::Normal);
    }

    proptest! {
        /// Whatever is measured: levels last, everything is refused in overload and only there, and calm ends it all.
        #[test]
        fn levels_do_not_flicker(values in prop::collection::vec((0_usize..5, 0_f32..120.0), 1..300)) {
            let (mut overload, settings) = (Overload::default(), OverloadSettings::default());
            let (mut now, mut risen) = (Duration::ZERO, Duration::ZERO);
            for (number, value) in values {
                now += STEP;
                let measured = Measured::new(|measure| if measure as usize == number { value } else { 0.0 });
                if let Some(Change { was, is, .. }) = overload.take(now, &measured, &settings) {
                    prop_assert_ne!(was, is);
                    prop_assert!(is > was || now - risen >= settings.calm, "{:?} for {:?} only", was, now - risen);
                    risen = if is > was { now } else { risen };
                }
                let refuses_all = overload.refused_percent(now, &settings) == 100;
                prop_assert!(refuses_all || overload.load() < Load::Overloaded);
                prop_assert!(!refuses_all || overload.relieved == Some(now) || overload.load() == Load::Overloaded);
            }
            feed(&mut overload, &settings, &mut now, Measure::Cpu, 0.0, 24);
            prop_assert_eq!((overload.load(), overload.refused_percent(now, &settings)), (Load::Normal, 0));
        }
    }

    /// Feeds one measure: each value so many times, then the load it has come to.
    #[track_caller]
    fn check(measure: Measure, steps: &[(f32, usize, &str)]) {
        let (mut overload, settings) = (Overload::default(), OverloadSettings::default());
        let mut now = Duration::ZERO;
        for &(value, times, expected) in steps {
            feed(&mut overload, &settings, &mut now, measure, value, times);
            assert_eq!(overload.load().as_str(), expected, "{measure:?} {value} at {now:?}");
        }
    }

    fn feed(
        overload: &mut Overload,
        settings: &OverloadSettings,
        now: &mut Duration,
        measure: Measure,
        value: f32,
        times: usize,
    ) {
        for _ in 0..times {
            *now += STEP;
            overload.take(*now, &Measured::new(|each| if each == measure { value } else { 0.0 }), settings);
        }
    }

    fn admitted(overload: &mut Overload, now: Duration, settings: &OverloadSettings) -> usize {
        (0..100).filter(|_| overload.admits(now, settings)).count()
    }
}
