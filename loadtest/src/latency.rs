//! One-way times: measured from stamped packets, or by matching what one telephone sent with what another received.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The most times that are kept, one per packet: a run of 600 calls for a minute.
const TIMES_MAX: usize = 4_000_000;

/// A collection of one-way times.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// In tenths of a microsecond.
    tenths: Vec<u32>,
}

/// Percentiles of one-way times, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Percentiles {
    /// How many packets were measured.
    pub count: usize,
    /// Half of them were faster, ms.
    pub p50_ms: f64,
    /// 99 of 100 were faster, ms.
    pub p99_ms: f64,
    /// The slowest, ms.
    pub max_ms: f64,
}

impl Latencies {
    /// Adds one packet; beyond four million they are no longer counted.
    pub fn add(&mut self, latency: Duration) {
        if self.tenths.len() < TIMES_MAX {
            // A packet slower than seven minutes counts as seven minutes.
            self.tenths.push(u32::try_from(latency.as_nanos() / 100).unwrap_or(u32::MAX));
        }
    }

    /// Adds all of another collection.
    pub fn merge(&mut self, other: &Latencies) {
        let room = TIMES_MAX.saturating_sub(self.tenths.len());
        self.tenths.extend(other.tenths.iter().take(room));
    }

    /// The percentiles; zeros when nothing was measured.
    pub fn percentiles(&self) -> Percentiles {
        let mut sorted = self.tenths.clone();
        sorted.sort_unstable();
        let Some(last) = sorted.last() else { return Percentiles::default() };
        let at = |share: f64| f64::from(sorted[((sorted.len() - 1) as f64 * share).round() as usize]) / 10_000.0;
        Percentiles { count: sorted.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: f64::from(*last) / 10_000.0 }
    }
}

/// Packets by what is in them, and when they were sent or received.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    packets: Vec<(u64, Duration)>,
}

/// The most packets of a trace: half an hour of one stream.
const TRACE_MAX: usize = 90_000;

impl Trace {
    /// Notes one packet; beyond half an hour no more are noted, and digital silence never: it looks like any other.
    pub fn note(&mut self, payload: &[u8], at: Duration) {
        let silent = payload.windows(2).all(|pair| pair[0] == pair[1]);
        if !silent && self.packets.len() < TRACE_MAX {
            let mut hasher = DefaultHasher::new();
            payload.hash(&mut hasher);
            self.packets.push((hasher.finish(), at));
        }
    }

    /// The one-way times from what `sent` notes to what this trace received.
    ///
    /// Only payloads that were sent exactly once are measured; silence looks like silence.
    pub fn since(&self, sent: &Trace) -> Latencies {
        let mut once: BTreeMap<u64, Option<Duration>> = BTreeMap::new();
        for (hash, at) in &sent.packets {
            once.entry(*hash).and_modify(|sent| *sent = None).or_insert(Some(*at));
        }
        let mut latencies = Latencies::default();
        for (hash, at) in &self.packets {
            if let Some(Some(sent)) = once.get(hash)
                && let Some(latency) = at.checked_sub(*sent)
            {
                latencies.add(latency);
            }
        }
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred() {
        let mut latencies = Latencies::default();
        (0..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let expected = Percentiles { count: 101, p50_ms: 50.0, p99_ms: 99.0, max_ms: 100.0 };
        assert_eq!(latencies.percentiles(), expected);
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
    }

    #[test]
    fn traces_match_what_was_sent_once() {
        let (mut sent, mut received) = (Trace::default(), Trace::default());
        for (payload, at) in [(&b"silence"[..], 0), (b"hello", 20), (b"silence", 40), (b"lost", 60)] {
            sent.note(payload, Duration::from_millis(at));
        }
        for (payload, at) in [(&b"silence"[..], 1), (b"hello", 23), (b"silence", 41), (b"prompt", 80)] {
            received.note(payload, Duration::from_millis(at));
        }
        let percentiles = received.since(&sent).percentiles();
        assert_eq!((percentiles.count, percentiles.p50_ms), (1, 3.0));
    }
}
