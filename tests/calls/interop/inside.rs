//! What happens inside a call with a foreign telephone: keys by different methods, hold and resume, reports.

use std::thread::sleep;
use std::time::Duration;

use calmline::notice::What;
use loadtest::audio::Audio;
use media::dtmf::{Detector, Press};

use super::secured::{INSISTS, OFF, REQUIRED, strict_linphone};
use super::{
    CALLEE_HZ, CALLER_HZ, Lab, OPUS, PCMA, PCMU, PLAIN, Ports, Side, TALK, Telephone, baresip, baresip_with, linphone,
    once_more_if_spoilt,
};
use crate::stage::{BOT_HZ, Setup, Stage, more_packets, strength};
use crate::tones;

/// Who presses, by which method it reaches us, and how it goes on.
#[test]
fn keys_pass_between_sides_that_send_them_in_different_ways() {
    let by_info = Side::Linphone(linphone::Account { keys_by_info: true, ..linphone::Account::plain(&["PCMA"]) });
    let by_event = linphone(&["opus"]);
    let lab = Lab::up("keys", PLAIN);
    for (caller, way, callee) in [
        (baresip(PCMU), "event", baresip(PCMA)),
        (baresip(PCMU), "event", baresip(OPUS)),
        (by_event, "event", baresip(PCMU)),
        (by_info, "info", baresip(PCMU)),
    ] {
        check_key(&lab, caller, way, callee);
    }
}

/// The caller presses 5 once it is heard; `baresip` on the other side is told of it once, as an event or by its tones.
fn check_key(lab: &Lab, caller: Side, way: &str, callee: Side) {
    if !caller.is_there() || !callee.is_there() {
        return;
    }
    println!("{caller:?} presses a key for {callee:?}");
    let mut answering = lab.callee(callee);
    let mut calling = lab.caller(caller);
    calling.call(&lab.uri);
    // Both have heard a second of each other: the key comes into running streams.
    sleep(Duration::from_secs(1));
    calling.press('5');
    let pressed = lab.stage.until("the key", |what| matches!(what, What::KeyPressed { .. })).what;
    let expected = What::KeyPressed { party: "caller".to_owned(), key: "5".to_owned(), way: way.to_owned() };
    assert_eq!(pressed, expected);
    sleep(Duration::from_secs(1));
    calling.hang_up();
    calling.heard();
    let Telephone::Baresip(baresip) = &mut answering else { panic!("only baresip tells of keys") };
    let mut events = Vec::new();
    baresip.until_told("the end", |event| {
        if event["type"] == "CALL_DTMF_START" {
            events.push(event["param"].clone());
        }
        event["type"] == "CALL_CLOSED"
    });
    let tones = keys_in(&baresip.heard()[0]);
    println!("{events:?} as events, {tones:?} as tones");
    let as_event = events.len() == 1 && events[0] == "5" && tones.is_empty();
    assert!(as_event || events.is_empty() && tones == "5", "{events:?} as events, {tones:?} as tones");
    lab.stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    lab.stage.is_empty();
}

/// The keys whose tones are in a recording.
fn keys_in(samples: &[i16]) -> String {
    let mut detector = Detector::new();
    let mut presses = Vec::new();
    detector.handle(samples, &mut presses);
    presses.iter().filter_map(|press| if let Press::Down(key) = press { Some(key.to_string()) } else { None }).collect()
}

#[test]
fn callers_hold_and_resume() {
    holds("hold-baresip", baresip(PCMA), OFF);
    holds("hold-linphone", linphone(&["opus"]), OFF);
}

/// The same where each offer inside the call brings keys.
#[test]
fn protected_callers_hold_and_resume() {
    holds("hold-baresip-keys", baresip_with(PCMA, INSISTS), REQUIRED);
    holds("hold-linphone-keys", strict_linphone(&["PCMA"]), REQUIRED);
}

/// A caller holds the call: nothing goes to it, until it resumes.
fn holds(name: &'static str, side: Side, terms: &str) {
    if !side.is_there() {
        return;
    }
    once_more_if_spoilt(|| hold_and_resume(name, side, terms)).unwrap_or_else(|why| panic!("{side:?}: {why}"));
}

