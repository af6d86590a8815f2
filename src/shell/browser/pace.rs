//! How many packets of one browser are passed on: as many as audio has, whatever is sent.

use std::time::Duration;

use tokio::time::Instant;

/// Packets that are passed in any one period; Opus of the shortest frames that browsers send has 100 a second, and what a
/// network held back comes at once.
const PACKETS_MAX: u32 = 200;
const PERIOD: Duration = Duration::from_secs(1);

/// Counts packets by the second.
#[derive(Debug)]
pub(super) struct Pace {
    /// When this period began, and how many it has had.
    began: Instant,
    passed: u32,
    dropped: u64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, passed: 0, dropped: 0 }
    }

    /// Whether one more may pass.
    pub(super) fn lets_pass(&mut self, now: Instant) -> bool {
        if now.duration_since(self.began) >= PERIOD {
            (self.began, self.passed) = (now, 0);
        }
        let passes = self.passed < PACKETS_MAX;
        if passes {
            self.passed += 1;
        } else {
            self.dropped += 1;
        }
        passes
    }

    /// Those that did not.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_passes_and_a_flood_does_not() {
        let start = Instant::now();
        for (packets, gap_ms, seconds, dropped) in [(1_000, 10, 10, 0), (5_000, 1, 5, 4_000), (200, 0, 0, 0)] {
            let mut pace = Pace::new(start);
            let times = (0..packets).map(|number| start + Duration::from_millis(number * gap_ms));
            let passed = times.filter(|now| pace.lets_pass(*now)).count() as u64;
            assert_eq!((passed, pace.dropped()), (packets - dropped, dropped), "{seconds} s");
        }
    }
}
