//! Streams in which anger starts at a known moment, or never: how soon the level is high, and how often without reason.

use crate::features::SAMPLE_RATE_HZ;
use crate::observation::{Level, Observation};
use crate::tally::ratio;

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

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Emotion, Evidence, PartyId, Source};

    #[test]
    fn no_streams_have_figures() {
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
            expression: None,
        };
        let observations: Vec<Observation> = levels.iter().map(observation).collect();
        let mut tally = OnsetTally::default();
        tally.add(&observations, onset_s.map(samples), samples(3.5));
        let figures = tally.figures();
        assert_eq!([figures.onsets, figures.early, tally.false_highs], expected);
        assert_eq!(figures.high_at_all, delay_s.map_or(0.0, |_| 1.0));
        assert_eq!(figures.delay_median_s, delay_s.unwrap_or(0.0));
    }
}
