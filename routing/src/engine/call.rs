//! What the engine remembers about one call, and how its rules fire.
//!
//! Does not know other calls. The policies that are passed in are always those that the call began with, so rules are
//! named by their places.

use std::time::Duration;

use super::{CONFIRM_WITHIN, KEYS_WITHIN, OBSERVATION_HOLDS};
use crate::policy::{Fallback, Feeling, KEYS_MAX, Policy, Repeat, Rule, Trigger};
use crate::{Action, Because, CallKey, Decision, Emotion, Level};

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// When the engine has promised to look again.
    pub(super) scheduled: Option<Duration>,
    /// The rules that are for this call, in the order in which they fire.
    rules: Vec<RuleState>,
    heard: Option<Heard>,
    /// The last keys, oldest first, at most [`KEYS_MAX`], and when the last one was pressed.
    keys: (String, Duration),
    reroute: Reroute,
    /// The fallbacks that have fired since the last re-route by a rule.
    fallbacks_spent: Vec<Place>,
}

/// A rule or fallback: which policy, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    policy: usize,
    at: usize,
}

#[derive(Debug)]
struct RuleState {
    place: Place,
    /// Since when emotion, level and score hold without a break.
    held_since: Option<Duration>,
    /// It gave way to another rule and waits until its conditions end.
    passed_over: bool,
    fired_last: Option<Duration>,
}

/// The last observation.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Duration,
    emotion: Emotion,
    level: Level,
    score: f32,
    trend_per_s: f32,
    /// Since when this emotion has been at this level or above, by level.
    since: [Option<Duration>; Level::ALL.len()],
}

#[derive(Debug, Clone, PartialEq)]
enum Reroute {
    None,
    /// Ordered by the rule or fallback of this id in this policy.
    InFlight {
        policy: usize,
        by: String,
    },
    Done,
}

impl Call {
    /// A call to which the rules of `scenario` apply.
    pub(super) fn new(scenario: &str, policies: &[Policy]) -> Call {
        let mut rules: Vec<(i32, RuleState)> = Vec::new();
        for (policy, text) in policies.iter().enumerate().filter(|(_, text)| text.covers(scenario)) {
            for (at, rule) in text.rules.iter().enumerate() {
                if rule.when.scenario.as_deref().is_none_or(|own| own == scenario) {
                    let place = Place { policy, at };
                    rules.push((
                        rule.priority,
                        RuleState { place, held_since: None, passed_over: false, fired_last: None },
                    ));
                }
            }
        }
        // A stable sort: equal priorities stay in the order of policies and files.
        rules.sort_by_key(|&(priority, _)| std::cmp::Reverse(priority));
        Call {
            scheduled: None,
            rules: rules.into_iter().map(|(_, state)| state).collect(),
            heard: None,
            keys: (String::with_capacity(KEYS_MAX + 1), Duration::ZERO),
            reroute: Reroute::None,
            fallbacks_spent: Vec::new(),
        }
    }

    /// Fires what has become due by `now` on the strength of the last observation, then forgets that observation if
    /// it is too old.
    pub(super) fn expire(&mut self, now: Duration, policies: &[Policy], key: CallKey, out: &mut Vec<Decision>) {
        let Some(heard) = self.heard else { return };
        let valid_until = heard.at.saturating_add(OBSERVATION_HOLDS);
        self.fire(now, now.min(valid_until).saturating_sub(CONFIRM_WITHIN), policies, key, out);
        if now > valid_until {
            self.heard = None;
            for state in &mut self.rules {
                state.end();
            }
        }
    }

