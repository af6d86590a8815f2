//! How good the listening is: figures over labelled clips, and over streams in which anger starts at a known moment.
//!
//! Reads no files and holds no clock: samples and labels come in, figures go out; speed is the caller's to measure.

use prosody::trained::SAMPLE_RATE_HZ;

use crate::features::{Extractor, Row};
use crate::model::{AcousticModel, LABELS, ModelError};
use crate::observation::{Emotion, Level, Observation};
use crate::signal::{fuse_anger, signal_anger};
use crate::tally::{Tally, ratio};

/// Silence put behind a clip, so that its last words are judged too (0.6 s).
static TAIL: [f32; 4_800] = [0.0; 4_800];

/// What a corpus calls one of the four classes; `None` for its other emotions, which count as "not anger" only.
pub fn emotion_of(label: &str) -> Option<Emotion> {
    match label.to_ascii_lowercase().as_str() {
        "neutral" | "calm" => Some(Emotion::Neutral),
        "angry" | "anger" => Some(Emotion::Anger),
        "happy" | "happiness" | "joy" => Some(Emotion::Joy),
        "sad" | "sadness" => Some(Emotion::Sadness),
        _ => None,
    }
}

/// What was judged of one clip: the mean over its windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipJudgement {
    /// Neutral, anger, joy, sadness; sums to 1.
    pub probabilities: [f32; 4],
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
    let mut extractor = Extractor::default();
    let mut rows: Vec<Row> = Vec::new();
    for samples in before {
        extractor.push(samples, &mut |_, _| {}, &mut rows);
    }
    extractor.skip_to(extractor.position());
    rows.clear();
    extractor.push(clip, &mut |_, _| {}, &mut rows);
    extractor.push(&TAIL, &mut |_, _| {}, &mut rows);
    if rows.is_empty() {
        return Ok(None);
    }
    let judged = match model.as_mut() {
        Some(model) => model.judge(&rows.iter().map(|row| row.values).collect::<Vec<_>>())?,
        None => rows.iter().map(|row| [1.0 - signal_anger(row), signal_anger(row), 0.0, 0.0]).collect(),
    };
    let windows = rows.len();
    let mut probabilities = [0.0; 4];
    let mut anger = 0.0;
    for (row, judged) in rows.iter().zip(&judged) {
        for (sum, p) in probabilities.iter_mut().zip(judged) {
            *sum += p / windows as f32;
        }
        let signal = signal_anger(row);
        anger += if model.is_some() { fuse_anger(judged[1], signal) } else { signal } / windows as f32;
    }
    Ok(Some(ClipJudgement { probabilities, anger, windows }))
}

/// Collects judged clips.
#[derive(Debug, Clone)]
pub struct ClipTally {
    classes: Tally,
    anger: Vec<(f32, bool)>,
    not_judged: u64,
    others: u64,
}

impl Default for ClipTally {
    fn default() -> Self {
        Self { classes: Tally::new(LABELS.len()), anger: Vec::new(), not_judged: 0, others: 0 }
    }
}

/// The figures over a set of clips.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ClipFigures {
    /// Clips of the four classes that were judged.
    pub clips: u64,
    /// Clips of other emotions, used for the anger figures only.
    pub others: u64,
    /// Clips with too little speech to judge.
    pub not_judged: u64,
    /// Share of clips named right.
    pub accuracy: f64,
    /// Mean recall over the classes that occur.
    pub uar: f64,
    /// Mean F1 over the classes that occur.
    pub macro_f1: f64,
    /// Rows: truth, columns: found; neutral, anger, joy, sadness.
    pub confusion: [[u64; 4]; 4],
    /// F1 of anger among the four classes.
    pub anger_f1: f64,
    /// Area under the curve of fused anger against everything else, other emotions included.
    pub anger_auc: f64,
    /// Expected calibration error of the leading class, 10 bins.
    pub calibration_error: f64,
}

