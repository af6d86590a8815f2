//! Single periods of a voice, each found where the waveform fits its predecessor best; jitter and shimmer of them.
//!
//! After Boersma's cross-correlation (Praat), but going forward only: a chain of periods that begins with the voice and
//! is taken up with every hop.

use std::collections::VecDeque;
use std::f32::consts::PI;

use crate::SampleRate;
use crate::lanes::{each, total};
use crate::math::decibels;
use crate::pitch::PITCH_HZ;
use crate::recent::Recent;

/// How far around the middle of a hop periods count for it.
pub(crate) const PERIODS_REACH_MS: usize = 30;
/// A period lies within these multiples of the one that the pitch tells.
const LENGTHS: (f32, f32) = (0.85, 1.18);
/// Periods whose waveforms fit less than this are no neighbours.
const FIT_MIN: f32 = 0.5;
/// Periods kept: 600 Hz over the reach on both sides and a hop, with some to spare.
const PERIODS_MAX: usize = 64;
/// Waveforms are compared over this many periods, most of all in the middle, where the glottis closes.
const SPAN: f32 = 2.75;
/// Samples compared side by side, and lags.
const LANES: usize = 8;
const ABREAST: usize = 4;
/// Levels are compared over this many.
const LEVEL_SPAN: f32 = 1.5;
/// Lags to each side that the place between samples is found from, and the places tried per sample.
const TAPS: usize = 4;
const STEPS: usize = 4;
/// Lags compared, at most: a third of the longest period and more.
const LAGS_MAX: usize = (16_000 / 60 / 2 + 2 * TAPS).next_multiple_of(ABREAST);

/// One period and how it differs from the one before.
#[derive(Debug, Clone, Copy)]
struct Period {
    /// Where it begins, samples.
    at: f64,
    /// Samples.
    length: f32,
    /// Level against the period before, dB.
    step_db: f32,
}

/// Mean differences of neighbouring periods.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Irregularity {
    /// Of lengths, over the mean length.
    pub(crate) jitter: f32,
    /// Of levels, dB.
    pub(crate) shimmer_db: f32,
}

/// Follows the periods of one voice.
#[derive(Debug, Clone)]
pub(crate) struct Periods {
    /// Per place between samples what each lag around it counts.
    between: [[f32; 2 * TAPS + 1]; 2 * STEPS + 1],
    rate_hz: f32,
    reach: i64,
    /// Where the next period begins.
    next: Option<f64>,
    periods: VecDeque<Period>,
    stretch: Stretch,
}

/// What one period is compared by: kept so that nothing is allocated.
#[derive(Debug, Clone, Default)]
struct Stretch {
    weights: Vec<f32>,
    /// Of the period itself, weighted.
    samples: Vec<f32>,
    /// Squares of what comes after it.
    squares: Vec<f32>,
}

impl Periods {
    pub(crate) fn new(rate: SampleRate) -> Self {
        let reach = (rate.hop() * PERIODS_REACH_MS / 10) as i64;
        let place = |step: usize| step as f32 / STEPS as f32 - 1.0;
        let tap = |step: usize, i: usize| windowed_sinc(place(step) - (i as f32 - TAPS as f32));
        Self {
            between: std::array::from_fn(|step| std::array::from_fn(|i| tap(step, i))),
            rate_hz: rate.hz() as f32,
            reach,
            next: None,
            periods: VecDeque::with_capacity(PERIODS_MAX),
            stretch: Stretch::new((SPAN * rate.hz() as f32 / PITCH_HZ.0) as usize + LANES),
        }
    }

    /// Forgets the past.
    pub(crate) fn restart(&mut self) {
        self.next = None;
        self.periods.clear();
    }