    /// Takes in a new observation.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        (emotion, level, score, trend_per_s): (Emotion, Level, f32, f32),
        policies: &[Policy],
    ) {
        let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        let trend_per_s = if trend_per_s.is_finite() { trend_per_s } else { 0.0 };

        let before = self.heard.filter(|heard| heard.emotion == emotion).map_or([None; _], |heard| heard.since);
        let mut since = [None; Level::ALL.len()];
        for reached in Level::ALL.into_iter().filter(|&reached| reached <= level) {
            since[reached as usize] = before[reached as usize].or(Some(now));
        }
        self.heard = Some(Heard { at: now, emotion, level, score, trend_per_s, since });

        for state in &mut self.rules {
            let feeling = state.feeling(policies);
            if feeling.is_some_and(|feeling| feeling.fits(emotion, level, score)) {
                state.held_since.get_or_insert(now);
            } else {
                state.end();
            }
        }
    }

    /// Fires every rule that has held long enough by `due_by`.
    pub(super) fn fire(
        &mut self,
        now: Duration,
        due_by: Duration,
        policies: &[Policy],
        key: CallKey,
        out: &mut Vec<Decision>,
    ) {
        let Some(heard) = self.heard else { return };
        let mut claimed_now = false;

        for state in &mut self.rules {
            let rule = state.rule(policies);
            let Trigger::Feels(feeling) = &rule.when.trigger else { continue };
            let (claims, moves) = (claims(&rule.then), moves(&rule.then));
            if claims && claimed_now && state.held_since.is_some() {
                // Due or not yet: it must not follow on the heels of the rule that went first.
                state.passed_over = true;
            }
            if state.due(rule, feeling, &heard).is_none_or(|due| due > due_by) {
                continue;
            }
            if self.reroute.stops(claims, moves) {
                state.passed_over = true;
                continue;
            }
            claimed_now |= claims;
            let because = heard.because(now, feeling.level, None);
            out.push(state.decide(now, because, policies, key));
            if moves {
                self.reroute = Reroute::InFlight { policy: state.place.policy, by: rule.id.clone() };
                self.fallbacks_spent.clear();
            }
        }
    }

    /// Takes in a key, and fires every rule whose keys are complete with it.
    pub(super) fn press(
        &mut self,
        now: Duration,
        pressed: char,
        policies: &[Policy],
        key: CallKey,
        out: &mut Vec<Decision>,
    ) {
        let (keys, last) = &mut self.keys;
        if now.saturating_sub(*last) > KEYS_WITHIN {
            keys.clear();
        }
        *last = now;
        if keys.chars().count() == KEYS_MAX {
            keys.remove(0);
        }
        keys.push(pressed);

        let pressed = keys.clone();
        let fits = |trigger: &Trigger, because: &Because| match trigger {
            Trigger::Presses(sequence) if pressed.ends_with(sequence.as_str()) => {
                Some(Because { keys: Some(sequence.clone()), ..because.clone() })
            }
            _ => None,
        };
        if self.fire_at_once(now, fits, policies, key, out) {
            self.keys.0.clear();
        }
    }

    /// Takes in that the caller has interrupted the other side `times` by now, and fires the rules for that.
    pub(super) fn interrupt(
        &mut self,
        now: Duration,
        times: u32,
        policies: &[Policy],
        key: CallKey,
        out: &mut Vec<Decision>,
    ) {
        let fits = |trigger: &Trigger, because: &Because| match trigger {
            Trigger::Interrupts(least) if times >= *least => {
                Some(Because { interruptions: Some(times), ..because.clone() })
            }
            _ => None,
        };
        self.fire_at_once(now, fits, policies, key, out);
    }

    /// Takes in that the caller has said something of this meaning, and fires the rules for that.
    pub(super) fn say(
        &mut self,
        now: Duration,
        intent: &str,
        policies: &[Policy],
        key: CallKey,
        out: &mut Vec<Decision>,
    ) {
        let fits = |trigger: &Trigger, because: &Because| match trigger {
            Trigger::Says(intents) if intents.iter().any(|own| own == intent) => {
                Some(Because { said: Some(intent.to_owned()), ..because.clone() })
            }
            _ => None,
        };
        self.fire_at_once(now, fits, policies, key, out);
    }

    /// Fires every rule that `fits` gives a reason for, because of what is happening at this moment; whether one fired.
    fn fire_at_once(
        &mut self,
        now: Duration,
        fits: impl Fn(&Trigger, &Because) -> Option<Because>,
        policies: &[Policy],
        key: CallKey,
        out: &mut Vec<Decision>,
    ) -> bool {
        let heard = self.heard.unwrap_or(Heard::nothing(now));
        let because = heard.because(now, heard.level, None);
        let (mut claimed_now, mut fired) = (false, false);
        for state in &mut self.rules {
            let rule = state.rule(policies);
            let Some(because) = fits(&rule.when.trigger, &because) else { continue };
            if state.earliest(rule).is_none_or(|earliest| earliest > now) {
                continue;
            }
            let (claims, moves) = (claims(&rule.then), moves(&rule.then));
            if (claims && claimed_now) || self.reroute.stops(claims, moves) {
                continue;
            }
            claimed_now |= claims;
            fired = true;
            out.push(state.decide(now, because, policies, key));
            if moves {
                self.reroute = Reroute::InFlight { policy: state.place.policy, by: rule.id.clone() };
                self.fallbacks_spent.clear();
            }
        }
        fired
    }

    /// Runs the fallback of the policy that ordered the re-route; does nothing when none is under way.
    pub(super) fn reroute_failed(
        &mut self,
        now: Duration,
        reason: &str,
        policies: &[Policy],
        key: CallKey,
        out: &mut Vec<Decision>,
    ) {
        let Reroute::InFlight { policy, by } = self.reroute.clone() else { return };
        self.reroute = Reroute::None;
        let text = &policies[policy];
        let applies = |(at, fallback): &(usize, &Fallback)| {
            let fits = fallback.after.as_deref().is_none_or(|after| after == by);
            fits && !self.fallbacks_spent.contains(&Place { policy, at: *at })
        };
        let Some((at, fallback)) = text.fallbacks.iter().enumerate().find(applies) else { return };

        self.fallbacks_spent.push(Place { policy, at });
        if moves(&fallback.then) {
            self.reroute = Reroute::InFlight { policy, by: fallback.id.clone() };
        }
        let heard = self.heard.unwrap_or(Heard::nothing(now));
        out.push(Decision {
            call: key,
            rule: fallback.id.clone(),
            policy: text.label(),
            because: heard.because(now, heard.level, Some(reason.to_owned())),
            actions: fallback.then.clone(),
        });
    }

    /// The caller is with a human.
    pub(super) fn rerouted(&mut self) {
        self.reroute = Reroute::Done;
    }

    /// When the next rule becomes due by time alone.
    pub(super) fn next_due(&self, policies: &[Policy]) -> Option<Duration> {
        let heard = self.heard?;
        let valid_until = heard.at.saturating_add(OBSERVATION_HOLDS);
        let due = |state: &RuleState| state.due(state.rule(policies), state.feeling(policies)?, &heard);
        self.rules
            .iter()
            .filter_map(due)
            .map(|due| due.saturating_add(CONFIRM_WITHIN))
            .min()
            .filter(|&due| due <= valid_until)
    }
}

