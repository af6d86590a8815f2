//! Clips of one emotion each: what they are heard as, and how often that is right.

use std::collections::BTreeSet;

use serde::Serialize;

use super::estimate::{Estimate, estimates};
use crate::features::{Extractor, Row};
use crate::model::{AcousticModel, CLASS_NAMES, CLASSES, ModelError, as_voice};
use crate::signal::{fuse_anger, signal_anger};
use crate::sound::Memory;
use crate::tally::Tally;

/// Silence put behind a clip, so that its last words are judged too (0.6 s).
static TAIL: [f32; 4_800] = [0.0; 4_800];
/// What corpora call the classes, beside their own names.
const ALSO_CALLED: [(&str, &[&str]); 6] = [
    ("anger", &["angry"]),
    ("joy", &["happy", "happiness"]),
    ("sadness", &["sad"]),
    ("anxiety", &["fear", "fearful", "anxious"]),
    ("surprise", &["surprised"]),
    ("disgust", &["disgusted"]),
];
const ANGER: &str = "anger";

/// Which class a corpus means by `label`, whatever its case, as a place in [`CLASS_NAMES`]; `None` for other emotions.
pub fn class_of(label: &str) -> Option<usize> {
    let label = label.trim().to_lowercase();
    let called = ALSO_CALLED.iter().find(|(_, also)| also.contains(&label.as_str()));
    let name = called.map_or(label.as_str(), |(name, _)| name);
    CLASS_NAMES.iter().position(|class| *class == name)
}

/// The window of a clip from which on they are whole: 2.5 s after the first speech.
const WHOLE_WINDOWS: usize = 4;

/// What was judged of one clip: the mean over its windows; the first ones, which hold less of it, count less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipJudgement {
    /// By [`CLASS_NAMES`]; sums to 1.
    pub probabilities: [f32; CLASSES],
    /// Model and signal fused.
    pub anger: f32,
    /// Windows judged.
    pub windows: usize,
}

/// Judges `clip` (8 kHz, [-1, 1]) after the speaker's baseline has heard `before`.
///
/// `None` when the clip has too little speech for a window. Without a model the signal's word is taken.
///
/// # Errors
/// When the model fails.
pub fn judge_clip(
    mut model: Option<&mut AcousticModel>,
    before: &[&[f32]],
    clip: &[f32],
) -> Result<Option<ClipJudgement>, ModelError> {
    let hears_sound = model.as_ref().is_some_and(|model| model.hears_sound());
    let mut extractor = Extractor::hearing(hears_sound);
    let mut memory = Memory::default();
    for samples in before {
        let rows = rows_of(&mut extractor, samples);
        if let (true, Some(model)) = (hears_sound, model.as_mut()) {
            model.hear(&rows, &mut memory).1.map_or(Ok(()), Err)?;
        }
    }
    extractor.skip_to(extractor.position());
    let mut rows = rows_of(&mut extractor, clip);
    rows.extend(rows_of(&mut extractor, &TAIL));
    if rows.is_empty() {
        return Ok(None);
    }
    let judged = match model.as_mut() {
        Some(model) => {
            let (judged, failure) = model.hear(&rows, &mut memory);
            failure.map_or(Ok(judged), Err)?
        }
        None => rows.iter().map(|((), row)| Some(signal_only(signal_anger(row)))).collect(),
    };
    let windows = judged.iter().flatten().count();
    let mut weights = 0.0;
    let (mut probabilities, mut anger) = ([0.0; CLASSES], 0.0);
    for (index, (((), row), judged)) in rows.iter().zip(&judged).enumerate() {
        let Some(judged) = judged else { continue };
        let weight = (index + 1).min(WHOLE_WINDOWS) as f32;
        weights += weight;
        for (sum, p) in probabilities.iter_mut().zip(judged) {
            *sum += weight * p;
        }
        let signal = signal_anger(row);
        anger += weight * if model.is_some() { fuse_anger(as_voice(judged)[1], signal) } else { signal };
    }
    probabilities.iter_mut().for_each(|sum| *sum /= weights);
    anger /= weights;
    Ok(Some(ClipJudgement { probabilities, anger, windows }))
}

