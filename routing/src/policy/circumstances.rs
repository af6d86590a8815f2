//! The `while` of rules: what must be so at the moment when a rule fires.
//!
//! Only the reading; whether it is so is the engine's. What is not known is never so; of `not`, it is.

use std::time::Duration;

use toml::Value;

use super::when::BREACHES;
use super::{SAID_MAX, choice, one_of, seconds};
use crate::section::{Section, list, name, number, text, whole};
use crate::{Day, Emotion, FACT_CHARS_MAX, FACT_KINDS, Fact, Level, TimeSpan, is_fact_name};

/// Time spans, channels, or values of one fact that one rule names.
const LIST_MAX: usize = 20;

/// What must be so besides what the rule waits for: all of it together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Circumstances {
    /// The caller's leading emotion.
    pub emotion: Option<Emotion>,
    /// The caller's anger has this level or a higher one.
    pub level: Option<Level>,
    /// The caller has said one of these by now; none: whatever was said.
    pub said: Vec<String>,
    /// The caller has used words of one of these categories by now; none: whatever words.
    pub words: Vec<String>,
    /// Whoever serves has broken one of these compliance rules by now; none: whatever was broken.
    pub breach: Vec<String>,
    /// The caller has interrupted so often in the present conversation.
    pub interruptions: Option<u32>,
    /// The caller has said one and the same thing so often.
    pub repeats: Option<u32>,
    /// Nobody who is listened to has been heard for this long.
    pub silence: Option<Duration>,
    /// The caller has waited for this long, all in all.
    pub waited: Option<Duration>,
    /// The call was answered this long ago.
    pub talked: Option<Duration>,
    /// The local time is in one of these; none: at any time.
    pub hours: Vec<TimeSpan>,
    /// It is one of these days; none: any.
    pub days: Vec<Day>,
    /// The call came by one of these; none: any way.
    pub channels: Vec<String>,
    /// The caller's audio is this bad or worse, mean opinion of one who listens.
    pub mos_at_most: Option<f32>,
    /// At least so much of the caller's audio is lost, 0-1.
    pub loss_at_least: Option<f32>,
    /// Facts of customer and order by name, and what they must say.
    pub facts: Vec<(String, Wanted)>,
}

/// What a fact must say.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// One of these.
    OneOf(Vec<Fact>),
    /// None of these; nothing at all will do, too.
    NoneOf(Vec<Fact>),
    /// A number between these, both included.
    Between {
        /// The least.
        at_least: Option<f64>,
        /// The most.
        at_most: Option<f64>,
    },
}

impl Wanted {
    /// Whether what is known says that, as far as anything is.
    pub fn fits(&self, known: Option<&Fact>) -> bool {
        match (self, known) {
            (Wanted::OneOf(values), Some(fact)) => values.contains(fact),
            (Wanted::NoneOf(values), fact) => fact.is_none_or(|fact| !values.contains(fact)),
            (Wanted::Between { at_least, at_most }, Some(Fact::Number(number))) => {
                at_least.is_none_or(|least| *number >= least) && at_most.is_none_or(|most| *number <= most)
            }
            (Wanted::OneOf(_), None) | (Wanted::Between { .. }, _) => false,
        }
    }
}

