//! The pitch tracker on signals whose answer is known, and its promises about time, chunking and odd input.

use proptest::prelude::*;
use prosody::Analyzer;
use prosody::SampleRate::{self, Hz8000, Hz16000};
use prosody::pitch::{FINAL_HOPS, PITCH_HZ, PROVISIONAL_HOPS, Pitch, Tracker};
use prosody::synthetic::{self, Kind, Plan, Random, Voice};

#[test]
fn tones_are_within_four_percent() {
    for hz in [160.0, 220.0, 333.0, 440.0, 590.0] {
        check_steady(&tone(&[hz], Hz8000), Hz8000, hz, 0.04);
        check_steady(&tone(&[hz], Hz16000), Hz16000, hz, 0.04);
    }
}

#[test]
fn harmonics_without_the_fundamental_are_within_half_a_percent() {
    for hz in [70.0, 100.0, 140.0, 200.0, 290.0, 390.0] {
        let harmonics: Vec<f32> = (2..50).map(|k| hz * k as f32).filter(|hz| (300.0..3_400.0).contains(hz)).collect();
        check_steady(&synthetic::telephone_band(&tone(&harmonics, Hz8000)), Hz8000, hz, 0.005);
    }
}

#[test]
fn voices_over_the_telephone_keep_their_octave_and_their_voicing() {
    for kind in [Kind::Steady, Kind::Glide, Kind::Vibrato, Kind::Creaky, Kind::Whispered] {
        for (number, pitch_hz) in [80.0, 110.0, 160.0, 230.0, 320.0].into_iter().enumerate() {
            let voice = Voice::of(&Plan::new(kind, pitch_hz, 900 + number as u64));
            check(&voice, &telephone(&voice), Hz8000, (1.0, 2.0));
            check(&voice, &voice.samples, Hz16000, (1.0, 2.0));
        }
    }
}

/// Smoothing would lead on beyond the range where a voice turns round at its edge.
#[test]
fn pitches_stay_in_their_range_where_a_voice_leaves_it() {
    for (edge_hz, turn_octaves) in [(PITCH_HZ.0, 0.6), (PITCH_HZ.1, -0.6)] {
        for speed in [1.0, 2.0, 4.0] {
            let mut phase = 0.0;
            let samples: Vec<f32> = (0..8_000)
                .map(|i| {
                    let time_s = i as f32 / 8_000.0;
                    // Down to the edge and back, three times a second.
                    let away = turn_octaves * (std::f32::consts::PI * 3.0 * time_s).sin().abs().powf(speed);
                    phase += edge_hz * 1.001 * away.exp2() / 8_000.0;
                    (1..12).map(|k| (std::f32::consts::TAU * phase * k as f32).sin()).sum::<f32>() * 0.05
                })
                .collect();
            let (mut analyzer, mut rows) = (Analyzer::new(Hz8000), Vec::new());
            analyzer.push(&samples, &mut rows);
            assert!(rows.iter().any(|row| row.pitch_hz.is_some()));
            for hz in rows.iter().filter_map(|row| row.pitch_hz) {
                assert!((PITCH_HZ.0..=PITCH_HZ.1).contains(&hz), "{hz} Hz");
            }
        }
    }
}

#[test]
fn noise_costs_little() {
    let (mut white, mut babble) = (Wrong::default(), Wrong::default());
    for (number, pitch_hz) in [90.0, 130.0, 170.0, 220.0, 280.0, 330.0].into_iter().enumerate() {
        let seed = 950 + number as u64;
        let voice = Voice::of(&Plan::new(Kind::Glide, pitch_hz, seed));
        let noise = synthetic::telephone_band(&synthetic::white(voice.samples.len() / 2, seed));
        white.add(&voice, &with_noise(&voice, &noise, 10.0), Hz8000);
        let noise = synthetic::half_rate(&synthetic::babble(voice.samples.len(), seed));
        babble.add(&voice, &with_noise(&voice, &synthetic::telephone_band(&noise), 15.0), Hz8000);
    }
    white.check((5.0, 5.0));
    babble.check((4.0, 6.0));
}

