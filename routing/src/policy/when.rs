//! The `when` of rules: the one thing that a rule waits for, and the faults it can have.
//!
//! What must be so besides is in `circumstances`.

use std::time::Duration;

use super::circumstances::Circumstances;
use super::then::keys;
use super::{Feeling, File, KEYS_MAX, NAME, SAID_MAX, Trigger, When, choice, one_of, seconds};
use crate::section::{Section, list, name, number, whole};
use crate::{Emotion, Level};

/// The keys that say what a rule waits for, and those that stand beside each.
const TRIGGERS: [(&str, &[&str]); 10] = [
    ("interruptions", &[]),
    ("said", &[]),
    ("words", &[]),
    ("repeats", &["of"]),
    ("silence_s", &[]),
    ("waited_s", &[]),
    ("breach", &[]),
    ("warned", &[]),
    ("keys", &["key"]),
    FEELING,
];
/// What a rule waits for that says nothing else.
const FEELING: (&str, &[&str]) = ("emotion", &["level", "score_at_least", "lasted_s", "trend_at_least"]);

/// Reads the conditions of a rule; its circumstances stand in a table of their own.
pub(super) fn read(section: &mut Section<'_>, file: &File) -> Option<When> {
    let scenario = section.read("scenario", NAME, name);
    file.check_scenario(section, scenario.as_ref());
    let stands = |section: &Section<'_>, (own, beside): (&str, &[&str])| {
        section.has(own) || (own == "keys" && beside.iter().any(|key| section.has(key)))
    };
    let chosen = TRIGGERS.into_iter().find(|trigger| stands(section, *trigger)).unwrap_or(FEELING);
    stands_alone(section, chosen);
    let trigger = match chosen.0 {
        "interruptions" => {
            let times = section.read("interruptions", "a whole number from 1 to 100", whole(1..=100));
            times.and_then(|times| u32::try_from(times).ok()).map(Trigger::Interrupts)
        }
        "said" => section.read("said", INTENTS, list(SAID_MAX, name)).map(Trigger::Says),
        "words" => {
            let expected = "a list of 1-20 categories of the lexicons";
            section.read("words", expected, list(SAID_MAX, name)).map(Trigger::Words)
        }
        "repeats" => {
            let times = section.read("repeats", "a whole number from 2 to 100", whole(2..=100));
            let of = section.read("of", INTENTS, list(SAID_MAX, name)).unwrap_or_default();
            times.and_then(|times| u32::try_from(times).ok()).map(|times| Trigger::Repeats { times, of })
        }
        "silence_s" => section.read("silence_s", "seconds, 1-86400", seconds(1.0)).map(Trigger::Silent),
        "waited_s" => section.read("waited_s", "seconds, 1-86400", seconds(1.0)).map(Trigger::Waits),
        "breach" => section.read("breach", BREACHES, list(SAID_MAX, name)).map(Trigger::Breached),
        "warned" => {
            section.read("warned", "true", |value| value.as_bool().filter(|warned| *warned)).map(|_| Trigger::Warned)
        }
        "keys" => read_keys(section).map(Trigger::Presses),
        _ => read_feeling(section).map(Trigger::Feels),
    };
    Some(When { trigger: trigger?, scenario, circumstances: Circumstances::default() })
}

const INTENTS: &str = "a list of 1-20 intents of the phrase lists";
/// What can stand in `breach`, of `when` and of `while`.
pub(super) const BREACHES: &str = "a list of 1-20 ids of compliance rules";

/// Faults every key of another trigger.
fn stands_alone(section: &mut Section<'_>, chosen: (&'static str, &'static [&'static str])) {
    for (own, beside) in TRIGGERS.into_iter().filter(|(own, _)| *own != chosen.0) {
        for key in std::iter::once(own).chain(beside.iter().copied()) {
            if section.has(key) {
                let expected = "one thing that the rule waits for in `when`, and in `while` what must be so besides";
                section.fault(key, format!("it beside {}", chosen.0), expected);
            }
            section.read(key, "", Some);
        }
    }
}

fn read_keys(section: &mut Section<'_>) -> Option<String> {
    let one = section.read("key", "one key: 0-9, *, # or A-D", keys(1));
    let several = section.read("keys", format!("1-{KEYS_MAX} keys: 0-9, *, # or A-D"), keys(KEYS_MAX));
    if section.has("key") && section.has("keys") {
        section.fault("keys", "both key and keys", "one of them");
    }
    one.or(several)
}

fn read_feeling(section: &mut Section<'_>) -> Option<Feeling> {
    let emotion =
        section.need("emotion", one_of(&Emotion::ALL, Emotion::as_str), choice(&Emotion::ALL, Emotion::as_str));
    let level = section.read("level", one_of(&Level::ALL, Level::as_str), choice(&Level::ALL, Level::as_str));
    let score = section.read("score_at_least", "a number from 0 to 1", number(0.0..=1.0));
    let lasted = section.read("lasted_s", "seconds, 0-3600", number(0.0..=3600.0));
    let trend = section.read("trend_at_least", "a number from -10 to 10 (score per second)", number(-10.0..=10.0));
    if emotion.is_some_and(|emotion| emotion != Emotion::Anger) {
        for key in ["level", "score_at_least", "trend_at_least"] {
            if section.has(key) {
                section.fault(
                    key,
                    "it beside another emotion",
                    "emotion = \"anger\": levels and scores are those of anger",
                );
            }
        }
    }
    Some(Feeling {
        emotion: emotion?,
        level: level.unwrap_or(Level::Low),
        score_at_least: score.unwrap_or(0.0) as f32,
        lasted: Duration::from_secs_f64(lasted.unwrap_or(0.0)),
        trend_at_least: trend.map(|trend| trend as f32),
    })
}
