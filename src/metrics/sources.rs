//! Business data that is pulled, as figures.

use std::time::Duration;

use super::Metrics;
use super::table::{Metric, counter, gauge};
use crate::sources::Tally;

/// Pulls.
pub const PULLS: Metric = counter(
    "calmline_source_pulls_total",
    &["source", "outcome"],
    "Pulls of a source of business data: taken, failed (what was known stays).",
);
/// How old what is known is.
pub const SOURCE_AGE: Metric =
    gauge("calmline_source_age_seconds", &["source"], "Since the last good pull; NaN while there was none.");
/// Rows.
pub const SOURCE_ROWS: Metric = gauge(
    "calmline_source_rows",
    &["source", "outcome"],
    "Rows of the last good pull: taken (one for each person), empty, garbled, duplicate, beyond (too many people).",
);
/// How much is known.
pub const SOURCE_COMPLETENESS: Metric = gauge(
    "calmline_source_completeness_ratio",
    &["source", "fact"],
    "The share of people of a source of whom a fact is known, 0-1.",
);
/// How much is right.
pub const SOURCE_ACCURACY: Metric = gauge(
    "calmline_source_accuracy_ratio",
    &["source", "fact"],
    "The share of values of a source that can be taken: known codes, well-formed texts and numbers, 0-1.",
);

impl Metrics {
    /// What became of a pull: `taken` or `failed`.
    pub fn count_pull(&self, source: &str, outcome: &str) {
        self.count(&PULLS, &[source, outcome], 1);
    }

    /// How old what a source has brought is.
    pub fn set_source_age(&self, source: &str, age: Option<Duration>) {
        self.gauge(&SOURCE_AGE, &[source]).set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
    }

    /// What became of the rows of a good pull.
    pub fn set_source(&self, source: &str, tally: &Tally) {
        let Tally { rows: _, taken, empty, garbled, duplicate, beyond, facts } = tally;
        let outcomes =
            [("taken", taken), ("empty", empty), ("garbled", garbled), ("duplicate", duplicate), ("beyond", beyond)];
        for (outcome, count) in outcomes {
            self.gauge(&SOURCE_ROWS, &[source, outcome]).set(*count as f64);
        }
        for fact in facts.keys() {
            let known = |share: Option<f64>| share.unwrap_or(f64::NAN);
            self.gauge(&SOURCE_COMPLETENESS, &[source, fact]).set(known(tally.completeness(fact)));
            self.gauge(&SOURCE_ACCURACY, &[source, fact]).set(known(tally.accuracy(fact)));
        }
    }

    /// There is no such source any more: nothing is known of it, which no alarm is about.
    pub fn forget_source(&self, source: &str) {
        self.set_source_age(source, None);
    }
}
