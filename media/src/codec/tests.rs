//! Every codec there and back at both rates, by spectrum, signal-to-noise ratio and PESQ; bytes that are no packets.

use proptest::prelude::*;

use super::speech::{bands_db, delay, segmental_snr_db, sentence, tone, vowel};
use super::*;

const PLAIN: OpusSettings =
    OpusSettings { fec: false, dtx: false, bitrate_max: None, constant: false, playback_hz_max: None };

#[test]
fn a_vowel_keeps_its_waveform() {
    // Eight logarithmic bits give 37 dB at any level. G.722 spends 48 kbit/s on the lower band and is near that.
    // A change of rate is late by a part of a sample, which alone leaves 20 dB to a comparison sample by sample.
    for (codec, narrow_db, wide_db) in [
        (Codec::Pcmu, 36.0, 18.0),
        (Codec::Pcma, 36.0, 18.0),
        (Codec::L16Narrow, 44.9, 18.0),
        (Codec::L16Wide, 18.0, 44.9),
        (Codec::G722, 18.0, 36.0),
    ] {
        for (rate_hz, expected_db) in [(8_000, narrow_db), (16_000, wide_db)] {
            let said = vowel(rate_hz, 120.0, 2_000);
            let heard = round_trip(codec, rate_hz, &said);
            let late = delay(&said[..said.len() / 2], &heard, samples_in_ms(rate_hz, 20));
            assert!(late <= samples_in_ms(rate_hz, 6), "{codec:?} at {rate_hz} Hz is {late} samples late");
            let got_db = segmental_snr_db(&said, &heard[late..], samples_in_ms(rate_hz, 20));
            assert!(got_db >= expected_db, "{codec:?} at {rate_hz} Hz: {got_db:.1} dB");
        }
    }
}

#[test]
fn a_vowel_keeps_its_spectrum() {
    for codec in Codec::ALL {
        for rate_hz in RATES_HZ {
            let said = bands_db(&vowel(rate_hz, 120.0, 2_000), rate_hz);
            let heard = bands_db(&round_trip(codec, rate_hz, &vowel(rate_hz, 120.0, 2_000)), rate_hz);
            let loudest = said.iter().copied().fold(f64::MIN, f64::max);
            // Opus takes away what is below 80 Hz on purpose; the quiet bands are quantisation noise.
            for (band, (said_db, heard_db)) in said.iter().zip(&heard).enumerate().skip(1) {
                if *said_db > loudest - 30.0 {
                    assert!((said_db - heard_db).abs() < 2.0, "{codec:?} at {rate_hz} Hz, band {band}");
                }
                assert!(
                    *heard_db < loudest - 5.0 || *said_db > loudest - 10.0,
                    "{codec:?} at {rate_hz} Hz, band {band}"
                );
            }
        }
    }
}

#[test]
fn tones_pass_up_to_the_edge_of_the_band_and_not_beyond() {
    for codec in Codec::ALL {
        for rate_hz in RATES_HZ {
            let edge_hz = 0.42 * codec.audio_rate_hz().min(rate_hz) as f32;
            for tone_hz in [300.0, 1_000.0, 2_000.0, 3_000.0, edge_hz] {
                let gain_db = gain_db(codec, rate_hz, tone_hz);
                assert!(gain_db.abs() < 2.0, "{codec:?} at {rate_hz} Hz, {tone_hz} Hz: {gain_db:.1} dB");
            }
            if codec.audio_rate_hz() < rate_hz {
                let gain_db = gain_db(codec, rate_hz, 5_000.0);
                assert!(gain_db < -50.0, "{codec:?} at {rate_hz} Hz, 5,000 Hz: {gain_db:.1} dB");
            }
        }
    }
}

#[test]
fn speech_sounds_as_it_should() {
    // ITU-T P.862 of synthesised speech against itself, 4.5 at best: G.711 is known for 4.1 to 4.4,
    // G.722 and a change of rate cost a little, Opus at 16 kbit/s somewhat more.
    for (codec, expected) in [
        (Codec::Pcmu, 4.1),
        (Codec::Pcma, 4.1),
        (Codec::L16Narrow, 4.49),
        (Codec::L16Wide, 4.1),
        (Codec::G722, 4.0),
        (Codec::Opus, 3.7),
    ] {
        let said = sentence();
        let got = pesq::pesq_8k(&said, &round_trip(codec, 8_000, &said)).expect("seconds of speech");
        assert!(got >= expected, "{codec:?}: {got:.2}");
    }
}

