//! Calls in which nothing happens but talk: audio, records, hold.

use std::time::Duration;

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::phone::Event;

use crate::stage::{BOT_HZ, CALLER_HZ, RATE, Setup, Stage, continuous, eventually, expect, invite, strength};

#[test]
fn both_hear_each_other_and_the_call_is_on_record() {
    let stage = Stage::set(Setup::named("calm"));
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    assert_eq!(invite(&stage.bot).header("X-Calmline-Call"), Some(call.as_str()));

    eventually("two seconds of audio", || {
        caller.heard().samples.len() > 2 * RATE && stage.bot.heard().samples.len() > 2 * RATE
    });
    let listed = stage.api("/v1/calls?state=active");
    assert_eq!(listed["calls"][0]["id"], call.as_str(), "{listed}");
    let detail = stage.api(&format!("/v1/calls/{call}")).to_string();
    assert!(detail.contains("\"answered\"") && detail.contains("support"), "{detail}");
    let refused = get(stage.server.addresses.web, "/v1/calls", "not-the-token-of-this").expect_err("a wrong token");
    assert!(refused.to_string().contains("401"), "{refused}");

    caller.hang_up().expect("an order");
    expect(&stage.bot, "the end", |event| matches!(event, Event::Bye { .. }));
    let (bot, caller) = (stage.bot.heard(), caller.heard());
    continuous("the caller", &caller.stats);
    continuous("the bot", &bot.stats);
    assert_eq!((caller.stats.timestamp_jumps, bot.stats.timestamp_jumps), (0, 0));
    assert!(strength(&caller.samples, BOT_HZ) > 0.2 && strength(&caller.samples, CALLER_HZ) < 0.02);
    assert!(strength(&bot.samples, CALLER_HZ) > 0.2 && strength(&bot.samples, BOT_HZ) < 0.02);
    stage.until("the end", |what| matches!(what, What::CallEnded { packets_lost: 0, .. }));
    stage.is_empty();
    stage.server.stop().expect("a clean end");
}

#[test]
fn hold_silences_the_caller_and_resume_goes_on() {
    let stage = Stage::set(Setup::named("hold"));
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    eventually("audio", || caller.heard().samples.len() > RATE);

    caller.hold().expect("an order");
    expect(&caller, "the answer to hold", |event| matches!(event, Event::OfferAnswered { status: 200, .. }));
    std::thread::sleep(Duration::from_millis(300));
    let before = caller.heard().stats.packets_received;
    std::thread::sleep(Duration::from_millis(1_000));
    let during = caller.heard().stats.packets_received - before;
    assert!(during <= 2, "{during} packets came while the call was held");

    caller.resume().expect("an order");
    expect(&caller, "the answer to resume", |event| matches!(event, Event::OfferAnswered { status: 200, .. }));
    let resumed_at = caller.heard().samples.len();
    eventually("audio again", || caller.heard().samples.len() > resumed_at + 3 * RATE);
    let heard = caller.heard();
    println!("the caller: {:?}", heard.stats);
    assert_eq!(heard.stats.packets_lost, 0, "a hold is not loss");
    assert_eq!((heard.stats.ssrc_changes, heard.stats.timestamp_steps_back), (0, 0));
    assert!(strength(&heard.samples, BOT_HZ) > 0.2);
    let bot = stage.bot.heard();
    continuous("the bot", &bot.stats);
    assert!(strength(&bot.samples, CALLER_HZ) > 0.2);
    caller.hang_up().expect("an order");
    stage.is_empty();
}
