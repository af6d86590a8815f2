//! Scenarios of supervisors who listen in a browser: heard once it is connected, and never in the call's way.

use super::script::{HANG_UP, TALKING, check};

/// A browser that whispers to the bot's side.
const WHISPERING: &str = "
    > order browser whisper callee
    open browser
    supervisor 1 called at browser:li: whisper to callee
    > wait 2
    > order connected 1
    configure browser Opus/111 SendRecv
    supervise caller by browser WhisperAcross
    supervisor 1 joined after 2000
";

#[test]
fn a_browser_joins_changes_and_leaves() {
    check(&format!(
        "{TALKING}{WHISPERING}
        > order connected 1
        denied Unknown: no such supervisor in this call
        > order change 1 barge
        supervise caller by browser Barge
        supervisor 1 changed: barge
        > order change 1 listen
        supervise caller by browser Listen
        supervisor 1 changed: listen
        > order release 1
        end browser: ended by an operator
        close nobody
        supervisor 1 left: ended by an operator
        > order gone 1
        denied Unknown: no such supervisor in this call
        {HANG_UP}
        ended: BYE received; talk 2000 peak low lost 9"
    ));
}

#[test]
fn only_its_user_makes_a_browser_heard() {
    check(&format!(
        "{TALKING}{WHISPERING}
        > order change 1 barge by chen
        denied Forbidden: only whoever sits before this browser lets others hear it
        > order change 1 whisper caller by chen
        denied Forbidden: only whoever sits before this browser lets others hear it
        > order change 1 listen by chen
        supervise caller by browser Listen
        supervisor 1 changed: listen
        > order change 1 whisper callee by chen
        denied Forbidden: only whoever sits before this browser lets others hear it
        > order change 1 barge by li
        supervise caller by browser Barge
        supervisor 1 changed: barge
        > order change 1 hears callee
        supervise caller by browser Barge, hears Across
        supervisor 1 changed: barge, hears callee
        > order supervise floor listen
        open floor
        invite floor [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 2 called at floor: listen
        > order change 2 barge by chen
        supervisor 2 changed: barge
        {HANG_UP}
        end browser: the call ended
        close nobody
        supervisor 1 left: the call ended
        cancel floor
        close floor
        supervisor 2 failed: the call ended
        ended: BYE received; talk 2000 peak low lost 12"
    ));
}

#[test]
fn a_browser_that_goes_leaves_the_call_alone() {
    for (happens, done, talk) in [
        ("order gone 1", "end browser: signed out\nclose nobody\nsupervisor 1 failed: signed out", 0),
        ("wait 30", "end browser: no answer in time\nclose nobody\nsupervisor 1 failed: no answer in time", 30_000),
    ] {
        check(&format!(
            "{TALKING}
            > order browser barge
            open browser
            supervisor 1 called at browser:li: barge
            > {happens}
            {done}
            > order connected 1
            denied Unknown: no such supervisor in this call
            {HANG_UP}
            ended: BYE received; talk {talk} peak low lost 9"
        ));
    }
}

#[test]
fn a_browser_ends_with_the_call() {
    check(&format!(
        "{TALKING}{WHISPERING}{HANG_UP}
        end browser: the call ended
        close nobody
        supervisor 1 left: the call ended
        ended: BYE received; talk 2000 peak low lost 9"
    ));
}

#[test]
fn browsers_and_phones_are_counted_together_and_whoever_cannot_speak_is_not_heard() {
    check(&format!(
        "{TALKING}
        > order mute browser barge
        denied Conflict: this browser has offered to listen only
        > order mute browser listen
        open browser
        supervisor 1 called at browser:li: listen
        > order change 1 whisper callee
        denied Conflict: this browser has offered to listen only
        > order supervise floor listen
        open floor
        invite floor [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 2 called at floor: listen
        > order connected 2
        denied Unknown: no such supervisor in this call
        > order browser listen
        denied Conflict: the call has as many supervisors as it may have: 2
        > order release 2
        cancel floor
        close floor
        supervisor 2 failed: ended by an operator
        {HANG_UP}
        end browser: the call ended
        close nobody
        supervisor 1 failed: the call ended
        ended: BYE received; talk 0 peak low lost 12"
    ));
}
