//! Scenarios of offers that we make inside a call, so that both sides speak one codec.

use super::keys::HELPED;
use super::script::{TALKING, check, check_with};
use super::sim::settings;
use crate::settings::Pattern;

/// What a caller's BYE leads to.
const HANG_UP: &str = "
    > caller byes
    close caller
    bye bot
    close bot
    ended: BYE received; talk 0 peak low lost 6
";

/// The bot changes to A-law in the middle of the call, and the caller is asked to follow.
const ASKED: &str = "
    > bot reinvites 8 sendrecv
    configure bot Pcma/8 SendRecv
    reply bot 200 [8 sendrecv]
    reinvite caller [8 0 101 sendrecv]
";

#[test]
fn the_caller_follows_the_bot() {
    check(&format!(
        "{TALKING}{ASKED}
        > caller agrees 200 8 101
        configure caller Pcma/8 SendRecv
        codec caller PCMA accepted
        > bot reinvites 0 sendrecv
        configure bot Pcmu/0 SendRecv
        reply bot 200 [0 sendrecv]
        > wait 1
        reinvite caller [0 8 101 sendrecv]
        > caller agrees 200 0 101
        configure caller Pcmu/0 SendRecv
        codec caller PCMU accepted
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 1000 peak low lost 6"
    ));
}

#[test]
fn a_caller_who_stays_is_asked_once_more_and_then_left_alone() {
    check(&format!(
        "{TALKING}{ASKED}
        > caller agrees 200 0 8 101
        configure caller Pcmu/0 SendRecv
        codec caller PCMA passed_over
        > wait 1
        reinvite caller [8 101 sendrecv]
        > caller agrees 488
        codec caller PCMA refused
        > wait 100
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 101000 peak low lost 6"
    ));
}

#[test]
fn answers_that_say_nothing_change_nothing() {
    for answer in ["200", "200 bad-sdp", "200 18", "415", "603"] {
        check(&format!(
            "{TALKING}{ASKED}
            > caller agrees {answer}
            codec caller PCMA refused
            > wait 10
            > caller byes
            close caller
            bye bot
            close bot
            ended: BYE received; talk 10000 peak low lost 6"
        ));
    }
}

#[test]
fn failures_are_tried_three_times() {
    check(&format!(
        "{TALKING}{ASKED}
        > caller agrees 500
        codec caller PCMA failed
        > wait 1
        reinvite caller [8 0 101 sendrecv]
        > caller agrees 408
        codec caller PCMA failed
        probe caller
        > caller alive
        > wait 1
        reinvite caller [8 0 101 sendrecv]
        > caller agrees 503
        codec caller PCMA failed
        > wait 100
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 102000 peak low lost 6"
    ));
}

#[test]
fn offers_that_cross_give_way() {
    // The caller has made the Call-ID and waits for 2.1 s at least; we wait for 2 s at most (RFC 3261 §14.1).
    check(&format!(
        "{TALKING}{ASKED}
        > caller reinvites 0 101 sendrecv
        reply caller 491
        > caller updates
        reply caller 200
        > caller agrees 491
        codec caller PCMA crossed
        > wait 2
        reinvite caller [8 0 101 sendrecv]
        > caller agrees 200 8 101
        configure caller Pcma/8 SendRecv
        codec caller PCMA accepted
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 2000 peak low lost 6"
    ));
}

#[test]
fn the_callers_own_offer_settles_it() {
    check(&format!(
        "{TALKING}{ASKED}
        > caller agrees 491
        codec caller PCMA crossed
        > caller reinvites 0 8 101 sendrecv
        configure caller Pcma/8 SendRecv
        reply caller 200 [8 101 sendrecv]
        > wait 10
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 10000 peak low lost 6"
    ));
}

#[test]
fn a_caller_on_hold_is_left_alone() {
    check(&format!(
        "{TALKING}
        > caller reinvites 0 8 101 sendonly
        configure caller Pcmu/0 RecvOnly
        reply caller 200 [0 101 recvonly]
        > bot reinvites 8 sendrecv
        configure bot Pcma/8 SendRecv
        reply bot 200 [8 sendrecv]
        > caller reinvites 0 8 101 sendrecv
        configure caller Pcma/8 SendRecv
        reply caller 200 [8 101 sendrecv]
        {HANG_UP}"
    ));
    // One who goes on hold with the answer stays there.
    check(&format!(
        "{TALKING}{ASKED}
        > caller agrees 200 8 101 sendonly
        configure caller Pcma/8 RecvOnly
        codec caller PCMA accepted
        {HANG_UP}"
    ));
}

#[test]
fn nothing_is_offered_before_the_ack() {
    check(&format!(
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
        > bot answers 8
        configure bot Pcma/8 SendRecv
        answer [0 101 sendrecv]
        tap caller on
        answered bot
        > caller acks
        reinvite caller [8 0 101 sendrecv]
        > caller agrees 200 8 101
        configure caller Pcma/8 SendRecv
        codec caller PCMA accepted
        {HANG_UP}"
    ));
}

