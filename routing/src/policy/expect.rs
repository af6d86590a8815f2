//! Calls written down as operators write them: the `[[expect]]` blocks of policies, and the `[[interaction]]`s of sets.
//!
//! Only the reading; `story` plays them.

use std::time::Duration;

use super::circumstances::fact;
use super::{ANY_SCENARIO, File, NAME, choice, one_of};
use crate::facts::minute_of;
use crate::section::{Section, list, name, number, text, whole};
use crate::story::Story;
use crate::{Day, Emotion, Event, FACT_KINDS, Language, Level, LocalTime, Opening, is_fact_name};

/// Expectations of one policy.
const EXPECTS_MAX: usize = 500;
/// Events of one call: more than an hour of speech.
const EVENTS_MAX: usize = 10_000;
/// The time between two observations of one who speaks.
const STEP: Duration = Duration::from_millis(500);

/// One `[[expect]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// What is expected, in words.
    pub name: String,
    /// The call.
    pub story: Story,
    /// What must be decided, in this order; other decisions may come between.
    pub then: Vec<String>,
    /// What must not be decided.
    pub never: Vec<String>,
    /// Nothing may be decided but what `then` names.
    pub only: bool,
    /// The service at the end.
    pub service: Option<String>,
}

pub(super) fn read_expects(root: &mut Section<'_>, file: &File) -> Vec<Expect> {
    let mut expects = Vec::new();
    root.each("expect", |section| expects.extend(read_expect(section, file)));
    if expects.len() > EXPECTS_MAX {
        root.fault("expect", format!("{} of them", expects.len()), format!("at most {EXPECTS_MAX}"));
    }
    expects
}

fn read_expect(section: &mut Section<'_>, file: &File) -> Option<Expect> {
    let (own_name, story) = read_call(section, file);
    let ids = "a list of ids of rules, steps (ID/1), fallbacks or services";
    let then = section.read("then", ids, list(50, id)).unwrap_or_default();
    let never = section.read("never", ids, list(50, id)).unwrap_or_default();
    let only = section.read("only", "true or false", toml::Value::as_bool).unwrap_or(false);
    let service = section.read("service", "the id of a service", name);
    Some(Expect { name: own_name?, story, then, never, only, service })
}

/// The name of a call, and how it goes.
pub(crate) fn read_call(section: &mut Section<'_>, file: &File) -> (Option<String>, Story) {
    let own_name = section.need("name", "1-200 characters on one line", text(200));
    let scenario = section.read("scenario", NAME, name);
    file.check_scenario(section, scenario.as_ref());
    let first = file.scenarios.iter().flatten().find(|own| *own != ANY_SCENARIO).cloned();
    let language =
        section.read("language", one_of(&Language::ALL, Language::as_str), choice(&Language::ALL, Language::as_str));
    let channel = section.read("channel", NAME, name);
    let caller = section.read("caller", "1-64 characters that stand for a caller", text(64));
    let day = section.read("day", one_of(&Day::ALL, Day::as_str), choice(&Day::ALL, Day::as_str));
    let time = section.read("time", "a time like \"21:30\"", |value| minute_of(value.as_str()?));
    let waited = section.read("waited_s", "seconds before the answer, 0-86400", number(0.0..=86_400.0));
    let mut events = Vec::new();
    section.each("events", |event| read_event(event, &mut events));
    if events.len() > EVENTS_MAX {
        let expected = format!("at most {EVENTS_MAX} in steps of 0.5 s");
        section.fault("events", format!("{} of them", events.len()), expected);
    }
    events.sort_by_key(|(at, _)| *at);
    let opening = Opening {
        scenario: scenario.or(first).unwrap_or_default(),
        language,
        channel,
        id: own_name.clone().unwrap_or_default(),
        caller,
        waited: Duration::from_secs_f64(waited.unwrap_or_default()),
        emotion_holds: None,
    };
    let local = time.map(|minute| LocalTime { day: day.unwrap_or(Day::Monday), minute: minute % 1_440 });
    (own_name, Story { opening, local, events })
}

/// An id, also of a step: `ID/1`.
fn id(value: &toml::Value) -> Option<String> {
    let whole = text(80)(value)?;
    let plain = whole.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c));
    plain.then_some(whole)
}

/// The keys of which one says what happens.
const EVENTS: [&str; 13] = [
    "emotion",
    "key",
    "said",
    "words",
    "breach",
    "interruptions",
    "other_spoke",
    "mos",
    "loss",
    "customer",
    "order",
    "warned",
    "reroute",
];

