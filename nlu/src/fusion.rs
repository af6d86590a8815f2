//! Voice and words of one party as one judgement: late fusion, either may be missing.
//!
//! Words move the odds that the voice gives, by what they say beyond the usual and as far as they can be relied on:
//! a product of experts. Calm words calm a lively voice down as angry ones raise a quiet one.

use std::sync::Arc;

use crate::features::SAMPLE_RATE_HZ;
use crate::observation::WordEvidence;
use crate::text::{Reading, TextSource, tokens};

/// What a party said, as text: from a recogniser or a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The words.
    pub text: String,
    /// Where it begins, samples at 8 kHz from the start of the party's audio.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// How sure the recogniser is of the words, 0-1; 1 for what was typed.
    pub confidence: f32,
}

/// How often the classes neutral, anger, joy and sadness come in calls, before anything is known of this one.
pub(crate) const USUAL: [f32; 4] = [0.60, 0.20, 0.10, 0.10];
/// How much words count beside a voice: the two are not independent of each other.
const SHARE: f32 = 0.7;
/// Words count half after this time, seconds, and no more after `FORGOTTEN_S`.
const HALF_LIFE_S: f32 = 4.0;
const FORGOTTEN_S: f32 = 15.0;
/// So many tokens make half of a reliable judgement.
const HALF_TOKENS: f32 = 2.0;
/// Reliability of lexicons without a model.
const LEXICON_RELIABILITY: f32 = 0.6;
/// No word is surer than this, nor surer of the contrary.
const DOUBT: f32 = 0.02;
/// An utterance steps the timeline by its own length, within these seconds.
const STEP_S_MIN: f32 = 0.5;
const STEP_S_MAX: f32 = 3.0;

/// The last words of a party.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub(crate) evidence: Arc<WordEvidence>,
    probabilities: [f32; 4],
}

impl Words {
    pub(crate) fn new(utterance: &Utterance, reading: Reading) -> Self {
        let count = tokens(&utterance.text).len() as f32;
        let confidence = if utterance.confidence.is_nan() { 0.0 } else { utterance.confidence.clamp(0.0, 1.0) };
        let trust = match reading.source {
            TextSource::Model => 1.0,
            // What lexicons do not know is not calm for that.
            TextSource::LexiconOnly if reading.words.is_empty() => 0.0,
            TextSource::LexiconOnly => LEXICON_RELIABILITY,
        };
        let evidence = WordEvidence {
            start: utterance.start,
            end: utterance.end,
            confidence,
            reliability: confidence * trust * count / (count + HALF_TOKENS),
            emotion: reading.naming.emotion(&reading.judgement),
            judgement: reading.judgement,
            words: reading.words,
            source: reading.source,
        };
        Self { probabilities: reading.judgement.as_voice(), evidence: Arc::new(evidence) }
    }

    /// Whether they still count at `position`.
    pub(crate) fn count_at(&self, position: u64) -> bool {
        self.age_s(position) <= FORGOTTEN_S
    }

    /// By how many seconds of judgement the utterance moves the timeline.
    pub(crate) fn step_s(&self) -> f32 {
        seconds(self.evidence.end.saturating_sub(self.evidence.start)).clamp(STEP_S_MIN, STEP_S_MAX)
    }

    fn age_s(&self, position: u64) -> f32 {
        seconds(position.saturating_sub(self.evidence.end))
    }

    fn weight(&self, position: u64) -> f32 {
        SHARE * self.evidence.reliability * (-self.age_s(position) / HALF_LIFE_S).exp2()
    }
}

/// Voice (probabilities of the four classes, and anger) moved by the words that count at `position`.
pub(crate) fn fuse(voice: ([f32; 4], f32), words: Option<&Words>, position: u64) -> ([f32; 4], f32) {
    let Some(words) = words.filter(|words| words.count_at(position)) else { return voice };
    let (mut probabilities, anger) = voice;
    let weight = words.weight(position);
    for ((fused, said), usual) in probabilities.iter_mut().zip(words.probabilities).zip(USUAL) {
        *fused *= (said.clamp(DOUBT, 1.0 - DOUBT) / usual).powf(weight);
    }
    let sum = probabilities.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    probabilities.iter_mut().for_each(|fused| *fused /= sum);
    let beyond_usual = log_odds(words.probabilities[1]) - log_odds(USUAL[1]);
    (probabilities, sigmoid(log_odds(anger) + weight * beyond_usual))
}

