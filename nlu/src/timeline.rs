//! One party's emotion over time: smoothing, levels with hysteresis, trend.
//!
//! Knows nothing of audio or models: judgements of windows go in, the state after each comes out.

use std::collections::VecDeque;

use crate::features::SAMPLE_RATE_HZ;
use crate::observation::{Emotion, Level};
use crate::settings::ListenerSettings;

/// How far back the trend looks, seconds.
const TREND_S: f32 = 5.0;
/// Points kept for the trend: one per half second.
const TREND_POINTS_MAX: usize = 11;
/// Silence longer than this makes the past no older: a pause is not calm.
const STEP_S_MAX: f32 = 1.0;
/// The step assumed for the first judgement, seconds.
const STEP_S: f32 = 0.5;
/// Where the timeline starts: nothing known, so nothing claimed.
const START: [f32; 4] = [0.85, 0.05, 0.05, 0.05];

/// The state of one party after a judgement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The leading emotion.
    pub emotion: Emotion,
    /// Level of anger.
    pub level: Level,
    /// Smoothed probability of anger.
    pub anger: f32,
    /// Change of `anger` per second over the last 5 s.
    pub trend_per_s: f32,
}

/// What is remembered of one party. Fixed size.
#[derive(Debug, Clone)]
pub struct Timeline {
    smoothed: [f32; 4],
    anger: f32,
    level: Level,
    /// Position of the last judgement.
    last: Option<u64>,
    /// Position at which the present level was last confirmed.
    confirmed: u64,
    points: VecDeque<(u64, f32)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            smoothed: START,
            anger: START[1],
            level: Level::Low,
            last: None,
            confirmed: 0,
            points: VecDeque::with_capacity(TREND_POINTS_MAX),
        }
    }
}

impl Timeline {
    /// Takes the judgement of the window that ends at `position`: the model's `probabilities` (neutral, anger, joy,
    /// sadness) and the fused `anger`, both before smoothing.
    pub fn step(&mut self, settings: &ListenerSettings, position: u64, probabilities: &[f32; 4], anger: f32) -> Moment {
        let step_s = self.last.map_or(STEP_S, |last| seconds(position.saturating_sub(last)).min(STEP_S_MAX));
        self.step_by(settings, position, step_s, probabilities, anger)
    }

    /// As [`Timeline::step`], of a judgement that counts like `step_s` seconds of windows.
    pub fn step_by(
        &mut self,
        settings: &ListenerSettings,
        position: u64,
        step_s: f32,
        probabilities: &[f32; 4],
        anger: f32,
    ) -> Moment {
        self.last = Some(position);
        let time_s = if anger > self.anger { settings.rise_s } else { settings.fall_s };
        self.anger += (anger - self.anger) * share(step_s, time_s);
        for (smoothed, probability) in self.smoothed.iter_mut().zip(probabilities) {
            *smoothed += (probability - *smoothed) * share(step_s, settings.rise_s);
        }
        self.level = self.next_level(settings, position);
        Moment { emotion: self.leading(), level: self.level, anger: self.anger, trend_per_s: self.trend(position) }
    }

    /// A level is entered at its upper threshold at once, and left below its lower one after the hold time.
    fn next_level(&mut self, settings: &ListenerSettings, position: u64) -> Level {
        let entered = settings.entered(self.anger);
        let held = settings.held(self.anger);
        if entered >= self.level || held >= self.level {
            self.confirmed = position;
            return entered.max(self.level);
        }
        if seconds(position.saturating_sub(self.confirmed)) < settings.hold_s {
            return self.level;
        }
        self.confirmed = position;
        held.max(entered)
    }

    /// Anger leads from level medium on; below that the strongest of the others.
    fn leading(&self) -> Emotion {
        if self.level >= Level::Medium {
            return Emotion::Anger;
        }
        let [neutral, _, joy, sadness] = self.smoothed;
        let mut leading = (Emotion::Neutral, neutral);
        for candidate in [(Emotion::Joy, joy), (Emotion::Sadness, sadness)] {
            if candidate.1 > leading.1 {
                leading = candidate;
            }
        }
        leading.0
    }

