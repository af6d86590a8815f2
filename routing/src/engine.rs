//! Turns what is heard in calls into decisions, by the rules of the policies.
//!
//! Pure and deterministic: the same policies and the same events in the same order give the same decisions. Knows
//! nothing of what becomes of a decision except what it is told by events. What one call remembers is `call`.

mod call;
mod known;
mod rule;
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::warning::WARN_AT;
use crate::{Because, CallKey, Decision, Event, LocalTime, Opening, Policy};
use call::{Call, Scene};

/// Calls that an engine follows at a time, unless told otherwise.
pub const CALLS_MAX: usize = 10_000;
/// An emotion is taken to last this long after its last observation, unless the opening says otherwise (one comes every 0.5 s while somebody speaks).
pub const OBSERVATION_HOLDS: Duration = Duration::from_secs(5);
/// How long a rule that became due without an observation waits for one that may be on its way.
pub const CONFIRM_WITHIN: Duration = Duration::from_millis(300);
/// Two keys that are further apart do not belong together.
pub const KEYS_WITHIN: Duration = Duration::from_secs(5);

/// Who is heard calm for this long leaves a ladder.
pub(crate) const CALM_HOLDS: Duration = Duration::from_secs(3);

/// All calls of one server, and the policies that decide about them.
///
/// What happens when rules meet: at any one moment rules fire by priority, then in the order of the policies, then in
/// file order. Only one rule at a time may speak to the caller or move the call: while a re-route is under way, and
/// behind a rule that fired in the same moment, rules with a prompt or a re-route are passed over until their
/// conditions have ended and begun again. Rules with nothing but alerts always fire. Once the call is with a human,
/// rules that re-route do not fire any more. A policy that bounds its actions per call fires nothing beyond that bound
/// but its fallbacks. Keys that made a rule fire are used up: they begin no other sequence.
#[derive(Debug)]
pub struct Engine {
    policies: Arc<[Policy]>,
    calls: BTreeMap<CallKey, Followed>,
    deadlines: BTreeSet<(Duration, CallKey)>,
    calls_max: usize,
    calls_unfollowed: u64,
    /// What time it was where the service is, and when that was.
    clock: Option<(Duration, LocalTime)>,
}

/// One call, with the policies that it began with.
#[derive(Debug)]
struct Followed {
    policies: Arc<[Policy]>,
    call: Call,
}

impl Engine {
    /// An engine that follows up to `CALLS_MAX` calls.
    pub fn new(policies: Vec<Policy>) -> Engine {
        Engine::with_limit(policies, CALLS_MAX)
    }

    /// An engine that follows up to `calls_max` calls; further ones get no decisions and are counted.
    pub fn with_limit(policies: Vec<Policy>, calls_max: usize) -> Engine {
        let policies = policies.into();
        Engine {
            policies,
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            calls_max,
            calls_unfollowed: 0,
            clock: None,
        }
    }

    /// Says what time it is where the service is. Until it is said, rules about hours and days do not fire.
    pub fn set_clock(&mut self, now: Duration, local: LocalTime) {
        self.clock = Some((now, local));
    }

    /// Begins at `now` to follow a call, about which `policies` decide to its end, whatever others are in force meanwhile.
    pub fn start(&mut self, now: Duration, key: CallKey, opening: &Opening, policies: Arc<[Policy]>) {
        if self.calls.contains_key(&key) {
            return;
        }
        if self.calls.len() >= self.calls_max {
            self.calls_unfollowed += 1;
            return;
        }
        let call = Call::new(now, opening, &policies);
        self.calls.insert(key, Followed { policies, call });
        self.reschedule(now, key);
    }

    /// Takes in what happened to a call at `now` and adds the decisions it leads to.
    ///
    /// Events of calls that were never started, or are forgotten, do nothing; so does a second `Started`.
    pub fn handle(&mut self, now: Duration, key: CallKey, event: &Event, out: &mut Vec<Decision>) {
        if let Event::Started(opening) = event {
            self.start(now, key, opening, Arc::clone(&self.policies));
            return;
        }
        let local = self.local(now);
        let Some(Followed { policies, call }) = self.calls.get_mut(&key) else { return };
        let scene = &mut Scene { now, local, policies, call: key, out };
        // First: what was due meanwhile goes by what has become of the re-route.
        match event {
            Event::Rerouted => call.rerouted(scene),
            Event::RerouteFailed { reason } => call.reroute_failed(scene, reason),
            _ => {}
        }
        call.expire(scene);
        match event {
            Event::Started(_) | Event::Rerouted | Event::RerouteFailed { .. } => {}
            Event::Emotion { emotion, level, score, trend_per_s } => {
                call.observe(scene, (*emotion, *level), *score, *trend_per_s);
            }
            Event::Key { key: pressed } => call.press(scene, *pressed),
            Event::Interrupted { times } => call.interrupt(scene, *times),
            Event::Said { intent } => call.say(scene, intent),
            Event::Words { categories } => call.use_words(scene, categories),
            Event::Breached { rule } => call.breach(scene, rule),
            Event::OtherSpoke => call.spoke(scene),
            Event::Listened { on } => call.listened(scene, *on),
            Event::Quality { mos, loss } => call.note_quality(scene, *mos, *loss),
            Event::Fact { name, value } => call.note_fact(scene, name, value.as_ref()),
            Event::Speaks { language } => call.speaks(*language),
            Event::Warned { score, evidence } => call.warn(scene, *score, evidence),
        }
        self.reschedule(now, key);
    }

