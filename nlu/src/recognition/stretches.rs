//! Recognisers of phrases: whole stretches of speech, those of all parties that are due at once, whatever finds the phrases in them.

use std::collections::BTreeMap;

use super::segments::{Segmenter, Stretch};
use super::told::{Found, Told, transcript};
use super::{EngineKind, Language, Recognizer, RecognizerFigures, Transcript};
use crate::observation::PartyId;

/// What finds phrases in stretches of speech.
pub trait Finder: Send {
    /// What it is, as transcripts tell it.
    const ENGINE: EngineKind;

    /// The languages in which it finds any.
    fn languages(&self) -> Vec<Language>;

    /// What it is, for people, without its languages.
    fn name(&self) -> String;

    /// The phrases of each stretch; nothing where it failed on them.
    fn find(&mut self, due: &[Due]) -> Option<Vec<Vec<Found>>>;
}

/// Finds phrases in what parties say, a stretch of speech at a time.
#[derive(Debug)]
pub struct Spotter<F> {
    finder: F,
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

/// A stretch in which phrases are to be found.
#[derive(Debug)]
pub struct Due {
    party: PartyId,
    pub(super) language: Language,
    is_final: bool,
    /// Where the speech begins.
    start: u64,
    pub(super) stretch: Stretch,
}

impl<F: Finder> Spotter<F> {
    pub(super) fn by(finder: F) -> Self {
        Self { finder, parties: BTreeMap::new(), figures: RecognizerFigures::default(), spared: false }
    }

    /// Tells what is found in what is due. What the finder fails on is lost and counted.
    fn tell(&mut self, due: &[Due], out: &mut Vec<Transcript>) {
        if due.is_empty() {
            return;
        }
        let Some(found) = self.finder.find(due) else {
            self.figures.utterances_dropped += due.iter().filter(|due| due.is_final).count() as u64;
            return;
        };
        for (due, found) in due.iter().zip(found) {
            let told = transcript(due.party, F::ENGINE, due.is_final, due.start, &due.stretch, found);
            let Some(party) = self.parties.get_mut(&due.party) else { continue };
            // What was told of it while it went on is to be taken back, too.
            let is_news =
                if due.is_final { party.told.end() || !told.phrases.is_empty() } else { party.told.is_new(&told) };
            out.extend(Some(told).filter(|_| is_news));
        }
    }
}

impl<F: Finder> Recognizer for Spotter<F> {
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
        let (heard, mut due) = (self.finder.languages(), Vec::new());
        for (id, party) in self.parties.iter_mut().filter(|(_, party)| heard.contains(&party.language)) {
            party.finals(*id, &mut self.figures, &mut due);
            if !self.spared {
                due.extend(party.partial(*id));
            }
        }
        self.tell(&due, out);
    }

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let Some(closed) = self.parties.get_mut(&party) else { return };
        closed.segmenter.finish();
        let mut due = Vec::new();
        if self.finder.languages().contains(&closed.language) {
            closed.finals(party, &mut self.figures, &mut due);
        }
        self.figures.utterances_dropped += closed.segmenter.dropped();
        self.tell(&due, out);
        self.parties.remove(&party);
    }

    fn spare(&mut self, spared: bool) {
        self.spared = spared;
    }

    fn languages(&self) -> Vec<Language> {
        self.finder.languages()
    }

    fn name(&self) -> String {
        let codes: Vec<&str> = self.languages().iter().map(|language| language.code()).collect();
        format!("{} ({})", self.finder.name(), codes.join(", "))
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
