//! Scenarios of keys by DTLS handshake: when one is asked for, when the old one stands, and what failure leads to.

use media::sdp::{Exchange, Protection, Wanted};

use super::audio::{audio_of, certificate};
use super::script::{HANG_UP, TALKING, check_with, sdp};
use super::sim::settings;
use crate::control::{ControlSettings, Description, SessionTerms, SipCommand, SipEvent};

/// A caller by handshake is connected with a plain bot.
const SHAKEN: &str = "
    > invite sdp=0,101,dtls
    open caller
    started sales after-sales
    open bot
    invite bot [0 8 101 sendrecv]
    > bot answers 0 101
    configure bot Pcmu/0 SendRecv
    configure caller Pcmu/0 SendRecv after a handshake
    handshake caller active
    bridge caller bot
    answer [UDP/TLS/RTP/SAVP 0 101 active sendrecv]
    tap caller on
    answered bot
    > caller acks
    > wait 0.03
    > caller shaken
    handshake of caller done after 30: AEAD_AES_128_GCM
";

#[test]
fn an_association_stands_until_certificate_or_roles_change() {
    check_with(
        callers(Wanted::Required),
        &format!(
            "{SHAKEN}
            > caller reinvites 0 101 dtls sendonly
            configure caller Pcmu/0 RecvOnly after a handshake
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 active recvonly]
            > caller reinvites 0 101 dtls-passive sendrecv
            configure caller Pcmu/0 SendRecv after a handshake
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 active sendrecv]
            > caller reinvites
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 active sendrecv]
            > caller acks-offer 0 101 dtls-passive
            configure caller Pcmu/0 SendRecv after a handshake
            > caller reinvites 0 101 other-dtls
            configure caller Pcmu/0 SendRecv after a handshake
            handshake caller active
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 active sendrecv]
            > wait 2
            > caller shaken
            handshake of caller done after 2000: AEAD_AES_128_GCM
            > caller reinvites 0 101 other-dtls-active
            configure caller Pcmu/0 SendRecv after a handshake
            handshake caller passive
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 passive sendrecv]
            > caller shaken
            handshake of caller done after 0: AEAD_AES_128_GCM
            > caller reinvites 0 101 sendrecv
            reply caller 488
            {HANG_UP}
            ended: BYE received; talk 2030 peak low lost 6"
        ),
    );
}

#[test]
fn every_way_to_offer_a_target_and_to_be_answered() {
    for (wanted, exchange, offer, answer, configured, more) in [
        (Wanted::Required, Exchange::Dtls, "UDP/TLS/RTP/SAVP 0 8 101 actpass", "dtls-active", HANDSHAKE, "passive"),
        (Wanted::Required, Exchange::Dtls, "UDP/TLS/RTP/SAVP 0 8 101 actpass", "dtls-passive", HANDSHAKE, "active"),
        (Wanted::Required, Exchange::Any, "RTP/SAVP 0 8 101 keys actpass", "dtls-active", HANDSHAKE, "passive"),
        (Wanted::Required, Exchange::Any, "RTP/SAVP 0 8 101 keys actpass", "keys", " with keys", ""),
        (Wanted::Optional, Exchange::Dtls, "0 8 101 actpass", "dtls-active avp", HANDSHAKE, "passive"),
        (Wanted::Optional, Exchange::Dtls, "0 8 101 actpass", "sendrecv", "", ""),
        (Wanted::Optional, Exchange::Any, "0 8 101 keys actpass", "dtls-passive avp", HANDSHAKE, "active"),
        (Wanted::Optional, Exchange::Any, "0 8 101 keys actpass", "keys avp", " with keys", ""),
        (Wanted::Optional, Exchange::Any, "0 8 101 keys actpass", "sendrecv", "", ""),
    ] {
        let handshake = if more.is_empty() { String::new() } else { format!("handshake bot {more} among forks") };
        let done = if more.is_empty() {
            ""
        } else {
            "> bot shaken
            handshake of callee done after 0: AEAD_AES_128_GCM"
        };
        check_with(
            target(wanted, exchange),
            &format!(
                "> invite
                open caller
                started sales after-sales
                open bot
                invite bot [{offer} sendrecv]
                > bot answers 0 101 {answer}
                configure bot Pcmu/0 SendRecv{configured}
                {handshake}
                configure caller Pcmu/0 SendRecv
                bridge caller bot
                answer [0 101 sendrecv]
                tap caller on
                answered bot
                > caller acks
                {done}
                {HANG_UP}
                ended: BYE received; talk 0 peak low lost 6"
            ),
        );
    }
}

