//! Scenarios of audio that goes past us, and of what brings it back.

use super::script::{TALKING, check, told};
use crate::control::bypass::Path;
use crate::control::call::{Call, Stage};

/// Both sides are told of each other, and send to each other.
pub(super) const LED: &str = "
    reinvite caller [0 sendrecv at 198.51.100.7:4000]
    > caller agrees 200 0 there
    configure caller Pcmu/0 SendRecv
    reinvite bot [0 sendrecv at 198.51.100.8:5000]
    > bot agrees 200 0
    configure bot Pcmu/0 SendRecv
";

/// Both come back.
const BACK: &str = "
    renew caller
    reinvite caller [0 101 sendrecv]
    renew bot
    reinvite bot [0 101 sendrecv]
    > bot agrees 200 0
    configure bot Pcmu/0 SendRecv
    > caller agrees 200 0 there
    configure caller Pcmu/0 SendRecv
";

/// The end of a call that lasted no time.
const HANG_UP: &str = "
    > caller byes
    close caller
    bye bot
    close bot
    ended: BYE received; talk 0 peak low lost 6
";

#[test]
fn there_and_back() {
    check(&format!(
        "{TALKING}
        > order bypass{LED}
        bypassed by operator after 0
        > order bypass
        denied Conflict: its audio goes past us already, or is on its way there or back
        > order end bypass
        {BACK}bypass ended after 0: ended by an operator
        > order end bypass
        denied Conflict: its audio goes through us
        {HANG_UP}"
    ));
}

#[test]
fn a_side_that_moves_is_told_of_again() {
    check(&format!(
        "{TALKING}
        > order bypass
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller agrees 200 0
        configure caller Pcmu/0 SendRecv
        reinvite bot [0 sendrecv at 198.51.100.7:4000]
        > bot agrees 200 0 there
        configure bot Pcmu/0 SendRecv
        reinvite caller [0 sendrecv at 198.51.100.8:5000]
        > wait 1
        > caller agrees 200 0
        configure caller Pcmu/0 SendRecv
        bypassed by operator after 1000
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 1000 peak low lost 6"
    ));
}

#[test]
fn two_sides_that_never_agree_come_back() {
    let mut scenario = format!("{TALKING}\n> order bypass\nreinvite caller [0 sendrecv at 198.51.100.7:4000]\n");
    for _ in 0..2 {
        scenario += "> caller agrees 200 0
            configure caller Pcmu/0 SendRecv
            reinvite bot [0 sendrecv at 198.51.100.7:4000]
            > bot agrees 200 0 there
            configure bot Pcmu/0 SendRecv
            reinvite caller [0 sendrecv at 198.51.100.8:5000]
            > caller agrees 200 0 there
            configure caller Pcmu/0 SendRecv
            reinvite bot [0 sendrecv at 198.51.100.8:5000]
            > bot agrees 200 0
            configure bot Pcmu/0 SendRecv
            reinvite caller [0 sendrecv at 198.51.100.7:4000]
        ";
    }
    // Six offers are enough.
    let enough = scenario.match_indices("reinvite").nth(6).expect("more than six").0;
    check(&format!(
        "{}{BACK}bypass failed: the two sides do not agree on where audio goes{HANG_UP}",
        &scenario[..enough]
    ));
}

#[test]
fn a_refusal_leaves_the_call_as_it_was() {
    for code in [415, 488, 500, 606] {
        check(&format!(
            "{TALKING}
            > order bypass
            reinvite caller [0 sendrecv at 198.51.100.7:4000]
            > caller agrees {code}
            bypass failed: the caller has not agreed: {code}
            {HANG_UP}"
        ));
    }
    check(&format!(
        "{TALKING}
        > order bypass
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller agrees 200 0
        configure caller Pcmu/0 SendRecv
        reinvite bot [0 sendrecv at 198.51.100.7:4000]
        > bot agrees 488
        renew caller
        reinvite caller [0 101 sendrecv]
        > caller agrees 200 0
        configure caller Pcmu/0 SendRecv
        bypass failed: the callee has not agreed: 488
        {HANG_UP}"
    ));
}

#[test]
fn who_says_nothing_or_nothing_of_use_is_called_back() {
    check(&format!(
        "{TALKING}
        > order bypass
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller agrees 200 bad-sdp
        > wait 1
        renew caller
        reinvite caller [0 101 sendrecv]
        > caller agrees 408
        probe caller
        > wait 1
        renew caller
        reinvite caller [0 101 sendrecv]
        > caller agrees 200 0
        configure caller Pcmu/0 SendRecv
        bypass failed: the caller has not agreed: 200
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 2000 peak low lost 6"
    ));
}

