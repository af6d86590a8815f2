//! Frames of a live copy as packets of a chunk, and back.

use media::Codec;
use media::codec::{CodecError, Decoder, Encoder, OpusSettings};
use media::copy::{CopyFrame, FRAME_SAMPLES};

use super::RATE_HZ;
use super::record::Chunk;

/// Frames of one chunk: five seconds. So much is lost when the program ends in the midst of one.
pub const FRAMES_MAX: usize = 250;
/// Packets of the chunk before that a decoder hears first: 80 ms, as RFC 7845 §4.6 asks for.
const FRAMES_BEFORE: usize = 4;

/// Why frames cannot be put into a chunk.
pub type ChunkError = CodecError;

/// What makes packets of both channels.
#[derive(Debug)]
pub struct Encoders {
    codec: Codec,
    said: Encoder,
    heard: Encoder,
    scratch: Vec<u8>,
}

impl Encoders {
    /// Encoders of a codec: Opus or PCMU.
    ///
    /// # Errors
    /// When the codec's library gives none.
    pub fn new(codec: Codec) -> Result<Self, ChunkError> {
        // Without DTX: it takes tones and music for silence.
        let encoder = || Encoder::new(codec, RATE_HZ, OpusSettings::default());
        Ok(Self { codec, said: encoder()?, heard: encoder()?, scratch: Vec::new() })
    }

    /// A chunk without frames.
    pub fn chunk(&self, position: u64) -> Chunk {
        let room = || Vec::with_capacity(FRAMES_MAX);
        Chunk { position, codec: self.codec, unread_ms: 0, said: room(), heard: room() }
    }

    /// Adds a frame to a chunk.
    ///
    /// # Errors
    /// When it cannot be encoded; then nothing is added.
    pub fn add(&mut self, frame: &CopyFrame, chunk: &mut Chunk) -> Result<(), ChunkError> {
        let Self { said, heard, scratch, .. } = self;
        let mut packet = |encoder: &mut Encoder, samples: &[i16]| {
            scratch.clear();
            encoder.encode(samples, scratch)?;
            Ok(scratch.as_slice().into())
        };
        let packets = (packet(said, &frame.left)?, packet(heard, &frame.right)?);
        chunk.said.push(packets.0);
        chunk.heard.push(packets.1);
        Ok(())
    }
}

/// The samples of a chunk; of its channels, `before` is what was there just before it, where there was anything. A packet that
/// is none is silence.
pub(super) fn decoded(before: Option<&Chunk>, chunk: &Chunk) -> Result<Vec<[i16; 2]>, ChunkError> {
    let before = before.filter(|before| before.codec == chunk.codec);
    let said = channel(before.map(|before| &before.said[..]), &chunk.said, chunk.codec)?;
    let heard = channel(before.map(|before| &before.heard[..]), &chunk.heard, chunk.codec)?;
    Ok(said.into_iter().zip(heard).map(|(said, heard)| [said, heard]).collect())
}

fn channel(before: Option<&[Box<[u8]>]>, packets: &[Box<[u8]>], codec: Codec) -> Result<Vec<i16>, ChunkError> {
    let mut decoder = Decoder::new(codec, RATE_HZ)?;
    let mut samples = Vec::with_capacity(packets.len() * FRAME_SAMPLES);
    let before = before.unwrap_or_default();
    for packet in &before[before.len().saturating_sub(FRAMES_BEFORE)..] {
        // Only what it leaves in the decoder counts.
        let _heard = decoder.decode(packet, &mut samples);
    }
    samples.clear();
    for (at, packet) in packets.iter().enumerate() {
        let _heard = decoder.decode(packet, &mut samples);
        samples.resize((at + 1) * FRAME_SAMPLES, 0);
    }
    Ok(samples)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn both_channels_come_back_each_by_itself() {
        for codec in [Codec::Opus, Codec::Pcmu] {
            let mut encoders = Encoders::new(codec).expect("an encoder");
            let mut chunks = Vec::new();
            for number in 0..2 {
                let mut chunk = encoders.chunk(number * 50 * FRAME_SAMPLES as u64);
                (0..50).for_each(|at| encoders.add(&frame(number * 50 + at), &mut chunk).expect("encoded"));
                chunks.push(chunk);
            }
            let samples = decoded(Some(&chunks[0]), &chunks[1]).expect("decoded");
            assert_eq!(samples.len(), 50 * FRAME_SAMPLES);
            for (channel, own, other) in [(0, 400.0, 1_000.0), (1, 1_000.0, 400.0)] {
                let (own, other) = (strength(&samples, channel, own), strength(&samples, channel, other));
                assert!(own > 0.2 && other < 0.02, "{codec:?}: {own} and {other} in channel {channel}");
            }
        }
    }

    #[test]
    fn what_is_no_packet_is_silence_in_its_place() {
        let mut encoders = Encoders::new(Codec::Pcmu).expect("an encoder");
        let mut chunk = encoders.chunk(0);
        (0..3).for_each(|at| encoders.add(&frame(at), &mut chunk).expect("encoded"));
        chunk.said[1] = Box::from([]);
        let samples = decoded(None, &chunk).expect("decoded");
        assert_eq!(samples.len(), 3 * FRAME_SAMPLES);
        assert!(samples[FRAME_SAMPLES..2 * FRAME_SAMPLES].iter().all(|[said, _]| *said == 0));
        assert!(samples[2 * FRAME_SAMPLES..].iter().any(|[said, _]| *said != 0));
    }

    /// The 20 ms of that number: 400 Hz on the left, 1,000 Hz on the right.
    pub(in crate::reel) fn frame(number: u64) -> CopyFrame {
        let position = number * FRAME_SAMPLES as u64;
        let tone = |hz: f64| {
            std::array::from_fn(|at| {
                let angle = std::f64::consts::TAU * hz * (position + at as u64) as f64 / f64::from(RATE_HZ);
                (angle.sin() * 10_000.0) as i16
            })
        };
        CopyFrame { position, left: tone(400.0), right: tone(1_000.0) }
    }

    /// How much of a tone is in a channel: its amplitude, 0-1.
    pub(in crate::reel) fn strength(samples: &[[i16; 2]], channel: usize, hz: f64) -> f64 {
        let angle = |at: usize| std::f64::consts::TAU * hz * at as f64 / f64::from(RATE_HZ);
        let sum = |wave: fn(f64) -> f64| -> f64 {
            samples.iter().enumerate().map(|(at, frame)| f64::from(frame[channel]) / 32_768.0 * wave(angle(at))).sum()
        };
        2.0 * sum(f64::cos).hypot(sum(f64::sin)) / samples.len().max(1) as f64
    }
}
