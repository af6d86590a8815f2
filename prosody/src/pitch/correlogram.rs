//! Four autocorrelations of one 48 ms window, from four ways of flattening its spectrum.
//!
//! None of them needs energy at the fundamental. *Plain* follows the strong low harmonics, *flat* takes formants out by
//! half, *ripple* is the cepstrum of what stands above the noise and tells octaves apart. *Fine* tells the place of a peak:
//! it follows the lowest harmonics by their amplitudes, and *ripple* as far as there is no noise.

use std::f32::consts::TAU;
use std::sync::{Arc, LazyLock};

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::noise::{BANDS, NoiseFloor};
use crate::lanes::{each, sum};
use crate::math::ln;
use crate::transform::PowerSpectrum;

/// Samples of a window at 8 kHz: 48 ms.
pub const SPAN: usize = 384;
const FFT: usize = 512;
pub(super) const BINS: usize = FFT / 2 + 1;
const BIN_HZ: f32 = 8_000.0 / FFT as f32;
/// Bins of one noise band.
const BAND_BINS: usize = (BINS - 1) / BANDS;

/// Samples per second of a lag.
pub(super) const LAG_HZ: f32 = 16_000.0;
/// Lags kept.
pub(super) const LAGS: usize = 280;
/// Lags in which a period is refined: four of a voice above 92 Hz, two of the lowest.
pub(super) const FINE_LAGS: usize = 700;
/// How much *ripple* counts there, times the square of the share that stands above the noise.
const FINE_RIPPLE: f32 = 1.0;

/// The spectral envelope is a mean over so many bins to each side (±141 Hz).
const SIDE: usize = 9;
/// Corners of the weight that *plain* puts on frequencies, Hz: above 1.9 kHz there is more noise than voice.
const PLAIN_HZ: [f32; 4] = [27.0, 54.0, 1_350.0, 1_900.0];
/// The same for *fine*: higher harmonics move more with noise and with formants than they tell.
const FINE_HZ: [f32; 4] = [27.0, 54.0, 850.0, 1_300.0];
/// The same for the other two.
const WIDE_HZ: [f32; 4] = [40.0, 80.0, 3_500.0, 3_800.0];
/// How often the noise floor is taken away (the floor is a minimum and lies under the mean of noise), and what at
/// least remains.
const PLAIN_NOISE: (f32, f32) = (2.9, 0.24);
const FLAT_NOISE: (f32, f32) = (2.5, 0.02);
const RIPPLE_NOISE: f32 = 2.0;
/// Exponents of the correction for the window: a little less than 1, so that noise at long lags is not blown up.
const PLAIN_CORRECTION: f32 = 0.86;
const FLAT_CORRECTION: f32 = 0.9;
/// The longest correction of the ripple.
const RIPPLE_CORRECTION_MIN: f32 = 0.15;
const CORRECTION_MIN: f32 = 0.02;
/// *Flat* is cut here: short of noise it would exceed 1.
const FLAT_MAX: f32 = 1.2;
/// Valleys deeper than this below the envelope say no more, nepers.
const RIPPLE_MIN: f32 = -2.0;
/// Weight added so that a spectrum without voice has no ripple.
const RIPPLE_DAMPING: f32 = 8.0;

/// One window, described for the tracker.
pub struct Correlogram {
    tables: &'static Tables,
    transform: PowerSpectrum,
    inverse: Inverse,
    noise: NoiseFloor,

    /// Power per bin.
    pub(super) power: [f32; BINS],
    /// Mean power per noise band, and the noise under it.
    pub(super) bands: [f32; BANDS],
    pub(super) floor: [f32; BANDS],
    /// Mean share of the spectrum that stands above the noise, 0-1.
    pub(super) clear: f32,
    pub(super) plain: [f32; LAGS],
    pub(super) flat: [f32; LAGS],
    pub(super) ripple: [f32; LAGS],
    /// Over several periods.
    pub(super) fine: [f32; FINE_LAGS],
}

