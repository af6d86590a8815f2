//! What is to be known of a call however long it lasts: taken up as it comes, because steps and events are kept only so far.

use std::collections::{BTreeMap, BTreeSet};

use crate::notice::{Notice, What};

/// Meanings that are told of one call.
const MEANINGS_MAX: usize = 20;

/// It. All of it is about the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gist {
    /// When anger was first high, milliseconds since the INVITE arrived.
    pub first_high_ms: Option<u64>,
    /// When it was first said that it would come to anger.
    pub warned_ms: Option<u64>,
    /// Whether something was known of the customer or the order.
    pub informed: bool,
    /// Whether words were heard or read.
    pub worded: bool,
    /// What phrases mean, and what the text model finds that the caller wants.
    pub meanings: BTreeSet<String>,
    /// The steps of the timeline, by the emotion that leads.
    pub emotions: BTreeMap<String, u32>,
}

impl Gist {
    pub(super) fn take(&mut self, notice: &Notice) {
        match &notice.what {
            What::Observed { party, emotion, level, words, .. } if party == "caller" => {
                if level == "high" {
                    self.first_high_ms.get_or_insert(notice.call_ms);
                }
                match self.emotions.get_mut(emotion) {
                    Some(steps) => *steps += 1,
                    None => {
                        self.emotions.insert(emotion.clone(), 1);
                    }
                }
                if let Some(words) = words {
                    self.worded = true;
                    words.intents.iter().for_each(|meaning| self.note(meaning));
                }
            }
            What::Said { party, is_final: true, phrases, crosstalk: false, .. } if party == "caller" => {
                self.worded |= !phrases.is_empty();
                phrases.iter().for_each(|phrase| self.note(&phrase.intent));
            }
            What::EscalationLikely { .. } => {
                self.warned_ms.get_or_insert(notice.call_ms);
            }
            What::FactsTold { known, .. } => self.informed |= !known.is_empty(),
            _ => {}
        }
    }

    /// Nothing of what was said is to be known any more.
    pub(super) fn forget_words(&mut self) {
        self.worded = false;
        self.meanings.clear();
    }

    /// The emotion that leads most steps.
    pub fn leading_emotion(&self) -> Option<&str> {
        self.emotions.iter().max_by_key(|(_, steps)| **steps).map(|(emotion, _)| emotion.as_str())
    }

    fn note(&mut self, meaning: &str) {
        if self.meanings.len() < MEANINGS_MAX && !self.meanings.contains(meaning) {
            self.meanings.insert(meaning.to_owned());
        }
    }
}
