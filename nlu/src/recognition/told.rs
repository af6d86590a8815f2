//! What phrases were found in a stretch of speech, as transcripts: partial ones with what was not told yet, and final ones.

use super::segments::Stretch;
use super::{EngineKind, SpokenPhrase, Transcript, Word};
use crate::observation::PartyId;

/// A phrase with its words; positions count from the start of the stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub(super) phrase: SpokenPhrase,
    pub(super) words: Vec<Word>,
}

/// The phrases of the partial transcripts of a stretch that goes on.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<SpokenPhrase>);

impl Told {
    /// Whether anything was told of the stretch, which is over.
    pub(super) fn end(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }

    /// Whether there is something in a partial transcript that was not told yet; it counts as told from now on.
    pub(super) fn is_new(&mut self, transcript: &Transcript) -> bool {
        let is_known = |phrase: &SpokenPhrase| {
            self.0.iter().any(|told| told.text == phrase.text && phrase.start < told.end && told.start < phrase.end)
        };
        let fresh: Vec<SpokenPhrase> = transcript.phrases.iter().filter(|p| !is_known(p)).cloned().collect();
        self.0.extend(fresh.iter().cloned());
        !fresh.is_empty()
    }
}

/// What was found in a stretch, at positions of the party's audio; the speech began at `start`.
pub(super) fn transcript(
    party: PartyId,
    engine: EngineKind,
    is_final: bool,
    start: u64,
    stretch: &Stretch,
    found: Vec<Found>,
) -> Transcript {
    let (mut words, mut phrases) = (Vec::new(), Vec::new());
    let moved = |at: u64| at + stretch.start;
    for Found { phrase, words: spoken } in found {
        phrases.push(SpokenPhrase { start: moved(phrase.start), end: moved(phrase.end), ..phrase });
        words.extend(spoken.into_iter().map(|w| Word { start: moved(w.start), end: moved(w.end), ..w }));
    }
    let end = stretch.start + stretch.samples.len() as u64;
    Transcript { party, engine, is_final, start, end, words, phrases, text: None }
}
