//! Voice, words and expressions of one party as one judgement: late fusion, any may be missing.
//!
//! Words and expressions move the odds that the voice gives, by what they say beyond the usual and as far as they can be relied
//! on: a product of experts. Calm words calm a lively voice down as angry ones raise a quiet one.

use std::sync::Arc;

use crate::expression::Expression;
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

impl Utterance {
    /// What a party without audio has written by `end`: it counts for as long as its words take to be said.
    pub fn written(text: String, end: u64) -> Self {
        let length = tokens(&text).len() as u64 * WRITTEN_TOKEN_SAMPLES;
        Self { text, start: end.saturating_sub(length), end, confidence: 1.0 }
    }
}

/// How long a written token counts, samples at 8 kHz: 0.1 s.
const WRITTEN_TOKEN_SAMPLES: u64 = 800;
/// How often the classes neutral, anger, joy and sadness come in calls, before anything is known of this one.
pub(crate) const USUAL: [f32; 4] = [0.60, 0.20, 0.10, 0.10];
/// How much words count beside a voice: the two are not independent of each other.
pub(crate) const SHARE_BESIDE_VOICE: f32 = 0.7;
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
            number: 0,
            start: utterance.start,
            end: utterance.end,
            confidence,
            reliability: confidence * trust * count / (count + HALF_TOKENS),
            emotion: reading.naming.emotion(&reading.judgement),
            judgement: reading.judgement,
            words: reading.words,
            intents: reading.intents,
            source: reading.source,
        };
        Self { probabilities: reading.judgement.as_voice(), evidence: Arc::new(evidence) }
    }

    /// The same, as the utterance of this number.
    pub(crate) fn numbered(mut self, number: u64) -> Self {
        Arc::make_mut(&mut self.evidence).number = number;
        self
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
        self.evidence.reliability * (-self.age_s(position) / HALF_LIFE_S).exp2()
    }
}

/// Voice (probabilities of the four classes, and anger) moved by the words, of which `share` counts, and the expression, as
/// far as they count at `position`.
pub(crate) fn fuse(
    voice: ([f32; 4], f32),
    words: Option<&Words>,
    share: f32,
    expression: Option<&Expression>,
    position: u64,
) -> ([f32; 4], f32) {
    let words = words.filter(|words| words.count_at(position));
    let expression = expression.filter(|expression| expression.counts_at(position));
    let voice = words.map_or(voice, |words| moved(voice, words.probabilities, share * words.weight(position)));
    expression.map_or(voice, |seen| moved(voice, seen.probabilities(USUAL), seen.weight(position)))
}

/// A judgement moved by what one expert says beyond the usual, as far as `weight`.
fn moved((mut probabilities, anger): ([f32; 4], f32), said: [f32; 4], weight: f32) -> ([f32; 4], f32) {
    for ((fused, said), usual) in probabilities.iter_mut().zip(said).zip(USUAL) {
        *fused *= (said.clamp(DOUBT, 1.0 - DOUBT) / usual).powf(weight);
    }
    let sum = probabilities.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    probabilities.iter_mut().for_each(|fused| *fused /= sum);
    let beyond_usual = log_odds(said[1]) - log_odds(USUAL[1]);
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
    use crate::expression::{SeenIn, Shown};
    use crate::text::{Naming, TextJudgement};

    const BESIDE: f32 = SHARE_BESIDE_VOICE;
    const QUIET: ([f32; 4], f32) = ([0.8, 0.1, 0.05, 0.05], 0.1);
    const LIVELY: ([f32; 4], f32) = ([0.3, 0.6, 0.05, 0.05], 0.6);

    #[test]
    fn words_raise_a_quiet_voice_and_calm_a_lively_one() {
        let at = 8_000;
        assert!(fuse(QUIET, Some(&words(0.95, 1.0)), BESIDE, None, at).1 > 0.3);
        assert!(fuse(LIVELY, Some(&words(0.95, 1.0)), BESIDE, None, at).1 > 0.85);
        assert!(fuse(LIVELY, Some(&words(0.02, 1.0)), BESIDE, None, at).1 < 0.4);
        assert!(fuse(QUIET, Some(&words(0.02, 1.0)), BESIDE, None, at).1 < QUIET.1);
        assert_eq!(fuse(LIVELY, None, BESIDE, None, at), LIVELY);
    }

    #[test]
    fn what_was_hardly_heard_and_what_is_long_ago_counts_little() {
        let moved = |confidence: f32, position: u64| {
            fuse(QUIET, Some(&words(0.95, confidence)), BESIDE, None, position).1 - QUIET.1
        };
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
        let (probabilities, anger) = fuse(LIVELY, Some(&Words::new(&unknown, reading)), BESIDE, None, 8_000);
        assert!((anger - LIVELY.1).abs() < 1e-6 && (probabilities[1] - LIVELY.0[1]).abs() < 1e-6, "{anger}");
    }

    #[test]
    fn probabilities_stay_probabilities() {
        for anger in [0.0, 0.2, 0.5, 1.0] {
            let (probabilities, fused) =
                fuse(([0.0, 1.0, 0.0, 0.0], 1.0), Some(&words(anger, 7.0)), BESIDE, None, 8_000);
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{probabilities:?}");
            assert!((0.0..=1.0).contains(&fused), "{fused}");
        }
    }

    #[test]
    fn a_face_and_an_emoji_move_less_than_words_and_are_soon_forgotten() {
        let seen = |seen_in, shown, score| Expression { shown, score, seen_in, position: 8_000 };
        let moved = |expression: &Expression, at: u64| fuse(QUIET, None, BESIDE, Some(expression), at).1 - QUIET.1;
        let face = moved(&seen(SeenIn::Face, Shown::Anger, 0.9), 8_000);
        let emoji = moved(&seen(SeenIn::Emoji, Shown::Anger, 0.9), 8_000);
        let said = fuse(QUIET, Some(&words(0.95, 1.0)), BESIDE, None, 8_000).1 - QUIET.1;
        assert!(0.05 < face && face < emoji && emoji < said, "{face} {emoji} {said}");
        assert!(moved(&seen(SeenIn::Face, Shown::Joy, 0.9), 8_000) < 0.0, "a smile calms");
        assert!(moved(&seen(SeenIn::Face, Shown::Anger, f32::NAN), 8_000).abs() < 1e-6);
        assert_eq!(moved(&seen(SeenIn::Emoji, Shown::Anger, 1.0), 8_000 + 13 * 8_000), 0.0);
        for shown in Shown::ALL {
            let (probabilities, anger) = fuse(LIVELY, None, BESIDE, Some(&seen(SeenIn::Emoji, shown, 1.0)), 8_000);
            assert!(
                (probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5 && (0.0..=1.0).contains(&anger),
                "{shown:?}"
            );
        }
    }

    #[test]
    fn what_is_written_counts_as_long_as_it_takes_to_say() {
        let written = Utterance::written("我打了三遍电话".to_owned(), 80_000);
        assert_eq!((written.start, written.end), (80_000 - 7 * 800, 80_000));
        assert_eq!(Utterance::written("我打了三遍电话".to_owned(), 800).start, 0);
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
