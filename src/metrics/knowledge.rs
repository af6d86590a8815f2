//! What customers ask of the library, as figures.

use super::Metrics;
use super::table::{Metric, counter, gauge};

/// What there is to know.
pub const KNOWLEDGE: Metric = gauge("calmline_knowledge_entries", &[], "Entries of the library of answers in force.");
/// Searches.
pub const ADVICE: Metric = counter(
    "calmline_knowledge_searches_total",
    &["outcome"],
    "Searches in the library: asked by the API; for words of customers suggested, the same as before, nothing, too_fast \
     (too many lately), passed_over (too many waited).",
);

impl Metrics {
    /// How many entries the library has.
    pub fn set_knowledge(&self, entries: usize) {
        self.gauge(&KNOWLEDGE, &[]).set(entries as f64);
    }

    /// What became of a search.
    pub fn count_advice(&self, outcome: &str) {
        self.count(&ADVICE, &[outcome], 1);
    }
}
