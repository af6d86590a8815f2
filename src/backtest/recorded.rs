//! Calls as the API tells them, as stories for policies.
//!
//! Rebuilt from events: the mood of the caller, what the caller said, did and pressed, and what became of re-routes. What was
//! told about the customer and the order is kept nowhere and so is missing: a rule about it does not fire here, and one that
//! says what a fact is not does, whatever was known then.

use std::time::{Duration, SystemTime};

use routing::backtest::{Interaction, escalated_at};
use routing::{Emotion, Event, Language, Level, Opening, Story};
use serde_json::Value;

use crate::control::{MOOD_HOLDS, RECORDING, compared_by};
use crate::notice::{Notice, What};
use crate::settings::Zone;

/// Events of one call that are taken.
const EVENTS_MAX: usize = 100_000;

/// One call's events, in order.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    id: String,
    scenario: String,
    /// By what the caller stays in one group of a comparison.
    caller: Option<String>,
    channel: Option<String>,
    is_chat: bool,
    answered_ms: Option<u64>,
    started: Option<SystemTime>,
    ended_ms: u64,
    events: Vec<(u64, Event)>,
    decided: Vec<String>,
    words_ms: Option<u64>,
}

impl Recorded {
    pub(super) fn new(id: &str) -> Recorded {
        Recorded { id: id.to_owned(), ..Recorded::default() }
    }

    /// Takes up one event of the API; what is none, or says nothing to policies, is passed over.
    pub(super) fn take(&mut self, event: &Value) {
        let Ok(notice) = serde_json::from_value::<Notice>(event.clone()) else { return };
        let time = event["time"].as_str().and_then(|time| humantime::parse_rfc3339(time).ok());
        self.started = self.started.or(time.map(|time| time - Duration::from_millis(notice.call_ms)));
        self.take_notice(notice);
    }

    /// Takes up what is told of the call.
    pub(super) fn take_notice(&mut self, notice: Notice) {
        let Notice { call_ms, what, .. } = notice;
        if self.events.len() >= EVENTS_MAX {
            return;
        }
        self.ended_ms = self.ended_ms.max(call_ms);
        match what {
            What::CallStarted { from, scenario, .. } => {
                self.caller = compared_by(from.reveal());
                self.scenario = scenario;
            }
            What::CallForked { source, .. } => self.channel = Some(source),
            What::ChatOpened { channel, .. } => {
                self.is_chat = channel != RECORDING;
                self.channel = Some(channel);
            }
            What::CallAnswered { .. } => self.answered_ms = Some(call_ms),
            What::Decided { rule, .. } => self.decided.push(rule),
            what => self.happened(call_ms, what),
        }
    }

    /// Takes up one step of the timeline of a call's record.
    pub(super) fn take_step(&mut self, step: &Value) {
        let event = mood(&step["emotion"], &step["level"], &step["anger"], &step["trend_per_s"]);
        let (Some(call_ms), Some(event)) = (step["call_ms"].as_u64(), event) else { return };
        let event = if step["party"] == "caller" { event } else { Event::OtherSpoke };
        self.events.push((call_ms, event));
        if let Some(found) = step["words"]["found"].as_array().filter(|_| step["party"] == "caller") {
            let said = found.iter().filter(|word| word["negated"] != true).filter_map(|word| word["category"].as_str());
            self.used(call_ms, said.map(str::to_owned).collect());
            let intents = step["words"]["intents"].as_array().filter(|_| self.is_chat).into_iter().flatten();
            let intents = intents.filter_map(Value::as_str).map(str::to_owned);
            self.events.extend(intents.map(|intent| (call_ms, Event::Said { intent })));
        }
    }

    pub(super) fn set_scenario(&mut self, scenario: &str) {
        scenario.clone_into(&mut self.scenario);
    }