#[test]
fn who_does_not_know_the_call_ends_it() {
    check(&format!(
        "{TALKING}
        > order bypass{LED}
        bypassed by operator after 0
        > order end bypass
        renew caller
        reinvite caller [0 101 sendrecv]
        renew bot
        reinvite bot [0 101 sendrecv]
        > bot agrees 481
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 0 peak low lost 6"
    ));
}

#[test]
fn offers_that_cross_are_made_again() {
    check(&format!(
        "{TALKING}
        > order bypass
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller reinvites 0 101 sendrecv
        reply caller 491
        > caller agrees 491
        > wait 2
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 2000 peak low lost 6"
    ));
}

#[test]
fn a_hold_brings_the_audio_back_and_a_refresh_does_not() {
    check(&format!(
        "{TALKING}
        > order bypass{LED}
        bypassed by operator after 0
        > caller updates
        reply caller 200
        > caller reinvites 0 sendrecv there
        reply caller 200 [0 sendrecv at 198.51.100.7:4000]
        > caller reinvites 0 101 sendonly there
        configure caller Pcmu/0 RecvOnly
        reply caller 200 [0 101 recvonly]
        renew bot
        reinvite bot [0 101 sendrecv]
        > bot agrees 200 0
        configure bot Pcmu/0 SendRecv
        bypass ended after 0: one of the sides has made another offer
        > order bypass
        denied Conflict: one of the sides is on hold
        > caller reinvites 0 101 sendrecv there
        configure caller Pcmu/0 SendRecv
        reply caller 200 [0 101 sendrecv]
        > order bypass
        reinvite caller [0 sendrecv at 198.51.100.7:4000]
        {HANG_UP}"
    ));
}

#[test]
fn nobody_is_missed_while_audio_goes_past_us() {
    check(&format!(
        "{TALKING}
        > order bypass{LED}
        bypassed by operator after 0
        > caller silent 30
        > bot silent 30
        > wait 800
        > order audio
        denied Conflict: the call's audio goes past us: end the bypass first
        > order play caller duck
        denied Conflict: the call's audio goes past us: end the bypass first
        > order supervise floor listen
        denied Conflict: the call's audio goes past us: end the bypass first
        > bot byes
        bye caller
        close caller
        close bot
        ended: BYE received; talk 800000 peak low lost 6"
    ));
}

#[test]
fn a_policy_brings_the_audio_back_to_move_the_caller() {
    check(&format!(
        "{TALKING}
        > order bypass{LED}
        bypassed by operator after 0
        > caller is angry
        observed caller anger high
        decided angry after-sales@1
        alert warning
        prompt sorry.wav failed: the call's audio goes past us: end the bypass first
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry
        reroute bridge human started
        {BACK}bypass ended after 0: the caller is being moved
        > human fails 486 Busy
        close human
        reroute bridge human failed: 486 Busy
        decided stay after-sales@1 because 486 Busy
        play caller Replace
        > caller byes
        close caller
        bye bot
        close bot
        prompt wait.wav failed: the call ended first
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn what_needs_us_is_not_sent_past_us() {
    for (before, reason) in [
        ("> caller is angry", "the caller is being moved"),
        ("> order audio", "somebody has a live copy of the audio"),
        ("> order play callee duck", "something plays to one of the sides"),
        ("> order supervise floor listen", "a supervisor takes part"),
        ("> bot reinvites 8 sendrecv", "the two sides speak different codecs"),
        ("> bot reinvites 0 inactive", "one of the sides is on hold"),
    ] {
        let told = told(&format!("{TALKING}{before}\n> order bypass"));
        assert_eq!(told.last().map(String::as_str), Some(format!("denied Conflict: {reason}").as_str()), "{before}");
    }
}

/// What holds between any two events: nobody sends past us unnoticed, and both sides know the same when both do.
pub(super) fn assert_consistent(call: &Call) {
    let Stage::Talking(talking) = &call.stage else { return };
    match &talking.path {
        Path::Through => {
            let legs = std::iter::once(&call.caller).chain(&call.far);
            assert!(legs.into_iter().all(|leg| leg.led.is_none() && !leg.reoffers.leads()), "{call:?}");
        }
        Path::Past { .. } => assert!(call.far.is_some() && call.next_to_tell().is_none(), "{call:?}"),
        Path::Leaving { .. } | Path::Returning { .. } => {}
    }
}
