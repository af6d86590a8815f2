//! From observations to actions: what is heard goes to the policy engine, what it decides is carried out in order.
//!
//! Every action has a deadline, and a failure of one never stops the next.

use std::collections::{BTreeMap, VecDeque};

use prosody::functionals::FUNCTIONAL_NAMES;
use routing::{Action, Decision, Route, SecureInput};

use super::call::{Call, Stage, millis};
use super::context::Context;
use super::order::Party;
use super::prompts::{How, spoken_name};
use super::reroute::Wanted;
use crate::notice::{TicketAsked, TurnTaking, What};
use crate::words;

impl Call {
    /// A step of a party's emotion timeline.
    pub(super) fn heard(&mut self, context: &mut Context<'_>, observation: &nlu::Observation) {
        if !matches!(self.stage, Stage::Talking(_)) {
            return;
        }
        let by_caller = observation.party.0 == self.caller.id.0;
        let by_far = self.far.as_ref().is_some_and(|far| far.id.0 == observation.party.0);
        if !by_caller && !by_far {
            return;
        }
        let turns = self.turns_of(by_caller);
        let mut step = observed(observation, if by_caller { "caller" } else { "callee" }, turns);
        if let What::Observed { words, .. } = &mut step
            && !self.consent.keeps_words()
        {
            *words = None;
        }
        if let What::Observed { scores, functionals, .. } = &mut step
            && let Some(delivery) = observation.evidence.delivery
        {
            if context.terms.settings.scores {
                scores.extend(prosody::baseline::names().map(str::to_owned).zip(delivery.scores));
            }
            if let Some(values) = delivery.functionals {
                functionals.extend(FUNCTIONAL_NAMES.map(str::to_owned).into_iter().zip(values));
            }
        }
        self.notice(context, step);
        self.learn_from(context, observation, by_caller);
        if !by_caller {
            return;
        }

        self.tally.peak_anger = self.tally.peak_anger.max(observation.anger);
        self.tally.peak_level = self.tally.peak_level.max(observation.level);
        let event = routing::Event::Emotion {
            emotion: routing_emotion(observation.emotion),
            level: routing_level(observation.level),
            score: observation.anger,
            trend_per_s: observation.trend_per_s,
        };
        self.judge(context, &event);
        self.mood_left(context.now, &event);
    }

    /// Tells the policy engine, and carries out what it decides.
    pub(super) fn judge(&mut self, context: &mut Context<'_>, event: &routing::Event) {
        if matches!(event, routing::Event::Listened { on: false }) {
            self.excuse();
        }
        let decisions = context.judge(self.key, event);
        self.carry_out(context, decisions);
        self.forewarn(context, event);
    }

    /// Carries out decisions in order; what fails at once is told to the engine, which may decide again.
    pub(super) fn carry_out(&mut self, context: &mut Context<'_>, decisions: Vec<Decision>) {
        let mut waiting = VecDeque::from(decisions);
        // A policy whose fallbacks fail and fall back again must come to an end.
        for _ in 0..DECISIONS_MAX {
            let Some(decision) = waiting.pop_front() else { return };
            if !matches!(self.stage, Stage::Talking(_)) {
                return;
            }
            self.notice(context, decided(&decision));
            for action in &decision.actions {
                if let Some(failure) = self.act(context, &decision, action) {
                    waiting.extend(context.judge(self.key, &routing::Event::RerouteFailed { reason: failure }));
                }
            }
        }
    }

    /// Does one thing; the reason when it is a re-route that could not begin.
    fn act(&mut self, context: &mut Context<'_>, decision: &Decision, action: &Action) -> Option<String> {
        if self.act_in_chat(context, decision, action) {
            return None;
        }
        match action {
            Action::Prompt { file, mode, until } => {
                self.play(context, file, How { party: Party::Caller, mode: *mode, until: *until });
                None
            }
            Action::Say { text, language, mode, until } => {
                self.say(context, text, *language, How { party: Party::Caller, mode: *mode, until: *until });
                None
            }
            Action::Script { texts, sounds, mode, until, .. } => {
                let how = How { party: Party::Caller, mode: *mode, until: *until };
                // The engine has chosen the language already: what is decided is one text, or its recording.
                if let Some(file) = sounds.values().next() {
                    self.play(context, file, how);
                } else if let Some((language, text)) = texts.first_key_value() {
                    self.say(context, text, *language, how);
                }
                None
            }
            Action::Serve(switch) => {
                self.switch_service(context, decision, switch);
                None
            }
            Action::SecureInput(secure) => {
                self.set_secure_input(context, *secure);
                None
            }
            Action::Alert { severity, text } => {
                let (severity, text) = (severity.as_str().to_owned(), text.clone());
                let pbx_call = self.fork.as_ref().and_then(|fork| fork.pbx_call.clone());
                self.notice(context, What::Alert { severity, text, rule: decision.rule.clone(), pbx_call });
                None
            }
            Action::Announce { pbx, media } => {
                self.announce(context, pbx, media);
                None
            }
            Action::Notify { pbx } => {
                self.notify(context, decision, pbx);
                None
            }
            Action::Reroute { ways, target, hold, within, whisper } => {
                let in_flight = match &self.stage {
                    Stage::Talking(talking) => talking.is_being_moved(),
                    Stage::Seeking(_) | Stage::Finished(_) => true,
                };
                if in_flight {
                    // The one in flight goes on; its own outcome is what the engine will hear.
                    let via = ways.first().map_or_else(String::new, |way| way.as_str().to_owned());
                    let reason = "another re-route is under way".to_owned();
                    self.notice(context, What::RerouteFailed { via, target: target.clone(), reason });
                    return None;
                }
                let Decision { rule, because, .. } = decision;
                let (within, whisper, queue_priority) = (*within, whisper.as_ref(), None);
                let wanted = Wanted { ways, target, within, whisper, queue_priority, rule, because };
                let begun = self.begin_reroute(context, wanted);
                if let (Ok(()), Some(hold)) = (&begun, hold) {
                    self.begin_hold(context, hold);
                }
                begun.err()
            }
        }
    }
}

