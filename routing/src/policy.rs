//! A policy as an operator writes it: which emotion leads to which action, in TOML.
//!
//! Only the reading and its faults; what the rules do to a live call is the engine's. `docs/POLICIES.md` explains
//! the language to operators and names the same keys and limits.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::Value;

use crate::saying::is_well_formed;
use crate::section::{Section, list, name, number, parse_table, shown, text, whole};
use crate::{Action, Emotion, Fault, Hold, Language, Level, PlayMode, Route, SecureInput, Severity, Until, Whisper};

/// Rules, and likewise fallbacks, in one policy.
pub const RULES_MAX: usize = 200;
/// Actions of one rule.
pub const ACTIONS_MAX: usize = 8;
/// Ways of one re-route.
pub const WAYS_MAX: usize = 6;
/// Keys that one rule waits for.
pub const KEYS_MAX: usize = 16;
/// Intents that one rule waits for.
pub const SAID_MAX: usize = 20;
/// Characters of a text that is said.
pub const SAYING_CHARS_MAX: usize = 500;

/// One policy file.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its name, unique among the policies of a server.
    pub name: String,
    /// Its version, counted up by whoever edits it, so that a decision says which text made it.
    pub version: u32,
    /// The scenarios it is for; `*` stands for every one.
    pub scenarios: Vec<String>,
    /// The rules, in file order.
    pub rules: Vec<Rule>,
    /// What to do when a re-route of one of the rules failed, in file order.
    pub fallbacks: Vec<Fallback>,
}

/// One `[[rule]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique in the policy, fallbacks included.
    pub id: String,
    /// Higher goes first when several rules apply at the same moment; then file order.
    pub priority: i32,
    /// When it applies.
    pub when: When,
    /// What it does, in order.
    pub then: Vec<Action>,
    /// How often it may fire in one call.
    pub repeat: Repeat,
}

/// When a rule applies.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// What the caller does.
    pub trigger: Trigger,
    /// Only in calls of this scenario.
    pub scenario: Option<String>,
}

/// What a rule waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// The caller feels like this.
    Feels(Feeling),
    /// The caller presses these keys one after the other, 1 to [`KEYS_MAX`].
    Presses(String),
    /// The caller has begun to speak over the other side so often in the present conversation, 1-100.
    Interrupts(u32),
    /// The caller says something that means one of these, 1-20 intents of the phrase lists.
    Says(Vec<String>),
}

/// How the caller has to feel: all conditions together.
#[derive(Debug, Clone, PartialEq)]
pub struct Feeling {
    /// The leading emotion.
    pub emotion: Emotion,
    /// This level of anger or above; low with every other emotion.
    pub level: Level,
    /// This score of anger or above, 0-1; 0 with every other emotion.
    pub score_at_least: f32,
    /// Emotion, level and score must have held this long without a break.
    pub lasted: Duration,
    /// The change of the score per second when it fires must be this or more.
    pub trend_at_least: Option<f32>,
}

/// How often a rule may fire in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// At most once.
    Once,
    /// Again while it applies, but never sooner than this after the last time.
    Every(Duration),
}

/// One `[[fallback]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    /// Unique in the policy, rules included.
    pub id: String,
    /// Only after a re-route by the rule or fallback of this id; `None`: after any of this policy.
    pub after: Option<String>,
    /// What it does, in order.
    pub then: Vec<Action>,
}

impl Policy {
    /// Reads a policy file's text.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn parse(text: &str) -> Result<Policy, Vec<Fault>> {
        let table = parse_table(text).map_err(|fault| vec![fault])?;
        let mut faults = Vec::new();
        let policy = read_policy(Section::root(&table, &mut faults));
        match (policy, faults.is_empty()) {
            (Some(policy), true) => Ok(policy),
            _ => Err(faults),
        }
    }

    /// Whether the policy is for calls of `scenario`.
    pub fn covers(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|own| own == ANY_SCENARIO || own == scenario)
    }

    /// Name and version as decisions carry them, e.g. `after-sales@3`.
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Every intent that a rule waits for with the key it stands at, for checks against the phrase lists.
    pub fn intents(&self) -> impl Iterator<Item = (String, &String)> {
        self.rules.iter().enumerate().flat_map(|(at, rule)| {
            let said = if let Trigger::Says(intents) = &rule.when.trigger { intents.as_slice() } else { &[] };
            said.iter().map(move |intent| (format!("rule[{}].when.said", at + 1), intent))
        })
    }

    /// Every action with the key it stands at, e.g. `rule[1].then[2]`, for checks against the rest of a configuration.
    pub fn actions(&self) -> impl Iterator<Item = (String, &Action)> {
        let rules = self.rules.iter().enumerate().map(|(at, rule)| (format!("rule[{}]", at + 1), &rule.then));
        let fallbacks = self.fallbacks.iter().enumerate().map(|(at, own)| (format!("fallback[{}]", at + 1), &own.then));
        rules.chain(fallbacks).flat_map(|(key, then)| {
            then.iter().enumerate().map(move |(at, action)| (format!("{key}.then[{}]", at + 1), action))
        })
    }
}

