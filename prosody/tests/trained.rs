//! The analyzer on signals whose answer is known, and its promises about chunking and finite numbers.

#![expect(clippy::print_stdout, reason = "the accuracy table is meant to be read")]

mod synth;

use proptest::prelude::*;
use prosody::trained::{Analyzer, Frame, HOP, LOOK_AHEAD};
use synth::{Contour, Random, Voice, add_noise, telephone, voice};

#[test]
fn tones_are_within_one_percent() {
    for hz in [150.0, 180.0, 220.0, 333.0, 440.0, 590.0] {
        let samples: Vec<f32> =
            (0..8_000).map(|i| 0.3 * (std::f32::consts::TAU * hz * i as f32 / 8_000.0).sin()).collect();
        check_steady(&samples, hz, 0.01);
    }
}

#[test]
fn harmonics_without_the_fundamental_are_within_one_percent() {
    for hz in [70.0, 100.0, 140.0, 200.0, 290.0, 390.0, 500.0] {
        let harmonics = (2..).take_while(|k| hz * (*k as f32) < 3_400.0).filter(|k| hz * (*k as f32) > 300.0);
        let harmonics: Vec<usize> = harmonics.collect();
        let samples: Vec<f32> = (0..8_000)
            .map(|i| {
                let turn = hz * i as f32 / 8_000.0;
                harmonics.iter().map(|&k| 0.05 * (std::f32::consts::TAU * turn * k as f32).cos()).sum()
            })
            .collect();
        check_steady(&telephone(&samples), hz, 0.01);
    }
}

#[test]
fn vowels_over_the_telephone_keep_their_octave() {
    for hz in [75.0, 95.0, 130.0, 180.0, 240.0, 320.0] {
        for contour in [Contour::Steady, Contour::Vibrato(1.0), Contour::Glide(1.6)] {
            let voice = voice(hz, contour, 2.0, 5);
            let score = score(&voice, &analyze(&telephone(&voice.samples)));
            assert!(score.gross_percent() < 1.0, "{hz} Hz {contour:?}: {} % gross errors", score.gross_percent());
        }
    }
}

#[test]
fn a_voice_that_jumps_up_is_followed() {
    for hz in [100.0, 125.0, 150.0, 200.0] {
        let calm = voice(hz, Contour::Speech, 4.0, 50);
        let angry = voice(hz * 1.9, Contour::Speech, 2.0, 60);
        let both = Voice {
            samples: [calm.samples, angry.samples].concat(),
            pitch_hz: [calm.pitch_hz, angry.pitch_hz].concat(),
        };
        let score = score(&both, &analyze(&telephone(&both.samples)));
        assert!(score.gross_percent() < 5.0, "{hz} Hz: {} % gross errors", score.gross_percent());
    }
}

#[test]
fn accuracy_over_the_telephone() {
    check_accuracy("clean", None, 1.0);
    check_accuracy("white 10 dB", Some((false, 10.0)), 1.5);
    check_accuracy("white 5 dB", Some((false, 5.0)), 3.0);
    check_accuracy("babble 20 dB", Some((true, 20.0)), 3.0);
    check_accuracy("babble 10 dB", Some((true, 10.0)), 18.0);
}

#[test]
fn noise_and_silence_are_unvoiced() {
    let mut random = Random(11);
    let noise: Vec<f32> = (0..40_000).map(|_| 0.1 * random.normal()).collect();
    for samples in [noise, vec![0.0; 8_000], vec![0.5; 8_000]] {
        let frames = analyze(&samples);
        let voiced = frames[10..].iter().filter(|frame| frame.pitch_hz.is_some()).count();
        assert!(voiced * 50 < frames.len(), "{voiced} of {} frames are voiced", frames.len());
    }
}

#[test]
fn syllables_of_bursts_are_counted() {
    for rate in [2.0, 3.0, 4.0, 5.0, 6.0] {
        let samples: Vec<f32> = (0..40_000)
            .map(|i| {
                let time = i as f32 / 8_000.0;
                let envelope = (0.5 - 0.5 * (std::f32::consts::TAU * rate * time).cos()).powi(2) + 0.05;
                let tone = |k: f32| (std::f32::consts::TAU * 140.0 * k * time).sin();
                0.1 * envelope * (3..15).map(|k| tone(k as f32)).sum::<f32>()
            })
            .collect();
        let counted = analyze(&samples).iter().filter(|frame| frame.syllable).count() as f32;
        assert!((counted - 5.0 * rate).abs() <= 1.0, "{counted} nuclei at {rate} per second");
    }
}

