//! How callers are served and how calls turn, as figures: services, warnings, compliance, scenarios and other groups of calls.

use super::Metrics;
use super::table::{Metric, SCENARIO_TURNS, SERVICE_SWITCHES, WARNINGS, counter};
use crate::notice::What;

/// Compliance.
pub const BREACHES: Metric = counter(
    "calmline_compliance_breaches_total",
    &["rule", "duty"],
    "Compliance rules that whoever serves has broken, by rule and duty: never_say, must_say.",
);
/// Groups that turn.
pub const GROUP_TURNS: Metric = counter(
    "calmline_group_turns_total",
    &["by", "way"],
    "Times that the calls of a target, or of those that share a fact, have turned sour or better, by what they share.",
);

impl Metrics {
    pub(super) fn observe_mood(&self, what: &What) {
        match what {
            What::ServiceSwitched { after, .. } => {
                let after = after.as_ref().map_or("usual", |after| &after.service);
                self.count(&SERVICE_SWITCHES, &[after], 1);
            }
            What::ScenarioTurned(turn) => {
                self.count(&SCENARIO_TURNS, &[&turn.scenario, way(turn.before, turn.after)], 1);
            }
            What::GroupTurned(turn) => self.count(&GROUP_TURNS, &[&turn.by, way(turn.before, turn.after)], 1),
            What::ComplianceBreached(breach) => self.count(&BREACHES, &[&breach.rule, &breach.duty], 1),
            What::EscalationLikely { .. } => self.count(&WARNINGS, &[], 1),
            _ => {}
        }
    }
}

fn way(before: f32, after: f32) -> &'static str {
    if after > before { "sour" } else { "better" }
}
