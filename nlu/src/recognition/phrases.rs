//! Phrase lists as an operator writes them: what is listened for, and what it means.
//!
//! ```toml
//! language = "zh"
//!
//! [[intent]]
//! name = "complaint"
//! phrases = ["我要投诉", "投诉你们"]
//! ```

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Language;
use super::dictionary::Dictionary;
use super::graph::{Graph, GraphError};

/// The most phrases of one list: the graph of 500 decodes in half of real time.
pub const PHRASES_MAX: usize = 500;
/// The longest phrase, characters.
const PHRASE_CHARACTERS_MAX: usize = 60;
/// The longest name of an intent.
const NAME_CHARACTERS_MAX: usize = 40;

/// The phrases of one language.
#[derive(Debug, Clone, PartialEq)]
pub struct PhraseList {
    /// The language that they are spoken in.
    pub language: Language,
    /// The phrases, in the order of the file.
    pub phrases: Vec<Phrase>,
}

/// One phrase.
#[derive(Debug, Clone, PartialEq)]
pub struct Phrase {
    /// The words.
    pub text: String,
    /// What they mean.
    pub intent: String,
    /// How sure the recogniser must be, 0.5-1.
    pub confidence_min: f32,
}

/// What is wrong with a phrase list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: expected {expected}, found {found}")]
pub struct PhraseError {
    /// Where, e.g. `intent complaint`.
    pub at: String,
    /// What should stand there.
    pub expected: String,
    /// What does.
    pub found: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    language: String,
    #[serde(rename = "intent")]
    intents: Vec<Intent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Intent {
    name: String,
    #[serde(default = "half")]
    confidence_min: f32,
    phrases: Vec<String>,
}

fn half() -> f32 {
    0.5
}

impl PhraseList {
    /// The phrases of a language out of all lists; none where there are none.
    pub(super) fn of(lists: &[PhraseList], language: Language) -> Option<PhraseList> {
        let own = lists.iter().filter(|list| list.language == language);
        let phrases: Vec<Phrase> = own.flat_map(|list| list.phrases.iter().cloned()).collect();
        (!phrases.is_empty()).then_some(PhraseList { language, phrases })
    }

    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_toml(text: &str) -> Result<Self, PhraseError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            wrong(format!("line {at}"), "a phrase list", error.message())
        })?;
        let language =
            Language::of_code(&file.language).ok_or_else(|| wrong("language", "zh or en", &file.language))?;
        let mut phrases = Vec::new();
        let mut known = BTreeSet::new();
        for Intent { name, confidence_min, phrases: texts } in file.intents {
            let at = format!("intent {name:?}");
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.chars().all(is_name) {
                return Err(wrong(at, "a name of 1-40 characters a-z, 0-9, _", &name));
            }
            if !(0.5..1.0).contains(&confidence_min) {
                return Err(wrong(at, "confidence_min from 0.5 to below 1", &confidence_min.to_string()));
            }
            for text in texts {
                let count = text.chars().count();
                if text.trim().is_empty() || count > PHRASE_CHARACTERS_MAX {
                    return Err(wrong(at, "phrases of 1-60 characters", &format!("{text:?}")));
                }
                if !known.insert(text.clone()) {
                    return Err(wrong(at, "every phrase once", &format!("{text:?} again")));
                }
                phrases.push(Phrase { text, intent: name.clone(), confidence_min });
            }
        }
        if phrases.is_empty() || phrases.len() > PHRASES_MAX {
            return Err(wrong("intent", &format!("1-{PHRASES_MAX} phrases"), &phrases.len().to_string()));
        }
        Ok(Self { language, phrases })
    }

    /// Whether everything in it can be said with the words of a pronunciation dictionary (CMU form).
    ///
    /// # Errors
    /// Every phrase with a word that the dictionary lacks.
    pub fn check(&self, dictionary: &[u8]) -> Result<(), GraphError> {
        Graph::new(self, &Dictionary::read(dictionary)).map(drop)
    }

    /// The names of what its phrases mean.
    pub fn intents(&self) -> BTreeSet<&str> {
        self.phrases.iter().map(|phrase| phrase.intent.as_str()).collect()
    }
}

fn wrong(at: impl Into<String>, expected: &str, found: &str) -> PhraseError {
    PhraseError { at: at.into(), expected: expected.to_owned(), found: found.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_phrases_with_what_they_mean() {
        let list = PhraseList::from_toml(
            "language = 'zh'\n[[intent]]\nname = 'complaint'\nconfidence_min = 0.7\nphrases = ['我要投诉', '投诉你们']\n\
             [[intent]]\nname = 'refund'\nphrases = ['退款']\n",
        )
        .expect("a list");
        assert_eq!(list.language, Language::Mandarin);
        let phrase = |text: &str, intent: &str, confidence_min| Phrase {
            text: text.to_owned(),
            intent: intent.to_owned(),
            confidence_min,
        };
        let expected =
            [phrase("我要投诉", "complaint", 0.7), phrase("投诉你们", "complaint", 0.7), phrase("退款", "refund", 0.5)];
        assert_eq!(list.phrases, expected);
        assert_eq!(list.intents().into_iter().collect::<Vec<_>>(), ["complaint", "refund"]);
    }

    #[test]
    fn names_what_is_wrong() {
        let intent = "[[intent]]\nname = 'a'\nphrases = ['x']\n";
        check(&format!("language = 'fr'\n{intent}"), "language: expected zh or en, found fr");
        check("language = 'zh'\n[[intent]]\nname = 'A b'\nphrases = ['x']\n", "a name of 1-40 characters");
        check("language = 'zh'\n[[intent]]\nname = 'a'\nphrases = ['x', 'x']\n", "found \"x\" again");
        check("language = 'zh'\n[[intent]]\nname = 'a'\nphrases = [' ']\n", "phrases of 1-60 characters");
        check("language = 'zh'\n[[intent]]\nname = 'a'\nphrases = []\n", "expected 1-500 phrases, found 0");
        check(&format!("language = 'zh'\n{intent}confidence_min = 0.2\n"), "found 0.2");
        check(&format!("language = 'zh'\nwords = 1\n{intent}"), "line 2");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = PhraseList::from_toml(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
