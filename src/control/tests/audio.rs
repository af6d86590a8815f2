//! Scenarios of codecs and keys: who is offered what, what is agreed, and what a re-offer leaves alone.

use std::net::IpAddr;
use std::time::Duration;

use media::Codec;
use media::sdp::{Exchange, Fingerprint, Hash, Protection, Wanted};

use super::script::{check, check_with};
use super::sim::settings;
use crate::control::ControlSettings;
use crate::settings::{AudioTerms, Networks, PortRange};

/// What a caller's BYE leads to.
const HANG_UP: &str = "
    > caller byes
    close caller
    bye bot
    close bot
    ended: BYE received; talk 0 peak low lost 6
";

/// A protected caller is connected with a plain bot.
const PROTECTED: &str = "
    > invite sdp=0,101,keys
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
";

#[test]
fn a_protected_caller_and_a_plain_bot() {
    check_with(callers(Wanted::Optional), &format!("{PROTECTED}{HANG_UP}"));
    check_with(callers(Wanted::Required), &format!("{PROTECTED}{HANG_UP}"));
}

#[test]
fn protection_that_is_required_is_not_done_without() {
    for offer in ["0,101", "18,keys", "0,101,dtls"] {
        check_with(
            callers(Wanted::Required),
            &format!(
                "> invite sdp={offer}
                reject 488 Not Acceptable Here
                refused 488 Not Acceptable Here"
            ),
        );
    }
    check(
        "> invite sdp=0,101,keys
        reject 488 Not Acceptable Here
        refused 488 Not Acceptable Here",
    );
}

#[test]
fn hold_resume_and_new_keys() {
    check_with(
        callers(Wanted::Required),
        &format!(
            "{PROTECTED}
            > caller reinvites 0 101 keys sendonly
            configure caller Pcmu/0 RecvOnly with keys
            reply caller 200 [RTP/SAVP 0 101 keys recvonly]
            > caller reinvites 0 101 other-keys sendrecv
            configure caller Pcmu/0 SendRecv with keys
            reply caller 200 [RTP/SAVP 0 101 keys sendrecv]
            > caller reinvites 0 101 sendrecv
            reply caller 488
            > caller reinvites
            reply caller 200 [RTP/SAVP 0 101 keys sendrecv]
            > caller acks-offer
            configure caller Pcmu/0 SendRecv with keys
            {HANG_UP}"
        ),
    );
}

