//! The words of the API for what the crates below name by types: one word per concept, everywhere the same.

use nlu::{Emotion, Level, Source};

/// `neutral`, `anger`, `joy`, `sadness`.
pub fn emotion(emotion: Emotion) -> &'static str {
    match emotion {
        Emotion::Neutral => "neutral",
        Emotion::Anger => "anger",
        Emotion::Joy => "joy",
        Emotion::Sadness => "sadness",
    }
}

/// `low`, `medium`, `high`.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
    }
}

/// The level that a word of the API names.
pub fn level_named(word: &str) -> Option<Level> {
    [Level::Low, Level::Medium, Level::High].into_iter().find(|&named| level(named) == word)
}

/// `model`, `signal_only` or `words_only`.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Model => "model",
        Source::SignalOnly => "signal_only",
        Source::WordsOnly => "words_only",
    }
}
