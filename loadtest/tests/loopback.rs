//! Telephones on real sockets: they call each other without a server in between.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use loadtest::audio::Audio;
use loadtest::driver::{PhonePlan, Phones};
use loadtest::phone::{Behaviour, Event};
use media::Codec;
use media::dtmf::Key;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_secs(20);

#[test]
fn two_telephones_hear_each_other() {
    let phones = Phones::start().expect("a thread");
    let callee = phones.answering(ANY, Behaviour::answer(), Audio::tone(1_000, 0.5)).expect("a port");
    let caller = phones.calling(ANY, callee.uri(), Audio::tone(400, 0.5), &[("X-Call", "1")]).expect("a port");

    let incoming = callee.wait_for(LONG, |event| matches!(event, Event::Incoming { .. })).expect("called");
    let Event::Incoming { invite } = incoming.event else { unreachable!("just matched") };
    assert_eq!(invite.header("X-Call"), Some("1"));
    caller.wait_for(LONG, |event| *event == Event::RtpFirst).expect("heard");
    while callee.heard().samples.len() < 8_000 || caller.heard().samples.len() < 8_000 {
        std::thread::sleep(Duration::from_millis(50));
    }
    caller.hang_up().expect("an order");
    callee.wait_for(LONG, |event| matches!(event, Event::Bye { .. })).expect("ended");

    let (heard, said) = (callee.heard(), caller.heard());
    assert!(strength(&heard.samples, 400.0) > 0.4 && strength(&heard.samples, 1_000.0) < 0.05);
    assert!(strength(&said.samples, 1_000.0) > 0.4 && strength(&said.samples, 400.0) < 0.05);
    assert_eq!((heard.stats.packets_lost, heard.stats.timestamp_jumps, heard.stats.ssrc_changes), (0, 0, 0));
    assert_eq!((caller.calls_open(), callee.calls_open()), (0, 0));
}

#[test]
fn opus_over_srtp_and_a_key() {
    let phones = Phones::start().expect("a thread");
    let secured = |audio| PhonePlan { codecs: vec![Codec::Opus], is_secured: true, audio, ..PhonePlan::new(ANY) };
    let callee = phones.add(secured(Audio::Silence)).expect("a port");
    let caller = phones.add(secured(Audio::tone(400, 0.5))).expect("a port");
    caller.call(callee.uri(), &[]).expect("an order");
    callee.wait_for(LONG, |event| *event == Event::RtpFirst).expect("heard");
    while callee.heard().samples.len() < 8_800 {
        std::thread::sleep(Duration::from_millis(50));
    }
    caller.press("7").expect("an order");
    let key = Key::try_from('7').expect("a key");
    callee.wait_for(LONG, |event| *event == Event::Key(key)).expect("pressed");

    let heard = callee.heard();
    assert!(strength(&heard.samples[800..], 400.0) > 0.3, "{:?}", heard.stats);
    assert_eq!((heard.stats.unexpected, heard.stats.packets_lost), (0, 0));
    assert!(caller.press("x").is_err());

    let plain = phones.add(PhonePlan::new(ANY)).expect("a port");
    plain.call(callee.uri(), &[]).expect("an order");
    plain.wait_for(LONG, |event| *event == Event::Failed { status: 488 }).expect("refused");
}

#[test]
fn dropping_the_driver_hangs_up() {
    let others = Phones::start().expect("a thread");
    let callee = others.answering(ANY, Behaviour::answer(), Audio::Silence).expect("a port");
    {
        let phones = Phones::start().expect("a thread");
        let caller = phones.calling(ANY, callee.uri(), Audio::Silence, &[]).expect("a port");
        caller.wait_for(LONG, |event| *event == Event::Answered).expect("answered");
    }
    callee.wait_for(LONG, |event| matches!(event, Event::Bye { .. })).expect("ended");
}

#[test]
fn only_loopback_is_called() {
    let phones = Phones::start().expect("a thread");
    let far = SocketAddr::from(([192, 0, 2, 1], 0));
    let error = phones.add(PhonePlan::new(far)).expect_err("not on this machine");
    assert!(error.to_string().contains("loopback"), "{error}");
    let phone = phones.add(PhonePlan::new(ANY)).expect("a port");
    assert!(phone.call("sip:a@192.0.2.1:5060", &[]).is_err());
    assert!(phone.call("sip:a@pbx.example:5060", &[]).is_err());
}

/// How much of a tone is in the samples: the amplitude at `hz`, 0-1.
fn strength(samples: &[i16], hz: f64) -> f64 {
    let angle = |n: usize| std::f64::consts::TAU * hz * n as f64 / 8_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().take(8_000).enumerate() {
        let sample = f64::from(*sample) / 32_768.0;
        re += sample * angle(n).cos();
        im += sample * angle(n).sin();
    }
    2.0 * re.hypot(im) / samples.len().min(8_000) as f64
}
