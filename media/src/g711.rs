//! G.711 over slices: µ-law and A-law octets to and from linear samples at 8 kHz (ITU-T G.711).
//!
//! The tables are those of `audio-codec-algorithms`; nothing is buffered and nothing is resampled here.

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
use dasp::Sample;

use crate::Codec;

/// One octet as a linear sample.
pub fn decode_sample(codec: Codec, octet: u8) -> i16 {
    match codec {
        Codec::Pcmu => decode_ulaw(octet),
        Codec::Pcma => decode_alaw(octet),
    }
}

/// One linear sample as an octet.
pub fn encode_sample(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcmu => encode_ulaw(sample),
        Codec::Pcma => encode_alaw(sample),
    }
}

/// Appends the samples of a payload.
pub fn decode(codec: Codec, payload: &[u8], samples: &mut Vec<i16>) {
    samples.extend(payload.iter().map(|octet| decode_sample(codec, *octet)));
}

/// Appends the samples of a payload, in `[-1, 1)`.
pub fn decode_to_f32(codec: Codec, payload: &[u8], samples: &mut Vec<f32>) {
    samples.extend(payload.iter().map(|octet| decode_sample(codec, *octet).to_sample::<f32>()));
}

/// Appends the octets of some samples.
pub fn encode(codec: Codec, samples: &[i16], payload: &mut Vec<u8>) {
    payload.extend(samples.iter().map(|sample| encode_sample(codec, *sample)));
}

/// Appends the octets of some samples in `[-1, 1]`; what is louder is clipped.
pub fn encode_from_f32(codec: Codec, samples: &[f32], payload: &mut Vec<u8>) {
    payload.extend(samples.iter().map(|sample| encode_sample(codec, to_i16(*sample))));
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
        check(Codec::Pcmu, 0xff, 0);
        check(Codec::Pcmu, 0x80, 32_124);
        check(Codec::Pcmu, 0x00, -32_124);
        check(Codec::Pcma, 0xd5, 8);
        check(Codec::Pcma, 0x55, -8);
        check(Codec::Pcma, 0xaa, 32_256);
        check(Codec::Pcma, 0x2a, -32_256);
    }

    #[test]
    fn every_octet_survives_the_way_round() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let octets: Vec<u8> = (0..=255).filter(|octet| (codec, *octet) != (Codec::Pcmu, 0x7f)).collect();
            let mut samples = Vec::new();
            decode(codec, &octets, &mut samples);
            let mut again = Vec::new();
            encode(codec, &samples, &mut again);
            assert_eq!(again, octets);

            let mut floats = Vec::new();
            decode_to_f32(codec, &octets, &mut floats);
            again.clear();
            encode_from_f32(codec, &floats, &mut again);
            assert_eq!(again, octets);
        }
    }

    #[test]
    fn quantisation_error_is_small_beside_the_sample() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            for codec in [Codec::Pcmu, Codec::Pcma] {
                let got = decode_sample(codec, encode_sample(codec, sample));
                let error = (i32::from(got) - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 16, "{codec:?}: {sample} became {got}");
            }
        }
    }

    #[test]
    fn out_of_range_is_clipped() {
        assert_eq!([2.0, 1.0, -1.0, -2.0, f32::NAN].map(to_i16), [i16::MAX, i16::MAX, i16::MIN, i16::MIN, 0]);
    }

    #[track_caller]
    fn check(codec: Codec, octet: u8, sample: i16) {
        assert_eq!(decode_sample(codec, octet), sample);
        assert_eq!(encode_sample(codec, sample), octet);
    }
}
