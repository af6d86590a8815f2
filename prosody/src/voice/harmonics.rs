//! Levels of harmonics and the share of noise, from the spectrum of 60 ms (Gaussian window).
//!
//! The harmonics-to-noise ratio is `r / (1 − r)`, r the autocorrelation at one period over that at lag 0, both divided by
//! the window's own (Boersma 1993): without that a flawless voice of 100 Hz would have 7 dB.

use std::f32::consts::TAU;

use realfft::num_complex::Complex32;

use crate::SampleRate;
use crate::formants::{FORMANTS, Formant};
use crate::lanes::{LANES, each, sum, total};
use crate::math::decibels;
use crate::pitch::PITCH_HZ;
use crate::transform::PowerSpectrum;

/// Length of a window.
pub(crate) const HARMONICS_WINDOW_MS: usize = 60;
/// Deviation of the window, in halves of its length.
const DEVIATION: f32 = 0.4;
/// Harmonics looked at, at most.
const HARMONICS: usize = 100;
/// A harmonic is the highest bin within this share of F0 around its place.
const SEARCH: f32 = 0.25;
/// The harmonics that may stand for a formant lie within this share of its frequency.
const NEAR: f32 = 0.2;
/// The ratio of harmonics and noise is told between these shares of the autocorrelation: −30 to 40 dB.
const SHARE: (f32, f32) = (1e-3, 1.0 - 1e-4);
/// The period is looked for within this share of the one that the pitch tells.
const PERIOD_REACH: f32 = 0.03;
/// No bin is quieter.
const FLOOR: f32 = 1e-14;

/// What is read from a voiced window, dB.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Harmonic {
    pub(crate) harmonicity_db: f32,
    pub(crate) first_over_second_db: f32,
    pub(crate) first_over_third_formant_db: f32,
    pub(crate) formant_levels_db: [f32; FORMANTS],
}

pub(crate) struct Harmonics {
    transform: PowerSpectrum,
    power: Vec<f32>,
    bin_hz: f32,
    rate_hz: f32,
    /// The window's own autocorrelation by lag, over that at lag 0.
    shape: Vec<f32>,
}

impl Harmonics {
    pub(crate) fn new(rate: SampleRate) -> Self {
        let length = rate.hop() * HARMONICS_WINDOW_MS / 10;
        let middle = 0.5 * (length - 1) as f32;
        let weight = |i: usize| (-0.5 * ((i as f32 - middle) / (DEVIATION * middle)).powi(2)).exp();
        let window: Vec<f32> = (0..length).map(weight).collect();
        let overlap = |lag: usize| window.iter().zip(&window[lag..]).map(|(one, two)| one * two).sum::<f32>();
        let (rate_hz, lags) = (rate.hz() as f32, (rate.hz() as f32 / PITCH_HZ.0 * (1.0 + PERIOD_REACH)) as usize + 2);
        let shape = (0..lags).map(|lag| overlap(lag) / overlap(0)).collect();
        let transform = PowerSpectrum::new(window);
        let bin_hz = rate_hz / transform.size() as f32;
        Self { power: vec![0.0; transform.bins()], bin_hz, rate_hz, shape, transform }
    }

    /// Describes 60 ms of a voice at `hz` whose formants are known.
    #[inline(always)]
    pub(crate) fn describe(&mut self, samples: &[f32], hz: f32, formants: &[Formant; FORMANTS]) -> Harmonic {
        self.transform.write(samples, 0.0, &mut self.power);
        let count = HARMONICS.min(((self.power.len() - 1) as f32 * self.bin_hz / hz) as usize);
        let power = |number: usize| self.highest_near(number as f32 * hz, SEARCH * hz);
        let first = decibels(power(1));
        let formant_levels_db = formants.each_ref().map(|formant| {
            let from = ((1.0 - NEAR) * formant.hz / hz).ceil().max(1.0) as usize;
            let to = (((1.0 + NEAR) * formant.hz / hz) as usize).max(from).min(count);
            let mut near = FLOOR;
            for number in from..=to {
                near = power(number).max(near);
            }
            if from > to { 0.0 } else { decibels(near) - first }
        });
        Harmonic {
            harmonicity_db: self.harmonicity_db(hz),
            first_over_second_db: first - if count < 2 { 0.0 } else { decibels(power(2)) },
            first_over_third_formant_db: -formant_levels_db[2],
            formant_levels_db,
        }
    }

    #[inline(always)]
    fn highest_near(&self, hz: f32, reach_hz: f32) -> f32 {
        let from = ((hz - reach_hz) / self.bin_hz).ceil().max(1.0) as usize;
        let to = (((hz + reach_hz) / self.bin_hz) as usize + 1).clamp(from + 1, self.power.len().max(from + 1));
        let near = self.power.get(from..to).unwrap_or_default();
        let mut highest = FLOOR;
        for &power in near {
            highest = if power > highest { power } else { highest };
        }
        highest
    }

