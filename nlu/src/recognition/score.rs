//! How sure one can be of a phrase: its score beside that of free speech over the same frames.
//!
//! A decoder's acoustic scores say little by themselves; what tells a phrase from a sound-alike is how much worse it
//! fits than anything else that could have been said, and whether it was said in the time that a human needs.
//! Fitted on acted sentences and read commands; figures: docs/MODELS.md.

use super::sphinx::Unit;

/// What a unit, longer than that, is no surer of; frames of 10 ms.
const UNIT_FRAMES_MAX: f32 = 25.0;
/// The sum at which a phrase is taken for said.
const EVEN: f32 = 10.0;
/// How fast doubt goes with the sum.
const SLOPE: f32 = 0.4;

/// The acoustic score of every frame, spread evenly over the frames of a unit.
#[derive(Debug, Default)]
pub(super) struct FrameScores(Vec<f32>);

impl FrameScores {
    /// Of free speech, as it was decoded.
    pub(super) fn of(units: &[Unit]) -> Self {
        let frames = units.iter().map(|unit| unit.frames.1 + 1).max().unwrap_or(0);
        let mut scores = vec![0.0; frames];
        for unit in units.iter().filter(|unit| unit.entry != NOTHING) {
            let (first, last) = unit.frames;
            scores[first..=last].fill(unit.score as f32 / (last - first + 1) as f32);
        }
        Self(scores)
    }

    /// How much better than free speech a unit fits, per frame; mostly below 0.
    fn margin(&self, unit: &Unit) -> f32 {
        let (first, last) = unit.frames;
        let free: f32 = self.0.iter().take(last + 1).skip(first).sum();
        (unit.score as f32 - free) / frames_of(unit)
    }
}

/// How sure one can be that the phrase made of these units was said, 0-1.
pub(super) fn confidence(phrase: &[&Unit], free: &FrameScores) -> f32 {
    let frames: f32 = phrase.iter().map(|unit| frames_of(unit)).sum();
    if frames == 0.0 {
        return 0.0;
    }
    let margin = phrase.iter().map(|unit| free.margin(unit) * frames_of(unit)).sum::<f32>() / frames;
    certainty(margin, frames / phrase.len() as f32)
}

/// How sure one can be of one unit by itself, 0-1.
pub(super) fn unit_confidence(unit: &Unit, free: &FrameScores) -> f32 {
    certainty(free.margin(unit), frames_of(unit))
}

fn certainty(margin: f32, unit_frames: f32) -> f32 {
    let sum = margin + unit_frames.min(UNIT_FRAMES_MAX);
    1.0 / (1.0 + (-(sum - EVEN) * SLOPE).exp())
}

fn frames_of(unit: &Unit) -> f32 {
    (unit.frames.1 - unit.frames.0 + 1) as f32
}

/// What the decoder calls a transition without a word.
const NOTHING: &str = "(NULL)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_free_speech_explains_better_is_no_phrase() {
        let free =
            FrameScores::of(&[unit("y1", 0, 19, -2_000), unit(NOTHING, 19, 19, -9_999), unit("y2", 20, 39, -2_400)]);
        check(&[unit("p0u0", 0, 19, -2_060), unit("p0u1", 20, 39, -2_440)], &free, 0.98);
        check(&[unit("p0u0", 0, 19, -2_500), unit("p0u1", 20, 39, -2_900)], &free, 0.001);
        check(&[unit("p0u0", 0, 9, -1_030), unit("p0u1", 10, 19, -1_030)], &free, 0.25);
        check(&[], &free, 0.0);
    }

    #[test]
    fn frames_that_nobody_scored_do_no_harm() {
        check(&[unit("p0u0", 50, 69, -2_000)], &FrameScores::default(), 0.0);
    }

    #[track_caller]
    fn check(phrase: &[Unit], free: &FrameScores, expected: f32) {
        let confidence = confidence(&phrase.iter().collect::<Vec<_>>(), free);
        assert!((confidence - expected).abs() < 0.03, "{confidence}");
    }

    fn unit(entry: &str, first: usize, last: usize, score: i64) -> Unit {
        Unit { entry: entry.to_owned(), frames: (first, last), score }
    }
}
