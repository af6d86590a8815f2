//! A candidate beside the models in use: it hears and reads the same parties, moves nothing, and is compared.
//!
//! What one run of the listener has judged waits here until the candidate judges it, too. When the next run comes first,
//! it is shed: a candidate never holds up what it stands beside.

use std::collections::BTreeMap;

use crate::expression::Expression;
use crate::features::{FEATURES, Row};
use crate::fusion::{Utterance, Words};
use crate::model::{AcousticModel, CLASSES};
use crate::mood::Mood;
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

/// What a party's timeline was stepped by, and what the models in use made of it.
#[derive(Debug)]
pub(crate) enum What {
    /// An expression; no model judges it.
    Seen(Expression),
    /// Words.
    Read(Box<Read>),
    /// A window of the voice.
    Heard(Box<Heard>),
}

/// What was said, and how it was read.
type Read = (Utterance, Reading);
/// A window, and how it was judged; `None` when signal processing judged it alone.
type Heard = (Row, Option<[f32; CLASSES]>);

/// A step of a timeline in use, as it was told, and what the candidate has to judge of it.
#[derive(Debug)]
struct Step<T> {
    observed: Observation,
    what: T,
}

/// A candidate, the parties as it sees them, and what waits for it, in the order in which the listener takes it up.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    candidate: Candidate,
    moods: BTreeMap<PartyId, Mood>,
    expressions: Vec<Step<Expression>>,
    utterances: Vec<Step<Box<Read>>>,
    rows: Vec<Step<Box<Heard>>>,
    figures: ShadowFigures,
}

impl Shadow {
    /// A candidate that goes on from the `moods` that there are: what differs is its own doing.
    pub(crate) fn new(candidate: Candidate, moods: BTreeMap<PartyId, Mood>) -> Self {
        Self { candidate, moods, ..Self::default() }
    }

    pub(crate) fn figures(&self) -> ShadowFigures {
        self.figures
    }

    /// The party is another one, or gone.
    pub(crate) fn forget(&mut self, party: PartyId) {
        self.moods.remove(&party);
    }

    /// Sheds what still waits.
    pub(crate) fn shed(&mut self) {
        self.figures.shed += (self.expressions.len() + self.utterances.len() + self.rows.len()) as u64;
        self.expressions.clear();
        self.utterances.clear();
        self.rows.clear();
    }

    /// Keeps a step of the timeline of a party with this `mood`, until the candidate judges it, too.
    pub(crate) fn keep(&mut self, mood: &Mood, observed: &Observation, what: What) {
        self.moods.entry(observed.party).or_insert_with(|| mood.alike());
        let observed = observed.clone();
        match what {
            What::Seen(expression) => self.expressions.push(Step { observed, what: expression }),
            What::Read(read) => self.utterances.push(Step { observed, what: read }),
            What::Heard(heard) => self.rows.push(Step { observed, what: heard }),
        }
    }

    /// Judges what waits, and compares.
    pub(crate) fn run(&mut self, settings: &ListenerSettings) {
        for Step { observed, what } in std::mem::take(&mut self.expressions) {
            self.compare(&observed, |id, mood| mood.see(id, settings, what));
        }
        let utterances = std::mem::take(&mut self.utterances);
        let texts: Vec<&str> = utterances.iter().map(|step| step.what.0.text.as_str()).collect();
        let read = self.candidate.reader.as_mut().map(|reader| reader.read(&texts));
        for (index, Step { observed, what }) in utterances.iter().enumerate() {
            let (utterance, in_use) = &**what;
            let reading = read.as_ref().map_or(in_use, |read| &read[index]);
            let words = Words::new(utterance, reading.clone());
            self.compare(observed, |id, mood| mood.read(id, settings, words));
        }
        let rows = std::mem::take(&mut self.rows);
        for batch in rows.chunks(settings.batch_max.max(1)) {
            self.judge(batch, settings);
        }
    }

    fn judge(&mut self, batch: &[Step<Box<Heard>>], settings: &ListenerSettings) {
        let judged = self.candidate.model.as_mut().map(|model| {
            let values: Vec<&[f32; FEATURES]> = batch.iter().map(|step| &*step.what.0.values).collect();
            model.judge(&values)
        });
        let Ok(judged) = judged.transpose() else {
            self.figures.failures += 1;
            return;
        };
        for (index, Step { observed, what }) in batch.iter().enumerate() {
            let (row, in_use) = &**what;
            let judged = judged.as_ref().map_or(in_use.as_ref(), |judged| Some(&judged[index]));
            self.compare(observed, |id, mood| mood.hear(id, settings, row, judged));
        }
    }

    /// Steps the party's timeline as the candidate sees it, and compares with what was `observed`.
    fn compare(&mut self, observed: &Observation, step: impl FnOnce(PartyId, &mut Mood) -> Observation) {
        if let Some(mood) = self.moods.get_mut(&observed.party) {
            let seen = step(observed.party, mood);
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