impl ClipTally {
    /// Adds a clip; `None` as judgement means that there was too little speech.
    pub fn add(&mut self, truth: Option<Emotion>, judgement: Option<ClipJudgement>) {
        let Some(judgement) = judgement else {
            self.not_judged += 1;
            return;
        };
        self.anger.push((judgement.anger, truth == Some(Emotion::Anger)));
        let Some(truth) = truth else {
            self.others += 1;
            return;
        };
        let (found, confidence) = leading(&judgement.probabilities);
        self.classes.add(truth as usize, found, confidence);
    }

    /// The figures so far.
    pub fn figures(&self) -> ClipFigures {
        let Self { classes, anger, not_judged, others } = self;
        ClipFigures {
            clips: classes.total(),
            others: *others,
            not_judged: *not_judged,
            accuracy: classes.accuracy(),
            uar: classes.uar(),
            macro_f1: classes.macro_f1(),
            confusion: std::array::from_fn(|truth| std::array::from_fn(|found| classes.confusion()[truth][found])),
            anger_f1: classes.f1(Emotion::Anger as usize),
            anger_auc: area_under_curve(anger),
            calibration_error: classes.calibration_error(),
        }
    }
}

/// Collects streams in which anger starts at a known moment, or never.
#[derive(Debug, Clone, Default)]
pub struct OnsetTally {
    delays_s: Vec<f64>,
    missed: u64,
    early: u64,
    calm_s: f64,
    false_highs: u64,
    calm_windows: u64,
    calm_high_windows: u64,
}

/// The figures over a set of streams.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OnsetFigures {
    /// Streams in which anger starts and the level was not high at that moment.
    pub onsets: u64,
    /// Of these, level high within 2 s of the first angry word.
    pub high_within_2_s: f64,
    /// Within 4 s.
    pub high_within_4_s: f64,
    /// At any time until the end.
    pub high_at_all: f64,
    /// Median delay of those found, seconds.
    pub delay_median_s: f64,
    /// Streams whose level was already high when the anger started; counted as false, not as found.
    pub early: u64,
    /// Calm speech before the onset or without one, hours.
    pub calm_hours: f64,
    /// Times that the level became high in it, per hour.
    pub false_highs_per_hour: f64,
    /// Share of its judged windows at level high.
    pub calm_high_share: f64,
}

