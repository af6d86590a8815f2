//! Loss and jitter of what one leg receives (RFC 3550 §A.3 and §A.8).
//!
//! Only counts: it neither drops nor delays anything.

use std::time::Duration;

use crate::sequence::{Place, Verdict};

/// Samples per second of everything on the wire here.
pub(crate) const CLOCK_HZ: u64 = 8_000;

/// The reception figures of one leg, over all sources it heard.
#[derive(Debug, Default)]
pub struct Reception {
    received: u64,
    bytes: u64,
    /// Missing in sources that have ended.
    lost_before: u64,
    current: Option<Run>,
    jitter_samples: f32,
}

#[derive(Debug)]
struct Run {
    first: u64,
    highest: u64,
    received: u64,
    /// Arrival minus timestamp, samples modulo 2^32, of the last audio packet.
    transit: Option<u32>,
}

impl Reception {
    /// Counts a packet that was placed; `audio` is false for packets whose timestamp does not tell their time.
    pub fn count(&mut self, now: Duration, verdict: Verdict, timestamp: u32, payload_bytes: usize, audio: bool) {
        match verdict {
            Verdict::Begins(place) => self.begin(place),
            Verdict::Advances(place) | Verdict::Fills(place) => self.follow(place),
            Verdict::Stale | Verdict::Jumped => return,
        }
        self.received += 1;
        self.bytes += payload_bytes as u64;
        if audio {
            self.measure_jitter(now, timestamp);
        }
    }

    /// Packets taken.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Payload octets taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets missing so far, over all sources.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.current.as_ref().map_or(0, Run::lost)
    }

    /// Interarrival jitter, milliseconds.
    pub fn jitter_ms(&self) -> f32 {
        self.jitter_samples * 1_000.0 / CLOCK_HZ as f32
    }

    fn begin(&mut self, place: Place) {
        self.lost_before = self.lost();
        self.current = Some(Run { first: place.position, highest: place.position, received: 1, transit: None });
    }

    fn follow(&mut self, place: Place) {
        let Some(run) = &mut self.current else {
            return self.begin(place);
        };
        run.highest = run.highest.max(place.position);
        run.received += 1;
    }

    fn measure_jitter(&mut self, now: Duration, timestamp: u32) {
        let Some(run) = &mut self.current else {
            return;
        };
        let transit = (samples(now) as u32).wrapping_sub(timestamp);
        if let Some(before) = run.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A timestamp jump is not jitter.
            if u64::from(difference) < CLOCK_HZ {
                self.jitter_samples += (difference as f32 - self.jitter_samples) / 16.0;
            }
        }
    }
}

impl Run {
    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

/// A span in samples at 8 kHz, rounded down.
pub(crate) fn samples(span: Duration) -> u64 {
    span.as_secs() * CLOCK_HZ + u64::from(span.subsec_micros()) * CLOCK_HZ / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Ssrc;
    use crate::sequence::Sequencer;

    #[test]
    fn nothing_lost() {
        check(&[(1, 1), (1, 2), (1, 3)], 3, 0);
    }

    #[test]
    fn gap_and_late_packet() {
        check(&[(1, 1), (1, 5)], 2, 3);
        check(&[(1, 1), (1, 5), (1, 3)], 3, 2);
    }

    #[test]
    fn duplicates_hide_no_loss() {
        check(&[(1, 1), (1, 3), (1, 3), (1, 3)], 2, 1);
    }

    #[test]
    fn loss_adds_up_over_sources() {
        check(&[(1, 1), (1, 3), (2, 50), (2, 52), (2, 53)], 5, 2);
    }

    #[test]
    fn steady_arrival_has_no_jitter() {
        assert!(jitter(&[0, 20, 40, 60, 80]) < 0.01);
    }

    #[test]
    fn jitter_follows_the_formula() {
        // Twice 5 ms late, by A.8: 5/16, then another (5 - 5/16)/16.
        let expected = 5.0 / 16.0 + (5.0 - 5.0 / 16.0) / 16.0;
        assert!((jitter(&[0, 25, 40]) - expected).abs() < 0.01);
    }

    #[track_caller]
    fn check(packets: &[(u32, u16)], received: u64, lost: u64) {
        let mut sequencer = Sequencer::default();
        let mut reception = Reception::default();
        for &(ssrc, sequence) in packets {
            let verdict = sequencer.place(Ssrc(ssrc), sequence);
            reception.count(Duration::ZERO, verdict, 0, 160, true);
        }
        assert_eq!((reception.received(), reception.lost()), (received, lost));
        assert_eq!(reception.bytes(), received * 160);
    }

    /// The jitter after packets of 20 ms that arrive at these milliseconds.
    fn jitter(arrivals_ms: &[u64]) -> f32 {
        let mut sequencer = Sequencer::default();
        let mut reception = Reception::default();
        for (n, &ms) in arrivals_ms.iter().enumerate() {
            let verdict = sequencer.place(Ssrc(1), n as u16);
            reception.count(Duration::from_millis(ms), verdict, n as u32 * 160, 160, true);
        }
        reception.jitter_ms()
    }
}
