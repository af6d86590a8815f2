//! Mono samples at one rate become packets of one codec.

use std::fmt;

use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;

use super::resample::Resampler;
use super::{PACKET_MS_MAX, samples_in_ms};
use crate::g711::{self, Law};
use crate::{Codec, codec::CodecError};

/// How Opus is encoded; the other codecs have nothing to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpusSettings {
    /// Each packet tells a little about the one before it (RFC 6716 §2.1.7).
    pub fec: bool,
    /// Nothing is sent while nobody speaks (RFC 6716 §2.1.9).
    pub dtx: bool,
    /// The most bits per second that the far end wants (`maxaveragebitrate`); `None` for the codec's choice.
    pub bitrate_max: Option<u32>,
    /// Every packet is as long as the others (`cbr`).
    pub constant: bool,
    /// The highest rate at which the far end plays, Hz (`maxplaybackrate`): the band above its half is left out.
    pub playback_hz_max: Option<u32>,
}

/// How hard Opus tries unless told otherwise, 0 to 10: see `Encoder::set_opus_complexity`.
///
/// From 2 on, encoding takes twice to three times as long.
pub const OPUS_COMPLEXITY: u8 = 1;
/// Packets that the encoder thinks are lost when FEC is on, per cent; it spends bits on them.
const OPUS_LOSS_PERCENT: i32 = 10;
/// Bits per second of speech at 8 and 16 kHz, without a wish from the far end, and what FEC takes in addition:
/// libopus leaves FEC out when a packet has no room for it.
const OPUS_NARROW_BITRATE: u32 = 16_000;
const OPUS_WIDE_BITRATE: u32 = 24_000;
const OPUS_FEC_BITRATE: u32 = 8_000;
/// What libopus takes (RFC 7587 §7.1: `maxaveragebitrate`).
const OPUS_BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;
/// The longest payload that is made, octets: fits an Ethernet frame with room for SRTP.
const OPUS_OCTETS_MAX: usize = 1_275;
/// The most frames that are put into one packet: 60 ms of 10 ms each.
const OPUS_FRAMES_MAX: usize = 6;
/// The longest frame that is put into a packet with others, octets: RFC 6716 §3.4 lets none be longer than 1,275.
const OPUS_FRAME_OCTETS_MAX: usize = OPUS_OCTETS_MAX / OPUS_FRAMES_MAX;

/// The state of one direction of one leg.
pub struct Encoder {
    codec: Codec,
    rate_hz: u32,
    kind: Kind,
}

enum Kind {
    Waveform(Box<Waveform>),
    Opus(Box<Opus>),
}

/// A codec that takes samples at its own rate.
struct Waveform {
    coding: Coding,
    resampler: Option<Resampler>,
    /// Samples at the codec's own rate, when that is not the one given.
    scratch: Vec<i16>,
}

enum Coding {
    Law(Law),
    G722(Box<G722Encoder>),
    Linear,
}

struct Opus {
    encoder: opus::Encoder,
    scratch: [u8; OPUS_OCTETS_MAX],
    packer: opus::Repacketizer,
    /// The frames of a packet that holds several.
    frames: [[u8; OPUS_FRAME_OCTETS_MAX]; OPUS_FRAMES_MAX],
}

impl Encoder {
    /// An encoder that takes samples at `rate_hz`: 8,000 or 16,000.
    ///
    /// # Errors
    /// At another rate, or when the codec's library gives no encoder.
    pub fn new(codec: Codec, rate_hz: u32, opus: OpusSettings) -> Result<Self, CodecError> {
        let unsupported = CodecError::Unsupported { codec, rate_hz };
        if !super::RATES_HZ.contains(&rate_hz) {
            return Err(unsupported);
        }
        let coding = match codec {
            Codec::Opus => {
                let encoder = opus_encoder(rate_hz, opus).map_err(|_| unsupported)?;
                let opus = Opus {
                    encoder,
                    scratch: [0; OPUS_OCTETS_MAX],
                    packer: opus::Repacketizer::new().map_err(|_| unsupported)?,
                    frames: [[0; OPUS_FRAME_OCTETS_MAX]; OPUS_FRAMES_MAX],
                };
                return Ok(Self { codec, rate_hz, kind: Kind::Opus(Box::new(opus)) });
            }
            Codec::Pcmu => Coding::Law(Law::Mu),
            Codec::Pcma => Coding::Law(Law::A),
            Codec::G722 => Coding::G722(Box::default()),
            Codec::L16Narrow | Codec::L16Wide => Coding::Linear,
        };
        let own_hz = codec.audio_rate_hz();
        let waveform = Waveform {
            coding,
            resampler: Resampler::new(rate_hz, own_hz),
            scratch: Vec::with_capacity(samples_in_ms(own_hz, PACKET_MS_MAX)),
        };
        Ok(Self { codec, rate_hz, kind: Kind::Waveform(Box::new(waveform)) })
    }

    /// How hard Opus tries, 0 to 10; other codecs do not care. More costs time: the bench `codec` says how much.
    pub fn set_opus_complexity(&mut self, complexity: u8) {
        if let Kind::Opus(opus) = &mut self.kind {
            // It takes 0 to 10 only, and keeps what it has when it fails.
            let _kept = opus.encoder.set_complexity(i32::from(complexity.min(10)));
        }
    }

