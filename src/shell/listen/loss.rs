//! How many of a party's packets of the last ten seconds were of no use: they did not come, or came too late.
//!
//! Counts packets by their numbers, not the audio that was made up: of a longer gap only the beginning is made up, and a sender
//! that is silent sends nothing and loses nothing.

use std::collections::VecDeque;
use std::time::Duration;

use media::jitter::JitterStats;

/// What the share is of.
const WITHIN: Duration = Duration::from_secs(10);
/// How often it is noted what was counted.
const NOTED_EVERY: Duration = Duration::from_millis(250);

/// One party's packets.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// What had been counted by then, oldest first: one before the last ten seconds, the others in them.
    noted: VecDeque<(Duration, Counted)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    useful: u64,
    useless: u64,
}

impl Loss {
    /// The share, 0-1, of what has come by `now`, where this has been counted since the beginning; 0 of nothing.
    pub(super) fn share(&mut self, now: Duration, stats: JitterStats) -> f32 {
        let counted = Counted { useful: stats.packets, useless: stats.lost + stats.late };
        while self.noted.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WITHIN) {
            self.noted.pop_front();
        }
        if self.noted.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= NOTED_EVERY) {
            self.noted.push_back((now, counted));
        }
        let before = self.noted.front().map(|(_, counted)| *counted).unwrap_or_default();
        // One that was missing and came after all counts no longer.
        let useless = counted.useless.saturating_sub(before.useless);
        let all = useless + counted.useful.saturating_sub(before.useful);
        if all == 0 { 0.0 } else { useless as f32 / all as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_counts_whole_for_ten_seconds() {
        let (mut loss, mut stats) = (Loss::default(), JitterStats::default());
        let mut shares = Vec::new();
        for packet in 0..2_000_u64 {
            // Of every hundred of the first ten seconds a quarter does not come, in one piece.
            if packet < 500 && packet % 100 < 25 {
                stats.lost += 1;
            } else {
                stats.packets += 1;
            }
            let share = loss.share(Duration::from_millis(20 * packet), stats);
            if packet % 250 == 249 {
                shares.push((share * 100.0).round() as u32);
            }
        }
        assert_eq!(shares[0], 30, "three bursts in two and a half hundred");
        assert!((23..=27).contains(&shares[1]), "{shares:?}");
        assert_eq!(shares[4..], [0; 4], "it is forgotten");
    }

    #[test]
    fn who_is_silent_loses_nothing_and_who_comes_late_is_of_no_use() {
        let (mut loss, second) = (Loss::default(), Duration::from_secs);
        assert_eq!(loss.share(second(0), JitterStats::default()), 0.0);
        let of = |packets, lost, late| JitterStats { packets, lost, late, ..JitterStats::default() };
        assert_eq!(loss.share(second(1), of(50, 0, 0)), 0.0);
        assert_eq!(loss.share(second(9), of(50, 0, 0)), 0.0, "it sends nothing");
        assert_eq!(loss.share(second(10), of(75, 25, 0)), 0.25);
        assert_eq!(loss.share(second(10), of(75, 0, 25)), 0.25, "they came, when others stood in for them");
        assert_eq!(loss.share(second(10), of(100, 0, 0)), 0.0, "they came in time after all");
    }
}