    /// How a caller is at `now`, as evidence for what others decide; nothing of calls that are not followed.
    pub fn mood(&self, now: Duration, key: CallKey) -> Option<Because> {
        self.calls.get(&key).map(|Followed { call, .. }| call.mood(now))
    }

    /// Lets time pass: fires the rules that have become due by `now` without a new observation.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Decision>) {
        let local = self.local(now);
        while let Some(&(due, key)) = self.deadlines.first()
            && due <= now
        {
            self.deadlines.pop_first();
            if let Some(Followed { policies, call }) = self.calls.get_mut(&key) {
                call.scheduled = None;
                call.expire(&mut Scene { now, local, policies, call: key, out });
            }
            self.reschedule(now, key);
        }
    }

    /// When `tick` must be called at the latest, and for what.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        self.deadlines.first().map(|&(due, _)| (due, "a rule that time makes fire"))
    }

    /// Drops everything about a call.
    pub fn forget(&mut self, key: CallKey) {
        if let Some(due) = self.calls.remove(&key).and_then(|followed| followed.call.scheduled) {
            self.deadlines.remove(&(due, key));
        }
    }

    /// The id of the service by which a call's caller is served at present; `None` where no policy says.
    pub fn service(&self, key: CallKey) -> Option<&str> {
        self.calls.get(&key).and_then(|Followed { policies, call }| call.service(policies))
    }

    /// The scenario of a call that is followed.
    pub fn scenario(&self, key: CallKey) -> Option<&str> {
        self.calls.get(&key).map(|followed| followed.call.scenario())
    }

    /// The likelihood of an escalation from which on a call is warned of, 0-1: the first policy for it that says one.
    pub fn warn_at(&self, key: CallKey) -> f32 {
        let followed = self.calls.get(&key);
        let own = followed.and_then(|followed| warn_at(&followed.policies, followed.call.scenario()));
        own.unwrap_or(WARN_AT)
    }

    /// The policies that decide about calls that begin with `Event::Started`.
    pub fn policies(&self) -> &Arc<[Policy]> {
        &self.policies
    }

    /// Calls that were started but not followed because there were too many.
    pub fn calls_unfollowed(&self) -> u64 {
        self.calls_unfollowed
    }

    fn local(&self, now: Duration) -> Option<LocalTime> {
        self.clock.map(|(at, local)| local.after(now.saturating_sub(at).as_secs()))
    }

    fn reschedule(&mut self, now: Duration, key: CallKey) {
        let Some(Followed { policies, call }) = self.calls.get_mut(&key) else { return };
        let due = call.next_due(now, policies);
        if due == call.scheduled {
            return;
        }
        if let Some(old) = call.scheduled {
            self.deadlines.remove(&(old, key));
        }
        if let Some(new) = due {
            self.deadlines.insert((new, key));
        }
        call.scheduled = due;
    }
}

/// The likelihood from which on calls of a scenario are warned of, as the first policy for it that says one has it.
pub fn warn_at(policies: &[Policy], scenario: &str) -> Option<f32> {
    policies.iter().filter(|policy| policy.covers(scenario)).find_map(|policy| policy.warn_at)
}

/// The groups of a call in the comparisons of the policies that are for it, e.g. `wording: control`, whether or not any of their
/// rules will fire in it.
pub fn groups(policies: &[Policy], opening: &Opening) -> Vec<String> {
    let compare =
        policies.iter().filter(|policy| policy.covers(&opening.scenario)).filter_map(|policy| policy.split.as_ref());
    compare.map(|split| split.in_words(split.group(opening.caller.as_deref(), &opening.id))).collect()
}

#[cfg(test)]
mod tests;
