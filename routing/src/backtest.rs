//! Recorded or made-up interactions through policies: what they would have done, and what that would mean.
//!
//! Simulated time; a re-route is answered after a while that the caller of these functions chooses. Nobody knows how a caller
//! would have gone on after a decision that was never made: the recorded mood is taken as it was.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::File;
use crate::policy::expect::read_call;
use crate::section::{Section, number, parse_table, text};
use crate::story::{Played, Story, play};
use crate::warning::Watch;
use crate::{Action, CONFIRM_WITHIN, Fault, Level, Policy, Purpose};

/// Interactions of one set.
pub const INTERACTIONS_MAX: usize = 10_000;

/// One interaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    /// Its name, or the call's id.
    pub name: String,
    /// How it went.
    pub story: Story,
    /// How long it lasted.
    pub lasted: Duration,
    /// What would have been best, where somebody has said so.
    pub best: Option<Best>,
    /// When it escalated, where somebody has said so: `None` in `Some` when it never did.
    pub escalates: Option<Option<Duration>>,
    /// Which part of a recipe it was made by, e.g. `returns-angry`.
    pub template: Option<String>,
    /// The policies were made without looking at it.
    pub held_out: bool,
    /// The rules that fired at the time, where that was recorded.
    pub recorded: Option<Vec<String>>,
}

/// What is best to do in an interaction: at most this, and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Best(pub Option<Purpose>);

impl Best {
    /// The word that sets use.
    pub fn as_str(self) -> &'static str {
        self.0.map_or("none", Purpose::as_str)
    }

    fn named(word: &str) -> Option<Best> {
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word).map(Some);
        purpose.or((word == "none").then_some(None)).map(Best)
    }
}

/// Reads a set of interactions, TOML: `[[interaction]]` with the events of an `[[expect]]`.
///
/// # Errors
/// Every fault in it.
pub fn read_set(set: &str) -> Result<Vec<Interaction>, Vec<Fault>> {
    let table = parse_table(set).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let mut root = Section::root(&table, &mut faults);
    root.read("about", "1-500 characters: where the set comes from", text(500));
    let mut interactions = Vec::new();
    root.each("interaction", |section| interactions.extend(read_interaction(section)));
    if interactions.len() > INTERACTIONS_MAX {
        root.fault("interaction", format!("{} of them", interactions.len()), format!("at most {INTERACTIONS_MAX}"));
    }
    root.finish();
    if faults.is_empty() { Ok(interactions) } else { Err(faults) }
}

fn read_interaction(section: &mut Section<'_>) -> Option<Interaction> {
    let (name, story) = read_call(section, &File::default());
    let words: Vec<&str> = Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
    let expected = format!("none or one of {}", words.join(", "));
    let best = section.read("best", expected, |value| Best::named(value.as_str()?));
    let escalates =
        section.read("escalates_at_s", "seconds since the answer, or false", |value| match value.as_bool() {
            Some(false) => Some(None),
            _ => number(0.0..=86_400.0)(value).map(|at| Some(Duration::from_secs_f64(at))),
        });
    let template = section.read("template", "1-64 characters", text(64));
    let held_out = section.read("held_out", "true or false", toml::Value::as_bool).unwrap_or(false);
    let lasted = story.events.last().map_or(Duration::ZERO, |(at, _)| *at);
    Some(Interaction { name: name?, story, lasted, best, escalates, template, held_out, recorded: None })
}

/// What policies make of one interaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What they decide.
    pub played: Played,
    /// The strongest purpose of that.
    pub best: Best,
    /// When the caller is with a person.
    pub moved: Option<Duration>,
}

impl Outcome {
    /// The rules that fire, in order.
    pub fn rules(&self) -> Vec<&str> {
        self.played.decisions.iter().map(|(_, decision)| decision.rule.as_str()).collect()
    }
}

/// Plays an interaction; every re-route is answered after `answer`.
pub fn replay(policies: &Arc<[Policy]>, interaction: &Interaction, answer: Duration) -> Outcome {
    let mut played = play(policies, &interaction.story, Some(answer));
    // The interaction is over: what a story's epilogue would still lead to does not happen.
    played.decisions.retain(|(at, _)| *at <= interaction.lasted.saturating_add(CONFIRM_WITHIN));
    let purposes = played.decisions.iter().filter_map(|(_, decision)| {
        policies.iter().find(|policy| policy.label() == decision.policy).and_then(|policy| policy.purpose_of(decision))
    });
    let best = Best(purposes.max());
    let moves = |action: &Action| matches!(action, Action::Reroute { .. });
    let moved = played.decisions.iter().find(|(_, decision)| decision.actions.iter().any(moves));
    let moved = moved.map(|(at, _)| at.saturating_add(answer));
    Outcome { played, best, moved }
}

