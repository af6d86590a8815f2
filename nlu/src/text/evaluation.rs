//! How good the reading of texts is: what data sets call our classes, and figures over labelled texts.
//!
//! Reads no files and holds no clock.

use std::collections::BTreeSet;

use serde::Serialize;

use super::judgement::{EMOTIONS, INTENTS, OFFENCES, POLARITIES, UPSET};
use super::reader::Reading;
use crate::tally::Tally;

/// What texts without an intent are called.
const NO_INTENT: &str = "none";
/// What texts are called whose writers are not upset.
const NOT_UPSET: &str = "rest";
/// The strongest intent is found from this probability on.
const INTENT_MIN: f32 = 0.5;
/// What data sets call the classes of each task, beside their own names. Docs: `docs/MODELS.md`.
const ALSO_CALLED: [(Task, &str, &[&str]); 16] = [
    (Task::Polarity, "negative", &["neg", "0", "-1"]),
    (Task::Polarity, "positive", &["pos", "1"]),
    (Task::Emotion, "neutral", &["calm", "relaxed"]),
    (Task::Emotion, "anger", &["angry"]),
    (Task::Emotion, "anxiety", &["fear", "fearful", "worried", "anxious"]),
    (Task::Emotion, "sadness", &["sad", "depress"]),
    (Task::Emotion, "surprise", &["surprised", "astonished"]),
    (Task::Emotion, "joy", &["happy", "happiness", "optimism", "grateful"]),
    (Task::Emotion, "dissatisfaction", &["disgust", "dissatisfied", "negative-other"]),
    (Task::Offence, "civil", &["0", "not-offensive", "non-offensive", "not_offensive"]),
    (Task::Offence, "offensive", &["1"]),
    (Task::Intent, "human", &["ask_for_a_human", "agent"]),
    (Task::Intent, "threat", &["escalate", "escalation"]),
    (Task::Intent, NO_INTENT, &["other", "inquiry"]),
    (Task::Upset, NOT_UPSET, &["0", "not-upset", "not_upset"]),
    (Task::Upset, "upset", &["1"]),
];

/// Which head of the model a data set asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Negative, neutral, positive.
    Polarity,
    /// The seven emotions.
    Emotion,
    /// Civil or offensive.
    Offence,
    /// The strongest of the intents, or none.
    Intent,
    /// Upset (angry or dissatisfied) or not.
    Upset,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Polarity, Self::Emotion, Self::Offence, Self::Intent, Self::Upset];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polarity => "polarity",
            Self::Emotion => "emotion",
            Self::Offence => "offensive",
            Self::Intent => "intent",
            Self::Upset => "upset",
        }
    }

    /// The classes, in order.
    pub fn classes(self) -> Vec<&'static str> {
        match self {
            Self::Polarity => POLARITIES.to_vec(),
            Self::Emotion => EMOTIONS.to_vec(),
            Self::Offence => OFFENCES.to_vec(),
            Self::Intent => INTENTS.into_iter().chain([NO_INTENT]).collect(),
            Self::Upset => [NOT_UPSET].into_iter().chain(UPSET).collect(),
        }
    }

    /// Which class a data set means by `label`, whatever its case; `None` for what the model does not know.
    pub fn class_of(self, label: &str) -> Option<usize> {
        let label = label.trim().to_lowercase();
        let called = ALSO_CALLED.iter().find(|(task, _, also)| *task == self && also.contains(&label.as_str()));
        let name = called.map_or(label.as_str(), |(_, name, _)| name);
        self.classes().iter().position(|class| *class == name)
    }

    /// The one task that knows every one of `labels`; `None` when there is none, or more than one.
    pub fn guess(labels: &BTreeSet<&str>) -> Option<Self> {
        let knows = |task: &Self| labels.iter().all(|label| task.class_of(label).is_some());
        let mut fitting = Self::ALL.into_iter().filter(knows);
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// The class of `among` that `reading` names, and how likely it is beside the others of `among`.
    fn found(self, reading: &Reading, among: &[usize]) -> (usize, f32) {
        let (judgement, naming) = (&reading.judgement, &reading.naming);
        let (probabilities, factors) = match self {
            Self::Polarity => (judgement.polarity.to_vec(), naming.polarity().to_vec()),
            Self::Emotion => (judgement.emotions.to_vec(), naming.emotions().to_vec()),
            Self::Offence => (vec![1.0 - judgement.offensive, judgement.offensive], naming.offence().to_vec()),
            Self::Intent => {
                let strongest = judgement.intents.iter().copied().fold(0.0, f32::max);
                // None is as likely as the strongest is unlikely, and wins below the least probability.
                let none = if strongest < INTENT_MIN { 1.0 - strongest } else { 0.0 };
                (judgement.intents.into_iter().chain([none]).collect(), vec![1.0; INTENTS.len() + 1])
            }
            // At its threshold the two are even.
            Self::Upset => (vec![1.0 - judgement.upset, judgement.upset], vec![naming.upset, 1.0 - naming.upset]),
        };
        let sum: f32 = among.iter().map(|&class| probabilities[class]).sum();
        let weighed = |class: &&usize| probabilities[**class] * factors[**class];
        let named = among.iter().max_by(|a, b| weighed(a).total_cmp(&weighed(b)));
        named.map_or((0, 0.0), |&class| (class, probabilities[class] / sum.max(f32::MIN_POSITIVE)))
    }
}