fn read_event(section: &mut Section<'_>, events: &mut Vec<(Duration, Event)>) {
    let at = section.need("at_s", "seconds since the answer, 0-86400", number(0.0..=86_400.0));
    let at = Duration::from_secs_f64(at.unwrap_or_default());
    let before = events.len();
    read_mood(section, at, events);
    let key = section.read("key", "one key: 0-9, *, # or A-D", super::then::keys(1));
    events.extend(key.and_then(|key| key.chars().next()).map(|key| (at, Event::Key { key })));
    events.extend(section.read("said", "an intent", name).map(|intent| (at, Event::Said { intent })));
    let words = section.read("words", "a list of 1-20 categories of the lexicons", list(20, name));
    events.extend(words.map(|categories| (at, Event::Words { categories })));
    let breach = section.read("breach", "the id of a compliance rule", name);
    events.extend(breach.map(|rule| (at, Event::Breached { rule })));
    let times = section.read("interruptions", "a whole number from 1 to 100", whole(1..=100));
    let times = times.and_then(|times| u32::try_from(times).ok());
    events.extend(times.map(|times| (at, Event::Interrupted { times })));
    read_other(section, at, events);
    let mos = section.read("mos", "a number from 1 to 5", number(1.0..=5.0)).map(|mos| mos as f32);
    let loss = section.read("loss", "a number from 0 to 1", number(0.0..=1.0)).map(|loss| loss as f32);
    if mos.is_some() || loss.is_some() {
        events.push((at, Event::Quality { mos, loss }));
    }
    for kind in FACT_KINDS {
        read_facts(section, kind, at, events);
    }
    let warned = section.read("warned", "a number from 0 to 1", number(0.0..=1.0));
    events.extend(warned.map(|score| (at, Event::Warned { score: score as f32, evidence: Vec::new() })));
    let reroute = section.read("reroute", "\"failed\" or \"done\"", |value| match value.as_str()? {
        "failed" => Some(Event::RerouteFailed { reason: "failed".to_owned() }),
        "done" => Some(Event::Rerouted),
        _ => None,
    });
    events.extend(reroute.map(|event| (at, event)));
    if events.len() == before && !EVENTS.iter().any(|key| section.has(key)) {
        section.fault("", "nothing that happens", format!("one of {}", EVENTS.join(", ")));
    }
}

/// A mood, for as long as it lasts: one observation every half second. With `share`, only that part of the time; the rest
/// is neutral.
fn read_mood(section: &mut Section<'_>, at: Duration, events: &mut Vec<(Duration, Event)>) {
    let emotion =
        section.read("emotion", one_of(&Emotion::ALL, Emotion::as_str), choice(&Emotion::ALL, Emotion::as_str));
    let level = section.read("level", one_of(&Level::ALL, Level::as_str), choice(&Level::ALL, Level::as_str));
    let score = section.read("score", "a number from 0 to 1", number(0.0..=1.0));
    let trend = section.read("trend", "a number from -10 to 10", number(-10.0..=10.0)).unwrap_or(0.0);
    let share = section.read("share", "a number from 0 to 1", number(0.0..=1.0)).unwrap_or(1.0);
    let lasts = section.read("lasts_s", "seconds, 0-600", number(0.0..=600.0)).unwrap_or(0.0);
    // Too many are told of as they are: they need not all be there for that.
    let Some(emotion) = emotion.filter(|_| events.len() <= EVENTS_MAX) else { return };
    let level = level.unwrap_or(Level::Low);
    let score = score.map_or([0.1, 0.5, 0.8][level as usize], |score| score as f32);
    let steps = (lasts / STEP.as_secs_f64()) as u32;
    events.extend((0..=steps).map(|step| {
        let event = if is_dealt(step / RUN_STEPS, share) {
            Event::Emotion { emotion, level, score, trend_per_s: trend as f32 }
        } else {
            Event::Emotion { emotion: Emotion::Neutral, level: Level::Low, score: 0.1, trend_per_s: 0.0 }
        };
        (at + step * STEP, event)
    }));
}

/// The other side speaks: at one moment, or for some seconds, heard every half second.
fn read_other(section: &mut Section<'_>, at: Duration, events: &mut Vec<(Duration, Event)>) {
    let seconds = section.read("other_spoke", "true, or for how many seconds, 0-600", |value| {
        if value.as_bool() == Some(true) { Some(0.0) } else { number(0.0..=600.0)(value) }
    });
    // As of moods: too many need not all be there.
    let Some(seconds) = seconds.filter(|_| events.len() <= EVENTS_MAX) else { return };
    let steps = (seconds / STEP.as_secs_f64()) as u32;
    events.extend((0..=steps).map(|step| (at + step * STEP, Event::OtherSpoke)));
}

/// Whether a run gets the mood: spread as evenly as can be, by multiples of the golden ratio.
fn is_dealt(run: u32, share: f64) -> bool {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (f64::from(run) * GOLDEN + 0.5).fract() < share
}

/// Observations in a row that are dealt together: moods last for 3 s at least.
const RUN_STEPS: u32 = 6;

fn read_facts(section: &mut Section<'_>, kind: &'static str, at: Duration, events: &mut Vec<(Duration, Event)>) {
    let mut about = section.section(kind);
    for (key, value) in about.take_all() {
        let name = format!("{kind}.{key}");
        match fact(value).filter(|_| is_fact_name(&name)) {
            Some(fact) => events.push((at, Event::Fact { name, value: Some(fact) })),
            None => about.fault(key, crate::section::shown(value), "a text, a number, true or false"),
        }
    }
    about.finish();
}
