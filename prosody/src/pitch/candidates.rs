//! The pitches that one window may have: peaks of the three correlograms together.
//!
//! Decides nothing, but says of each candidate what the correlograms show at its period and at simple fractions of it.

use super::PITCH_HZ;
use super::correlogram::{Correlogram, FINE_LAGS, LAG_HZ, LAGS};
use crate::lanes::{each, highest};
use crate::math::log2;

/// Candidates per frame.
pub const CANDIDATES: usize = 10;
/// Numbers known about one candidate.
pub const CANDIDATE_EVIDENCE: usize = 3 * PER_CORRELOGRAM + 1;

/// What one correlogram says of a candidate: here, at 2, 1/2, 1/3, 2/3, 3/2 of the period, and below its maximum.
const PER_CORRELOGRAM: usize = 7;
/// Weights of the three in the sum whose peaks are taken.
const MIX: [f32; 3] = [0.5, 0.5, 0.3];
/// The lags of the highest and of the lowest pitch.
pub(super) const LAG_RANGE: std::ops::RangeInclusive<usize> = 26..=268;
/// A longer period must be better by so much per octave.
const LONG_PERIOD_COST: f32 = 0.02;
/// Peaks lower than this are no candidates.
const HEIGHT_MIN: f32 = 0.05;
/// Multiples of a period that tell its length more exactly, and how far from the peak that may be, lags.
const MULTIPLES: usize = 4;
const REFINEMENT_MAX: f32 = 1.5;
/// The shortest fraction of a period that is looked up.
const FRACTION_MIN: usize = 13;

/// One possible pitch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Base-2 logarithm of the frequency in Hz.
    pub octave: f32,
    /// What speaks for it and against it, for the network.
    pub evidence: [f32; CANDIDATE_EVIDENCE],
}

/// The candidates of one frame, the highest peak first.
#[derive(Debug, Clone)]
pub struct Candidates {
    list: [Candidate; CANDIDATES],
    count: usize,
}

impl Default for Candidates {
    fn default() -> Self {
        Self { list: [Candidate { octave: 0.0, evidence: [0.0; CANDIDATE_EVIDENCE] }; CANDIDATES], count: 0 }
    }
}

impl Candidates {
    /// Those that there are.
    pub fn as_slice(&self) -> &[Candidate] {
        &self.list[..self.count]
    }

    /// Finds the candidates of the window that `correlogram` has described last.
    ///
    /// Gives the highest values within the lags of a pitch, in the order plain, flat, ripple.
    #[inline(always)]
    pub(super) fn find(&mut self, correlogram: &Correlogram) -> [f32; 3] {
        let mixed: [f32; LAGS] = each(|lag| {
            MIX[0] * correlogram.plain[lag] + MIX[1] * correlogram.flat[lag] + MIX[2] * correlogram.ripple[lag]
        });
        let mut peaks = [(0, f32::NEG_INFINITY); CANDIDATES];
        let mut found = 0;
        for lag in LAG_RANGE {
            let [before, here, after] = [mixed[lag - 1], mixed[lag], mixed[lag + 1]];
            if (here > before) & (here >= after) & (here > HEIGHT_MIN) {
                let height = here - LONG_PERIOD_COST * log2(lag as f32 / *LAG_RANGE.start() as f32);
                insert(&mut peaks, &mut found, (lag, height));
            }
        }
        let maxima = [&correlogram.plain, &correlogram.flat, &correlogram.ripple].map(
            #[inline(always)]
            |lags| highest(&lags[LAG_RANGE], f32::NEG_INFINITY),
        );
        self.count = 0;
        for &(lag, _) in &peaks[..found] {
            let period = lag as f32 + parabola(mixed[lag - 1], mixed[lag], mixed[lag + 1]);
            let hz = LAG_HZ / refined(&correlogram.fine, correlogram.fine_trust(), period);
            let octave = log2(hz.clamp(PITCH_HZ.0, PITCH_HZ.1));
            self.list[self.count] = Candidate { octave, evidence: evidence(correlogram, &maxima, lag, octave) };
            self.count += 1;
        }
        maxima
    }
}

