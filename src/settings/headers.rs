//! Which headers of a caller's INVITE a target gets to see, and what is added: `headers` of a target or a route.

use routing::section::{Section, list, text};
use toml::Value;

use super::Pattern;
use crate::shell::sip::may_set;

/// The rules of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRules {
    /// The names of those that pass. What `X-Calmline-` begins never does: it is ours to say.
    pub pass: Vec<Pattern>,
    /// What is taken away and put there before or after that.
    pub changes: HeaderChanges,
    /// Whether the target belongs to those who may know of a caller what the caller hides from others (RFC 3325 §7).
    pub trusted: bool,
    /// Whether hosts in URIs that say who calls are replaced by ours.
    pub hides_hosts: bool,
}

impl Default for HeaderRules {
    fn default() -> Self {
        let pass = PASSED.iter().map(|name| Pattern::new(name)).collect();
        HeaderRules { pass, changes: HeaderChanges::default(), trusted: true, hides_hosts: false }
    }
}

/// What is changed whoever is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// The names of those that are taken away.
    pub drop: Vec<Pattern>,
    /// What is added, in place of headers of that name.
    pub set: Vec<(String, String)>,
}

/// What passes when nobody says anything else.
const PASSED: [&str; 8] = [
    "X-*",
    "User-to-User",
    "P-Asserted-Identity",
    "Privacy",
    "Diversion",
    "History-Info",
    "Resource-Priority",
    "Priority",
];

/// Names and patterns in one list.
const NAMES_MAX: usize = 32;

/// `headers` of a target.
pub(super) fn read_rules(target: &mut Section<'_>) -> HeaderRules {
    let default = HeaderRules::default();
    let mut section = target.section("headers");
    let rules = HeaderRules {
        pass: section.read("pass", NAMES, list(NAMES_MAX, pattern)).unwrap_or(default.pass),
        changes: read(&mut section),
        trusted: section.read("identity", "\"trusted\" or \"untrusted\"", trusted).unwrap_or(default.trusted),
        hides_hosts: section.read("hide_hosts", "true or false", Value::as_bool).unwrap_or(default.hides_hosts),
    };
    section.finish();
    rules
}

/// `headers` of a route.
pub(super) fn read_changes(route: &mut Section<'_>) -> HeaderChanges {
    let mut section = route.section("headers");
    let changes = read(&mut section);
    section.finish();
    changes
}

fn read(section: &mut Section<'_>) -> HeaderChanges {
    let table = "a table of at most 32 headers and their values, e.g. { \"X-Tenant\" = \"shop\" }, none that SIP itself \
                 needs";
    HeaderChanges {
        drop: section.read("drop", NAMES, list(NAMES_MAX, pattern)).unwrap_or_default(),
        set: section.read("set", table, headers).unwrap_or_default(),
    }
}

fn headers(value: &Value) -> Option<Vec<(String, String)>> {
    let table = value.as_table().filter(|table| table.len() <= NAMES_MAX)?;
    let pairs = table.iter().map(|(name, value)| Some((name.clone(), text(256)(value)?)));
    pairs.collect::<Option<Vec<_>>>().filter(|pairs| pairs.iter().all(|(name, value)| may_set(name, value)))
}

fn pattern(value: &Value) -> Option<Pattern> {
    text(100)(value).map(|text| Pattern::new(&text))
}

fn trusted(value: &Value) -> Option<bool> {
    match value.as_str()? {
        "trusted" => Some(true),
        "untrusted" => Some(false),
        _ => None,
    }
}

const NAMES: &str =
    "a list of at most 32 header names, in which * is any run of characters, e.g. [\"X-*\", \"Diversion\"]";
