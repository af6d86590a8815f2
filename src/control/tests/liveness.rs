//! Scenarios of timers: no call lives on when its ends are gone, and no healthy call is ended.

use std::time::Duration;

use super::script::{TALKING, check, check_with};
use super::sim::settings;

#[test]
fn both_silent_and_dead() {
    check(&format!(
        "{TALKING}
        > wait 40
        > caller silent 30
        probe caller
        probe bot
        > wait 10
        > bot silent 30
        probe caller
        probe bot
        > bot alive
        > caller dead
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 50000 peak low lost 6"
    ));
}

#[test]
fn both_silent_but_alive_until_the_limit() {
    check(&format!(
        "{TALKING}
        > wait 100
        > caller silent 60
        probe caller
        probe bot
        > bot silent 30
        probe caller
        probe bot
        > caller alive
        > bot alive
        > caller silent 120
        > wait 269
        > wait 2
        bye caller
        close caller
        bye bot
        close bot
        ended: nobody sent any audio; talk 370000 peak low lost 6"
    ));
}

#[test]
fn one_silent_side_listens() {
    check(&format!(
        "{TALKING}
        > wait 60
        > bot silent 30
        probe caller
        probe bot
        > caller alive
        > bot alive
        > wait 600
        > caller silent 20
        > caller sends
        > wait 200
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 860000 peak low lost 6"
    ));
}

#[test]
fn one_silent_side_that_is_gone_ends_the_call() {
    check(&format!(
        "{TALKING}
        > wait 60
        > caller silent 30
        probe caller
        probe bot
        > bot alive
        > caller dead
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 60000 peak low lost 6"
    ));
}

#[test]
fn who_answers_no_question_and_is_heard_keeps_the_call() {
    check(&format!(
        "{TALKING}
        > wait 900
        probe caller
        probe bot
        > caller ignores
        > bot alive
        > wait 900
        probe caller
        probe bot
        > caller ignores
        > bot alive
        > wait 60
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 1860000 peak low lost 6"
    ));
}

#[test]
fn who_is_silent_and_answers_no_question_is_asked_twice() {
    check(&format!(
        "{TALKING}
        > wait 60
        > caller silent 30
        probe caller
        probe bot
        > bot alive
        > wait 32
        > caller ignores
        > wait 30
        probe caller
        > caller alive
        > wait 100
        > caller sends
        > wait 60
        > caller silent 30
        probe caller
        probe bot
        > bot alive
        > wait 32
        > caller ignores
        > caller ignores
        > wait 30
        probe caller
        > wait 32
        > caller ignores
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer answers; talk 376000 peak low lost 6"
    ));
}

#[test]
fn hold_is_not_silence() {
    check(&format!(
        "{TALKING}
        > caller reinvites 0 101 inactive
        configure caller Pcmu/0 Inactive
        reply caller 200 [0 101 inactive]
        > caller silent 30
        > bot silent 30
        > wait 800
        > caller reinvites 0 101 sendrecv
        configure caller Pcmu/0 SendRecv
        reply caller 200 [0 101 sendrecv]
        > wait 29
        > wait 2
        probe caller
        probe bot
        > bot byes
        bye caller
        close caller
        close bot
        ended: BYE received; talk 831000 peak low lost 6"
    ));
}

#[test]
fn silence_counts_from_the_answer_however_long_it_rang() {
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
        > wait 19
        > caller silent 19
        > bot silent 19
        > bot answers
        answer [0 101 sendrecv]
        tap caller on
        answered bot
        > caller acks
        > wait 29.5
        > wait 1
        probe caller
        probe bot
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 30500 peak low lost 6",
    );
}

#[test]
fn dead_ends_are_found_even_when_every_bye_was_lost() {
    check(&format!(
        "{TALKING}
        > wait 900
        probe caller
        probe bot
        > caller alive
        > bot alive
        > wait 900
        probe caller
        probe bot
        > bot dead
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 1800000 peak low lost 6"
    ));
}

