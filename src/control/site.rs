//! Whether calls have turned sour, or better: those of a scenario, of a queue (the target that callers are with), of a product
//! or a region (what a fact says by which calls are compared). Looked at whenever one of them ends.
//!
//! In memory only, for a bounded number of groups; what happens in one call is `facts`' and the policy engine's.

use std::collections::BTreeMap;

use routing::warning::site::{Change, Queue};

use super::call::Call;
use super::context::Context;
use crate::notice::{GroupTurn, Notice, ScenarioTurn, What};

/// The calls of every group, as they end.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// By what they have in common, and what that is.
    groups: BTreeMap<(String, String), Queue>,
}

impl Site {
    fn note(&mut self, by: &str, group: &str, peak_anger: f32) -> Option<Change> {
        let key = (by.to_owned(), group.to_owned());
        if !self.groups.contains_key(&key) && self.groups.len() >= GROUPS_MAX {
            return None;
        }
        self.groups.entry(key).or_default().note(f64::from(peak_anger), LEAST)
    }
}

impl Call {
    /// The call is over: whoever watches is told when a group of calls that it belongs to has turned.
    pub(super) fn note_for_site(&self, context: &mut Context<'_>) {
        // Only calls that were answered are followed, and only those of whom anything was heard count.
        let Some(scenario) = context.shared.engine.scenario(self.key).map(str::to_owned) else { return };
        let peak = self.tally.peak_anger;
        if peak <= 0.0 {
            return;
        }
        let target = self.far.as_ref().map(|far| &far.name).filter(|name| !name.is_empty() && self.chat().is_none());
        let target = target.map(|name| (TARGET, name));
        let facts = self.learned.compared.iter().map(|(fact, value)| (fact.as_str(), value));
        let own = std::iter::once((SCENARIO, &scenario)).chain(target).chain(facts);
        for (by, group) in own {
            let Some(Change { before, after, chance, .. }) = context.shared.site.note(by, group, peak) else {
                continue;
            };
            let (before, after, chance) = (before as f32, after as f32, chance as f32);
            let what = if by == SCENARIO {
                What::ScenarioTurned(ScenarioTurn { scenario: group.clone(), before, after, chance })
            } else {
                let (by, group) = (by.to_owned(), group.clone());
                What::GroupTurned(GroupTurn { by, group, before, after, chance })
            };
            context.out.push(super::Command::Notice(Notice { call: String::new(), call_ms: 0, what }));
        }
    }
}

const SCENARIO: &str = "scenario";
const TARGET: &str = "target";
/// The most groups that are watched; those that come later are not.
const GROUPS_MAX: usize = 1_000;
/// How far the medians of the calls' highest anger must be apart to be worth a word.
const LEAST: f64 = 0.1;