#[test]
fn speech_through_every_pair_sounds_as_it_should() {
    // What a transcoded call does: coded, decoded, coded otherwise, decoded. docs/AUDIO.md has the same of people.
    let said = sentence();
    for from in Codec::ALL {
        let first = round_trip(from, 8_000, &said);
        for to in Codec::ALL.into_iter().filter(|to| *to != from) {
            let expected = if from == Codec::Opus || to == Codec::Opus { 3.4 } else { 3.8 };
            let got = pesq::pesq_8k(&said, &round_trip(to, 8_000, &first)).expect("seconds of speech");
            assert!(got >= expected, "{from:?} to {to:?}: {got:.2}");
        }
    }
}

#[test]
fn packets_of_every_length() {
    for codec in Codec::ALL {
        for rate_hz in RATES_HZ {
            for duration_ms in [10, 20, 30, 40, 50, 60] {
                let mut encoder = encoder(codec, rate_hz);
                let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
                let frame = vec![500; samples_in_ms(rate_hz, duration_ms)];
                let (mut payload, mut heard) = (vec![7], Vec::new());
                let encoded = encoder.encode(&frame, &mut payload);
                assert_eq!((encoded, payload[0]), (Ok(()), 7));
                assert_eq!(decoder.decode(&payload[1..], &mut heard), Ok(frame.len()), "{codec:?} {duration_ms} ms");
                assert_eq!(heard.len(), frame.len());
            }
        }
    }
}

#[test]
fn opus_packs_what_is_no_frame() {
    for rate_hz in RATES_HZ {
        for (duration_ms, frames) in [(10, 1), (20, 1), (30, 3), (40, 1), (50, 5), (60, 1)] {
            let mut encoder = encoder(Codec::Opus, rate_hz);
            let said = vowel(rate_hz, 120.0, 1_200);
            for samples in said.chunks_exact(samples_in_ms(rate_hz, duration_ms)) {
                let mut payload = Vec::new();
                encoder.encode(samples, &mut payload).expect("a packet");
                assert_eq!(opus::packet::get_nb_frames(&payload).ok(), Some(frames), "{duration_ms} ms");
                assert_eq!(Codec::Opus.ticks_in(&payload), duration_ms * 48, "{duration_ms} ms");
            }
        }
    }
    // Packed audio is as good as the rest.
    let (mut encoder, mut decoder) = (encoder(Codec::Opus, 8_000), Decoder::new(Codec::Opus, 8_000).expect("Opus"));
    let said = sentence();
    let mut heard = Vec::new();
    for samples in said.chunks_exact(240) {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).expect("30 ms");
        decoder.decode(&payload, &mut heard).expect("it is ours");
    }
    let got = pesq::pesq_8k(&said[..heard.len()], &heard).expect("seconds of speech");
    assert!(got >= 3.6, "{got:.2}");
}

#[test]
fn opus_is_as_the_far_end_wants_it() {
    let packets = |settings: OpusSettings, samples: &[i16], length: usize| -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(Codec::Opus, 16_000, settings).expect("Opus");
        let packet = |samples: &[i16]| {
            let mut payload = Vec::new();
            encoder.encode(samples, &mut payload).map(|()| payload).expect("a packet")
        };
        samples.chunks_exact(length).map(packet).collect()
    };
    let said = vowel(16_000, 120.0, 2_000);
    let octets = |packets: &[Vec<u8>]| -> Vec<usize> { packets.iter().map(Vec::len).collect() };

    let constant = packets(OpusSettings { constant: true, ..PLAIN }, &said, 320);
    assert!(octets(&constant).windows(2).all(|pair| pair[0] == pair[1]), "{:?}", octets(&constant));
    assert!(octets(&packets(PLAIN, &said, 320)).windows(2).any(|pair| pair[0] != pair[1]));

    for (bitrate, most) in [(6_000, 20), (12_000, 40), (510_000, 80)] {
        let limited = packets(OpusSettings { bitrate_max: Some(bitrate), ..PLAIN }, &said, 320);
        let mean = octets(&limited).iter().sum::<usize>() / limited.len();
        assert!(mean <= most, "{bitrate} bit/s: {mean} octets per packet");
    }
    for (playback_hz_max, widest) in [
        (Some(8_000), opus::Bandwidth::Narrowband),
        (Some(12_000), opus::Bandwidth::Mediumband),
        (Some(16_000), opus::Bandwidth::Wideband),
        (None, opus::Bandwidth::Wideband),
    ] {
        let last = packets(OpusSettings { playback_hz_max, ..PLAIN }, &said, 320).pop().expect("some");
        assert_eq!(opus::packet::get_bandwidth(&last).ok(), Some(widest), "{playback_hz_max:?}");
    }
    // Silence is left out when that is wanted, in packets of one frame and of several.
    for length in [320, 480] {
        let silence = vec![0; 32_000];
        let left_out = |settings| packets(settings, &silence, length).iter().filter(|packet| packet.len() <= 2).count();
        assert_eq!(left_out(PLAIN), 0);
        assert!(left_out(OpusSettings { dtx: true, ..PLAIN }) > 32_000 / length / 2, "{length} samples");
    }
}

