//! Tests of what is heard when packets are lost: silence, concealment, and what Opus packets tell of the one before.

use super::speech::{sentence, vowel};
use super::*;

/// What stands in for a lost packet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Instead {
    Silence,
    Concealed,
    Recovered,
}

#[test]
fn concealment_beats_silence_in_speech() {
    // PESQ of one sentence; a difference of 0.2 is heard.
    for (percent, burst, better) in [(5, 1, 0.3), (10, 1, 0.4), (10, 3, 0.4), (20, 3, 0.4)] {
        for codec in [Codec::Pcmu, Codec::G722] {
            let silent = quality(codec, percent, burst, Instead::Silence);
            let concealed = quality(codec, percent, burst, Instead::Concealed);
            assert!(concealed > silent + better, "{codec:?} {percent} % by {burst}: {silent:.2} to {concealed:.2}");
        }
    }
}

#[test]
fn concealment_is_as_good_as_the_one_of_opus() {
    for (percent, burst) in [(5, 1), (10, 1), (10, 3)] {
        let ours = quality(Codec::Pcmu, percent, burst, Instead::Concealed);
        let theirs = quality(Codec::Opus, percent, burst, Instead::Concealed);
        assert!(ours > theirs, "{percent} % by {burst}: {ours:.2} and {theirs:.2}");
    }
}

#[test]
fn what_the_next_packet_tells_beats_concealment() {
    for (percent, burst, better) in [(5, 1, 0.3), (10, 1, 0.4), (10, 3, 0.1)] {
        let concealed = quality(Codec::Opus, percent, burst, Instead::Concealed);
        let recovered = quality(Codec::Opus, percent, burst, Instead::Recovered);
        assert!(recovered > concealed + better, "{percent} % by {burst}: {concealed:.2} to {recovered:.2}");
    }
}

#[test]
fn a_lost_part_of_a_vowel_is_nearer_than_silence() {
    for rate_hz in RATES_HZ {
        for codec in [Codec::Pcma, Codec::L16Narrow, Codec::L16Wide, Codec::G722] {
            for pitch_hz in [90.0, 120.0, 180.0, 260.0] {
                let said = vowel(rate_hz, pitch_hz, 3_000);
                let lost = pattern(150, 10, 1, 5);
                let whole = through_loss(codec, rate_hz, &said, &[false; 150], Instead::Concealed);
                let heard = through_loss(codec, rate_hz, &said, &lost, Instead::Concealed);
                // Silence is as far away as the signal is loud: 0 dB. The pitch glides, so much more cannot be had.
                let got_db = snr_where_lost_db(&whole, &heard, &lost);
                assert!(got_db > 2.5, "{codec:?} at {rate_hz} Hz, pitch {pitch_hz} Hz: {got_db:.1} dB");
            }
        }
    }
}

#[test]
fn a_gap_has_no_seam_and_ends_in_silence() {
    for rate_hz in RATES_HZ {
        for pitch_hz in [90.0, 180.0] {
            let said = vowel(rate_hz, pitch_hz, 1_000);
            let (lost_from, lost_to) = (20, 30);
            let lost: Vec<bool> = (0..50).map(|n| (lost_from..lost_to).contains(&n)).collect();
            let codec = if rate_hz == 8_000 { Codec::L16Narrow } else { Codec::L16Wide };
            let heard = through_loss(codec, rate_hz, &said, &lost, Instead::Concealed);
            let steepest = |audio: &[i16]| audio.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max();
            assert!(steepest(&heard) <= steepest(&said).map(|step| step + step / 10), "{rate_hz} Hz, {pitch_hz} Hz");

            let at = |millis: usize| samples_in_ms(rate_hz, 400) + millis * rate_hz as usize / 1_000;
            let loudest = |from: usize, to: usize| heard[at(from)..at(to)].iter().map(|s| s.unsigned_abs()).max();
            assert!(loudest(0, 15) > Some(7_000), "as loud as before");
            assert!(loudest(40, 60) < Some(4_000), "fading");
            assert_eq!(loudest(60, 200), Some(0));
            // Back after 10 ms, sample for sample.
            assert_eq!(heard[at(210)..], said[at(210)..]);
        }
    }
}

#[test]
fn any_count_is_concealed() {
    for codec in Codec::ALL {
        for rate_hz in RATES_HZ {
            let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
            for count in [0, 1, 7, 80, 161, 320, 1_441, 5_000] {
                let mut heard = vec![9; 3];
                decoder.conceal(count, &mut heard);
                assert_eq!(heard.len(), 3 + count, "{codec:?} at {rate_hz} Hz");
            }
        }
    }
}

/// Mean PESQ of a sentence through two patterns of loss.
fn quality(codec: Codec, percent: u64, burst: usize, instead: Instead) -> f32 {
    let said = sentence();
    let scores = [1, 2].map(|seed| {
        let lost = pattern(said.len() / 160, percent, burst, seed);
        let heard = through_loss(codec, 8_000, &said, &lost, instead);
        pesq::pesq_8k(&said, &heard).expect("seconds of speech")
    });
    scores.iter().sum::<f32>() / scores.len() as f32
}

fn snr_where_lost_db(whole: &[i16], heard: &[i16], lost: &[bool]) -> f64 {
    let frame = whole.len() / lost.len();
    let (mut signal, mut noise) = (0.0, 0.0);
    for (_, (whole, heard)) in whole.iter().zip(heard).enumerate().filter(|(n, _)| lost[n / frame]) {
        signal += f64::from(*whole).powi(2);
        noise += (f64::from(*whole) - f64::from(*heard)).powi(2);
    }
    10.0 * (signal / noise).log10()
}

/// Which of `count` packets are lost: about `percent` of them, in runs of `burst`.
fn pattern(count: usize, percent: u64, burst: usize, seed: u64) -> Vec<bool> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed << 32);
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 10_000
    };
    let mut lost = Vec::with_capacity(count + burst);
    while lost.len() < count {
        let run = draw() * (burst as u64) < percent * 100;
        lost.extend(std::iter::repeat_n(run, if run { burst } else { 1 }));
    }
    lost.truncate(count);
    lost
}

/// Through an encoder, a network that loses packets of 20 ms, and a decoder.
fn through_loss(codec: Codec, rate_hz: u32, audio: &[i16], lost: &[bool], instead: Instead) -> Vec<i16> {
    let settings = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
    let mut encoder = Encoder::new(codec, rate_hz, settings).expect("every codec at both rates");
    let mut decoder = Decoder::new(codec, rate_hz).expect("every codec at both rates");
    let frame = samples_in_ms(rate_hz, 20);
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for samples in audio.chunks_exact(frame) {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).expect("20 ms");
        packets.push(payload);
    }
    let mut heard = Vec::new();
    for (n, payload) in packets.iter().enumerate() {
        if !lost[n] {
            assert_eq!(decoder.decode(payload, &mut heard), Ok(frame));
            continue;
        }
        match (instead, packets.get(n + 1).filter(|_| !lost[n + 1])) {
            (Instead::Silence, _) => heard.resize(heard.len() + frame, 0),
            (Instead::Recovered, Some(next)) => decoder.recover(next, frame, &mut heard),
            _ => decoder.conceal(frame, &mut heard),
        }
    }
    heard
}
