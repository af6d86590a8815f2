//! The hearing half: judges numbers and times of what arrives, and keeps the audio where it belongs.

use std::time::Duration;

use media::codec::Decoder;
use media::dtmf::{self, Key, Press};
use media::{Codec, StreamSettings};

use super::StreamStats;
use super::sender::audio_time;
use crate::clicks::Clicks;
use crate::latency::Latencies;
use crate::voice::stamp_of;

#[derive(Debug, Default)]
pub(super) struct Receiver {
    pub(super) started: Option<Duration>,
    source: Option<Source>,
    lost_before: u64,
    /// Interarrival jitter in ticks, and the last transit.
    jitter: (f64, Option<f64>),
    pub(super) samples: Vec<i16>,
    pub(super) latencies: Latencies,
    pub(super) stats: StreamStats,
    /// Only when what is heard is of interest.
    decoder: Option<(Codec, Decoder)>,
    decoded: Vec<i16>,
    keys: Option<(Codec, dtmf::Receiver)>,
    presses: Vec<Press>,
}

/// The numbers of the source that is heard.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    /// Bit n: `highest - n` was seen.
    seen: u128,
    timestamp: u32,
    /// What the packet at `timestamp` lasts; `None` after a key, whose packets stand still.
    ticks: Option<u32>,
    /// The sample of `samples` at which `timestamp` stands.
    place: u64,
}

/// How a packet stands to those before it.
enum Numbers {
    Fresh,
    Old,
    Twice,
}

/// What the numbers of an audio packet are judged by.
struct Span {
    ticks: u32,
    clock_hz: u32,
    /// Samples at 8 kHz since the first packet came.
    elapsed: u64,
}

impl Receiver {
    /// What was agreed; `decodes` when somebody wants to know what is heard.
    pub(super) fn configure(&mut self, settings: &StreamSettings, decodes: bool) {
        let codec = settings.codec;
        if decodes && self.decoder.as_ref().is_none_or(|(of, _)| *of != codec) {
            // Every codec can be decoded at 8 kHz.
            self.decoder = Decoder::new(codec, RATE_HZ).ok().map(|decoder| (codec, decoder));
        }
        if self.keys.as_ref().is_none_or(|(of, _)| *of != codec) {
            self.keys = Some((codec, dtmf::Receiver::new(codec.clock_hz())));
        }
    }

    /// Takes an audio packet; true for the first.
    pub(super) fn take(
        &mut self,
        now: Duration,
        packet: &rtp::Packet,
        codec: Codec,
        audio_seconds: u32,
        clicks: Option<&mut Clicks>,
    ) -> bool {
        let first = self.started.is_none();
        let started = *self.started.get_or_insert(now);
        let last_at = self.stats.last_at.replace(now);
        if let Some(last) = last_at {
            self.stats.gap_ms_max = self.stats.gap_ms_max.max(now.saturating_sub(last).as_secs_f64() * 1e3);
        }
        if let Some(sent) = stamp_of(codec, &packet.payload) {
            self.latencies.add(now.saturating_sub(sent));
        }
        let ticks = codec.ticks_in(&packet.payload);
        let elapsed = now.saturating_sub(started).as_micros() as u64 * 8 / 1_000;
        let span = Span { ticks, clock_hz: codec.clock_hz(), elapsed };
        if matches!(self.judge_numbers(&packet.header, Some(&span)), Numbers::Twice) {
            return first;
        }
        self.stats.audio_received += audio_time(codec, ticks);
        self.judge_jitter(now, packet.header.timestamp, codec);
        if self.decode(codec, &packet.payload) {
            if let Some(clicks) = clicks {
                clicks.heard(now, &self.decoded);
            }
            self.keep_audio(packet.header.timestamp, codec, audio_seconds);
        }
        first
    }

