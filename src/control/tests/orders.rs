//! Scenarios of what operators make parties hear, what an agent alone is told, and who has a live copy.

use super::keys::{HELPED, OVER};
use super::script::{HANG_UP, TALKING, check};

#[test]
fn a_file_is_played_to_either_party() {
    check(&format!(
        "{TALKING}
        > order play caller duck
        play caller Duck {{ attenuation_db: 12 }}
        > prompt starts
        prompt ordered.wav started after 0
        > order play callee replace
        play bot Replace
        > prompt starts
        prompt ordered.wav to the callee started after 0
        > prompt ends
        prompt ordered.wav to the callee ended true
        > prompt ends
        prompt ordered.wav ended true
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn whoever_hears_it_may_end_it() {
    let started = "
        > prompt starts
        prompt ordered.wav to the callee started after 0";
    let ended = "prompt ordered.wav to the callee ended false";
    check(&format!(
        "{TALKING}
        > order play callee duck until speech key
        play bot Duck {{ attenuation_db: 12 }} until a key {started}
        > caller speaks 480
        > caller sounds 5
        key caller 5 audio
        > wait 1
        > bot speaks 480
        stop bot
        {ended}
        > order play callee duck until key
        play bot Duck {{ attenuation_db: 12 }} until a key {started}
        > wait 1
        > bot speaks 480
        > bot sounds 7
        press caller 7
        stop bot
        key callee 7 audio
        {ended}
        {HANG_UP}
        ended: BYE received; talk 2000 peak low lost 6"
    ));
}

#[test]
fn what_parties_type_is_read_where_they_are_listened_to() {
    check(&format!(
        "{TALKING}
        > order typed caller 骗子
        read of caller: 骗子
        > order typed callee 谢谢
        denied Conflict: nobody listens to the callee
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 6
        > order typed caller 骗子
        denied Unknown: no such call"
    ));
}

#[test]
fn a_caller_is_moved_by_order_and_once_at_a_time() {
    check(&format!(
        "{TALKING}
        > order move nobody bridge
        denied Wrong: no target named nobody
        > order move human bridge #7
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=order X-Calmline-Queue-Priority: 7
        reroute bridge human started
        > order move human bridge
        denied Conflict: another re-route is under way
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        bridge caller human
        bye bot
        close bot
        > caller hears human
        rerouted bridge human after 0 gap Some(0)
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 0 peak low lost 9
        > order move human bridge
        denied Unknown: no such call"
    ));
}

#[test]
fn a_place_in_queues_goes_along_with_whatever_moves_the_caller() {
    let first = busy("human", " X-Calmline-Queue-Priority: 12");
    let usual = busy("human2", "");
    check(&format!(
        "{TALKING}
        > order priority 12
        priority Some(12) by li
        > order priority 12
        {first}
        > order priority usual
        priority None by li
        {usual}
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 12"
    ));
}

#[test]
fn a_move_by_order_that_fails_leaves_the_caller_where_it_is() {
    let busy = busy("human", "");
    check(&format!(
        "{TALKING}
        {busy}
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn what_plays_can_be_stopped() {
    check(&format!(
        "{TALKING}
        > order play callee duck
        play bot Duck {{ attenuation_db: 12 }}
        > order stop 1
        stop bot
        prompt ordered.wav to the callee failed: cut short before it began
        > order stop 1
        denied Unknown: no such prompt plays in this call
        > order say caller replace
        speak en to caller: hello 7
        > order stop 2
        prompt say: hello {{X-Account}} failed: ended by an operator
        > text spoken
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn a_text_for_a_party_that_has_left_is_not_played() {
    check(&format!(
        "{HELPED}
        > order say callee duck
        speak en to bot: hello 7
        > caller presses C
        key caller C event
        decided briefed service@1
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=briefed
        reroute bridge human started
        > human answers 0 quietly
        configure human Pcmu/0 SendRecv
        bridge caller human
        bye bot
        close bot
        play human Duck {{ attenuation_db: 12 }}
        > text spoken
        prompt say: hello {{X-Account}} to the callee failed: whoever was to hear it has left the call
        > prompt ends
        prompt wait.wav to the callee ended true
        > caller byes
        close caller
        bye human
        close human
        rerouted bridge human after 0 gap None
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn an_order_goes_between_the_music() {
    check(&format!(
        "{HELPED}
        > caller presses B
        key caller B event
        decided ringback service@1
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=ringback
        reroute bridge human started
        play caller Replace again and again
        play caller Replace
        > prompt starts
        prompt sorry.wav started after 0
        > prompt ends
        prompt sorry.wav ended true
        play caller Replace again and again
        > order play caller replace
        play caller Replace
        > order play callee replace
        play bot Replace
        > prompt ends
        prompt ordered.wav to the callee ended true
        > prompt starts
        prompt ordered.wav started after 0
        > prompt ends
        prompt ordered.wav ended true
        play caller Replace again and again
        > human fails 486 Busy Here
        close human
        reroute bridge human failed: 486 Busy Here
        stop caller
        decided stay service@1 because 486 Busy Here
        play caller Duck {{ attenuation_db: 12 }}
        > prompt ends
        prompt wait.wav ended true
        {OVER}
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn only_the_human_hears_a_whisper() {
    check(&format!(
        "{HELPED}
        > caller presses D
        key caller D event
        decided told service@1
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=told
        reroute bridge human started
        > human answers 0
        configure human Pcmu/0 SendRecv
        bridge caller human
        bye bot
        close bot
        speak en to human: account 7
        > text spoken
        play human Duck {{ attenuation_db: 12 }}
        > prompt starts
        prompt say: account {{X-Account}} to the callee started after 0
        > caller speaks 480
        > caller presses 5
        key caller 5 event
        > prompt ends
        prompt say: account {{X-Account}} to the callee ended true
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
fn a_call_is_copied_as_long_as_anybody_wants_it() {
    check(&format!(
        "{TALKING}
        > order audio
        copy caller on
        audio 1 opened stereo
        > wait 3
        > order audio
        audio 2 opened stereo
        > order audio 1 missed 640
        audio 1 missed 640
        > order audio 1 closes
        audio 1 closed after 3000
        > order audio 1 closes
        > order audio 1 missed 20
        > order audio 2 closes
        copy caller off
        audio 2 closed after 0
        > order audio
        copy caller on
        audio 3 opened stereo
        > caller byes
        close caller
        bye bot
        close bot
        audio 3 closed after 0
        ended: BYE received; talk 3000 peak low lost 6
        > order audio 3 closes
        denied Unknown: no such call"
    ));
}

/// A move by order to a human who is busy; the INVITE has `more` besides.
fn busy(leg: &str, more: &str) -> String {
    format!(
        "> order move human bridge
        open {leg}
        invite {leg} [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=order{more}
        reroute bridge human started
        > {leg} fails 486 Busy Here
        close {leg}
        reroute bridge human failed: 486 Busy Here"
    )
}