impl Default for Correlogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Correlogram {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);
        Self {
            transform: transform(),
            inverse: Inverse::new(&TABLES.turns),
            tables: &TABLES,
            noise: NoiseFloor::default(),
            power: [0.0; BINS],
            bands: [0.0; BANDS],
            floor: [0.0; BANDS],
            clear: 0.0,
            plain: [0.0; LAGS],
            flat: [0.0; LAGS],
            ripple: [0.0; LAGS],
            fine: [0.0; FINE_LAGS],
        }
    }

    /// How far a lag of [`Self::fine`] is to be trusted: 1 at 0, less the fewer samples of the window it compares.
    pub(super) fn fine_trust(&self) -> &'static [f32; FINE_LAGS] {
        &self.tables.fine_trust
    }

    /// Forgets the past.
    pub(super) fn restart(&mut self) {
        self.noise = NoiseFloor::default();
    }

    /// Describes `samples`, the next window of the stream (one hop after the one before), whose mean is `mean`.
    #[inline(always)]
    pub(super) fn describe(&mut self, samples: &[f32; SPAN], mean: f32) {
        self.transform.write(samples, mean, &mut self.power);
        for (band, bins) in self.bands.iter_mut().zip(self.power.as_chunks::<BAND_BINS>().0) {
            *band = sum(bins) / BAND_BINS as f32;
        }
        self.floor = *self.noise.learn(&self.bands);
        let mut floor = [self.floor[BANDS - 1]; BINS];
        for (bins, band) in floor.as_chunks_mut::<BAND_BINS>().0.iter_mut().zip(&self.floor) {
            *bins = [*band; BAND_BINS];
        }
        let envelope = smooth(&self.power);
        self.describe_plain(&floor);
        self.describe_flat(&floor, &envelope);
        self.describe_ripple_and_fine(&floor, &envelope);
    }

    #[inline(always)]
    fn describe_plain(&mut self, floor: &[f32; BINS]) {
        let spectrum = each(|bin| {
            let root = self.amplitude(floor, bin);
            self.tables.plain_weights[bin] * root * root.sqrt()
        });
        let energy = self.inverse.correlate(&self.tables.turns, &spectrum);
        let scale = 1.0 / energy.max(f32::MIN_POSITIVE);
        let lags: [f32; LAGS] = self.inverse.lags();
        self.plain = each(|lag| lags[lag] * scale * self.tables.plain_gain[lag]);
    }

    /// The amplitude of a bin without its noise.
    #[inline(always)]
    fn amplitude(&self, floor: &[f32; BINS], bin: usize) -> f32 {
        (self.power[bin] - PLAIN_NOISE.0 * floor[bin]).max(PLAIN_NOISE.1 * self.power[bin]).sqrt()
    }

    #[inline(always)]
    fn describe_flat(&mut self, floor: &[f32; BINS], envelope: &[f32; BINS]) {
        let spectrum = each(|bin| {
            let envelope = envelope[bin] + 1e-12;
            let clean = (envelope - FLAT_NOISE.0 * floor[bin]).max(FLAT_NOISE.1 * envelope);
            self.tables.wide_weights[bin] * self.power[bin] * clean / (envelope * envelope.sqrt())
        });
        let energy = self.inverse.correlate(&self.tables.turns, &spectrum);
        let scale = 1.0 / energy.max(f32::MIN_POSITIVE);
        let lags: [f32; LAGS] = self.inverse.lags();
        self.flat = each(|lag| (lags[lag] * scale * self.tables.flat_gain[lag]).clamp(-FLAT_MAX, FLAT_MAX));
    }

    #[inline(always)]
    fn describe_ripple_and_fine(&mut self, floor: &[f32; BINS], envelope: &[f32; BINS]) {
        let clear: [f32; BINS] = each(|bin| {
            self.tables.wide_weights[bin] * (1.0 - RIPPLE_NOISE * floor[bin] / (envelope[bin] + 1e-12)).clamp(0.0, 1.0)
        });
        let logs: [f32; BINS] = each(|bin| ln(self.power[bin] + 1e-9));
        let levels = smooth(&logs);
        let ripples: [f32; BINS] = each(|bin| (logs[bin] - levels[bin]).max(RIPPLE_MIN) * clear[bin]);
        self.inverse.correlate(&self.tables.turns, &ripples);
        let clear = sum(&clear);
        self.clear = clear / BINS as f32;
        let scale = 1.0 / (clear + RIPPLE_DAMPING);
        let lags: [f32; LAGS] = self.inverse.lags();
        self.ripple = each(|lag| lags[lag] * self.tables.ripple_gain[lag] * scale);

        let amplitudes: [f32; BINS] = each(|bin| self.tables.fine_weights[bin] * self.amplitude(floor, bin));
        // Every bin but the first, which has no weight, counts twice at lag 0.
        let own = 0.5 / sum(&amplitudes).max(f32::MIN_POSITIVE);
        let share = FINE_RIPPLE * self.clear * self.clear * scale;
        let spectrum = each(|bin| own * amplitudes[bin] + share * ripples[bin]);
        self.inverse.correlate(&self.tables.turns, &spectrum);
        let lags: [f32; FINE_LAGS] = self.inverse.lags();
        self.fine = each(|lag| lags[lag] * self.tables.plain_gain[lag]);
    }
}