/// One such call.
///
/// # Errors
/// What the caller heard, when that is not the bot all the time.
fn hold_and_resume(name: &'static str, side: Side, terms: &str) -> Result<(), String> {
    println!("{side:?} holds and resumes");
    let route = format!("{terms}\nscenario");
    let edits = [("scenario", &*route)];
    let stage = Stage::set(Setup { edits: &edits, ..Setup::named(name) });
    let ports = Ports::claim();
    let mut caller = side.start(&crate::stage::folder(name).join("caller"), &ports, CALLER_HZ);
    caller.call(&format!("sip:support@{}", stage.server.addresses.sip));
    sleep(TALK);
    caller.hold();
    sleep(Duration::from_millis(300));
    let before = stage.bot.heard().stats.packets_received;
    sleep(Duration::from_secs(2));
    let during = stage.bot.heard().stats.packets_received - before;
    println!("{during} packets of the caller while it held the call");
    // Who holds may still send, music for instance (RFC 3264 §8.4): linphone does, baresip does not.
    assert!(during <= 2 || matches!(side, Side::Linphone(_)), "{during} packets of the caller while it held the call");

    caller.resume();
    more_packets("two seconds of the caller", &stage.bot, 100);
    let bot = stage.bot.heard();
    assert!(strength(&bot.samples, CALLER_HZ) > 0.25);
    assert_eq!((bot.stats.ssrc_changes, bot.stats.timestamp_steps_back), (0, 0), "{:?}", bot.stats);
    caller.hang_up();
    let heard = tones::heard(&caller.heard(), BOT_HZ);
    println!("heard before, and as far as it goes on recording after: {heard:?}");
    if let Telephone::Baresip(baresip) = &caller {
        let [sent, received] = baresip.packets();
        println!("baresip sent {sent} packets and received {received}");
        assert!(sent.abs_diff(received) < 25 && received > 200, "{sent} sent, {received} received");
    }
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
    let is_whole = heard.seconds > TALK.as_secs_f64() - 0.7 && heard.pure > 0.9;
    is_whole.then_some(()).ok_or_else(|| format!("heard {heard:?}"))
}

/// `baresip` holds a call that came to it: the caller hears nothing of it, until it resumes.
#[test]
fn a_callee_holds_and_resumes() {
    if !baresip(PCMA).is_there() {
        return;
    }
    let lab = Lab::up("held-by-callee", PLAIN);
    let Telephone::Baresip(mut callee) = lab.callee(baresip(OPUS)) else { unreachable!("just asked for") };
    let caller = lab.stage.call(Audio::tone(CALLER_HZ, tones::PEAK as f32));
    more_packets("two seconds of the callee", &caller, 100);
    assert!(strength(&caller.heard().samples, CALLEE_HZ) > 0.25);

    callee.offer("hold");
    sleep(Duration::from_millis(500));
    let before = caller.heard().stats.packets_received;
    sleep(Duration::from_secs(1));
    let during = caller.heard().stats.packets_received - before;
    assert!(during <= 2, "{during} packets came from a callee that held the call");

    callee.offer("resume");
    more_packets("two seconds of the callee", &caller, 100);
    let heard = caller.heard();
    assert!(strength(&heard.samples, CALLEE_HZ) > 0.25);
    assert_eq!((heard.stats.ssrc_changes, heard.stats.timestamp_steps_back), (0, 0), "{:?}", heard.stats);
    caller.hang_up().expect("an order");
    lab.stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    lab.stage.is_empty();
}

/// Both sides of a transcoded call get reports of what they sent, and a round trip.
#[test]
fn reports_reach_both_sides() {
    if !baresip(PCMA).is_there() {
        return;
    }
    let lab = Lab::up("reports", PLAIN);
    let Telephone::Baresip(mut callee) = lab.callee(baresip(OPUS)) else { unreachable!("just asked for") };
    let Telephone::Baresip(mut caller) = lab.caller(baresip(PCMA)) else { unreachable!("just asked for") };
    caller.call(&lab.uri);
    for (who, side) in [("the caller", &mut caller), ("the callee", &mut callee)] {
        let report = side.until_told("a report with a round trip", |event| {
            event["type"] == "CALL_RTCP" && event["rtcp_stats"]["rtt"].as_u64() > Some(0)
        });
        let stats = &report["rtcp_stats"];
        println!("{who}: {stats}");
        assert!(stats["tx"]["sent"].as_u64() > Some(100), "{who} was told of what it sent: {stats}");
        assert_eq!((&stats["tx"]["lost"], &stats["rx"]["lost"]), (&0.into(), &0.into()), "{who}: {stats}");
        // Microseconds, over loopback and through a thread that is not asleep.
        assert!(stats["rtt"].as_u64() < Some(500_000), "{who}: {stats}");
    }
    caller.order("hangup", "");
    lab.is_over();
}
