//! What the engine remembers about one call, and how its rules fire.
//!
//! Does not know other calls. The policies that are passed in are always those that the call began with, so rules are
//! named by their places.

use std::time::Duration;

use super::known::Known;
use super::rule::{Climb, Place, Reroute, RuleState};
use super::serving::Serving;
use super::{CONFIRM_WITHIN, KEYS_WITHIN, OBSERVATION_HOLDS};
use crate::decision::THANKS;
use crate::policy::{Fallback, KEYS_MAX, Policy, Rule, Trigger, step_id};
use crate::{Action, Because, CallKey, Decision, Emotion, Fact, Language, Level, LocalTime, Opening, Texts};

/// One moment of one call: the time, whose call it is, and where decisions go.
pub(super) struct Scene<'a> {
    pub(super) now: Duration,
    pub(super) local: Option<LocalTime>,
    pub(super) policies: &'a [Policy],
    pub(super) call: CallKey,
    pub(super) out: &'a mut Vec<Decision>,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// When the engine has promised to look again.
    pub(super) scheduled: Option<Duration>,
    scenario: String,
    /// How long an emotion is taken to last after its last observation.
    emotion_holds: Duration,
    /// The rules that are for this call, in the order in which they fire.
    rules: Vec<RuleState>,
    heard: Option<Heard>,
    known: Known,
    /// The last keys, oldest first, at most [`KEYS_MAX`], and when the last one was pressed.
    keys: (String, Duration),
    reroute: Reroute,
    /// The fallbacks that have fired since the last re-route by a rule.
    fallbacks_spent: Vec<Place>,
    /// What each policy has done by now, and the call's group in its comparison, in words.
    shares: Vec<Share>,
    serving: Option<Serving>,
}

/// What one policy has to do with a call.
#[derive(Debug, Default)]
struct Share {
    actions: usize,
    group: Option<String>,
}

/// The last observation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    at: Duration,
    pub(super) emotion: Emotion,
    pub(super) level: Level,
    score: f32,
    trend_per_s: f32,
    /// Since when this emotion has been at this level or above, by level.
    since: [Option<Duration>; Level::ALL.len()],
}

impl Call {
    /// A call to which the rules of its scenario and its group apply.
    pub(super) fn new(now: Duration, opening: &Opening, policies: &[Policy]) -> Call {
        let scenario = opening.scenario.as_str();
        let mut rules: Vec<(i32, RuleState)> = Vec::new();
        let mut shares = Vec::with_capacity(policies.len());
        for (policy, text) in policies.iter().enumerate() {
            let split = text.split.as_ref();
            let group = split.map(|split| split.group(opening.caller.as_deref(), &opening.id));
            let in_words = split.zip(group).map(|(split, group)| split.in_words(group));
            shares.push(Share { actions: 0, group: in_words });
            let covered = text.rules.iter().enumerate().filter(|_| text.covers(scenario));
            for (at, rule) in covered {
                let in_scenario = rule.when.scenario.as_deref().is_none_or(|own| own == scenario);
                if in_scenario && rule.group.is_none_or(|own| group == Some(own)) {
                    rules.push((rule.priority, RuleState::new(Place { policy, at })));
                }
            }
        }
        // A stable sort: equal priorities stay in the order of policies and files.
        rules.sort_by_key(|&(priority, _)| std::cmp::Reverse(priority));
        Call {
            scheduled: None,
            scenario: scenario.to_owned(),
            emotion_holds: opening.emotion_holds.unwrap_or(OBSERVATION_HOLDS),
            rules: rules.into_iter().map(|(_, state)| state).collect(),
            heard: None,
            known: Known::new(now, opening),
            keys: (String::with_capacity(KEYS_MAX + 1), Duration::ZERO),
            reroute: Reroute::None,
            fallbacks_spent: Vec::new(),
            shares,
            serving: Serving::new(scenario, policies),
        }
    }

