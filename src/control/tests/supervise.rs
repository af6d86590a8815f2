//! Scenarios of supervisors: called, heard by whom they may be, through re-routes, and never in the call's way.

use std::time::Duration;

use super::keys::HELPED;
use super::script::{HANG_UP, TALKING, check, check_with};
use super::sim::settings;
use crate::control::ControlSettings;
use crate::settings::{Hearer, IndicatorSettings, PortRange, Presence};

/// A supervisor whispers to the bot's side.
const WHISPERING: &str = "
    > order supervise floor whisper callee
    open floor
    invite floor [0 8 101 sendrecv] X-Calmline-Supervision: whisper
    supervisor 1 called at floor: whisper to callee
    > floor rings 180
    > wait 2
    > floor answers 8 101
    configure floor Pcma/8 SendRecv
    supervise caller by floor WhisperAcross
    supervisor 1 joined after 2000
";

#[test]
fn a_supervisor_joins_changes_and_leaves() {
    check(&format!(
        "{TALKING}{WHISPERING}
        > order change 1 listen
        supervise caller by floor Listen
        supervisor 1 changed: listen
        > order change 1 listen
        > order change 1 whisper caller
        supervise caller by floor Whisper
        supervisor 1 changed: whisper to caller
        > order change 1 hears caller
        supervise caller by floor Whisper, hears Supervised
        supervisor 1 changed: whisper to caller, hears caller
        > order change 1 barge
        supervise caller by floor Barge, hears Supervised
        supervisor 1 changed: barge, hears caller
        > order change 1 hears callee
        supervise caller by floor Barge, hears Across
        supervisor 1 changed: barge, hears callee
        > order change 1 hears both
        supervise caller by floor Barge
        supervisor 1 changed: barge
        > order release 1
        bye floor
        close floor
        supervisor 1 left: ended by an operator
        > order release 1
        denied Unknown: no such supervisor in this call
        {HANG_UP}
        ended: BYE received; talk 2000 peak low lost 9"
    ));
}

