//! The words of the API for what the crates below name by types: one word per concept, everywhere the same.

use nlu::text::{Category, TextSource};
use nlu::{Emotion, Level, SeenIn, Shown, Source};

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

/// `model` or `lexicon_only`: what read the words.
pub fn text_source(source: TextSource) -> &'static str {
    match source {
        TextSource::Model => "model",
        TextSource::LexiconOnly => "lexicon_only",
    }
}

/// What an expression shows.
pub fn shown(shown: Shown) -> &'static str {
    match shown {
        Shown::Neutral => "neutral",
        Shown::Anger => "anger",
        Shown::Disgust => "disgust",
        Shown::Contempt => "contempt",
        Shown::Fear => "fear",
        Shown::Sadness => "sadness",
        Shown::Surprise => "surprise",
        Shown::Joy => "joy",
    }
}

/// `face` or `emoji`.
pub fn seen_in(seen_in: SeenIn) -> &'static str {
    match seen_in {
        SeenIn::Face => "face",
        SeenIn::Emoji => "emoji",
    }
}

/// What a word of a lexicon means, as lexicons have it.
pub fn category(category: Category) -> &'static str {
    match category {
        Category::Anger => "anger",
        Category::Anxiety => "anxiety",
        Category::Sadness => "sadness",
        Category::Joy => "joy",
        Category::Dissatisfaction => "dissatisfaction",
        Category::Abuse => "abuse",
        Category::Threat => "threat",
        Category::Complaint => "complaint",
        Category::Refund => "refund",
        Category::Cancel => "cancel",
        Category::Human => "human",
        Category::Thanks => "thanks",
        Category::Politeness => "politeness",
        Category::Forbidden => "forbidden",
    }
}
