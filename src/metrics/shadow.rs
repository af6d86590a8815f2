//! A candidate model beside those in use, as figures; the metrics stand in the table of all.

use nlu::ShadowFigures;

use super::Metrics;
use super::table::{Metric, gauge};
use crate::shell::listen::ShadowReport;

/// How far a candidate differs.
pub const SHADOW_DIFFERENCE: Metric = gauge(
    "calmline_shadow_difference_ratio",
    &["what"],
    "Shares of steps whose level or emotion a candidate model judged otherwise, and the mean difference of anger; 0-1.",
);
/// What a candidate has judged.
pub const SHADOW_STEPS: Metric = gauge(
    "calmline_shadow_steps",
    &["outcome"],
    "Steps that the candidate model has judged (compared) or had no time for (shed), and its runs that failed.",
);
/// What a candidate costs.
pub const SHADOW_CPU: Metric =
    gauge("calmline_shadow_cpu_seconds", &[], "Processor time of the candidate model since it was taken up.");

impl Metrics {
    /// How far a candidate model differs; zeros without one.
    pub fn set_shadow(&self, report: &ShadowReport) {
        let whats = ["level", "emotion", "anger"].into_iter().zip(report.differences());
        whats.for_each(|(what, difference)| self.gauge(&SHADOW_DIFFERENCE, &[what]).set(difference));
        let ShadowFigures { compared, shed, failures, .. } = report.figures;
        let steps = [("compared", compared), ("shed", shed), ("failed", failures)];
        steps.into_iter().for_each(|(outcome, count)| self.gauge(&SHADOW_STEPS, &[outcome]).set(count as f64));
        self.gauge(&SHADOW_CPU, &[]).set(report.cpu.as_secs_f64());
    }
}
