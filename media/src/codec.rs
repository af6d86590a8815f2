//! The audio codecs of the media path: what each is called on the wire, and how its packets become samples and back.
//!
//! Decoders and encoders hold the state of one direction of one leg, and allocate only when they are made.

mod conceal;
mod decoder;
mod encoder;
#[cfg(test)]
mod loss;
pub mod noise;
mod resample;
#[cfg(test)]
mod speech;
#[cfg(test)]
mod tests;
mod ticks;

pub use self::decoder::Decoder;
pub use self::encoder::{Encoder, OPUS_COMPLEXITY, OpusSettings};
pub(crate) use self::resample::Resampler;
use crate::g711::Law;

/// The rates at which samples are given and taken, Hz.
pub const RATES_HZ: [u32; 2] = [8_000, 16_000];
/// The longest packet that is decoded or encoded, ms.
pub const PACKET_MS_MAX: u32 = 200;

/// An audio codec, mono inside whatever its `rtpmap` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8 kHz, static payload type 0.
    Pcmu,
    /// G.711 A-law, 8 kHz, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s: sampled at 16 kHz, but its RTP clock is 8 kHz (RFC 3551 §4.5.2). Static payload type 9.
    G722,
    /// Opus (RFC 6716, RTP by RFC 7587): its RTP clock is always 48 kHz.
    Opus,
    /// Linear 16-bit samples, big-endian, 8 kHz (RFC 3551 §4.5.11).
    L16Narrow,
    /// Linear 16-bit samples, big-endian, 16 kHz.
    L16Wide,
}

impl Codec {
    /// All of them.
    pub const ALL: [Codec; 6] = [Codec::Pcma, Codec::Pcmu, Codec::L16Narrow, Codec::L16Wide, Codec::G722, Codec::Opus];

    /// The encoding name in `a=rtpmap` (RFC 3551 §6, RFC 7587 §7).
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
            Codec::L16Narrow | Codec::L16Wide => "L16",
        }
    }

    /// Ticks of the RTP timestamp per second, as `a=rtpmap` says it.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16Narrow => 8_000,
            Codec::L16Wide => 16_000,
            Codec::Opus => 48_000,
        }
    }

    /// Channels as `a=rtpmap` says it; Opus says two whatever it carries (RFC 7587 §7).
    pub const fn channels(self) -> u8 {
        match self {
            Codec::Opus => 2,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16Narrow | Codec::L16Wide => 1,
        }
    }

    /// The rate at which its audio is worth having, Hz: 8,000 for narrow-band, 16,000 for the others.
    pub const fn audio_rate_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow => 8_000,
            Codec::G722 | Codec::L16Wide | Codec::Opus => 16_000,
        }
    }

    /// The payload type that needs no `a=rtpmap` (RFC 3551 §6).
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Codec::Pcmu => Some(0),
            Codec::Pcma => Some(8),
            Codec::G722 => Some(9),
            Codec::Opus | Codec::L16Narrow | Codec::L16Wide => None,
        }
    }

    /// What a frame of 20 ms at `rate_hz` costs, µs, measured by the bench `codec` on one core of a shared server:
    /// good for choosing the cheaper of several ways, not for promises.
    pub const fn cost(self, rate_hz: u32) -> Cost {
        let (decode_us, encode_us) = match (self, rate_hz) {
            (Codec::Pcma | Codec::Pcmu, 8_000) => (0.1, 0.3),
            (Codec::Pcma | Codec::Pcmu, _) => (4.5, 2.6),
            (Codec::L16Narrow, 8_000) | (Codec::L16Wide, 16_000) => (0.1, 0.1),
            (Codec::L16Narrow, _) => (4.4, 2.3),
            (Codec::L16Wide, _) => (2.3, 4.4),
            (Codec::G722, 16_000) => (6.6, 10.4),
            (Codec::G722, _) => (8.8, 14.5),
            (Codec::Opus, 8_000) => (7.5, 25.0),
            (Codec::Opus, _) => (12.4, 54.0),
        };
        Cost { decode_us, encode_us }
    }

    /// What a call takes whose sides speak these two, µs for 20 ms of both: each side decoded and encoded for the other,
    /// at the rate that both can carry. Nothing for the same codec and for the two laws of G.711, which need no samples.
    pub fn cost_with(self, other: Codec) -> f32 {
        if self == other || self.law().is_some() && other.law().is_some() {
            return 0.0;
        }
        let rate_hz = self.audio_rate_hz().min(other.audio_rate_hz());
        [self, other].map(|codec| codec.cost(rate_hz)).iter().map(|cost| cost.decode_us + cost.encode_us).sum()
    }

    /// Which G.711 law it is, if it is one.
    pub const fn law(self) -> Option<Law> {
        match self {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            Codec::G722 | Codec::Opus | Codec::L16Narrow | Codec::L16Wide => None,
        }
    }
}

/// What 20 ms take of one core, µs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// From a packet to samples.
    pub decode_us: f32,
    /// From samples to a packet.
    pub encode_us: f32,
}

/// Why audio cannot be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The codec cannot be used at this rate.
    #[error("{} cannot be used at {rate_hz} Hz", codec.name())]
    Unsupported {
        /// The codec.
        codec: Codec,
        /// The rate of the samples, Hz.
        rate_hz: u32,
    },
    /// The payload is none of this codec's.
    #[error("malformed {} payload of {octets} octets", codec.name())]
    Payload {
        /// The codec.
        codec: Codec,
        /// Its length.
        octets: usize,
    },
    /// So many samples do not make one packet.
    #[error("{samples} samples do not make one {} packet", codec.name())]
    Frame {
        /// The codec.
        codec: Codec,
        /// How many were given.
        samples: usize,
    },
}

const fn samples_in_ms(rate_hz: u32, duration_ms: u32) -> usize {
    (rate_hz / 1_000 * duration_ms) as usize
}
