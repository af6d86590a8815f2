//! What reports say of the judging itself: how good warnings were, how much is known, and whether scores have moved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CallFacts, Spread, share};

/// Early warnings, and what came after them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warnings {
    /// Calls in which a warning came.
    pub warned: u64,
    /// Those in which anger was high then, or later.
    pub right: u64,
    /// Calls with high anger in which none came before it.
    pub missed: u64,
    /// From the warning to high anger, milliseconds.
    pub lead: Spread,
}

impl Warnings {
    /// The share of warnings that were right, 0-1.
    pub fn precision(&self) -> Option<f64> {
        share(self.right, self.warned)
    }

    pub(super) fn add(&mut self, call: &CallFacts) {
        let is_high = call.level == "high";
        self.warned += u64::from(call.warned);
        self.right += u64::from(call.lead_ms.is_some());
        self.missed += u64::from(is_high && call.lead_ms.is_none());
        call.lead_ms.into_iter().for_each(|ms| self.lead.add(ms));
    }

    pub(super) fn merge(&mut self, other: &Warnings) {
        self.warned += other.warned;
        self.right += other.right;
        self.missed += other.missed;
        self.lead.merge(&other.lead);
    }
}

/// How much is known of calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completeness {
    /// Calls in which the caller was listened to, or read.
    pub judged: u64,
    /// In which words of the caller were heard or read.
    pub worded: u64,
    /// Which were cut off by the end of the program that told of them.
    pub torn: u64,
}

impl Completeness {
    pub(super) fn add(&mut self, call: &CallFacts) {
        self.judged += u64::from(call.anger_tenth.is_some());
        self.worded += u64::from(call.worded);
        self.torn += u64::from(call.torn);
    }

    pub(super) fn merge(&mut self, other: Completeness) {
        self.judged += other.judged;
        self.worded += other.worded;
        self.torn += other.torn;
    }
}

/// Calls by the caller's highest anger, in tenths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Scores(BTreeMap<u8, u64>);

/// What counts for a tenth that no call is in, so that nothing is divided by nothing.
const HALF_A_CALL: f64 = 0.5;

impl Scores {
    pub(super) fn add(&mut self, call: &CallFacts) {
        call.anger_tenth.into_iter().for_each(|tenth| *self.0.entry(tenth.min(9)).or_default() += 1);
    }

    pub(super) fn merge(&mut self, other: &Scores) {
        other.0.iter().for_each(|(tenth, count)| *self.0.entry(*tenth).or_default() += count);
    }

    /// How many calls there are.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// How far these are from others, as the population stability index: below 0.1 is little, above 0.25 is much. Nothing where
    /// either has fewer than `least` calls.
    pub fn drift(&self, others: &Scores, least: u64) -> Option<f64> {
        if self.count().min(others.count()) < least {
            return None;
        }
        let part = |scores: &Scores, tenth: u8| {
            let count = scores.0.get(&tenth).map_or(HALF_A_CALL, |count| *count as f64);
            count / scores.count() as f64
        };
        let term = |tenth| {
            let (own, other) = (part(self, tenth), part(others, tenth));
            (own - other) * (own / other).ln()
        };
        Some((0..10).map(term).sum())
    }
}

/// What is known of the minutes of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Minutes {
    /// Those that are over since the first one that was ever noted.
    pub known: u64,
    /// In which the server was up.
    pub up: u64,
    /// In which it took calls.
    pub ready: u64,
}

impl Minutes {
    pub(super) fn merge(&mut self, other: Minutes) {
        self.known += other.known;
        self.up += other.up;
        self.ready += other.ready;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_right_when_anger_comes_after_them() {
        let mut warnings = Warnings::default();
        for (warned, level, lead_ms) in [
            (true, "high", Some(4_000)),
            (true, "low", None),
            (false, "high", None),
            (true, "high", None),
            (false, "low", None),
        ] {
            warnings.add(&CallFacts { warned, level: level.to_owned(), lead_ms, ..CallFacts::default() });
        }
        assert_eq!(
            (warnings.warned, warnings.right, warnings.missed, warnings.precision()),
            (3, 1, 2, Some(1.0 / 3.0))
        );
    }

    #[test]
    fn drift_is_none_of_the_same_and_much_of_another() {
        let scores = |counts: [u64; 10]| Scores((0..).zip(counts).filter(|(_, count)| *count > 0).collect());
        let usual = scores([50, 20, 10, 8, 5, 3, 2, 1, 1, 0]);
        assert_eq!(usual.drift(&usual, 100), Some(0.0));
        let moved = scores([10, 10, 10, 10, 10, 10, 10, 10, 10, 10]).drift(&usual, 100).expect("enough calls");
        assert!(moved > 0.25, "{moved}");
        let near = scores([48, 22, 10, 8, 5, 3, 2, 1, 1, 0]).drift(&usual, 100).expect("enough calls");
        assert!(near < 0.1, "{near}");
        assert_eq!(usual.drift(&usual, 101), None, "too few to say");
    }
}