#[test]
fn a_supervisor_without_keys_is_lost_and_the_call_goes_on() {
    let mut settings = settings();
    settings.fingerprint = Some(certificate());
    audio_of(&mut settings, "floor").protection = Protection { wanted: Wanted::Required, exchange: Exchange::Dtls };
    let joins = |leg: &str, number: u32| {
        format!(
            "> order supervise floor listen
            open {leg}
            invite {leg} [UDP/TLS/RTP/SAVP 0 8 101 actpass sendrecv] X-Calmline-Supervision: listen
            supervisor {number} called at floor: listen
            > {leg} answers 0 101 dtls-active
            configure {leg} Pcmu/0 SendRecv after a handshake
            handshake {leg} passive
            supervise caller by {leg} Listen
            supervisor {number} joined after 0"
        )
    };
    let (first, second) = (joins("floor", 1), joins("floor2", 2));
    check_with(
        settings,
        &format!(
            "{TALKING}{first}
            > wait 0.05
            > floor shaken
            handshake of supervisor done after 50: AEAD_AES_128_GCM
            > order release 1
            bye floor
            close floor
            supervisor 1 left: ended by an operator
            {second}
            > wait 15
            handshake of supervisor failed: not_begun
            bye floor2
            close floor2
            supervisor 2 left: audio could not be protected: the far end has not begun the handshake
            {HANG_UP}
            ended: BYE received; talk 15050 peak low lost 12"
        ),
    );
}

#[test]
fn a_target_that_does_not_answer_as_required_is_left() {
    check_with(
        target(Wanted::Required, Exchange::Dtls),
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [UDP/TLS/RTP/SAVP 0 8 101 actpass sendrecv]
        > bot answers 0 101 keys quietly
        bye bot
        close bot
        open spare
        invite spare [0 8 101 sendrecv]
        > caller cancels
        close caller
        cancel spare
        close spare
        ended: cancelled by the caller; talk 0 peak low lost 9",
    );
}

/// Two devices ring with early media, and the first one is answered after all.
#[test]
fn forks_each_have_a_handshake_of_their_own() {
    check_with(
        target(Wanted::Optional, Exchange::Dtls),
        &format!(
            "> invite
            open caller
            started sales after-sales
            open bot
            invite bot [0 8 101 actpass sendrecv]
            > bot rings 183 0 101 dtls-active avp
            configure bot Pcmu/0 SendRecv after a handshake
            handshake bot passive among forks
            configure caller Pcmu/0 SendRecv
            bridge caller bot
            progress 183 [0 101 sendrecv]
            > bot shaken
            handshake of callee done after 0: AEAD_AES_128_GCM
            > bot rings 183 0 101 other-dtls-active avp
            configure bot Pcmu/0 SendRecv after a handshake
            handshake bot passive among forks
            progress 183 [0 101 sendrecv]
            > bot rings 180
            progress 180
            > bot answers 0 101 dtls-active avp
            configure bot Pcmu/0 SendRecv after a handshake
            handshake bot passive among forks
            answer [0 101 sendrecv]
            tap caller on
            answered bot
            > caller acks
            > bot shaken
            handshake of callee done after 0: AEAD_AES_128_GCM
            {HANG_UP}
            ended: BYE received; talk 0 peak low lost 6"
        ),
    );
}

#[test]
fn required_keys_that_do_not_come_end_the_call() {
    for (what, failure, reason) in [
        ("> caller shaken late", "too_slow", "the far end has not finished the handshake in time"),
        ("> caller shaken wrong", "wrong_certificate", "the far end's certificate is not the one of its fingerprint"),
        ("> wait 16", "not_begun", "the far end has not begun the handshake"),
    ] {
        let talked = if what == "> wait 16" { 15_000 } else { 0 };
        check_with(
            callers(Wanted::Required),
            &format!(
                "{}
                {what}
                handshake of caller failed: {failure}
                bye caller
                close caller
                bye bot
                close bot
                ended: audio could not be protected: {reason}; talk {talked} peak low lost 6",
                without_keys(SHAKEN)
            ),
        );
    }
}

/// The call is more than its protection, but plain is what nobody has agreed to: the far end may offer it.
#[test]
fn optional_keys_that_do_not_come_leave_the_call_up_for_another_offer() {
    let late = "> caller shaken late
        handshake of caller failed: too_slow";
    check_with(
        callers(Wanted::Optional),
        &format!(
            "{}
            {late}
            > caller reinvites 0 101 dtls
            configure caller Pcmu/0 SendRecv after a handshake
            handshake caller active
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 active sendrecv]
            {late}
            > caller reinvites 0 101 sendrecv
            configure caller Pcmu/0 SendRecv
            reply caller 200 [0 101 sendrecv]
            > caller shaken late
            > wait 20
            {HANG_UP}
            ended: BYE received; talk 20000 peak low lost 6",
            without_keys(SHAKEN)
        ),
    );
}

