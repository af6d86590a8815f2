//! A policy as an operator writes it: which emotion leads to which action, in TOML.
//!
//! Only the reading and its faults; what the rules do to a live call is the engine's. `docs/POLICIES.md` explains
//! the language to operators and names the same keys and limits.

mod circumstances;
pub(crate) mod expect;
mod service;
mod then;
mod when;

use std::collections::BTreeSet;
use std::time::Duration;

use toml::Value;

use crate::saying::is_well_formed;
use crate::section::{Section, choice, list, name, number, one_of, parse_table, whole};
use crate::{Action, Decision, Emotion, Fault, Level, Texts};

pub use circumstances::{Circumstances, Wanted};
pub use expect::Expect;
pub use service::{Group, Mood, Purpose, Script, Service, Split};

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
/// Steps of one rule's ladder.
pub const STEPS_MAX: usize = 8;
/// The language of policy files that this reader reads.
const SCHEMA: i64 = 1;
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
    /// Actions that it may take in one call; fallbacks count and are never kept back, changes of service do not count.
    pub actions_per_call_max: Option<u32>,
    /// Which calls are served in which of two ways.
    pub split: Option<Split>,
    /// The texts that rules and services name, in file order.
    pub scripts: Vec<Script>,
    /// The rules, in file order.
    pub rules: Vec<Rule>,
    /// What to do when a re-route of one of the rules failed, in file order.
    pub fallbacks: Vec<Fallback>,
    /// How callers are to be served, the strongest first.
    pub services: Vec<Service>,
    /// How long a caller must be heard calmer before a service goes back.
    pub calm: Duration,
    /// The likelihood of an escalation from which on the call is warned of, 0-1; `None`: as is usual.
    pub warn_at: Option<f32>,
    /// What the policy is to do in made-up calls, in file order.
    pub expects: Vec<Expect>,
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
    /// Only in calls of this group of the policy's comparison.
    pub group: Option<Group>,
    /// What follows while the caller does not calm down, in order.
    pub steps: Vec<Step>,
    /// Anger below this level is calm, for the steps.
    pub calm_below: Level,
    /// What it is for, where that is not what its actions are for.
    pub purpose: Option<Purpose>,
}

/// One `[[rule.step]]` of a ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How long after the step before, or after the rule itself.
    pub after: Duration,
    /// What it does, in order.
    pub then: Vec<Action>,
}

/// When a rule applies.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// What the caller does.
    pub trigger: Trigger,
    /// Only in calls of this scenario.
    pub scenario: Option<String>,
    /// What must be so besides at the moment when it fires.
    pub circumstances: Circumstances,
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
    /// The caller's words have one of these categories of the lexicons, 1-20.
    Words(Vec<String>),
    /// The caller says the same thing again.
    Repeats {
        /// So often by now, 2-100.
        times: u32,
        /// Only these intents; none: any.
        of: Vec<String>,
    },
    /// Nobody who is listened to has been heard for this long.
    Silent(Duration),
    /// The caller has waited for this long, all in all.
    Waits(Duration),
    /// Whoever serves breaks one of these compliance rules, 1-20 ids.
    Breached(Vec<String>),
    /// The call is likely to escalate.
    Warned,
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
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
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
            let (key, waited): (&str, &[String]) = match &rule.when.trigger {
                Trigger::Says(intents) => ("when.said", intents),
                Trigger::Repeats { of, .. } => ("when.of", of),
                _ => ("when.said", &[]),
            };
            let heard = rule.when.circumstances.said.iter().map(|intent| ("while.said", intent));
            let all = waited.iter().map(move |intent| (key, intent)).chain(heard);
            all.map(move |(key, intent)| (format!("rule[{}].{key}", at + 1), intent))
        })
    }

    /// Every compliance rule that a rule waits for with the key it stands at, for checks against the compliance phrases.
    pub fn breaches(&self) -> impl Iterator<Item = (String, &String)> {
        self.rules.iter().enumerate().flat_map(|(at, rule)| {
            let waited: &[String] = match &rule.when.trigger {
                Trigger::Breached(breaches) => breaches,
                _ => &[],
            };
            let waited = waited.iter().map(|breach| ("when.breach", breach));
            let besides = rule.when.circumstances.breach.iter().map(|breach| ("while.breach", breach));
            waited.chain(besides).map(move |(key, breach)| (format!("rule[{}].{key}", at + 1), breach))
        })
    }

    /// What an expectation, or a decision, may name: rules, steps, fallbacks and services.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        let rules = self.rules.iter().flat_map(|rule| {
            let steps = (1..=rule.steps.len()).map(|step| step_id(&rule.id, step));
            std::iter::once(rule.id.clone()).chain(steps)
        });
        let fallbacks = self.fallbacks.iter().map(|fallback| fallback.id.clone());
        rules.chain(fallbacks).chain(self.services.iter().map(|service| service.serve.id.clone()))
    }

    /// What a decision of this policy is for: as its rule or service says, or else as its actions do.
    pub fn purpose_of(&self, decision: &Decision) -> Option<Purpose> {
        let rule = self.rules.iter().find(|rule| rule.id == decision.rule).and_then(|rule| rule.purpose);
        let service = self.services.iter().find(|own| own.serve.id == decision.rule).and_then(|own| own.purpose);
        rule.or(service).or(Purpose::of(&decision.actions))
    }

    /// Every action with the key it stands at, e.g. `rule[1].then[2]`, for checks against the rest of a configuration.
    pub fn actions(&self) -> impl Iterator<Item = (String, &Action)> {
        let rules = self.rules.iter().enumerate().flat_map(|(at, rule)| {
            let key = format!("rule[{}]", at + 1);
            let steps = rule.steps.iter().enumerate();
            let steps = steps.map(|(step, own)| (format!("{key}.step[{}]", step + 1), &own.then)).collect::<Vec<_>>();
            std::iter::once((key, &rule.then)).chain(steps)
        });
        let fallbacks = self.fallbacks.iter().enumerate().map(|(at, own)| (format!("fallback[{}]", at + 1), &own.then));
        rules.chain(fallbacks).flat_map(|(key, then)| {
            then.iter().enumerate().map(move |(at, action)| (format!("{key}.then[{}]", at + 1), action))
        })
    }
}