/// The windows of the next samples.
fn rows_of(extractor: &mut Extractor, samples: &[f32]) -> Vec<((), Row)> {
    let mut rows = Vec::new();
    extractor.push(samples, &mut |_, _| {}, &mut rows);
    rows.into_iter().map(|row| ((), row)).collect()
}

/// Signal processing knows anger, and calls everything else neutral.
fn signal_only(anger: f32) -> [f32; CLASSES] {
    CLASS_NAMES.map(|name| match name {
        "neutral" => 1.0 - anger,
        ANGER => anger,
        _ => 0.0,
    })
}

/// A judged clip: what it is, where that is one of the classes, and what was heard.
#[derive(Debug, Clone, Copy)]
struct Judged {
    truth: Option<usize>,
    found: usize,
    confidence: f32,
    anger: f32,
    angry: bool,
}

/// Collects judged clips.
#[derive(Debug, Clone)]
pub struct ClipTally {
    among: Vec<usize>,
    judged: Vec<Judged>,
    not_judged: u64,
}

/// The figures over a set of clips, with intervals of 95 % over resamples of the clips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipFigures {
    /// The classes that the labels choose among, in the order of `confusion`.
    pub classes: Vec<&'static str>,
    /// Clips of these classes that were judged.
    pub clips: u64,
    /// Clips of other emotions, used for the area under the curve only.
    pub others: u64,
    /// Clips with too little speech to judge.
    pub not_judged: u64,
    /// Share of clips named right.
    pub accuracy: Estimate,
    /// Mean recall over the classes that occur.
    pub uar: Estimate,
    /// Mean F1 over the classes that occur.
    pub macro_f1: Estimate,
    /// Rows: truth, columns: found.
    pub confusion: Vec<Vec<u64>>,
    /// F1 of anger among the classes.
    pub anger_f1: Estimate,
    /// Area under the curve of fused anger against everything else, other emotions included.
    pub anger_auc: Estimate,
    /// Expected calibration error of the class that was found, 10 bins. Chance alone makes it greater than 0, the more the
    /// fewer clips there are.
    pub calibration_error: Estimate,
}

impl ClipTally {
    /// A tally for clips whose labels are the classes `among`: only these can be found.
    pub fn new(among: &BTreeSet<usize>) -> Self {
        Self { among: among.iter().copied().collect(), judged: Vec::new(), not_judged: 0 }
    }

    /// Adds a clip; `None` as judgement means that there was too little speech.
    pub fn add(&mut self, truth: Option<usize>, judgement: Option<ClipJudgement>) {
        let Some(ClipJudgement { probabilities, anger, .. }) = judgement else {
            self.not_judged += 1;
            return;
        };
        let (found, confidence) = self.found(&probabilities);
        let angry = truth.is_some_and(|class| CLASS_NAMES[class] == ANGER);
        self.judged.push(Judged { truth, found, confidence, anger, angry });
    }

    /// The figures so far.
    pub fn figures(&self) -> ClipFigures {
        let tally = tally(&self.judged);
        let [accuracy, uar, macro_f1, anger_f1, anger_auc, calibration_error] = estimates(&self.judged, |judged| {
            let tally = self::tally(judged);
            let scored: Vec<(f32, bool)> = judged.iter().map(|clip| (clip.anger, clip.angry)).collect();
            let anger_f1 = class_of(ANGER).map_or(0.0, |class| tally.f1(class));
            let area = area_under_curve(&scored);
            [tally.accuracy(), tally.uar(), tally.macro_f1(), anger_f1, area, tally.calibration_error()]
        });
        let row = |truth: &usize| self.among.iter().map(|&found| tally.confusion()[*truth][found]).collect();
        ClipFigures {
            classes: self.among.iter().map(|&class| CLASS_NAMES[class]).collect(),
            clips: tally.total(),
            others: self.judged.len() as u64 - tally.total(),
            not_judged: self.not_judged,
            accuracy,
            uar,
            macro_f1,
            confusion: self.among.iter().map(row).collect(),
            anger_f1,
            anger_auc,
            calibration_error,
        }
    }

