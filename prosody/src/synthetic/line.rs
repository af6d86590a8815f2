//! What happens to a voice on its way: noise, the telephone's band, lower rates. Codecs are not here.

use std::f32::consts::TAU;

use super::plan::{Kind, Plan};
use super::random::Random;
use super::voice::Voice;

/// The telephone's band, Hz.
const BAND_HZ: (f32, f32) = (300.0, 3_400.0);
/// Quality factors of a Butterworth filter of eighth order.
const BUTTERWORTH: [f32; 4] = [0.509_8, 0.601_3, 0.9, 2.562_9];
/// Voices in a babble.
const TALKERS: u64 = 8;
/// Taps per phase and side of the decimating filter.
const TAPS: usize = 24;

/// White noise of `count` samples, deviation 1.
pub fn white(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed ^ 0x58);
    (0..count).map(|_| random.normal()).collect()
}

/// Eight voices at once, at 16 kHz.
pub fn babble(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed ^ 0x59);
    let mut out = vec![0.0; count];
    for talker in 0..TALKERS {
        let pitch_hz = random.between_log(85.0, 260.0);
        let seconds = count as f32 / super::RATE_HZ as f32 + 0.6;
        let plan = Plan { seconds, ..Plan::new(Kind::Phrases, pitch_hz, seed.wrapping_mul(31).wrapping_add(talker)) };
        let voice = Voice::of(&plan);
        let skip = random.below(4_000) + 3_000;
        let gain = 10f32.powf(random.between(-4.0, 4.0) / 20.0);
        out.iter_mut().zip(voice.samples.iter().skip(skip)).for_each(|(sum, sample)| *sum += gain * sample);
    }
    out
}

/// Adds `noise` (as long as `samples`) so that the power where `pitch_hz` (one value per millisecond) is voiced stands
/// `snr_db` above that of the noise.
pub fn add_at_snr(samples: &mut [f32], noise: &[f32], pitch_hz: &[f32], rate_hz: u32, snr_db: f32) {
    let per_ms = rate_hz as usize / 1_000;
    let voiced = samples.iter().enumerate().filter(|(i, _)| pitch_hz.get(i / per_ms).is_some_and(|hz| *hz > 0.0));
    let speech = power(voiced.map(|(_, sample)| *sample));
    let gain = (speech / power(noise.iter().copied()).max(f32::MIN_POSITIVE) / 10f32.powf(snr_db / 10.0)).sqrt();
    samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += gain * noise);
}

fn power(values: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = values.fold((0u32, 0.0f64), |(count, sum), v| (count + 1, sum + f64::from(v * v)));
    (sum / f64::from(count.max(1))) as f32
}

/// Half the rate, after a low-pass filter.
pub fn half_rate(samples: &[f32]) -> Vec<f32> {
    decimate(samples, 2)
}

/// 8 kHz samples through 300-3400 Hz, eighth order at both ends.
pub fn telephone_band(samples: &[f32]) -> Vec<f32> {
    let mut out = samples.to_vec();
    for q in BUTTERWORTH {
        biquad(&mut out, BAND_HZ.0 / 8_000.0, q, true);
        biquad(&mut out, BAND_HZ.1 / 8_000.0, q, false);
    }
    out
}

/// Every `by`-th sample after a windowed sinc that passes 0.92 of the new band.
pub(super) fn decimate(samples: &[f32], by: usize) -> Vec<f32> {
    let half = (TAPS * by) as isize;
    let cut = 0.92 / by as f32;
    let taps: Vec<f32> = (-half..=half)
        .map(|i| {
            let x = i as f32;
            let sinc = if i == 0 { cut } else { (TAU * 0.5 * cut * x).sin() / (TAU * 0.5 * x) };
            let edge = x / (half + 1) as f32;
            sinc * (0.42 + 0.5 * (TAU * 0.5 * edge).cos() + 0.08 * (TAU * edge).cos())
        })
        .collect();
    (0..samples.len() / by)
        .map(|out| {
            let first = (out * by) as isize - half;
            let pairs = taps.iter().enumerate().filter_map(|(k, tap)| {
                usize::try_from(first + k as isize).ok().and_then(|i| samples.get(i)).map(|sample| tap * sample)
            });
            pairs.sum()
        })
        .collect()
}

/// One second-order section in place (R. Bristow-Johnson's cookbook); `turns` = frequency over rate.
fn biquad(samples: &mut [f32], turns: f32, q: f32, high_pass: bool) {
    let (sin, cos) = (TAU * turns).sin_cos();
    let alpha = sin / (2.0 * q);
    let edge = if high_pass { 1.0 + cos } else { 1.0 - cos };
    let middle = if high_pass { -edge } else { edge };
    let a0 = 1.0 + alpha;
    let (b0, b1, a1, a2) = (edge / 2.0 / a0, middle / a0, -2.0 * cos / a0, (1.0 - alpha) / a0);
    let [mut x1, mut x2, mut y1, mut y2] = [0.0f32; 4];
    for sample in samples {
        let x = *sample;
        let y = b0 * (x + x2) + b1 * x1 - a1 * y1 - a2 * y2;
        (x2, x1, y2, y1) = (x1, x, y1, y);
        *sample = y;
    }
}