/// The id that decisions of a ladder's step carry: steps count from 1.
pub(crate) fn step_id(rule: &str, step: usize) -> String {
    format!("{rule}/{step}")
}

/// What the readers of a file's parts know of the rest of it.
#[derive(Debug, Default)]
pub(crate) struct File {
    scenarios: Option<Vec<String>>,
    scripts: Vec<Script>,
    has_split: bool,
}

impl File {
    /// Faults a scenario that the policy is not for.
    fn check_scenario(&self, section: &mut Section<'_>, own: Option<&String>) {
        if let (Some(own), Some(scenarios)) = (own, &self.scenarios)
            && !scenarios.iter().any(|known| known == own || known == ANY_SCENARIO)
        {
            section.fault("scenario", format!("\"{own}\""), "one of the policy's scenarios");
        }
    }

    /// The texts of a script; a fault when there is none of that id.
    fn texts(&self, section: &mut Section<'_>, key: &str, id: &str) -> Option<Texts> {
        self.script(section, key, id).map(|script| script.texts.clone())
    }

    /// The script of that id; a fault when there is none.
    fn script(&self, section: &mut Section<'_>, key: &str, id: &str) -> Option<&Script> {
        let found = self.scripts.iter().find(|script| script.id == id);
        if found.is_none() {
            section.fault(key, format!("\"{id}\""), "the id of a [[script]] of this policy");
        }
        found
    }
}

/// How long a caller must be heard calmer before a service goes back, unless the policy says otherwise.
const CALM: Duration = Duration::from_secs(10);
const ANY_SCENARIO: &str = "*";
const NAME: &str = "1-64 letters, digits, \"-\", \"_\" or \".\"";

fn read_policy(mut root: Section<'_>) -> Policy {
    root.read("schema", format!("{SCHEMA}: the language that this version reads"), |value| {
        value.as_integer().filter(|schema| *schema == SCHEMA)
    });
    let own_name = root.need("name", NAME, name);
    let version = root.need("version", "a whole number from 1 to 1000000", whole(1..=1_000_000));
    let scenarios = root.need("scenarios", "a list of 1-50 scenario names, or [\"*\"]", list(50, scenario));
    let actions = root.read("actions_per_call_max", "a whole number from 1 to 1000", whole(1..=1_000));
    let calm = root.read("calm_s", "seconds, 1-86400", seconds(1.0)).unwrap_or(CALM);
    let warn_at = root.read("warn_at", "a number from 0.05 to 1", number(0.05..=1.0)).map(|score| score as f32);
    let split = service::read_split(&mut root);
    let scripts = service::read_scripts(&mut root);
    let file = File { scenarios: scenarios.clone(), scripts, has_split: root.has("split") };

    let mut rules = Vec::new();
    root.each("rule", |section| rules.push(read_rule(section, &file)));
    let mut fallbacks = Vec::new();
    root.each("fallback", |section| fallbacks.push(read_fallback(section, &file)));
    let services = service::read_services(&mut root, &file);
    if rules.is_empty() && services.is_empty() && !root.has("rule") && !root.has("service") {
        root.fault("rule", "nothing", "at least one [[rule]]");
    }
    for (key, length) in [("rule", rules.len()), ("fallback", fallbacks.len()), ("service", services.len())] {
        if length > RULES_MAX {
            root.fault(key, format!("{length} of them"), format!("at most {RULES_MAX}"));
        }
    }
    let expects = expect::read_expects(&mut root, &file);

    let policy = Policy {
        name: own_name.unwrap_or_default(),
        version: version.and_then(|version| u32::try_from(version).ok()).unwrap_or_default(),
        scenarios: scenarios.unwrap_or_default(),
        actions_per_call_max: actions.and_then(|actions| u32::try_from(actions).ok()),
        split,
        scripts: file.scripts,
        rules: rules.into_iter().flatten().collect(),
        fallbacks: fallbacks.into_iter().flatten().collect(),
        services,
        calm,
        warn_at,
        expects,
    };
    if !root.has_faults() {
        check_ids(&mut root, &policy);
    }
    root.finish();
    policy
}

