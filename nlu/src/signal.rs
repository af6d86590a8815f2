//! The anger score of signal processing alone: how far pitch, level, rate and tilt are above the speaker's usual.
//!
//! Used by itself when there is no model, and fused with the model's word when there is one.

use crate::features::Row;

/// Probability of anger, 0-1, from the row's scores against the baseline.
///
/// A logistic regression; `nlu/train/train` fits the weights and prints them, `docs/MODELS.md` has the figures.
pub fn signal_anger(row: &Row) -> f32 {
    let evidence = &row.evidence;
    let scores = [evidence.pitch_z, evidence.level_z, evidence.rate_z, row.tilt_z];
    let sum: f32 = scores.iter().zip(&WEIGHTS).map(|(score, weight)| score * weight).sum();
    logistic(BIAS + sum)
}

/// The word of model and signal together: the mean of their log odds, weighted 2 to 1.
///
/// The model knows timbre and shape, the signal knows the speaker; where they disagree neither gets to `high` alone.
pub fn fuse_anger(model: f32, signal: f32) -> f32 {
    logistic(MODEL_SHARE * log_odds(model) + (1.0 - MODEL_SHARE) * log_odds(signal))
}

const MODEL_SHARE: f32 = 2.0 / 3.0;
/// Weights of the scores of pitch, level, rate, tilt.
const WEIGHTS: [f32; 4] = [0.55, 0.75, 0.15, 0.45];
const BIAS: f32 = -2.6;

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn log_odds(p: f32) -> f32 {
    let p = p.clamp(0.002, 0.998);
    (p / (1.0 - p)).ln()
}