/// The spectrum of a window.
fn transform() -> PowerSpectrum {
    PowerSpectrum::new((0..SPAN).map(|i| 0.5 - 0.5 * (TAU * (i as f32 + 0.5) / SPAN as f32).cos()).collect())
}

/// What is the same for every stream, made once: many parties take turns on one processor and its cache.
struct Tables {
    turns: Turns,
    plain_weights: [f32; BINS],
    fine_weights: [f32; BINS],
    wide_weights: [f32; BINS],
    plain_gain: [f32; FINE_LAGS],
    flat_gain: [f32; LAGS],
    ripple_gain: [f32; LAGS],
    fine_trust: [f32; FINE_LAGS],
}

impl Tables {
    fn new() -> Self {
        let turns = Turns::new();
        let mut inverse = Inverse::new(&turns);
        let mut power = [0.0; BINS];
        // What a constant gives is the shape that the window alone puts on every autocorrelation.
        transform().write(&[1.0; SPAN], 0.0, &mut power);
        let mut shape = |exponent: f32| -> [f32; FINE_LAGS] {
            let energy = inverse.correlate(&turns, &power.map(|power| power.powf(exponent)));
            inverse.lags::<FINE_LAGS>().map(|lag| (lag / energy).max(CORRECTION_MIN))
        };
        let (compressed, linear) = (shape(0.75), shape(1.0));
        Self {
            plain_weights: std::array::from_fn(|bin| trapezoid(bin as f32 * BIN_HZ, PLAIN_HZ)),
            fine_weights: std::array::from_fn(|bin| trapezoid(bin as f32 * BIN_HZ, FINE_HZ)),
            wide_weights: std::array::from_fn(|bin| trapezoid(bin as f32 * BIN_HZ, WIDE_HZ)),
            plain_gain: compressed.map(|value| value.powf(-PLAIN_CORRECTION)),
            flat_gain: std::array::from_fn(|lag| linear[lag].powf(-FLAT_CORRECTION)),
            ripple_gain: std::array::from_fn(|lag| 0.5 / compressed[lag].max(RIPPLE_CORRECTION_MIN)),
            fine_trust: linear.map(|value| value * value),
            turns,
        }
    }
}

/// The transform from a power spectrum to its lags.
struct Turns {
    plan: Arc<dyn Fft<f32>>,
    /// What a bin counts in it, from below and mirrored.
    direct: [Complex32; FFT / 2],
    mirrored: [Complex32; FFT / 2],
}

impl Turns {
    fn new() -> Self {
        // Lags come at twice the rate, so the turn from one to the next is half of what the transform's length says.
        let turn = |bin: usize, side: f32| {
            Complex32::ONE + Complex32::I * Complex32::cis(side * TAU * bin as f32 / (2 * FFT) as f32)
        };
        Self {
            plan: FftPlanner::<f32>::new().plan_fft_inverse(FFT),
            direct: std::array::from_fn(|bin| turn(bin, 1.0)),
            mirrored: std::array::from_fn(|bin| turn(bin, -1.0)),
        }
    }
}