    /// The slope of the least-squares line through the points of the last 5 s; 0 while there are fewer than 3.
    fn trend(&mut self, position: u64) -> f32 {
        if self.points.len() == TREND_POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back((position, self.anger));
        while self.points.front().is_some_and(|(at, _)| seconds(position.saturating_sub(*at)) > TREND_S) {
            self.points.pop_front();
        }
        if self.points.len() < 3 {
            return 0.0;
        }
        let count = self.points.len() as f32;
        let age = |at: u64| -seconds(position.saturating_sub(at));
        let mean_age = self.points.iter().map(|(at, _)| age(*at)).sum::<f32>() / count;
        let mean = self.points.iter().map(|(_, anger)| anger).sum::<f32>() / count;
        let across: f32 = self.points.iter().map(|(at, anger)| (age(*at) - mean_age) * (anger - mean)).sum();
        let along: f32 = self.points.iter().map(|(at, _)| (age(*at) - mean_age).powi(2)).sum();
        across / along.max(1e-6)
    }
}

fn seconds(samples: u64) -> f32 {
    samples as f32 / SAMPLE_RATE_HZ as f32
}

/// How much of the way to a new value is gone in `step_s` with the time constant `time_s`.
fn share(step_s: f32, time_s: f32) -> f32 {
    1.0 - (-step_s / time_s.max(1e-3)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::{High, Low, Medium};

    #[test]
    fn rises_fast_and_falls_slowly() {
        check(&[0.0, 0.0], &[Low, Low]);
        check(&[0.98, 0.98, 0.98, 0.98], &[Medium, High, High, High]);
        // One angry-looking window is a word, not a mood.
        check(&[0.1, 0.95, 0.1, 0.1], &[Low, Medium, Medium, Medium]);
    }

    #[test]
    fn a_level_is_left_later_than_it_is_entered() {
        let mut anger = vec![0.95; 6];
        anger.extend([0.1; 14]);
        let levels = levels(&anger);
        assert_eq!(levels[5], High);
        let left = levels.iter().rposition(|level| *level == High).expect("it was high");
        assert!(left > 7, "high must outlast the anger by its fall time and hold: left after {left}");
        assert_eq!(levels.last(), Some(&Low));
        assert!(levels[5..].windows(2).all(|pair| pair[1] <= pair[0]), "going down only: {levels:?}");
    }

    #[test]
    fn wobbling_between_the_thresholds_does_not_flap() {
        let mut anger = vec![0.95; 6];
        anger.extend((0..40).map(|i| if i % 2 == 0 { 0.60 } else { 0.72 }));
        assert!(levels(&anger)[6..].iter().all(|level| *level == High));
    }

    #[test]
    fn the_trend_is_a_slope_per_second() {
        let settings = ListenerSettings { rise_s: 1e-3, fall_s: 1e-3, ..ListenerSettings::default() };
        let mut timeline = Timeline::default();
        let mut last = 0.0;
        for i in 0..20 {
            let anger = 0.02 * i as f32;
            last = timeline.step(&settings, (i + 1) * 4_000, &START, anger).trend_per_s;
        }
        assert!((last - 0.04).abs() < 1e-3, "{last}");
    }

    #[test]
    fn below_medium_the_strongest_other_emotion_leads() {
        let settings = ListenerSettings::default();
        let mut timeline = Timeline::default();
        let mut emotion = Emotion::Neutral;
        for i in 0..10 {
            emotion = timeline.step(&settings, (i + 1) * 4_000, &[0.1, 0.1, 0.1, 0.7], 0.1).emotion;
        }
        assert_eq!(emotion, Emotion::Sadness);
    }

    /// `anger` is one judgement every 0.5 s.
    #[track_caller]
    fn check(anger: &[f32], expected: &[Level]) {
        assert_eq!(levels(anger), expected);
    }

    fn levels(anger: &[f32]) -> Vec<Level> {
        let settings = ListenerSettings::default();
        let mut timeline = Timeline::default();
        let judged = |(i, anger): (usize, &f32)| {
            timeline.step(&settings, (i as u64 + 1) * 4_000, &[1.0 - anger, *anger, 0.0, 0.0], *anger).level
        };
        anger.iter().enumerate().map(judged).collect()
    }
}