fn read_rule(section: &mut Section<'_>, file: &File) -> Option<Rule> {
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
    let group = section.read("group", one_of(&Group::ALL, Group::as_str), choice(&Group::ALL, Group::as_str));
    if group.is_some() && !file.has_split {
        section.fault("group", "it without a [split]", "a [split] at the top that says who is in which group");
    }
    if !section.has("when") {
        section.fault("when", "nothing", "a table with the conditions");
    }
    let mut conditions = section.section("when");
    let when = conditions.is_present().then(|| when::read(&mut conditions, file)).flatten();
    conditions.finish();
    let mut meanwhile = section.section("while");
    let circumstances = circumstances::read(&mut meanwhile);
    meanwhile.finish();
    let then = then::read_actions(section, file);
    let mut steps = Vec::new();
    section.each("step", |step| {
        let after = step.need("after_s", "seconds, 1-86400", seconds(1.0));
        let then = then::read_actions(step, file);
        steps.extend(after.map(|after| Step { after, then }));
    });
    if steps.len() > STEPS_MAX {
        section.fault("step", format!("{} of them", steps.len()), format!("at most {STEPS_MAX}"));
    }
    let calm_below = section.read("calm_below", one_of(&Level::ALL, Level::as_str), choice(&Level::ALL, Level::as_str));
    let purpose = service::read_purpose(section);
    let when = When { circumstances, ..when? };
    Some(Rule {
        id: id?,
        priority: i32::try_from(priority).ok()?,
        calm_below: calm_below.unwrap_or(when.trigger.level().unwrap_or(Level::Medium)),
        when,
        then,
        repeat: cooldown.map_or(Repeat::Once, Repeat::Every),
        group,
        steps,
        purpose,
    })
}

impl When {
    /// How the caller has to feel, for rules that wait for that.
    pub fn feeling(&self) -> Option<&Feeling> {
        match &self.trigger {
            Trigger::Feels(feeling) => Some(feeling),
            _ => None,
        }
    }
}

impl Trigger {
    /// Whether time alone can make a rule fire that waits for it.
    pub(crate) fn takes_time(&self) -> bool {
        matches!(self, Trigger::Feels(_) | Trigger::Silent(_) | Trigger::Waits(_))
    }

    /// The level of anger that it waits for, if it waits for anger.
    fn level(&self) -> Option<Level> {
        match self {
            Trigger::Feels(feeling) => Some(feeling.level).filter(|level| *level > Level::Low),
            _ => None,
        }
    }
}

fn read_fallback(section: &mut Section<'_>, file: &File) -> Option<Fallback> {
    let id = section.need("id", NAME, name);
    let after = section.read("after", "the id of a rule or fallback", name);
    let then = then::read_actions(section, file);
    Some(Fallback { id: id?, after, then })
}

fn check_ids(root: &mut Section<'_>, policy: &Policy) {
    let mut seen = BTreeSet::new();
    let key = |kind: &str, at: usize| format!("{kind}[{}].id", at + 1);
    let rules = policy.rules.iter().enumerate().map(|(at, rule)| (key("rule", at), &rule.id));
    let fallbacks = policy.fallbacks.iter().enumerate().map(|(at, own)| (key("fallback", at), &own.id));
    let services = policy.services.iter().enumerate().map(|(at, own)| (key("service", at), &own.serve.id));
    for (key, id) in rules.chain(fallbacks).chain(services) {
        if !seen.insert(id) {
            root.fault(&key, format!("\"{id}\", which stands above already"), "an id of its own");
        }
    }
    for (at, fallback) in policy.fallbacks.iter().enumerate() {
        if let Some(after) = fallback.after.as_ref().filter(|after| !seen.contains(after)) {
            let key = format!("fallback[{}].after", at + 1);
            root.fault(&key, format!("\"{after}\""), "the id of a rule or fallback here");
        }
    }
    let ids: BTreeSet<String> = policy.ids().collect();
    for (at, expect) in policy.expects.iter().enumerate() {
        for id in expect.then.iter().chain(&expect.never).filter(|id| !ids.contains(*id)) {
            let key = format!("expect[{}]", at + 1);
            root.fault(&key, format!("\"{id}\""), "the id of a rule, of a step (ID/1), of a fallback or of a service");
        }
    }
}

fn scenario(value: &Value) -> Option<String> {
    name(value).or_else(|| (value.as_str() == Some(ANY_SCENARIO)).then(|| ANY_SCENARIO.to_owned()))
}

fn seconds(least: f64) -> impl Fn(&Value) -> Option<Duration> {
    move |value| number(least..=86_400.0)(value).map(Duration::from_secs_f64)
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

#[cfg(test)]
mod tests;
