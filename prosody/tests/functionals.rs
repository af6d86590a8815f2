//! Functionals of contours whose answer is known, and the equality of sliding and filling anew.

use proptest::prelude::*;
use prosody::SampleRate::Hz8000;
use prosody::functionals::{FUNCTIONAL_NAMES, FUNCTIONALS, Functionals};
use prosody::synthetic::{self, Kind, Plan, Voice};
use prosody::{Analyzer, DESCRIPTORS, Descriptor, Row, Smoothed, Smoother, quality::Level};

/// The golden names are openSMILE 3.0's (`compare/descriptors.py --names`).
#[test]
fn columns_are_called_as_opensmile_calls_them() {
    let theirs: Vec<&str> = include_str!("golden/opensmile-names.txt").lines().collect();
    let ours: Vec<String> = prosody::smoothed_names().chain(FUNCTIONAL_NAMES.map(str::to_owned)).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn nothing_gives_zeros_but_for_the_level_of_silence() {
    let values = Functionals::new(100).values();
    assert!(values[..FUNCTIONALS - 1].iter().all(|value| *value == 0.0), "{values:?}");
    check(&values, "equivalentSoundLevel_dBp", -120.0);
}

#[test]
fn a_line_of_loudness_has_known_percentiles() {
    let values = told(&smoothed((0..101).map(|i| row(i, None, i as f32 / 100.0))));
    // Smoothing pulls the first and last value inwards.
    check(&values, "loudness_sma3_amean", 0.5);
    check(&values, "loudness_sma3_percentile20.0", 0.2);
    check(&values, "loudness_sma3_percentile50.0", 0.5);
    check(&values, "loudness_sma3_pctlrange0-2", 0.6);
    check(&values, "loudnessPeaksPerSec", 0.0);
}

#[test]
fn slopes_and_peaks_of_a_triangle() {
    // Up in 0.3 s and down in 0.2 s, four times.
    let wave = |i: u64| if i % 50 < 30 { (i % 50) as f32 / 30.0 } else { (50 - i % 50) as f32 / 20.0 };
    let values = told(&smoothed((0..200).map(|i| row(i, None, wave(i)))));
    check(&values, "loudnessPeaksPerSec", 2.0);
    // Smoothed over three hops the corners are a little blunt.
    check_near(&values, "loudness_sma3_meanRisingSlope", 1.0 / 0.3, 0.2);
    check_near(&values, "loudness_sma3_meanFallingSlope", 1.0 / 0.2, 0.3);
    check_near(&values, "loudness_sma3_stddevRisingSlope", 0.0, 0.05);
}

#[test]
fn stretches_of_voice_are_counted_and_measured() {
    // 20 hops without, then twice 50 with and 30 without.
    let voiced = |i: u64| i >= 20 && (i - 20) % 80 < 50;
    let values = told(&smoothed((0..180).map(|i| row(i, voiced(i).then_some(110.0), 1.0))));
    check(&values, "VoicedSegmentsPerSec", 2.0 / 1.8);
    check(&values, "MeanVoicedSegmentLengthSec", 0.5);
    check(&values, "StddevVoicedSegmentLengthSec", 0.0);
    check(&values, "MeanUnvoicedSegmentLength", 0.8 / 3.0);
    check(&values, "F0semitoneFrom27.5Hz_sma3nz_amean", 24.0);
    check(&values, "F0semitoneFrom27.5Hz_sma3nz_stddevNorm", 0.0);
    check(&values, "equivalentSoundLevel_dBp", -30.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sliding_is_filling_anew(seed in any::<u64>(), window in 1usize..150) {
        let voice = Voice::of(&Plan { seconds: 2.0, ..Plan::new(Kind::Phrases, 90.0 + (seed % 200) as f32, seed) });
        let (mut analyzer, mut rows) = (Analyzer::new(Hz8000), Vec::new());
        analyzer.push(&synthetic::telephone_band(&synthetic::half_rate(&voice.samples)), &mut rows);
        let hops = smoothed(rows.into_iter());
        let mut sliding = Functionals::new(window);
        for (i, hop) in hops.iter().enumerate() {
            sliding.push(hop);
            if i % 7 == 0 {
                prop_assert_eq!(sliding.values(), told(&hops[(i + 1).saturating_sub(window)..=i]));
            }
        }
    }

    #[test]
    fn values_are_finite(values in prop::collection::vec((any::<f32>(), any::<bool>()), 0..80)) {
        let hops = smoothed(values.iter().enumerate().map(|(i, &(value, voiced))| {
            let value = if value.is_finite() { value.clamp(-1e5, 1e5) } else { 0.0 };
            Row { descriptors: [value; DESCRIPTORS], ..row(i as u64, voiced.then_some(200.0), value) }
        }));
        prop_assert!(told(&hops).iter().all(|value| value.is_finite()));
    }
}

#[track_caller]
fn check(values: &[f32; FUNCTIONALS], name: &str, expected: f32) {
    check_near(values, name, expected, 2e-3);
}

#[track_caller]
fn check_near(values: &[f32; FUNCTIONALS], name: &str, expected: f32, tolerance: f32) {
    let place = FUNCTIONAL_NAMES.iter().position(|other| *other == name).expect("a known name");
    assert!((values[place] - expected).abs() <= tolerance, "{name}: {} instead of {expected}", values[place]);
}

fn told(hops: &[Smoothed]) -> [f32; FUNCTIONALS] {
    let mut functionals = Functionals::new(hops.len());
    hops.iter().for_each(|hop| functionals.push(hop));
    functionals.values()
}

fn smoothed(rows: impl Iterator<Item = Row>) -> Vec<Smoothed> {
    let mut smoother = Smoother::default();
    let mut hops: Vec<Smoothed> = rows.filter_map(|row| smoother.push(&row)).collect();
    hops.extend(smoother.finish());
    hops
}

/// A row at −30 dBov with these two values and nothing else.
fn row(number: u64, pitch_hz: Option<f32>, loudness: f32) -> Row {
    let mut descriptors = [0.0; DESCRIPTORS];
    descriptors[Descriptor::Loudness as usize] = loudness;
    descriptors[Descriptor::Pitch as usize] = pitch_hz.map_or(0.0, prosody::semitones);
    let level = Level { dbov: -30.0, peak: 0.1, clipped: 0.0 };
    Row { position: 80 * number, pitch_hz, voicing: 0.5, level, descriptors }
}
