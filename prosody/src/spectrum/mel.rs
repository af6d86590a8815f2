//! 26 mel bands of 20-8000 Hz (up to half the rate), the loudness that they add up to, and their cepstrum.

use std::f32::consts::PI;

use super::{CEPSTRA, Spectral};
use crate::lanes::{each, sum};
use crate::math::{exp2, ln, log2, mel};

const BANDS: usize = 26;
const BAND_HZ: (f32, f32) = (20.0, 8_000.0);
/// The power law of hearing (Stevens).
const LOUDNESS_EXPONENT: f32 = 0.33;
/// The quietest band that loudness is made of.
const LOUDNESS_FLOOR: f32 = 1e-8;
/// MFCC are made of 16-bit samples, and no band is below 1 there (HTK).
const FULL_SCALE: f32 = 32_767.0;
const LIFTER: f32 = 22.0;

/// Where one bin goes: the band above which it lies, and the share that this band gets; the next one gets the rest.
#[derive(Debug, Clone, Copy)]
struct Bin {
    /// 0 is the one below the first band, which is not kept.
    band: usize,
    share: f32,
}

pub(super) struct Mel {
    first: usize,
    bins: Vec<Bin>,
    /// Weight of hearing per band (Hermansky 1990).
    hearing: [f32; BANDS],
    cosines: [[f32; BANDS]; CEPSTRA],
}

impl Mel {
    pub(super) fn new(bins: usize, bin_hz: f32) -> Self {
        let top_hz = BAND_HZ.1.min(bin_hz * (bins - 1) as f32);
        let (low, high) = (mel(BAND_HZ.0), mel(top_hz));
        let step = (high - low) / (BANDS + 1) as f32;
        // The bins at the edges themselves are left out.
        let first = (BAND_HZ.0 / bin_hz).round() as usize + 1;
        let end = ((top_hz / bin_hz).round() as usize).min(bins);
        let bin = |bin: usize| {
            let place = (mel(bin as f32 * bin_hz) - low) / step;
            let band = (place.max(0.0) as usize).min(BANDS);
            Bin { band, share: 1.0 - (place - band as f32) }
        };
        let centre_hz = |band: usize| 700.0 * (((low + step * (band + 1) as f32) / 1_127.0).exp() - 1.0);
        let cosine = |i: usize, band: usize| {
            let lift = 1.0 + LIFTER / 2.0 * (PI * (i + 1) as f32 / LIFTER).sin();
            lift * (2.0 / BANDS as f32).sqrt() * (PI * (i + 1) as f32 / BANDS as f32 * (band as f32 + 0.5)).cos()
        };
        Self {
            first,
            bins: (first..end).map(bin).collect(),
            hearing: std::array::from_fn(|band| hearing(centre_hz(band))),
            cosines: std::array::from_fn(|i| std::array::from_fn(|band| cosine(i, band))),
        }
    }

    #[inline(always)]
    pub(super) fn describe(&self, power: &[f32], out: &mut Spectral) {
        // One place on each side for what lies outside.
        let mut sums = [0.0; BANDS + 2];
        for (bin, power) in self.bins.iter().zip(&power[self.first..]) {
            let part = bin.share * power;
            sums[bin.band] += part;
            sums[bin.band + 1] += power - part;
        }
        let bands: &[f32; BANDS] = sums[1..].first_chunk().expect("two more than bands");
        let heard: [f32; BANDS] =
            each(|band| exp2(LOUDNESS_EXPONENT * log2(bands[band].max(LOUDNESS_FLOOR) * self.hearing[band])));
        out.loudness = sum(&heard) / BANDS as f32;

        let logs: [f32; BANDS] = each(|band| ln((bands[band] * FULL_SCALE * FULL_SCALE).max(1.0)));
        out.cepstra = each(|i| sum(&each::<BANDS>(|band| self.cosines[i][band] * logs[band])));
    }
}

/// Sensitivity of hearing to power at `hz` (Hermansky 1990, with the fall above 5 kHz), about 1 at 3 kHz times 1e5.
fn hearing(hz: f32) -> f32 {
    let turns = std::f64::consts::TAU * f64::from(hz);
    let square = turns * turns;
    let low = square + 6.3e6;
    let weight = 1e32 * (square + 56.8e6) * square * square
        / (low * low * (square + 0.38e9) * (square * square * square * turns + 1.7e31));
    weight as f32
}