    /// Goes on to the hop around `middle`; what its periods are like, where it is voiced and has three of them.
    #[inline(always)]
    pub(crate) fn follow(&mut self, recent: &Recent, middle: i64, pitch_hz: Option<f32>) -> Option<Irregularity> {
        let Some(hz) = pitch_hz else {
            self.restart();
            return None;
        };
        let length = self.rate_hz / hz;
        let mut at = self.next.unwrap_or_else(|| begin(recent, middle, length));
        let horizon = (middle + self.reach) as f64;
        while at + f64::from(length) < horizon {
            let Some(period) = self.after(recent, at, length) else {
                // The chain is broken here; it begins anew a hop later.
                self.next = None;
                return self.irregularity(middle);
            };
            if self.periods.len() == PERIODS_MAX {
                self.periods.pop_front();
            }
            self.periods.push_back(period);
            at += f64::from(period.length);
        }
        self.next = Some(at);
        self.irregularity(middle)
    }

    fn irregularity(&self, middle: i64) -> Option<Irregularity> {
        let near = |period: &Period| (period.at + 0.5 * f64::from(period.length) - middle as f64).abs();
        let (mut pairs, mut lengths, mut jitter, mut shimmer) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
        for (one, two) in self.periods.iter().zip(self.periods.iter().skip(1)) {
            let linked = (two.at - one.at - f64::from(one.length)).abs() < 0.5;
            if linked && near(one) < self.reach as f64 && near(two) < self.reach as f64 {
                pairs += 1.0;
                lengths += 0.5 * (one.length + two.length);
                jitter += (two.length - one.length).abs();
                shimmer += two.step_db.abs();
            }
        }
        (pairs > 0.0).then(|| Irregularity { jitter: jitter / lengths, shimmer_db: shimmer / pairs })
    }

    /// The period that begins at `at`: its waveform comes again after it.
    #[inline(always)]
    fn after(&mut self, recent: &Recent, at: f64, length: f32) -> Option<Period> {
        let span = (SPAN * length).round() as usize;
        let from = (at - 0.5 * span as f64).round() as i64;
        // Lags on both sides of those searched are there for the place between samples.
        let shortest = (LENGTHS.0 * length).floor() as usize - TAPS;
        let count = ((LENGTHS.1 * length).ceil() as usize + TAPS - shortest + 1).min(LAGS_MAX);
        let reach = span.next_multiple_of(LANES) + count.next_multiple_of(ABREAST);
        let later = recent.window(from + shortest as i64, reach);
        let fits = self.stretch.fits(recent.window(from, span), later);
        let lag = (TAPS..count - TAPS).fold(TAPS, |best, lag| if fits[lag] > fits[best] { lag } else { best });
        if fits[lag] < FIT_MIN {
            return None;
        }
        let around: &[f32; 2 * TAPS + 1] = fits[lag - TAPS..].first_chunk().expect("lags to both sides");
        let own = (shortest + lag) as f32 + self.summit(around);
        let step_db = level_db(recent, at + f64::from(own), length) - level_db(recent, at, length);
        Some(Period { at, length: own, step_db })
    }

    /// Where the band-limited curve through these values is highest, relative to the middle one, within a step of it.
    #[inline(always)]
    fn summit(&self, around: &[f32; 2 * TAPS + 1]) -> f32 {
        let value = |taps: &[f32; 2 * TAPS + 1]| taps.iter().zip(around).map(|(tap, fit)| tap * fit).sum::<f32>();
        let steps: [f32; 2 * STEPS + 1] = each(|step| value(&self.between[step]));
        let highest = (1..2 * STEPS).max_by(|&a, &b| steps[a].total_cmp(&steps[b])).unwrap_or(STEPS);
        let [before, middle, after] = [steps[highest - 1], steps[highest], steps[highest + 1]];
        let bend = before - 2.0 * middle + after;
        let shift = if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-1.0, 1.0) } else { 0.0 };
        (highest as f32 - STEPS as f32 + shift) / STEPS as f32
    }
}

impl Stretch {
    /// Room for stretches of `length` samples.
    fn new(length: usize) -> Self {
        let room = || Vec::with_capacity(length + LAGS_MAX);
        Self { weights: room(), samples: room(), squares: room() }
    }

