//! Brings audio that comes as it likes, in bursts and after stalls, back to the pace at which it was spoken.
//!
//! Gives out 20 ms at a time, in real time. What comes late is given out late; the delay shrinks again where nobody
//! speaks. Holds no more than its limit: the oldest gives way, and is counted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::audio::Rate;

/// The length of a frame.
pub const FRAME: Duration = Duration::from_millis(20);
/// A stream that is later than this has paused: it goes on from now, with the delay that it has.
const STALL: Duration = Duration::from_millis(100);
/// How much may wait before silence is left out.
const BACKLOG: Duration = Duration::from_millis(100);
/// No sample of silence is louder: −46 dBov.
const QUIET: u16 = 164;

/// One party's audio on its way to the media path.
#[derive(Debug)]
pub struct Pacer {
    rate: Rate,
    waiting: VecDeque<i16>,
    limit: usize,
    /// When the next frame is due; `None` before the first one and in a pause.
    due: Option<Duration>,
    /// When the last frame was due, and the position after it.
    last: Option<(Duration, u64)>,
    figures: Figures,
}

/// What became of the samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Taken in.
    pub taken: u64,
    /// Dropped because more waited than the limit.
    pub dropped: u64,
    /// Silence that was left out to catch up.
    pub skipped: u64,
}

/// A frame that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its first sample on the stream's own time axis: real time since the first frame, as far as nothing came late.
    pub position: u64,
    /// Whether it is the first one after a pause.
    pub begins: bool,
}

impl Pacer {
    /// Holds at most `limit` of audio, at least one frame.
    pub fn new(rate: Rate, limit: Duration) -> Pacer {
        let limit = samples_in(rate, limit).max(rate.frame());
        Pacer { rate, waiting: VecDeque::new(), limit, due: None, last: None, figures: Figures::default() }
    }

    /// Takes samples as they come.
    pub fn push(&mut self, now: Duration, samples: &[i16]) {
        self.figures.taken += samples.len() as u64;
        self.waiting.extend(samples);
        let excess = self.waiting.len().saturating_sub(self.limit);
        self.waiting.drain(..excess);
        self.figures.dropped += excess as u64;
        if self.due.is_none_or(|due| now > due + STALL) {
            self.due = Some(now);
        }
    }

    /// Puts the next frame into `frame` when it is due; call until `None`.
    pub fn pop(&mut self, now: Duration, frame: &mut Vec<i16>) -> Option<Due> {
        let due = self.due.filter(|due| *due <= now)?;
        let length = self.rate.frame();
        self.catch_up(length);
        if self.waiting.len() < length {
            return None;
        }
        frame.clear();
        frame.extend(self.waiting.drain(..length));
        let (begins, position) = match self.last {
            None => (true, 0),
            Some((before, end)) => {
                let gap = due.saturating_sub(before + FRAME);
                (!gap.is_zero(), end + samples_in(self.rate, gap) as u64)
            }
        };
        self.last = Some((due, position + length as u64));
        self.due = Some(due + FRAME);
        Some(Due { position, begins })
    }

    /// When `pop` will have something without another `push`.
    pub fn deadline(&self) -> Option<Duration> {
        self.due.filter(|_| self.waiting.len() >= self.rate.frame())
    }

    /// How much waits.
    pub fn backlog(&self) -> Duration {
        Duration::from_secs(1) * self.waiting.len() as u32 / self.rate.hz()
    }

    /// What became of the samples so far.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Leaves out frames of silence while too much waits.
    fn catch_up(&mut self, length: usize) {
        let backlog = samples_in(self.rate, BACKLOG);
        while self.waiting.len() > backlog && self.waiting.iter().take(length).all(|s| s.unsigned_abs() <= QUIET) {
            self.waiting.drain(..length);
            self.figures.skipped += length as u64;
        }
    }
}

/// Tells whether audio comes at the rate that was named.
#[derive(Debug)]
pub struct Meter {
    rate: Rate,
    began: Option<Duration>,
    taken: u64,
}

impl Meter {
    /// A meter of a stream that is said to have this rate.
    pub fn new(rate: Rate) -> Meter {
        Meter { rate, began: None, taken: 0 }
    }

    /// Takes note of samples; how many times as fast as real time they come, once that is too fast to be true.
    ///
    /// Slower is no fault: senders pause.
    pub fn take(&mut self, now: Duration, samples: usize) -> Option<f64> {
        let began = *self.began.get_or_insert(now);
        self.taken += samples as u64;
        let elapsed = now.saturating_sub(began);
        let spoken = Duration::from_secs_f64(self.taken as f64 / f64::from(self.rate.hz()));
        let pace = spoken.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        (spoken > elapsed + AHEAD_MAX && pace > PACE_MAX).then_some(pace)
    }
}

/// How far ahead of real time a stream may come: what a sender had kept while the connection was made, or was stalled.
const AHEAD_MAX: Duration = Duration::from_secs(10);
/// How fast a stream may be on the whole; clocks differ by far less.
const PACE_MAX: f64 = 1.25;

