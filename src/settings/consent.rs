//! `[route.consent]`: whether the callers of a route have agreed that their words are kept, and how they say so.

use routing::section::{Section, name, text};
use toml::Value;

/// Whether words of a route's callers are told and kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsentSettings {
    /// How it stands until somebody says something.
    pub rule: ConsentRule,
    /// The prompt that callers hear once, when they are connected.
    pub announcement: Option<String>,
    /// The key by which a caller agrees.
    pub given_key: Option<char>,
    /// The key by which a caller does not.
    pub refused_key: Option<char>,
    /// The header of an INVITE that says `given` or `refused`.
    pub header: Option<String>,
    /// Nobody is listened to without consent.
    pub deafens: bool,
}

/// How consent stands until somebody says something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConsentRule {
    /// It is given: callers have agreed elsewhere.
    #[default]
    Given,
    /// It is refused.
    Refused,
    /// It is given by whoever has heard the announcement and stays.
    Announced,
    /// It is open.
    Asked,
}

/// `consent` of a route; a forked call hears no announcement.
pub(super) fn read_consent(route: &mut Section<'_>, forked: bool) -> ConsentSettings {
    let mut section = route.section("consent");
    let is_present = section.is_present();
    let rules = "\"given\", \"refused\", \"announced\" or \"asked\"";
    let rule = section.read("rule", rules, |value| match value.as_str()? {
        "given" => Some(ConsentRule::Given),
        "refused" => Some(ConsentRule::Refused),
        "announced" => Some(ConsentRule::Announced),
        "asked" => Some(ConsentRule::Asked),
        _ => None,
    });
    let expected =
        if forked { "nothing: a forked call hears nothing of us" } else { "a prompt's file, 1-255 characters" };
    let announcement = section.read("announcement", expected, |value| text(255)(value).filter(|_| !forked));
    let given_key = section.read("given_key", KEY, key);
    let refused_key = section.read("refused_key", KEY, key);
    let header = section.read("header", "a header's name", name);
    let listens = section.read("listen", "true or false", Value::as_bool);
    if is_present && rule.is_none() && !section.has("rule") {
        section.fault("rule", "nothing", rules);
    }
    if rule == Some(ConsentRule::Announced) && announcement.is_none() && !section.has("announcement") {
        section.fault("announcement", "nothing", "the prompt that tells callers, for rule = \"announced\"");
    }
    if given_key.is_some() && given_key == refused_key {
        section.fault("refused_key", "the key by which callers agree", "another one");
    }
    section.finish();
    ConsentSettings {
        rule: rule.unwrap_or_default(),
        announcement,
        given_key,
        refused_key,
        header,
        deafens: !listens.unwrap_or(true),
    }
}

const KEY: &str = "one key: 0-9, *, # or A-D";

fn key(value: &Value) -> Option<char> {
    let mut letters = value.as_str()?.chars();
    let key = letters.next().filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'))?;
    letters.next().is_none().then_some(key)
}

#[cfg(test)]
mod tests {
    use routing::section::parse_table;

    use super::*;

    #[test]
    fn consent_is_read() {
        let read = |text: &str| check(text, false).expect(text);
        assert_eq!(read(""), ConsentSettings::default());
        let all = "rule = \"announced\"\nannouncement = \"told.wav\"\nrefused_key = \"2\"\nlisten = false";
        let expected = ConsentSettings {
            rule: ConsentRule::Announced,
            announcement: Some("told.wav".to_owned()),
            refused_key: Some('2'),
            deafens: true,
            ..ConsentSettings::default()
        };
        assert_eq!(read(&format!("[consent]\n{all}")), expected);
        let asked = read("[consent]\nrule = \"asked\"\ngiven_key = \"1\"\nheader = \"X-Consent\"");
        assert_eq!((asked.given_key, asked.header.as_deref()), (Some('1'), Some("X-Consent")));
    }

    #[test]
    fn faults_of_consent() {
        for (text, forked, expected) in [
            ("rule = \"maybe\"", false, "consent.rule: found \"maybe\""),
            ("listen = true", false, "consent.rule: found nothing, expected \"given\", \"refused\""),
            (
                "rule = \"announced\"",
                false,
                "consent.announcement: found nothing, expected the prompt that tells callers",
            ),
            ("rule = \"asked\"\ngiven_key = \"12\"", false, "consent.given_key: found \"12\", expected one key"),
            ("rule = \"asked\"\ngiven_key = \"1\"\nrefused_key = \"1\"", false, "consent.refused_key: found the key"),
            ("rule = \"asked\"\nannouncement = \"a.wav\"", true, "a forked call hears nothing of us"),
        ] {
            let told = check(&format!("[consent]\n{text}"), forked).expect_err(text);
            assert!(told.contains(expected), "{told}");
        }
    }

    fn check(text: &str, forked: bool) -> Result<ConsentSettings, String> {
        let table = parse_table(text).expect("TOML");
        let mut faults = Vec::new();
        let mut root = Section::root(&table, &mut faults);
        let read = read_consent(&mut root, forked);
        root.finish();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(read) } else { Err(told.join("; ")) }
    }
}