#[test]
fn a_voice_that_jumps_up_is_followed() {
    for pitch_hz in [100.0, 130.0, 170.0] {
        let calm = Voice::of(&Plan::new(Kind::Phrases, pitch_hz, 970));
        let angry = Voice::of(&Plan::new(Kind::Phrases, 1.9 * pitch_hz, 971));
        let both = Voice {
            samples: [calm.samples, angry.samples].concat(),
            pitch_hz: [calm.pitch_hz, angry.pitch_hz].concat(),
            periods: Vec::new(),
            formants_hz: Vec::new(),
        };
        check(&both, &telephone(&both), Hz8000, (1.0, 5.0));
    }
}

#[test]
fn noise_and_silence_are_unvoiced() {
    let mut random = Random::new(11);
    let noise: Vec<f32> = (0..40_000).map(|_| 0.1 * random.normal()).collect();
    for samples in [noise, vec![0.0; 8_000], vec![0.5; 8_000]] {
        let pitches = track(&samples, Hz8000);
        let voiced = pitches[10..].iter().filter(|pitch| pitch.hz.is_some()).count();
        assert!(voiced * 50 < pitches.len(), "{voiced} of {} hops are voiced", pitches.len());
    }
}

#[test]
fn pitches_come_out_in_order_and_after_the_stated_time() {
    for rate in [Hz8000, Hz16000] {
        let mut tracker = Tracker::new(rate);
        let mut out = Vec::new();
        for i in 1..=50 * rate.hop() {
            tracker.push(&[0.1], &mut out);
            let hops = i / rate.hop();
            assert_eq!(out.len(), hops.saturating_sub(FINAL_HOPS), "after sample {i}");
            let early = hops.checked_sub(PROVISIONAL_HOPS + 1).map(|hop| (hop * rate.hop()) as u64);
            assert_eq!(tracker.provisional().map(|pitch| pitch.position), early, "after sample {i}");
        }
        tracker.finish(&mut out);
        assert_eq!(out.len(), 50);
        assert!(out.iter().enumerate().all(|(i, pitch)| pitch.position == (i * rate.hop()) as u64));
    }
}

#[test]
fn the_provisional_pitch_is_mostly_the_final_one() {
    let voice = Voice::of(&Plan::new(Kind::Whispered, 140.0, 980));
    let samples = telephone(&voice);
    let mut tracker = Tracker::new(Hz8000);
    let (mut out, mut early) = (Vec::new(), Vec::new());
    for hop in samples.chunks(80) {
        tracker.push(hop, &mut out);
        early.extend(tracker.provisional());
    }
    let same = |(early, last): (&Pitch, &Pitch)| match (early.hz, last.hz) {
        (Some(early), Some(last)) => (early / last - 1.0).abs() < 0.03,
        (None, None) => true,
        _ => false,
    };
    let agreeing = early.iter().zip(&out).filter(|pair| same(*pair)).count();
    assert!(agreeing * 100 >= 93 * out.len(), "{agreeing} of {} agree", out.len());
}

#[test]
fn a_finished_tracker_starts_afresh() {
    let samples = telephone(&Voice::of(&Plan::new(Kind::Phrases, 130.0, 3)));
    let mut tracker = Tracker::new(Hz8000);
    let [mut first, mut second] = [Vec::new(), Vec::new()];
    for out in [&mut first, &mut second] {
        tracker.push(&samples, out);
        tracker.finish(out);
    }
    assert_eq!(first, second);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chunking_changes_nothing(seed in any::<u64>(), wide in any::<bool>(), cuts in prop::collection::vec(1usize..400, 1..60)) {
        let rate = if wide { Hz16000 } else { Hz8000 };
        let voice = Voice::of(&Plan { seconds: 0.8, ..Plan::new(Kind::Phrases, 100.0 + (seed % 150) as f32, seed) });
        let samples = if wide { voice.samples } else { telephone(&voice) };
        let mut tracker = Tracker::new(rate);
        let mut out = Vec::new();
        let mut rest = &samples[..];
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            tracker.push(chunk, &mut out);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        tracker.finish(&mut out);
        prop_assert_eq!(out, track(&samples, rate));
    }

    #[test]
    fn values_are_finite_and_in_range(wide in any::<bool>(), samples in prop::collection::vec(
        prop_oneof![any::<f32>(), -1.0f32..1.0, Just(1.0f32), Just(-1.0f32), Just(f32::NAN)], 0..4_000,
    )) {
        for pitch in track(&samples, if wide { Hz16000 } else { Hz8000 }) {
            prop_assert!((0.0..=1.0).contains(&pitch.voicing));
            prop_assert!(pitch.hz.is_none_or(|hz| (PITCH_HZ.0 - 0.1..=PITCH_HZ.1 + 0.1).contains(&hz)), "{:?}", pitch.hz);
        }
    }
}