const ANY_SCENARIO: &str = "*";
const NAME: &str = "1-64 letters, digits, \"-\", \"_\" or \".\"";

fn read_policy(mut root: Section<'_>) -> Option<Policy> {
    let own_name = root.need("name", NAME, name);
    let version = root.need("version", "a whole number from 1 to 1000000", whole(1..=1_000_000));
    let scenarios = root.need("scenarios", "a list of 1-50 scenario names, or [\"*\"]", list(50, scenario));
    let mut rules = Vec::new();
    root.each("rule", |section| rules.push(read_rule(section, scenarios.as_deref())));
    let mut fallbacks = Vec::new();
    root.each("fallback", |section| fallbacks.push(read_fallback(section)));
    if rules.is_empty() && !root.has("rule") {
        root.fault("rule", "nothing", "at least one [[rule]]");
    }
    for (key, length) in [("rule", rules.len()), ("fallback", fallbacks.len())] {
        if length > RULES_MAX {
            root.fault(key, format!("{length} of them"), format!("at most {RULES_MAX}"));
        }
    }

    let rules: Option<Vec<Rule>> = rules.into_iter().collect();
    let fallbacks: Option<Vec<Fallback>> = fallbacks.into_iter().collect();
    if let (Some(rules), Some(fallbacks)) = (&rules, &fallbacks) {
        check_ids(&mut root, rules, fallbacks);
    }
    root.finish();

    let version = u32::try_from(version?).ok()?;
    Some(Policy { name: own_name?, version, scenarios: scenarios?, rules: rules?, fallbacks: fallbacks? })
}

fn read_rule(section: &mut Section<'_>, scenarios: Option<&[String]>) -> Option<Rule> {
    let id = section.need("id", NAME, name);
    let priority = section.read("priority", "a whole number from -1000 to 1000", whole(-1000..=1000)).unwrap_or(0);
    let once = section.read("once", "true or false", Value::as_bool);
    let cooldown = section.read("cooldown_s", "seconds, 1-86400", seconds(1.0));
    if once == Some(true) && cooldown.is_some() {
        section.fault("cooldown_s", "both once = true and cooldown_s", "one of them");
    }
    if once == Some(false) && cooldown.is_none() && !section.has("cooldown_s") {
        section.fault("cooldown_s", "once = false without it", "cooldown_s, seconds, 1-86400");
    }
    if !section.has("when") {
        section.fault("when", "nothing", "a table with the conditions");
    }
    let mut conditions = section.section("when");
    let when = conditions.is_present().then(|| read_when(&mut conditions, scenarios)).flatten();
    conditions.finish();
    let then = read_actions(section);
    Some(Rule {
        id: id?,
        priority: i32::try_from(priority).ok()?,
        when: when?,
        then,
        repeat: cooldown.map_or(Repeat::Once, Repeat::Every),
    })
}

fn read_when(section: &mut Section<'_>, scenarios: Option<&[String]>) -> Option<When> {
    let own_scenario = section.read("scenario", NAME, name);
    if let (Some(own), Some(scenarios)) = (&own_scenario, scenarios)
        && !scenarios.iter().any(|known| known == own || known == ANY_SCENARIO)
    {
        section.fault("scenario", format!("\"{own}\""), "one of the policy's scenarios");
    }
    let one = section.read("key", "one key: 0-9, *, # or A-D", keys(1));
    let several = section.read("keys", format!("1-{KEYS_MAX} keys: 0-9, *, # or A-D"), keys(KEYS_MAX));
    let interruptions = section.read("interruptions", "a whole number from 1 to 100", whole(1..=100));
    let said =
        section.read("said", format!("a list of 1-{SAID_MAX} intents of the phrase lists"), list(SAID_MAX, name));
    let trigger = if section.has("interruptions") {
        let expected = "either an emotion, keys, interruptions or something said";
        stands_alone(section, FEELING.into_iter().chain(["key", "keys", "said"]), "it beside interruptions", expected);
        interruptions.and_then(|times| u32::try_from(times).ok()).map(Trigger::Interrupts)
    } else if section.has("said") {
        let expected = "either an emotion, keys, interruptions or something said";
        stands_alone(section, FEELING.into_iter().chain(["key", "keys"]), "it beside said", expected);
        said.map(Trigger::Says)
    } else if section.has("key") || section.has("keys") {
        stands_alone(section, FEELING.into_iter(), "it beside keys", "either an emotion or keys");
        if section.has("key") && section.has("keys") {
            section.fault("keys", "both key and keys", "one of them");
        }
        one.or(several).map(Trigger::Presses)
    } else {
        read_feeling(section).map(Trigger::Feels)
    };
    Some(When { trigger: trigger?, scenario: own_scenario })
}

/// The keys of a feeling.
const FEELING: [&str; 5] = ["emotion", "level", "score_at_least", "lasted_s", "trend_at_least"];