    /// Fires what has become due by now on the strength of the last observation, then forgets that observation if it is
    /// too old.
    pub(super) fn expire(&mut self, scene: &mut Scene<'_>) {
        let valid_until = self.valid_until();
        self.fire(
            scene,
            valid_until.min(scene.now).saturating_sub(CONFIRM_WITHIN),
            scene.now.saturating_sub(CONFIRM_WITHIN),
        );
        if self.heard.is_some() && scene.now > valid_until {
            self.heard = None;
            self.serving.iter_mut().for_each(Serving::hear_nothing);
            for state in &mut self.rules {
                if state.feeling(scene.policies).is_some() {
                    state.end();
                }
            }
        }
    }

    /// Takes in a new observation, and fires what is due with it.
    pub(super) fn observe(&mut self, scene: &mut Scene<'_>, mood: (Emotion, Level), score: f32, trend_per_s: f32) {
        let (now, (emotion, level)) = (scene.now, mood);
        let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        let trend_per_s = if trend_per_s.is_finite() { trend_per_s } else { 0.0 };

        let before = self.heard.filter(|heard| heard.emotion == emotion).map_or([None; _], |heard| heard.since);
        let mut since = [None; Level::ALL.len()];
        for reached in Level::ALL.into_iter().filter(|&reached| reached <= level) {
            since[reached as usize] = before[reached as usize].or(Some(now));
        }
        self.heard = Some(Heard { at: now, emotion, level, score, trend_per_s, since });
        self.spoke(scene);

        for state in &mut self.rules {
            let rule = state.rule(scene.policies);
            state.hear(now, rule, mood);
            let Trigger::Feels(feeling) = &rule.when.trigger else { continue };
            if feeling.fits(emotion, level, score) {
                state.held_since.get_or_insert(now);
            } else {
                state.end();
            }
        }
        self.serve(scene);
        self.fire(scene, now, now.saturating_sub(CONFIRM_WITHIN));
    }

    /// Somebody was heard: a silence has ended.
    pub(super) fn spoke(&mut self, scene: &Scene<'_>) {
        self.known.heard_last = self.known.heard_last.max(scene.now);
        self.end_of(scene.policies, |trigger| matches!(trigger, Trigger::Silent(_)));
    }

    /// Takes in a key, and fires every rule whose keys are complete with it.
    pub(super) fn press(&mut self, scene: &mut Scene<'_>, pressed: char) {
        let (keys, last) = &mut self.keys;
        if scene.now.saturating_sub(*last) > KEYS_WITHIN {
            keys.clear();
        }
        *last = scene.now;
        if keys.chars().count() == KEYS_MAX {
            keys.remove(0);
        }
        keys.push(pressed);

        let pressed = keys.clone();
        let fired = self.fire_at_once(scene, |trigger, because| match trigger {
            Trigger::Presses(sequence) if pressed.ends_with(sequence.as_str()) => {
                because.keys = Some(sequence.clone());
                true
            }
            _ => false,
        });
        if fired {
            self.keys.0.clear();
        }
    }

    /// Takes in that the caller has interrupted the other side `times` by now, and fires the rules for that.
    pub(super) fn interrupt(&mut self, scene: &mut Scene<'_>, times: u32) {
        self.known.interruptions = times;
        self.fire_at_once(scene, |trigger, because| {
            because.interruptions = Some(times);
            matches!(trigger, Trigger::Interrupts(least) if times >= *least)
        });
    }

    /// Takes in that the caller has said something of this meaning, and fires the rules for that.
    pub(super) fn say(&mut self, scene: &mut Scene<'_>, intent: &str) {
        let said_times = self.known.note_said(intent);
        self.spoke(scene);
        self.fire_at_once(scene, |trigger, because| {
            because.said = Some(intent.to_owned());
            match trigger {
                Trigger::Says(intents) => intents.iter().any(|own| own == intent),
                Trigger::Repeats { times, of } => {
                    because.facts.push(format!("said {said_times} times"));
                    let counts = if of.is_empty() { intent != THANKS } else { of.iter().any(|own| own == intent) };
                    said_times >= *times && counts
                }
                _ => false,
            }
        });
    }

