//! The `then` of rules: what is to be done, and the faults it can have.
//!
//! Reads only; whether a target, a prompt or a PBX of that name exists is the program's to check.

use toml::Value;

use super::{
    ACTIONS_MAX, File, SAYING_CHARS_MAX, Script, WAYS_MAX, choice, is_prompt_file, is_saying, one_of, seconds,
};
use crate::section::{Section, list, name, text};
use crate::{Action, Hold, Language, PlayMode, Route, SecureInput, Severity, Until, Whisper};

pub(super) fn read_actions(section: &mut Section<'_>, file: &File) -> Vec<Action> {
    let mut actions = Vec::new();
    section.each("then", |action| actions.extend(read_action(action, file)));
    if !section.has("then") {
        section.fault("then", "nothing", "a list of actions");
    }
    if actions.len() > ACTIONS_MAX {
        section.fault("then", format!("{} actions", actions.len()), format!("at most {ACTIONS_MAX}"));
    }
    let count = |kind: fn(&Action) -> bool| actions.iter().filter(|action| kind(action)).count();
    let prompts = count(|action| matches!(action, Action::Prompt { .. } | Action::Say { .. } | Action::Script { .. }));
    let reroutes = count(|action| matches!(action, Action::Reroute { .. }));
    for (count, kind) in [(prompts, "\"prompt\" or \"say\""), (reroutes, "\"reroute\"")] {
        if count > 1 {
            section.fault("then", format!("{count} actions with {kind}"), "at most one");
        }
    }
    actions
}

/// The keys that name an action.
const ACTIONS: [&str; 7] = ["prompt", "say", "reroute", "alert", "secure_input", "announce", "notify"];
/// The keys that stand beside one of those.
const DETAILS: [&str; 9] = ["mode", "until", "target", "hold", "whisper", "within_s", "pbx", "text", "end_key"];

/// An action is named by its main key.
fn read_action(section: &mut Section<'_>, file: &File) -> Option<Action> {
    let named: Vec<&str> = ACTIONS.into_iter().filter(|key| section.has(key)).collect();
    match *named.as_slice() {
        ["prompt"] => {
            let file = section.need("prompt", PROMPT_FILE, prompt_file);
            let (mode, until) = read_playing(section);
            Some(Action::Prompt { file: file?, mode: mode?, until })
        }
        ["say"] => read_say(section, file),
        ["reroute"] => read_reroute(section),
        ["announce"] => {
            let media = section.need("announce", "what the PBX plays, 1-200 characters in its own words", text(200));
            let pbx = section.need("pbx", "the name of a [pbx.NAME]", name);
            Some(Action::Announce { pbx: pbx?, media: media? })
        }
        ["notify"] => {
            let pbx = section.need("notify", "the name of a [pbx.NAME] that is a webhook, or of a [crm.NAME]", name);
            Some(Action::Notify { pbx: pbx? })
        }
        ["alert"] => {
            let severity = section.need(
                "alert",
                one_of(&Severity::ALL, Severity::as_str),
                choice(&Severity::ALL, Severity::as_str),
            );
            let words = section.need("text", "1-500 characters on one line", text(500));
            Some(Action::Alert { severity: severity?, text: words? })
        }
        ["secure_input"] => {
            let on = section.need("secure_input", "\"on\" or \"off\"", on_or_off);
            let end_key = section.read("end_key", "one key: 0-9, *, # or A-D", keys(1));
            if on == Some(false) && section.has("end_key") {
                section.fault("end_key", "it beside secure_input = \"off\"", "it beside secure_input = \"on\" only");
            }
            let end_key = end_key.and_then(|keys| keys.chars().next()).unwrap_or(END_KEY);
            Some(Action::SecureInput(if on? { SecureInput::On { end_key } } else { SecureInput::Off }))
        }
        _ => {
            // Name the other keys too, so that only the real mistake is reported.
            for key in ACTIONS.into_iter().chain(DETAILS) {
                section.read(key, "", Some);
            }
            let expected = format!("exactly one of {}", ACTIONS.join(", "));
            section.fault("", "no action, or several in one table", expected);
            None
        }
    }
}

