//! Moving calls by others: PBXs, webhooks, INFO, REFER of far ends, 302.

use super::script::{TALKING, check, told};

/// A call of `moves`, which the PBX has named.
fn talking() -> String {
    let invited = TALKING.replace("> invite\n", "> invite to=moves channel=PJSIP/li-1\n");
    invited.replace("started sales after-sales", "started moves moves")
}

fn angry() -> String {
    talking()
        + "> caller is angry
        observed caller anger high
        decided angry moves@1
        order asterisk within 4: move PJSIP/li-1 to desk, anger;level=high;score=0.93;rule=angry
        reroute asterisk desk started
        order crm within 5: tell anger;level=high;score=0.93;rule=angry
        "
}

/// The last words of a call between caller and bot.
const OVER: &str = "close caller
        bye bot
        close bot
        ";

#[test]
fn the_pbx_moves_the_caller_and_hangs_up() {
    check(&format!(
        "{}> pbx done
        > pbx done
        crm done
        > wait 1
        > caller byes
        rerouted asterisk desk after 0 gap None
        {OVER}ended: moved by asterisk; talk 1000 peak high lost 6",
        angry()
    ));
}

#[test]
fn a_pbx_that_leaves_our_leg_up() {
    check(&format!(
        "{}> pbx done
        > wait 2
        rerouted asterisk desk after 0 gap None
        bye caller
        {OVER}ended: moved by asterisk; talk 2000 peak high lost 6",
        angry()
    ));
}

#[test]
fn a_bye_that_overtakes_the_answer_of_the_pbx() {
    check(&format!(
        "{}> caller byes
        > pbx done
        rerouted asterisk desk after 0 gap None
        {OVER}ended: moved by asterisk; talk 0 peak high lost 6",
        angry()
    ));
}

#[test]
fn a_caller_who_hangs_up_while_the_pbx_is_asked() {
    let over = format!("{OVER}ended: BYE received; talk 0 peak high lost 6");
    check(&format!(
        "{}> caller byes
        > pbx failed No such channel
        {over}",
        angry()
    ));
    check(&format!(
        "{}> caller byes
        > wait 2
        {}",
        angry(),
        over.replace("talk 0", "talk 2000")
    ));
}

