//! G.711 over slices: µ-law and A-law octets to and from linear samples at 8 kHz (ITU-T G.711).
//!
//! The tables are those of `audio-codec-algorithms`; nothing is buffered and nothing is resampled here.

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
use dasp::Sample;

/// The two companding laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// µ-law, PCMU.
    Mu,
    /// A-law, PCMA.
    A,
}

/// One octet as a linear sample.
pub fn decode_sample(law: Law, octet: u8) -> i16 {
    match law {
        Law::Mu => decode_ulaw(octet),
        Law::A => decode_alaw(octet),
    }
}

/// One linear sample as an octet.
pub fn encode_sample(law: Law, sample: i16) -> u8 {
    match law {
        Law::Mu => encode_ulaw(sample),
        Law::A => encode_alaw(sample),
    }
}

/// Appends the samples of a payload.
pub fn decode(law: Law, payload: &[u8], samples: &mut Vec<i16>) {
    samples.extend(payload.iter().map(|octet| decode_sample(law, *octet)));
}

/// Appends the samples of a payload, in `[-1, 1)`.
pub fn decode_to_f32(law: Law, payload: &[u8], samples: &mut Vec<f32>) {
    samples.extend(payload.iter().map(|octet| decode_sample(law, *octet).to_sample::<f32>()));
}

/// Appends the octets of some samples.
pub fn encode(law: Law, samples: &[i16], payload: &mut Vec<u8>) {
    payload.extend(samples.iter().map(|sample| encode_sample(law, *sample)));
}

/// Appends the octets of some samples in `[-1, 1]`; what is louder is clipped.
pub fn encode_from_f32(law: Law, samples: &[f32], payload: &mut Vec<u8>) {
    payload.extend(samples.iter().map(|sample| encode_sample(law, to_i16(*sample))));
}

/// A sample in `[-1, 1]` as 16 bits; what is louder is clipped, what is no number is silence.
pub fn to_i16(sample: f32) -> i16 {
    // `as` saturates and takes NaN to zero.
    (sample * -f32::from(i16::MIN)).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_octets() {
        // ITU-T G.711: the quietest and loudest octets of both laws.
        check(Law::Mu, 0xff, 0);
        check(Law::Mu, 0x80, 32_124);
        check(Law::Mu, 0x00, -32_124);
        check(Law::A, 0xd5, 8);
        check(Law::A, 0x55, -8);
        check(Law::A, 0xaa, 32_256);
        check(Law::A, 0x2a, -32_256);
    }

    #[test]
    fn every_octet_survives_the_way_round() {
        for law in [Law::Mu, Law::A] {
            let octets: Vec<u8> = (0..=255).filter(|octet| (law, *octet) != (Law::Mu, 0x7f)).collect();
            let mut samples = Vec::new();
            decode(law, &octets, &mut samples);
            let mut again = Vec::new();
            encode(law, &samples, &mut again);
            assert_eq!(again, octets);

            let mut floats = Vec::new();
            decode_to_f32(law, &octets, &mut floats);
            again.clear();
            encode_from_f32(law, &floats, &mut again);
            assert_eq!(again, octets);
        }
    }

    #[test]
    fn quantisation_error_is_small_beside_the_sample() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            for law in [Law::Mu, Law::A] {
                let got = decode_sample(law, encode_sample(law, sample));
                let error = (i32::from(got) - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 16, "{law:?}: {sample} became {got}");
            }
        }
    }

    #[test]
    fn out_of_range_is_clipped() {
        assert_eq!([2.0, 1.0, -1.0, -2.0, f32::NAN].map(to_i16), [i16::MAX, i16::MAX, i16::MIN, i16::MIN, 0]);
    }

    #[track_caller]
    fn check(law: Law, octet: u8, sample: i16) {
        assert_eq!(decode_sample(law, octet), sample);
        assert_eq!(encode_sample(law, sample), octet);
    }
}
