//! What a call remembers of each rule: since when it holds, when it fired, and how far its ladder has been climbed; and of
//! the re-route that a rule has ordered.

use std::time::Duration;

use super::CALM_HOLDS;
use crate::policy::{Feeling, Policy, Repeat, Rule};
use crate::{Emotion, Level};

/// A rule or fallback: which policy, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) policy: usize,
    pub(super) at: usize,
}

/// One rule in one call.
#[derive(Debug)]
pub(super) struct RuleState {
    pub(super) place: Place,
    /// Since when emotion, level and score hold without a break.
    pub(super) held_since: Option<Duration>,
    /// It gave way to another rule and waits until its conditions end.
    pub(super) passed_over: bool,
    pub(super) fired_last: Option<Duration>,
    pub(super) climb: Option<Climb>,
}

/// How far a ladder has been climbed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Climb {
    /// The place of the next step.
    pub(super) next: usize,
    /// When the step before acted.
    pub(super) since: Duration,
    /// Since when the caller is heard calm.
    pub(super) calm_since: Option<Duration>,
}

/// The re-route of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reroute {
    /// None is under way.
    None,
    /// Ordered by the rule or fallback of this id in this policy.
    InFlight { policy: usize, by: String },
    /// The caller is with a human.
    Done,
}

impl RuleState {
    pub(super) fn new(place: Place) -> RuleState {
        RuleState { place, held_since: None, passed_over: false, fired_last: None, climb: None }
    }

    pub(super) fn rule<'p>(&self, policies: &'p [Policy]) -> &'p Rule {
        &policies[self.place.policy].rules[self.place.at]
    }

    pub(super) fn feeling<'p>(&self, policies: &'p [Policy]) -> Option<&'p Feeling> {
        self.rule(policies).when.feeling()
    }

    /// When the rule may fire after it has fired before; `None` when it may not.
    pub(super) fn earliest(&self, rule: &Rule) -> Option<Duration> {
        match (self.fired_last, rule.repeat) {
            (None, _) => Some(Duration::ZERO),
            (Some(_), Repeat::Once) => None,
            (Some(last), Repeat::Every(cooldown)) => Some(last.saturating_add(cooldown)),
        }
    }

    /// When the next step of the ladder is due, if it is climbed.
    pub(super) fn step_due(&self, rule: &Rule) -> Option<Duration> {
        let climb = self.climb.filter(|climb| climb.calm_since.is_none())?;
        rule.steps.get(climb.next).map(|step| climb.since.saturating_add(step.after))
    }

    /// Leaves the ladder when the caller has been heard calm for long enough.
    pub(super) fn hear(&mut self, now: Duration, rule: &Rule, (emotion, level): (Emotion, Level)) {
        let Some(climb) = &mut self.climb else { return };
        if rule.is_angry(emotion, level) {
            climb.calm_since = None;
        } else if now.saturating_sub(*climb.calm_since.get_or_insert(now)) >= CALM_HOLDS {
            self.climb = None;
        }
    }

    pub(super) fn end(&mut self) {
        self.held_since = None;
        self.passed_over = false;
    }
}

impl Reroute {
    /// Whether a rule that claims the caller's ear, or moves the call, has to wait.
    pub(super) fn stops(&self, claims: bool, moves: bool) -> bool {
        (claims && matches!(self, Reroute::InFlight { .. })) || (moves && *self == Reroute::Done)
    }
}

impl Rule {
    /// Whether a mood keeps the caller on the rule's ladder.
    pub(super) fn is_angry(&self, emotion: Emotion, level: Level) -> bool {
        emotion == Emotion::Anger && level >= self.calm_below
    }
}

impl Feeling {
    pub(super) fn fits(&self, emotion: Emotion, level: Level, score: f32) -> bool {
        self.emotion == emotion && level >= self.level && score >= self.score_at_least
    }
}
