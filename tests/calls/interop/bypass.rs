//! Foreign telephones whose audio goes past the server, from one to the other, and comes back.

use std::thread::sleep;
use std::time::Duration;

use calmline::notice::{LegReport, What};
use serde_json::Value;

use super::{CALLEE_HZ, CALLER_HZ, Lab, PCMA, PLAIN, Side, baresip, judge, linphone, once_more_if_spoilt};
use crate::tones;

/// How long audio goes past the server.
const PAST: Duration = Duration::from_secs(3);
/// How long it goes through it, before and after.
const THROUGH: Duration = Duration::from_secs(1);
/// Packets of 20 ms that must be missing at the server.
const MISSED: f64 = 100.0;

#[test]
fn telephones_talk_to_each_other_past_the_server() {
    talk_past("bypass-baresip", baresip(PCMA), baresip(PCMA));
    talk_past("bypass-to-linphone", baresip(PCMA), linphone(&["PCMA"]));
    talk_past("bypass-from-linphone", linphone(&["PCMA"]), baresip(PCMA));
}

#[track_caller]
fn talk_past(name: &'static str, caller: Side, callee: Side) {
    if !caller.is_there() || !callee.is_there() {
        return;
    }
    let lab = Lab::up(name, PLAIN);
    once_more_if_spoilt(|| call(&lab, caller, callee)).unwrap_or_else(|why| panic!("{name}: {why}"));
}

/// One call that takes the short way and comes back.
fn call(lab: &Lab, caller: Side, callee: Side) -> Result<(), String> {
    println!("{caller:?} and {callee:?} talk past the server");
    let mut answering = lab.callee(callee);
    let mut calling = lab.caller(caller);
    calling.call(&lab.uri);
    sleep(THROUGH);
    let calls = lab.stage.api("/v1/calls?state=active");
    let path = format!("/v1/calls/{}/bypass", calls["calls"][0]["id"].as_str().expect("a call is up"));
    let (status, answer) = lab.stage.ask("POST", &path, &Value::Null);
    assert_eq!(status, 202, "{answer}");
    let took = lab.stage.until("the bypass", |what| matches!(what, What::Bypassed { .. }));
    println!("{:?}", took.what);
    sleep(PAST);
    let (status, answer) = lab.stage.ask("DELETE", &path, &Value::Null);
    assert_eq!(status, 202, "{answer}");
    let took = lab.stage.until("its end", |what| matches!(what, What::BypassEnded { .. }));
    println!("{:?}", took.what);
    sleep(THROUGH);
    calling.hang_up();

    let (caller_heard, callee_heard) = (calling.heard(), answering.heard());
    lab.stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    lab.stage.is_empty();
    let told = lab.stage.told.borrow();
    let legs = told.iter().rev().filter_map(|notice| match &notice.what {
        What::LegEnded(report) => Some(report),
        _ => None,
    });
    let level = tones::PEAK * callee.loudness() / caller.loudness();
    judge("the caller", &caller_heard, (CALLEE_HZ, level), CALLER_HZ)?;
    let level = tones::PEAK * caller.loudness() / callee.loudness();
    judge("the callee", &callee_heard, (CALLER_HZ, level), CALLEE_HZ)?;
    let seconds = tones::heard(&caller_heard, CALLEE_HZ).seconds;
    for LegReport { party, packets_received, packets_lost, .. } in legs.take(2) {
        println!("{party}: {packets_received} packets, {packets_lost} lost, of {seconds} s");
        assert!((*packets_received as f64) < 50.0 * seconds - MISSED, "{party}: {packets_received} in {seconds} s");
    }
    Ok(())
}
