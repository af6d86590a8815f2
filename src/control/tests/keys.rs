//! Scenarios of keys, spoken texts, prompts that are cut short, and input that nobody may see.

use super::script::{check, check_with, told};
use super::sim::settings;

/// A connected call of the help line.
pub(super) const HELPED: &str = "
    > invite to=help
    open caller
    started help service
    open bot
    invite bot [0 8 101 sendrecv]
    > bot answers 0
    configure bot Pcmu/0 SendRecv
    configure caller Pcmu/0 SendRecv
    bridge caller bot
    answer [0 101 sendrecv]
    tap caller on
    answered bot
    > caller acks
";

/// A prompt that plays until the caller speaks or presses a key.
const MENU: &str = "
    > caller presses 1
    key caller 1 event
    decided menu service@1
    play caller Replace until a key
    > prompt starts
    prompt sorry.wav started after 0
";

pub(super) const OVER: &str = "
    > caller byes
    close caller
    bye bot
    close bot
";

#[test]
fn a_key_is_heard_once_however_it_comes() {
    check(&format!(
        "{HELPED}
        > caller presses 5
        key caller 5 event
        > caller informs 5
        > caller sounds 5
        > wait 0.2
        > caller informs 5
        press bot 5
        key caller 5 info
        > caller informs 5
        press bot 5
        key caller 5 info
        > wait 0.3
        > caller sounds 5
        > wait 0.5
        > caller sounds 5
        key caller 5 audio
        > bot informs 5
        press caller 5
        key callee 5 info
        {OVER}
        ended: BYE received; talk 1000 peak low lost 6"
    ));
}

#[test]
fn tones_of_a_side_without_events_are_pressed_for_one_that_has_them() {
    for (offer, answer, expected) in [
        ("0", "0 101", vec!["press bot 5"]),
        ("0,101", "0", vec!["press caller 6"]),
        ("0", "0", vec![]),
        ("0,101", "0 101", vec![]),
    ] {
        let steps = ["caller acks", "caller sounds 5", "wait 1", "bot sounds 6", "caller byes"];
        let lines = told(&format!("> invite to=help sdp={offer}\n> bot answers {answer}\n> {}", steps.join("\n> ")));
        let pressed: Vec<&String> = lines.iter().filter(|line| line.starts_with("press")).collect();
        assert_eq!(pressed, expected, "{offer} and {answer}: {lines:#?}");
    }
}

#[test]
fn keys_of_the_far_end_decide_nothing() {
    check(&format!(
        "{HELPED}
        > bot presses 1
        key callee 1 event
        > bot presses 0
        key callee 0 event
        > caller presses !
        key caller ! event
        {OVER}
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn a_text_is_spoken_and_played() {
    check(&format!(
        "{HELPED}
        > caller presses 2
        key caller 2 event
        decided greet service@1
        speak en to caller: account 7
        > wait 0.25
        > text spoken
        play caller Duck {{ attenuation_db: 12 }} until a key
        > wait 0.02
        > prompt starts
        prompt say: account {{X-Account}}{{X-None}} started after 270
        > wait 1
        > prompt ends
        prompt say: account {{X-Account}}{{X-None}} ended true
        {OVER}
        ended: BYE received; talk 1270 peak low lost 6"
    ));
}

#[test]
fn a_text_that_is_not_spoken_is_passed_over() {
    check(&format!(
        "{HELPED}
        > caller presses 2
        key caller 2 event
        decided greet service@1
        speak en to caller: account 7
        > text fails
        prompt say: account {{X-Account}}{{X-None}} failed: nobody speaks
        > wait 2
        > caller presses 2
        key caller 2 event
        decided greet service@1
        speak en to caller: account 7
        > wait 8
        prompt say: account {{X-Account}}{{X-None}} failed: was not spoken in time
        > text spoken
        {OVER}
        ended: BYE received; talk 10000 peak low lost 6"
    ));
}

#[test]
fn nothing_is_said_over_the_first_words_of_a_human() {
    check(&format!(
        "{HELPED}
        > caller presses 0
        key caller 0 event
        decided human service@1
        speak zh to caller: wait
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=human
        reroute bridge human started
        > human answers 0
        configure human Pcmu/0 SendRecv
        prompt say: wait failed: somebody answered before it was spoken
        stop caller
        bridge caller human
        bye bot
        close bot
        > text spoken
        > caller hears human
        rerouted bridge human after 0 gap Some(0)
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn speech_cuts_a_prompt_short() {
    check(&format!(
        "{HELPED}{MENU}
        > wait 0.4
        > caller speaks 480
        > wait 0.4
        > bot speaks 480
        > caller speaks 480
        stop caller
        prompt sorry.wav ended false
        > caller speaks 480
        {OVER}
        ended: BYE received; talk 800 peak low lost 6"
    ));
}

#[test]
fn keys_cut_a_prompt_short() {
    // The media path sees keys in the stream, and ends the prompt itself; of the others it knows nothing.
    check(&format!(
        "{HELPED}{MENU}
        > caller presses 7
        key caller 7 event
        > caller informs 8
        press bot 8
        stop caller
        key caller 8 info
        prompt sorry.wav ended false
        > caller informs 9
        press bot 9
        key caller 9 info
        {OVER}
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

/// Input of the caller that is secret.
const SECURE: &str = "
    > caller presses *
    key caller * event
    > caller presses 9
    key caller 9 event
    decided card service@1
    secure caller on
    secure input on
";

#[test]
fn secure_input_is_not_seen() {
    check(&format!(
        "{HELPED}{SECURE}
        > caller presses 4
        key caller • event
        > caller informs 1
        press bot 1
        key caller • info
        > caller presses 0
        key caller • event
        > bot presses 3
        key callee 3 event
        > caller presses #
        secure caller off
        secure input off
        key caller # event
        decided typed service@1
        alert info
        > caller presses 4
        key caller 4 event
        {OVER}
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn secure_input_ends_by_a_rule_or_of_itself() {
    check(&format!(
        "{HELPED}{SECURE}
        > wait 60
        > caller is sad
        observed caller sadness low
        decided no-card service@1
        secure caller off
        secure input off
        > caller presses 4
        key caller 4 event
        {SECURE}
        > wait 120
        secure caller off
        secure input off
        {OVER}
        ended: BYE received; talk 180000 peak low lost 6"
    ));
}

#[test]
fn keys_before_the_answer_are_nobodys() {
    check_with(
        settings(),
        "
        > invite to=help
        open caller
        started help service
        open bot
        invite bot [0 8 101 sendrecv]
        > caller presses 1
        > caller informs 1
        > caller speaks 480
        > caller cancels
        close caller
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6
        ",
    );
}

#[test]
fn who_takes_the_callers_place_types_in_secret_too() {
    check(&format!(
        "{HELPED}{SECURE}
        > caller refers sip:human@10.0.0.9
        open human
        invite human [0 8 9 96 101 102 sendrecv]
        reroute caller_replaced human started
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        notify caller 200 OK
        bridge human bot
        tap caller off
        secure human on
        tap human on
        bye caller
        close caller
        > human hears bot
        rerouted caller_replaced human after 0 gap Some(0)
        > human presses 4
        key caller • event
        > human presses #
        secure human off
        secure input off
        key caller # event
        decided typed service@1
        alert info"
    ));
}