/// What policies would have meant for many interactions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effect {
    /// How many there were.
    pub interactions: usize,
    /// How long they lasted, all together.
    pub talk: Duration,
    /// How many callers would have been moved to a person.
    pub moved: usize,
    /// How many alerts there would have been.
    pub alerts: usize,
    /// How often the service would have changed.
    pub switches: usize,
    /// How long persons would have talked to those callers, as long as the interactions lasted.
    pub agents: Duration,
    /// Interactions of which somebody has said what is best.
    pub labelled: usize,
    /// Those of them in which just that would have been done.
    pub right: usize,
    /// Those of them in which nothing was left to a person to decide: no more than told would be an alert.
    pub automated: usize,
}

impl Effect {
    /// Adds one.
    pub fn add(&mut self, interaction: &Interaction, outcome: &Outcome) {
        let count = |kind: fn(&Action) -> bool| {
            let actions = outcome.played.decisions.iter().flat_map(|(_, decision)| &decision.actions);
            actions.filter(|action| kind(action)).count()
        };
        self.interactions += 1;
        self.talk += interaction.lasted;
        self.moved += usize::from(outcome.moved.is_some());
        self.alerts += count(|action| matches!(action, Action::Alert { .. }));
        self.switches += count(|action| matches!(action, Action::Serve(_)));
        self.agents += outcome.moved.map_or(Duration::ZERO, |moved| interaction.lasted.saturating_sub(moved));
        if let Some(best) = interaction.best {
            self.labelled += 1;
            self.right += usize::from(best == outcome.best);
            self.automated += usize::from(outcome.best != Best(Some(Purpose::Alert)));
        }
    }

    /// The share of callers who are moved, 0-1.
    pub fn moved_share(&self) -> f64 {
        share(self.moved, self.interactions)
    }

    /// Alerts per hour of talk.
    pub fn alerts_per_hour(&self) -> f64 {
        self.alerts as f64 / (self.talk.as_secs_f64() / 3_600.0).max(f64::MIN_POSITIVE)
    }

    /// Minutes of persons' work per hundred interactions.
    pub fn agent_minutes_per_hundred(&self) -> f64 {
        self.agents.as_secs_f64() / 60.0 / self.interactions.max(1) as f64 * 100.0
    }

    /// The share of labelled interactions in which just the best is done, 0-1.
    pub fn accuracy(&self) -> f64 {
        share(self.right, self.labelled)
    }

    /// The share of labelled interactions in which nothing is left to a person to decide, 0-1.
    pub fn automation(&self) -> f64 {
        share(self.automated, self.labelled)
    }
}

/// How well warnings foretell escalations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Foretold {
    /// Interactions that escalate and were warned of before.
    pub warned: usize,
    /// Those that escalate without a warning before.
    pub missed: usize,
    /// Those that do not escalate and were warned of.
    pub in_vain: usize,
    /// Those that do not escalate and were not.
    pub left_alone: usize,
    /// How long before the escalation each first warning came.
    pub leads: Vec<Duration>,
}

impl Foretold {
    /// Watches an interaction that somebody has labelled; warns from `warn_at` on.
    pub fn add(&mut self, interaction: &Interaction, warn_at: f32) {
        let Some(escalates) = interaction.escalates else { return };
        let mut watch = Watch::new(warn_at);
        let first = interaction.story.events.iter().find_map(|(at, event)| watch.take(*at, event).map(|_| *at));
        match (escalates, first) {
            (Some(escalation), Some(warning)) if warning < escalation => {
                self.warned += 1;
                self.leads.push(escalation - warning);
            }
            (Some(_), _) => self.missed += 1,
            (None, Some(_)) => self.in_vain += 1,
            (None, None) => self.left_alone += 1,
        }
    }

    /// Of the warned ones, the share that escalates, 0-1.
    pub fn precision(&self) -> f64 {
        share(self.warned, self.warned + self.in_vain)
    }

    /// Of those that escalate, the share that was warned of before, 0-1.
    pub fn recall(&self) -> f64 {
        share(self.warned, self.warned + self.missed)
    }

    /// The median of the leads.
    pub fn median_lead(&self) -> Option<Duration> {
        let mut leads = self.leads.clone();
        leads.sort_unstable();
        leads.get(leads.len() / 2).copied()
    }
}

/// Whether an interaction reached a high level of anger: for records, which nobody has labelled.
pub fn escalated_at(story: &Story) -> Option<Duration> {
    let high = |event: &crate::Event| matches!(event, crate::Event::Emotion { level: Level::High, .. });
    story.events.iter().find(|(_, event)| high(event)).map(|(at, _)| *at)
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}
