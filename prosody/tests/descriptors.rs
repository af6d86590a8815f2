//! Descriptors of voices whose truth is known, and the promises of the analyzer: time, chunking, memory, odd input.

use proptest::prelude::*;
use prosody::SampleRate::{self, Hz8000, Hz16000};
use prosody::pitch::FINAL_HOPS;
use prosody::synthetic::{self, Kind, Plan, Random, Voice};
use prosody::{Analyzer, Descriptor, Row, Smoother};

#[test]
fn formants_are_those_of_the_tract_in_both_bands() {
    for (rate, shares) in [(Hz16000, [0.88, 0.95, 0.85]), (Hz8000, [0.68, 0.95, 0.82])] {
        let (mut near, mut all) = ([0; 3], 0);
        for number in 0..8 {
            let voice = Voice::of(&Plan::new(Kind::Phrases, 90.0 + 22.0 * number as f32, 8_100 + number));
            for row in rows(&heard(&voice, rate), rate).iter().filter(|row| row.pitch_hz.is_some()) {
                let ms = (row.position * 1_000 / u64::from(rate.hz())) as usize + 5;
                let Some(truth) = voice.formants_hz.get(ms).filter(|_| voice.pitch_hz[ms] > 0.0) else { continue };
                all += 1;
                for (i, descriptor) in
                    [Descriptor::Formant1, Descriptor::Formant2, Descriptor::Formant3].into_iter().enumerate()
                {
                    near[i] += usize::from((row.get(descriptor) / truth[i].0 - 1.0).abs() < 0.1);
                }
            }
        }
        let got = near.map(|near| near as f32 / all as f32);
        assert!(got.iter().zip(shares).all(|(got, least)| *got >= least), "{got:?} of {all} within 10 %, {rate:?}");
    }
}

/// 40 such voices in `eval features`: docs/PROSODY.md.
#[test]
fn jitter_and_shimmer_follow_the_truth_in_both_bands() {
    for (rate, jitter_min, shimmer_min) in [(Hz16000, 0.55, 0.85), (Hz8000, 0.45, 0.85)] {
        let (mut jitter, mut shimmer) = (Vec::new(), Vec::new());
        for number in 0..24 {
            let mut random = Random::new(number);
            let plan = Plan {
                jitter_percent: random.between(0.1, 2.0),
                shimmer_db: random.between(0.1, 1.5),
                ..Plan::new(Kind::Steady, 80.0 * 4f32.powf((number % 12) as f32 / 12.0), 7_100 + number)
            };
            let voice = Voice::of(&plan);
            let rows = rows(&heard(&voice, rate), rate);
            jitter.push((voice.jitter(), mean(&rows, Descriptor::Jitter)));
            shimmer.push((voice.shimmer_db(), mean(&rows, Descriptor::Shimmer)));
        }
        let got = (correlation(&jitter), correlation(&shimmer));
        assert!(got.0 > jitter_min && got.1 > shimmer_min, "{got:?}, {rate:?}");
    }
}

#[test]
fn harmonicity_is_the_ratio_of_the_voice_to_its_noise() {
    for (rate, pitch_hz) in [(Hz16000, 90.0), (Hz16000, 230.0), (Hz8000, 90.0), (Hz8000, 230.0)] {
        let plan = Plan {
            jitter_percent: 0.0,
            shimmer_db: 0.0,
            breath_db: -60.0,
            still: true,
            ..Plan::new(Kind::Steady, pitch_hz, 31)
        };
        let voice = Voice::of(&plan);
        for snr_db in [0.0, 5.0, 10.0, 20.0] {
            let mut samples = heard(&voice, rate);
            let noise = match rate {
                Hz16000 => synthetic::white(samples.len(), 4),
                Hz8000 => synthetic::telephone_band(&synthetic::white(samples.len(), 4)),
            };
            synthetic::add_at_snr(&mut samples, &noise, &voice.pitch_hz, rate.hz(), snr_db);
            let got = mean(&rows(&samples, rate), Descriptor::Harmonicity);
            assert!((got - snr_db).abs() < 1.5, "{got} dB at {snr_db} dB, {pitch_hz} Hz, {rate:?}");
        }
    }
}

#[test]
fn a_row_comes_out_after_the_stated_time() {
    for rate in [Hz8000, Hz16000] {
        let (mut analyzer, mut out) = (Analyzer::new(rate), Vec::new());
        for i in 1..=30 * rate.hop() {
            analyzer.push(&[0.1], &mut out);
            assert_eq!(out.len(), (i / rate.hop()).saturating_sub(FINAL_HOPS), "after sample {i}");
        }
        analyzer.push(&[0.1], &mut out);
        analyzer.finish(&mut out);
        assert_eq!(out.len(), 31);
        assert!(out.iter().enumerate().all(|(i, row)| row.position == (i * rate.hop()) as u64));
    }
}