    /// Of a voice near `hz`: its period is taken where the autocorrelation is highest, for what a few cents do to the
    /// high harmonics looks like noise.
    #[inline(always)]
    fn harmonicity_db(&self, hz: f32) -> f32 {
        let turn = TAU * self.bin_hz / hz;
        let told = self.repetition(turn);
        let step = if told.bend > 0.0 { -told.slope / told.bend } else { 0.0 };
        let nearby = turn * (1.0 + (step / turn).clamp(-PERIOD_REACH, PERIOD_REACH));
        let found = self.repetition(nearby);
        let (turn, repeated) = if found.share > told.share { (nearby, found.share) } else { (turn, told.share) };

        let lag = turn / (TAU * self.bin_hz) * self.rate_hz;
        let (before, part) = (lag as usize, lag.fract());
        let own = self.shape[before] + part * (self.shape[before + 1] - self.shape[before]);
        let share = (repeated / own).clamp(SHARE.0, SHARE.1);
        decibels(share / (1.0 - share))
    }

    /// The autocorrelation at the lag in which the phase of one bin goes on by `turn` radians.
    #[inline(always)]
    fn repetition(&self, turn: f32) -> Repetition {
        let (first, rest) = self.power.split_first().expect("a spectrum has bins");
        // The lanes turn on together, each from its own bin.
        let turn = Complex32::cis(turn);
        let (mut cosines, mut sines) = ([turn.re; LANES], [turn.im; LANES]);
        for lane in 1..LANES {
            let phase = Complex32::new(cosines[lane - 1], sines[lane - 1]) * turn;
            (cosines[lane], sines[lane]) = (phase.re, phase.im);
        }
        let (step_re, step_im) = (cosines[LANES - 1], sines[LANES - 1]);
        let mut bins: [f32; LANES] = each(|lane| (lane + 1) as f32);
        let (mut shares, mut slopes, mut bends) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for power in rest.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                let (re, im) = (cosines[lane], sines[lane]);
                let (cosine, sine) = (power[lane] * re, power[lane] * im);
                shares[lane] += cosine;
                slopes[lane] += bins[lane] * sine;
                bends[lane] += bins[lane] * bins[lane] * cosine;
                bins[lane] += LANES as f32;
                (cosines[lane], sines[lane]) = (re * step_re - im * step_im, re * step_im + im * step_re);
            }
        }
        let all = (0.5 * first + sum(rest)).max(FLOOR);
        Repetition { share: (0.5 * first + total(&shares)) / all, slope: total(&slopes), bend: total(&bends) }
    }
}

/// The autocorrelation at one lag.
struct Repetition {
    /// Over that at lag 0.
    share: f32,
    /// How fast it falls with the turn of a bin, and how fast that changes.
    slope: f32,
    bend: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_harmonics_are_told_relative_to_the_first() {
        // Harmonics fall by 6 dB each; the third formant is said to be at the tenth.
        let tone = |t: f32, k: i32| 0.5f32.powi(k - 1) * (TAU * 200.0 * k as f32 * t).sin();
        let told = described(200.0, |t| 0.1 * (1..15).map(|k| tone(t, k)).sum::<f32>());
        // Up to the bins, which lie 16 Hz apart.
        assert!((told.first_over_second_db - 6.02).abs() < 0.8, "{told:?}");
        let level_db = -6.02 * 7.0;
        assert!((told.formant_levels_db[2] - level_db).abs() < 1.5, "{told:?}");
        assert!((told.first_over_third_formant_db + level_db).abs() < 1.5, "{told:?}");
    }

    #[test]
    fn noise_lowers_the_ratio_of_harmonics() {
        let mut random = crate::synthetic::Random::new(3);
        let noise: Vec<f32> = (0..480).map(|_| random.normal()).collect();
        let told = |gain: f32| {
            let mut samples = [0.0f32; 480];
            for (i, sample) in samples.iter_mut().enumerate() {
                let t = i as f32 / 8_000.0;
                *sample = 0.1 * (2..15).map(|k| (TAU * 250.0 * k as f32 * t).sin()).sum::<f32>() + gain * noise[i];
            }
            Harmonics::new(SampleRate::Hz8000).describe(&samples, 250.0, &[Formant::default(); 3]).harmonicity_db
        };
        assert!(
            told(0.0) > told(0.1) + 2.0 && told(0.1) > told(0.4) + 4.0,
            "{} {} {}",
            told(0.0),
            told(0.1),
            told(0.4)
        );
    }

    fn described(hz: f32, signal: impl Fn(f32) -> f32) -> Harmonic {
        let samples: Vec<f32> = (0..480).map(|i| signal(i as f32 / 8_000.0)).collect();
        let third = Formant { hz: 10.0 * hz, width_hz: 100.0 };
        Harmonics::new(SampleRate::Hz8000).describe(&samples, hz, &[Formant::default(), Formant::default(), third])
    }
}