/// Reads the table `while`; nothing that must be so when it is not there.
pub(super) fn read(section: &mut Section<'_>) -> Circumstances {
    let emotion =
        section.read("emotion", one_of(&Emotion::ALL, Emotion::as_str), choice(&Emotion::ALL, Emotion::as_str));
    let level = section.read("level", one_of(&Level::ALL, Level::as_str), choice(&Level::ALL, Level::as_str));
    let intents = format!("a list of 1-{SAID_MAX} intents of the phrase lists");
    let said = section.read("said", intents, list(SAID_MAX, name)).unwrap_or_default();
    let categories = format!("a list of 1-{SAID_MAX} categories of the lexicons");
    let words = section.read("words", categories, list(SAID_MAX, name)).unwrap_or_default();
    let breach = section.read("breach", BREACHES, list(SAID_MAX, name)).unwrap_or_default();
    let interruptions = section.read("interruptions", "a whole number from 1 to 100", whole(1..=100));
    let repeats = section.read("repeats", "a whole number from 2 to 100", whole(2..=100));
    let silence = section.read("silence_s", "seconds, 1-86400", seconds(1.0));
    let waited = section.read("waited_s", "seconds, 1-86400", seconds(1.0));
    let talked = section.read("talked_s", "seconds, 1-86400", seconds(1.0));
    let hours = "a list of 1-20 times like \"09:00-18:00\"";
    let hours = section.read("hours", hours, list(LIST_MAX, |value| TimeSpan::parse(value.as_str()?)));
    let days = section.read(
        "days",
        format!("a list of {}", one_of(&Day::ALL, Day::as_str)),
        list(Day::ALL.len(), choice(&Day::ALL, Day::as_str)),
    );
    let channels = section.read("channels", "a list of 1-20 channels, e.g. \"phone\"", list(LIST_MAX, name));
    let mos = section.read("mos_at_most", "a number from 1 to 5", number(1.0..=5.0));
    let loss = section.read("loss_at_least", "a number from 0 to 1", number(0.0..=1.0));
    let mut facts = Vec::new();
    for kind in FACT_KINDS {
        let mut about = section.section(kind);
        read_facts(&mut about, kind, &mut facts);
        about.finish();
    }
    let count = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    Circumstances {
        emotion,
        level,
        said,
        words,
        breach,
        interruptions: count(interruptions),
        repeats: count(repeats),
        silence,
        waited,
        talked,
        hours: hours.unwrap_or_default(),
        days: days.unwrap_or_default(),
        channels: channels.unwrap_or_default(),
        mos_at_most: mos.map(|mos| mos as f32),
        loss_at_least: loss.map(|loss| loss as f32),
        facts,
    }
}

/// What must be known of the customer, or of the order: whatever names the customer's systems have.
fn read_facts(section: &mut Section<'_>, kind: &str, facts: &mut Vec<(String, Wanted)>) {
    for (key, value) in section.take_all() {
        let name = format!("{kind}.{key}");
        if !is_fact_name(&name) {
            section.fault(key, "this name", "1-32 of a-z, 0-9 and _");
        } else if let Some(wanted) = wanted(value) {
            facts.push((name, wanted));
        } else {
            let expected = "a text, a number, true or false; a list of 1-20 of them; { not = … } of these; \
                            or { at_least = …, at_most = … }";
            section.fault(key, crate::section::shown(value), expected);
        }
    }
}

fn wanted(value: &Value) -> Option<Wanted> {
    if let Some(table) = value.as_table() {
        if let Some(not) = table.get("not").filter(|_| table.len() == 1) {
            return facts_of(not).map(Wanted::NoneOf);
        }
        let known = table.keys().all(|key| key == "at_least" || key == "at_most");
        let bound = |key: &str| table.get(key).map(|bound| number(f64::MIN..=f64::MAX)(bound));
        let (at_least, at_most) = (bound("at_least"), bound("at_most"));
        let numbers = at_least != Some(None) && at_most != Some(None);
        let wanted = Wanted::Between { at_least: at_least.flatten(), at_most: at_most.flatten() };
        return (known && numbers && !table.is_empty()).then_some(wanted);
    }
    facts_of(value).map(Wanted::OneOf)
}

/// One fact, or a list of them.
fn facts_of(value: &Value) -> Option<Vec<Fact>> {
    let one = fact(value).map(|fact| vec![fact]);
    one.or_else(|| list(LIST_MAX, fact)(value))
}

/// A fact as policies write it.
pub(super) fn fact(value: &Value) -> Option<Fact> {
    match value {
        Value::Boolean(flag) => Some(Fact::Flag(*flag)),
        Value::String(_) => text(FACT_CHARS_MAX)(value).map(Fact::Text),
        _ => number(f64::MIN..=f64::MAX)(value).map(Fact::Number),
    }
}
