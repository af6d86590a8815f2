//! G.711 as tables and loops: µ-law to A-law and back byte by byte, samples to octets and back.
//!
//! No state; the arithmetic itself is the codec crate's (ITU-T G.711).

use audio_codec_algorithms::{convert_alaw_to_ulaw, convert_ulaw_to_alaw};

use crate::g711::{self, Law};

/// Conversion tables between the two laws.
#[derive(Debug)]
pub(super) struct Tables {
    to_pcma: [u8; 256],
    to_pcmu: [u8; 256],
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            to_pcma: std::array::from_fn(|octet| convert_ulaw_to_alaw(octet as u8)),
            to_pcmu: std::array::from_fn(|octet| convert_alaw_to_ulaw(octet as u8)),
        }
    }

    /// Converts a payload in place.
    pub(super) fn convert(&self, from: Law, to: Law, payload: &mut [u8]) {
        let table = match (from, to) {
            (Law::Mu, Law::A) => &self.to_pcma,
            (Law::A, Law::Mu) => &self.to_pcmu,
            (Law::Mu, Law::Mu) | (Law::A, Law::A) => return,
        };
        for octet in payload {
            *octet = table[usize::from(*octet)];
        }
    }
}

/// Samples of a payload.
pub(super) fn decode(law: Law, payload: &[u8]) -> impl ExactSizeIterator<Item = i16> {
    payload.iter().map(move |&octet| g711::decode_sample(law, octet))
}

/// Octets of a frame, appended to `bytes`.
pub(super) fn encode(law: Law, frame: &[i16], bytes: &mut Vec<u8>) {
    g711::encode(law, frame, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_is_what_decoding_hears() {
        let tables = Tables::new();
        for octet in 0..=255_u8 {
            check(&tables, Law::Mu, Law::A, octet);
            check(&tables, Law::A, Law::Mu, octet);
        }
    }

    #[test]
    fn encoding_follows_decoding() {
        for law in [Law::Mu, Law::A] {
            let octets: Vec<u8> = (0..=255).collect();
            let samples: Vec<i16> = decode(law, &octets).collect();
            let mut again = Vec::new();
            encode(law, &samples, &mut again);
            let heard: Vec<i16> = decode(law, &again).collect();
            assert_eq!(heard, samples);
        }
    }

    /// The converted octet sounds like the first, within the coarser law's step.
    fn check(tables: &Tables, from: Law, to: Law, octet: u8) {
        let mut payload = [octet];
        tables.convert(from, to, &mut payload);
        let before = i32::from(decode(from, &[octet]).next().unwrap_or(0));
        let after = i32::from(decode(to, &payload).next().unwrap_or(0));
        let step = before.abs() / 16 + 16;
        assert!((before - after).abs() <= step, "{octet}: {before} became {after}");
    }
}