#[test]
fn a_target_may_have_to_protect() {
    let mut settings = settings();
    audio_of(&mut settings, "bot").protection = Protection { wanted: Wanted::Required, exchange: Exchange::Sdes };
    let no_answer = "
        > invite
        open caller
        started sales after-sales
        open bot
        invite bot [RTP/SAVP 0 8 101 keys sendrecv]
    ";
    check_with(
        settings.clone(),
        &format!(
            "{no_answer}
            > bot answers 0 101 keys
            configure bot Pcmu/0 SendRecv with keys
            configure caller Pcmu/0 SendRecv
            bridge caller bot
            answer [0 101 sendrecv]
            tap caller on
            answered bot
            > caller acks
            {HANG_UP}"
        ),
    );
    // An answer without keys is not taken: the next target is called.
    check_with(
        settings,
        &format!(
            "{no_answer}
            > bot answers 0 101 quietly
            bye bot
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
fn a_handshake_is_asked_for_once() {
    let mut settings = callers(Wanted::Optional);
    settings.fingerprint = Some(certificate());
    check_with(
        settings,
        &format!(
            "> invite sdp=0,101,dtls
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
            > caller reinvites 0 101 dtls sendonly
            configure caller Pcmu/0 RecvOnly after a handshake
            reply caller 200 [UDP/TLS/RTP/SAVP 0 101 active recvonly]
            {HANG_UP}"
        ),
    );
}

#[test]
fn an_opus_caller_gets_what_the_bot_speaks() {
    check_with(
        any_codec(),
        &format!(
            "> invite sdp=107,0,101,102
            open caller
            started sales after-sales
            open bot
            invite bot [107 0 8 9 102 101 sendrecv]
            > bot answers 0 101
            configure bot Pcmu/0 SendRecv
            configure caller Pcmu/0 SendRecv
            bridge caller bot
            answer [0 101 sendrecv]
            tap caller on
            answered bot
            > caller acks
            {HANG_UP}"
        ),
    );
}

#[test]
fn opus_and_nothing_else_is_transcoded_until_the_caller_offers_more() {
    check_with(
        any_codec(),
        &format!(
            "> invite sdp=107,102
            open caller
            started sales after-sales
            open bot
            invite bot [107 8 0 9 102 101 sendrecv]
            > bot answers 0 101
            configure bot Pcmu/0 SendRecv
            configure caller Opus/107 SendRecv
            bridge caller bot
            answer [107 102 sendrecv]
            tap caller on
            answered bot
            > caller acks
            > caller reinvites 8 107 101 102 sendrecv
            configure caller Opus/107 SendRecv
            reply caller 200 [107 102 sendrecv]
            > caller reinvites 0 107 101 102 sendrecv
            configure caller Pcmu/0 SendRecv
            reply caller 200 [0 101 sendrecv]
            > bot reinvites 0 8 101 sendonly
            configure bot Pcmu/0 RecvOnly
            reply bot 200 [0 101 recvonly]
            {HANG_UP}"
        ),
    );
}

#[test]
fn a_target_has_its_own_order() {
    let mut settings = any_codec();
    audio_of(&mut settings, "bot").codecs = vec![Codec::Pcma, Codec::Opus];
    check_with(
        settings,
        &format!(
            "> invite sdp=0,8,101
            open caller
            started sales after-sales
            open bot
            invite bot [8 96 101 102 sendrecv]
            > bot answers 8 101
            configure bot Pcma/8 SendRecv
            configure caller Pcma/8 SendRecv
            bridge caller bot
            answer [8 101 sendrecv]
            tap caller on
            answered bot
            > caller acks
            {HANG_UP}"
        ),
    );
}

#[test]
fn a_port_rests_between_calls() {
    let mut settings = settings();
    settings.ports = PortRange { first: 20_000, last: 20_003 };
    settings.port_rest = Duration::from_secs(30);
    check_with(
        settings,
        "> invite
        open caller
        started sales after-sales
        open bot
        invite bot [0 8 101 sendrecv]
        > caller cancels
        close caller
        cancel bot
        close bot
        ended: cancelled by the caller; talk 0 peak low lost 6
        > wait 29
        > invite
        reject 503 No media port is free Retry-After: 5
        refused 503 No media port is free
        > wait 1
        > invite
        open caller3
        started sales after-sales
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
fn every_network_is_shown_its_own_address() {
    let mut settings = settings();
    let network =
        |network: &str, shown: &str| (network.parse().expect("a network"), shown.parse().expect("an address"));
    let own = [network("10.0.0.0/8", "10.1.1.5"), network("10.9.0.0/16", "10.9.1.5"), network("::/0", "2001:db8::5")];
    settings.networks = Networks(own.to_vec());
    for (destination, shown) in [
        (Some("10.2.3.4"), "10.1.1.5"),
        (Some("10.9.3.4"), "10.9.1.5"),
        (Some("198.51.100.7"), "192.0.2.1"),
        (Some("2001:db8:7::1"), "2001:db8::5"),
        (None, "192.0.2.1"),
    ] {
        let destination = destination.map(|address| address.parse::<IpAddr>().expect("an address"));
        assert_eq!(settings.address_for(destination).to_string(), shown, "{destination:?}");
    }
}

/// What our certificate hashes to.
pub(super) fn certificate() -> Fingerprint {
    Fingerprint { hash: Hash::Sha256, octets: vec![7; 32] }
}

/// Callers whose audio is protected as wanted.
fn callers(wanted: Wanted) -> ControlSettings {
    let mut settings = settings();
    for route in &mut settings.routes.0 {
        route.audio.protection = Protection { wanted, exchange: Exchange::Any };
    }
    settings
}

/// Routes that speak every codec.
fn any_codec() -> ControlSettings {
    let mut settings = settings();
    for route in &mut settings.routes.0 {
        route.audio.codecs.clear();
    }
    settings
}

pub(super) fn audio_of<'a>(settings: &'a mut ControlSettings, target: &str) -> &'a mut AudioTerms {
    &mut settings.targets.get_mut(target).expect("a target").audio
}
