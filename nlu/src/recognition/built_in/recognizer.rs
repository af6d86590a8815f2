//! The recogniser: whole stretches of speech, those of all parties that are ready in one run.

use std::collections::BTreeMap;

use super::front::STEP;
use super::model::BuiltInModel;
use super::spotting::{Phrases, Spotted};
use crate::model::ModelError;
use crate::observation::PartyId;
use crate::recognition::graph::GraphError;
use crate::recognition::phrases::PhraseList;
use crate::recognition::segments::{Segmenter, Stretch};
use crate::recognition::told::{Found, Told, transcript};
use crate::recognition::{EngineKind, Language, Recognizer, RecognizerFigures, SpokenPhrase, Transcript, Word};
use crate::runtime::Runtime;

/// The languages that it hears. English is taught, too, but of people nothing of it is heard yet (nlu/models/words.md).
const HEARD: [Language; 1] = [Language::Mandarin];

/// Finds the phrases of its lists in what parties say, by the model that comes with the program.
#[derive(Debug)]
pub struct BuiltInRecognizer {
    model: BuiltInModel,
    phrases: BTreeMap<Language, Phrases>,
    parties: BTreeMap<PartyId, Party>,
    figures: RecognizerFigures,
    spared: bool,
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

#[derive(Debug)]
struct Party {
    language: Language,
    segmenter: Segmenter,
    told: Told,
}

/// A stretch that is to be decoded.
struct Due {
    party: PartyId,
    language: Language,
    is_final: bool,
    /// Where the speech begins.
    start: u64,
    stretch: Stretch,
}

impl BuiltInRecognizer {
    /// A recogniser of the languages that it hears and that have a list.
    ///
    /// # Errors
    /// When the model or a phrase is not as it should be.
    pub fn new(runtime: &Runtime, lists: &[PhraseList]) -> Result<Self, BuiltInError> {
        Self::by(BuiltInModel::built_in(runtime)?, lists)
    }

    /// As `new`, by another model.
    ///
    /// # Errors
    /// When a phrase is not as it should be.
    pub fn by(model: BuiltInModel, lists: &[PhraseList]) -> Result<Self, BuiltInError> {
        let mut phrases = BTreeMap::new();
        for language in HEARD {
            let own = lists.iter().filter(|list| list.language == language);
            let own: Vec<_> = own.flat_map(|list| list.phrases.iter().cloned()).collect();
            if !own.is_empty() {
                let list = PhraseList { language, phrases: own };
                let sounded = model.phrases(&list).map_err(|error| BuiltInError::Graph { language, error })?;
                phrases.insert(language, sounded);
            }
        }
        Ok(Self { model, phrases, parties: BTreeMap::new(), figures: RecognizerFigures::default(), spared: false })
    }

    /// Decodes what is due, all of it together, and appends the transcripts. What the model fails on is lost and counted.
    fn decode(&mut self, due: &[Due], out: &mut Vec<Transcript>) {
        let stretches: Vec<&[f32]> = due.iter().map(|due| due.stretch.samples.as_slice()).collect();
        let Ok(heard) = self.model.hear(&stretches) else {
            self.figures.utterances_dropped += due.iter().filter(|due| due.is_final).count() as u64;
            return;
        };
        for (due, heard) in due.iter().zip(&heard) {
            let Some(phrases) = self.phrases.get(&due.language) else { continue };
            let sure = |spotted: &Spotted<'_>| {
                self.model.confidence(&spotted.phrase.text, &spotted.margins) >= spotted.phrase.confidence_min
            };
            let found = phrases.spot(heard, sure).iter().map(|spotted| found(&self.model, spotted)).collect();
            let told = transcript(due.party, EngineKind::BuiltIn, due.is_final, due.start, &due.stretch, found);
            let Some(party) = self.parties.get_mut(&due.party) else { continue };
            // What was told of it while it went on is to be taken back, too.
            let is_news =
                if due.is_final { party.told.end() || !told.phrases.is_empty() } else { party.told.is_new(&told) };
            out.extend(Some(told).filter(|_| is_news));
        }
    }
}

impl Recognizer for BuiltInRecognizer {
    fn open(&mut self, party: PartyId, language: Language) {
        self.parties.insert(party, Party { language, segmenter: Segmenter::default(), told: Told::default() });
    }

    fn push(&mut self, party: PartyId, samples: &[f32]) {
        let Some(party) = self.parties.get_mut(&party) else { return };
        self.figures.samples += samples.len() as u64;
        party.segmenter.push(samples);
    }

    fn skip(&mut self, party: PartyId, samples: u64) {
        if let Some(party) = self.parties.get_mut(&party) {
            party.segmenter.skip(samples);
        }
    }

    fn run(&mut self, out: &mut Vec<Transcript>) {
        let mut due = Vec::new();
        for (id, party) in &mut self.parties {
            party.finals(*id, &mut self.figures, &mut due);
            if !self.spared {
                due.extend(party.partial(*id));
            }
        }
        if !due.is_empty() {
            self.decode(&due, out);
        }
    }

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let Some(closed) = self.parties.get_mut(&party) else { return };
        closed.segmenter.finish();
        let mut due = Vec::new();
        closed.finals(party, &mut self.figures, &mut due);
        self.figures.utterances_dropped += closed.segmenter.dropped();
        if !due.is_empty() {
            self.decode(&due, out);
        }
        self.parties.remove(&party);
    }

    fn spare(&mut self, spared: bool) {
        self.spared = spared;
    }

    fn languages(&self) -> Vec<Language> {
        self.phrases.keys().copied().collect()
    }

    fn name(&self) -> String {
        let codes: Vec<&str> = self.phrases.keys().map(|language| language.code()).collect();
        format!("built-in phrases {} ({})", self.model.card().version, codes.join(", "))
    }

    fn figures(&self) -> RecognizerFigures {
        let waiting: u64 = self.parties.values().map(|party| party.segmenter.dropped()).sum();
        RecognizerFigures { utterances_dropped: self.figures.utterances_dropped + waiting, ..self.figures }
    }
}

impl Party {
    fn finals(&mut self, id: PartyId, figures: &mut RecognizerFigures, due: &mut Vec<Due>) {
        while let Some(stretch) = self.segmenter.next() {
            figures.samples_decoded += stretch.samples.len() as u64;
            due.push(Due { party: id, language: self.language, is_final: true, start: stretch.start, stretch });
        }
    }

    /// What the party says just now.
    fn partial(&mut self, id: PartyId) -> Option<Due> {
        let start = self.segmenter.start();
        let stretch = self.segmenter.look()?;
        Some(Due { party: id, language: self.language, is_final: false, start, stretch })
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