impl RuleState {
    fn rule<'p>(&self, policies: &'p [Policy]) -> &'p Rule {
        &policies[self.place.policy].rules[self.place.at]
    }

    fn feeling<'p>(&self, policies: &'p [Policy]) -> Option<&'p Feeling> {
        match &self.rule(policies).when.trigger {
            Trigger::Feels(feeling) => Some(feeling),
            Trigger::Presses(_) | Trigger::Interrupts(_) | Trigger::Says(_) => None,
        }
    }

    /// When the rule may fire, as things stand; `None` when it may not.
    fn due(&self, rule: &Rule, feeling: &Feeling, heard: &Heard) -> Option<Duration> {
        if self.passed_over || feeling.trend_at_least.is_some_and(|least| heard.trend_per_s < least) {
            return None;
        }
        let lasted = self.held_since?.saturating_add(feeling.lasted);
        self.earliest(rule).map(|earliest| lasted.max(earliest))
    }

    /// When the rule may fire after it has fired before; `None` when it may not.
    fn earliest(&self, rule: &Rule) -> Option<Duration> {
        match (self.fired_last, rule.repeat) {
            (None, _) => Some(Duration::ZERO),
            (Some(_), Repeat::Once) => None,
            (Some(last), Repeat::Every(cooldown)) => Some(last.saturating_add(cooldown)),
        }
    }

    /// The rule fires.
    fn decide(&mut self, now: Duration, because: Because, policies: &[Policy], call: CallKey) -> Decision {
        self.fired_last = Some(now);
        let rule = self.rule(policies);
        let policy = policies[self.place.policy].label();
        Decision { call, rule: rule.id.clone(), policy, because, actions: rule.then.clone() }
    }

    fn end(&mut self) {
        self.held_since = None;
        self.passed_over = false;
    }
}

impl Reroute {
    /// Whether a rule that claims the caller's ear, or moves the call, has to wait.
    fn stops(&self, claims: bool, moves: bool) -> bool {
        (claims && matches!(self, Reroute::InFlight { .. })) || (moves && *self == Reroute::Done)
    }
}

impl Feeling {
    fn fits(&self, emotion: Emotion, level: Level, score: f32) -> bool {
        self.emotion == emotion && level >= self.level && score >= self.score_at_least
    }
}

impl Heard {
    /// Stands in while nothing has been heard, or not lately.
    fn nothing(now: Duration) -> Heard {
        Heard {
            at: now,
            emotion: Emotion::Neutral,
            level: Level::Low,
            score: 0.0,
            trend_per_s: 0.0,
            since: [None; Level::ALL.len()],
        }
    }

    fn because(&self, now: Duration, level: Level, failure: Option<String>) -> Because {
        let since = self.since[level as usize].unwrap_or(now);
        Because {
            emotion: self.emotion,
            level: self.level,
            score: self.score,
            trend_per_s: self.trend_per_s,
            lasted: now.saturating_sub(since),
            failure,
            keys: None,
            interruptions: None,
            said: None,
        }
    }
}

fn claims(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Prompt { .. } | Action::Say { .. } | Action::Reroute { .. }))
}

fn moves(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Reroute { .. }))
}