/// Puts a peak in its place; the lowest falls out when there are too many.
fn insert(peaks: &mut [(usize, f32); CANDIDATES], found: &mut usize, peak: (usize, f32)) {
    let at = peaks[..*found].partition_point(|other| other.1 >= peak.1);
    if at == CANDIDATES {
        return;
    }
    *found = (*found + 1).min(CANDIDATES);
    peaks.copy_within(at..*found - 1, at + 1);
    peaks[at] = peak;
}

#[inline(always)]
fn evidence(correlogram: &Correlogram, maxima: &[f32; 3], lag: usize, octave: f32) -> [f32; CANDIDATE_EVIDENCE] {
    let mut out = [0.0; CANDIDATE_EVIDENCE];
    let parts = out.chunks_exact_mut(PER_CORRELOGRAM);
    for ((lags, &highest), part) in
        [&correlogram.plain, &correlogram.flat, &correlogram.ripple].into_iter().zip(maxima).zip(parts)
    {
        let fraction = |numerator: usize, denominator: usize, reach: usize| {
            let at = (lag * numerator + denominator / 2) / denominator;
            let inside = (FRACTION_MIN..LAGS - 3).contains(&at);
            if inside { lags[at - reach..=at + reach].iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)) } else { 0.0 }
        };
        part.copy_from_slice(&[
            lags[lag],
            fraction(2, 1, 2),
            fraction(1, 2, 1),
            fraction(1, 3, 1),
            fraction(2, 3, 1),
            fraction(3, 2, 2),
            lags[lag] - highest,
        ]);
    }
    out[CANDIDATE_EVIDENCE - 1] = octave - MIDDLE_OCTAVE;
    out
}

/// log2 of 180 Hz.
const MIDDLE_OCTAVE: f32 = 7.491_853;

/// Where the parabola through three neighbours peaks, in steps from the middle one.
fn parabola(before: f32, here: f32, after: f32) -> f32 {
    let bend = before - 2.0 * here + after;
    if bend >= 0.0 { 0.0 } else { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) }
}

/// The length near `period` (lags) at whose multiples `lags` is highest: noise moves the later peaks as much as the first,
/// which is a half, a third and a quarter of that per period. Newton's steps on the weighted sum, each with one peak more.
#[inline(always)]
fn refined(lags: &[f32; FINE_LAGS], weights: &[f32; FINE_LAGS], period: f32) -> f32 {
    let (mut slope, mut bend, mut found) = (0.0, 0.0, period);
    for number in 1..=MULTIPLES {
        let multiple = number as f32;
        let at = (multiple * found + 0.5) as usize;
        if at + 1 >= FINE_LAGS {
            break;
        }
        let [before, here, after] = [lags[at - 1], lags[at], lags[at + 1]];
        let own_bend = before - 2.0 * here + after;
        let own_slope = 0.5 * (after - before) + (multiple * period - at as f32) * own_bend;
        if own_bend < 0.0 {
            slope += weights[at] * multiple * own_slope;
            bend += weights[at] * multiple * multiple * own_bend;
        }
        if bend < 0.0 {
            found = period - (slope / bend).clamp(-REFINEMENT_MAX, REFINEMENT_MAX);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_refined_by_its_multiples() {
        let weights = [1.0; FINE_LAGS];
        for period in [31.3, 80.8, 140.45, 250.2] {
            let lags: [f32; FINE_LAGS] = each(|lag| (std::f32::consts::TAU * lag as f32 / period).cos());
            for off in [-0.9, 0.0, 0.4] {
                let got = refined(&lags, &weights, period + off);
                assert!((got - period).abs() < 0.1 * off.abs() + 0.01, "{got} instead of {period}");
            }
        }
        assert_eq!(refined(&[0.0; FINE_LAGS], &weights, 100.0), 100.0);
    }

    #[test]
    fn the_highest_peaks_stay_in_order() {
        let mut peaks = [(0, f32::NEG_INFINITY); CANDIDATES];
        let mut found = 0;
        for i in 0..30 {
            insert(&mut peaks, &mut found, (i, ((i * 11) % 30) as f32));
        }
        let heights: Vec<f32> = peaks.iter().map(|peak| peak.1).collect();
        assert_eq!(found, CANDIDATES);
        assert_eq!(heights, (20..30).rev().map(|i| i as f32).collect::<Vec<f32>>());
    }
}