#[test]
fn frames_come_out_in_order_after_the_look_ahead() {
    let mut analyzer = Analyzer::new();
    let mut out = Vec::new();
    for i in 0..4_000usize {
        analyzer.push(&[0.1], &mut out);
        let expected = ((i + 1) / HOP).saturating_sub(LOOK_AHEAD / HOP);
        assert_eq!(out.len(), expected, "after sample {i}");
    }
    analyzer.finish(&mut out);
    assert_eq!(out.len(), 50);
    assert!(out.iter().enumerate().all(|(i, frame)| frame.position == (i * HOP) as u64));
}

#[test]
fn a_finished_analyzer_starts_afresh() {
    let samples = telephone(&voice(130.0, Contour::Speech, 2.0, 3).samples);
    let mut analyzer = Analyzer::new();
    let [mut first, mut second] = [Vec::new(), Vec::new()];
    for out in [&mut first, &mut second] {
        analyzer.push(&samples, out);
        analyzer.finish(out);
    }
    assert_eq!(first, second);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunking_changes_nothing(seed in any::<u64>(), cuts in prop::collection::vec(1usize..400, 1..60)) {
        let samples = telephone(&voice(100.0 + (seed % 150) as f32, Contour::Speech, 1.0, seed).samples);
        let mut analyzer = Analyzer::new();
        let mut out = Vec::new();
        let mut rest = &samples[..];
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            analyzer.push(chunk, &mut out);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        analyzer.finish(&mut out);
        prop_assert_eq!(out, analyze(&samples));
    }

    #[test]
    fn frames_are_finite_and_in_range(samples in prop::collection::vec(
        prop_oneof![any::<f32>(), -1.0f32..1.0, Just(1.0f32), Just(-1.0f32), Just(f32::NAN)], 0..2_000,
    )) {
        for frame in analyze(&samples) {
            prop_assert!((-127.0..=0.001).contains(&frame.level_dbov), "level {}", frame.level_dbov);
            prop_assert!((0.0..=1.0).contains(&frame.voicing));
            prop_assert!(frame.tilt_db.is_finite() && frame.log_mel.iter().all(|m| m.is_finite()));
            prop_assert!(frame.pitch_hz.is_none_or(|hz| (59.9..=600.1).contains(&hz)), "{:?}", frame.pitch_hz);
        }
    }
}

/// What a pitch track got wrong, in frames.
#[derive(Default)]
struct Score {
    frames: usize,
    both_voiced: usize,
    gross: usize,
    voicing: usize,
}

impl Score {
    /// Frames more than 20 % off among those that are voiced in truth and track.
    fn gross_percent(&self) -> f32 {
        100.0 * self.gross as f32 / self.both_voiced.max(1) as f32
    }

    /// Frames with a gross or a voicing error among all.
    fn frame_percent(&self) -> f32 {
        100.0 * (self.gross + self.voicing) as f32 / self.frames.max(1) as f32
    }

    fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.both_voiced += other.both_voiced;
        self.gross += other.gross;
        self.voicing += other.voicing;
    }
}

fn score(voice: &Voice, frames: &[Frame]) -> Score {
    let mut score = Score::default();
    for frame in frames {
        let truth = voice.pitch_hz.get(frame.position as usize + HOP / 2).copied().unwrap_or(0.0);
        score.frames += 1;
        match frame.pitch_hz {
            Some(hz) if truth > 0.0 => {
                score.both_voiced += 1;
                score.gross += usize::from((hz / truth - 1.0).abs() > 0.2);
            }
            Some(_) => score.voicing += 1,
            None => score.voicing += usize::from(truth > 0.0),
        }
    }
    score
}

#[track_caller]
fn check_accuracy(name: &str, noise: Option<(bool, f32)>, gross_percent_max: f32) {
    let mut total = Score::default();
    for (seed, hz) in [80.0, 110.0, 150.0, 200.0, 260.0].into_iter().enumerate() {
        let mut voice = voice(hz, Contour::Speech, 8.0, seed as u64 + 40);
        if let Some((babble, snr_db)) = noise {
            add_noise(&mut voice, babble, snr_db, seed as u64);
        }
        total.add(&score(&voice, &analyze(&telephone(&voice.samples))));
    }
    let (gross, frame) = (total.gross_percent(), total.frame_percent());
    println!("telephone, {name}: GPE {gross:.1} % FFE {frame:.1} %");
    assert!(gross < gross_percent_max, "{name}: {gross} % gross pitch errors");
}

#[track_caller]
fn check_steady(samples: &[f32], hz: f32, tolerance: f32) {
    let frames = analyze(samples);
    for frame in &frames[5..frames.len() - 5] {
        let got = frame.pitch_hz.unwrap_or(0.0);
        assert!((got / hz - 1.0).abs() <= tolerance, "{got} instead of {hz} Hz at {}", frame.position);
    }
}

fn analyze(samples: &[f32]) -> Vec<Frame> {
    let mut analyzer = Analyzer::new();
    let mut out = Vec::new();
    analyzer.push(samples, &mut out);
    analyzer.finish(&mut out);
    out
}