#[test]
fn one_way_after_the_other() {
    check(&format!(
        "{}> pbx failed No such channel
        reroute asterisk desk failed: No such channel
        refer caller to sip:desk@10.0.0.9 X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry X-Calmline-Queue-Priority: 10
        reroute refer desk started
        > caller refer 603 last
        reroute refer desk failed: 603 said so
        open desk
        invite desk [0 8 101 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry X-Calmline-Queue-Priority: 10
        reroute bridge desk started
        > desk fails 486 Busy
        close desk
        reroute bridge desk failed: 486 Busy
        > caller byes
        {OVER}ended: BYE received; talk 0 peak high lost 9",
        angry()
    ));
}

#[test]
fn a_pbx_that_answers_after_its_time() {
    check(&format!(
        "{}> wait 5
        reroute asterisk desk failed: no answer in time
        refer caller to sip:desk@10.0.0.9 X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry X-Calmline-Queue-Priority: 10
        reroute refer desk started
        > pbx done
        rerouted asterisk desk after 5000 gap None
        bye caller
        {OVER}ended: moved by asterisk; talk 5000 peak high lost 6",
        angry()
    ));
}

/// Every order ends with its deadline and is told of, the next way moves the caller, and the first order after that minute
/// is carried out.
#[test]
fn a_pbx_whose_api_is_down_for_a_minute() {
    let expired = "> pbx failed not passed on in time\n";
    let announced = format!("> caller presses 3\n> wait 5\n{expired}");
    let lines = told(&format!(
        "{}> wait 4
        {expired}> pbx done
        > caller refer 603 last
        > wait 1
        > desk answers 0
        > desk hears caller
        {}> caller presses 3
        > pbx done
        > caller byes",
        angry(),
        announced.repeat(11)
    ));
    let times = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    let counted = [
        "order asterisk within 4: move",
        "reroute asterisk desk failed: not passed on in time",
        "rerouted bridge desk",
        "order asterisk within 5: play",
        "asterisk failed: not passed on in time",
        "asterisk done",
        "ended: BYE received; talk 60000",
    ];
    assert_eq!(counted.map(times), [1, 1, 1, 12, 11, 1, 1], "{lines:#?}");
}

#[test]
fn a_call_that_the_pbx_has_not_named() {
    let unnamed = talking().replace(" channel=PJSIP/li-1", "");
    check(&format!(
        "{unnamed}> caller is angry
        observed caller anger high
        decided angry moves@1
        reroute asterisk desk failed: the INVITE has no X-PBX-Channel
        refer caller to sip:desk@10.0.0.9 X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry X-Calmline-Queue-Priority: 10
        reroute refer desk started
        order crm within 5: tell anger;level=high;score=0.93;rule=angry
        > caller presses 3
        key caller 3 event
        decided sorry moves@1
        asterisk failed: the INVITE has no X-PBX-Channel
        > caller byes
        {OVER}ended: BYE received; talk 0 peak high lost 6"
    ));
}

#[test]
fn a_webhook_takes_it_on_but_nothing_happens_and_info_does_it() {
    check(&format!(
        "{}> caller presses 1
        key caller 1 event
        decided hook moves@1
        order crm within 5: move PJSIP/li-1 to human, neutral;level=low;score=0.00;rule=hook
        reroute crm human started
        > pbx accepted
        > wait 6
        reroute crm human failed: taken on, but the call has not left
        inform caller by Info X-Calmline-Emotion: neutral;level=low;score=0.00;rule=hook X-Calmline-Target: human
        reroute info human started
        > caller told 200
        > wait 3
        > caller byes
        rerouted info human after 3500 gap None
        {OVER}ended: moved by INFO; talk 9000 peak low lost 6",
        talking()
    ));
}

#[test]
fn info_that_nobody_understands() {
    check(&format!(
        "{}> caller presses 1
        key caller 1 event
        decided hook moves@1
        order crm within 5: move PJSIP/li-1 to human, neutral;level=low;score=0.00;rule=hook
        reroute crm human started
        > pbx failed 500 Internal Server Error
        reroute crm human failed: 500 Internal Server Error
        inform caller by Info X-Calmline-Emotion: neutral;level=low;score=0.00;rule=hook X-Calmline-Target: human
        reroute info human started
        > caller told 415
        reroute info human failed: 415 said so
        > caller presses 3
        key caller 3 event
        decided sorry moves@1
        order asterisk within 5: play ivr/sorry.wav to PJSIP/li-1
        > pbx failed No such channel
        asterisk failed: No such channel
        > caller byes
        {OVER}ended: BYE received; talk 0 peak low lost 6",
        talking()
    ));
}

fn consulted() -> String {
    talking()
        + "> caller presses 2
        key caller 2 event
        decided attended moves@1
        open human
        invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=attended
        reroute attended human started
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        refer caller to sip:human@10.0.0.9 in the place of human
        > caller refer 202
        "
}

#[test]
fn the_callers_side_takes_our_place() {
    check(&format!(
        "{}> human byes
        close human
        > caller refer 200 last
        rerouted attended human after 0 gap None
        bye caller
        {OVER}ended: moved by REFER; talk 0 peak low lost 9",
        consulted()
    ));
}

#[test]
fn the_callers_side_does_not_take_our_place() {
    check(&format!(
        "{}> caller refer 503 last
        reroute attended human failed: 503 said so
        bridge caller human
        bye bot
        close bot
        > caller hears human
        rerouted bridge human after 0 gap Some(0)
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 0 peak low lost 9",
        consulted()
    ));
}

#[test]
fn the_bot_transfers_the_caller() {
    check(&format!(
        "{TALKING}> bot refers sip:human@10.0.0.9 Referred-By=sip:bot
        open human
        invite human [0 8 101 sendrecv] Referred-By: sip:bot
        reroute referred human started
        > human rings 180
        notify bot 180
        play caller Replace again and again
        > human rings 180
        notify bot 180
        > bot refers sip:spare@10.0.0.9
        notify bot 491 another re-route is under way
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        notify bot 200 OK
        stop caller
        bridge caller human
        bye bot
        close bot
        > caller hears human
        rerouted referred human after 0 gap Some(0)
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn the_bot_transfers_the_caller_and_hangs_up_at_once() {
    check(&format!(
        "{TALKING}> bot refers sip:other@198.51.100.9
        open other
        invite other [0 8 101 sendrecv]
        reroute referred referred started
        > bot byes
        close bot
        > other rings 180
        notify bot 180
        play caller Replace again and again
        > other fails 486 Busy
        close other
        notify bot 486
        reroute referred referred failed: 486 Busy
        stop caller
        bye caller
        close caller
        ended: nobody is left to talk to; talk 0 peak low lost 9"
    ));
}

#[test]
fn nobody_may_have_us_call_anybody() {
    check(&format!(
        "{TALKING}> bot refers sip:premium@203.0.113.1
        notify bot 403 not a host of ours
        > caller byes
        {OVER}ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn the_caller_transfers_the_bot() {
    check(&format!(
        "{TALKING}> caller refers sip:human@10.0.0.9
        open human
        invite human [0 8 9 96 101 102 sendrecv]
        reroute caller_replaced human started
        > caller byes
        > human answers 0 101
        configure human Pcmu/0 SendRecv
        notify caller 200 OK
        bridge human bot
        tap caller off
        tap human on
        close caller
        > human hears bot
        rerouted caller_replaced human after 0 gap Some(0)
        > human is angry
        observed caller anger high
        decided angry after-sales@1
        alert warning
        play human Duck {{ attenuation_db: 12 }}
        open human2
        invite human2 [0 8 9 96 101 102 sendrecv] X-Calmline-Emotion: anger;level=high;score=0.93;rule=angry
        reroute bridge human started
        > human byes
        close human
        bye bot
        close bot
        prompt sorry.wav failed: the call ended first
        cancel human2
        close human2
        ended: BYE received; talk 0 peak high lost 12"
    ));
}

#[test]
fn the_caller_transfers_the_bot_and_both_hang_up() {
    check(&format!(
        "{TALKING}> caller refers sip:human@10.0.0.9
        open human
        invite human [0 8 9 96 101 102 sendrecv]
        reroute caller_replaced human started
        > caller byes
        > bot byes
        close caller
        close bot
        cancel human
        close human
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn a_caller_whose_last_call_was_an_angry_one() {
    check(&format!(
        "{}> caller byes
        > pbx done
        rerouted asterisk desk after 0 gap None
        {OVER}ended: moved by asterisk; talk 0 peak high lost 6
        > wait 3500
        > invite to=moves
        redirect to sip:human@10.0.0.9
        redirected to human: angry in the last call
        > wait 200
        > invite to=moves hops=0
        reject 483 Too Many Hops
        refused 483 Too Many Hops",
        angry()
    ));
}
