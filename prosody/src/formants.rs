//! The first three resonances of the vocal tract: linear prediction from the power spectrum, roots of its polynomial.
//!
//! The autocorrelation is read from the spectrum at the lags of a rate of its own (11 kHz, as in eGeMAPSv02, where the
//! input has it), so that nothing is resampled.

mod roots;

use std::f32::consts::{PI, TAU};

use self::roots::Roots;
use crate::SampleRate;
use crate::math::ln;

/// Formants told.
pub(crate) const FORMANTS: usize = 3;
/// The order of the prediction; one pair of poles per kHz.
const ORDER: usize = 11;
/// The rate that the lags belong to, Hz.
const LAG_HZ: f32 = 11_000.0;
/// Pre-emphasis: takes out how the source falls, which would be taken for a resonance.
const EMPHASIS: f32 = 0.97;
/// A wider pole is no resonance, Hz.
const WIDTH_MAX_HZ: f32 = 800.0;
/// Poles outside are no formants, Hz.
const FORMANT_HZ: (f32, f32) = (50.0, 5_450.0);
/// Power of a window below which there is nothing to predict: silence of 16 bits.
const SILENCE: f32 = 1e-7;
/// White noise added to what is predicted, relative: a line without any noise has no unique answer.
const NOISE: f32 = 1e-5;

/// One resonance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Formant {
    pub(crate) hz: f32,
    pub(crate) width_hz: f32,
}

pub(crate) struct Formants {
    /// Per bin its part in the autocorrelation at each lag.
    cosines: Vec<[f32; ORDER + 1]>,
    roots: Roots<ORDER>,
}

impl Formants {
    /// For power spectra whose bins are `bin_hz` apart.
    pub(crate) fn new(rate: SampleRate, bin_hz: f32) -> Self {
        let top_hz = (0.5 * LAG_HZ).min(0.5 * rate.hz() as f32);
        let bins = (top_hz / bin_hz) as usize + 1;
        let cosine = |bin: usize, lag: usize| {
            let weight = if bin == 0 { 1.0 } else { 2.0 };
            let turn = TAU * bin as f32 * bin_hz / LAG_HZ;
            let tilt = 1.0 + EMPHASIS * EMPHASIS - 2.0 * EMPHASIS * turn.cos();
            tilt * weight * (TAU * bin as f32 * bin_hz * lag as f32 / LAG_HZ).cos()
        };
        let cosines = (0..bins).map(|bin| std::array::from_fn(|lag| cosine(bin, lag))).collect();
        Self { cosines, roots: Roots::default() }
    }

    /// Forgets the past.
    pub(crate) fn restart(&mut self) {
        self.roots = Roots::default();
    }

    /// The lowest formants of a power spectrum, in order; zeros where there are none.
    #[inline(always)]
    pub(crate) fn describe(&mut self, power: &[f32]) -> [Formant; FORMANTS] {
        let mut lags = [0.0f32; ORDER + 1];
        for (cosines, power) in self.cosines.iter().zip(power) {
            for (lag, cosine) in lags.iter_mut().zip(cosines) {
                *lag += power * cosine;
            }
        }
        let mut found = [Formant::default(); FORMANTS];
        if lags[0] < SILENCE {
            return found;
        }
        lags[0] *= 1.0 + NOISE;
        let polynomial = predict(&lags);
        let mut poles: [Formant; ORDER] = [Formant::default(); ORDER];
        let mut count = 0;
        for (re, im) in self.roots.of(&polynomial) {
            let width_hz = -0.5 * ln(re * re + im * im) * LAG_HZ / PI;
            if im <= 0.0 || width_hz >= WIDTH_MAX_HZ {
                continue;
            }
            let hz = im.atan2(re) * LAG_HZ / TAU;
            if (FORMANT_HZ.0..FORMANT_HZ.1).contains(&hz) {
                poles[count] = Formant { hz, width_hz };
                count += 1;
            }
        }
        poles[..count].sort_unstable_by(|a, b| a.hz.total_cmp(&b.hz));
        let told = count.min(FORMANTS);
        found[..told].copy_from_slice(&poles[..told]);
        found
    }
}

/// Levinson and Durbin's recursion: the coefficients after the leading 1 of the prediction error filter.
#[inline(always)]
fn predict(lags: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let lags = lags.map(f64::from);
    let mut filter = [0.0f64; ORDER];
    let mut error = lags[0];
    for order in 0..ORDER {
        let sum: f64 = (0..order).map(|i| filter[i] * lags[order - i]).sum();
        let reflection = -(lags[order + 1] + sum) / error;
        let before = filter;
        for i in 0..order {
            filter[i] += reflection * before[order - 1 - i];
        }
        filter[order] = reflection;
        error *= 1.0 - reflection * reflection;
    }
    filter.map(|coefficient| coefficient as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resonances_of_a_known_filter_are_found() {
        let (rate, bin_hz) = (SampleRate::Hz16000, 16_000.0 / 512.0);
        let resonances = [(500.0, 80.0), (1_500.0, 100.0), (2_500.0, 150.0), (3_500.0, 200.0), (4_500.0, 250.0)];
        let power: Vec<f32> = (0..257)
            .map(|bin| {
                let turn = TAU * bin as f32 * bin_hz / LAG_HZ;
                // A voice falls as steeply as pre-emphasis rises.
                let source = 1.0 / (1.0 + EMPHASIS * EMPHASIS - 2.0 * EMPHASIS * turn.cos());
                resonances.iter().fold(source, |power, &(hz, width_hz)| {
                    let radius = (-PI * width_hz / LAG_HZ).exp();
                    [1.0, -1.0].iter().fold(power, |power, side| {
                        let distance = turn - side * TAU * hz / LAG_HZ;
                        power / (1.0 + radius * radius - 2.0 * radius * distance.cos())
                    })
                })
            })
            .collect();
        let mut formants = Formants::new(rate, bin_hz);
        for _ in 0..2 {
            for (found, (hz, width_hz)) in formants.describe(&power).iter().zip(resonances) {
                assert!((found.hz / hz - 1.0).abs() < 0.02, "{found:?} instead of {hz}");
                assert!((found.width_hz / width_hz - 1.0).abs() < 0.4, "{found:?} instead of {width_hz}");
            }
        }
    }

    #[test]
    fn silence_has_no_formants() {
        let mut formants = Formants::new(SampleRate::Hz8000, 31.25);
        assert_eq!(formants.describe(&[0.0; 129]), [Formant::default(); FORMANTS]);
    }
}
