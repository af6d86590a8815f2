//! Voice activity of one party: is there speech in these 16 ms?
//!
//! Wraps the one detector chosen for the project (`earshot`, which wants 16 kHz) and adds what a telephone needs: the
//! doubling of the rate, a floor below which nothing is speech, and hysteresis. Figures: docs/MODELS.md.

use earshot::Detector;

/// Samples at 8 kHz per decision: 16 ms.
pub const ACTIVITY_STEP: usize = 128;

/// The detector looks back: what it says after a step fits the step this many before best (measured, 32 ms).
pub const ACTIVITY_LAG: usize = 2;

/// Scores at or above start speech; these three maximise balanced accuracy over the telephone band.
const SCORE_ENTER: f32 = 0.7;
/// Scores below end speech, once [`HANG_STEPS`] of them follow each other.
const SCORE_LEAVE: f32 = 0.6;
const HANG_STEPS: u32 = 2;
/// Steps quieter than this are never speech: the noise of an idle line lies below, a whisper above. dBov.
const FLOOR_DBOV: f32 = -60.0;
/// Taps of the interpolator on each side.
const TAPS: usize = 8;

/// What the detector remembers of one party. About 9 KiB.
pub struct Activity {
    detector: Box<Detector>,
    doubler: Doubler,
    doubled: [f32; 2 * ACTIVITY_STEP],
    filled: usize,
    power: f32,
    low_steps: u32,
    speech: bool,
}

impl std::fmt::Debug for Activity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Activity").field("speech", &self.speech).finish_non_exhaustive()
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            detector: Box::default(),
            doubler: Doubler::default(),
            doubled: [0.0; 2 * ACTIVITY_STEP],
            filled: 0,
            power: 0.0,
            low_steps: 0,
            speech: false,
        }
    }
}

impl Activity {
    /// Takes samples at 8 kHz, [-1, 1], any number; appends one decision per completed [`ACTIVITY_STEP`] to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<bool>) {
        for &sample in samples {
            let sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
            let [here, between] = self.doubler.push(sample);
            self.doubled[2 * self.filled] = here;
            self.doubled[2 * self.filled + 1] = between;
            self.power += sample * sample;
            self.filled += 1;
            if self.filled == ACTIVITY_STEP {
                out.push(self.decide());
            }
        }
    }

    /// Forgets the signal so far, as after a gap in the stream.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn decide(&mut self) -> bool {
        let score = self.detector.predict_f32(&self.doubled);
        let level_dbov = 10.0 * (self.power / ACTIVITY_STEP as f32).max(1e-12).log10();
        self.filled = 0;
        self.power = 0.0;
        let score = if level_dbov < FLOOR_DBOV { 0.0 } else { score };
        self.low_steps = if score < SCORE_LEAVE { self.low_steps + 1 } else { 0 };
        self.speech = score >= SCORE_ENTER || (self.speech && self.low_steps < HANG_STEPS);
        self.speech
    }
}

/// Doubles the rate of a stream from 8 to 16 kHz, a millisecond late; nothing is added above 4 kHz.
#[derive(Debug, Default)]
pub(crate) struct Doubler {
    /// The last samples at 8 kHz, oldest first, for the interpolator.
    history: [f32; 2 * TAPS],
}

impl Doubler {
    /// Takes one sample at 8 kHz, gives two at 16 kHz.
    pub(crate) fn push(&mut self, sample: f32) -> [f32; 2] {
        self.history.copy_within(1.., 0);
        self.history[2 * TAPS - 1] = sample;
        [self.history[TAPS - 1], between(&self.history)]
    }
}

/// The same sound at 16 kHz, a millisecond later.
pub(crate) fn doubled(samples: &[f32]) -> Vec<f32> {
    let mut doubler = Doubler::default();
    samples.iter().flat_map(|&sample| doubler.push(sample)).collect()
}

/// The value half a sample after `history[TAPS - 1]`, by a Hann-windowed sinc.
fn between(history: &[f32; 2 * TAPS]) -> f32 {
    let sum: f32 = history.iter().zip(&HALF_BAND).map(|(x, h)| x * h).sum();
    sum.clamp(-1.0, 1.0)
}

/// sinc(k) · (0.5 + 0.5 cos(πk / 8)) at k = ±0.5, ±1.5, … ±7.5, scaled to unit gain at 0 Hz.
const HALF_BAND: [f32; 2 * TAPS] = [
    -0.000_408, 0.004_125, -0.012_856, 0.028_457, -0.054_323, 0.098_993, -0.194_251, 0.630_263, 0.630_263, -0.194_251,
    0.098_993, -0.054_323, 0.028_457, -0.012_856, 0.004_125, -0.000_408,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_a_whine_below_the_floor_are_not_speech() {
        check(&vec![0.0; 16_000], 0);
        let whine: Vec<f32> = (0..16_000).map(|i| 0.0005 * (i as f32 * 0.3).sin()).collect();
        check(&whine, 0);
    }

    #[test]
    fn chunks_do_not_matter() {
        let signal: Vec<f32> = (0..8_000).map(|i| 0.3 * (i as f32 * 0.1).sin() * (i as f32 * 0.002).sin()).collect();
        let whole = decisions(&signal, signal.len());
        assert_eq!(whole.len(), signal.len() / ACTIVITY_STEP);
        for chunk in [1, 7, 80, 160, 333] {
            assert_eq!(decisions(&signal, chunk), whole, "in chunks of {chunk}");
        }
    }

    #[test]
    fn the_interpolator_has_unit_gain() {
        assert!((HALF_BAND.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn samples_out_of_range_do_no_harm() {
        let wild: Vec<f32> = (0..8_000).map(|i| if i % 3 == 0 { 1e9 } else { f32::NAN }).collect();
        let _ = decisions(&wild, 80);
    }

    /// `signal` must have `expected` steps of speech.
    #[track_caller]
    fn check(signal: &[f32], expected: usize) {
        assert_eq!(decisions(signal, 160).iter().filter(|speech| **speech).count(), expected);
    }

    fn decisions(signal: &[f32], chunk: usize) -> Vec<bool> {
        let mut activity = Activity::default();
        let mut out = Vec::new();
        for piece in signal.chunks(chunk) {
            activity.push(piece, &mut out);
        }
        out
    }
}
