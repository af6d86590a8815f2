//! One telephone's voice: what it says becomes payloads of the codec that was agreed.
//!
//! Keeps the encoder of one stream. G.711 and whatever a clip has ready need none.

use std::time::Duration;

use media::Codec;
use media::codec::Encoder;
use media::g711;

use crate::audio::Audio;
use crate::clip::{CLIP_RATE_HZ, OPUS};

#[derive(Debug)]
pub(crate) struct Voice {
    audio: Audio,
    /// For a codec at a rate of samples, Hz.
    encoder: Option<(Codec, u32, Encoder)>,
    samples: Vec<i16>,
}

impl Voice {
    pub(crate) fn new(audio: Audio) -> Self {
        Voice { audio, encoder: None, samples: Vec::new() }
    }

    pub(crate) fn audio(&self) -> &Audio {
        &self.audio
    }

    pub(crate) fn say(&mut self, audio: Audio) {
        self.audio = audio;
    }

    /// Appends the payload of a packet of `ms` that begins at `position` (samples at 8 kHz) and leaves at `now`.
    pub(crate) fn packet(&mut self, codec: Codec, ms: u8, position: u64, now: Duration, payload: &mut Vec<u8>) {
        match &self.audio {
            Audio::Stamped => return stamp(codec, ms, now, payload),
            Audio::Clip(clip) => {
                if let Some(packet) = clip.packet(codec, ms, position) {
                    return payload.extend_from_slice(packet);
                }
            }
            Audio::Silence | Audio::Once(_) | Audio::Loop(_) | Audio::Echo => {}
        }
        let rate_hz = if matches!(self.audio, Audio::Clip(_)) { CLIP_RATE_HZ } else { 8_000 };
        let count = u64::from(rate_hz / 1_000) * u64::from(ms);
        let begin = position * u64::from(rate_hz / 8_000);
        self.samples.clear();
        let audio = &self.audio;
        self.samples.extend((begin..begin + count).map(|at| sample(audio, at)));
        match codec.law() {
            Some(law) if rate_hz == 8_000 => g711::encode(law, &self.samples, payload),
            _ => self.encode(codec, rate_hz, payload),
        }
    }

    fn encode(&mut self, codec: Codec, rate_hz: u32, payload: &mut Vec<u8>) {
        let fits = |(of, at, _): &(Codec, u32, Encoder)| (*of, *at) == (codec, rate_hz);
        if !self.encoder.as_ref().is_some_and(fits) {
            self.encoder = Encoder::new(codec, rate_hz, OPUS).ok().map(|encoder| (codec, rate_hz, encoder));
        }
        if let Some((_, _, encoder)) = &mut self.encoder {
            // A packet time that the codec does not have leaves the payload empty, which the far end counts as missing.
            let _ = encoder.encode(&self.samples, payload);
        }
    }
}

/// The sample at a position of the audio's own rate.
fn sample(audio: &Audio, at: u64) -> i16 {
    match audio {
        Audio::Once(samples) => usize::try_from(at).ok().and_then(|at| samples.get(at).copied()).unwrap_or(0),
        Audio::Loop(samples) if !samples.is_empty() => samples[(at % samples.len() as u64) as usize],
        Audio::Clip(clip) => clip.sample(at),
        Audio::Loop(_) | Audio::Silence | Audio::Stamped | Audio::Echo => 0,
    }
}

/// What a stamped payload begins with, behind the octet that says how long an Opus packet is.
const MARK: [u8; 4] = *b"calm";
/// SILK at 8 kHz with one frame, whose length follows (RFC 6716 §3.1).
const OPUS_FIRST: u8 = 0;

fn stamp(codec: Codec, ms: u8, now: Duration, payload: &mut Vec<u8>) {
    let from = payload.len();
    if codec == Codec::Opus {
        let frame = match ms {
            0..20 => 0,
            20..40 => 1,
            40..60 => 2,
            _ => 3,
        };
        payload.push(OPUS_FIRST | frame << 3);
    }
    payload.extend_from_slice(&MARK);
    payload.extend_from_slice(&(now.as_nanos() as u64).to_be_bytes());
    let octets_per_ms = match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => 8,
        Codec::L16Narrow => 16,
        Codec::L16Wide => 32,
        Codec::Opus => 3,
    };
    payload.resize(from + octets_per_ms * usize::from(ms), 0x55);
}

/// When a stamped payload was sent; `None` for any other.
pub(crate) fn stamp_of(codec: Codec, payload: &[u8]) -> Option<Duration> {
    let payload = if codec == Codec::Opus { payload.get(1..)? } else { payload };
    let (mark, rest) = payload.split_first_chunk::<4>()?;
    let nanoseconds = rest.first_chunk::<8>()?;
    (*mark == MARK).then(|| Duration::from_nanos(u64::from_be_bytes(*nanoseconds)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn packets_last_as_long_as_they_say() {
        for codec in Codec::ALL {
            for ms in [10, 20, 30, 40, 60] {
                // Opus has no packet of 30 ms in one frame, and our encoder makes no others.
                if (codec, ms) == (Codec::Opus, 30) {
                    continue;
                }
                for audio in [Audio::Silence, Audio::Stamped, Audio::Loop(Arc::from([900_i16, -900]))] {
                    let mut voice = Voice::new(audio);
                    let mut payload = Vec::new();
                    voice.packet(codec, ms, 0, Duration::ZERO, &mut payload);
                    let expected = codec.clock_hz() / 1_000 * u32::from(ms);
                    assert_eq!(codec.ticks_in(&payload), expected, "{codec:?} {ms} ms of {:?}", voice.audio);
                }
            }
        }
    }

    #[test]
    fn stamps_can_be_read_back() {
        for codec in Codec::ALL {
            let mut payload = Vec::new();
            Voice::new(Audio::Stamped).packet(codec, 20, 0, Duration::from_nanos(1_234_567), &mut payload);
            assert_eq!(stamp_of(codec, &payload), Some(Duration::from_nanos(1_234_567)), "{codec:?}");
        }
        assert_eq!(stamp_of(Codec::Pcmu, &[0x55; 160]), None);
    }
}