#[test]
fn the_longest_call() {
    let mut settings = settings();
    settings.limits.call = Duration::from_secs(600);
    check_with(
        settings,
        &format!(
            "{TALKING}
            > wait 600
            bye caller
            close caller
            bye bot
            close bot
            ended: the longest call is over; talk 600000 peak low lost 6"
        ),
    );
}

#[test]
fn session_timer() {
    check(
        "> invite expires=90
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv] Session-Expires: 90;refresher=uac
        tap caller on
        answered bot
        > caller acks
        > wait 50
        > caller updates timer
        reply caller 200 Session-Expires: 90;refresher=uac
        > bot updates
        reply bot 200
        > wait 59
        > wait 1
        bye caller
        close caller
        bye bot
        close bot
        ended: session expired without a refresh; talk 110000 peak low lost 6",
    );
}

#[test]
fn a_session_timer_that_is_ours_to_refresh() {
    check(
        "> invite expires=1800 by=uas update
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv] Session-Expires: 1800;refresher=uas
        tap caller on
        answered bot
        > caller acks
        > wait 899
        > wait 1
        update caller Session-Expires: 1800;refresher=uac
        probe caller
        probe bot
        > caller refreshed 200 expires=600 by=uac
        > wait 300
        update caller Session-Expires: 600;refresher=uac
        > caller refreshed 500
        > wait 10
        update caller Session-Expires: 600;refresher=uac
        > caller refreshed 200 expires=600 by=uas
        > wait 567
        > wait 1
        bye caller
        close caller
        bye bot
        close bot
        ended: session expired without a refresh; talk 1778000 peak low lost 6",
    );
}

#[test]
fn a_refresh_that_is_refused_ends_the_timer_and_not_the_call() {
    check(
        "> invite expires=300 by=uas
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv] Session-Expires: 300;refresher=uas
        tap caller on
        answered bot
        > caller acks
        > wait 150
        reinvite caller [0 101 sendrecv] Session-Expires: 300;refresher=uac
        > caller agrees 491
        > wait 2
        reinvite caller [0 101 sendrecv] Session-Expires: 300;refresher=uac
        > caller agrees 200 0 101 sendrecv expires=300 by=uac
        configure caller Pcmu/0 SendRecv
        > wait 150
        reinvite caller [0 101 sendrecv] Session-Expires: 300;refresher=uac
        > caller agrees 501
        > wait 10
        reinvite caller [0 101 sendrecv] Session-Expires: 300;refresher=uac
        > caller agrees 405
        > wait 580
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 892000 peak low lost 6",
    );
}

#[test]
fn a_refresh_that_asks_for_too_little_asks_for_longer() {
    check(
        "> invite expires=600 by=uas update
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv] Session-Expires: 600;refresher=uas
        tap caller on
        answered bot
        > caller acks
        > wait 300
        update caller Session-Expires: 600;refresher=uac
        > caller refreshed 422 least=1800
        > wait 9
        > wait 1
        update caller Session-Expires: 1800;refresher=uac
        > caller refreshed 200 expires=1800 by=uac
        > wait 400
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 710000 peak low lost 6",
    );
}

#[test]
fn a_session_timer_with_the_target() {
    let mut settings = settings();
    settings.limits.session_expires_s = Some(600);
    check_with(
        settings,
        "> invite timer
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv] Session-Expires: 600
        > bot answers 0 expires=400 by=uac update
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv] Session-Expires: 600;refresher=uas
        tap caller on
        answered bot
        > caller acks
        > wait 200
        update bot Session-Expires: 400;refresher=uac
        > bot refreshed 200 expires=400 by=uac
        > caller updates expires=60
        reply caller 422
        > caller updates timer
        reply caller 200 Session-Expires: 600;refresher=uas
        > wait 200
        update bot Session-Expires: 400;refresher=uac
        > bot refreshed 481
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 400000 peak low lost 6",
    );
}

#[test]
fn a_missing_ack_is_asked_after() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > bot answers 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        answer [0 101 sendrecv]
        tap caller on
        answered bot
        > wait 32
        probe caller
        probe bot
        > caller dead
        bye caller
        close caller
        bye bot
        close bot
        ended: a far end no longer knows the call; talk 32000 peak low lost 6",
    );
}
