//! Audio of a call of Asterisk's that goes past us and comes back: both re-INVITEs are taken, and nobody stops hearing.
//! And a server that dies under a call.

use calmline::demo::server::{self, Server};
use calmline::notice::What;
use loadtest::driver::PhoneHandle;
use loadtest::phone::{Behaviour, Event};
use serde_json::Value;

use crate::moves::Stage;
use crate::{RATE, expect, until};

/// Packets of five seconds.
const SPOKEN: u64 = 250;
/// Packets of half a second: while sides change their ways, some may still come to us that nobody needs any more.
const CHANGING: u64 = 25;

#[test]
fn audio_goes_past_us_between_asterisk_and_a_bot() {
    let Some(stage) = Stage::set(None, Behaviour::answer(), None) else { return };
    let caller = talking(&stage);
    let calls = ask(&stage.server, "/v1/calls?state=active");
    let path = format!("/v1/calls/{}", calls["calls"][0]["id"].as_str().expect("a call is up"));

    assert_eq!(order(&stage.server, "POST", &format!("{path}/bypass")), 202);
    stage.told("the bypass", |what| matches!(what, What::Bypassed { .. } | What::BypassFailed { .. }));
    hear_each_other(&stage, &caller, SPOKEN + CHANGING);
    assert_eq!(order(&stage.server, "DELETE", &format!("{path}/bypass")), 202, "audio was past us");
    stage.told("the end of the bypass", |what| matches!(what, What::BypassEnded { .. }));
    hear_each_other(&stage, &caller, 50);

    caller.hang_up().expect("an order");
    expect(&stage.bot, stage.end, "the bot's BYE", |event| matches!(event, Event::Bye { .. }));
    stage.told("the end", |what| matches!(what, What::CallEnded { .. }));
    let record = ask(&stage.server, &path);
    for leg in record["legs"].as_array().expect("legs") {
        let listener = if leg["party"] == "caller" { &stage.bot } else { &caller };
        let heard = listener.heard().stats.packets_received;
        let ours = leg["packets_received"].as_u64().expect("a number");
        println!("{}: {ours} packets came to us, the other side heard {heard}", leg["party"]);
        assert!(ours + SPOKEN <= heard, "what went past is not ours: {record}");
    }
    stage.over(&caller);
}

#[test]
fn asterisk_releases_the_call_of_a_server_that_has_died() {
    let Some(mut stage) = Stage::set(None, Behaviour::answer(), None) else { return };
    let caller = talking(&stage);
    // Nobody says BYE, and Asterisk's `rtp_timeout` is all there is.
    stage.server.kill();
    expect(&caller, stage.end, "the caller's BYE", |event| matches!(event, Event::Bye { .. }));
    until(stage.end, "Asterisk lets go", || stage.lab.channels().trim().is_empty());
}

/// A caller of Asterisk's whom the bot hears, and who hears the bot.
fn talking(stage: &Stage) -> PhoneHandle {
    let caller = stage.call("8support");
    expect(&stage.bot, stage.end, "the bot's call", |event| *event == Event::Answered);
    hear_each_other(stage, &caller, 50);
    caller
}

/// Both get so many more packets, and the caller's tone is in what the bot hears.
fn hear_each_other(stage: &Stage, caller: &PhoneHandle, packets: u64) {
    let before = [&stage.bot, caller].map(|phone| phone.heard().stats.packets_received);
    for (phone, before) in [&stage.bot, caller].into_iter().zip(before) {
        until(stage.end, "more audio", || phone.heard().stats.packets_received >= before + packets);
    }
    let samples = stage.bot.heard().samples;
    let loudest = samples[samples.len().saturating_sub(RATE / 2)..].iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest > Some(3_000), "the bot hears no tone: {loudest:?}");
}

fn ask(server: &Server, path: &str) -> Value {
    let text = server::get(server.addresses.web, path, &server.token).expect("the API answers");
    serde_json::from_str(&text).expect("the API speaks JSON")
}

/// Orders something by the API; the status of its answer.
fn order(server: &Server, method: &str, path: &str) -> u16 {
    server::ask(server.addresses.web, (method, path), "", &server.token).expect("the API answers").0
}