impl OnsetTally {
    /// Adds one stream's observations; anger starts at sample `onset` (or never), the stream ends at sample `end`.
    pub fn add(&mut self, observations: &[Observation], onset: Option<u64>, end: u64) {
        let calm_until = onset.unwrap_or(end);
        self.calm_s += seconds(calm_until);
        let mut level = Level::Low;
        for observation in observations.iter().take_while(|o| o.position <= calm_until) {
            self.calm_windows += 1;
            self.calm_high_windows += u64::from(observation.level == Level::High);
            self.false_highs += u64::from(observation.level == Level::High && level != Level::High);
            level = observation.level;
        }
        let Some(onset) = onset else { return };
        if level == Level::High {
            self.early += 1;
            return;
        }
        match observations.iter().find(|o| o.position > onset && o.level == Level::High) {
            Some(found) => self.delays_s.push(seconds(found.position - onset)),
            None => self.missed += 1,
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> OnsetFigures {
        let onsets = self.delays_s.len() as u64 + self.missed;
        let within = |limit_s: f64| self.delays_s.iter().filter(|delay| **delay <= limit_s).count() as f64;
        let mut sorted = self.delays_s.clone();
        sorted.sort_by(f64::total_cmp);
        OnsetFigures {
            onsets,
            high_within_2_s: ratio(within(2.0), onsets as f64),
            high_within_4_s: ratio(within(4.0), onsets as f64),
            high_at_all: ratio(self.delays_s.len() as f64, onsets as f64),
            delay_median_s: sorted.get(sorted.len() / 2).copied().unwrap_or(0.0),
            early: self.early,
            calm_hours: self.calm_s / 3600.0,
            false_highs_per_hour: ratio(self.false_highs as f64, self.calm_s / 3600.0),
            calm_high_share: ratio(self.calm_high_windows as f64, self.calm_windows as f64),
        }
    }
}

/// Probability that a random positive scores above a random negative; ties count half; 0.5 when one kind is missing.
pub fn area_under_curve(scored: &[(f32, bool)]) -> f64 {
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

fn leading(probabilities: &[f32; 4]) -> (usize, f32) {
    let mut leading = (0, probabilities[0]);
    for (i, &p) in probabilities.iter().enumerate() {
        if p > leading.1 {
            leading = (i, p);
        }
    }
    leading
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Evidence, PartyId, Source};

    #[test]
    fn areas() {
        check_area(&[(0.1, false), (0.2, false), (0.8, true)], 1.0);
        check_area(&[(0.9, false), (0.2, true)], 0.0);
        check_area(&[(0.5, false), (0.5, true)], 0.5);
        check_area(&[(0.5, true)], 0.5);
        check_area(&[], 0.5);
    }

    #[test]
    fn clips_are_tallied() {
        let mut tally = ClipTally::default();
        let judged = |class: usize| {
            let mut probabilities = [0.1; 4];
            probabilities[class] = 0.7;
            Some(ClipJudgement { probabilities, anger: probabilities[1], windows: 1 })
        };
        tally.add(Some(Emotion::Anger), judged(1));
        tally.add(Some(Emotion::Anger), judged(0));
        tally.add(Some(Emotion::Neutral), judged(0));
        tally.add(None, judged(0));
        tally.add(Some(Emotion::Joy), None);
        let figures = tally.figures();
        assert_eq!((figures.clips, figures.others, figures.not_judged), (3, 1, 1));
        assert_eq!(figures.confusion[1], [1, 1, 0, 0]);
        assert!((figures.accuracy - 2.0 / 3.0).abs() < 1e-9);
        assert!((figures.uar - 0.75).abs() < 1e-9);
        assert!((figures.anger_f1 - 2.0 / 3.0).abs() < 1e-9);
        assert!((figures.calibration_error - 0.1 / 3.0).abs() < 1e-6, "{}", figures.calibration_error);
    }

    #[test]
    fn an_empty_tally_has_figures() {
        assert_eq!(ClipTally::default().figures().accuracy, 0.0);
        assert_eq!(OnsetTally::default().figures().false_highs_per_hour, 0.0);
    }

    #[test]
    fn onsets() {
        use Level::{High, Low};
        // Found 1 s after the onset at 2 s.
        check_onset(&[(1.0, Low), (2.0, Low), (3.0, High)], Some(2.0), [1, 0, 0], Some(1.0));
        // Already high: early, and a false alarm.
        check_onset(&[(1.0, High), (3.0, High)], Some(2.0), [0, 1, 1], None);
        check_onset(&[(1.0, Low), (3.0, Low)], Some(2.0), [1, 0, 0], None);
        check_onset(&[(1.0, High), (2.0, Low), (3.0, High)], None, [0, 0, 2], None);
    }

    /// `expected`: onsets, early, false highs.
    #[track_caller]
    fn check_onset(levels: &[(f64, Level)], onset_s: Option<f64>, expected: [u64; 3], delay_s: Option<f64>) {
        let samples = |s: f64| (s * 8_000.0) as u64;
        let observation = |&(at_s, level): &(f64, Level)| Observation {
            party: PartyId(0),
            position: samples(at_s),
            emotion: Emotion::Neutral,
            level,
            anger: 0.0,
            trend_per_s: 0.0,
            probabilities: [1.0, 0.0, 0.0, 0.0],
            evidence: Evidence::default(),
            source: Source::Model,
            words: None,
        };
        let observations: Vec<Observation> = levels.iter().map(observation).collect();
        let mut tally = OnsetTally::default();
        tally.add(&observations, onset_s.map(samples), samples(3.5));
        let figures = tally.figures();
        assert_eq!([figures.onsets, figures.early, tally.false_highs], expected);
        assert_eq!(figures.high_at_all, delay_s.map_or(0.0, |_| 1.0));
        assert_eq!(figures.delay_median_s, delay_s.unwrap_or(0.0));
    }

    #[track_caller]
    fn check_area(scored: &[(f32, bool)], expected: f64) {
        assert!((area_under_curve(scored) - expected).abs() < 1e-9);
    }
}
