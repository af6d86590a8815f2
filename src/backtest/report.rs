//! What `calmline policy test` prints: the effect of a version, how it differs from the one in force, and what is best.

use std::collections::BTreeMap;

use routing::backtest::{Effect, Interaction};
use routing::{Broken, Policy};
use serde_json::{Value, json};

use super::Tried;
use crate::cli::{Failure, print_line};

/// Interactions that are shown because they go otherwise than in force.
const DIFFERENCES_SHOWN: usize = 20;

/// Everything that there is to tell.
pub(super) struct Report<'a> {
    pub(super) policies: &'a [Policy],
    pub(super) interactions: &'a [Interaction],
    pub(super) ours: &'a Tried,
    /// The version in force; `None`: what was decided at the time.
    pub(super) theirs: Option<&'a Tried>,
}

impl Report<'_> {
    pub(super) fn print(&self, each: bool) -> Result<(), Failure> {
        if self.interactions.is_empty() {
            return Ok(());
        }
        let labels: Vec<String> = self.policies.iter().map(Policy::label).collect();
        print_line(format_args!("{} interactions through {}", self.interactions.len(), labels.join(", ")))?;
        print_effect("this version", &self.ours.effect)?;
        if let Some(theirs) = self.theirs {
            print_effect("in force", &theirs.effect)?;
            print_change(&theirs.effect, &self.ours.effect)?;
        }
        self.print_best()?;
        let differences = self.differences();
        if self.theirs.is_some() || self.interactions.iter().any(|interaction| interaction.recorded.is_some()) {
            print_line(format_args!("{} interactions go otherwise than in force", differences.len()))?;
        }
        let most = if each { usize::MAX } else { DIFFERENCES_SHOWN };
        for (name, before, after) in differences.iter().take(most) {
            print_line(format_args!("  {name}: {} instead of {}", named(after), named(before)))?;
        }
        if each {
            for (interaction, outcome) in self.interactions.iter().zip(&self.ours.outcomes) {
                let decided = outcome.played.decisions.iter();
                let decided = decided.map(|(at, decision)| format!("{:.1} s {}", at.as_secs_f64(), decision.rule));
                let decided = decided.collect::<Vec<_>>().join(", ");
                print_line(format_args!("  {}: {decided} ({})", interaction.name, outcome.best.as_str()))?;
            }
        }
        Ok(())
    }

    pub(super) fn print_json(&self, expects: usize, broken: &[Broken]) -> Result<(), Failure> {
        let parts: BTreeMap<String, Value> =
            self.parts().into_iter().map(|(part, effect)| (part, effect_json(&effect))).collect();
        let broken: Vec<Value> =
            broken.iter().map(|own| json!({ "policy": own.policy, "expect": own.expect, "why": own.why })).collect();
        let differences: Vec<Value> = self
            .differences()
            .into_iter()
            .map(|(name, before, after)| json!({ "interaction": name, "in_force": before, "this_version": after }))
            .collect();
        print_line(json!({
            "policies": self.policies.iter().map(Policy::label).collect::<Vec<_>>(),
            "this_version": effect_json(&self.ours.effect),
            "in_force": self.theirs.map(|theirs| effect_json(&theirs.effect)),
            "parts": parts,
            "differences": differences,
            "expects": { "count": expects, "broken": broken },
        }))
    }

    /// Labelled interactions: how often the best is done, by part, and what is done instead.
    fn print_best(&self) -> Result<(), Failure> {
        if self.ours.effect.labelled == 0 {
            return Ok(());
        }
        print_line(format_args!("  {:<28} {:>6} {:>10} {:>12}", "labelled", "count", "best done", "automatic"))?;
        for (part, effect) in self.parts() {
            let (accuracy, automation) = (effect.accuracy() * 100.0, effect.automation() * 100.0);
            print_line(format_args!("  {part:<28} {:>6} {accuracy:>8.1} % {automation:>10.1} %", effect.labelled))?;
        }
        let mut wrong: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        for (interaction, outcome) in self.interactions.iter().zip(&self.ours.outcomes) {
            if let Some(best) = interaction.best.filter(|best| *best != outcome.best) {
                let template = interaction.template.as_deref().unwrap_or(&interaction.name);
                *wrong.entry((template, outcome.best.as_str(), best.as_str())).or_default() += 1;
            }
        }
        for ((template, done, best), count) in wrong {
            print_line(format_args!("  {count} of {template}: {done} instead of {best}"))?;
        }
        Ok(())
    }

    /// The effect by scenario, by language, by whether the policies were made with it, and in all; labelled ones only.
    fn parts(&self) -> Vec<(String, Effect)> {
        let mut parts: BTreeMap<String, Effect> = BTreeMap::new();
        for (interaction, outcome) in self.interactions.iter().zip(&self.ours.outcomes) {
            if interaction.best.is_none() {
                continue;
            }
            let language = interaction.story.opening.language.map_or("unknown", routing::Language::as_str);
            let made = if interaction.held_out { "held out" } else { "known to the policies" };
            let scenario = format!("scenario {}", interaction.story.opening.scenario);
            for part in [scenario, format!("language {language}"), made.to_owned(), "all".to_owned()] {
                parts.entry(part).or_default().add(interaction, outcome);
            }
        }
        parts.into_iter().collect()
    }

    /// Interactions in which other rules fire than in force: their names, the rules before and after.
    fn differences(&self) -> Vec<(&str, Vec<&str>, Vec<&str>)> {
        let before = |at: usize| -> Option<Vec<&str>> {
            let recorded = self.interactions[at].recorded.as_ref();
            match self.theirs {
                Some(theirs) => Some(theirs.outcomes[at].rules()),
                None => recorded.map(|rules| rules.iter().map(String::as_str).collect()),
            }
        };
        let rules = self.ours.outcomes.iter().enumerate();
        let pairs = rules.filter_map(|(at, outcome)| Some((at, before(at)?, outcome.rules())));
        let others = pairs.filter(|(_, before, after)| before != after);
        others.map(|(at, before, after)| (self.interactions[at].name.as_str(), before, after)).collect()
    }
}