#[test]
fn supervision_ends_with_the_supervisor_and_with_the_call() {
    check(&format!(
        "{TALKING}{WHISPERING}
        > floor byes
        close floor
        supervisor 1 left: BYE received
        > order supervise floor listen
        open floor2
        invite floor2 [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 2 called at floor: listen
        > floor2 answers 0
        configure floor2 Pcmu/0 SendRecv
        supervise caller by floor2 Listen
        supervisor 2 joined after 0
        > caller byes
        close caller
        bye bot
        close bot
        bye floor2
        close floor2
        supervisor 2 left: the call ended
        ended: BYE received; talk 2000 peak low lost 12"
    ));
}

#[test]
fn what_goes_wrong_with_a_supervisor_leaves_the_call_alone() {
    for (happens, done) in [
        ("floor fails 486 Busy Here", "close floor\nsupervisor 1 failed: 486 Busy Here"),
        ("floor answers no-sdp", "bye floor\nclose floor\nsupervisor 1 failed: answered without a session description"),
        ("floor cannot open", "cancel floor\nsupervisor 1 failed: media port could not be opened: in use"),
        ("wait 20", "cancel floor\nclose floor\nsupervisor 1 failed: no answer in time"),
        ("order release 1", "cancel floor\nclose floor\nsupervisor 1 failed: ended by an operator"),
    ] {
        let waited = if happens == "wait 20" { 20_000 } else { 0 };
        let lost = if happens == "floor cannot open" { 6 } else { 9 };
        check(&format!(
            "{TALKING}
            > order supervise floor barge
            open floor
            invite floor [0 8 101 sendrecv] X-Calmline-Supervision: barge
            supervisor 1 called at floor: barge
            > {happens}
            {done}
            {HANG_UP}
            ended: BYE received; talk {waited} peak low lost {lost}"
        ));
    }
}

#[test]
fn a_silent_supervisor_is_no_silent_call_and_a_dead_one_is_found() {
    // Field notes 20: one who sends nothing can still be hung up.
    check(&format!(
        "{TALKING}{WHISPERING}
        > floor silent 40
        > wait 100
        > floor reinvites 8 101 inactive
        configure floor Pcma/8 Inactive
        reply floor 200 [8 101 inactive]
        > wait 798
        probe caller
        probe bot
        probe floor
        > floor dead
        bye floor
        close floor
        supervisor 1 left: the far end no longer knows the call
        {HANG_UP}
        ended: BYE received; talk 900000 peak low lost 9"
    ));
}

#[test]
fn a_re_route_keeps_the_supervisor() {
    check(&format!(
        "{TALKING}{WHISPERING}
        > caller is angry
        observed caller anger high
        decided angry after-sales@1
        alert warning
        play caller Duck {{ attenuation_db: 12 }}
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry
        reroute bridge human started
        > human answers 0
        configure human Pcmu/0 SendRecv
        stop caller
        bridge caller human
        bye bot
        close bot
        prompt sorry.wav failed: cut short before it began
        > order change 1 barge
        supervise caller by floor Barge
        supervisor 1 changed: barge
        > caller byes
        close caller
        bye human
        close human
        bye floor
        close floor
        supervisor 1 left: the call ended
        rerouted bridge human after 0 gap None
        ended: BYE received; talk 2000 peak high lost 12"
    ));
}

#[test]
fn a_mode_may_change_while_the_phone_rings() {
    check(&format!(
        "{TALKING}
        > order supervise floor listen
        open floor
        invite floor [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 1 called at floor: listen
        > order change 1 barge
        supervisor 1 changed: barge
        > floor rings 183 0 101 sendrecv
        > floor answers
        configure floor Pcmu/0 SendRecv
        supervise caller by floor Barge
        supervisor 1 joined after 0
        > floor byes
        close floor
        supervisor 1 left: BYE received
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn a_late_answer_is_ended_and_never_heard() {
    check(&format!(
        "{TALKING}
        > order supervise floor barge
        open floor
        invite floor [0 8 101 sendrecv] X-Calmline-Supervision: barge
        supervisor 1 called at floor: barge
        > wait 19
        > order release 1
        cancel floor
        close floor
        supervisor 1 failed: ended by an operator
        {HANG_UP}
        ended: BYE received; talk 19000 peak low lost 9"
    ));
}

#[test]
fn who_may_be_called() {
    let denials = "
        > order supervise nobody listen
        denied Wrong: no target named nobody; there are: bot, desk, floor, human, spare
        > order supervise sip:9001@10.0.0.9 listen
        denied Forbidden: the configuration does not allow this address: [supervision] uris
        > order supervise sip:8001@evil.example listen
        denied Forbidden: the configuration does not allow this address: [supervision] uris
        > order supervise sip:8001@evil.example;x=@10.0.0.9 listen
        denied Wrong: expected a URI like sip:2000@192.0.2.10 or sip:2000@pbx.example:5060, nothing after it
        > order supervise sips:8001@10.0.0.9 listen
        denied Wrong: expected a URI like sip:2000@192.0.2.10 or sip:2000@pbx.example:5060, nothing after it
    ";
    check(&format!(
        "{TALKING}{denials}
        > order supervise sip:8001@10.0.0.9 listen
        open 8001
        invite 8001 [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 1 called at sip:8001@10.0.0.9: listen
        > order supervise floor listen
        open floor
        invite floor [0 8 101 sendrecv] X-Calmline-Supervision: listen
        supervisor 2 called at floor: listen
        > order supervise floor listen
        denied Conflict: the call has as many supervisors as it may have: 2
        > caller byes
        close caller
        bye bot
        close bot
        cancel 8001
        close 8001
        supervisor 1 failed: the call ended
        cancel floor
        close floor
        supervisor 2 failed: the call ended
        ended: BYE received; talk 0 peak low lost 12
        > order supervise floor listen
        denied Unknown: no such call"
    ));
}

#[test]
fn nobody_supervises_a_call_that_is_not_connected() {
    check(
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > order supervise floor listen
        denied Conflict: the call is not connected
        > order change 1 barge
        denied Conflict: the call is not connected
        > order audio
        denied Conflict: the call is not connected
        > caller cancels
        close caller
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6",
    );
}

#[test]
fn without_a_port_or_permission_nobody_is_called() {
    let few = ControlSettings { ports: PortRange { first: 20_000, last: 20_003 }, ..settings() };
    let scenario = format!(
        "{TALKING}
        > order supervise floor listen
        denied Full: no media port is free
        {HANG_UP}
        ended: BYE received; talk 0 peak low lost 6"
    );
    check_with(few, &scenario);
    let mut none = settings();
    none.supervision.per_call = 0;
    check_with(
        none,
        &scenario
            .replace("Full: no media port is free", "Conflict: the call has as many supervisors as it may have: 0"),
    );
}

#[test]
fn supervisors_press_no_keys_and_speak_for_nobody() {
    let mut settings = settings();
    settings.limits.ring = Duration::from_secs(20);
    check_with(
        settings,
        &format!(
            "{HELPED}{WHISPERING}
            > floor presses 1
            > floor informs 2
            > floor speaks 480
            > floor is angry
            > caller byes
            close caller
            bye bot
            close bot
            bye floor
            close floor
            supervisor 1 left: the call ended
            ended: BYE received; talk 2000 peak low lost 9"
        ),
    );
}

#[test]
fn the_parties_are_told_that_somebody_takes_part_where_the_route_has_a_tone() {
    let tone = |every_s: Option<u64>, presences: &[Presence], in_copies| IndicatorSettings {
        hearers: vec![Hearer::Caller, Hearer::Callee],
        every: every_s.map(Duration::from_secs),
        presences: presences.to_vec(),
        in_copies,
    };
    let called = "
    > order supervise floor listen
    open floor
    invite floor [0 8 101 sendrecv] X-Calmline-Supervision: listen
    supervisor 1 called at floor: listen
    > floor answers 8 101
    configure floor Pcma/8 SendRecv
    supervise caller by floor Listen
    supervisor 1 joined after 0
";
    check_with(
        with_tone(&tone(Some(15), &[Presence::Listen], false)),
        &format!(
            "{TALKING}{called}
            play caller Aside
            play bot Aside
            > wait 15
            play caller Aside
            play bot Aside
            > order change 1 barge
            supervise caller by floor Barge
            supervisor 1 changed: barge
            > wait 20
            > order release 1
            bye floor
            close floor
            supervisor 1 left: ended by an operator
            {HANG_UP}
            ended: BYE received; talk 35000 peak low lost 9"
        ),
    );
}

/// Every route with a tone.
fn with_tone(tone: &IndicatorSettings) -> ControlSettings {
    let mut settings = settings();
    settings.routes.0.iter_mut().for_each(|route| route.indicator = Some(tone.clone()));
    settings
}
