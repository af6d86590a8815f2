//! The recogniser of phrases by pocketsphinx: a decoder for each language, one stretch of speech after the other.

use std::collections::BTreeMap;
use std::path::Path;

use super::phrases::PhraseList;
use super::sphinx::{ModelFolder, PhraseDecoder, SphinxError, load_library};
use super::stretches::{Due, Finder, Spotter};
use super::told::Found;
use super::{EngineKind, Language};

/// Finds the phrases of its lists in what parties say, by pocketsphinx.
pub type PhraseSpotter = Spotter<Decoders>;

/// What decodes each language.
#[derive(Debug)]
pub struct Decoders(BTreeMap<Language, PhraseDecoder>);

impl PhraseSpotter {
    /// A recogniser of the languages that have both a model and a list. `library` is searched for when not given.
    ///
    /// # Errors
    /// When the library, a model or a phrase is not as it should be.
    pub fn new(library: Option<&Path>, models: &[ModelFolder], lists: &[PhraseList]) -> Result<Self, SphinxError> {
        load_library(library)?;
        let mut decoders = BTreeMap::new();
        for model in models {
            if let Some(list) = PhraseList::of(lists, model.language) {
                decoders.insert(model.language, PhraseDecoder::new(model, &list)?);
            }
        }
        Ok(Self::by(Decoders(decoders)))
    }
}

impl Finder for Decoders {
    const ENGINE: EngineKind = EngineKind::Pocketsphinx;

    fn languages(&self) -> Vec<Language> {
        self.0.keys().copied().collect()
    }

    fn name(&self) -> String {
        "pocketsphinx phrases".to_owned()
    }

    fn find(&mut self, due: &[Due]) -> Vec<Option<Vec<Found>>> {
        let found = |due: &Due| {
            let decoder = self.0.get_mut(&due.language);
            Some(decoder.map(|decoder| decoder.find(&due.stretch.samples)).unwrap_or_default())
        };
        due.iter().map(found).collect()
    }
}
