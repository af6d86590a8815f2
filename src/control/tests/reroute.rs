//! Scenarios of anger: prompt, alert, and moving the caller by bridge and by REFER, with everything that can go
//! wrong on the way.

use super::script::{TALKING, check, check_with};
use super::sim::settings;
use crate::settings::Parties;

/// The caller gets angry and the human is called.
pub(super) const ANGRY: &str = "
    > caller is angry
    observed caller anger high
    decided angry after-sales@1
    alert warning
    play caller Duck { attenuation_db: 12 }
    open human
    invite human [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry
    reroute bridge human started
";

/// A connected finance call whose caller gets angry.
const REFERRED: &str = "
    > invite to=money
    open caller
    started money finance
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
    > caller is angry
    observed caller anger high
    decided angry finance@2
    refer caller to sip:human@10.0.0.9 X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry
    reroute refer human started
";

#[test]
fn calm_callers_are_left_alone() {
    check(&format!(
        "{TALKING}
        > caller is calm
        observed caller neutral low
        > bot is angry
        observed callee anger high
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn bridge_answered() {
    check(&format!(
        "{TALKING}{ANGRY}
        > wait 0.02
        > prompt starts
        prompt sorry.wav started after 20
        > human rings 180
        > wait 1.98
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        stop caller
        bridge caller human
        bye bot
        close bot
        prompt sorry.wav ended false
        > wait 0.03
        > caller hears human
        rerouted bridge human after 2000 gap Some(30)
        > caller is angry
        observed caller anger high
        > wait 60
        > human byes
        bye caller
        close caller
        close human
        ended: BYE received; talk 62030 peak high lost 9"
    ));
}

#[test]
fn bridge_answered_by_somebody_who_says_nothing() {
    check(&format!(
        "{TALKING}{ANGRY}
        > human rings 183 0 101
        > human answers no-sdp
        configure human Pcmu/0 SendRecv
        stop caller
        bridge caller human
        bye bot
        close bot
        prompt sorry.wav failed: cut short before it began
        > wait 2
        rerouted bridge human after 0 gap None
        > caller hears human
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 2000 peak high lost 9"
    ));
}

#[test]
fn nothing_is_copied_where_nobody_is_listened_to() {
    let mut settings = settings();
    settings.parties = None;
    let talking = TALKING.replace("tap caller on", "");
    check_with(
        settings,
        &format!(
            "{talking}
            > caller byes
            close caller
            bye bot
            close bot
            ended: BYE received; talk 0 peak low lost 6"
        ),
    );
}

#[test]
fn bridge_moves_the_tap_of_the_far_side() {
    let mut settings = settings();
    settings.parties = Some(Parties::Both);
    let talking = TALKING.replace("tap caller on", "tap caller on\ntap bot on");
    check_with(
        settings,
        &format!(
            "{talking}{ANGRY}
            > prompt starts
            prompt sorry.wav started after 0
            > prompt ends
            prompt sorry.wav ended true
            > human answers 0 101
            configure human Pcmu/0 SendRecv
            bridge caller human
            tap bot off
            tap human on
            bye bot
            close bot
            > caller byes
            close caller
            bye human
            close human
            rerouted bridge human after 0 gap None
            ended: BYE received; talk 0 peak high lost 9"
        ),
    );
}

#[test]
fn a_target_whose_port_cannot_be_opened_is_called_again() {
    check(&format!(
        "{TALKING}{ANGRY}
        > human cannot open
        cancel human
        reroute bridge human failed: media port could not be opened: in use
        open human2
        invite human2 [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry
        reroute bridge human started
        > human2 fails 486 Busy Here
        close human2
        reroute bridge human failed: 486 Busy Here
        decided stay after-sales@1 because 486 Busy Here
        play caller Replace
        prompt sorry.wav failed: cut short before it began"
    ));
}

#[test]
fn bridge_refused_and_the_fallback() {
    check(&format!(
        "{TALKING}{ANGRY}
        > human fails 486 Busy Here
        close human
        reroute bridge human failed: 486 Busy Here
        decided stay after-sales@1 because 486 Busy Here
        play caller Replace
        prompt sorry.wav failed: cut short before it began
        > prompt starts
        prompt wait.wav started after 0
        > prompt ends
        prompt wait.wav ended true
        > bot byes
        bye caller
        close caller
        close bot
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn bridge_rings_too_long() {
    check(&format!(
        "{TALKING}{ANGRY}
        > prompt starts
        prompt sorry.wav started after 0
        > prompt ends
        prompt sorry.wav ended true
        > wait 20
        cancel human
        close human
        reroute bridge human failed: no answer in time
        decided stay after-sales@1 because no answer in time
        play caller Replace
        > caller byes
        close caller
        bye bot
        close bot
        prompt wait.wav failed: the call ended first
        ended: BYE received; talk 20000 peak high lost 9"
    ));
}

#[test]
fn bridge_answered_with_nothing_of_use() {
    check(&format!(
        "{TALKING}{ANGRY}
        > human answers 18
        bye human
        close human
        reroute bridge human failed: no common codec: expected one of PCMU, PCMA, found 18
        decided stay after-sales@1 because no common codec: expected one of PCMU, PCMA, found 18
        play caller Replace
        prompt sorry.wav failed: cut short before it began
        > caller byes
        close caller
        bye bot
        close bot
        prompt wait.wav failed: the call ended first
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn caller_hangs_up_while_the_human_rings() {
    check(&format!(
        "{TALKING}{ANGRY}
        > human rings 180
        > caller byes
        close caller
        bye bot
        close bot
        prompt sorry.wav failed: the call ended first
        cancel human
        close human
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn bot_hangs_up_while_the_human_rings() {
    check(&format!(
        "{TALKING}{ANGRY}
        > bot byes
        close bot
        > caller updates 0 101 sendrecv
        configure caller Pcmu/0 SendRecv
        reply caller 200 [0 101 sendrecv]
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        stop caller
        bridge caller human
        prompt sorry.wav failed: cut short before it began
        > caller hears human
        rerouted bridge human after 0 gap Some(0)
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn bot_gone_and_human_busy_ends_after_the_last_prompt() {
    check(&format!(
        "{TALKING}{ANGRY}
        > bot byes
        close bot
        > human fails 486 Busy Here
        close human
        reroute bridge human failed: 486 Busy Here
        decided stay after-sales@1 because 486 Busy Here
        play caller Replace
        prompt sorry.wav failed: cut short before it began
        > prompt starts
        prompt wait.wav started after 0
        > prompt ends
        prompt wait.wav ended true
        bye caller
        close caller
        ended: nobody is left to talk to; talk 0 peak high lost 9"
    ));
}

#[test]
fn a_prompt_and_a_target_that_are_missing() {
    check(&format!(
        "{TALKING}
        > caller is sad
        observed caller sadness low
        decided sad after-sales@1
        prompt missing.wav failed: no prompt of that name
        reroute bridge nobody failed: no target named nobody
        decided stay after-sales@1 because no target named nobody
        play caller Replace
        > wait 2
        prompt wait.wav failed: did not begin in time
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 2000 peak low lost 6"
    ));
}

#[test]
fn refer_moves_the_caller_and_we_say_bye() {
    check(&format!(
        "{REFERRED}
        > caller refer 200
        > caller refer 100
        > wait 1
        > caller refer 180
        > caller refer 200 last
        rerouted refer human after 1000 gap None
        bye caller
        close caller
        bye bot
        close bot
        ended: moved by REFER; talk 1000 peak high lost 6"
    ));
}

#[test]
fn refer_taken_over_with_a_bye() {
    check(&format!(
        "{REFERRED}
        > caller refer 202
        > caller byes
        rerouted refer human after 0 gap None
        close caller
        bye bot
        close bot
        ended: moved by REFER; talk 0 peak high lost 6"
    ));
}

#[test]
fn caller_hangs_up_before_the_refer_is_taken() {
    check(&format!(
        "{REFERRED}
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 0 peak high lost 6"
    ));
}

#[test]
fn refer_refused_then_by_bridge() {
    check(&format!(
        "{REFERRED}
        > caller refer 603 last
        reroute refer human failed: 603 said so
        decided call-ourselves finance@2 because 603 said so
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=call-ourselves
        reroute bridge human started
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
        ended: BYE received; talk 0 peak high lost 9"
    ));
}

#[test]
fn refer_without_an_outcome_that_succeeds_late() {
    check(&format!(
        "{REFERRED}
        > caller refer 202
        > bot byes
        close bot
        > wait 30
        reroute refer human failed: no outcome in time
        decided call-ourselves finance@2 because no outcome in time
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=call-ourselves
        reroute bridge human started
        > caller refer 200 last
        rerouted refer human after 30000 gap None
        bye caller
        close caller
        cancel human
        close human
        ended: moved by REFER; talk 30000 peak high lost 9"
    ));
}