    /// The likeliest of the classes that there are, and how likely it is beside the others of them.
    fn found(&self, probabilities: &[f32; CLASSES]) -> (usize, f32) {
        let sum: f32 = self.among.iter().map(|&class| probabilities[class]).sum();
        let likeliest = self.among.iter().max_by(|a, b| probabilities[**a].total_cmp(&probabilities[**b]));
        likeliest.map_or((0, 0.0), |&class| (class, probabilities[class] / sum.max(f32::MIN_POSITIVE)))
    }
}

fn tally(judged: &[Judged]) -> Tally {
    let mut tally = Tally::new(CLASSES);
    for clip in judged {
        if let Some(truth) = clip.truth {
            tally.add(truth, clip.found, clip.confidence);
        }
    }
    tally
}

/// Probability that a random positive scores above a random negative; ties count half; 0.5 when one kind is missing.
fn area_under_curve(scored: &[(f32, bool)]) -> f64 {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return 0.5;
    }
    let mut below = 0.0;
    let mut won = 0.0;
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let up = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let down = tied.len() as f64 - up;
        won += up * (below + down / 2.0);
        below += down;
    }
    won / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas() {
        check_area(&[(0.1, false), (0.2, false), (0.8, true)], 1.0);
        check_area(&[(0.9, false), (0.2, true)], 0.0);
        check_area(&[(0.5, false), (0.5, true)], 0.5);
        check_area(&[(0.5, true)], 0.5);
        check_area(&[], 0.5);
    }

    #[test]
    fn what_corpora_say_is_a_class() {
        for (name, also) in ALSO_CALLED {
            let class = CLASS_NAMES.iter().position(|class| *class == name);
            assert!(class.is_some_and(|class| also.iter().all(|label| class_of(label) == Some(class))), "{name}");
        }
        assert_eq!(class_of(" Angry"), class_of("anger"));
        assert_eq!(class_of("weather"), None);
    }

    #[test]
    fn clips_are_tallied() {
        let class = |name: &str| class_of(name).expect("it is a class");
        let among = ["neutral", "anger", "joy"].map(class);
        let mut tally = ClipTally::new(&BTreeSet::from(among));
        let judged = |name: &str| {
            let mut probabilities = [0.3 / (CLASSES - 1) as f32; CLASSES];
            probabilities[class(name)] = 0.7;
            Some(ClipJudgement { probabilities, anger: probabilities[class("anger")], windows: 1 })
        };
        tally.add(class_of("anger"), judged("anger"));
        // Nothing in the data is sad, so it is one of the others; the first ones are alike, and the last of them wins.
        tally.add(class_of("anger"), judged("sadness"));
        tally.add(class_of("neutral"), judged("neutral"));
        tally.add(None, judged("neutral"));
        tally.add(class_of("joy"), None);
        let figures = tally.figures();
        assert_eq!(figures.classes, ["neutral", "anger", "joy"]);
        assert_eq!((figures.clips, figures.others, figures.not_judged), (3, 1, 1));
        assert_eq!(figures.confusion, [[1, 0, 0], [0, 1, 1], [0, 0, 0]]);
        assert!((figures.accuracy.value - 2.0 / 3.0).abs() < 1e-9);
        assert!((figures.uar.value - 0.75).abs() < 1e-9);
        assert!((figures.anger_f1.value - 2.0 / 3.0).abs() < 1e-9);
        assert!(figures.accuracy.low < figures.accuracy.value && figures.accuracy.value < figures.accuracy.high);
    }

    #[test]
    fn an_empty_tally_has_figures() {
        assert_eq!(ClipTally::new(&BTreeSet::new()).figures().accuracy, Estimate::default());
    }

    #[track_caller]
    fn check_area(scored: &[(f32, bool)], expected: f64) {
        assert!((area_under_curve(scored) - expected).abs() < 1e-9);
    }
}
