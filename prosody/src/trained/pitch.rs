//! Pitch candidates of one 50 ms window: peaks of a normalised autocorrelation.
//!
//! The autocorrelation is taken from a spectrum without its steady noise and compressed, so that one strong formant
//! does not hide the other harmonics, and divided by that of the window (Boersma 1993). It needs no energy at the
//! fundamental itself.
//! Decides nothing: the tracker chooses among the candidates over time.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::analyzer::SPAN;
use super::frame::{LEVEL_DBOV_MIN, SAMPLE_RATE_HZ};
use super::noise::NoiseFloor;
use super::spectrum::hann;

/// The lowest and highest pitch told, Hz.
pub(crate) const PITCH_HZ: (f32, f32) = (60.0, 600.0);
/// Voiced candidates per frame.
pub(crate) const CANDIDATES: usize = 8;

const FFT: usize = 1_024;
const BINS: usize = FFT / 2 + 1;
/// The inverse transform is twice as long: lags come at 16 kHz.
const INVERSE: usize = 2 * FFT;
const LAG_RATE_HZ: f32 = (2 * SAMPLE_RATE_HZ) as f32;
const LAG_MIN: usize = 26;
const LAG_MAX: usize = 268;
/// Exponent of the power spectrum; 1 is the plain autocorrelation, 0.5 works on magnitudes.
const COMPRESSION: f32 = 0.75;
/// Weight of the spectrum: none under, full from, full to, none over, Hz. Above 1.9 kHz there is more noise than voice.
const BAND_HZ: [f32; 4] = [27.0, 54.0, 1_350.0, 1_900.0];
/// Exponent of the window's correction: a little less than 1, so that noise at long lags is not blown up.
const CORRECTION: f32 = 0.86;
/// Peaks lower than this are no candidates.
const STRENGTH_MIN: f32 = 0.15;
/// Less energy than this in the weighted spectrum is silence or a constant.
const ENERGY_MIN: f32 = 1e-3;
/// Windows that are quieter than the loudest one lately by more than this are less likely to be voiced, dB.
const QUIET_DB: f32 = 18.0;
/// By so much strength per dB.
const QUIET_PER_DB: f32 = 0.03;
/// How fast the memory of the loudest level sinks, dB per hop (1.5 dB/s).
const FORGET_DB: f32 = 0.015;
/// Below this level nothing is voiced, dBov.
const LEVEL_DBOV_VOICED: f32 = -70.0;

/// One possible pitch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Candidate {
    /// Base-2 logarithm of the frequency in Hz.
    pub(crate) octave: f32,
    /// Height of the normalised autocorrelation, 0-1.
    pub(crate) strength: f32,
}

/// The voiced candidates of one frame, strongest first.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Candidates {
    list: [Candidate; CANDIDATES],
    len: usize,
    /// How much more than usual speaks for "unvoiced": the window is far quieter than the voice lately.
    pub(crate) quiet: f32,
}

impl Candidates {
    pub(crate) fn as_slice(&self) -> &[Candidate] {
        &self.list[..self.len]
    }

    /// Puts a candidate in its place; the weakest falls out when there are too many.
    fn insert(&mut self, candidate: Candidate) {
        let at = self.as_slice().partition_point(|other| other.strength >= candidate.strength);
        if at == CANDIDATES {
            return;
        }
        self.len = (self.len + 1).min(CANDIDATES);
        self.list.copy_within(at..self.len - 1, at + 1);
        self.list[at] = candidate;
    }
}

pub(crate) struct Pitch {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    window: [f32; SPAN],
    /// Frequency weights, one per bin.
    weights: Vec<f32>,
    /// Corrects for the normalised autocorrelation of the window, one per lag.
    gain: Vec<f32>,
    input: Vec<f32>,
    bins: Vec<Complex32>,
    lags: Vec<f32>,
    forward_scratch: Vec<Complex32>,
    inverse_scratch: Vec<Complex32>,
    noise: NoiseFloor,
    /// Slowly sinking maximum of the level, dBov.
    loudest_dbov: f32,
}