    fn happened(&mut self, call_ms: u64, what: What) {
        match what {
            What::Observed { party, emotion, level, anger, trend_per_s, words, .. } => {
                let event = mood(&emotion.into(), &level.into(), &anger.into(), &trend_per_s.into());
                let event = if party == "caller" { event } else { Some(Event::OtherSpoke) };
                self.events.extend(event.map(|event| (call_ms, event)));
                // Told with every step while they count: once is enough.
                if let Some(words) = words.filter(|words| party == "caller" && self.words_ms != Some(words.until_ms)) {
                    self.words_ms = Some(words.until_ms);
                    let found = words.found.into_iter().filter(|word| !word.negated);
                    self.used(call_ms, found.map(|word| word.category).collect());
                    let intents = words.intents.into_iter().filter(|_| self.is_chat);
                    self.events.extend(intents.map(|intent| (call_ms, Event::Said { intent })));
                }
            }
            What::Said { party, is_final: true, phrases, crosstalk: false, .. } if party == "caller" => {
                let said = phrases.into_iter().map(|phrase| (call_ms, Event::Said { intent: phrase.intent }));
                self.events.extend(said);
            }
            What::LanguageFound(found) if found.party == "caller" => {
                let spoken = Language::ALL.into_iter().find(|language| language.as_str() == found.heard_in);
                self.events.extend(spoken.map(|language| (call_ms, Event::Speaks { language })));
            }
            What::Interrupted { party, times } if party == "caller" => {
                self.events.push((call_ms, Event::Interrupted { times }));
            }
            What::ComplianceBreached(breach) => self.events.push((call_ms, Event::Breached { rule: breach.rule })),
            What::KeyPressed { party, key, .. } if party == "caller" => {
                let key = key.chars().next().filter(|key| "0123456789*#ABCD".contains(*key));
                self.events.extend(key.map(|key| (call_ms, Event::Key { key })));
            }
            What::Rerouted { .. } => self.events.push((call_ms, Event::Rerouted)),
            What::RerouteFailed { reason, .. } => self.events.push((call_ms, Event::RerouteFailed { reason })),
            _ => {}
        }
    }

    fn used(&mut self, call_ms: u64, mut categories: Vec<String>) {
        categories.sort_unstable();
        categories.dedup();
        if !categories.is_empty() {
            self.events.push((call_ms, Event::Words { categories }));
        }
    }

    /// The call as a story; `None` for one that was never answered.
    pub(super) fn into_interaction(self, zone: Option<&Zone>) -> Option<Interaction> {
        let answered_ms = self.answered_ms?;
        let since = |call_ms: u64| Duration::from_millis(call_ms.saturating_sub(answered_ms));
        let mut events: Vec<(Duration, Event)> =
            self.events.into_iter().map(|(at, event)| (since(at), event)).collect();
        events.sort_by_key(|(at, _)| *at);
        let answered = self.started.map(|started| started + Duration::from_millis(answered_ms));
        let opening = Opening {
            scenario: self.scenario,
            language: None,
            channel: Some(self.channel.unwrap_or_else(|| "phone".to_owned())),
            id: self.id.clone(),
            caller: self.caller,
            waited: Duration::from_millis(answered_ms),
            emotion_holds: self.is_chat.then_some(MOOD_HOLDS),
        };
        let local = zone.zip(answered).and_then(|(zone, answered)| zone.local(answered));
        let story = Story { opening, local, events };
        Some(Interaction {
            name: self.id,
            lasted: since(self.ended_ms),
            best: None,
            escalates: Some(escalated_at(&story)),
            template: None,
            held_out: false,
            recorded: Some(self.decided),
            story,
        })
    }
}

fn mood(emotion: &Value, level: &Value, score: &Value, trend_per_s: &Value) -> Option<Event> {
    let emotion = Emotion::ALL.into_iter().find(|each| Some(each.as_str()) == emotion.as_str())?;
    let level = Level::ALL.into_iter().find(|each| Some(each.as_str()) == level.as_str())?;
    let (score, trend_per_s) = (score.as_f64()? as f32, trend_per_s.as_f64().unwrap_or_default() as f32);
    Some(Event::Emotion { emotion, level, score, trend_per_s })
}
