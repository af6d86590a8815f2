//! Packets of one codec become mono samples at one rate; what is missing is rebuilt or concealed.

use crate::g711::{self, Law};
use crate::{Codec, codec::CodecError};

/// The state of one direction of one leg.
#[derive(Debug)]
pub struct Decoder {
    law: Law,
}

impl Decoder {
    /// A decoder whose samples come out at `rate_hz`: 8,000 or 16,000.
    ///
    /// # Errors
    /// When the codec's library gives no decoder.
    pub fn new(codec: Codec, rate_hz: u32) -> Result<Self, CodecError> {
        let law = codec.law().filter(|_| rate_hz == 8_000);
        Ok(Self { law: law.ok_or(CodecError::Unsupported { codec, rate_hz })? })
    }

    /// Samples that a payload holds, at the rate of this decoder, without decoding it; `None` when it is malformed.
    pub fn samples_in(&self, payload: &[u8]) -> Option<usize> {
        Some(payload.len())
    }

    /// Appends the samples of one packet's payload; returns how many.
    ///
    /// # Errors
    /// When the payload is none of this codec's; nothing is appended then.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<usize, CodecError> {
        g711::decode(self.law, payload, samples);
        Ok(payload.len())
    }

    /// Appends `count` samples in place of a lost packet, from what the packet after it still tells of it
    /// (Opus in-band FEC); conceals when it tells nothing.
    pub fn recover(&mut self, next_payload: &[u8], count: usize, samples: &mut Vec<i16>) {
        let _ = next_payload;
        self.conceal(count, samples);
    }

    /// Appends `count` samples in place of something that is missing.
    pub fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        samples.resize(samples.len() + count, 0);
    }
}
