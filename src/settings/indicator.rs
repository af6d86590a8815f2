//! `[route.supervision_tone]`: the tone by which the parties of a route's calls are told that somebody takes part in them.

use std::time::Duration;

use routing::section::{Section, whole};

use super::reports::some_of;

/// Who hears a tone, how often, and because of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndicatorSettings {
    /// Who hears it.
    pub hearers: Vec<Hearer>,
    /// From tone to tone; once, when nothing is said.
    pub every: Option<Duration>,
    /// Because of whom.
    pub presences: Vec<Presence>,
    /// Live copies of the call have it, too.
    pub in_copies: bool,
}

/// A party that hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearer {
    /// The caller.
    Caller,
    /// Whoever the caller talks to.
    Callee,
}

/// Somebody who takes part in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A supervisor who hears it.
    Listen,
    /// A supervisor whom one side hears.
    Whisper,
    /// A supervisor whom both sides hear.
    Barge,
    /// Whoever has a live copy of its audio.
    Copy,
}

impl Hearer {
    const ALL: [Hearer; 2] = [Hearer::Caller, Hearer::Callee];

    fn name(self) -> &'static str {
        match self {
            Hearer::Caller => "caller",
            Hearer::Callee => "callee",
        }
    }
}

impl Presence {
    const ALL: [Presence; 4] = [Presence::Listen, Presence::Whisper, Presence::Barge, Presence::Copy];
    const SUPERVISORS: [Presence; 3] = [Presence::Listen, Presence::Whisper, Presence::Barge];

    fn name(self) -> &'static str {
        match self {
            Presence::Listen => "listen",
            Presence::Whisper => "whisper",
            Presence::Barge => "barge",
            Presence::Copy => "copy",
        }
    }
}

/// `supervision_tone` of a route, where it has one; whoever is in a forked call hears nothing of us.
pub(super) fn read_indicator(route: &mut Section<'_>, forked: bool) -> Option<IndicatorSettings> {
    let mut section = route.section("supervision_tone");
    let is_present = section.is_present();
    let parties = "\"caller\", \"callee\", or both";
    let hearers = section.read("parties", parties, some_of(Hearer::ALL, Hearer::name));
    let seconds = section.read("every_s", "whole seconds from 2 to 600", whole(2..=600));
    let presences = "some of \"listen\", \"whisper\", \"barge\" and \"copy\"";
    let presences = section.read("while", presences, some_of(Presence::ALL, Presence::name));
    let in_copies = section.read("in_copies", "true or false", toml::Value::as_bool).unwrap_or(false);
    if is_present && forked {
        section.fault("", "it", "nothing: a forked call hears nothing of us");
    }
    section.finish();
    is_present.then(|| IndicatorSettings {
        hearers: hearers.unwrap_or_else(|| Hearer::ALL.to_vec()),
        every: seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        presences: presences.unwrap_or_else(|| Presence::SUPERVISORS.to_vec()),
        in_copies,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};
    use super::*;

    #[test]
    fn a_route_has_a_tone_when_it_says_so() {
        assert_eq!(read("").expect("good"), None);
        let plain = read("[route.supervision_tone]").expect("good").expect("it is there");
        assert_eq!((plain.hearers.len(), plain.every, plain.in_copies), (2, None, false));
        assert_eq!(plain.presences, Presence::SUPERVISORS);
        let text = "supervision_tone = { parties = [\"caller\"], every_s = 15, while = [\"barge\", \"copy\"], in_copies = true }";
        let expected = IndicatorSettings {
            hearers: vec![Hearer::Caller],
            every: Some(Duration::from_secs(15)),
            presences: vec![Presence::Barge, Presence::Copy],
            in_copies: true,
        };
        assert_eq!(read(text).expect("good"), Some(expected));
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            (
                "supervision_tone = { parties = [\"bot\"] }",
                "parties: found [\"bot\"], expected \"caller\", \"callee\", or both",
            ),
            ("supervision_tone = { every_s = 1 }", "every_s: found 1, expected whole seconds from 2 to 600"),
            ("supervision_tone = { while = [] }", "while: found [], expected some of"),
            ("supervision_tone = { every = 1 }", "every"),
        ] {
            let told = read(text).expect_err(text);
            assert!(
                told.len() == 1 && told[0].starts_with(&format!("c.toml: route[1].supervision_tone.{fault}")),
                "{told:?}"
            );
        }
    }

    fn read(written: &str) -> Result<Option<IndicatorSettings>, Vec<String>> {
        let route = "[[route]]\nname = \"r\"\nscenario = \"s\"\ntargets = [\"bot\"]";
        let text = format!("[targets.bot]\nuri = \"sip:b@x\"\n{route}\n{written}");
        let settings = Settings::parse(&text, Path::new("c.toml"));
        let settings = settings.map_err(|faults| faults.iter().map(Fault::to_string).collect::<Vec<_>>())?;
        Ok(settings.routes.0[0].indicator.clone())
    }
}
