//! Opus in Ogg (RFC 7845) to mono audio at 8 kHz: prompts. Opens no file and writes none.
//!
//! Reads one stream of one or two channels; what is multiplexed beside it or chained after it is left alone.

use std::io::{Cursor, ErrorKind};

use ogg::{OggReadError, Packet, PacketReader};

use crate::wav::{RATE_HZ, Recording, SECONDS_MAX};

#[cfg(test)]
pub(crate) mod tests;

/// Why bytes are no recording that we take.
#[derive(Debug, thiserror::Error)]
pub enum OggError {
    /// The pages are damaged.
    #[error("damaged Ogg recording: {0}")]
    Damaged(#[from] OggReadError),
    /// Not the right kind of stream.
    #[error("not an Opus recording that we read: expected {expected}, found {found}")]
    Format {
        /// What we take.
        expected: String,
        /// What it is.
        found: String,
    },
    /// libopus refused a packet.
    #[error("damaged Opus packet {packet}: {cause}")]
    Packet {
        /// Which one, counted from 0.
        packet: usize,
        /// What libopus says.
        cause: opus::Error,
    },
}

/// The Opus clock, whatever rate was recorded (RFC 7845 §4).
const CLOCK_HZ: u32 = 48_000;
/// The longest packet, samples (120 ms).
const PACKET_SAMPLES_MAX: usize = RATE_HZ as usize * 120 / 1_000;
/// Packets of other streams, and such without audio, that are passed over.
const PASSED_OVER_MAX: usize = 100_000;

/// Reads a recording as mono at 8 kHz, at most [`SECONDS_MAX`]; one that ends early is taken as far as it goes.
///
/// # Errors
/// When the bytes are no Opus in Ogg, are damaged, or last too long.
pub fn read(bytes: &[u8]) -> Result<Recording, OggError> {
    let mut packets = PacketReader::new(Cursor::new(bytes));
    let Some(first) = packets.read_packet()? else {
        return Err(format("an Opus stream", "no packet"));
    };
    let head = Head::read(&first.data)?;
    let serial = first.stream_serial();
    let mut decoder = head.decoder()?;

    let mut samples: Vec<f32> = Vec::new();
    let mut block = [0.0; PACKET_SAMPLES_MAX];
    let (mut packet, mut passed_over, mut tags_seen) = (0, 0, false);
    let mut end = None;
    while let Some(next) = next_packet(&mut packets, !samples.is_empty())? {
        if next.stream_serial() != serial || next.data.is_empty() {
            passed_over += 1;
            if passed_over > PASSED_OVER_MAX {
                return Err(format("one stream", "many packets of others"));
            }
            continue;
        }
        if !tags_seen {
            tags_seen = true;
            if !next.data.starts_with(b"OpusTags") {
                return Err(format("OpusTags after OpusHead", "something else"));
            }
            continue;
        }
        let count = decoder.decode_float(&next.data, &mut block, false);
        let count = count.map_err(|cause| OggError::Packet { packet, cause })?;
        samples.extend_from_slice(&block[..count]);
        if samples.len() > head.skipped() + (SECONDS_MAX * RATE_HZ) as usize {
            return Err(format(format!("at most {SECONDS_MAX} seconds"), "more"));
        }
        packet += 1;
        if next.last_in_stream() {
            // The last page says where the audio ends, which may be within its last packet (RFC 7845 §4.4).
            end = usize::try_from(next.absgp_page() / u64::from(CLOCK_HZ / RATE_HZ)).ok();
            break;
        }
    }
    if packet == 0 {
        return Err(format("packets of audio", "none"));
    }
    samples.truncate(end.unwrap_or(usize::MAX));
    samples.drain(..head.skipped().min(samples.len()));
    Ok(Recording { samples, rate_hz: CLOCK_HZ, channels: head.channels.into() })
}

/// The next packet; once there is audio, bytes that end within a page are an end like another.
fn next_packet(packets: &mut PacketReader<Cursor<&[u8]>>, audio: bool) -> Result<Option<Packet>, OggError> {
    match packets.read_packet() {
        Err(OggReadError::ReadError(error)) if audio && error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        packet => Ok(packet?),
    }
}

/// The identification header (RFC 7845 §5.1).
struct Head {
    channels: u8,
    /// Samples at the beginning that only settle the decoder, at 48 kHz.
    pre_skip: u16,
    /// dB, in 1/256.
    gain: i16,
}

impl Head {
    fn read(packet: &[u8]) -> Result<Self, OggError> {
        let [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', version, channels, rest @ ..] = packet else {
            return Err(format("OpusHead", format!("{:02x?}", &packet[..packet.len().min(8)])));
        };
        let [skip_low, skip_high, _, _, _, _, gain_low, gain_high, family, ..] = rest else {
            return Err(format("an OpusHead of 19 bytes", format!("{} bytes", packet.len())));
        };
        // Versions up to 15 are readable (RFC 7845 §5.1); other families are surround sound.
        if *version > 15 {
            return Err(format("OpusHead version 1", format!("version {version}")));
        }
        if *family != 0 || !(1..=2).contains(channels) {
            return Err(format("one or two channels", format!("{channels} channels of mapping family {family}")));
        }
        let pre_skip = u16::from_le_bytes([*skip_low, *skip_high]);
        Ok(Self { channels: *channels, pre_skip, gain: i16::from_le_bytes([*gain_low, *gain_high]) })
    }

    fn decoder(&self) -> Result<opus::Decoder, OggError> {
        let refused = |cause| OggError::Packet { packet: 0, cause };
        let mut decoder = opus::Decoder::new(RATE_HZ, opus::Channels::Mono).map_err(refused)?;
        decoder.set_gain(self.gain.into()).map_err(refused)?;
        Ok(decoder)
    }

    /// The same at our rate.
    fn skipped(&self) -> usize {
        usize::from(self.pre_skip) * RATE_HZ as usize / CLOCK_HZ as usize
    }
}

fn format(expected: impl Into<String>, found: impl Into<String>) -> OggError {
    OggError::Format { expected: expected.into(), found: found.into() }
}
