//! Scenarios from the INVITE to the answer, and the plain end of calls.

use super::script::{TALKING, check, check_legs, check_with};
use super::sim::settings;
use crate::settings::PortRange;

#[test]
fn basic_call() {
    check(&format!(
        "{TALKING}
        > wait 10
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 10000 peak low lost 6"
    ));
}

#[test]
fn what_each_leg_carried_is_told_before_the_end() {
    let told = check_legs(&format!(
        "{TALKING}
        > bot reinvites 8 sendrecv
        configure bot Pcma/8 SendRecv
        reply bot 200 [8 sendrecv]
        reinvite caller [8 0 101 sendrecv]
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 0 peak low lost 6"
    ));
    let expected = [
        "leg of caller caller: PCMU lost 3 opinion Some(4.4)",
        "leg of callee bot: PCMA lost 3 opinion Some(4.4)",
        "ended: BYE received; talk 0 peak low lost 6",
    ];
    assert_eq!(told, expected);
    // Of a leg on which nothing was agreed, there is nothing to tell.
    let told = check_legs(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > caller cancels
        close caller
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
    assert_eq!(told, ["ended: cancelled by the caller; talk 0 peak low lost 6"]);
}

#[test]
fn callee_hangs_up() {
    check(&format!(
        "{TALKING}
        > bot byes
        bye caller
        close caller
        close bot
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn late_bye_and_other_late_words_do_nothing() {
    check(&format!(
        "{TALKING}
        > hang up boot-1
        bye caller
        close caller
        bye bot
        close bot
        ended: hung up by an operator; talk 0 peak low lost 6
        > bot dead
        > caller sends
        > bot reinvites 0 sendrecv
        reply bot 481
        > hang up boot-1
        > hang up nonsense"
    ));
}

#[test]
fn caller_gets_the_codec_that_the_target_chose() {
    check(
        "> invite sdp=0,8,101
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot rings 180
        progress 180
        > bot answers 8 101
        configure bot Pcma/8 SendRecv
        configure caller Pcma/8 SendRecv
        bridge caller bot
        answer [8 101 sendrecv]
        tap caller on
        answered bot
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 0 peak low lost 6",
    );
}

#[test]
fn early_media_goes_through_and_may_change() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot rings 183 8 101
        configure bot Pcma/8 SendRecv
        configure caller Pcma/8 SendRecv
        bridge caller bot
        progress 183 [8 101 sendrecv]
        > bot rings 183 0 101
        configure bot Pcmu/0 SendRecv
        progress 183 [8 101 sendrecv]
        > bot rings 183 bad-sdp
        progress 183
        > bot answers no-sdp
        answer [8 101 sendrecv]
        tap caller on
        answered bot
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 0 peak low lost 6",
    );
}

#[test]
fn cancel_frees_everything() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot rings 180
        progress 180
        > caller cancels
        close caller
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
}

#[test]
fn busy_target_then_the_next_one() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot fails 486 Busy Here
        close bot
        open spare
        invite spare [0 8 101 sendrecv]
        > spare answers 0
        configure spare Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller spare
        answer [0 101 sendrecv]
        tap caller on
        answered spare
        > spare byes
        bye caller
        close caller
        close spare
        ended: BYE received; talk 0 peak low lost 9",
    );
}

#[test]
fn all_busy_is_busy_for_the_caller() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot fails 503 Down
        close bot
        open spare
        invite spare [0 8 101 sendrecv]
        > spare fails 600 Busy Everywhere
        close spare
        reject 486 Busy Everywhere
        close caller
        ended: Busy Everywhere; talk 0 peak low lost 9",
    );
}

#[test]
fn a_caller_whom_nobody_takes_for_a_while_is_told_for_how_long() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot kept back for 60
        close bot
        open spare
        invite spare [0 8 101 sendrecv]
        > spare kept back for 1.2
        close spare
        reject 503 asks for fewer calls Retry-After: 2
        close caller
        ended: asks for fewer calls; talk 0 peak low lost 9
        > invite
        open caller2
        started sales after-sales
        open bot2
        invite bot2 [0 8 101 sendrecv]
        > bot2 kept back for 60
        close bot2
        open spare2
        invite spare2 [0 8 101 sendrecv]
        > spare2 fails 503 Down
        close spare2
        reject 503 Down
        close caller2
        ended: Down; talk 0 peak low lost 9",
    );
}

#[test]
fn nobody_answers_in_time() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > wait 20
        cancel bot
        close bot
        open spare
        invite spare [0 8 101 sendrecv]
        > wait 20
        cancel spare
        close spare
        reject 480 no answer in time
        close caller
        ended: no answer in time; talk 0 peak low lost 9",
    );
}

#[test]
fn early_media_of_the_first_target_keeps_the_codec_for_the_second() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot rings 183 8
        configure bot Pcma/8 SendRecv
        configure caller Pcma/8 SendRecv
        bridge caller bot
        progress 183 [8 101 sendrecv]
        > bot fails 480 Gone
        close bot
        open spare
        invite spare [8 0 101 sendrecv]
        > spare answers 0
        configure spare Pcmu/0 SendRecv
        bridge caller spare
        answer [8 101 sendrecv]
        tap caller on
        answered spare
        > caller byes
        close caller
        bye spare
        close spare
        ended: BYE received; talk 0 peak low lost 9",
    );
}

#[test]
fn a_target_whose_answer_is_of_no_use_is_left() {
    check(
        "> invite to=money
        open caller
        started money finance
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 18
        bye bot
        close bot
        reject 488 no common codec: expected one of PCMU, PCMA, found 18
        close caller
        ended: no common codec: expected one of PCMU, PCMA, found 18; talk 0 peak low lost 6",
    );
}