    /// How well `now` fits what comes `lag` samples after the beginning of `later`, for every lag that there is room
    /// for: the weighted product over the root of both weighted powers, −1 to 1.
    #[inline(always)]
    fn fits(&mut self, now: &[f32], later: &[f32]) -> [f32; LAGS_MAX] {
        let (span, whole) = (now.len() as f32, now.len().next_multiple_of(LANES));
        self.weights.clear();
        self.weights.extend((0..now.len()).map(|i| weight((2 * i + 1) as f32 / span - 1.0)));
        self.samples.clear();
        self.samples.extend(self.weights.iter().zip(now).map(|(weight, sample)| weight * sample));
        let mut powers = [0.0f32; LANES];
        for (weighted, samples) in self.samples.chunks(LANES).zip(now.chunks(LANES)) {
            for ((power, weighted), sample) in powers.iter_mut().zip(weighted).zip(samples) {
                *power += weighted * sample;
            }
        }
        let power_now = total(&powers);
        self.weights.resize(whole, 0.0);
        self.samples.resize(whole, 0.0);
        self.squares.clear();
        self.squares.extend(later.iter().map(|sample| sample * sample));
        let mut fits = [0.0; LAGS_MAX];
        let lags = (later.len() - whole) / ABREAST * ABREAST;
        for (lag, fits) in (0..lags).step_by(ABREAST).zip(fits.as_chunks_mut::<ABREAST>().0) {
            let together = products(&self.samples, &later[lag..]);
            let powers = products(&self.weights, &self.squares[lag..]);
            for i in 0..ABREAST {
                fits[i] = together[i] / (power_now * powers[i]).max(f32::MIN_POSITIVE).sqrt();
            }
        }
        fits
    }
}

/// The products of a stretch with what lies beside it, and with the same moved on by one, two and three samples.
#[inline(always)]
fn products(one: &[f32], two: &[f32]) -> [f32; ABREAST] {
    let mut sums = [[0.0f32; LANES]; ABREAST];
    for (at, one) in one.as_chunks::<LANES>().0.iter().enumerate() {
        let two: &[f32; LANES + ABREAST] = two[at * LANES..].first_chunk().expect("as far as the last lag needs");
        for (moved, sums) in sums.iter_mut().enumerate() {
            for lane in 0..LANES {
                sums[lane] += one[lane] * two[lane + moved];
            }
        }
    }
    each(|i| total(&sums[i]))
}

/// The highest peak around `middle`: a chain begins there.
#[inline(always)]
fn begin(recent: &Recent, middle: i64, length: f32) -> f64 {
    let from = middle - (0.5 * length) as i64;
    let samples = recent.window(from, length as usize + 1);
    let peak = (0..samples.len()).max_by(|&a, &b| samples[a].abs().total_cmp(&samples[b].abs()));
    (from + peak.unwrap_or(0) as i64) as f64
}

/// Level of the waveform around `at`.
#[inline(always)]
fn level_db(recent: &Recent, at: f64, length: f32) -> f32 {
    let span = LEVEL_SPAN * length;
    let from = (at - 0.5 * f64::from(span)).ceil();
    let (first, scale) = ((from - at) as f32, 2.0 / span);
    let mut powers = [0.0f32; LANES];
    for (chunk, samples) in recent.window(from as i64, span as usize).chunks(LANES).enumerate() {
        for (i, (power, sample)) in powers.iter_mut().zip(samples).enumerate() {
            *power += weight((first + (chunk * LANES + i) as f32) * scale) * sample * sample;
        }
    }
    decibels(total(&powers).max(f32::MIN_POSITIVE))
}

/// 1 in the middle, 0 at a distance of 1.
#[inline(always)]
fn weight(distance: f32) -> f32 {
    let square = (1.0 - distance * distance).max(0.0);
    square * square
}

fn windowed_sinc(x: f32) -> f32 {
    if x.abs() < 1e-4 {
        return 1.0;
    }
    let edge = (PI * x / (TAPS + 1) as f32).cos();
    (PI * x).sin() / (PI * x) * (0.5 + 0.5 * edge)
}
