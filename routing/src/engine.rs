//! Turns what is heard in calls into decisions, by the rules of the policies.
//!
//! Pure and deterministic: the same policies and the same events in the same order give the same decisions. Knows
//! nothing of what becomes of a decision except what it is told by events. What one call remembers is `call`.

mod call;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::{CallKey, Decision, Event, Policy};
use call::Call;

/// Calls that an engine follows at a time, unless told otherwise.
pub const CALLS_MAX: usize = 10_000;
/// An emotion is taken to last this long after its last observation (one comes every 0.5 s while somebody speaks).
pub const OBSERVATION_HOLDS: Duration = Duration::from_secs(5);
/// How long a rule that became due without an observation waits for one that may be on its way.
pub const CONFIRM_WITHIN: Duration = Duration::from_millis(300);
/// Two keys that are further apart do not belong together.
pub const KEYS_WITHIN: Duration = Duration::from_secs(5);

/// All calls of one server, and the policies that decide about them.
///
/// What happens when rules meet: at any one moment rules fire by priority, then in the order of the policies, then in
/// file order. Only one rule at a time may speak to the caller or move the call: while a re-route is under way, and
/// behind a rule that fired in the same moment, rules with a prompt or a re-route are passed over until their
/// conditions have ended and begun again. Rules with nothing but alerts always fire. Once the call is with a human,
/// rules that re-route do not fire any more. Keys that made a rule fire are used up: they begin no other sequence.
#[derive(Debug)]
pub struct Engine {
    policies: Arc<[Policy]>,
    calls: BTreeMap<CallKey, Followed>,
    deadlines: BTreeSet<(Duration, CallKey)>,
    calls_max: usize,
    calls_unfollowed: u64,
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
        Engine { policies, calls: BTreeMap::new(), deadlines: BTreeSet::new(), calls_max, calls_unfollowed: 0 }
    }

    /// Begins to follow a call, about which `policies` decide to its end, whatever others are in force meanwhile.
    pub fn start(&mut self, key: CallKey, scenario: &str, policies: Arc<[Policy]>) {
        if self.calls.contains_key(&key) {
            return;
        }
        if self.calls.len() >= self.calls_max {
            self.calls_unfollowed += 1;
            return;
        }
        let call = Call::new(scenario, &policies);
        self.calls.insert(key, Followed { policies, call });
    }

    /// Takes in what happened to a call at `now` and adds the decisions it leads to.
    ///
    /// Events of calls that were never started, or are forgotten, do nothing; so does a second `Started`.
    pub fn handle(&mut self, now: Duration, key: CallKey, event: &Event, out: &mut Vec<Decision>) {
        if let Event::Started { scenario } = event {
            self.start(key, scenario, Arc::clone(&self.policies));
            return;
        }
        let Some(Followed { policies, call }) = self.calls.get_mut(&key) else { return };
        call.expire(now, policies, key, out);
        match event {
            Event::Started { .. } => {}
            Event::Emotion { emotion, level, score, trend_per_s } => {
                call.observe(now, (*emotion, *level, *score, *trend_per_s), policies);
                call.fire(now, now, policies, key, out);
            }
            Event::Key { key: pressed } => call.press(now, *pressed, policies, key, out),
            Event::Interrupted { times } => call.interrupt(now, *times, policies, key, out),
            Event::Said { intent } => call.say(now, intent, policies, key, out),
            Event::RerouteFailed { reason } => call.reroute_failed(now, reason, policies, key, out),
            Event::Rerouted => call.rerouted(),
        }
        self.reschedule(key);
    }

    /// Lets time pass: fires the rules that have become due by `now` without a new observation.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Decision>) {
        while let Some(&(due, key)) = self.deadlines.first()
            && due <= now
        {
            self.deadlines.pop_first();
            if let Some(Followed { policies, call }) = self.calls.get_mut(&key) {
                call.scheduled = None;
                call.expire(now, policies, key, out);
            }
            self.reschedule(key);
        }
    }

    /// When `tick` must be called at the latest, and for what.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        self.deadlines.first().map(|&(due, _)| (due, "a rule's lasted_s"))
    }

    /// Drops everything about a call.
    pub fn forget(&mut self, key: CallKey) {
        if let Some(due) = self.calls.remove(&key).and_then(|followed| followed.call.scheduled) {
            self.deadlines.remove(&(due, key));
        }
    }

    /// The policies that decide about calls that begin with `Event::Started`.
    pub fn policies(&self) -> &Arc<[Policy]> {
        &self.policies
    }

    /// Calls that were started but not followed because there were too many.
    pub fn calls_unfollowed(&self) -> u64 {
        self.calls_unfollowed
    }

    fn reschedule(&mut self, key: CallKey) {
        let Some(Followed { policies, call }) = self.calls.get_mut(&key) else { return };
        let due = call.next_due(policies);
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

#[cfg(test)]
mod tests;
