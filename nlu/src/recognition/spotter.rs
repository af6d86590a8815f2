//! The recogniser of phrases: pocketsphinx for each language, whole stretches of speech, all parties in turn.

use std::collections::BTreeMap;
use std::path::Path;

use super::phrases::PhraseList;
use super::segments::Segmenter;
use super::sphinx::{ModelFolder, PhraseDecoder, SphinxError, load_library};
use super::told::{Told, transcript};
use super::{EngineKind, Language, Recognizer, RecognizerFigures, Transcript};
use crate::observation::PartyId;

/// Finds the phrases of its lists in what parties say.
#[derive(Debug)]
pub struct PhraseSpotter {
    decoders: BTreeMap<Language, PhraseDecoder>,
    parties: BTreeMap<PartyId, Party>,
    figures: RecognizerFigures,
    spared: bool,
}

#[derive(Debug)]
struct Party {
    language: Language,
    segmenter: Segmenter,
    told: Told,
}

impl PhraseSpotter {
    /// A recogniser of the languages that have both a model and a list. `library` is searched for when not given.
    ///
    /// # Errors
    /// When the library, a model or a phrase is not as it should be.
    pub fn new(library: Option<&Path>, models: &[ModelFolder], lists: &[PhraseList]) -> Result<Self, SphinxError> {
        load_library(library)?;
        let mut decoders = BTreeMap::new();
        for model in models {
            let phrases = lists.iter().filter(|list| list.language == model.language);
            let phrases: Vec<_> = phrases.flat_map(|list| list.phrases.iter().cloned()).collect();
            if !phrases.is_empty() {
                let list = PhraseList { language: model.language, phrases };
                decoders.insert(model.language, PhraseDecoder::new(model, &list)?);
            }
        }
        Ok(Self { decoders, parties: BTreeMap::new(), figures: RecognizerFigures::default(), spared: false })
    }
}

impl Recognizer for PhraseSpotter {
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
        for (id, party) in &mut self.parties {
            let Some(decoder) = self.decoders.get_mut(&party.language) else { continue };
            party.finals(*id, decoder, &mut self.figures, out);
            if !self.spared {
                out.extend(party.partial(*id, decoder));
            }
        }
    }

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let Some(mut closed) = self.parties.remove(&party) else { return };
        closed.segmenter.finish();
        if let Some(decoder) = self.decoders.get_mut(&closed.language) {
            closed.finals(party, decoder, &mut self.figures, out);
        }
        self.figures.utterances_dropped += closed.segmenter.dropped();
    }

    fn spare(&mut self, spared: bool) {
        self.spared = spared;
    }

    fn languages(&self) -> Vec<Language> {
        self.decoders.keys().copied().collect()
    }

    fn name(&self) -> String {
        let codes: Vec<&str> = self.decoders.keys().map(|language| language.code()).collect();
        format!("pocketsphinx phrases ({})", codes.join(", "))
    }

    fn figures(&self) -> RecognizerFigures {
        let waiting: u64 = self.parties.values().map(|party| party.segmenter.dropped()).sum();
        RecognizerFigures { utterances_dropped: self.figures.utterances_dropped + waiting, ..self.figures }
    }
}

impl Party {
    fn finals(
        &mut self,
        id: PartyId,
        decoder: &mut PhraseDecoder,
        figures: &mut RecognizerFigures,
        out: &mut Vec<Transcript>,
    ) {
        while let Some(stretch) = self.segmenter.next() {
            figures.samples_decoded += stretch.samples.len() as u64;
            let found = decoder.find(&stretch.samples);
            // What was told of it while it went on is to be taken back, too.
            let had_partial = self.told.end();
            if !found.is_empty() || had_partial {
                out.push(transcript(id, EngineKind::Pocketsphinx, true, stretch.start, &stretch, found));
            }
        }
    }

    /// What the party says just now, when there is something in it that was not told yet.
    fn partial(&mut self, id: PartyId, decoder: &mut PhraseDecoder) -> Option<Transcript> {
        let start = self.segmenter.start();
        let stretch = self.segmenter.look()?;
        let found = decoder.find(&stretch.samples);
        let partial = transcript(id, EngineKind::Pocketsphinx, false, start, &stretch, found);
        self.told.is_new(&partial).then_some(partial)
    }
}
