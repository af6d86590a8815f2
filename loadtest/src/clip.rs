//! A sound that is encoded once and said by many telephones, so that load does not pay for encoders.
//!
//! Holds no state of a call: packets of one clip are the same for everybody.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use media::Codec;
use media::codec::{Decoder, Encoder, OpusSettings};

use crate::clicks;

/// The rate of a clip's samples, Hz.
pub const CLIP_RATE_HZ: u32 = 16_000;
/// Seconds of the clips made here: a whole number of packets of 10, 20, 30, 40 and 60 ms.
const SECONDS: u32 = 6;

/// A sound and its packets.
#[derive(Debug)]
pub struct Clip {
    /// 16 kHz.
    samples: Vec<i16>,
    encoded: Vec<Encoded>,
    has_clicks: bool,
}

/// The packets of a clip in one codec.
#[derive(Debug)]
struct Encoded {
    codec: Codec,
    ptime_ms: u8,
    packets: Vec<Vec<u8>>,
    /// How much later a click is in the decoded packets than in the samples.
    click_delay: Duration,
}

impl Clip {
    /// Something that keeps an encoder as busy as speech does, with a click at the beginning of every second.
    pub fn with_clicks(formats: &[(Codec, u8)]) -> Arc<Self> {
        let mut samples = babble();
        clicks::add(&mut samples, CLIP_RATE_HZ);
        Arc::new(Clip { encoded: encode_all(&samples, formats), samples, has_clicks: true })
    }

    /// A sound at 16 kHz in the given codecs and packet times, ms. In others it is encoded by whoever says it.
    pub fn new(samples: Vec<i16>, formats: &[(Codec, u8)]) -> Arc<Self> {
        Arc::new(Clip { encoded: encode_all(&samples, formats), samples, has_clicks: false })
    }

    pub(crate) fn has_clicks(&self) -> bool {
        self.has_clicks
    }

    /// The payload of the packet that begins at `position` (samples at 8 kHz); `None` when it was not encoded so.
    pub(crate) fn packet(&self, codec: Codec, ptime_ms: u8, position: u64) -> Option<&[u8]> {
        let encoded = self.encoded.iter().find(|each| each.codec == codec && each.ptime_ms == ptime_ms)?;
        let packet = position / (8 * u64::from(ptime_ms));
        let count = encoded.packets.len().max(1) as u64;
        encoded.packets.get((packet % count) as usize).map(Vec::as_slice)
    }

    /// What our own encoder and decoder do to a click, so that nobody takes it for a delay on the way.
    pub(crate) fn click_delay(&self, codec: Codec, ptime_ms: u8) -> Duration {
        let encoded = self.encoded.iter().find(|each| each.codec == codec && each.ptime_ms == ptime_ms);
        encoded.map_or(Duration::ZERO, |encoded| encoded.click_delay)
    }

    /// The sample at a position at 16 kHz.
    pub(crate) fn sample(&self, position: u64) -> i16 {
        let length = self.samples.len().max(1) as u64;
        self.samples.get((position % length) as usize).copied().unwrap_or(0)
    }
}

fn encode_all(samples: &[i16], formats: &[(Codec, u8)]) -> Vec<Encoded> {
    formats.iter().filter_map(|(codec, ptime_ms)| encode(samples, *codec, *ptime_ms)).collect()
}

/// The packets of a sound; `None` when the codec cannot have such packets.
fn encode(samples: &[i16], codec: Codec, ptime_ms: u8) -> Option<Encoded> {
    let mut encoder = Encoder::new(codec, CLIP_RATE_HZ, OPUS).ok()?;
    let packet = |samples: &[i16]| {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).ok().map(|()| payload)
    };
    let length = (CLIP_RATE_HZ / 1_000) as usize * usize::from(ptime_ms.max(1));
    let packets = samples.chunks_exact(length).map(packet).collect::<Option<Vec<_>>>()?;
    let click_delay = click_delay(codec, &packets);
    Some(Encoded { codec, ptime_ms, packets, click_delay })
}

/// Where the click of the second second begins when the packets are decoded; zero when there is none.
fn click_delay(codec: Codec, packets: &[Vec<u8>]) -> Duration {
    let Ok(mut decoder) = Decoder::new(codec, 8_000) else { return Duration::ZERO };
    let mut samples = Vec::new();
    for packet in packets {
        // We made it ourselves just now.
        let _ = decoder.decode(packet, &mut samples);
    }
    let second = clicks::PERIOD as usize;
    samples.get(second..2 * second).and_then(clicks::onset).unwrap_or(Duration::ZERO)
}

/// A voice without words: a gliding pitch with its harmonics, four syllables a second, at a fifth of full scale.
fn babble() -> Vec<i16> {
    let rate = CLIP_RATE_HZ as f32;
    let mut phase = 0.0_f32;
    let sample = |n: u32| {
        let time = n as f32 / rate;
        phase += TAU * (140.0 + 30.0 * (TAU * 0.5 * time).sin()) / rate;
        let harmonics: f32 = (1_u8..=12).map(|n| (phase * f32::from(n)).sin() / f32::from(n)).sum();
        let syllable = 0.5 - 0.5 * (TAU * 4.0 * time).cos();
        (harmonics * syllable * BABBLE_PEAK / 2.0 * f32::from(i16::MAX)) as i16
    };
    (0..SECONDS * CLIP_RATE_HZ).map(sample).collect()
}

/// Far below the clicks.
const BABBLE_PEAK: f32 = 0.2;
/// What telephones send: with FEC, without pauses.
pub(crate) const OPUS: OpusSettings =
    OpusSettings { fec: true, dtx: false, bitrate_max: None, constant: false, playback_hz_max: None };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_has_its_packets() {
        for (codec, ptime_ms, count) in [
            (Codec::Pcmu, 20, 300),
            (Codec::G722, 30, 200),
            (Codec::L16Wide, 10, 600),
            (Codec::Opus, 20, 300),
            (Codec::Opus, 60, 100),
        ] {
            let clip = Clip::with_clicks(&[(codec, ptime_ms)]);
            assert_eq!(clip.encoded[0].packets.len(), count, "{codec:?}");
            let step = 8 * u64::from(ptime_ms);
            let (first, later) = (clip.packet(codec, ptime_ms, 0), clip.packet(codec, ptime_ms, 4 * step));
            assert!(first.is_some() && later.is_some() && first != later, "{codec:?}");
            assert_eq!(clip.packet(codec, ptime_ms, step * count as u64), first, "it begins again");
            assert_eq!(clip.packet(codec, 40, 0), None);
        }
    }
}
