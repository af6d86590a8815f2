//! When a leg's socket may be tied to its far end, so that the kernel keeps strangers out and finds the way once.
//!
//! Only a wish: the latch goes on judging every packet that comes. A tied socket hears nobody else, so the tie is cut as
//! soon as the far end falls silent, and whoever comes then is judged as ever.

use std::net::SocketAddr;
use std::time::Duration;

use crate::latch::SILENCE_SAME_SSRC;

/// How long a source must be heard without a pause before the socket is tied to it.
pub(crate) const STEADY: Duration = Duration::from_secs(5);

/// The tie of one leg's media socket.
#[derive(Debug, Default)]
pub(super) struct Tie {
    tied: Option<SocketAddr>,
    /// Who is heard without a pause, and since when.
    steady: Option<(SocketAddr, Duration)>,
}

impl Tie {
    /// What to change, if anything: `Some(None)` cuts the tie. `source` is who is latched, with the time of the last
    /// packet; `None` when others must be heard as well.
    pub(super) fn judge(
        &mut self,
        now: Duration,
        source: Option<(SocketAddr, Duration)>,
    ) -> Option<Option<SocketAddr>> {
        let heard = source.filter(|(_, heard)| now.saturating_sub(*heard) < SILENCE_SAME_SSRC);
        self.steady = heard.map(|(address, _)| match self.steady {
            Some((before, since)) if before == address => (address, since),
            Some(_) | None => (address, now),
        });
        let wanted = self.steady.filter(|(_, since)| now.saturating_sub(*since) >= STEADY).map(|(address, _)| address);
        if wanted == self.tied {
            return None;
        }
        self.tied = wanted;
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: u16 = 1;
    const OTHER: u16 = 2;

    #[test]
    fn a_steady_source_is_tied_once() {
        check(&[(0, 60, PHONE)], &[(5_000, Some(PHONE)), (6_100, None)]);
    }

    #[test]
    fn a_pause_begins_anew() {
        check(&[(0, 40, PHONE), (4_500, 60, PHONE)], &[(9_500, Some(PHONE)), (10_600, None)]);
    }

    #[test]
    fn silence_cuts_the_tie() {
        check(&[(0, 70, PHONE), (8_000, 10, PHONE)], &[(5_000, Some(PHONE)), (7_100, None)]);
    }

    #[test]
    fn another_source_cuts_the_tie() {
        check(&[(0, 60, PHONE), (6_000, 60, OTHER)], &[(5_000, Some(PHONE)), (6_000, None), (11_000, Some(OTHER))]);
    }

    /// Sources that are heard every 100 ms, `count` times from a millisecond on; judged every 100 ms.
    #[track_caller]
    fn check(heard: &[(u64, u64, u16)], expected: &[(u64, Option<u16>)]) {
        let mut tie = Tie::default();
        let mut source = None;
        let mut changes = Vec::new();
        for ms in (0..12_000).step_by(100) {
            for &(from, count, port) in heard {
                if (from..from + count * 100).contains(&ms) {
                    source = Some((SocketAddr::from(([192, 0, 2, 1], port)), Duration::from_millis(ms)));
                }
            }
            if let Some(change) = tie.judge(Duration::from_millis(ms), source) {
                changes.push((ms, change.map(|address| address.port())));
            }
        }
        assert_eq!(changes, expected);
    }
}
