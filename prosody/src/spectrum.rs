//! The spectrum of 20 ms around the middle of each hop, and what is read from it.
//!
//! Definitions after eGeMAPSv02 (Eyben et al. 2016): Hamming window, FFT of the next power of two, samples in [-1, 1].
//! Loudness and MFCC are made from the same 26 mel bands.

mod mel;
mod shape;

use std::f32::consts::TAU;

use self::mel::Mel;
use self::shape::Shape;
use crate::SampleRate;
use crate::transform::PowerSpectrum;

/// Cepstral coefficients told.
pub(crate) const CEPSTRA: usize = 4;

/// What is read from one spectrum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spectral {
    pub(crate) loudness: f32,
    pub(crate) alpha_ratio_db: f32,
    pub(crate) hammarberg_db: f32,
    pub(crate) slope_low: f32,
    pub(crate) slope_high: f32,
    pub(crate) flux: f32,
    pub(crate) cepstra: [f32; CEPSTRA],
}

/// Transforms windows of 20 ms and keeps the last spectrum for others to read.
pub(crate) struct Spectrum {
    transform: PowerSpectrum,
    mel: Mel,
    shape: Shape,
    /// Power per bin.
    pub(crate) power: Vec<f32>,
    /// Distance of two bins, Hz.
    pub(crate) bin_hz: f32,
}

impl Spectrum {
    pub(crate) fn new(rate: SampleRate) -> Self {
        let length = 2 * rate.hop();
        let weight = |i: usize| 0.54 - 0.46 * (TAU * i as f32 / (length - 1) as f32).cos();
        let transform = PowerSpectrum::new((0..length).map(weight).collect());
        let (bins, bin_hz) = (transform.bins(), rate.hz() as f32 / transform.size() as f32);
        Self { transform, mel: Mel::new(bins, bin_hz), shape: Shape::new(bins, bin_hz), power: vec![0.0; bins], bin_hz }
    }

    /// Forgets the past.
    pub(crate) fn restart(&mut self) {
        self.shape.restart();
    }

    /// Describes the next window of the stream: 20 ms of samples in [-1, 1].
    #[inline(always)]
    pub(crate) fn describe(&mut self, samples: &[f32]) -> Spectral {
        self.transform.write(samples, 0.0, &mut self.power);
        let mut out = Spectral::default();
        self.shape.describe(&self.power, &mut out);
        self.mel.describe(&self.power, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_above_and_below_one_kilohertz() {
        for rate in [SampleRate::Hz8000, SampleRate::Hz16000] {
            let low = spectral(rate, |t| 0.3 * (TAU * 500.0 * t).sin());
            let high = spectral(rate, |t| 0.3 * (TAU * 2_500.0 * t).sin());
            assert!(low.alpha_ratio_db < -30.0 && high.alpha_ratio_db > 30.0, "{low:?} {high:?}");
            assert!(low.hammarberg_db > 30.0 && high.hammarberg_db < -30.0, "{low:?} {high:?}");
        }
    }

    #[test]
    fn loudness_grows_with_the_power_to_a_third() {
        let loudness = |gain: f32| spectral(SampleRate::Hz8000, |t| gain * (TAU * 1_000.0 * t).sin()).loudness;
        let ratio = loudness(0.2) / loudness(0.02);
        assert!((ratio - 100f32.powf(0.33)).abs() < 0.02, "{ratio}");
    }

    #[test]
    fn silence_is_finite_and_has_no_loudness() {
        let silent = spectral(SampleRate::Hz8000, |_| 0.0);
        assert!(silent.loudness < 0.01);
        assert_eq!((silent.alpha_ratio_db, silent.hammarberg_db, silent.flux), (0.0, 0.0, 0.0));
        assert!(silent.cepstra.iter().all(|c| c.abs() < 1e-3) && silent.slope_low.abs() < 1e-6);
    }

    #[test]
    fn the_slope_of_a_falling_spectrum_is_found() {
        // An impulse through a one-pole filter: about -6 dB per octave above its corner.
        let rate = SampleRate::Hz16000;
        let mut spectrum = Spectrum::new(rate);
        let samples: Vec<f32> = (0..320).map(|i| if i == 160 { 1.0 } else { 0.0 }).collect();
        assert!(spectrum.describe(&samples).slope_high.abs() < 1e-4);
        let mut state = 0.0;
        let falling: Vec<f32> = samples
            .iter()
            .map(|x| {
                state = 0.95 * state + x;
                state
            })
            .collect();
        let described = spectrum.describe(&falling);
        assert!((-0.02..-0.004).contains(&described.slope_high), "{described:?}");
        assert!(described.slope_low < described.slope_high, "{described:?}");
    }

    /// The second of two windows of `signal`, a function of seconds.
    fn spectral(rate: SampleRate, signal: impl Fn(f32) -> f32) -> Spectral {
        let mut spectrum = Spectrum::new(rate);
        let window = |from: usize| -> Vec<f32> {
            (from..from + 2 * rate.hop()).map(|i| signal(i as f32 / rate.hz() as f32)).collect()
        };
        spectrum.describe(&window(0));
        spectrum.describe(&window(rate.hop()))
    }
}
