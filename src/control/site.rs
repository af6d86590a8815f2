//! Whether the calls of a scenario have turned sour, or better: looked at whenever one of them ends.
//!
//! In memory only, for a bounded number of scenarios; what happens in one call is `facts`' and the policy engine's.

use std::collections::BTreeMap;

use routing::warning::site::{Change, Queue};

use super::call::Call;
use super::context::Context;
use crate::notice::{Notice, What};

/// The calls of every scenario, as they end.
#[derive(Debug, Default)]
pub(super) struct Site {
    queues: BTreeMap<String, Queue>,
}

impl Site {
    fn note(&mut self, scenario: &str, peak_anger: f32) -> Option<Change> {
        if !self.queues.contains_key(scenario) && self.queues.len() >= SCENARIOS_MAX {
            return None;
        }
        self.queues.entry(scenario.to_owned()).or_default().note(f64::from(peak_anger), LEAST)
    }
}

impl Call {
    /// The call has ended: whoever watches is told when its scenario has turned.
    pub(super) fn note_for_site(&self, context: &mut Context<'_>) {
        // Only calls that were answered are followed, and only those of whom anything was heard count.
        let Some(scenario) = context.shared.engine.scenario(self.key).map(str::to_owned) else { return };
        if self.tally.peak_anger <= 0.0 {
            return;
        }
        if let Some(change) = context.shared.site.note(&scenario, self.tally.peak_anger) {
            let what = What::ScenarioTurned {
                scenario,
                before: change.before as f32,
                after: change.after as f32,
                chance: change.chance as f32,
            };
            context.out.push(super::Command::Notice(Notice { call: String::new(), call_ms: 0, what }));
        }
    }
}

/// The most scenarios that are watched.
const SCENARIOS_MAX: usize = 100;
/// How far the medians of the calls' highest anger must be apart to be worth a word.
const LEAST: f64 = 0.1;