fn read_reroute(section: &mut Section<'_>) -> Option<Action> {
    let own: Vec<&str> = Route::OWN.iter().map(Route::as_str).collect();
    let expected =
        format!("a way or a list of 1-{WAYS_MAX} ways, best first: {}, or the name of a [pbx.NAME]", own.join(", "));
    let ways = section.need("reroute", expected, ways);
    let target = section.need("target", "the name of a target", name);
    let hold = section.read("hold", format!("\"{RINGBACK}\", or {PROMPT_FILE}"), hold);
    let within = section.read("within_s", "seconds, 1-86400", seconds(1.0));
    let calls = |way: &Route| matches!(way, Route::Bridge | Route::Attended);
    if ways.as_ref().is_some_and(|ways| !ways.iter().any(calls)) && section.has("hold") {
        section.fault(
            "hold",
            "it beside ways that let others call the target",
            "it beside \"bridge\" or \"attended\": otherwise the PBX decides",
        );
    }
    let whisper = read_whisper(section);
    if ways.as_ref().is_some_and(|ways| !ways.contains(&Route::Bridge)) && section.has("whisper") {
        let found = "it beside ways in which the PBX calls the target";
        section.fault("whisper", found, "it beside \"bridge\": otherwise the PBX decides");
    }
    Some(Action::Reroute { ways: ways?, target: target?, hold, within, whisper })
}

fn read_say(section: &mut Section<'_>, file: &File) -> Option<Action> {
    let (mode, until) = read_playing(section);
    let scripted = section.table("say").is_some_and(|say| say.contains_key("script"));
    if scripted {
        let mut say = section.section("say");
        let id = say.need("script", "the id of a [[script]]", name);
        let script = id.as_ref().and_then(|id| file.script(&mut say, "script", id)).cloned();
        say.finish();
        let Script { id, texts, sounds } = script?;
        return Some(Action::Script { id, texts, sounds, mode: mode?, until });
    }
    let (text, language) = read_words(section.section("say"))?;
    Some(Action::Say { text, language, mode: mode?, until })
}

/// A text and its language.
fn read_words(mut words: Section<'_>) -> Option<(String, Language)> {
    if !words.is_present() {
        words.finish();
        return None;
    }
    let expected = format!("1-{SAYING_CHARS_MAX} characters on one line; {{NAME}} stands for a header of the INVITE");
    let spoken = words.need("text", expected, |value| text(SAYING_CHARS_MAX)(value).filter(|text| is_saying(text)));
    let language =
        words.need("language", one_of(&Language::ALL, Language::as_str), choice(&Language::ALL, Language::as_str));
    words.finish();
    Some((spoken?, language?))
}

/// A file or a text that only the target of a bridge hears.
fn read_whisper(section: &mut Section<'_>) -> Option<Whisper> {
    if section.has_table("whisper") {
        let (text, language) = read_words(section.section("whisper"))?;
        return Some(Whisper::Say { text, language });
    }
    let expected = format!("{PROMPT_FILE}, or a table with text and language");
    section.read("whisper", expected, prompt_file).map(Whisper::File)
}

/// What prompts and spoken texts have in common.
fn read_playing(section: &mut Section<'_>) -> (Option<PlayMode>, Until) {
    let mode = section.need("mode", one_of(&PlayMode::ALL, PlayMode::as_str), choice(&PlayMode::ALL, PlayMode::as_str));
    let until = section.read("until", "a list of \"speech\" and \"key\"", list(2, end)).unwrap_or_default();
    (mode, Until { speech: until.contains(&"speech"), key: until.contains(&"key") })
}

pub(super) const PROMPT_FILE: &str = "the name of a WAV or Opus file (.wav, .opus, .ogg) inside the prompt folder";
/// Ends secure input unless the policy says another one.
const END_KEY: char = '#';

/// Keys of a telephone, at most `most`; letters become capitals.
pub(super) fn keys(most: usize) -> impl Fn(&Value) -> Option<String> {
    move |value| {
        let keys = value.as_str()?.to_ascii_uppercase();
        let known = keys.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'));
        (known && (1..=most).contains(&keys.len())).then_some(keys)
    }
}

/// Stands for the ringback tone where a file could stand.
const RINGBACK: &str = "ringback";

fn hold(value: &Value) -> Option<Hold> {
    if value.as_str() == Some(RINGBACK) {
        return Some(Hold::Ringback);
    }
    prompt_file(value).map(Hold::Music)
}

fn on_or_off(value: &Value) -> Option<bool> {
    match value.as_str()? {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// One way, or several without repetition.
fn ways(value: &Value) -> Option<Vec<Route>> {
    let words = name(value).map(|word| vec![word]).or_else(|| list(WAYS_MAX, name)(value))?;
    let repeats = words.iter().enumerate().any(|(at, word)| words[..at].contains(word));
    (!repeats).then(|| words.iter().map(|word| Route::named(word)).collect())
}

/// What can end a prompt.
fn end(value: &Value) -> Option<&'static str> {
    ["speech", "key"].into_iter().find(|&word| value.as_str() == Some(word))
}

pub(super) fn prompt_file(value: &Value) -> Option<String> {
    text(200)(value).filter(|file| is_prompt_file(file))
}
