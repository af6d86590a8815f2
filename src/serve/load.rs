//! Makes measures of the load out of counters that only grow: differences over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::control::Measured;
use crate::settings::Measure;
use crate::shell::media::{MediaFigures, TICK_LATE_US};

/// How far back measures look.
const WINDOW: Duration = Duration::from_secs(2);
/// With fewer ticks than this in the window nothing is said of how late they are.
const TICKS_MIN: u64 = 20;
/// The share of ticks that are later than the measure tells.
const LATE_SHARE: f64 = 0.05;

/// Remembers what was read in the last seconds.
#[derive(Debug)]
pub(super) struct LoadMeter {
    processors: f64,
    readings: VecDeque<Reading>,
}

/// What was read at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: Duration,
    /// Processor time of the program so far.
    pub(super) cpu: Duration,
    pub(super) media: MediaFigures,
    /// How full the tap is, 0-1.
    pub(super) backlog: f64,
    /// How full the fullest queue of call control is, 0-1.
    pub(super) queue: f64,
}

impl LoadMeter {
    /// A meter for a program that may use so many processors.
    pub(super) fn new(processors: usize) -> Self {
        Self { processors: processors.max(1) as f64, readings: VecDeque::new() }
    }

    /// Takes a reading; what it tells together with those of the last seconds.
    pub(super) fn take(&mut self, reading: Reading) -> Measured {
        while self.readings.len() > 1 && self.readings.get(1).is_some_and(|old| old.at + WINDOW <= reading.at) {
            self.readings.pop_front();
        }
        self.readings.push_back(reading);
        let oldest = self.readings.front().copied().unwrap_or(reading);
        Measured::new(|measure| {
            let value = match measure {
                Measure::Lateness => lateness_ms(&oldest.media, &reading.media),
                Measure::Cpu => {
                    let available = self.processors * (reading.at - oldest.at).as_secs_f64();
                    percent((reading.cpu.saturating_sub(oldest.cpu)).as_secs_f64(), available)
                }
                Measure::Backlog => 100.0 * reading.backlog,
                Measure::Queue => 100.0 * reading.queue,
                Measure::Unsent => {
                    let sent = |figures: &MediaFigures| figures.packets_relayed + figures.packets_made;
                    let failed = (reading.media.sends_failed - oldest.media.sends_failed) as f64;
                    percent(failed, failed + (sent(&reading.media) - sent(&oldest.media)) as f64)
                }
            };
            value as f32
        })
    }
}

/// Processor time that the program has taken so far.
pub(super) fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// The lateness that 5 % of the ticks between two readings had at least; 0 when there were few.
fn lateness_ms(then: &MediaFigures, now: &MediaFigures) -> f64 {
    let counts = now.ticks_late.iter().zip(&then.ticks_late).map(|(now, then)| now - then);
    let counts: Vec<u64> = counts.collect();
    let ticks: u64 = counts.iter().sum();
    if ticks < TICKS_MIN {
        return 0.0;
    }
    let mut later = (LATE_SHARE * ticks as f64) as u64;
    for (count, late_us) in counts.into_iter().zip(TICK_LATE_US).rev() {
        if count >= later.max(1) {
            return late_us as f64 / 1_000.0;
        }
        later -= count;
    }
    0.0
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_shared_by_all_threads() {
        let mut meter = LoadMeter::new(4);
        let cpu_ms = [0, 1_000, 2_000, 3_000, 4_000, 8_000, 12_000];
        let seen: Vec<f32> =
            (0..).zip(cpu_ms).map(|(step, cpu_ms)| meter.take(at(step, cpu_ms)).of(Measure::Cpu)).collect();
        // Half a second a step: two of four processors, then, in the whole window, all of them.
        assert_eq!(seen, [0.0, 50.0, 50.0, 50.0, 50.0, 87.5, 125.0]);
    }

    #[test]
    fn lateness_is_that_of_the_latest_twentieth() {
        for (on_time, late, expected_ms) in [(0, 0, 0.0), (0, 19, 0.0), (100, 4, 0.0), (95, 5, 50.0), (0, 20, 50.0)] {
            let mut meter = LoadMeter::new(1);
            meter.take(at(0, 0));
            let mut reading = at(1, 0);
            reading.media.ticks_late[0] = on_time;
            let index = TICK_LATE_US.iter().position(|late_us| *late_us == 50_000).expect("it is in the table");
            reading.media.ticks_late[index] = late;
            assert_eq!(meter.take(reading).of(Measure::Lateness), expected_ms, "{on_time} and {late}");
            // Two seconds later it is forgotten.
            let later = Reading { at: Duration::from_secs(4), ..reading };
            meter.take(later);
            assert_eq!(meter.take(Reading { at: Duration::from_secs(6), ..later }).of(Measure::Lateness), 0.0);
        }
    }

    #[test]
    fn queues_are_as_full_as_they_are_now() {
        let mut meter = LoadMeter::new(1);
        let mut reading = Reading { backlog: 0.5, queue: 0.25, ..at(1, 0) };
        reading.media.sends_failed = 5;
        reading.media.packets_relayed = 15;
        meter.take(at(0, 0));
        let measured = meter.take(reading);
        let of = |measure| measured.of(measure);
        assert_eq!([of(Measure::Backlog), of(Measure::Queue), of(Measure::Unsent)], [50.0, 25.0, 25.0]);
    }

    /// A reading at a step of half a second.
    fn at(step: u32, cpu_ms: u64) -> Reading {
        Reading {
            at: step * Duration::from_millis(500),
            cpu: Duration::from_millis(cpu_ms),
            media: MediaFigures::default(),
            backlog: 0.0,
            queue: 0.0,
        }
    }
}