/// Where lags are made.
struct Inverse {
    /// Pairs: the real part belongs to an even lag, the imaginary part to the next.
    lags: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Inverse {
    fn new(turns: &Turns) -> Self {
        let scratch = vec![Complex32::ZERO; turns.plan.get_inplace_scratch_len()];
        Self { lags: vec![Complex32::ZERO; FFT], scratch }
    }

    /// Leaves in `lags` the autocorrelation, at 16 kHz, that belongs to a power spectrum; the first is given back.
    ///
    /// A real sequence of twice the length by a complex transform: as the spectrum is real and empty above half of its
    /// bins, what goes in is every bin times a constant.
    #[inline(always)]
    fn correlate(&mut self, turns: &Turns, spectrum: &[f32; BINS]) -> f32 {
        let (below, above) = self.lags.split_at_mut(FFT / 2);
        for ((into, power), turn) in below.iter_mut().zip(spectrum).zip(&turns.direct) {
            *into = turn * power;
        }
        above[0] = Complex32::new(2.0 * spectrum[BINS - 1], 0.0);
        for ((into, power), turn) in above[1..].iter_mut().rev().zip(&spectrum[1..]).zip(&turns.mirrored[1..]) {
            *into = turn * power;
        }
        turns.plan.process_with_scratch(&mut self.lags, &mut self.scratch);
        self.lags[0].re
    }

    #[inline(always)]
    fn lags<const N: usize>(&self) -> [f32; N] {
        let mut lags = [0.0; N];
        for (pair, lag) in lags.as_chunks_mut::<2>().0.iter_mut().zip(&self.lags) {
            *pair = [lag.re, lag.im];
        }
        lags
    }
}

/// The weight of a frequency: 0 outside, 1 inside, straight lines between.
fn trapezoid(hz: f32, [from, full, to, end]: [f32; 4]) -> f32 {
    ((hz - from) / (full - from)).min((end - hz) / (end - to)).clamp(0.0, 1.0)
}

/// The mean over 19 bins around each; the outermost bins count for what lies beyond.
#[inline(always)]
fn smooth(values: &[f32; BINS]) -> [f32; BINS] {
    // Room for the longest sums at the end of the padding.
    let mut padded = [values[BINS - 1]; BINS + 3 * SIDE];
    padded[..SIDE].fill(values[0]);
    padded[SIDE..SIDE + BINS].copy_from_slice(values);
    // Sums of 2, 4, 8 and 16 neighbours, each from two of the one before.
    let two: [f32; BINS + 17] = doubled(&padded, 1);
    let four: [f32; BINS + 15] = doubled(&two, 2);
    let eight: [f32; BINS + 8] = doubled(&four, 4);
    let sixteen: [f32; BINS] = doubled(&eight, 8);
    each(|i| (sixteen[i] + two[i + 16] + padded[i + 18]) * (1.0 / (2 * SIDE + 1) as f32))
}

/// Every value and the one `step` after it.
#[inline(always)]
fn doubled<const LONG: usize, const SHORT: usize>(sums: &[f32; LONG], step: usize) -> [f32; SHORT] {
    let (first, second) = (&sums[..SHORT], &sums[step..step + SHORT]);
    each(|i| first[i] + second[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_is_the_plain_mean() {
        let values: [f32; BINS] = std::array::from_fn(|i| ((i * 7_919) % 97) as f32);
        let got = smooth(&values);
        for (i, got) in got.iter().enumerate() {
            let sum: f32 =
                (i as isize - 9..=i as isize + 9).map(|j| values[j.clamp(0, BINS as isize - 1) as usize]).sum();
            assert!((got - sum / 19.0).abs() < 1e-3, "bin {i}: {got}");
        }
    }

    #[test]
    fn a_missing_fundamental_peaks_at_its_period() {
        let mut correlogram = Correlogram::new();
        let tone = |i: usize, k: f32| (TAU * 125.0 * k * i as f32 / 8_000.0).sin();
        let samples: [f32; SPAN] = std::array::from_fn(|i| (3..24).map(|k| 0.02 * tone(i, k as f32)).sum());
        // What is heard first is taken for noise.
        correlogram.describe(&samples.map(|sample| 0.01 * sample), 0.0);
        correlogram.describe(&samples, 0.0);
        for lags in [correlogram.plain, correlogram.flat, correlogram.ripple] {
            let peak = (100..200).max_by(|&a, &b| lags[a].total_cmp(&lags[b]));
            assert_eq!(peak, Some(128));
        }
    }
}