    /// Takes a telephone-event; says which key went down with it.
    pub(super) fn take_event(&mut self, now: Duration, packet: &rtp::Packet) -> Option<Key> {
        self.judge_numbers(&packet.header, None);
        let (_, keys) = self.keys.as_mut()?;
        self.presses.clear();
        keys.handle(now, packet.header.timestamp, packet.header.marker, &packet.payload, &mut self.presses);
        let down = self.presses.iter().find_map(|press| if let Press::Down(key) = press { Some(*key) } else { None });
        self.stats.keys_received += u64::from(down.is_some());
        down
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, Source::lost)
    }

    /// Sequence and timestamp; keys have no span.
    fn judge_numbers(&mut self, header: &rtp::Header, span: Option<&Span>) -> Numbers {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == header.ssrc) else {
            if let Some(source) = self.source.take() {
                self.stats.ssrc_changes += 1;
                self.lost_before += source.lost();
            }
            self.source = Some(Source::new(header, span));
            self.stats.packets_received += 1;
            return Numbers::Fresh;
        };

        // The signed difference modulo 2^16 is the short way round the circle.
        let step = i64::from(header.sequence_number.wrapping_sub(source.highest as u16) as i16);
        if step <= 0 {
            let bit = 1_u128.checked_shl(step.unsigned_abs() as u32).unwrap_or(0);
            if source.seen & bit != 0 {
                self.stats.duplicates += 1;
                return Numbers::Twice;
            }
            source.seen |= bit;
            source.received += 1;
            source.first = source.first.min(source.highest.saturating_sub(step.unsigned_abs()));
            self.stats.packets_received += 1;
            self.stats.reordered += 1;
            return Numbers::Old;
        }

        source.seen = source.seen.checked_shl(step as u32).unwrap_or(0) | 1;
        source.highest += step as u64;
        source.received += 1;
        self.stats.packets_received += 1;
        let Some(span) = span else {
            source.ticks = None;
            return Numbers::Fresh;
        };
        let passed = header.timestamp.wrapping_sub(source.timestamp);
        let is_expected = source.ticks.is_none_or(|ticks| i64::from(passed) == step * i64::from(ticks));
        if passed as i32 <= 0 {
            self.stats.timestamp_steps_back += 1;
        } else if !is_expected {
            self.stats.timestamp_jumps += 1;
        }
        let is_near = passed <= span.clock_hz * 60;
        source.place = if is_near { source.place + at_8_khz(passed, span.clock_hz) } else { span.elapsed };
        source.timestamp = header.timestamp;
        source.ticks = Some(span.ticks);
        Numbers::Fresh
    }

    fn judge_jitter(&mut self, now: Duration, timestamp: u32, codec: Codec) {
        let clock_hz = f64::from(codec.clock_hz());
        let (jitter, before) = self.jitter;
        let transit = now.as_secs_f64() * clock_hz - f64::from(timestamp);
        let difference = before.map_or(0.0, |before| (transit - before).abs());
        // A rollover or a new source is no jitter.
        let difference = if difference < clock_hz { difference } else { 0.0 };
        let jitter = jitter + (difference - jitter) / 16.0;
        self.jitter = (jitter, Some(transit));
        self.stats.jitter_ms = jitter * 1e3 / clock_hz;
    }

    /// Whether there is something to look at in `decoded`.
    fn decode(&mut self, codec: Codec, payload: &[u8]) -> bool {
        let Some((_, decoder)) = self.decoder.as_mut().filter(|(of, _)| *of == codec) else { return false };
        self.decoded.clear();
        decoder.decode(payload, &mut self.decoded).is_ok()
    }

    fn keep_audio(&mut self, timestamp: u32, codec: Codec, audio_seconds: u32) {
        let Some(source) = &self.source else { return };
        let back = at_8_khz(source.timestamp.wrapping_sub(timestamp), codec.clock_hz());
        let place = source.place.saturating_sub(back);
        let end = place + self.decoded.len() as u64;
        if end > u64::from(audio_seconds) * u64::from(RATE_HZ) {
            return;
        }
        let (place, end) = (place as usize, end as usize);
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        self.samples[place..end].copy_from_slice(&self.decoded);
    }
}

impl Source {
    fn new(header: &rtp::Header, span: Option<&Span>) -> Self {
        // One cycle up, so that older packets have a number.
        let first = (1 << 16) + u64::from(header.sequence_number);
        Source {
            ssrc: header.ssrc,
            first,
            highest: first,
            received: 1,
            seen: 1,
            timestamp: header.timestamp,
            ticks: span.map(|span| span.ticks),
            place: span.map_or(0, |span| span.elapsed),
        }
    }

    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

/// The rate at which audio is kept, Hz.
const RATE_HZ: u32 = 8_000;

fn at_8_khz(ticks: u32, clock_hz: u32) -> u64 {
    u64::from(ticks) * u64::from(RATE_HZ) / u64::from(clock_hz)
}