impl Pitch {
    pub(crate) fn new() -> Self {
        let mut planner = RealFftPlanner::<f32>::new();
        let forward = planner.plan_fft_forward(FFT);
        let inverse = planner.plan_fft_inverse(INVERSE);
        let mut pitch = Self {
            input: forward.make_input_vec(),
            bins: inverse.make_input_vec(),
            lags: inverse.make_output_vec(),
            forward_scratch: forward.make_scratch_vec(),
            inverse_scratch: inverse.make_scratch_vec(),
            forward,
            inverse,
            noise: NoiseFloor::new(),
            loudest_dbov: LEVEL_DBOV_MIN,
            window: hann(),
            weights: vec![1.0; BINS],
            gain: Vec::new(),
        };
        // What a constant gives is the shape that the window alone puts on every autocorrelation.
        pitch.transform(&[1.0; SPAN], 0.0);
        pitch.correlate();
        pitch.gain = pitch.lags[..LAG_MAX + 2].iter().map(|lag| lag.powf(-CORRECTION)).collect();
        pitch.weights = (0..BINS).map(|bin| trapezoid(bin as f32 * SAMPLE_RATE_HZ as f32 / FFT as f32)).collect();
        pitch
    }

    /// Forgets the past.
    pub(crate) fn restart(&mut self) {
        self.noise = NoiseFloor::new();
        self.loudest_dbov = LEVEL_DBOV_MIN;
    }

    /// The candidates of the window `recent`, whose middle has the level `level_dbov`.
    pub(crate) fn candidates(&mut self, recent: &[f32; SPAN], level_dbov: f32) -> Candidates {
        self.loudest_dbov = (self.loudest_dbov - FORGET_DB).max(level_dbov);
        let below_db = self.loudest_dbov - level_dbov - QUIET_DB;
        let mut found = Candidates { quiet: (below_db * QUIET_PER_DB).max(0.0), ..Candidates::default() };
        let mean = recent.iter().sum::<f32>() / SPAN as f32;
        if level_dbov < LEVEL_DBOV_VOICED {
            return found;
        }
        self.transform(recent, mean);
        self.noise.learn(&self.bins[..BINS]);
        if !self.correlate() {
            return found;
        }
        for (lag, gain) in self.lags.iter_mut().zip(&self.gain) {
            *lag *= gain;
        }
        for lag in LAG_MIN..=LAG_MAX {
            let [before, here, after] = [self.lags[lag - 1], self.lags[lag], self.lags[lag + 1]];
            if here < STRENGTH_MIN || here < before || here <= after {
                continue;
            }
            let (shift, height) = parabola(before, here, after);
            let hz = LAG_RATE_HZ / (lag as f32 + shift);
            if (PITCH_HZ.0..=PITCH_HZ.1).contains(&hz) {
                found.insert(Candidate { octave: hz.log2(), strength: height.min(1.0) });
            }
        }
        found
    }

    /// Leaves in `bins` the spectrum of the windowed samples less `mean`.
    fn transform(&mut self, samples: &[f32; SPAN], mean: f32) {
        self.input.fill(0.0);
        for ((into, sample), weight) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *into = (sample - mean) * weight;
        }
        self.forward
            .process_with_scratch(&mut self.input, &mut self.bins[..BINS], &mut self.forward_scratch)
            .expect("the buffers were made by this plan");
    }

    /// Leaves in `lags` the autocorrelation that belongs to `bins`, 1 at lag 0; false without energy.
    fn correlate(&mut self) -> bool {
        for (number, (bin, &weight)) in self.bins.iter_mut().zip(&self.weights).enumerate() {
            let power = if weight > 0.0 { self.noise.without(number, bin.norm_sqr()) } else { 0.0 };
            *bin = Complex32::new(weight * power.powf(COMPRESSION), 0.0);
        }
        self.bins[BINS..].fill(Complex32::ZERO);
        self.inverse
            .process_with_scratch(&mut self.bins, &mut self.lags, &mut self.inverse_scratch)
            .expect("the buffers were made by this plan and the outer bins are real");
        let energy = self.lags[0];
        if energy <= ENERGY_MIN {
            return false;
        }
        for lag in &mut self.lags[..LAG_MAX + 2] {
            *lag /= energy;
        }
        true
    }
}

/// The weight of a frequency: 0 outside, 1 inside, straight lines between.
fn trapezoid(hz: f32) -> f32 {
    let [from, full, to, end] = BAND_HZ;
    ((hz - from) / (full - from)).min((end - hz) / (end - to)).clamp(0.0, 1.0)
}

/// Where the parabola through three neighbours peaks, samples from the middle one, and how high.
fn parabola(before: f32, here: f32, after: f32) -> (f32, f32) {
    let bend = before - 2.0 * here + after;
    if bend >= 0.0 {
        return (0.0, here);
    }
    let shift = (0.5 * (before - after) / bend).clamp(-0.5, 0.5);
    (shift, here - 0.25 * (before - after) * shift)
}
