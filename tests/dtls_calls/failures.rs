//! Calls that must not go on as if nothing were: strangers, far ends that shake no hands, floods.

use std::net::UdpSocket;

use calmline::notice::What;
use calmline::shell::dtls::Certificate;
use loadtest::audio::Audio;
use loadtest::phone::{Behaviour, Event};

use crate::phone::{Hands, Plan, SecurePhone};
use crate::stage::{ANY, BOT_HZ, CALLER_HZ, RATE, Stage, eventually, hears};

/// Even where plain audio would do: somebody is there who is not the far end.
#[test]
fn a_certificate_that_was_not_promised_ends_the_call() {
    for srtp in ["required", "optional"] {
        let stage = Stage::set(&format!("stranger-{srtp}"), &format!("srtp = \"{srtp}\"\nkeys = \"dtls\""), "");
        let bot = stage.phones.answering(stage.server.addresses.bot, Behaviour::answer(), Audio::tone(BOT_HZ, 0.3));
        let bot = bot.expect("its port is free");
        let mut plan = Plan::singing(CALLER_HZ);
        let promised = Certificate::generate().expect("the system gives randomness");
        plan.terms.fingerprint = promised.fingerprint().clone();
        let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), plan);

        let failed = stage.until("the failure", |what| matches!(what, What::HandshakeFailed { .. }));
        println!("{failed:?}");
        assert!(
            matches!(&failed.what, What::HandshakeFailed { party, failure, .. }
                if party == "caller" && failure == "wrong_certificate"),
            "{failed:?}"
        );
        let Event::Bye { reason } = caller.expect("the end", |event| matches!(event, Event::Bye { .. })) else {
            unreachable!("just matched")
        };
        let reason = reason.expect("a reason");
        assert!(reason.contains("certificate is not the one of its fingerprint"), "{reason}");
        assert_eq!(bot.heard().samples.len(), 0, "nothing of the stranger is heard");
        assert_eq!((caller.seen().audio, caller.seen().plain), (0, 0), "nothing is said to the stranger");
        assert_eq!(stage.metric("calmline_handshakes_total{outcome=\"wrong_certificate\"}"), 1.0);
        stage.is_empty();
    }
}

/// It takes ten seconds until a handshake is given up.
#[test]
fn a_far_end_that_shakes_no_hands_is_not_heard_in_plain() {
    for (srtp, ends) in [("required", true), ("optional", false)] {
        let stage = Stage::set(&format!("silent-{srtp}"), &format!("srtp = \"{srtp}\"\nkeys = \"dtls\""), "");
        let bot = stage.phones.answering(stage.server.addresses.bot, Behaviour::answer(), Audio::tone(BOT_HZ, 0.3));
        let bot = bot.expect("its port is free");
        let mut plan = Plan::singing(CALLER_HZ).passive();
        plan.hands = Hands::Nothing;
        let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), plan);
        let failed = stage.until("the failure", |what| matches!(what, What::HandshakeFailed { .. }));
        println!("{failed:?}");
        assert!(matches!(&failed.what, What::HandshakeFailed { failure, .. } if failure == "too_slow"), "{failed:?}");
        if ends {
            caller.expect("the end", |event| matches!(event, Event::Bye { .. }));
            stage.is_empty();
        } else {
            assert_eq!(stage.metric("calmline_calls_active"), 1.0, "its offer may be made anew");
        }
        assert_eq!((bot.heard().samples.len(), caller.seen().plain), (0, 0), "nothing passes in plain");
        assert_eq!(stage.metric("calmline_handshakes_total{outcome=\"too_slow\"}"), 1.0);
    }
}

#[test]
fn a_flood_of_handshake_datagrams_costs_the_call_nothing() {
    let stage = Stage::set("flood", "srtp = \"required\"\nkeys = \"dtls\"", "");
    let bot = stage.phones.answering(stage.server.addresses.bot, Behaviour::answer(), Audio::tone(BOT_HZ, 0.3));
    let bot = bot.expect("its port is free");
    let caller = SecurePhone::calling(stage.server.addresses.sip, &stage.target(), Plan::singing(CALLER_HZ));
    stage.until_keys(&["caller"]);
    let port = caller.far_media().expect("it is agreed");
    let stranger = UdpSocket::bind(ANY).expect("a port");
    // What looks like the beginning of a handshake, each another one.
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48];
    hello.resize(25 + 48, 7);
    let resident = || resident_kilobytes(stage.server.pid());
    let before = resident();
    for number in 0_u32..60_000 {
        hello[30..34].copy_from_slice(&number.to_be_bytes());
        let _ = stranger.send_to(&hello, port);
        if number % 200 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    let heard = caller.heard().samples.len();
    eventually("audio", || caller.heard().samples.len() > heard + 2 * RATE && bot.heard().samples.len() > 3 * RATE);
    let grown = resident().saturating_sub(before);
    println!("the server has grown by {grown} kB in a flood of 60,000 datagrams; {:?}", caller.seen());
    assert!(grown < 16 * 1024, "{grown} kB");
    hears("the caller", &caller.heard(), BOT_HZ);
    assert!(crate::stage::strength(&bot.heard().samples, CALLER_HZ) > 0.2);
    assert_eq!(caller.seen().handshakes, 1);
}

fn resident_kilobytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is listed");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
