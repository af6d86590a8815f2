//! The recogniser: what the network holds likely in all stretches that are due, in one run, and the phrases in it.

use std::collections::BTreeMap;

use super::front::STEP;
use super::model::BuiltInModel;
use super::spotting::{Phrases, Spotted};
use crate::model::ModelError;
use crate::recognition::graph::GraphError;
use crate::recognition::phrases::PhraseList;
use crate::recognition::stretches::{Due, Finder, Spotter};
use crate::recognition::told::Found;
use crate::recognition::{EngineKind, Language, SpokenPhrase, Word};
use crate::runtime::Runtime;

/// The languages that it hears. English is taught, too, but of people nothing of it is heard yet (nlu/models/words.md).
const HEARD: [Language; 1] = [Language::Mandarin];

/// Finds the phrases of its lists in what parties say, by the model that comes with the program.
pub type BuiltInRecognizer = Spotter<BuiltInFinder>;

/// The model, and the phrases of each language.
#[derive(Debug)]
pub struct BuiltInFinder {
    model: BuiltInModel,
    phrases: BTreeMap<Language, Phrases>,
}

/// Why there is no recogniser.
#[derive(Debug, thiserror::Error)]
pub enum BuiltInError {
    /// The model is not as it should be.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Phrases have characters that nobody knows how to say.
    #[error("phrases ({}): {error}", language.code())]
    Graph {
        /// Of which language.
        language: Language,
        /// What is wrong.
        error: GraphError,
    },
}

impl BuiltInRecognizer {
    /// A recogniser of the languages that it hears and that have a list.
    ///
    /// # Errors
    /// When the model or a phrase is not as it should be.
    pub fn new(runtime: &Runtime, lists: &[PhraseList]) -> Result<Self, BuiltInError> {
        BuiltInFinder::new(runtime, lists).map(Self::by)
    }
}

impl BuiltInFinder {
    pub(super) fn new(runtime: &Runtime, lists: &[PhraseList]) -> Result<Self, BuiltInError> {
        let model = BuiltInModel::built_in(runtime)?;
        let mut phrases = BTreeMap::new();
        for language in HEARD {
            if let Some(list) = PhraseList::of(lists, language) {
                let sounded = model.phrases(&list).map_err(|error| BuiltInError::Graph { language, error })?;
                phrases.insert(language, sounded);
            }
        }
        Ok(Self { model, phrases })
    }
}

impl Finder for BuiltInFinder {
    const ENGINE: EngineKind = EngineKind::BuiltIn;

    fn languages(&self) -> Vec<Language> {
        self.phrases.keys().copied().collect()
    }

    fn name(&self) -> String {
        format!("built-in phrases {}", self.model.card().version)
    }

    fn find(&mut self, due: &[Due]) -> Vec<Option<Vec<Found>>> {
        let stretches: Vec<&[f32]> = due.iter().map(|due| due.stretch.samples.as_slice()).collect();
        let heard = self.model.hear_each(&stretches).unwrap_or_else(|error| panic!("{error}"));
        let sure = |spotted: &Spotted<'_>| {
            self.model.confidence(&spotted.phrase.text, &spotted.margins) >= spotted.phrase.confidence_min
        };
        let in_each = due.iter().zip(&heard).map(|(due, heard)| {
            let (heard, phrases) = (heard.as_ref()?, self.phrases.get(&due.language));
            let spotted = phrases.map(|phrases| phrases.spot(heard, sure)).unwrap_or_default();
            Some(spotted.iter().map(|spotted| found(&self.model, spotted)).collect())
        });
        in_each.collect()
    }
}

/// A phrase as it was heard, at samples of its stretch.
fn found(model: &BuiltInModel, spotted: &Spotted<'_>) -> Found {
    let at = |step: usize| step as u64 * STEP;
    let word = |(text, margins, first, behind): &(&str, super::Margins, usize, usize)| Word {
        text: (*text).to_owned(),
        start: at(*first),
        end: at(*behind),
        confidence: model.confidence(text, margins),
    };
    let phrase = SpokenPhrase {
        intent: spotted.phrase.intent.clone(),
        text: spotted.phrase.text.clone(),
        start: at(spotted.start()),
        end: at(spotted.end()),
        confidence: model.confidence(&spotted.phrase.text, &spotted.margins),
    };
    Found { phrase, words: spotted.units.iter().map(word).collect() }
}
