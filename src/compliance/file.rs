//! A file of compliance phrases as an operator writes it, with every fault named. Looks at nothing but its text.

use std::collections::BTreeSet;
use std::time::Duration;

use routing::Fault;
use routing::section::{Section, list, name, number, parse_table, text, whole};
use toml::Value;

use super::{Duty, EVERY, Moment, Rule};

/// Phrases, excuses or occasions of one rule, each.
const PHRASES_MAX: usize = 100;
const PHRASE_CHARACTERS_MAX: usize = 60;
const TEXT_CHARACTERS_MAX: usize = 200;
const NAMES_MAX: usize = 20;
/// How long a conversation must have been before its end is looked at, unless the file says otherwise.
const TALKED_S: f64 = 30.0;

/// Reads a file from its text.
///
/// # Errors
/// Every fault in it.
pub fn parse(text: &str) -> Result<Vec<Rule>, Vec<Fault>> {
    let table = parse_table(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let mut root = Section::root(&table, &mut faults);
    root.read("schema", "1, the language of this version", whole(1..=1));
    let scenarios = root.need("scenarios", SCENARIOS, list(NAMES_MAX, scenario)).unwrap_or_default();
    let (mut rules, mut ids) = (Vec::new(), BTreeSet::new());
    for key in ["never_say", "must_say"] {
        root.each(key, |section| {
            let Some(rule) = read_rule(section, key, &scenarios) else { return };
            if !ids.insert(rule.id.clone()) {
                section.fault("id", format!("\"{}\", once more", rule.id), "an id of its own");
            }
            rules.push(rule);
        });
    }
    if rules.is_empty() && !root.has_faults() {
        root.fault("never_say", "nothing", "a [[never_say]] or a [[must_say]] at least");
    }
    root.finish();
    if faults.is_empty() { Ok(rules) } else { Err(faults) }
}

fn read_rule(section: &mut Section<'_>, kind: &str, usual: &[String]) -> Option<Rule> {
    let id = section.need("id", NAME, name);
    let told =
        section.need("text", format!("1-{TEXT_CHARACTERS_MAX} characters on one line"), text(TEXT_CHARACTERS_MAX));
    let phrases = section.need("phrases", PHRASES, phrases);
    let unless = section.read("unless", PHRASES, self::phrases).unwrap_or_default();
    let own = section.read("scenarios", SCENARIOS, list(NAMES_MAX, scenario));
    let targets = section.read("targets", format!("a list of 1-{NAMES_MAX} names of targets"), list(NAMES_MAX, name));
    let duty = if kind == "must_say" { read_moment(section).map(Duty::MustSay) } else { Some(Duty::NeverSay) };
    Some(Rule {
        id: id?,
        text: told?,
        duty: duty?,
        phrases: phrases?,
        unless,
        scenarios: own.unwrap_or_else(|| usual.to_vec()),
        targets: targets.unwrap_or_default(),
    })
}

/// By when something must be said: one of three moments.
fn read_moment(section: &mut Section<'_>) -> Option<Moment> {
    let span = |seconds: f64| Duration::from_secs_f64(seconds);
    let opening = section.read("opening_s", "seconds, 1-600", number(1.0..=600.0));
    let end = section.read("before_end", "true", |value| value.as_bool().filter(|end| *end));
    let talked = section.read("talked_s", "seconds, 1-3600, beside before_end", number(1.0..=3_600.0));
    let after = section.read("after", PHRASES, phrases);
    let within = section.read("within_s", "seconds, 1-600, beside after", number(1.0..=600.0));
    let moments = [section.has("opening_s"), section.has("before_end"), section.has("after")];
    if moments.iter().filter(|there| **there).count() != 1 {
        let found = if moments.contains(&true) { "several moments" } else { "no moment" };
        section.fault("", found, "one of opening_s, before_end = true, or after with within_s");
        return None;
    }
    for (key, beside) in [("talked_s", "before_end"), ("within_s", "after")] {
        if section.has(key) && !section.has(beside) {
            section.fault(key, format!("it without {beside}"), format!("{beside} beside it"));
        }
    }
    if section.has("after") && !section.has("within_s") {
        section.fault("within_s", "nothing", "seconds, 1-600: how soon after");
    }
    let end = end.map(|_| Moment::End(span(talked.unwrap_or(TALKED_S))));
    let after = after.zip(within).map(|(occasions, seconds)| Moment::After(occasions, span(seconds)));
    opening.map(|seconds| Moment::Opening(span(seconds))).or(end).or(after)
}

/// A list of phrases, each with something in it that can be looked for.
fn phrases(value: &Value) -> Option<Vec<String>> {
    let phrases = list(PHRASES_MAX, text(PHRASE_CHARACTERS_MAX))(value)?;
    let fits = |phrase: &String| {
        let plain: String = nlu::text::normalized(phrase).collect();
        !plain.is_empty() && plain.trim() == plain
    };
    phrases.iter().all(fits).then_some(phrases)
}

fn scenario(value: &Value) -> Option<String> {
    if value.as_str() == Some(EVERY) { Some(EVERY.to_owned()) } else { name(value) }
}

const NAME: &str = "1-64 letters, digits, \"-\", \"_\" or \".\"";
const SCENARIOS: &str = "a list of 1-20 scenario names, or [\"*\"]";
const PHRASES: &str = "a list of 1-100 phrases of 1-60 characters, without spaces around them";