/// Faults every one of `others` that is there beside what makes them wrong.
fn stands_alone(
    section: &mut Section<'_>,
    others: impl Iterator<Item = &'static str>,
    found: &'static str,
    expected: &'static str,
) {
    for key in others {
        if section.has(key) {
            section.fault(key, found, expected);
        }
        section.read(key, "", Some);
    }
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

fn read_fallback(section: &mut Section<'_>) -> Option<Fallback> {
    let id = section.need("id", NAME, name);
    let after = section.read("after", "the id of a rule or fallback", name);
    let then = read_actions(section);
    Some(Fallback { id: id?, after, then })
}

fn read_actions(section: &mut Section<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    section.each("then", |action| actions.extend(read_action(action)));
    if !section.has("then") {
        section.fault("then", "nothing", "a list of actions");
    }
    if actions.len() > ACTIONS_MAX {
        section.fault("then", format!("{} actions", actions.len()), format!("at most {ACTIONS_MAX}"));
    }
    let count = |kind: fn(&Action) -> bool| actions.iter().filter(|action| kind(action)).count();
    let prompts = count(|action| matches!(action, Action::Prompt { .. } | Action::Say { .. }));
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
fn read_action(section: &mut Section<'_>) -> Option<Action> {
    let named: Vec<&str> = ACTIONS.into_iter().filter(|key| section.has(key)).collect();
    match *named.as_slice() {
        ["prompt"] => {
            let file = section.need("prompt", PROMPT_FILE, prompt_file);
            let (mode, until) = read_playing(section);
            Some(Action::Prompt { file: file?, mode: mode?, until })
        }
        ["say"] => read_say(section),
        ["reroute"] => read_reroute(section),
        ["announce"] => {
            let media = section.need("announce", "what the PBX plays, 1-200 characters in its own words", text(200));
            let pbx = section.need("pbx", "the name of a [pbx.NAME]", name);
            Some(Action::Announce { pbx: pbx?, media: media? })
        }
        ["notify"] => {
            let pbx = section.need("notify", "the name of a [pbx.NAME] that is a webhook", name);
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

fn read_say(section: &mut Section<'_>) -> Option<Action> {
    let (mode, until) = read_playing(section);
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

fn check_ids(root: &mut Section<'_>, rules: &[Rule], fallbacks: &[Fallback]) {
    let mut seen = BTreeSet::new();
    let rule_ids = rules.iter().enumerate().map(|(at, rule)| (format!("rule[{}].id", at + 1), &rule.id));
    let fallback_ids = fallbacks.iter().enumerate().map(|(at, own)| (format!("fallback[{}].id", at + 1), &own.id));
    for (key, id) in rule_ids.chain(fallback_ids) {
        if !seen.insert(id) {
            root.fault(&key, format!("\"{id}\", which stands above already"), "an id of its own");
        }
    }
    for (at, fallback) in fallbacks.iter().enumerate() {
        if let Some(after) = fallback.after.as_ref().filter(|after| !seen.contains(after)) {
            root.fault(
                &format!("fallback[{}].after", at + 1),
                format!("\"{after}\""),
                "the id of a rule or fallback here",
            );
        }
    }
}

fn scenario(value: &Value) -> Option<String> {
    name(value).or_else(|| (value.as_str() == Some(ANY_SCENARIO)).then(|| ANY_SCENARIO.to_owned()))
}

fn seconds(least: f64) -> impl Fn(&Value) -> Option<Duration> {
    move |value| number(least..=86_400.0)(value).map(Duration::from_secs_f64)
}

const PROMPT_FILE: &str = "the name of a WAV or Opus file (.wav, .opus, .ogg) inside the prompt folder";
/// Ends secure input unless the policy says another one.
const END_KEY: char = '#';

/// Keys of a telephone, at most `most`; letters become capitals.
fn keys(most: usize) -> impl Fn(&Value) -> Option<String> {
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

fn prompt_file(value: &Value) -> Option<String> {
    text(200)(value).filter(|file| is_prompt_file(file))
}

/// Whether `file` names a sound inside a prompt folder: a relative path of at most 200 characters that stays in it.
pub fn is_prompt_file(file: &str) -> bool {
    let stays = file.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let named = file.to_lowercase();
    let sounds = [".wav", ".opus", ".ogg"].iter().any(|kind| named.ends_with(kind));
    let plain = !file.contains('\\') && !file.chars().any(char::is_control) && file.chars().count() <= 200;
    stays && sounds && plain
}

/// Whether `text` can be said: 1-[`SAYING_CHARS_MAX`] characters on one line, with only names of headers in braces.
pub fn is_saying(text: &str) -> bool {
    let fits = !text.trim().is_empty() && text.chars().count() <= SAYING_CHARS_MAX;
    fits && !text.chars().any(char::is_control) && is_well_formed(text)
}

fn choice<T: Copy>(all: &'static [T], as_str: fn(T) -> &'static str) -> impl Fn(&Value) -> Option<T> {
    move |value| all.iter().copied().find(|&one| value.as_str() == Some(as_str(one)))
}

fn one_of<T: Copy>(all: &[T], as_str: fn(T) -> &'static str) -> String {
    let words: Vec<String> = all.iter().map(|&one| shown(&Value::from(as_str(one)))).collect();
    words.join(" or ")
}

#[cfg(test)]
mod tests;
