//! Scenarios of callers who have agreed, or not, that their words are kept.

use super::keys::{HELPED, OVER};
use super::script::check_with;
use super::sim::settings;
use crate::control::ControlSettings;
use crate::settings::{ConsentRule, ConsentSettings};

#[test]
fn words_of_callers_who_are_asked_are_told_once_they_agree() {
    let helped = told("open by route");
    check_with(
        asked(),
        &format!(
            "{helped}
            > caller saying complaint
            > caller said complaint
            decided complains service@1
            alert warning
            > order audio
            denied Conflict: the caller has not agreed that the call is recorded
            > caller presses 5
            key caller 5 event
            consent given by key
            > caller said refund
            said by caller refund
            > caller presses 6
            key caller 6 event
            > order consent refused
            consent refused by operator
            > order consent refused
            > bot said complaint
            {OVER}
            ended: BYE received; talk 0 peak low lost 6"
        ),
    );
}

#[test]
fn a_header_says_it_before_anybody_is_asked() {
    let helped = said_by(&told("given by header"), "Given");
    check_with(asked(), &format!("{helped}\n> caller said refund\nsaid by caller refund\n{OVER}\n{ENDED}"));
    let helped = said_by(&told("refused by header"), "refused");
    check_with(asked(), &format!("{helped}\n> caller said refund\n{OVER}\n{ENDED}"));
    let helped = said_by(&told("open by route"), "perhaps");
    check_with(asked(), &format!("{helped}\n> caller said refund\n{OVER}\n{ENDED}"));
}

#[test]
fn keys_say_nothing_later() {
    let helped = told("open by route");
    check_with(
        asked(),
        &format!(
            "{helped}
            > wait 61
            > caller presses 5
            key caller 5 event
            > caller said refund
            {OVER}
            ended: BYE received; talk 61000 peak low lost 6"
        ),
    );
}

#[test]
fn who_has_heard_the_announcement_and_stays_agrees() {
    let helped = told("open by route").replace("> caller acks", "play caller Replace\n> caller acks");
    check_with(
        announced(),
        &format!(
            "{helped}
            > caller said refund
            > prompt starts
            prompt sorry.wav started after 0
            > prompt ends
            prompt sorry.wav ended true
            consent given by announcement
            > caller said refund
            said by caller refund
            > caller presses 6
            key caller 6 event
            consent refused by key
            {OVER}
            {ENDED}"
        ),
    );
}

#[test]
fn nobody_is_listened_to_before_the_caller_agrees_where_the_route_says_so() {
    let deaf = with(&ConsentSettings { deafens: true, ..asked_terms() });
    let helped = told("open by route").replace("    tap caller on\n", "");
    check_with(
        deaf,
        &format!(
            "{helped}
            > caller presses 5
            key caller 5 event
            consent given by key
            tap caller on
            > order consent refused
            consent refused by operator
            tap caller off
            {OVER}
            {ENDED}"
        ),
    );
}

const ENDED: &str = "ended: BYE received; talk 0 peak low lost 6";

/// A call that is up, and how consent stood when it was answered.
fn told(consent: &str) -> String {
    HELPED.replace("    answered bot\n", &format!("    answered bot\n    consent {consent}\n"))
}

/// A call whose INVITE has a header that says so; whoever is called gets to see it.
fn said_by(call: &str, word: &str) -> String {
    let invited = "invite bot [0 8 101 sendrecv]";
    call.replace("to=help", &format!("to=help consent={word}"))
        .replace(invited, &format!("{invited} X-Consent: {word}"))
}

fn asked() -> ControlSettings {
    with(&asked_terms())
}

fn asked_terms() -> ConsentSettings {
    ConsentSettings {
        rule: ConsentRule::Asked,
        given_key: Some('5'),
        refused_key: Some('6'),
        header: Some("x-consent".to_owned()),
        ..ConsentSettings::default()
    }
}

fn announced() -> ControlSettings {
    with(&ConsentSettings {
        rule: ConsentRule::Announced,
        announcement: Some("sorry.wav".to_owned()),
        refused_key: Some('6'),
        ..ConsentSettings::default()
    })
}

fn with(consent: &ConsentSettings) -> ControlSettings {
    let mut settings = settings();
    settings.routes.0.iter_mut().for_each(|route| route.consent.clone_from(consent));
    settings
}
