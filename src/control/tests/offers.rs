//! Scenarios of re-INVITE and UPDATE: answered at once, on either leg, at any time.

use super::script::{TALKING, check};

/// What a caller's BYE leads to.
const HANG_UP: &str = "
    > caller byes
    close caller
    bye bot
    close bot
    ended: BYE received; talk 0 peak low lost 6
";

#[test]
fn hold_and_resume() {
    check(&format!(
        "{TALKING}
        > caller reinvites 0 101 sendonly
        configure caller Pcmu/0 RecvOnly
        reply caller 200 [0 101 recvonly]
        > caller reinvites 0 101 inactive
        configure caller Pcmu/0 Inactive
        reply caller 200 [0 101 inactive]
        > caller updates 0 101 sendrecv
        configure caller Pcmu/0 SendRecv
        reply caller 200 [0 101 sendrecv]
        > bot reinvites 0 recvonly
        configure bot Pcmu/0 SendOnly
        reply bot 200 [0 sendonly]
        {HANG_UP}"
    ));
}

#[test]
fn the_codec_in_use_stays_when_it_can() {
    check(&format!(
        "{TALKING}
        > caller reinvites 8 0 sendrecv
        configure caller Pcmu/0 SendRecv
        reply caller 200 [0 sendrecv]
        > bot reinvites 8 0 sendrecv
        configure bot Pcmu/0 SendRecv
        reply bot 200 [0 sendrecv]
        {HANG_UP}"
    ));
}

#[test]
fn without_a_description() {
    check(&format!(
        "{TALKING}
        > caller updates
        reply caller 200
        > caller reinvites 0 101 sendonly
        configure caller Pcmu/0 RecvOnly
        reply caller 200 [0 101 recvonly]
        > caller reinvites
        reply caller 200 [0 101 sendrecv]
        > caller reinvites 0 101 sendrecv
        reply caller 491
        > caller acks-offer
        configure caller Pcmu/0 SendRecv
        {HANG_UP}"
    ));
}

#[test]
fn the_ack_answers_the_offer_that_a_side_has_asked_for() {
    check(&format!(
        "{TALKING}
        > bot reinvites
        reply bot 200 [0 8 101 sendrecv]
        > bot acks-offer 8 101 sendonly
        configure bot Pcma/8 RecvOnly
        reinvite caller [8 0 101 sendrecv]
        > caller agrees 488
        codec caller PCMA refused
        > bot reinvites
        reply bot 200 [8 0 101 sendrecv]
        > bot acks-offer 0 101 sendrecv
        configure bot Pcmu/0 SendRecv
        > bot reinvites
        reply bot 200 [0 8 101 sendrecv]
        > bot acks-offer bad-sdp
        {HANG_UP}"
    ));
}

#[test]
fn a_bad_description_leaves_the_call_alone() {
    check(&format!(
        "{TALKING}
        > caller reinvites bad-sdp
        reply caller 488
        > bot updates 18 sendrecv
        reply bot 488
        {HANG_UP}"
    ));
}

#[test]
fn before_the_answer() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > caller updates 0 sendonly
        reply caller 500 Retry-After: 2
        > bot updates
        reply bot 200
        > bot rings 183 0
        configure bot Pcmu/0 SendRecv
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        progress 183 [0 101 sendrecv]
        > caller updates 0 101 sendonly
        configure caller Pcmu/0 RecvOnly
        reply caller 200 [0 101 recvonly]
        > bot updates 8 sendrecv
        configure bot Pcma/8 SendRecv
        reply bot 200 [8 sendrecv]
        > caller cancels
        close caller
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
}
