//! The shape of a power spectrum: where its energy lies, how it slopes, how it changes.

use std::ops::Range;

use super::Spectral;
use crate::lanes::{LANES, highest, sum, total};
use crate::math::decibels;

/// What lies above is left out, Hz.
const TOP_HZ: f32 = 5_000.0;
const ALPHA_HZ: f32 = 1_000.0;
const HAMMARBERG_HZ: f32 = 2_000.0;
/// Bands whose slopes are told, Hz.
const SLOPES_HZ: [(f32, f32); 2] = [(0.0, 500.0), (500.0, 1_500.0)];
/// Power below which a bin is silent.
const FLOOR: f32 = 1e-14;

pub(super) struct Shape {
    bin_hz: f32,
    /// Magnitudes of the window before, up to [`TOP_HZ`]; none before the first.
    before: Vec<f32>,
    is_first: bool,
    slopes: [Range<usize>; 2],
}

impl Shape {
    pub(super) fn new(bins: usize, bin_hz: f32) -> Self {
        let top = ((TOP_HZ / bin_hz) as usize + 1).min(bins);
        let band = |(from, to): (f32, f32)| (from / bin_hz).round() as usize..(to / bin_hz).round() as usize + 1;
        Self { bin_hz, before: vec![0.0; top], is_first: true, slopes: SLOPES_HZ.map(band) }
    }

    pub(super) fn restart(&mut self) {
        self.is_first = true;
    }

    #[inline(always)]
    pub(super) fn describe(&mut self, power: &[f32], out: &mut Spectral) {
        let power = &power[..self.before.len()];
        let split = |hz: f32| power.split_at((hz / self.bin_hz).ceil() as usize);
        let (low, high) = split(ALPHA_HZ);
        out.alpha_ratio_db = ratio_db(sum(high), sum(low));
        let (low, high) = split(HAMMARBERG_HZ);
        out.hammarberg_db = ratio_db(highest(low, 0.0), highest(high, 0.0));
        let [slope_low, slope_high] = self.slopes.each_ref().map(|band| slope(&power[band.clone()]) / self.bin_hz);
        (out.slope_low, out.slope_high) = (slope_low, slope_high);
        out.flux = self.flux(power);
    }

    /// Root mean square of the change of the magnitudes.
    #[inline(always)]
    fn flux(&mut self, power: &[f32]) -> f32 {
        let mut lanes = [0.0; LANES];
        for (before, power) in self.before.chunks_mut(LANES).zip(power.chunks(LANES)) {
            for ((lane, before), power) in lanes.iter_mut().zip(before).zip(power) {
                let magnitude = power.sqrt();
                *lane += (magnitude - *before) * (magnitude - *before);
                *before = magnitude;
            }
        }
        let mean = total(&lanes) / power.len() as f32;
        if std::mem::replace(&mut self.is_first, false) { 0.0 } else { mean.sqrt() }
    }
}

/// 0 where both are silent.
#[inline(always)]
fn ratio_db(above: f32, below: f32) -> f32 {
    if above <= FLOOR && below <= FLOOR { 0.0 } else { decibels(above.max(FLOOR)) - decibels(below.max(FLOOR)) }
}

/// The slope of the least-squares line through the levels of neighbouring bins, dB per bin.
#[inline(always)]
fn slope(power: &[f32]) -> f32 {
    let middle = 0.5 * (power.len() - 1) as f32;
    let mut across = [0.0; LANES];
    for (chunk, power) in power.chunks(LANES).enumerate() {
        for (i, (lane, power)) in across.iter_mut().zip(power).enumerate() {
            *lane += ((chunk * LANES + i) as f32 - middle) * decibels(power.max(FLOOR));
        }
    }
    // The sum of the squares of the distances.
    let count = power.len() as f32;
    total(&across) / (count * (count * count - 1.0) / 12.0)
}
