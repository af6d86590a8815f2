//! Clicks in the audio, by which time is measured where packets do not survive: through transcoders and playout buffers.
//!
//! A click is 20 ms of 1 kHz, loud, at the beginning of every second. Where the echo of a click begins in what is
//! heard, at what time that packet came, and when the click was sent, make the round trip. It counts what the codecs and
//! buffers on the way add to the audio itself, to within the millisecond or two by which a codec blurs a beginning. It
//! does not count the packet time, for both ends take the time of a packet for that of its first sample, nor what our own
//! encoder and decoder do to a click, which is measured beforehand.

use std::f32::consts::TAU;
use std::time::Duration;

use crate::latency::Latencies;

/// Samples at 8 kHz from one click to the next.
pub(crate) const PERIOD: u64 = 8_000;
/// Full scale is 1.
const PEAK: f32 = 0.8;
/// Milliseconds of one click.
const LENGTH_MS: u32 = 20;
/// What is louder is a click, of full scale.
const THRESHOLD: u16 = 13_000;
/// No second click within this time.
const REFRACTORY: Duration = Duration::from_millis(500);
/// The most clicks of a stream: more than an hour.
const CLICKS_MAX: usize = 4_000;

/// Puts clicks into samples at `rate_hz`.
pub(crate) fn add(samples: &mut [i16], rate_hz: u32) {
    let length = (rate_hz / 1_000 * LENGTH_MS) as usize;
    for second in samples.chunks_mut(rate_hz as usize) {
        for (n, sample) in second.iter_mut().take(length).enumerate() {
            let wave = (TAU * 1_000.0 * n as f32 / rate_hz as f32).sin();
            *sample = (wave * PEAK * f32::from(i16::MAX)) as i16;
        }
    }
}

/// Where a click begins in samples at 8 kHz.
pub(crate) fn onset(samples: &[i16]) -> Option<Duration> {
    let first = samples.iter().position(|sample| sample.unsigned_abs() >= THRESHOLD)?;
    Some(time_of(first as u64))
}

/// How long so many samples at 8 kHz are.
fn time_of(samples: u64) -> Duration {
    Duration::from_micros(samples * 125)
}

/// The clicks of one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clicks {
    sent: Vec<Duration>,
    heard: Vec<Duration>,
}

impl Clicks {
    /// A packet of `samples` (8 kHz) that begins at `position` leaves; `delay` is what our own codec does to a click.
    pub(crate) fn sent(&mut self, now: Duration, position: u64, samples: u64, delay: Duration) {
        let next = position.next_multiple_of(PERIOD);
        if next < position + samples && self.sent.len() < CLICKS_MAX {
            self.sent.push(now + time_of(next - position) + delay);
        }
    }

    /// Samples (8 kHz) arrive.
    pub(crate) fn heard(&mut self, now: Duration, samples: &[i16]) {
        let Some(onset) = onset(samples) else { return };
        let at = now + onset;
        let is_new = self.heard.last().is_none_or(|last| at >= *last + REFRACTORY);
        if is_new && self.heard.len() < CLICKS_MAX {
            self.heard.push(at);
        }
    }

    /// How many were sent, and how many heard.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.sent.len() as u64, self.heard.len() as u64)
    }

    /// From each click that was sent to the one heard after it, if it came before the next was sent.
    pub(crate) fn round_trips(&self) -> Latencies {
        let mut latencies = Latencies::default();
        let mut heard = self.heard.iter().copied().peekable();
        for (n, sent) in self.sent.iter().copied().enumerate() {
            let next = self.sent.get(n + 1).copied().unwrap_or(Duration::MAX);
            while heard.next_if(|at| *at < sent).is_some() {}
            if let Some(at) = heard.next_if(|at| *at < next) {
                latencies.add(at - sent);
            }
        }
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_there_and_back() {
        let mut clicks = Clicks::default();
        let mut samples = vec![100_i16; 16_000];
        add(&mut samples, 8_000);
        let packets = samples.chunks(160).enumerate().map(|(n, packet)| (n as u64, packet));
        for (n, packet) in packets {
            let now = Duration::from_millis(20 * n);
            clicks.sent(now, 160 * n, 160, Duration::ZERO);
            clicks.heard(now + Duration::from_millis(73), packet);
        }
        assert_eq!(clicks.counts(), (2, 2));
        let percentiles = clicks.round_trips().percentiles();
        assert_eq!(percentiles.count, 2);
        assert!((73.0..74.0).contains(&percentiles.max_ms), "{percentiles:?}");
    }

    #[test]
    fn a_lost_click_is_not_taken_for_the_next() {
        let second = Duration::from_secs;
        let late = |n| second(n) + Duration::from_millis(40);
        let clicks = Clicks { sent: vec![second(1), second(2), second(3)], heard: vec![late(0), late(1), late(3)] };
        let percentiles = clicks.round_trips().percentiles();
        assert_eq!((percentiles.count, percentiles.max_ms), (2, 40.0));
    }
}
