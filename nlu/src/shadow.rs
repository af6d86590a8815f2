//! A candidate beside the models in use: it goes over what a listener has judged, moves nothing, and is compared.
//!
//! It knows the listener by its [`Steps`] alone, so that it can be as slow as it likes, on a thread of its own.

use std::collections::BTreeMap;

use crate::features::FEATURES;
use crate::fusion::Words;
use crate::model::{AcousticModel, CLASSES};
use crate::mood::Mood;
use crate::observation::{Observation, PartyId};
use crate::settings::ListenerSettings;
use crate::steps::{Event, Steps, What};
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

/// A candidate, and the parties as it sees them.
#[derive(Debug)]
pub struct Shadow {
    candidate: Candidate,
    settings: ListenerSettings,
    moods: BTreeMap<PartyId, Mood>,
    figures: ShadowFigures,
}

impl Shadow {
    /// A candidate for a listener with these `settings` that records its steps from now on.
    pub fn new(candidate: Candidate, settings: ListenerSettings) -> Self {
        Self { candidate, settings, moods: BTreeMap::new(), figures: ShadowFigures::default() }
    }

    /// How far the candidate differs by now.
    pub fn figures(&self) -> ShadowFigures {
        self.figures
    }

    /// Judges these steps, too, and compares. They come in the order in which the listener gave them.
    pub fn run(&mut self, steps: Steps) {
        self.figures.shed += steps.shed;
        let mut readings = self.read(&steps).map(Vec::into_iter);
        let mut judged = self.judge(&steps).map(Vec::into_iter);
        for event in steps.events {
            let (observed, what) = match event {
                Event::Came(id, mood) => {
                    self.moods.insert(id, *mood);
                    continue;
                }
                Event::Left(id) => {
                    self.moods.remove(&id);
                    continue;
                }
                Event::Stepped(step) => *step,
            };
            match what {
                What::Seen(expression) => self.compare(&observed, |id, mood, to| mood.see(id, to, expression)),
                What::Read(read) => {
                    let (utterance, in_use) = *read;
                    let words = Words::new(&utterance, readings.as_mut().and_then(Iterator::next).unwrap_or(in_use));
                    self.compare(&observed, |id, mood, to| mood.read(id, to, words));
                }
                What::Heard(row, in_use) => match judged.as_mut().map(|judged| judged.next().flatten()) {
                    Some(None) => {}
                    Some(judged) => self.compare(&observed, |id, mood, to| mood.hear(id, to, &row, judged.as_ref())),
                    None => self.compare(&observed, |id, mood, to| mood.hear(id, to, &row, in_use.as_ref())),
                },
            }
        }
    }

    /// How the candidate reads all that was said in these steps; `None` where it reads nothing.
    fn read(&mut self, steps: &Steps) -> Option<Vec<Reading>> {
        let texts: Vec<&str> = stepped(steps)
            .filter_map(|what| if let What::Read(read) = what { Some(read.0.text.as_str()) } else { None })
            .collect();
        self.candidate.reader.as_mut().map(|reader| reader.read(&texts))
    }

    /// How the candidate judges all windows of these steps, `None` for those of a run that failed; `None` where it judges
    /// no voices.
    fn judge(&mut self, steps: &Steps) -> Option<Vec<Option<[f32; CLASSES]>>> {
        let model = self.candidate.model.as_mut()?;
        let rows: Vec<&[f32; FEATURES]> = stepped(steps)
            .filter_map(|what| if let What::Heard(row, _) = what { Some(&*row.values) } else { None })
            .collect();
        let mut judged = Vec::with_capacity(rows.len());
        for batch in rows.chunks(self.settings.batch_max.max(1)) {
            match model.judge(batch) {
                Ok(batch) => judged.extend(batch),
                Err(_) => {
                    self.figures.failures += 1;
                    judged.extend(batch.iter().map(|_| None));
                }
            }
        }
        Some(judged)
    }

    /// Steps the party's timeline as the candidate sees it, and compares with what was `observed`.
    fn compare(
        &mut self,
        observed: &Observation,
        step: impl FnOnce(PartyId, &mut Mood, &ListenerSettings) -> Observation,
    ) {
        if let Some(mood) = self.moods.get_mut(&observed.party) {
            let seen = step(observed.party, mood, &self.settings);
            self.figures.compare(observed, &seen);
        }
    }
}

/// What timelines were stepped by.
fn stepped(steps: &Steps) -> impl Iterator<Item = &What> {
    steps.events.iter().filter_map(|event| if let Event::Stepped(step) = event { Some(&step.1) } else { None })
}

impl ShadowFigures {
    fn compare(&mut self, in_use: &Observation, candidate: &Observation) {
        self.compared += 1;
        self.levels_differ += u64::from(in_use.level != candidate.level);
        self.emotions_differ += u64::from(in_use.emotion != candidate.emotion);
        self.anger_difference += f64::from((in_use.anger - candidate.anger).abs());
    }
}