/// Prints whether policies do what is expected of them.
pub(super) fn print_expects(expects: usize, broken: &[Broken]) -> Result<(), Failure> {
    for Broken { policy, expect, why } in broken {
        print_line(format_args!("not met: {policy}: {expect}: {why}"))?;
    }
    print_line(format_args!("{} of {expects} expectations are met", expects - broken.len().min(expects)))
}

fn print_effect(version: &str, effect: &Effect) -> Result<(), Failure> {
    print_line(format_args!(
        "  {version}: {:.1} % moved to a person, {:.1} alerts per hour of talk, {:.0} agent minutes per 100 interactions, \
         {:.2} changes of service each",
        effect.moved_share() * 100.0,
        effect.alerts_per_hour(),
        effect.agent_minutes_per_hundred(),
        switches_each(effect)
    ))
}

/// What this version would change.
fn print_change(before: &Effect, after: &Effect) -> Result<(), Failure> {
    let by = |figure: fn(&Effect) -> f64| figure(after) - figure(before);
    print_line(format_args!(
        "  change: {:+.1} points moved to a person, {:+.1} alerts per hour of talk, {:+.0} agent minutes per 100 interactions, \
         {:+.2} changes of service each",
        by(Effect::moved_share) * 100.0,
        by(Effect::alerts_per_hour),
        by(Effect::agent_minutes_per_hundred),
        by(switches_each)
    ))
}

fn switches_each(effect: &Effect) -> f64 {
    effect.switches as f64 / effect.interactions.max(1) as f64
}

fn effect_json(effect: &Effect) -> Value {
    let labelled = (effect.labelled > 0).then(|| (effect.accuracy(), effect.automation()));
    json!({
        "interactions": effect.interactions,
        "talk_s": effect.talk.as_secs_f64(),
        "moved_share": effect.moved_share(),
        "alerts_per_hour": effect.alerts_per_hour(),
        "agent_minutes_per_100": effect.agent_minutes_per_hundred(),
        "switches": effect.switches,
        "labelled": effect.labelled,
        "accuracy": labelled.map(|(accuracy, _)| accuracy),
        "automation": labelled.map(|(_, automation)| automation),
    })
}

fn named(rules: &[&str]) -> String {
    if rules.is_empty() { "nothing".to_owned() } else { rules.join(", ") }
}
