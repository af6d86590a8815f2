//! The anger score of signal processing alone: how far pitch, level, rate and alpha ratio are above the speaker's usual.
//!
//! Used by itself when there is no model, and fused with the model's word when there is one.

use crate::features::Row;

/// Probability of anger, 0-1, from the row's scores against the baseline.
///
/// A logistic function of four scores with weights set by hand; a regression fitted to the corpora found more anger and
/// alarmed far more often. Its figures are in the model's card.
pub fn signal_anger(row: &Row) -> f32 {
    let evidence = &row.evidence;
    let scores = [evidence.pitch_z, evidence.level_z, evidence.rate_z, row.alpha_ratio_z];
    let sum: f32 = scores.iter().zip(&WEIGHTS).map(|(score, weight)| score * weight).sum();
    logistic(BIAS + sum)
}

/// The word of model and signal together: either alone is enough, `1 - (1 - m)(1 - s)`.
///
/// The model knows timbre and shape of the corpora it heard, the signal knows this speaker; on a voice unlike any of
/// the corpora the model is silent rather than wrong, so the signal must be able to speak alone.
pub fn fuse_anger(model: f32, signal: f32) -> f32 {
    1.0 - (1.0 - model.clamp(0.0, 1.0)) * (1.0 - signal.clamp(0.0, 1.0))
}

/// The model's anger with doubt, as long as little is known of how the speaker usually sounds: `known`, 0-1, is the share
/// of the windows that tell it. A voice unlike all that the model has heard may sound angry to it at its first words.
pub fn doubt(model: f32, known: f32) -> f32 {
    let odds = model / (1.0 - model).max(f32::EPSILON);
    let doubted = odds / UNKNOWN_ODDS.powf(1.0 - (known / KNOWN_ENOUGH).clamp(0.0, 1.0));
    doubted / (1.0 + doubted)
}

/// By how much a voice's first window is doubted, and the share of the windows from which on none is.
const UNKNOWN_ODDS: f32 = 18.0;
const KNOWN_ENOUGH: f32 = 0.5;

/// Weights of the scores of pitch, level, rate, alpha ratio; chosen with the thresholds on speakers the model had not heard.
const WEIGHTS: [f32; 4] = [0.55, 0.75, 0.15, 0.45];
const BIAS: f32 = -2.5;

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_word_is_enough() {
        check(0.9, 0.0, 0.9);
        check(0.0, 0.9, 0.9);
        check(0.5, 0.5, 0.75);
        check(0.0, 0.0, 0.0);
        check(1.0, 1.0, 1.0);
    }

    #[test]
    fn an_unknown_voice_is_doubted_less_and_less() {
        let at = |known| doubt(0.9, known);
        assert!((at(0.0) - 1.0 / 3.0).abs() < 1e-6 && (at(0.25) - 0.679_65).abs() < 1e-4, "{} {}", at(0.0), at(0.25));
        assert!((at(0.5) - 0.9).abs() < 1e-6 && (at(1.0) - 0.9).abs() < 1e-6);
        for model in [0.0, 1.0] {
            assert!((doubt(model, 0.0) - model).abs() < 1e-5, "{}", doubt(model, 0.0));
        }
    }

    #[track_caller]
    fn check(model: f32, signal: f32, expected: f32) {
        assert!((fuse_anger(model, signal) - expected).abs() < 1e-6);
    }
}