/// Collects judged texts of one task.
#[derive(Debug, Clone)]
pub struct TextTally {
    task: Task,
    among: Vec<usize>,
    tally: Tally,
}

/// The figures over a set of texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextFigures {
    /// Texts that were judged.
    pub texts: u64,
    /// The classes that the labels choose among, in the order of `confusion`.
    pub classes: Vec<&'static str>,
    /// Share of texts named right.
    pub accuracy: f64,
    /// Mean F1 over the classes.
    pub macro_f1: f64,
    /// Mean recall over the classes.
    pub uar: f64,
    /// F1 of each class.
    pub f1: Vec<f64>,
    /// Expected calibration error of the class that was found, 10 bins.
    pub calibration_error: f64,
    /// Rows: truth, columns: found.
    pub confusion: Vec<Vec<u64>>,
}

impl TextTally {
    /// A tally for texts whose labels are the classes `among` of `task`: only these can be found.
    pub fn new(task: Task, among: &BTreeSet<usize>) -> Self {
        Self { task, among: among.iter().copied().collect(), tally: Tally::new(task.classes().len()) }
    }

    /// Adds a text that is of class `truth`.
    pub fn add(&mut self, truth: usize, reading: &Reading) {
        let (found, confidence) = self.task.found(reading, &self.among);
        self.tally.add(truth, found, confidence);
    }

    /// The figures so far.
    pub fn figures(&self) -> TextFigures {
        let names = self.task.classes();
        let Self { among, tally, .. } = self;
        TextFigures {
            texts: tally.total(),
            classes: among.iter().map(|&class| names[class]).collect(),
            accuracy: tally.accuracy(),
            macro_f1: tally.macro_f1(),
            uar: tally.uar(),
            f1: among.iter().map(|&class| tally.f1(class)).collect(),
            calibration_error: tally.calibration_error(),
            confusion: among
                .iter()
                .map(|&truth| among.iter().map(|&found| tally.confusion()[truth][found]).collect())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Naming, TextJudgement, TextSource};

    #[test]
    fn tasks_are_guessed_from_labels() {
        check_guess(&["negative", "positive"], Some(Task::Polarity));
        check_guess(&["angry", "Happy", "neutral", "sad", "surprise", "fear"], Some(Task::Emotion));
        check_guess(&["not-offensive", "offensive"], Some(Task::Offence));
        check_guess(&["refund", "complaint", "none"], Some(Task::Intent));
        // Polarity or offence, and nobody can tell.
        check_guess(&["0", "1"], None);
        check_guess(&["neutral"], None);
        check_guess(&["weather"], None);
    }

    #[test]
    fn what_data_sets_say_is_a_class() {
        for (task, name, also) in ALSO_CALLED {
            let class = task.classes().iter().position(|class| *class == name);
            assert!(class.is_some(), "{name}");
            assert!(also.iter().all(|label| task.class_of(label) == class), "{name}");
        }
    }

    #[test]
    fn only_the_classes_of_the_data_are_found() {
        let reading = read(TextJudgement { polarity: [0.3, 0.6, 0.1], ..TextJudgement::NOTHING });
        let mut tally = TextTally::new(Task::Polarity, &BTreeSet::from([0, 2]));
        tally.add(0, &reading);
        tally.add(2, &reading);
        let figures = tally.figures();
        assert_eq!((figures.texts, figures.classes.as_slice()), (2, ["negative", "positive"].as_slice()));
        assert_eq!(figures.confusion, [[1, 0], [1, 0]]);
        assert!((figures.accuracy - 0.5).abs() < 1e-9 && (figures.uar - 0.5).abs() < 1e-9);
        assert!((figures.calibration_error - 0.25).abs() < 1e-6, "{}", figures.calibration_error);
    }

    #[test]
    fn no_intent_is_found_where_none_is_likely() {
        let all: BTreeSet<usize> = (0..8).collect();
        let mut tally = TextTally::new(Task::Intent, &all);
        tally.add(7, &read(TextJudgement::NOTHING));
        let mut refund = TextJudgement::NOTHING;
        refund.intents[1] = 0.7;
        tally.add(1, &read(refund));
        assert_eq!(tally.figures().accuracy, 1.0);
    }

    #[test]
    fn names_go_by_offsets_and_thresholds_and_likelihoods_do_not() {
        let judgement = TextJudgement { polarity: [0.3, 0.6, 0.1], upset: 0.4, ..TextJudgement::NOTHING };
        let mut reading = read(judgement);
        assert_eq!(Task::Upset.found(&reading, &[0, 1]), (0, 0.6));
        assert_eq!(Task::Polarity.found(&reading, &[0, 1, 2]), (1, 0.6));
        reading.naming = Naming { upset: 0.39, ..Naming::USUAL };
        reading.naming.offsets[0] = 0.7;
        assert_eq!(Task::Upset.found(&reading, &[0, 1]), (1, 0.4));
        assert_eq!(Task::Polarity.found(&reading, &[0, 1, 2]).0, 0);
    }

    fn read(judgement: TextJudgement) -> Reading {
        let (intents, words) = (Vec::new(), Vec::new());
        Reading { judgement, naming: Naming::USUAL, intents, words, source: TextSource::Model }
    }

    #[track_caller]
    fn check_guess(labels: &[&str], expected: Option<Task>) {
        assert_eq!(Task::guess(&labels.iter().copied().collect()), expected);
    }
}
