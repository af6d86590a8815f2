//! G.711 without decoding: µ-law to A-law and back, octet by octet.
//!
//! No state; the arithmetic itself is the codec crate's (ITU-T G.711).

use audio_codec_algorithms::{convert_alaw_to_ulaw, convert_ulaw_to_alaw};

use crate::g711::Law;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711;

    #[test]
    fn conversion_is_what_decoding_hears() {
        let tables = Tables::new();
        for octet in 0..=255_u8 {
            check(&tables, Law::Mu, Law::A, octet);
            check(&tables, Law::A, Law::Mu, octet);
        }
    }

    /// The converted octet sounds like the first, within the coarser law's step.
    fn check(tables: &Tables, from: Law, to: Law, octet: u8) {
        let mut payload = [octet];
        tables.convert(from, to, &mut payload);
        let before = i32::from(g711::decode_sample(from, octet));
        let after = i32::from(g711::decode_sample(to, payload[0]));
        let step = before.abs() / 16 + 16;
        assert!((before - after).abs() <= step, "{octet}: {before} became {after}");
    }
}
