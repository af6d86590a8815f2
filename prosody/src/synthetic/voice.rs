//! Makes a voice heard: glottal pulses placed between samples, noise, a vocal tract.

use super::RATE_HZ;
use super::formants::{FORMANTS, Resonator, Tract};
use super::line::decimate;
use super::plan::{Plan, Source, Stretch};
use super::random::Random;

/// Everything is made at this multiple of the rate, so that the pulses' edges do not fold back.
const OVER: usize = 4;
const FINE_HZ: f32 = (OVER as u32 * RATE_HZ) as f32;
/// Fine samples between two tunings of the tract (1 ms).
const TUNE: usize = FINE_HZ as usize / 1_000;
/// Mean level of the voiced parts, dBov (0 = full-scale square wave).
const LEVEL_DBOV: f32 = -26.0;
/// How long a source takes to come and to go, seconds; the edge of a stretch is where half the amplitude is.
const RAMP_S: (f32, f32) = (0.012, 0.02);

/// One period of the voice as it is heard: from one closing of the glottis, which excites the tract, to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// Where the glottis has closed, seconds.
    pub from_s: f32,
    /// Length, seconds.
    pub length_s: f32,
    /// Strength of the excitation, relative.
    pub amplitude: f32,
}

/// A signal and everything that is true about it.
#[derive(Debug, Clone)]
pub struct Voice {
    /// At 16 kHz, mean level of the voiced parts −26 dBov.
    pub samples: Vec<f32>,
    /// The contour without jitter, Hz, at every full millisecond; 0 where there is no voice.
    pub pitch_hz: Vec<f32>,
    /// Every period, in order; a gap between two means silence or noise.
    pub periods: Vec<Period>,
    /// The first three resonances of the tract at every full millisecond: frequency and bandwidth, Hz.
    pub formants_hz: Vec<[(f32, f32); 3]>,
}

impl Voice {
    /// Makes the voice of `plan`.
    pub fn of(plan: &Plan) -> Self {
        let count = (plan.seconds * RATE_HZ as f32) as usize * OVER;
        let stretches = plan.stretches();
        let (mut fine, periods) = pulses(plan, &stretches, count);
        let mut noise = Random::new(plan.seed ^ 0x55);
        let breath = 10f32.powf(plan.breath_db / 20.0);
        let mut loudness = 0.0;
        for (i, sample) in fine.iter_mut().enumerate() {
            // The breath follows the voice's own envelope.
            loudness = f32::max(loudness * (1.0 - 150.0 / FINE_HZ), sample.abs());
            let gain = breath * loudness + whisper_gain(&stretches, i as f32 / FINE_HZ);
            if gain > 0.0 {
                *sample += gain * noise.normal();
            }
        }
        let tract = Tract::new(plan);
        articulate(plan, &tract, &mut fine);
        hiss(&stretches, &mut fine, &mut noise);
        let mut samples = decimate(&fine, OVER);
        let pitch_hz = truth(plan, &stretches);
        level(&mut samples, &pitch_hz);
        let formants_hz = (0..pitch_hz.len()).map(|ms| {
            let [one, two, three, ..] = tract.at(ms as f32 / 1_000.0);
            [one, two, three]
        });
        Self { samples, periods, formants_hz: formants_hz.collect(), pitch_hz }
    }

    /// The pitch at `time_s`, Hz; 0 where there is no voice.
    pub fn pitch_at(&self, time_s: f32) -> f32 {
        self.pitch_hz.get((time_s * 1_000.0).round() as usize).copied().unwrap_or(0.0)
    }

    /// Local jitter over all neighbouring periods: mean absolute difference over mean length (Praat's definition).
    pub fn jitter(&self) -> f32 {
        let (count, difference, length) = self.neighbours().fold((0.0, 0.0, 0.0), |(n, d, l), (one, two)| {
            (n + 1.0, d + (two.length_s - one.length_s).abs(), l + 0.5 * (one.length_s + two.length_s))
        });
        if count == 0.0 { 0.0 } else { difference / length }
    }

    /// Local shimmer in dB: mean absolute ratio of neighbouring amplitudes.
    pub fn shimmer_db(&self) -> f32 {
        let (count, sum) = self.neighbours().fold((0.0, 0.0), |(n, sum), (one, two)| {
            (n + 1.0, sum + (20.0 * (two.amplitude / one.amplitude).log10()).abs())
        });
        if count == 0.0 { 0.0 } else { sum / count }
    }

    /// Pairs of periods without a gap between.
    fn neighbours(&self) -> impl Iterator<Item = (&Period, &Period)> {
        let pairs = self.periods.iter().zip(self.periods.iter().skip(1));
        pairs.filter(|(one, two)| (two.from_s - one.from_s - one.length_s).abs() < 1e-4)
    }
}

/// The glottal flow's derivative, each sample the mean over its duration: pulses may lie between samples.
fn pulses(plan: &Plan, stretches: &[Stretch], count: usize) -> (Vec<f32>, Vec<Period>) {
    let mut random = Random::new(plan.seed ^ 0x56);
    let open = random.between(0.45, 0.7);
    let mut fine = vec![0.0; count];
    let mut periods = Vec::new();
    for stretch in stretches.iter().filter(|stretch| stretch.source == Source::Voice) {
        let mut time_s = f64::from(stretch.from_s);
        let mut closures: Vec<(f64, f32)> = Vec::new();
        while time_s < f64::from(stretch.to_s) {
            let at = time_s as f32;
            let (jitter, shimmer) = plan.irregularity(at);
            // The contour holds in the middle of a period.
            let middle = at + 0.5 / plan.contour_hz(at);
            let length_s = (1.0 + 0.01 * jitter * random.normal()) / plan.contour_hz(middle);
            let amplitude = 10f32.powf(shimmer / 20.0 * random.normal()) * envelope(stretch, at);
            pulse(&mut fine, time_s, length_s * open, amplitude);
            // A shorter pulse of the same height closes faster.
            closures.push((time_s + f64::from(length_s * open), amplitude / length_s));
            time_s += f64::from(length_s);
        }
        periods.extend(closures.windows(2).map(|pair| Period {
            from_s: pair[0].0 as f32,
            length_s: (pair[1].0 - pair[0].0) as f32,
            amplitude: pair[0].1,
        }));
    }
    (fine, periods)
}

