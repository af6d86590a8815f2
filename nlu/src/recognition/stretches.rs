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

    /// The phrases of each stretch; nothing of one on which it failed. Panics when it fails on all of them: then it is broken,
    /// and whoever runs it loads another one.
    fn find(&mut self, due: &[Due]) -> Vec<Option<Vec<Found>>>;
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
    /// Somebody finds phrases in its language; otherwise its audio is let go at once.
    is_heard: bool,
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
        for (due, found) in due.iter().zip(self.finder.find(due)) {
            let Some(found) = found else {
                self.figures.utterances_dropped += u64::from(due.is_final);
                continue;
            };
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
        let is_heard = self.finder.languages().contains(&language);
        let (segmenter, told) = (Segmenter::default(), Told::default());
        self.parties.insert(party, Party { language, is_heard, segmenter, told });
    }

    fn push(&mut self, party: PartyId, samples: &[f32]) {
        let Some(party) = self.parties.get_mut(&party) else { return };
        self.figures.samples += samples.len() as u64;
        if party.is_heard {
            party.segmenter.push(samples);
        }
    }

    fn skip(&mut self, party: PartyId, samples: u64) {
        if let Some(party) = self.parties.get_mut(&party).filter(|party| party.is_heard) {
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
        self.tell(&due, out);
    }

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let Some(closed) = self.parties.get_mut(&party) else { return };
        closed.segmenter.finish();
        let mut due = Vec::new();
        closed.finals(party, &mut self.figures, &mut due);
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

#[cfg(test)]
impl Due {
    /// A stretch of somebody, which has ended.
    pub(super) fn of(language: Language, samples: Vec<f32>) -> Self {
        Self { party: PartyId(1), language, is_final: true, start: 0, stretch: Stretch { start: 0, samples } }
    }
}

#[cfg(test)]
mod tests {
    use prosody::synthetic::{Kind, Plan, Voice, half_rate, telephone_band};

    use super::*;
    use crate::recognition::SpokenPhrase;

    /// Finds one phrase in whatever begins within the first second of an audio; fails on all that begins later.
    struct Once;

    impl Finder for Once {
        const ENGINE: EngineKind = EngineKind::BuiltIn;

        fn languages(&self) -> Vec<Language> {
            vec![Language::Mandarin]
        }

        fn name(&self) -> String {
            "once".to_owned()
        }

        fn find(&mut self, due: &[Due]) -> Vec<Option<Vec<Found>>> {
            let (intent, text) = ("any".to_owned(), "一次".to_owned());
            let phrase = SpokenPhrase { intent, text, start: 0, end: 800, confidence: 1.0 };
            let found = Found { phrase, words: Vec::new() };
            due.iter().map(|due| (due.start < 8_000).then(|| vec![found.clone()])).collect()
        }
    }

    #[test]
    fn a_stretch_on_which_it_fails_takes_no_other_with_it() {
        let (mut spotter, mut out) = (Spotter::by(Once), Vec::new());
        for (party, silence) in [(1, 0), (2, 16_000), (3, 0)] {
            let party = PartyId(party);
            spotter.open(party, Language::Mandarin);
            spotter.skip(party, silence);
            spotter.push(party, &speech());
            spotter.skip(party, 8_000);
        }
        spotter.run(&mut out);
        let told: Vec<u32> = out.iter().filter(|told| told.is_final).map(|told| told.party.0).collect();
        assert!(told.contains(&1) && told.contains(&3) && !told.contains(&2), "{told:?}");
        assert!(spotter.figures().utterances_dropped >= 1, "{:?}", spotter.figures());
    }

    #[test]
    fn nothing_is_kept_of_a_language_that_nobody_hears() {
        let (mut spotter, mut out) = (Spotter::by(Once), Vec::new());
        spotter.open(PartyId(1), Language::English);
        spotter.push(PartyId(1), &speech());
        spotter.skip(PartyId(1), 8_000);
        assert_eq!(spotter.parties.get_mut(&PartyId(1)).and_then(|party| party.segmenter.next()), None);
        spotter.close(PartyId(1), &mut out);
        assert!(out.is_empty());
    }

    fn speech() -> Vec<f32> {
        let voice = Voice::of(&Plan { seconds: 1.5, ..Plan::new(Kind::Phrases, 140.0, 5) });
        telephone_band(&half_rate(&voice.samples))
    }
}