fn log_odds(probability: f32) -> f32 {
    let probability = probability.clamp(DOUBT, 1.0 - DOUBT);
    (probability / (1.0 - probability)).ln()
}

fn sigmoid(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn seconds(samples: u64) -> f32 {
    samples as f32 / SAMPLE_RATE_HZ as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Naming, TextJudgement};

    const QUIET: ([f32; 4], f32) = ([0.8, 0.1, 0.05, 0.05], 0.1);
    const LIVELY: ([f32; 4], f32) = ([0.3, 0.6, 0.05, 0.05], 0.6);

    #[test]
    fn words_raise_a_quiet_voice_and_calm_a_lively_one() {
        let at = 8_000;
        assert!(fuse(QUIET, Some(&words(0.95, 1.0)), at).1 > 0.3);
        assert!(fuse(LIVELY, Some(&words(0.95, 1.0)), at).1 > 0.85);
        assert!(fuse(LIVELY, Some(&words(0.02, 1.0)), at).1 < 0.4);
        assert!(fuse(QUIET, Some(&words(0.02, 1.0)), at).1 < QUIET.1);
        assert_eq!(fuse(LIVELY, None, at), LIVELY);
    }

    #[test]
    fn what_was_hardly_heard_and_what_is_long_ago_counts_little() {
        let moved = |confidence: f32, position: u64| fuse(QUIET, Some(&words(0.95, confidence)), position).1 - QUIET.1;
        assert!(moved(1.0, 8_000) > 2.0 * moved(0.4, 8_000));
        assert!(moved(1.0, 8_000) > 1.5 * moved(1.0, 8_000 + 4 * 8_000));
        assert_eq!(moved(1.0, 8_000 + 16 * 8_000), 0.0);
        assert!(moved(f32::NAN, 8_000).abs() < 1e-6);
    }

    #[test]
    fn lexicons_alone_say_nothing_of_words_that_they_do_not_know() {
        let reading = Reading {
            judgement: TextJudgement::NOTHING,
            naming: Naming::USUAL,
            words: Vec::new(),
            source: TextSource::LexiconOnly,
            intents: Vec::new(),
        };
        let unknown = Utterance { text: "我要打官司".to_owned(), start: 0, end: 8_000, confidence: 1.0 };
        let (probabilities, anger) = fuse(LIVELY, Some(&Words::new(&unknown, reading)), 8_000);
        assert!((anger - LIVELY.1).abs() < 1e-6 && (probabilities[1] - LIVELY.0[1]).abs() < 1e-6, "{anger}");
    }

    #[test]
    fn probabilities_stay_probabilities() {
        for anger in [0.0, 0.2, 0.5, 1.0] {
            let (probabilities, fused) = fuse(([0.0, 1.0, 0.0, 0.0], 1.0), Some(&words(anger, 7.0)), 8_000);
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{probabilities:?}");
            assert!((0.0..=1.0).contains(&fused), "{fused}");
        }
    }

    /// Ten tokens within the first second that are angry by `anger`, else neutral.
    fn words(anger: f32, confidence: f32) -> Words {
        let emotions = [1.0 - anger, anger, 0.0, 0.0, 0.0, 0.0, 0.0];
        let judgement = TextJudgement { emotions, upset: anger, ..TextJudgement::NOTHING };
        let (naming, intents, words) = (Naming::USUAL, Vec::new(), Vec::new());
        let reading = Reading { judgement, naming, intents, words, source: TextSource::Model };
        let text = "我打了三遍电话了都没".to_owned();
        Words::new(&Utterance { text, start: 0, end: 8_000, confidence }, reading)
    }
}
