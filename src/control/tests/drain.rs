//! Scenarios of a server that is to stop: calls that end in time, that are handed over, and that are cut.

use super::bypass::LED;
use super::script::{TALKING, run, told};
use super::sim::settings;
use crate::control::{ControlSettings, Departures};
use crate::settings::HandOver;

/// Both are hung up.
const CUT: &str = "
    > stop
    bye caller
    close caller
    bye bot
    close bot
";

/// The caller's side is asked to take our place.
const REFERRED: &str = "
    > drain
    > wait 60
    reroute handed_over bot started
    refer caller to sip:bot@10.0.0.9 in the place of bot
";

#[test]
fn a_call_that_ends_in_time() {
    let scenario = "> drain
        > wait 59
        > bot byes
        bye caller
        close caller
        close bot
        ended: BYE received; talk 59000 peak low lost 6";
    check(settings(), scenario, Departures { finished: 1, ..Departures::default() });
}

#[test]
fn a_call_is_left_to_its_two_sides() {
    let scenario = format!(
        "
        > drain
        > wait 60{LED}
        bypassed by drain after 0
        > stop
        leave caller
        leave bot
        close caller
        close bot
        ended: handed over; talk 60000 peak low lost 6"
    );
    check(settings(), &scenario, Departures { handed_over: 1, ..Departures::default() });
}

#[test]
fn a_call_that_was_handed_over_ends_all_the_same() {
    let scenario = format!(
        "
        > drain
        > wait 60{LED}
        bypassed by drain after 0
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 60000 peak low lost 6
        > stop"
    );
    check(settings(), &scenario, Departures { finished: 1, ..Departures::default() });
}

#[test]
fn who_only_listens_gives_way() {
    let scenario = "> drain
        > wait 59
        > order audio
        copy caller on
        audio 1 opened stereo
        > order play callee duck
        play bot Duck { attenuation_db: 12 }
        > prompt starts
        prompt ordered.wav to the callee started after 0
        > order supervise floor listen
        open floor
        invite floor [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 1 called at floor: listen
        > wait 1
        copy caller off
        cancel floor
        close floor
        supervisor 1 failed: the call is handed over
        audio 1 closed after 1000
        stop bot
        prompt ordered.wav to the callee ended false
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > wait 10
        > stop
        bye caller
        close caller
        bye bot
        close bot
        ended: the server stops; talk 70000 peak low lost 9";
    check(settings(), scenario, Departures { cut: 1, ..Departures::default() });
}

#[test]
fn what_cannot_be_handed_over_is_cut() {
    let refused = "> drain
        > wait 60
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller agrees 488
        bypass failed: the caller has not agreed: 488
        ";
    let held = "> caller reinvites 0 101 inactive
        configure caller Pcmu/0 Inactive
        reply caller 200 [0 101 inactive]
        > drain
        > wait 60
        ";
    for before in [refused, held] {
        let scenario = format!("{before}{CUT}ended: the server stops; talk 60000 peak low lost 6");
        check(settings(), &scenario, Departures { cut: 1, ..Departures::default() });
    }
    let nobody_wants_it = ControlSettings { limits: limits(&[]), ..settings() };
    let scenario = format!("> drain\n> wait 90\n{CUT}ended: the server stops; talk 90000 peak low lost 6");
    check(nobody_wants_it, &scenario, Departures { cut: 1, ..Departures::default() });
}

/// Signalling stays ours for as long as the server stays for it: either side refreshes the session, and the audio stays
/// where it is.
#[test]
fn a_session_timer_is_refreshed_while_the_audio_goes_past_us() {
    let lines = told(
        "> invite expires=300 by=uas
        > bot answers 0
        > caller acks
        > drain
        > wait 60
        > caller agrees 200 0 expires=300 by=uac
        > bot agrees 200 0
        > wait 150
        > caller agrees 200 0 expires=300 by=uas
        > wait 100
        > caller reinvites 0 sendrecv expires=300 by=uac
        > caller byes",
    );
    let offered = |line: &&String| line.starts_with("reinvite caller") || line.starts_with("reply caller");
    let offered: Vec<&String> = lines.iter().filter(offered).collect();
    let past_us = "[0 sendrecv at 198.51.100.7:4000]";
    assert!(offered.len() == 3 && offered.iter().all(|line| line.contains(past_us)), "{lines:#?}");
    assert!(offered[1].ends_with("Session-Expires: 300;refresher=uac"), "ours: {lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("bypass")).count(), 1, "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("ended: BYE received; talk 310000")), "{lines:#?}");
}

/// Nobody answers before the server stops: the caller may call again.
#[test]
fn a_caller_without_an_answer_is_told_when_to_call_again() {
    let scenario = "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > drain
        > wait 10
        > stop
        reject 503 the server stops Retry-After: 8
        close caller
        cancel bot
        close bot
        ended: the server stops; talk 0 peak low lost 6";
    let sim = run(settings(), scenario);
    assert_eq!(sim.control.departures(), Departures { cut: 1, ..Departures::default() });
}

#[test]
fn the_callers_side_takes_our_place() {
    let settings = ControlSettings { limits: limits(&[HandOver::Refer, HandOver::Bypass]), ..settings() };
    let scenario = format!(
        "{REFERRED}
        > caller refer 202
        > caller refer 200 last
        bye bot
        close bot
        rerouted handed_over bot after 0 gap None
        bye caller
        close caller
        ended: handed over; talk 60000 peak low lost 6"
    );
    check(settings, &scenario, Departures { handed_over: 1, ..Departures::default() });
}

#[test]
fn a_side_that_knows_no_refer_is_led_past_us() {
    let settings = ControlSettings { limits: limits(&[HandOver::Refer, HandOver::Bypass]), ..settings() };
    let scenario = format!(
        "{REFERRED}
        > caller refer 501 last
        reroute handed_over bot failed: 501 said so
        bridge caller bot
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller agrees 200 0
        configure caller Pcmu/0 SendRecv
        reinvite bot [0 sendrecv at 198.51.100.7:4000]
        > bot agrees 200 0
        configure bot Pcmu/0 SendRecv
        bypassed by drain after 0
        > stop
        leave caller
        leave bot
        close caller
        close bot
        ended: handed over; talk 60000 peak low lost 6"
    );
    check(settings, &scenario, Departures { handed_over: 1, ..Departures::default() });
}

fn limits(hand_over: &[HandOver]) -> crate::settings::Limits {
    crate::settings::Limits { hand_over: hand_over.to_vec(), ..settings().limits }
}

#[track_caller]
fn check(settings: ControlSettings, scenario: &str, expected: Departures) {
    let sim = run(settings, &format!("{TALKING}{scenario}"));
    assert_eq!(sim.control.departures(), expected);
}