    /// Takes in the categories of the caller's last words, and fires the rules for them.
    pub(super) fn use_words(&mut self, scene: &mut Scene<'_>, categories: &[String]) {
        self.known.note_words(scene.now, categories);
        self.fire_at_once(scene, |trigger, because| {
            let Trigger::Words(own) = trigger else { return false };
            let used = own.iter().find(|category| categories.contains(category));
            because.said = used.cloned();
            used.is_some()
        });
        self.serve(scene);
    }

    /// Takes in that whoever serves has broken a compliance rule, and fires the rules for that.
    pub(super) fn breach(&mut self, scene: &mut Scene<'_>, broken: &str) {
        self.known.note_breach(broken);
        self.fire_at_once(scene, |trigger, because| {
            because.facts.push(format!("breach {broken}"));
            matches!(trigger, Trigger::Breached(breaches) if breaches.iter().any(|own| own == broken))
        });
    }

    /// Takes in that the call is likely to escalate, and fires the rules for that.
    pub(super) fn warn(&mut self, scene: &mut Scene<'_>, score: f32, evidence: &[String]) {
        self.fire_at_once(scene, |trigger, because| {
            because.facts.push(format!("escalation {:.0} %", score * 100.0));
            because.facts.extend_from_slice(evidence);
            matches!(trigger, Trigger::Warned)
        });
    }

    /// Takes in how good the caller's audio is; rules that are due may fire for it.
    pub(super) fn note_quality(&mut self, scene: &mut Scene<'_>, mos: Option<f32>, loss: Option<f32>) {
        self.known.note_quality(mos, loss);
        self.expire(scene);
    }

    /// Takes in a fact; rules that are due may fire for it.
    pub(super) fn note_fact(&mut self, scene: &mut Scene<'_>, name: &str, value: Option<&Fact>) {
        self.known.note_fact(name, value);
        self.expire(scene);
    }

    /// Runs the fallback of the policy that ordered the re-route; does nothing when none is under way.
    pub(super) fn reroute_failed(&mut self, scene: &mut Scene<'_>, reason: &str) {
        let Reroute::InFlight { policy, by } = self.reroute.clone() else { return };
        self.reroute = Reroute::None;
        self.end_wait(scene);
        let text = &scene.policies[policy];
        let applies = |(at, fallback): &(usize, &Fallback)| {
            let fits = fallback.after.as_deref().is_none_or(|after| after == by);
            fits && !self.fallbacks_spent.contains(&Place { policy, at: *at })
        };
        let Some((at, fallback)) = text.fallbacks.iter().enumerate().find(applies) else { return };

        self.fallbacks_spent.push(Place { policy, at });
        let because = Because { failure: Some(reason.to_owned()), ..self.because(scene.now, None) };
        self.decide(scene, policy, &fallback.id, &fallback.id, &fallback.then, because);
    }

    /// The caller is with a human.
    pub(super) fn rerouted(&mut self, scene: &Scene<'_>) {
        self.reroute = Reroute::Done;
        // Rules about the wait that were passed over have nobody left to speak to.
        self.known.end_wait(scene.now);
    }

    /// Takes note of what the caller speaks.
    pub(super) fn speaks(&mut self, language: Language) {
        self.known.language = Some(language);
    }

    /// Somebody listens from now on, or nobody does.
    pub(super) fn listened(&mut self, scene: &Scene<'_>, on: bool) {
        self.known.listen(scene.now, on);
        self.end_of(scene.policies, |trigger| matches!(trigger, Trigger::Silent(_)));
    }

