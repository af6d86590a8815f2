//! Triangles of equal width in mel, Kaldi's or Slaney's, and the logarithm of what falls into them.

use realfft::num_complex::Complex32;

use super::{LogMelSettings, Triangles};
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
    /// The triangles on the bins of a transform of `size` samples. The bin at half the rate is left out, as in Kaldi: under
    /// Slaney's triangles, too, where it would weigh nothing.
    pub(super) fn new(settings: &LogMelSettings, size: usize) -> Self {
        let bin_hz = settings.rate.hz() as f32 / size as f32;
        let mut weights = Vec::new();
        let mut band = |number: usize| {
            let triangle = Triangle::of(settings, number);
            let under: Vec<usize> = (0..size / 2).filter(|&bin| triangle.weight(bin_hz * bin as f32) > 0.0).collect();
            let begin = weights.len();
            weights.extend(under.iter().map(|&bin| triangle.weight(bin_hz * bin as f32)));
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

/// One triangle: its corners in what it is straight in, and how high it is.
struct Triangle {
    /// From Hz to what it is straight in.
    place: fn(f32) -> f32,
    corners: [f32; 3],
    height: f32,
}

impl Triangle {
    /// Triangle `number` of those that lie between the edges.
    fn of(settings: &LogMelSettings, number: usize) -> Self {
        let scale = match settings.triangles {
            Triangles::Kaldi => mel,
            Triangles::Slaney => slaney_mel,
        };
        let (low, high) = (scale(settings.low_hz), scale(settings.high_hz));
        let step = (high - low) / (settings.bins + 1) as f32;
        let corners = [0, 1, 2].map(|corner| low + (number + corner) as f32 * step);
        match settings.triangles {
            Triangles::Kaldi => Self { place: mel, corners, height: 1.0 },
            Triangles::Slaney => {
                let corners = corners.map(slaney_hz);
                Self { place: |hz| hz, corners, height: 2.0 / (corners[2] - corners[0]) }
            }
        }
    }

    fn weight(&self, hz: f32) -> f32 {
        let ([left, centre, right], at) = (self.corners, (self.place)(hz));
        let rises = if at <= centre { (at - left) / (centre - left) } else { (right - at) / (right - centre) };
        rises.max(0.0) * self.height
    }
}

/// How many of Whisper's 80 triangles between 0 and 8 kHz end by `half_hz`, and where the last of them ends.
pub(super) fn whisper_band(half_hz: f32) -> (usize, f32) {
    const TRIANGLES: usize = 80;
    let end = |bins: usize| slaney_hz(slaney_mel(8_000.0) * (bins + 1) as f32 / (TRIANGLES + 1) as f32);
    let bins = (1..=TRIANGLES).rev().find(|&bins| end(bins) <= half_hz + 0.01).unwrap_or(1);
    (bins, end(bins).min(half_hz))
}

/// Up to here Slaney's mel is linear, Hz.
const LINEAR_HZ: f32 = 1_000.0;
/// Hz of one of its mels there.
const HZ_PER_MEL: f32 = 200.0 / 3.0;
/// Beyond, 27 of them are a factor of 6.4: the logarithm of one.
fn logarithm_per_mel() -> f32 {
    6.4f32.ln() / 27.0
}

fn slaney_mel(hz: f32) -> f32 {
    if hz < LINEAR_HZ { hz / HZ_PER_MEL } else { LINEAR_HZ / HZ_PER_MEL + (hz / LINEAR_HZ).ln() / logarithm_per_mel() }
}

fn slaney_hz(mel: f32) -> f32 {
    let beyond = mel - LINEAR_HZ / HZ_PER_MEL;
    if beyond < 0.0 { mel * HZ_PER_MEL } else { LINEAR_HZ * (logarithm_per_mel() * beyond).exp() }
}