#[test]
fn to_a_human_who_speaks_something_else_and_back() {
    check(&format!(
        "{HELPED}
        > caller presses A
        key caller A event
        decided music service@1
        play caller Replace
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=music
        reroute bridge human started
        > human answers 8
        configure human Pcma/8 SendRecv
        stop caller
        bridge caller human
        bye bot
        close bot
        reinvite caller [8 0 101 sendrecv]
        prompt sorry.wav failed: cut short before it began
        > caller agrees 200 8 101
        configure caller Pcma/8 SendRecv
        codec caller PCMA accepted
        > caller hears human
        rerouted bridge human after 0 gap Some(0)
        > wait 60
        > human reinvites 0 8 sendrecv
        configure human Pcma/8 SendRecv
        reply human 200 [8 sendrecv]
        > human reinvites 0 sendrecv
        configure human Pcmu/0 SendRecv
        reply human 200 [0 sendrecv]
        reinvite caller [0 8 101 sendrecv]
        > caller agrees 200 0 101
        configure caller Pcmu/0 SendRecv
        codec caller PCMU accepted
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 60000 peak low lost 9"
    ));
}

#[test]
fn the_bot_follows_a_caller_who_knows_nothing_else() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0 8
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv]
        tap caller on
        answered bot
        > caller acks
        > caller reinvites 8 101 sendrecv
        configure caller Pcma/8 SendRecv
        reply caller 200 [8 101 sendrecv]
        reinvite bot [8 0 101 sendrecv]
        > bot agrees 491
        codec callee PCMA crossed
        > wait 2
        > wait 2
        reinvite bot [8 0 101 sendrecv]
        > bot agrees 200 8
        configure bot Pcma/8 SendRecv
        codec callee PCMA accepted
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 4000 peak low lost 6",
    );
}

#[test]
fn a_dialog_that_is_unknown_ends_the_call() {
    check(&format!(
        "{TALKING}{ASKED}
        > caller agrees 481
        codec caller PCMA failed
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 0 peak low lost 6"
    ));
    check(&format!("{TALKING}{ASKED}{HANG_UP}"));
}

#[test]
fn the_session_timer_goes_on_as_the_answer_says() {
    check(
        "> invite expires=1800
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv] Session-Expires: 1800;refresher=uac
        tap caller on
        answered bot
        > caller acks
        > wait 800
        > bot reinvites 8 sendrecv
        configure bot Pcma/8 SendRecv
        reply bot 200 [8 sendrecv]
        reinvite caller [8 0 101 sendrecv] Session-Expires: 1800;refresher=uas
        > caller agrees 200 8 101 expires=1800
        configure caller Pcma/8 SendRecv
        codec caller PCMA accepted
        > wait 1700
        probe caller
        probe bot
        probe caller
        probe bot
        > bot reinvites 0 sendrecv
        configure bot Pcmu/0 SendRecv
        reply bot 200 [0 sendrecv]
        reinvite caller [0 8 101 sendrecv] Session-Expires: 1800;refresher=uas
        > caller agrees 200 0 101
        configure caller Pcmu/0 SendRecv
        codec caller PCMU accepted
        > wait 4000
        probe caller
        probe bot
        probe caller
        probe bot
        probe caller
        probe bot
        probe caller
        probe bot
        probe caller
        probe bot
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 6500000 peak low lost 6",
    );
}

#[test]
fn keys_stay_with_the_leg() {
    let mut settings = settings();
    for route in &mut settings.routes.0 {
        route.request_uri = Some(Pattern::new("sip:*"));
        route.audio.protection =
            media::sdp::Protection { wanted: media::sdp::Wanted::Required, exchange: media::sdp::Exchange::Any };
    }
    check_with(
        settings,
        &format!(
            "> invite sdp=0,8,101,keys
            open caller
            started sales after-sales
            open bot
            invite bot [0 8 101 sendrecv]
            > bot answers 0 101
            configure bot Pcmu/0 SendRecv
            configure caller Pcmu/0 SendRecv with keys
            bridge caller bot
            answer [RTP/SAVP 0 101 keys sendrecv]
            tap caller on
            answered bot
            > caller acks
            > bot reinvites 8 sendrecv
            configure bot Pcma/8 SendRecv
            reply bot 200 [8 sendrecv]
            reinvite caller [RTP/SAVP 8 0 101 keys sendrecv]
            > caller agrees 200 8 101
            codec caller PCMA refused
            > bot reinvites 0 sendrecv
            configure bot Pcmu/0 SendRecv
            reply bot 200 [0 sendrecv]
            {HANG_UP}"
        ),
    );
}
