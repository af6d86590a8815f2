//! Level, log-mel energies and spectral tilt of the 25 ms around a hop.
//!
//! Hann window of 200 samples, FFT of 256 (bins of 31.25 Hz). Does not smooth over time.

use std::sync::Arc;

use dasp::window::{Hanning, Window as _};
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use super::analyzer::SPAN;
use super::frame::{Frame, LEVEL_DBOV_MIN, MEL_BANDS, MEL_ENERGY_MIN, SAMPLE_RATE_HZ};

const WINDOW: usize = 200;
const FFT: usize = 256;
const BINS: usize = FFT / 2 + 1;
const BIN_HZ: f32 = SAMPLE_RATE_HZ as f32 / FFT as f32;
const MEL_HZ: (f32, f32) = (100.0, 3_800.0);
/// The two bands whose ratio is the tilt, Hz (alpha ratio, cut to the telephone band).
const TILT_LOW_HZ: (f32, f32) = (200.0, 1_000.0);
const TILT_HIGH_HZ: (f32, f32) = (1_000.0, 3_400.0);
/// Keeps the tilt of near-silence near 0 dB: −90 dB re full scale.
const TILT_ENERGY_MIN: f32 = 1e-9;

pub(crate) struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    window: [f32; WINDOW],
    input: Vec<f32>,
    output: Vec<Complex32>,
    scratch: Vec<Complex32>,
    power: [f32; BINS],
    /// The triangle of each band: first bin and weights.
    bands: Vec<(usize, Vec<f32>)>,
    /// Makes the sum of the bin powers the mean square of the windowed samples.
    scale: f32,
}

impl Spectrum {
    pub(crate) fn new() -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(FFT);
        let window = hann::<WINDOW>();
        let energy: f32 = window.iter().map(|w| w * w).sum();
        Self {
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            window,
            power: [0.0; BINS],
            bands: mel_bands(),
            scale: 2.0 / (FFT as f32 * energy),
        }
    }

    /// Everything about the middle of `recent` but pitch, voicing and syllable.
    pub(crate) fn describe(&mut self, position: u64, recent: &[f32; SPAN]) -> Frame {
        let middle = &recent[(SPAN - WINDOW) / 2..(SPAN + WINDOW) / 2];
        self.transform(middle);

        let mut frame = Frame::silent(position);
        frame.level_dbov = level_dbov(middle);
        for (value, (first, weights)) in frame.log_mel.iter_mut().zip(&self.bands) {
            let energy: f32 = weights.iter().zip(&self.power[*first..]).map(|(w, p)| w * p).sum();
            *value = (energy + MEL_ENERGY_MIN).ln();
        }
        let high = self.band_energy(TILT_HIGH_HZ) + TILT_ENERGY_MIN;
        let low = self.band_energy(TILT_LOW_HZ) + TILT_ENERGY_MIN;
        frame.tilt_db = 10.0 * (high / low).log10();
        frame
    }

    fn transform(&mut self, samples: &[f32]) {
        self.input.fill(0.0);
        for ((into, sample), weight) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *into = sample * weight;
        }
        self.fft
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("the buffers were made by this plan");
        for (power, bin) in self.power.iter_mut().zip(&self.output) {
            *power = bin.norm_sqr() * self.scale;
        }
    }

    fn band_energy(&self, (low_hz, high_hz): (f32, f32)) -> f32 {
        let first = (low_hz / BIN_HZ).ceil() as usize;
        let end = (high_hz / BIN_HZ).ceil() as usize;
        self.power[first..end].iter().sum()
    }
}

/// The Hann window of `N` points, without the two zeros at its ends.
pub(crate) fn hann<const N: usize>() -> [f32; N] {
    std::array::from_fn(|i| Hanning::window((i as f32 + 0.5) / N as f32))
}

fn level_dbov(samples: &[f32]) -> f32 {
    let mean_square = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
    if mean_square > 0.0 { (10.0 * mean_square.log10()).max(LEVEL_DBOV_MIN) } else { LEVEL_DBOV_MIN }
}

/// Triangles of equal width in mel, each reaching to its neighbours' middles (O'Shaughnessy's mel scale).
fn mel_bands() -> Vec<(usize, Vec<f32>)> {
    let (low, high) = (mel(MEL_HZ.0), mel(MEL_HZ.1));
    let step = (high - low) / (MEL_BANDS + 1) as f32;
    (0..MEL_BANDS)
        .map(|band| {
            let centre = low + step * (band + 1) as f32;
            let weight = |bin: usize| 1.0 - (mel(bin as f32 * BIN_HZ) - centre).abs() / step;
            let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(BINS);
            (first, (first..BINS).map(weight).take_while(|&w| w > 0.0).collect())
        })
        .collect()
}

fn mel(hz: f32) -> f32 {
    2_595.0 * (1.0 + hz / 700.0).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_of_a_full_scale_square_wave_is_zero() {
        check_level(|i| if i % 20 < 10 { 1.0 } else { -1.0 }, 0.0);
    }

    #[test]
    fn level_of_a_full_scale_sine_is_three_below() {
        check_level(|i| (std::f32::consts::TAU * i as f32 * 0.125).sin(), -3.01);
    }

    #[test]
    fn silence_has_the_lowest_level_and_no_tilt() {
        let frame = Spectrum::new().describe(0, &[0.0; SPAN]);
        assert_eq!(frame, Frame::silent(0));
    }

    #[test]
    fn every_band_holds_at_least_two_bins() {
        for (first, weights) in mel_bands() {
            assert!(weights.len() >= 2, "band at bin {first} has {} bins", weights.len());
        }
    }

    #[test]
    fn a_tone_lights_up_its_band_and_tilts_the_spectrum() {
        for (hz, tilt_positive) in [(500.0, false), (2_000.0, true)] {
            let tone = std::array::from_fn(|i| 0.3 * (std::f32::consts::TAU * i as f32 * hz / 8_000.0).sin());
            let frame = Spectrum::new().describe(0, &tone);
            let loudest = (0..MEL_BANDS).max_by(|&a, &b| frame.log_mel[a].total_cmp(&frame.log_mel[b]));
            let expected = (0..MEL_BANDS).min_by(|&a, &b| {
                let distance = |band: usize| {
                    let step = (mel(MEL_HZ.1) - mel(MEL_HZ.0)) / (MEL_BANDS + 1) as f32;
                    (mel(MEL_HZ.0) + step * (band + 1) as f32 - mel(hz)).abs()
                };
                distance(a).total_cmp(&distance(b))
            });
            assert_eq!(loudest, expected, "{hz} Hz");
            assert_eq!(frame.tilt_db > 20.0, tilt_positive, "{hz} Hz: {}", frame.tilt_db);
        }
    }

    #[track_caller]
    fn check_level(signal: impl Fn(usize) -> f32, expected_dbov: f32) {
        let frame = Spectrum::new().describe(0, &std::array::from_fn(signal));
        assert!((frame.level_dbov - expected_dbov).abs() < 0.05, "{}", frame.level_dbov);
    }
}
