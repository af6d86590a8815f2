//! Whole calls through policies in simulated time: what they would decide, and whether that is what is expected.
//!
//! A story without an outcome of its re-routes may be given one: everybody answers after a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::warn_at;
use crate::warning::{WARN_AT, Watch};
use crate::{Action, CallKey, Decision, Engine, Event, LocalTime, Opening, Policy};

/// How long a story goes on after its last event.
pub const EPILOGUE: Duration = Duration::from_secs(60);

/// A call as it was, or as it might be.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// What is known when it begins.
    pub opening: Opening,
    /// The local time when it begins, as far as it is known.
    pub local: Option<LocalTime>,
    /// What happens, by the time since the answer; in order.
    pub events: Vec<(Duration, Event)>,
}

/// What policies make of a story.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// What they decide, and when.
    pub decisions: Vec<(Duration, Decision)>,
    /// The service at the end.
    pub service: Option<String>,
}

/// Plays a story to the end and [`EPILOGUE`] beyond it, ticking at every deadline on the way.
///
/// `answer`: every re-route is answered after that time; `None`: the story itself says what becomes of them.
pub fn play(policies: &Arc<[Policy]>, story: &Story, answer: Option<Duration>) -> Played {
    let key = CallKey(1);
    let mut engine = Engine::new(Vec::new());
    if let Some(local) = story.local {
        engine.set_clock(Duration::ZERO, local);
    }
    engine.start(Duration::ZERO, key, &story.opening, Arc::clone(policies));
    let watch = Watch::new(warn_at(policies, &story.opening.scenario).unwrap_or(WARN_AT));
    let mut play = Play { engine, key, watch, answer, answered: None, played: Played::default() };
    for (at, event) in &story.events {
        play.pass(*at);
        let recorded = matches!(event, Event::Rerouted | Event::RerouteFailed { .. });
        if !(recorded && answer.is_some()) {
            play.happen(*at, event);
        }
    }
    let end = story.events.last().map_or(Duration::ZERO, |(at, _)| *at);
    play.pass(end.saturating_add(EPILOGUE));
    play.played.service = play.engine.service(key).map(str::to_owned);
    play.played
}

/// One story while it is played.
struct Play {
    engine: Engine,
    key: CallKey,
    watch: Watch,
    answer: Option<Duration>,
    /// When the re-route in flight is answered.
    answered: Option<Duration>,
    played: Played,
}

impl Play {
    /// Lets time pass until just before `until`.
    fn pass(&mut self, until: Duration) {
        loop {
            let due = self.engine.deadline().map(|(due, _)| due);
            let Some(at) = [due, self.answered].into_iter().flatten().min().filter(|at| *at < until) else { return };
            if self.answered == Some(at) {
                self.answered = None;
                self.happen(at, &Event::Rerouted);
            } else {
                let mut out = Vec::new();
                self.engine.tick(at, &mut out);
                self.note(at, out);
            }
        }
    }

    fn happen(&mut self, at: Duration, event: &Event) {
        let mut out = Vec::new();
        self.engine.handle(at, self.key, event, &mut out);
        if let Some(warning) = self.watch.take(at, event) {
            self.engine.handle(at, self.key, &warning.event(), &mut out);
        }
        self.note(at, out);
    }

    fn note(&mut self, at: Duration, decisions: Vec<Decision>) {
        for decision in decisions {
            if let Some(answer) = self.answer
                && decision.actions.iter().any(|action| matches!(action, Action::Reroute { .. }))
            {
                self.answered = Some(at.saturating_add(answer));
            }
            self.played.decisions.push((at, decision));
        }
    }
}

/// An expectation that a policy does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The policy, e.g. `after-sales@3`.
    pub policy: String,
    /// The name of the `[[expect]]`.
    pub expect: String,
    /// What is wrong, in words.
    pub why: String,
}

/// Plays every `[[expect]]` of a policy, with that policy alone.
pub fn check_expects(policy: &Policy) -> Vec<Broken> {
    let policies: Arc<[Policy]> = vec![policy.clone()].into();
    let mut broken = Vec::new();
    for expect in &policy.expects {
        let played = play(&policies, &expect.story, None);
        let decided: Vec<&str> = played.decisions.iter().map(|(_, decision)| decision.rule.as_str()).collect();
        let mut fault = |why: String| {
            broken.push(Broken { policy: policy.label(), expect: expect.name.clone(), why });
        };
        let shown = if decided.is_empty() { "nothing".to_owned() } else { decided.join(", ") };
        if let Some(missing) = missing_in_order(&expect.then, &decided) {
            fault(format!("decided {shown}; expected {missing}"));
        }
        if let Some(never) = expect.never.iter().find(|id| decided.contains(&id.as_str())) {
            fault(format!("decided {shown}; never expected {never}"));
        }
        let named: BTreeSet<&str> = expect.then.iter().map(String::as_str).collect();
        if let Some(extra) = decided.iter().find(|id| expect.only && !named.contains(*id)) {
            fault(format!("decided {shown}; expected only what `then` names, not {extra}"));
        }
        if expect.service.is_some() && expect.service != played.service {
            let found = played.service.as_deref().unwrap_or("the usual one");
            fault(format!("service {found} at the end; expected {}", expect.service.as_deref().unwrap_or_default()));
        }
    }
    broken
}

/// The first of `wanted` that does not come in its order, if any.
fn missing_in_order<'w>(wanted: &'w [String], decided: &[&str]) -> Option<&'w str> {
    let mut rest = decided.iter();
    wanted.iter().find(|id| !rest.any(|each| each == id)).map(String::as_str)
}