#[test]
fn what_a_voice_alone_has_is_zero_without_one() {
    let voice = Voice::of(&Plan::new(Kind::Whispered, 150.0, 17));
    for row in rows(&heard(&voice, Hz8000), Hz8000) {
        let voiced = row.pitch_hz.is_some();
        assert_eq!(row.get(Descriptor::Pitch) > 0.0, voiced);
        let zero = [Descriptor::Jitter, Descriptor::Shimmer, Descriptor::Harmonicity, Descriptor::Formant1Level];
        assert!(voiced || zero.iter().all(|&descriptor| row.get(descriptor) == 0.0), "{row:?}");
    }
}

#[test]
fn a_finished_analyzer_starts_afresh() {
    let samples = heard(&Voice::of(&Plan::new(Kind::Phrases, 130.0, 3)), Hz8000);
    let mut analyzer = Analyzer::new(Hz8000);
    let [mut first, mut second] = [Vec::new(), Vec::new()];
    for out in [&mut first, &mut second] {
        analyzer.push(&samples, out);
        analyzer.finish(out);
    }
    assert_eq!(first, second);
}

#[test]
fn smoothing_leaves_out_what_is_not_there() {
    let rows = rows(&heard(&Voice::of(&Plan::new(Kind::Phrases, 130.0, 3)), Hz8000), Hz8000);
    let mut smoother = Smoother::default();
    let mut smoothed: Vec<_> = rows.iter().filter_map(|row| smoother.push(row)).collect();
    smoothed.extend(smoother.finish());
    assert_eq!(smoothed.len(), rows.len());
    for (row, smoothed) in rows.iter().zip(&smoothed) {
        assert_eq!(row.position, smoothed.position);
        assert_eq!(row.pitch_hz.is_some(), smoothed.descriptors[Descriptor::Pitch as usize] > 0.0);
    }
    for i in 1..rows.len() - 1 {
        let mean = rows[i - 1..=i + 1].iter().map(|row| row.get(Descriptor::Loudness)).sum::<f32>() / 3.0;
        assert!((smoothed[i].descriptors[Descriptor::Loudness as usize] - mean).abs() < 1e-5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunking_changes_nothing(seed in any::<u64>(), wide in any::<bool>(), cuts in prop::collection::vec(1usize..400, 1..60)) {
        let rate = if wide { Hz16000 } else { Hz8000 };
        let voice = Voice::of(&Plan { seconds: 0.8, ..Plan::new(Kind::Phrases, 100.0 + (seed % 150) as f32, seed) });
        let samples = heard(&voice, rate);
        let (mut analyzer, mut out) = (Analyzer::new(rate), Vec::new());
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
        prop_assert_eq!(out, rows(&samples, rate));
    }

    #[test]
    fn values_are_finite(wide in any::<bool>(), samples in prop::collection::vec(
        prop_oneof![any::<f32>(), -1.0f32..1.0, Just(1.0f32), Just(-1.0f32), Just(0.0f32), Just(f32::NAN)], 0..4_000,
    )) {
        for row in rows(&samples, if wide { Hz16000 } else { Hz8000 }) {
            prop_assert!(row.descriptors.iter().all(|value| value.is_finite()), "{:?}", row);
            prop_assert!((-127.0..=0.0).contains(&row.level.dbov) && (0.0..=1.0).contains(&row.level.clipped));
        }
    }
}

/// The voice as it arrives: as it is at 16 kHz, through the telephone's band at 8 kHz.
fn heard(voice: &Voice, rate: SampleRate) -> Vec<f32> {
    match rate {
        Hz8000 => synthetic::telephone_band(&synthetic::half_rate(&voice.samples)),
        Hz16000 => voice.samples.clone(),
    }
}

fn rows(samples: &[f32], rate: SampleRate) -> Vec<Row> {
    let (mut analyzer, mut out) = (Analyzer::new(rate), Vec::new());
    analyzer.push(samples, &mut out);
    analyzer.finish(&mut out);
    out
}

/// Over the rows where the descriptor is there.
fn mean(rows: &[Row], descriptor: Descriptor) -> f32 {
    let values: Vec<f32> = rows.iter().map(|row| row.get(descriptor)).filter(|value| *value != 0.0).collect();
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

fn correlation(pairs: &[(f32, f32)]) -> f32 {
    let count = pairs.len() as f32;
    let (a, b) = pairs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / count, b + y / count));
    let (cross, one, two) = pairs.iter().fold((0.0, 0.0, 0.0), |(cross, one, two), (x, y)| {
        (cross + (x - a) * (y - b), one + (x - a) * (x - a), two + (y - b) * (y - b))
    });
    cross / (one * two).sqrt()
}