fn samples_in(rate: Rate, span: Duration) -> usize {
    (span.as_micros() * u128::from(rate.hz()) / 1_000_000) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOUD: [i16; 160] = [9_000; 160];
    const SILENT: [i16; 160] = [3; 160];

    #[test]
    fn what_comes_in_time_leaves_at_once() {
        let mut run = Run::new(1_000);
        for number in 0..10 {
            run.push(number * 20, &LOUD);
            run.expect(number * 20, &[number * 160]);
        }
        assert_eq!(run.pacer.backlog(), Duration::ZERO);
    }

    #[test]
    fn a_burst_leaves_frame_by_frame() {
        let mut run = Run::new(1_000);
        run.push(0, &[LOUD; 5].concat());
        run.expect(0, &[0]);
        assert_eq!(run.pacer.deadline(), Some(ms(20)));
        run.expect(45, &[160, 320]);
        run.expect(200, &[480, 640]);
    }

    #[test]
    fn a_little_late_is_made_good_at_once() {
        let mut run = Run::new(1_000);
        run.push(0, &LOUD);
        run.expect(0, &[0]);
        run.push(100, &[LOUD; 5].concat());
        // Due at 20, 40, 60, 80 and 100 ms: no gap on the time axis.
        run.expect(100, &[160, 320, 480, 640, 800]);
    }

    #[test]
    fn a_stall_is_a_gap_and_the_delay_shrinks_in_silence() {
        let mut run = Run::new(2_000);
        run.push(0, &LOUD);
        run.expect(0, &[0]);
        // A second of nothing, then that second all at once: loud for half of it.
        run.push(1_000, &[[LOUD; 25].concat(), [SILENT; 25].concat()].concat());
        let frames = run.pop(2_000);
        assert_eq!(frames[0], (8_000, true));
        // Loud frames all come; of the silence, what waits beyond 100 ms is left out.
        assert_eq!(frames.len(), 25 + 5);
        assert_eq!(run.pacer.figures(), Figures { taken: 160 * 51, dropped: 0, skipped: 160 * 20 });
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut run = Run::new(100);
        run.push(0, &[[1_000_i16; 800], [2_000; 800]].concat());
        assert_eq!(run.pacer.figures().dropped, 800);
        let mut frame = Vec::new();
        run.pacer.pop(ms(0), &mut frame).expect("due");
        assert_eq!(frame, [2_000; 160]);
    }

    #[test]
    fn half_a_frame_waits_for_the_rest() {
        let mut run = Run::new(100);
        run.push(0, &LOUD[..100]);
        run.expect(50, &[]);
        assert_eq!(run.pacer.deadline(), None);
        run.push(60, &LOUD[..60]);
        run.expect(60, &[0]);
    }

    #[test]
    fn a_rate_that_was_named_wrongly_is_noticed() {
        // Twice as many samples as 8 kHz has.
        let mut meter = Meter::new(Rate::Narrow);
        let fault = (0..3_000).find_map(|number| meter.take(ms(number * 20), 320).map(|pace| (number, pace)));
        let (number, pace) = fault.expect("too fast");
        assert!((495..510).contains(&number) && (1.9..2.1).contains(&pace), "{number} {pace}");
        // A clock that runs a thousandth too fast, after three seconds at once.
        let mut meter = Meter::new(Rate::Narrow);
        assert_eq!(meter.take(ms(0), 24_000), None);
        assert!((0..180_000).all(|number| meter.take(ms(number * 20), 160 + usize::from(number % 6 == 0)).is_none()));
    }

    proptest! {
        /// Whatever comes whenever: frames leave no faster than real time, in order, and nothing is lost unaccounted.
        #[test]
        fn paced(steps in prop::collection::vec((0_u64..300, 0_usize..3_000, any::<bool>()), 1..60)) {
            let mut pacer = Pacer::new(Rate::Narrow, ms(500));
            let (mut now, mut given, mut end) = (0, 0_u64, 0);
            let mut frame = Vec::new();
            for (wait, count, loud) in steps {
                now += wait;
                pacer.push(ms(now), &vec![if loud { 5_000 } else { 0 }; count]);
                while let Some(due) = pacer.pop(ms(now), &mut frame) {
                    prop_assert!(due.position >= end && frame.len() == 160);
                    end = due.position + 160;
                    given += 160;
                }
                // Never ahead of real time by more than the frame that has just begun.
                prop_assert!(end <= (now + 20) * 8, "{} at {}", end, now);
                prop_assert!(pacer.deadline().is_none_or(|due| due > ms(now)));
                let figures = pacer.figures();
                let waits = pacer.waiting.len() as u64;
                prop_assert_eq!(figures.taken, given + figures.dropped + figures.skipped + waits);
                prop_assert!(waits <= 4_000);
            }
        }
    }

    struct Run {
        pacer: Pacer,
    }

    impl Run {
        fn new(limit_ms: u64) -> Run {
            Run { pacer: Pacer::new(Rate::Narrow, ms(limit_ms)) }
        }

        fn push(&mut self, at_ms: u64, samples: &[i16]) {
            self.pacer.push(ms(at_ms), samples);
        }

        /// Every frame that leaves until then.
        fn pop(&mut self, at_ms: u64) -> Vec<(u64, bool)> {
            let mut frame = Vec::new();
            std::iter::from_fn(|| self.pacer.pop(ms(at_ms), &mut frame)).map(|due| (due.position, due.begins)).collect()
        }

        #[track_caller]
        fn expect(&mut self, at_ms: u64, positions: &[u64]) {
            let found: Vec<u64> = self.pop(at_ms).into_iter().map(|(position, _)| position).collect();
            assert_eq!(found, positions, "at {at_ms} ms");
        }
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }
}