#[track_caller]
fn check(voice: &Voice, samples: &[f32], rate: SampleRate, max: (f32, f32)) {
    let mut wrong = Wrong::default();
    wrong.add(voice, samples, rate);
    wrong.check(max);
}

/// Frames that were counted.
#[derive(Debug, Default)]
struct Wrong {
    frames: usize,
    both: usize,
    gross: usize,
    voicing: usize,
}

impl Wrong {
    fn add(&mut self, voice: &Voice, samples: &[f32], rate: SampleRate) {
        for pitch in track(samples, rate) {
            let truth = voice.pitch_at((pitch.position as f32 + 0.5 * rate.hop() as f32) / rate.hz() as f32);
            self.frames += 1;
            match pitch.hz {
                Some(hz) if truth > 0.0 => {
                    self.both += 1;
                    self.gross += usize::from((hz / truth - 1.0).abs() > 0.2);
                }
                hz => self.voicing += usize::from(hz.is_some() != (truth > 0.0)),
            }
        }
    }

    /// Gross errors among the frames voiced in truth and track, and all wrong frames, stay below these percentages.
    #[track_caller]
    fn check(&self, (gross_max, wrong_max): (f32, f32)) {
        let gross = 100.0 * self.gross as f32 / self.both.max(1) as f32;
        let wrong = 100.0 * (self.gross + self.voicing) as f32 / self.frames as f32;
        assert!(gross <= gross_max && wrong <= wrong_max, "{gross} % gross, {wrong} % wrong");
    }
}

fn with_noise(voice: &Voice, noise: &[f32], snr_db: f32) -> Vec<f32> {
    let mut samples = telephone(voice);
    synthetic::add_at_snr(&mut samples, noise, &voice.pitch_hz, 8_000, snr_db);
    samples
}

#[track_caller]
fn check_steady(samples: &[f32], rate: SampleRate, hz: f32, tolerance: f32) {
    let pitches = track(samples, rate);
    for pitch in &pitches[12..pitches.len() - 8] {
        let got = pitch.hz.unwrap_or(0.0);
        assert!((got / hz - 1.0).abs() <= tolerance, "{got} instead of {hz} Hz at {}", pitch.position);
    }
}

/// A second of these frequencies after 0.1 s of something very quiet.
fn tone(frequencies: &[f32], rate: SampleRate) -> Vec<f32> {
    let mut random = Random::new(5);
    (0..rate.hz() as usize * 11 / 10)
        .map(|i| {
            let time_s = i as f32 / rate.hz() as f32 - 0.1;
            let sum: f32 = frequencies.iter().map(|hz| (std::f32::consts::TAU * hz * time_s).sin()).sum();
            0.000_1 * random.normal() + if time_s > 0.0 { 0.3 / frequencies.len() as f32 * sum } else { 0.0 }
        })
        .skip(if frequencies.is_empty() { 0 } else { rate.hz() as usize / 20 })
        .collect()
}

fn telephone(voice: &Voice) -> Vec<f32> {
    synthetic::telephone_band(&synthetic::half_rate(&voice.samples))
}

fn track(samples: &[f32], rate: SampleRate) -> Vec<Pitch> {
    let mut tracker = Tracker::new(rate);
    let mut out = Vec::new();
    tracker.push(samples, &mut out);
    tracker.finish(&mut out);
    out
}