/// Somebody is on the media path who is not the far end.
#[test]
fn a_stranger_ends_even_what_may_be_plain() {
    check_with(
        callers(Wanted::Optional),
        &format!(
            "{}
            > caller shaken wrong
            handshake of caller failed: wrong_certificate
            bye caller
            close caller
            bye bot
            close bot
            ended: audio could not be protected: the far end's certificate is not the one of its fingerprint; \
             talk 0 peak low lost 6",
            without_keys(SHAKEN)
        ),
    );
}

/// A far end need not be ready to shake hands before it is answered, but a stranger is one at any time.
#[test]
fn early_handshakes_are_tried_again_at_the_answer() {
    let early = "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [UDP/TLS/RTP/SAVP 0 8 101 actpass sendrecv]
        > bot rings 183 0 101 dtls-passive
        configure bot Pcmu/0 SendRecv after a handshake
        handshake bot active among forks
        configure caller Pcmu/0 SendRecv
        bridge caller bot
        progress 183 [0 101 sendrecv]
        > wait 10";
    check_with(
        target(Wanted::Required, Exchange::Dtls),
        &format!(
            "{early}
            > bot shaken late
            > bot answers 0 101 dtls-passive
            configure bot Pcmu/0 SendRecv after a handshake
            handshake bot active among forks
            answer [0 101 sendrecv]
            tap caller on
            answered bot
            > caller acks
            > wait 16
            handshake of callee failed: not_begun
            bye caller
            close caller
            bye bot
            close bot
            ended: audio could not be protected: the far end has not begun the handshake; \
             talk 15000 peak low lost 6"
        ),
    );
    check_with(
        target(Wanted::Required, Exchange::Dtls),
        &format!(
            "{early}
            > bot shaken wrong quietly
            handshake of callee failed: wrong_certificate
            cancel bot
            close bot
            open spare
            invite spare [0 8 101 sendrecv]
            > caller cancels
            close caller
            cancel spare
            close spare
            ended: cancelled by the caller; talk 0 peak low lost 9"
        ),
    );
}

#[test]
fn what_is_said_of_a_handshake_that_nobody_awaits_changes_nothing() {
    check_with(
        callers(Wanted::Required),
        &format!(
            "{SHAKEN}
            > bot shaken wrong
            {HANG_UP}
            ended: BYE received; talk 30 peak low lost 6
            > caller shaken wrong"
        ),
    );
}

/// The text of a description may hold keys; whatever carries one may be printed.
#[test]
fn descriptions_do_not_print_themselves() {
    let text: Description = sdp("0 101 keys dtls").expect("a description");
    let leg = media::LegId(1);
    let (headers, code) = (Vec::new(), 200);
    let commands = [
        SipCommand::Answer { leg, sdp: text.clone(), headers: headers.clone() },
        SipCommand::Progress { leg, code, sdp: Some(text.clone()) },
        SipCommand::Reply { leg, reply: crate::control::ReplyId(1), code, sdp: Some(text.clone()), headers },
    ];
    let events = [
        SipEvent::Answered { leg, sdp: Some(text.clone()), session: SessionTerms::default() },
        SipEvent::Progress { leg, code, reason: String::new(), sdp: Some(text.clone()) },
    ];
    let printed = format!("{commands:?} {events:?}");
    assert_eq!(printed.matches(&format!("Description({} octets)", text.len())).count(), 5, "{printed}");
    for secret in ["crypto", "inline", "AAAA", "fingerprint"] {
        assert!(text.contains(secret) && !printed.contains(secret), "{secret} in {printed}");
    }
}

const HANDSHAKE: &str = " after a handshake";

/// The scenario without the handshake's end.
fn without_keys(scenario: &str) -> String {
    let end = scenario.find("> wait 0.03").expect("it waits for keys");
    scenario[..end].to_owned()
}

/// Callers whose audio is protected by whichever way they bring.
fn callers(wanted: Wanted) -> ControlSettings {
    let mut settings = settings();
    settings.fingerprint = Some(certificate());
    for route in &mut settings.routes.0 {
        route.audio.protection = Protection { wanted, exchange: Exchange::Any };
    }
    settings
}

/// A bot whose audio is protected.
fn target(wanted: Wanted, exchange: Exchange) -> ControlSettings {
    let mut settings = settings();
    settings.fingerprint = Some(certificate());
    audio_of(&mut settings, "bot").protection = Protection { wanted, exchange };
    settings
}
