//! What a telephone says: samples at 8 kHz, once or again and again, or load packets that carry their send time.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use media::{Codec, g711};

/// Samples per packet: 20 ms at 8 kHz.
pub const PACKET_SAMPLES: usize = 160;

/// What is said.
#[derive(Debug, Clone)]
pub enum Audio {
    /// Digital silence.
    Silence,
    /// Once from the beginning of the call, then silence. 8 kHz.
    Once(Arc<[i16]>),
    /// Again and again. 8 kHz.
    Loop(Arc<[i16]>),
    /// Noise in which every packet carries the time it was sent; not for ears.
    Stamped,
}

impl Audio {
    /// A sine of `hz` at the given peak (0-1), looped without a click.
    pub fn tone(hz: u16, peak: f32) -> Self {
        let wave = |n: u32| peak * (TAU * f32::from(hz) * n as f32 / 8_000.0).sin();
        Audio::Loop((0..8_000).map(|n| g711::to_i16(wave(n))).collect())
    }

    /// A recording, once.
    pub fn once(samples: impl Into<Arc<[i16]>>) -> Self {
        Audio::Once(samples.into())
    }

    /// A recording, looped.
    pub fn looped(samples: impl Into<Arc<[i16]>>) -> Self {
        Audio::Loop(samples.into())
    }

    /// Appends the payload of the packet that begins at sample `position` and leaves at `now`.
    pub(crate) fn packet(&self, codec: Codec, position: u64, now: Duration, payload: &mut Vec<u8>) {
        let law = codec.law().unwrap_or(g711::Law::Mu);
        let sample = |samples: &[i16], at: u64| match self {
            Audio::Loop(_) if !samples.is_empty() => samples[(at % samples.len() as u64) as usize],
            _ => usize::try_from(at).ok().and_then(|at| samples.get(at).copied()).unwrap_or(0),
        };
        match self {
            Audio::Stamped => stamp(now, payload),
            Audio::Silence => payload.resize(payload.len() + PACKET_SAMPLES, g711::encode_sample(law, 0)),
            Audio::Once(samples) | Audio::Loop(samples) => {
                let at = position..position + PACKET_SAMPLES as u64;
                payload.extend(at.map(|at| g711::encode_sample(law, sample(samples, at))));
            }
        }
    }
}

/// What a stamped payload begins with.
const MARK: [u8; 4] = *b"calm";

fn stamp(now: Duration, payload: &mut Vec<u8>) {
    let from = payload.len();
    payload.extend_from_slice(&MARK);
    payload.extend_from_slice(&(now.as_nanos() as u64).to_be_bytes());
    payload.resize(from + PACKET_SAMPLES, 0x55);
}

/// When a stamped payload was sent; `None` for any other.
pub(crate) fn stamp_of(payload: &[u8]) -> Option<Duration> {
    let (mark, rest) = payload.split_first_chunk::<4>()?;
    let nanoseconds = rest.first_chunk::<8>()?;
    (*mark == MARK).then(|| Duration::from_nanos(u64::from_be_bytes(*nanoseconds)))
}
