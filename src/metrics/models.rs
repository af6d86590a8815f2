//! The models in use, as figures; the metrics stand in the table of all.

use super::Metrics;
use super::table::{Metric, counter};
use crate::shell::listen::ModelRuns;

/// Models that fail.
pub const MODEL_FAILURES: Metric = counter(
    "calmline_model_failures_total",
    &["model"],
    "Runs of a model in use that failed or refused a part, which was judged without it, by model: acoustic, text.",
);

impl Metrics {
    /// How the runs of the models in use go: of the one that judges voices, and of the one that reads words.
    pub fn set_model_runs(&self, models: [ModelRuns; 2]) {
        for (model, runs) in ["acoustic", "text"].into_iter().zip(models) {
            self.counter(&MODEL_FAILURES, &[model]).absolute(runs.failures);
        }
    }
}