#[test]
fn a_stereo_packet_becomes_mono() {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).expect("libopus");
    let mut decoder = Decoder::new(Codec::Opus, 16_000).expect("Opus");
    let mut heard = Vec::new();
    let left = tone(48_000, 440.0, 500);
    for frame in left.chunks_exact(960) {
        let both: Vec<i16> = frame.iter().flat_map(|sample| [*sample, *sample]).collect();
        let mut payload = [0; 1_275];
        let octets = encoder.encode(&both, &mut payload).expect("20 ms");
        assert_eq!(opus::packet::get_nb_channels(&payload[..octets]).ok(), Some(opus::Channels::Stereo));
        assert_eq!(decoder.decode(&payload[..octets], &mut heard), Ok(320));
    }
    assert!((power_db(&heard[1_600..]) - power_db(&left[4_800..])).abs() < 0.5);
}

#[test]
fn what_is_no_packet_is_refused() {
    for codec in Codec::ALL {
        for rate_hz in RATES_HZ {
            let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
            let mut heard = vec![1];
            let malformed = |octets| Err(CodecError::Payload { codec, octets });
            assert_eq!(decoder.decode(&[], &mut heard), malformed(0));
            assert_eq!(decoder.decode(&[3; 7_001], &mut heard), malformed(7_001));
            assert_eq!(heard, [1]);
            let samples = 3;
            let odd = encoder(codec, rate_hz).encode(&[0; 3], &mut Vec::new());
            assert_eq!(odd, Err(CodecError::Frame { codec, samples }));
        }
        let rate_hz = 48_000;
        assert_eq!(Decoder::new(codec, rate_hz).err(), Some(CodecError::Unsupported { codec, rate_hz }));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        codec in prop::sample::select(Codec::ALL.as_slice()),
        rate_hz in prop::sample::select(RATES_HZ.as_slice()),
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 0_u8..4, 0_usize..2_000), 1..12),
    ) {
        let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
        for (payload, what, count) in packets {
            let mut heard = Vec::new();
            match what {
                0 => decoder.conceal(count, &mut heard),
                1 => decoder.recover(&payload, count, &mut heard),
                _ => {
                    let announced = decoder.samples_in(&payload);
                    let decoded = decoder.decode(&payload, &mut heard);
                    prop_assert_eq!(decoded.unwrap_or(0), heard.len());
                    if decoded.is_ok() {
                        prop_assert_eq!(announced, Some(heard.len()));
                    }
                    continue;
                }
            }
            prop_assert_eq!(heard.len(), count);
        }
    }

    #[test]
    fn any_samples_are_encoded(
        codec in prop::sample::select(Codec::ALL.as_slice()),
        rate_hz in prop::sample::select(RATES_HZ.as_slice()),
        loudness in prop::sample::select([1_i32, 1_000, 32_767].as_slice()),
        noise in prop::collection::vec(-1.0_f32..=1.0, 320),
    ) {
        let frame: Vec<i16> = noise[..samples_in_ms(rate_hz, 20)].iter().map(|n| (n * loudness as f32) as i16).collect();
        let mut encoder = encoder(codec, rate_hz);
        let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
        for _ in 0..5 {
            let mut payload = Vec::new();
            prop_assert_eq!(encoder.encode(&frame, &mut payload), Ok(()));
            prop_assert_eq!(decoder.decode(&payload, &mut Vec::new()), Ok(frame.len()));
        }
    }
}

/// What a tone loses or gains, once everything has started.
fn gain_db(codec: Codec, rate_hz: u32, tone_hz: f32) -> f64 {
    let said = tone(rate_hz, tone_hz, 500);
    let heard = round_trip(codec, rate_hz, &said);
    let settled = samples_in_ms(rate_hz, 100);
    power_db(&heard[settled..]) - power_db(&said[settled..])
}

fn power_db(audio: &[i16]) -> f64 {
    let power: f64 = audio.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (power / audio.len() as f64).max(1e-3).log10()
}

fn encoder(codec: Codec, rate_hz: u32) -> Encoder {
    Encoder::new(codec, rate_hz, PLAIN).expect("every codec at both rates")
}

/// Through an encoder and a decoder in packets of 20 ms.
fn round_trip(codec: Codec, rate_hz: u32, audio: &[i16]) -> Vec<i16> {
    let mut encoder = encoder(codec, rate_hz);
    let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
    let (mut payload, mut heard) = (Vec::new(), Vec::new());
    for frame in audio.chunks_exact(samples_in_ms(rate_hz, 20)) {
        payload.clear();
        encoder.encode(frame, &mut payload).expect("20 ms");
        assert_eq!(decoder.samples_in(&payload), Some(frame.len()));
        assert_eq!(decoder.decode(&payload, &mut heard), Ok(frame.len()));
    }
    heard
}