#[test]
fn an_answer_that_crosses_our_cancel_is_ended() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > caller cancels quietly
        close caller
        cancel bot
        close bot
        > bot answers 0
        bye bot
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
}

#[test]
fn refusals_leave_nothing_behind() {
    for (words, answer) in [
        ("bad-sdp", "488 Not Acceptable Here"),
        ("sdp=18", "488 Not Acceptable Here"),
        ("to=nowhere", "404 Not Found"),
        ("hops=0", "483 Too Many Hops"),
    ] {
        check(&format!("> invite {words}\nreject {answer}\nrefused {answer}"));
    }
    check(
        "> invite expires=60
        reject 422 Session Interval Too Small
        refused 422 Session Interval Too Small
        > drain
        > invite
        reject 503 Draining Retry-After: 5
        refused 503 Draining",
    );
}

#[test]
fn calls_that_go_past_us() {
    check(
        "> invite to=past
        redirect to sip:bot@10.0.0.9
        redirected to bot: the route goes past us
        > invite to=lucky
        open caller2
        started lucky after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > drain
        > invite to=lucky
        redirect to sip:bot@10.0.0.9
        redirected to bot: no room for it here
        > invite
        reject 503 Draining Retry-After: 5
        refused 503 Draining
        > caller2 cancels
        close caller2
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
}

#[test]
fn a_caller_without_an_offer_answers_ours() {
    check(
        "> invite no-sdp
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot rings 183 8
        configure bot Pcma/8 SendRecv
        progress 183
        > bot answers
        answer [8 0 101 sendrecv]
        tap caller on
        answered bot
        > caller acks 0 8 101 sendrecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        reinvite caller [8 0 101 sendrecv]
        > caller agrees 200 8 101 sendrecv
        configure caller Pcma/8 SendRecv
        codec caller PCMA accepted
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 0 peak low lost 6",
    );
}

#[test]
fn a_caller_without_an_offer_who_does_not_answer_ours() {
    for (answer, why) in [
        ("no-sdp", "nothing"),
        ("bad-sdp", "description is malformed: expected key=value, found \"this is not SDP\""),
        ("18 sendrecv", "no common codec: expected one of PCMU, PCMA, found 18"),
    ] {
        check(&format!(
            "> invite no-sdp
            open caller
            started sales after-sales
            open bot
            invite bot [0 8 101 sendrecv]
            > bot answers 0
            configure bot Pcmu/0 SendRecv
            answer [0 8 101 sendrecv]
            tap caller on
            answered bot
            > caller acks {answer}
            bye caller
            close caller
            bye bot
            close bot
            ended: the ACK brought no answer to our offer: {why}; talk 0 peak low lost 6"
        ));
    }
}

#[test]
fn a_route_without_targets_ends_at_once() {
    check(
        "> invite to=void
        open caller
        started void after-sales
        reject 480 no target
        close caller
        ended: no target; talk 0 peak low lost 3",
    );
}

#[test]
fn call_limit() {
    let mut settings = settings();
    settings.limits.calls = 1;
    check_with(
        settings,
        "> invite to=money
        open caller
        started money finance
        open bot
        invite bot [0 8 101 sendrecv]
        > invite
        reject 503 Call limit reached Retry-After: 5
        refused 503 Call limit reached
        > bot fails 404 Not Found
        close bot
        reject 404 Not Found
        close caller
        ended: Not Found; talk 0 peak low lost 6
        > invite to=money
        open caller3
        started money finance
        open bot2
        invite bot2 [0 8 101 sendrecv]
        > caller3 cancels
        close caller3
        cancel bot2
        close bot2
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
}

#[test]
fn overload_turns_new_calls_away_and_leaves_running_ones_alone() {
    check(&format!(
        "{TALKING}
        > measure late_ms 6 for 2
        load sparing after normal by late_ms 6
        > measure late_ms 20 for 2
        load overloaded after sparing by late_ms 20
        > invite
        reject 503 Overloaded Retry-After: 8
        refused 503 Overloaded
        > invite to=lucky
        redirect to sip:bot@10.0.0.9
        redirected to bot: no room for it here
        > measure late_ms 0 for 6
        load normal after overloaded
        > measure late_ms 0 for 5
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 15000 peak low lost 6"
    ));
}

#[test]
fn ports_run_out() {
    let mut settings = settings();
    settings.ports = PortRange { first: 20_000, last: 20_003 };
    check_with(
        settings,
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > invite
        reject 503 No media port is free Retry-After: 5
        refused 503 No media port is free
        > bot fails 500 Oops
        close bot
        reject 503 No media port is free
        close caller
        ended: No media port is free; talk 0 peak low lost 6",
    );
}

#[test]
fn ports_that_cannot_be_opened_are_left_for_others() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot cannot open
        cancel bot
        open bot2
        invite bot2 [0 8 101 sendrecv]
        > caller cannot open
        open caller
        > caller cannot open
        open caller
        > caller cannot open
        reject 500 media port could not be opened: in use
        cancel bot2
        close bot2
        ended: media port could not be opened: in use; talk 0 peak low lost 3",
    );
    check(&format!(
        "{TALKING}
        > bot cannot open
        bye caller
        close caller
        bye bot
        ended: media port could not be opened: in use; talk 0 peak low lost 3"
    ));
}

#[test]
fn a_port_that_the_caller_was_told_of_is_not_exchanged() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot rings 183 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        progress 183 [0 101 sendrecv]
        > caller cannot open
        reject 500 media port could not be opened: in use
        cancel bot
        close bot
        ended: media port could not be opened: in use; talk 0 peak low lost 3",
    );
}