/// Adds one pulse: flow rising with the square and falling with the cube of time (Klatt & Klatt 1990), height 1.
fn pulse(fine: &mut [f32], from_s: f64, open_s: f32, amplitude: f32) {
    let rate = f64::from(FINE_HZ);
    let flow = |time: f64| {
        let share = (time / f64::from(open_s)).clamp(0.0, 1.0);
        6.75 * share * share * (1.0 - share)
    };
    let first = (from_s * rate) as usize;
    let last = ((from_s + f64::from(open_s)) * rate) as usize + 1;
    for (i, sample) in fine.iter_mut().enumerate().take(last + 1).skip(first) {
        let time = i as f64 / rate - from_s;
        *sample += amplitude * (flow(time + 1.0 / rate) - flow(time)) as f32 * 100.0;
    }
}

/// Spectral tilt of the voice and the formants, in place.
fn articulate(plan: &Plan, tract: &Tract, fine: &mut [f32]) {
    let mut random = Random::new(plan.seed ^ 0x57);
    let keep = (-std::f32::consts::TAU * random.between_log(500.0, 5_000.0) / FINE_HZ).exp();
    let mut tilted = 0.0;
    let mut resonators = [Resonator::default(); FORMANTS];
    for (i, sample) in fine.iter_mut().enumerate() {
        if i % TUNE == 0 {
            let formants = tract.at(i as f32 / FINE_HZ);
            resonators.iter_mut().zip(formants).for_each(|(resonator, formant)| resonator.tune(formant, FINE_HZ));
        }
        tilted += (1.0 - keep) * (*sample - tilted);
        *sample = resonators.iter_mut().fold(tilted, |signal, resonator| resonator.run(signal));
    }
}

/// Amplitude of whispering noise at `time_s`, relative to the pulses.
fn whisper_gain(stretches: &[Stretch], time_s: f32) -> f32 {
    gains(stretches, time_s, |source| match source {
        Source::Whisper(db) => Some(db),
        _ => None,
    })
}

/// Adds noise above 2.5 kHz where the plan wants some.
fn hiss(stretches: &[Stretch], fine: &mut [f32], noise: &mut Random) {
    let mut low = [0.0f32; 2];
    let keep = (-std::f32::consts::TAU * 2_500.0 / FINE_HZ).exp();
    for (i, sample) in fine.iter_mut().enumerate() {
        let gain = gains(stretches, i as f32 / FINE_HZ, |source| match source {
            Source::Hiss(db) => Some(db),
            _ => None,
        });
        if gain > 0.0 {
            let mut high = noise.normal();
            for state in &mut low {
                *state += (1.0 - keep) * (high - *state);
                high -= *state;
            }
            *sample += gain * high;
        }
    }
}

fn gains(stretches: &[Stretch], time_s: f32, level_db: impl Fn(Source) -> Option<f32>) -> f32 {
    let near = stretches.iter().filter(|s| s.from_s - RAMP_S.1 < time_s && time_s < s.to_s + RAMP_S.1);
    near.filter_map(|s| level_db(s.source).map(|db| 10f32.powf(db / 20.0) * envelope(s, time_s))).sum()
}

/// Rises and falls like a raised cosine around the edges of a stretch; half at the edges themselves.
fn envelope(stretch: &Stretch, time_s: f32) -> f32 {
    let ramp = |x: f32| 0.5 - 0.5 * (std::f32::consts::PI * (x + 0.5).clamp(0.0, 1.0)).cos();
    ramp((time_s - stretch.from_s) / RAMP_S.0) * ramp((stretch.to_s - time_s) / RAMP_S.1)
}

fn truth(plan: &Plan, stretches: &[Stretch]) -> Vec<f32> {
    let voiced =
        |time_s: f32| stretches.iter().any(|s| s.source == Source::Voice && (s.from_s..s.to_s).contains(&time_s));
    (0..(plan.seconds * 1_000.0) as usize)
        .map(|ms| ms as f32 / 1_000.0)
        .map(|time_s| if voiced(time_s) { plan.contour_hz(time_s) } else { 0.0 })
        .collect()
}

/// Brings the voiced parts to [`LEVEL_DBOV`].
fn level(samples: &mut [f32], pitch_hz: &[f32]) {
    let per_ms = RATE_HZ as usize / 1_000;
    let voiced = |i: usize| pitch_hz.get(i / per_ms).is_some_and(|hz| *hz > 0.0);
    let (count, sum) = samples
        .iter()
        .enumerate()
        .filter(|(i, _)| voiced(*i))
        .fold((0u32, 0.0f64), |(n, sum), (_, s)| (n + 1, sum + f64::from(s * s)));
    if count == 0 {
        return;
    }
    let gain = 10f32.powf(LEVEL_DBOV / 20.0) / ((sum / f64::from(count)) as f32).sqrt();
    samples.iter_mut().for_each(|sample| *sample *= gain);
}
