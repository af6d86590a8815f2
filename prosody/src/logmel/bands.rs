//! Triangles of equal width in mel, and the logarithm of what falls into them.

use realfft::num_complex::Complex32;

use super::LogMelSettings;
use crate::math::mel;

/// One triangle: the first bin under it, and where its weights are.
#[derive(Debug, Clone, Copy)]
struct Band {
    first: usize,
    weights: (usize, usize),
}

#[derive(Debug)]
pub(super) struct Bands {
    bands: Vec<Band>,
    /// Of all bands, one after the other.
    weights: Vec<f32>,
    power: Vec<f32>,
}

impl Bands {
    /// The triangles on the bins of a transform of `size` samples. The bin at half the rate is left out, as in Kaldi.
    pub(super) fn new(settings: &LogMelSettings, size: usize) -> Self {
        let bin_hz = settings.rate.hz() as f32 / size as f32;
        let (low, high) = (mel(settings.low_hz), mel(settings.high_hz));
        let step = (high - low) / (settings.bins + 1) as f32;
        let mut weights = Vec::new();
        let mut band = |number: usize| {
            let left = low + number as f32 * step;
            let centre = low + (number + 1) as f32 * step;
            let right = low + (number + 2) as f32 * step;
            let place = |bin: usize| mel(bin_hz * bin as f32);
            let under: Vec<usize> = (0..size / 2).filter(|&bin| place(bin) > left && place(bin) < right).collect();
            let begin = weights.len();
            weights.extend(under.iter().map(|&bin| {
                let at = place(bin);
                if at <= centre { (at - left) / (centre - left) } else { (right - at) / (right - centre) }
            }));
            Band { first: under.first().copied().unwrap_or(0), weights: (begin, weights.len()) }
        };
        let bands = (0..settings.bins).map(&mut band).collect();
        Self { bands, weights, power: vec![0.0; size / 2] }
    }

    /// Appends the natural logarithm of each triangle's energy, at least that of 2⁻²³. A triangle without a bin under it
    /// has that floor always.
    pub(super) fn describe(&mut self, spectrum: &[Complex32], out: &mut Vec<f32>) {
        for (power, bin) in self.power.iter_mut().zip(spectrum) {
            *power = bin.norm_sqr();
        }
        out.extend(self.bands.iter().map(|band| {
            let (begin, end) = band.weights;
            let weights = &self.weights[begin..end];
            let energy: f32 = weights.iter().zip(&self.power[band.first..]).map(|(weight, power)| weight * power).sum();
            energy.max(f32::EPSILON).ln()
        }));
    }
}