    /// When the next rule becomes due by time alone, after `now`.
    pub(super) fn next_due(&self, now: Duration, policies: &[Policy]) -> Option<Duration> {
        let valid_until = self.valid_until();
        let due = |state: &RuleState| {
            let rule = state.rule(policies);
            let latest = if state.feeling(policies).is_some() { valid_until } else { Duration::MAX };
            let ripe = self.due(state, rule).zip(self.known.ripe_at(&rule.when.circumstances));
            let fires =
                ripe.map(|(due, ripe)| due.max(ripe).saturating_add(CONFIRM_WITHIN)).filter(|due| *due <= latest);
            let climbs = state.step_due(rule).filter(|due| *due <= valid_until);
            // What was due by now and did not fire waits for something else than time.
            [fires, climbs].into_iter().flatten().filter(|due| *due > now).min()
        };
        self.rules.iter().filter_map(due).min()
    }

    /// The scenario of the route that took the call.
    pub(super) fn scenario(&self) -> &str {
        &self.scenario
    }

    /// The id of the service in force.
    pub(super) fn service<'p>(&self, policies: &'p [Policy]) -> Option<&'p str> {
        let serving = self.serving.as_ref()?;
        serving.current_id(&policies[serving.policy])
    }

    /// Fires every rule that waits for a feeling and has held long enough by `feels_by`, every rule that waits for time
    /// to pass and is due by `passes_by`, and the steps of ladders.
    fn fire(&mut self, scene: &mut Scene<'_>, feels_by: Duration, passes_by: Duration) {
        let mut claimed_now = false;
        for at in 0..self.rules.len() {
            let state = &mut self.rules[at];
            let rule = state.rule(scene.policies);
            let claims = claims(&rule.then);
            if claims && claimed_now && state.held_since.is_some() {
                // Due or not yet: it must not follow on the heels of the rule that went first.
                state.passed_over = true;
            }
            let feels = matches!(rule.when.trigger, Trigger::Feels(_));
            let by = if feels { feels_by } else { passes_by };
            if self.due(&self.rules[at], rule).is_none_or(|due| due > by) {
                continue;
            }
            if self.reroute.stops(claims, moves(&rule.then)) || (claims && claimed_now) {
                self.rules[at].passed_over = true;
                continue;
            }
            let mut because = self.because(scene.now, rule.when.feeling().map(|feeling| feeling.level));
            match &rule.when.trigger {
                Trigger::Silent(_) => {
                    because.facts.extend(self.known.silence(scene.now).map(|silence| in_words("silence", silence)));
                }
                Trigger::Waits(_) => because.facts.push(in_words("waited", self.known.waited(scene.now))),
                _ => {}
            }
            claimed_now |= self.act(scene, at, because) && claims;
        }
        for at in 0..self.rules.len() {
            claimed_now |= self.climb(scene, at, claimed_now);
        }
    }

    /// Fires every rule whose trigger `fits` finds true, because of what is happening at this moment; whether one fired.
    fn fire_at_once(&mut self, scene: &mut Scene<'_>, fits: impl Fn(&Trigger, &mut Because) -> bool) -> bool {
        let (mut claimed_now, mut fired) = (false, false);
        for at in 0..self.rules.len() {
            let state = &self.rules[at];
            let rule = state.rule(scene.policies);
            if rule.when.trigger.takes_time() || state.earliest(rule).is_none_or(|earliest| earliest > scene.now) {
                continue;
            }
            let mut because = self.because(scene.now, None);
            if !fits(&rule.when.trigger, &mut because) {
                continue;
            }
            let claims = claims(&rule.then);
            if (claims && claimed_now) || self.reroute.stops(claims, moves(&rule.then)) {
                continue;
            }
            let acted = self.act(scene, at, because);
            claimed_now |= acted && claims;
            fired |= acted;
        }
        fired
    }

    /// Lets a rule act whose time has come, unless its circumstances or its policy's bound forbid it; whether it acts.
    fn act(&mut self, scene: &mut Scene<'_>, at: usize, mut because: Because) -> bool {
        let Place { policy, .. } = self.rules[at].place;
        let rule = self.rules[at].rule(scene.policies);
        let Some(evidence) = self.known.evidence(
            &rule.when.circumstances,
            scene.now,
            scene.local,
            self.heard_lately(scene.now).as_ref(),
        ) else {
            return false;
        };
        if !self.affords(scene.policies, policy, &rule.then) {
            return false;
        }
        because.facts.extend(evidence);
        self.rules[at].fired_last = Some(scene.now);
        if !rule.steps.is_empty() && self.rules[at].climb.is_none() {
            let heard = self.heard_lately(scene.now);
            let is_calm = heard.is_some_and(|heard| !rule.is_angry(heard.emotion, heard.level));
            let calm_since = is_calm.then_some(scene.now);
            self.rules[at].climb = Some(Climb { next: 0, since: scene.now, calm_since });
        }
        self.decide(scene, policy, &rule.id, &rule.id, &rule.then, because);
        if moves(&rule.then) {
            self.fallbacks_spent.clear();
        }
        true
    }

    /// Takes the next step of a rule's ladder when it is due; whether that claims the caller's ear.
    fn climb(&mut self, scene: &mut Scene<'_>, at: usize, claimed_now: bool) -> bool {
        let state = &self.rules[at];
        let rule = state.rule(scene.policies);
        let Some(climb) = state.climb else { return false };
        // Whether a caller who is not heard any more has calmed is not known.
        let by = scene.now.min(self.valid_until());
        if state.step_due(rule).is_none_or(|due| due > by) {
            return false;
        }
        let step = &rule.steps[climb.next];
        let (claims, moves, policy) = (claims(&step.then), moves(&step.then), state.place.policy);
        let is_moved = moves && self.reroute == Reroute::Done;
        if !is_moved && ((claims && claimed_now) || self.reroute.stops(claims, moves)) {
            return false;
        }
        let next = climb.next + 1;
        self.rules[at].climb = (next < rule.steps.len()).then_some(Climb { next, since: scene.now, ..climb });
        // Who is with a human already is not moved again, and what the policy's bound forbids is left out.
        if is_moved || !self.affords(scene.policies, policy, &step.then) {
            return false;
        }
        let mut because = self.because(scene.now, Some(rule.calm_below));
        because.facts.push(in_words("not calm", scene.now.saturating_sub(climb.since)));
        self.decide(scene, policy, &step_id(&rule.id, next), &rule.id, &step.then, because);
        if moves {
            self.fallbacks_spent.clear();
        }
        claims
    }

    /// Changes how the caller is served, when the mood asks for it.
    fn serve(&mut self, scene: &mut Scene<'_>) {
        let mood = self.heard_lately(scene.now).map(|heard| (heard.emotion, heard.level));
        let Some(serving) = &mut self.serving else { return };
        let at = serving.policy;
        let policy = &scene.policies[at];
        let Some(change) = serving.observe(scene.now, mood, |category| self.known.uses(scene.now, category), policy)
        else {
            return;
        };
        let switch = serving.switch(change, policy, self.known.language);
        let rule = serving.rule_id(change, policy);
        let because = self.because(scene.now, None);
        self.decide(scene, at, rule, rule, &[Action::Serve(Box::new(switch))], because);
    }

    /// Adds a decision and remembers what follows from it. `by` is the rule or fallback that a failure falls back from.
    fn decide(
        &mut self,
        scene: &mut Scene<'_>,
        policy: usize,
        rule: &str,
        by: &str,
        then: &[Action],
        because: Because,
    ) {
        // How often a service changes is bounded by its calm time.
        self.shares[policy].actions += then.iter().filter(|action| !matches!(action, Action::Serve(_))).count();
        let because = Because { group: self.shares[policy].group.clone(), ..because };
        let actions = then.iter().map(|action| spoken(action, self.known.language)).collect();
        let label = scene.policies[policy].label();
        scene.out.push(Decision { call: scene.call, rule: rule.to_owned(), policy: label, because, actions });
        if moves(then) {
            self.reroute = Reroute::InFlight { policy, by: by.to_owned() };
            self.known.begin_wait(scene.now);
        }
    }

    /// Whether the policy may do that much more in this call.
    fn affords(&self, policies: &[Policy], policy: usize, then: &[Action]) -> bool {
        let most = policies[policy].actions_per_call_max;
        most.is_none_or(|most| self.shares[policy].actions + then.len() <= most as usize)
    }

    /// When a rule that time makes fire is due, as things stand; `None` when it is not.
    fn due(&self, state: &RuleState, rule: &Rule) -> Option<Duration> {
        if state.passed_over {
            return None;
        }
        let begun = match &rule.when.trigger {
            Trigger::Feels(feeling) => {
                let heard = self.heard.as_ref()?;
                if feeling.trend_at_least.is_some_and(|least| heard.trend_per_s < least) {
                    return None;
                }
                state.held_since?.saturating_add(feeling.lasted)
            }
            Trigger::Silent(silence) => self.known.listening_since()?.saturating_add(*silence),
            // A wait that is over is no reason to go on.
            Trigger::Waits(_) if state.fired_last.is_some() && !self.known.is_waiting() => return None,
            Trigger::Waits(wait) => self.known.waits_until(*wait)?,
            _ => return None,
        };
        state.earliest(rule).map(|earliest| begun.max(earliest))
    }

    fn end_wait(&mut self, scene: &Scene<'_>) {
        self.known.end_wait(scene.now);
        self.end_of(scene.policies, |trigger| matches!(trigger, Trigger::Waits(_)));
    }

    /// What rules of this kind waited for has ended.
    fn end_of(&mut self, policies: &[Policy], kind: impl Fn(&Trigger) -> bool) {
        for state in &mut self.rules {
            if state.passed_over && kind(&state.rule(policies).when.trigger) {
                state.end();
            }
        }
    }

    /// Until when the last observation is believed.
    fn valid_until(&self) -> Duration {
        self.heard.map_or(Duration::ZERO, |heard| heard.at.saturating_add(self.emotion_holds))
    }

    /// The last observation, as long as it is believed.
    fn heard_lately(&self, now: Duration) -> Option<Heard> {
        self.heard.filter(|_| now <= self.valid_until())
    }

    /// The mood as evidence, as it is now.
    pub(super) fn mood(&self, now: Duration) -> Because {
        self.because(now, None)
    }

    /// The mood as evidence; it has lasted at `level`, or at the level it has now.
    fn because(&self, now: Duration, level: Option<Level>) -> Because {
        let heard = if level.is_some() { self.heard } else { self.heard_lately(now) };
        let heard = heard.unwrap_or(Heard::nothing(now));
        let since = heard.since[level.unwrap_or(heard.level) as usize].unwrap_or(now);
        Because {
            emotion: heard.emotion,
            level: heard.level,
            score: heard.score,
            trend_per_s: heard.trend_per_s,
            lasted: now.saturating_sub(since),
            failure: None,
            keys: None,
            interruptions: None,
            said: None,
            facts: Vec::new(),
            group: None,
        }
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
}

/// The text for a call of this language, or else the first one there is.
pub(super) fn in_language(texts: &Texts, language: Option<Language>) -> Option<(String, Language)> {
    let own = language.and_then(|language| texts.get_key_value(&language));
    own.or_else(|| texts.first_key_value()).map(|(language, text)| (text.clone(), *language))
}

/// An action as it is decided: scripts with one text alone, in the language of the call.
fn spoken(action: &Action, language: Option<Language>) -> Action {
    match action {
        Action::Script { id, texts, sounds, mode, until } => {
            let (text, language) = in_language(texts, language).expect("a script has at least one text");
            let sounds = sounds.get(&language).map(|file| (language, file.clone())).into_iter().collect();
            Action::Script { id: id.clone(), texts: [(language, text)].into(), sounds, mode: *mode, until: *until }
        }
        other => other.clone(),
    }
}

fn in_words(what: &str, span: Duration) -> String {
    format!("{what} {:.1} s", span.as_secs_f64())
}

fn claims(actions: &[Action]) -> bool {
    let speaks = |action: &Action| matches!(action, Action::Prompt { .. } | Action::Say { .. } | Action::Script { .. });
    actions.iter().any(speaks) || moves(actions)
}

fn moves(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Reroute { .. }))
}
