//! Scenarios of calls whose audio is kept: from when to when, and what of it is secret.

use super::keys::{HELPED, OVER};
use super::script::check_with;
use super::sim::settings;
use crate::control::ControlSettings;
use crate::settings::{ConsentRule, ConsentSettings};

const ENDED: &str = "ended: BYE received; talk 0 peak low lost 6";

#[test]
fn audio_is_kept_from_the_answer_to_the_end_and_a_live_copy_changes_nothing() {
    let helped = connected("");
    check_with(
        kept(&ConsentSettings::default()),
        &format!(
            "{helped}
            > order audio
            audio 1 opened stereo
            > order audio 1 closes
            audio 1 closed after 0
            > order bypass
            denied Conflict: the audio is kept
            {OVER}
            keep no more
            {ENDED}"
        ),
    );
}

#[test]
fn nothing_is_kept_before_the_caller_agrees_nor_of_one_who_does_not() {
    let asked = ConsentSettings {
        rule: ConsentRule::Asked,
        given_key: Some('5'),
        refused_key: Some('6'),
        ..ConsentSettings::default()
    };
    let helped = HELPED.replace("    answered bot\n", "    answered bot\n    consent open by route\n");
    check_with(
        kept(&asked),
        &format!(
            "{helped}
            > caller presses 5
            key caller 5 event
            consent given by key
            copy caller on
            keep caller
            > order consent refused
            consent refused by operator
            copy caller off
            keep nothing
            {OVER}
            keep no more
            {ENDED}"
        ),
    );
    check_with(
        kept(&asked),
        &format!(
            "{helped}\n> caller presses 6\nkey caller 6 event\nconsent refused by key\n{OVER}\nkeep no more\n{ENDED}"
        ),
    );
}

#[test]
fn what_is_typed_in_secret_is_told_to_whoever_keeps_audio() {
    let helped = connected("");
    check_with(
        kept(&ConsentSettings::default()),
        &format!(
            "{helped}
            > caller presses *
            key caller * event
            > caller presses 9
            key caller 9 event
            decided card service@1
            secure caller on
            keep secret true
            secure input on
            > wait 120
            secure caller off
            keep secret false
            secure input off
            {OVER}
            keep no more
            ended: BYE received; talk 120000 peak low lost 6"
        ),
    );
}

/// A call that is up and kept.
fn connected(told: &str) -> String {
    HELPED.replace("    answered bot\n", &format!("    answered bot\n    copy caller on\n    keep caller\n{told}"))
}

fn kept(consent: &ConsentSettings) -> ControlSettings {
    let mut settings = settings();
    for route in &mut settings.routes.0 {
        route.keep_audio = true;
        route.consent.clone_from(consent);
    }
    settings
}