    /// Goes on where another encoder of the same stream has come to, as far as the codec has such a state that can be handed on:
    /// G.722's decoder is in step with who sends, and makes noise for a tenth of a second when that one is replaced by a fresh one.
    pub fn go_on_from(&mut self, other: &mut Encoder) {
        let (Kind::Waveform(own), Kind::Waveform(others)) = (&mut self.kind, &mut other.kind) else { return };
        if let (Coding::G722(own), Coding::G722(others)) = (&mut own.coding, &mut others.coding) {
            std::mem::swap(own, others);
        }
    }

    /// Appends the payload of one packet that holds all of `samples`: 10, 20, 30, 40, 50 or 60 ms.
    ///
    /// # Errors
    /// When the codec cannot make one packet of that many samples; nothing is appended then.
    pub fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), CodecError> {
        let wrong = CodecError::Frame { codec: self.codec, samples: samples.len() };
        // G.722 pairs its samples, and so does a change of rate.
        let fits = (2..=samples_in_ms(self.rate_hz, PACKET_MS_MAX)).contains(&samples.len());
        if !fits || !samples.len().is_multiple_of(2) {
            return Err(wrong);
        }
        match &mut self.kind {
            Kind::Opus(opus) => {
                let octets = opus.encode(samples, samples_in_ms(self.rate_hz, 10)).map_err(|_| wrong)?;
                payload.extend_from_slice(&opus.scratch[..octets]);
            }
            Kind::Waveform(waveform) => waveform.encode(samples, payload),
        }
        Ok(())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Encoder");
        fields.field("codec", &self.codec).field("rate_hz", &self.rate_hz).finish_non_exhaustive()
    }
}

fn opus_encoder(rate_hz: u32, settings: OpusSettings) -> Result<opus::Encoder, opus::Error> {
    let mut encoder = opus::Encoder::new(rate_hz, opus::Channels::Mono, opus::Application::Voip)?;
    let speech = if rate_hz == 8_000 { OPUS_NARROW_BITRATE } else { OPUS_WIDE_BITRATE };
    let usual = if settings.fec { speech + OPUS_FEC_BITRATE } else { speech };
    let bitrate = settings.bitrate_max.unwrap_or(usual).min(usual);
    let bitrate = bitrate.clamp(*OPUS_BITRATES.start(), *OPUS_BITRATES.end());
    encoder.set_bitrate(opus::Bitrate::Bits(bitrate as i32))?;
    encoder.set_complexity(i32::from(OPUS_COMPLEXITY))?;
    encoder.set_signal(opus::Signal::Voice)?;
    encoder.set_inband_fec(settings.fec)?;
    encoder.set_packet_loss_perc(if settings.fec { OPUS_LOSS_PERCENT } else { 0 })?;
    encoder.set_dtx(settings.dtx)?;
    encoder.set_vbr(!settings.constant)?;
    if let Some(widest) = settings.playback_hz_max.and_then(band) {
        encoder.set_max_bandwidth(widest)?;
    }
    Ok(encoder)
}

/// The widest band that is heard at a rate of playing (RFC 7587 §3.1.1); `None` for whatever we can make.
fn band(playback_hz: u32) -> Option<opus::Bandwidth> {
    match playback_hz {
        ..12_000 => Some(opus::Bandwidth::Narrowband),
        12_000..16_000 => Some(opus::Bandwidth::Mediumband),
        16_000.. => None,
    }
}

impl Opus {
    /// Encodes into the scratch; `piece` is 10 ms of samples.
    fn encode(&mut self, samples: &[i16], piece: usize) -> Result<usize, opus::Error> {
        // No frame is 30 or 50 ms long (RFC 6716 §2.1.4), and frames of one packet are all of one length (§3.1).
        let pieces = samples.len() / piece;
        if !matches!(pieces, 3 | 5) || !samples.len().is_multiple_of(piece) {
            return self.encoder.encode(samples, &mut self.scratch);
        }
        let mut lengths = [0; OPUS_FRAMES_MAX];
        for (at, samples) in samples.chunks_exact(piece).enumerate() {
            lengths[at] = self.encoder.encode(samples, &mut self.frames[at])?;
        }
        let mut packet = self.packer.begin();
        for (frame, length) in self.frames.iter().zip(lengths).take(pieces) {
            packet.cat(&frame[..length])?;
        }
        packet.out(&mut self.scratch)
    }
}

impl Waveform {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        let Some(resampler) = &mut self.resampler else {
            return self.coding.encode(samples, payload);
        };
        self.scratch.clear();
        resampler.process(samples, &mut self.scratch);
        self.coding.encode(&self.scratch, payload);
    }
}

impl Coding {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        match self {
            Coding::Law(law) => g711::encode(*law, samples, payload),
            Coding::G722(encoder) => {
                let from = payload.len();
                payload.resize(from + samples.len() / 2, 0);
                let written = encoder.encode_into(samples, &mut payload[from..]).unwrap_or(0);
                payload.truncate(from + written);
            }
            Coding::Linear => payload.extend(samples.iter().flat_map(|sample| sample.to_be_bytes())),
        }
    }
}
