//! Halves a rate of 16 kHz for the pitch tracker, which works at 8 kHz.

use std::f32::consts::PI;

/// Taps on each side of the middle one. The delay is so many samples at 16 kHz: 1 ms.
const SIDE: usize = 16;
const TAPS: usize = 2 * SIDE + 1;

/// Samples before the first of a pair that count for it.
const BEFORE: usize = TAPS - 2;
/// Pairs taken at once, at most.
const PAIRS_MAX: usize = 80;

/// A half-band low-pass filter of which every second output is kept.
#[derive(Debug, Clone)]
pub struct Halver {
    taps: [f32; TAPS],
    recent: [f32; BEFORE],
}

impl Default for Halver {
    fn default() -> Self {
        Self { taps: taps(), recent: [0.0; BEFORE] }
    }
}

impl Halver {
    /// The delay, in samples at 8 kHz.
    pub const DELAY: usize = SIDE / 2;

    /// Takes the next pairs of samples at 16 kHz (at most 80) and writes for each the sample at 8 kHz that belongs
    /// [`Halver::DELAY`] before it.
    #[inline(always)]
    pub fn halve(&mut self, pairs: &[[f32; 2]], out: &mut [f32]) {
        assert!(pairs.len() <= PAIRS_MAX && pairs.len() == out.len(), "a sample for each of at most 80 pairs");
        let mut all = [0.0; BEFORE + 1 + 2 * PAIRS_MAX];
        all[..BEFORE].copy_from_slice(&self.recent);
        all[BEFORE..][..2 * pairs.len()].copy_from_slice(pairs.as_flattened());
        // Even and odd samples apart, so that all outputs can be summed up side by side.
        let split = all.as_chunks::<2>().0;
        let sides: [[f32; TAPS / 2 + PAIRS_MAX]; 2] = [0, 1].map(|side| std::array::from_fn(|i| split[i][side]));
        out.fill(0.0);
        // Symmetric: the outer samples meet the same tap. The first of the pair is the newest that counts here,
        // so that the output's middle falls on an even sample.
        for (i, tap) in self.taps.iter().enumerate() {
            for (sum, sample) in out.iter_mut().zip(&sides[i % 2][i / 2..]) {
                *sum += tap * sample;
            }
        }
        self.recent.copy_from_slice(&all[2 * pairs.len()..][..BEFORE]);
    }
}

/// A Blackman-windowed sinc that cuts at 3.7 kHz.
fn taps() -> [f32; TAPS] {
    let mut taps = std::array::from_fn(|i| {
        let x = i as f32 - SIDE as f32;
        let cut = 0.46;
        let sinc = if x == 0.0 { cut } else { (PI * cut * x).sin() / (PI * x) };
        let edge = PI * x / (SIDE + 1) as f32;
        sinc * (0.42 + 0.5 * edge.cos() + 0.08 * (2.0 * edge).cos())
    });
    let sum: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= sum);
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_what_is_below_and_stops_what_would_fold() {
        check(100.0, 0.99, 1.01);
        check(3_000.0, 0.9, 1.01);
        check(5_200.0, 0.0, 0.01);
        check(7_500.0, 0.0, 0.01);
    }

    #[test]
    fn the_delay_is_the_stated_one() {
        let mut halver = Halver::default();
        let mut out = [0.0; 40];
        for (i, out) in out.as_chunks_mut::<1>().0.iter_mut().enumerate() {
            halver.halve(&[[if i == 10 { 1.0 } else { 0.0 }, 0.0]], out);
        }
        let peak = (0..40).max_by(|&a, &b| out[a].total_cmp(&out[b]));
        assert_eq!(peak, Some(10 + Halver::DELAY));
    }

    /// The gain at `hz` must lie within the bounds.
    #[track_caller]
    fn check(hz: f32, low: f32, high: f32) {
        let mut halver = Halver::default();
        let sample = |i: usize| (2.0 * PI * hz * i as f32 / 16_000.0).sin();
        let pairs: Vec<[f32; 2]> = (0..800).map(|i| [sample(2 * i), sample(2 * i + 1)]).collect();
        let mut out = [0.0; 800];
        for (pairs, out) in pairs.chunks(PAIRS_MAX).zip(out.chunks_mut(PAIRS_MAX)) {
            halver.halve(pairs, out);
        }
        let power = out[100..].iter().map(|x| x * x).sum::<f32>() / 700.0;
        let gain = (2.0 * power).sqrt();
        assert!((low..=high).contains(&gain), "gain {gain} at {hz} Hz");
    }
}