impl Call {
    /// Tells a system outside: at once where it is a webhook, and until it knows where it is a CRM.
    fn notify(&mut self, context: &mut Context<'_>, decision: &Decision, name: &str) {
        let (rule, because) = (decision.rule.clone(), &decision.because);
        if !context.terms.settings.crms.contains(name) {
            let handover = self.told("", &rule, because);
            return self.tell(context, name, handover);
        }
        let (emotion, level) = (because.emotion.as_str().to_owned(), because.level.as_str().to_owned());
        let asked = TicketAsked { crm: name.to_owned(), rule, emotion, level, score: because.score };
        self.notice(context, What::TicketAsked(asked));
    }
}

fn observed(observation: &nlu::Observation, party: &str, turns: Option<TurnTaking>) -> What {
    let evidence = observation.evidence;
    What::Observed {
        party: party.to_owned(),
        audio_ms: observation.position / SAMPLES_PER_MS,
        emotion: words::emotion(observation.emotion).to_owned(),
        level: words::level(observation.level).to_owned(),
        anger: observation.anger,
        trend_per_s: observation.trend_per_s,
        pitch_hz: evidence.pitch_hz,
        pitch_z: evidence.pitch_z,
        level_dbov: evidence.level_dbov,
        level_z: evidence.level_z,
        syllables_per_s: evidence.syllables_per_s,
        rate_z: evidence.rate_z,
        source: words::source(observation.source).to_owned(),
        words: observation.words.as_deref().map(|read| Box::new(read.into())),
        expression: observation.expression.as_ref().map(Into::into),
        delivery: evidence.delivery.map(Into::into),
        turns,
        scores: BTreeMap::new(),
        functionals: BTreeMap::new(),
    }
}

fn decided(decision: &Decision) -> What {
    let because = &decision.because;
    let in_words = |action: &Action| match action {
        Action::Prompt { file, .. } => format!("prompt {file}"),
        Action::Say { text, .. } => spoken_name(text),
        Action::Script { texts, sounds, .. } => match sounds.values().next() {
            Some(file) => format!("prompt {file}"),
            None => texts.values().next().map_or_else(String::new, |text| spoken_name(text)),
        },
        Action::Serve(switch) => {
            let after = switch.after.as_ref().map_or("as usual", |after| after.id.as_str());
            format!("serve {after}")
        }
        Action::SecureInput(SecureInput::On { .. }) => "secure input on".to_owned(),
        Action::SecureInput(SecureInput::Off) => "secure input off".to_owned(),
        Action::Reroute { ways, target, .. } => format!("reroute {} {target}", in_order(ways)),
        Action::Announce { pbx, media } => format!("announce {media} by {pbx}"),
        Action::Notify { pbx } => format!("notify {pbx}"),
        Action::Alert { severity, .. } => format!("alert {}", severity.as_str()),
    };
    What::Decided {
        rule: decision.rule.clone(),
        policy: decision.policy.clone(),
        emotion: because.emotion.as_str().to_owned(),
        level: because.level.as_str().to_owned(),
        score: because.score,
        lasted_ms: millis(because.lasted),
        failure: because.failure.clone(),
        keys: because.keys.clone(),
        interruptions: because.interruptions,
        said: because.said.clone(),
        facts: because.facts.clone(),
        group: because.group.clone(),
        actions: decision.actions.iter().map(in_words).collect(),
    }
}

/// Ways in words, e.g. `asterisk, refer, bridge`.
fn in_order(ways: &[Route]) -> String {
    ways.iter().map(Route::as_str).collect::<Vec<_>>().join(", ")
}

fn routing_emotion(emotion: nlu::Emotion) -> routing::Emotion {
    match emotion {
        nlu::Emotion::Neutral => routing::Emotion::Neutral,
        nlu::Emotion::Anger => routing::Emotion::Anger,
        nlu::Emotion::Joy => routing::Emotion::Joy,
        nlu::Emotion::Sadness => routing::Emotion::Sadness,
    }
}

fn routing_level(level: nlu::Level) -> routing::Level {
    match level {
        nlu::Level::Low => routing::Level::Low,
        nlu::Level::Medium => routing::Level::Medium,
        nlu::Level::High => routing::Level::High,
    }
}

/// The most decisions that follow from one event.
const DECISIONS_MAX: usize = 16;
/// Samples per millisecond at 8 kHz.
pub(super) const SAMPLES_PER_MS: u64 = 8;
