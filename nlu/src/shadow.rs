//! A candidate beside the models in use: it hears and reads the same parties, moves nothing, and is compared.
//!
//! What one run of the listener has judged waits here until the candidate judges it, too. When the next run comes first,
//! it is shed: a candidate never holds up what it stands beside.

use std::collections::BTreeMap;

use crate::features::{FEATURES, Row};
use crate::follower::Follower;
use crate::fusion::{Utterance, Words};
use crate::model::{AcousticModel, CLASSES};
use crate::observation::{Observation, PartyId};
use crate::settings::ListenerSettings;
use crate::text::{Reading, TextReader};

/// The models to compare; where one is missing, the one in use judges for it.
#[derive(Debug, Default)]
pub struct Candidate {
    /// Judges the voice.
    pub model: Option<AcousticModel>,
    /// Reads the words.
    pub reader: Option<TextReader>,
}

/// How far a candidate differs from the models in use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ShadowFigures {
    /// Steps of timelines that both have made.
    pub compared: u64,
    /// Of these, where the level was another.
    pub levels_differ: u64,
    /// Of these, where the emotion was another.
    pub emotions_differ: u64,
    /// The differences of anger without sign, summed; each 0-1.
    pub anger_difference: f64,
    /// Steps that the candidate has not judged, because there was no time for it.
    pub shed: u64,
    /// Runs of its models that failed; what they should have judged is not compared.
    pub failures: u64,
}

/// A step of the timelines in use, as it was judged.
#[derive(Debug)]
struct Step<T> {
    party: PartyId,
    observed: Observation,
    what: T,
}

/// A candidate, the parties as it sees them, and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    candidate: Candidate,
    followers: BTreeMap<PartyId, Follower>,
    utterances: Vec<Step<(Utterance, Reading)>>,
    rows: Vec<Step<(Row, Option<[f32; CLASSES]>)>>,
    figures: ShadowFigures,
}

impl Shadow {
    pub(crate) fn new(candidate: Candidate) -> Self {
        Self { candidate, ..Self::default() }
    }

    pub(crate) fn figures(&self) -> ShadowFigures {
        self.figures
    }

    /// The party is another one, or gone.
    pub(crate) fn forget(&mut self, party: PartyId) {
        self.followers.remove(&party);
    }

    /// Sheds what still waits.
    pub(crate) fn shed(&mut self) {
        self.figures.shed += (self.utterances.len() + self.rows.len()) as u64;
        self.utterances.clear();
        self.rows.clear();
    }

    /// Keeps an utterance that was read, and what came of it.
    pub(crate) fn keep_words(&mut self, observed: &Observation, utterance: Utterance, reading: Reading) {
        self.utterances.push(Step { party: observed.party, observed: observed.clone(), what: (utterance, reading) });
    }

    /// Keeps a row that was judged, and what came of it.
    pub(crate) fn keep_row(&mut self, observed: &Observation, row: Row, judged: Option<[f32; CLASSES]>) {
        self.rows.push(Step { party: observed.party, observed: observed.clone(), what: (row, judged) });
    }

    /// Judges what waits and compares: words first, as the listener does.
    pub(crate) fn run(&mut self, settings: &ListenerSettings) {
        let utterances = std::mem::take(&mut self.utterances);
        let texts: Vec<&str> = utterances.iter().map(|step| step.what.0.text.as_str()).collect();
        let mut read = self.candidate.reader.as_mut().map(|reader| reader.read(&texts).into_iter());
        for Step { party, observed, what: (utterance, in_use) } in &utterances {
            let reading = read.as_mut().map_or_else(|| Some(in_use.clone()), Iterator::next);
            let Some(reading) = reading else { break };
            let seen = self.followers.entry(*party).or_default().read(*party, settings, Words::new(utterance, reading));
            self.figures.compare(observed, &seen);
        }
        let rows = std::mem::take(&mut self.rows);
        for batch in rows.chunks(settings.batch_max.max(1)) {
            self.judge(batch, settings);
        }
    }

    fn judge(&mut self, batch: &[Step<(Row, Option<[f32; CLASSES]>)>], settings: &ListenerSettings) {
        let judged = self.candidate.model.as_mut().map(|model| {
            let values: Vec<&[f32; FEATURES]> = batch.iter().map(|step| &*step.what.0.values).collect();
            model.judge(&values)
        });
        let judged = match judged.transpose() {
            Ok(judged) => judged,
            Err(_) => {
                self.figures.failures += 1;
                return;
            }
        };
        for (index, Step { party, observed, what: (row, in_use) }) in batch.iter().enumerate() {
            let judged = judged.as_ref().map_or(in_use.as_ref(), |judged| judged.get(index));
            let seen = self.followers.entry(*party).or_default().hear(*party, settings, row, judged);
            self.figures.compare(observed, &seen);
        }
    }
}

impl ShadowFigures {
    fn compare(&mut self, in_use: &Observation, candidate: &Observation) {
        self.compared += 1;
        self.levels_differ += u64::from(in_use.level != candidate.level);
        self.emotions_differ += u64::from(in_use.emotion != candidate.emotion);
        self.anger_difference += f64::from((in_use.anger - candidate.anger).abs());
    }
}
