//! Supervisors who listen and speak in a browser: the `webrtc` library in its place against the built program, who hears
//! whom told from the frequencies that arrive.

mod browser;
mod http;
mod relay;

use std::thread;
use std::time::Duration;

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::PhoneHandle;

use self::browser::{Browser, Wants};
use self::http::Asked;
use crate::console::{PASSWORD, hash};
use crate::stage::{BOT_HZ, CALLER_HZ, RATE, Setup, Stage, continuous, eventually, folder, strength};

/// What the browser sings, Hz.
pub const BROWSER_HZ: u16 = 1_600;
/// A tone that is heard has at least this amplitude, of full scale; all are sung with 0.3.
const LOUD: f64 = 0.2;
/// One that is not has at most this.
const QUIET: f64 = 0.02;

#[test]
fn a_browser_hears_both_and_is_heard_by_whom_the_mode_says() {
    let stage = stage("browsers");
    let (caller, call) = connected(&stage);
    let path = format!("/v1/calls/{call}/webrtc");
    let mut browser = Browser::start(Wants::Both, BROWSER_HZ);
    let answer = as_machine(&stage, "POST", &path).offer(&browser.offer()).send();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/sdp"));
    let supervisor = answer.header("location").expect("where it is").to_owned();
    assert_eq!(supervisor, format!("/v1/calls/{call}/supervisors/1"));
    browser.accept(&answer.body);
    stage.until("the browser", |what| matches!(what, What::SupervisorJoined { .. }));
    assert_eq!(stage.metric("calmline_browsers_active"), 1.0);

    browser_hears("listening: the browser", &browser, &[CALLER_HZ, BOT_HZ]);
    hears("listening: the caller", &caller, &[BOT_HZ]);
    hears("listening: the bot", &stage.bot, &[CALLER_HZ]);
    let mode = |mode: &str| {
        let answer = as_machine(&stage, "PATCH", &supervisor).json(mode).send();
        assert_eq!(answer.status, 202, "{answer:?}");
    };
    mode(r#"{"mode": "whisper"}"#);
    hears("whispering: the bot", &stage.bot, &[CALLER_HZ, BROWSER_HZ]);
    hears("whispering: the caller", &caller, &[BOT_HZ]);
    browser_hears("whispering: the browser", &browser, &[CALLER_HZ, BOT_HZ]);
    mode(r#"{"mode": "barge"}"#);
    hears("barging in: the caller", &caller, &[BOT_HZ, BROWSER_HZ]);
    hears("barging in: the bot", &stage.bot, &[CALLER_HZ, BROWSER_HZ]);
    mode(r#"{"hears": "callee"}"#);
    browser_hears("hearing one side: the browser", &browser, &[BOT_HZ]);

    // What a WHIP client might try: there is nothing to trickle.
    let trickle = as_machine(&stage, "PATCH", &supervisor).body("application/trickle-ice-sdpfrag", "a=mid:0").send();
    assert_eq!(trickle.status, 415, "{trickle:?}");
    assert!(trickle.body.contains("not trickled"), "{trickle:?}");

    assert_eq!(as_machine(&stage, "DELETE", &supervisor).send().status, 202);
    browser.hears_nothing_more();
    hears("afterwards: the caller", &caller, &[BOT_HZ]);
    hears("afterwards: the bot", &stage.bot, &[CALLER_HZ]);
    assert_eq!(stage.metric("calmline_browsers_ended_total{reason=\"ordered\"}"), 1.0);
    eventually("its place is free", || stage.metric("calmline_browsers_active") == 0.0);
    continuous("the caller", &caller.heard().stats);
    continuous("the bot", &stage.bot.heard().stats);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn a_browser_is_cut_off_when_its_session_ends() {
    let stage = stage("browsers-signed-out");
    let (caller, call) = connected(&stage);
    let path = format!("/v1/calls/{call}/webrtc?mode=barge");
    let cookie = sign_in(&stage, "li");
    let mut browser = Browser::start(Wants::Both, BROWSER_HZ);
    let answer = as_person(&stage, "POST", &path, &cookie).offer(&browser.offer()).send();
    assert_eq!(answer.status, 201, "{answer:?}");
    browser.accept(&answer.body);
    hears("barging in: the caller", &caller, &[BOT_HZ, BROWSER_HZ]);
    let called = stage.until("the browser", |what| matches!(what, What::SupervisorJoined { .. }));
    assert!(
        stage.was_told(|what| matches!(what, What::SupervisorCalled { target, .. } if target.reveal() == "browser:li"))
    );
    assert_eq!(called.call, call);

    assert_eq!(as_person(&stage, "DELETE", "/v1/session", &cookie).send().status, 204);
    browser.hears_nothing_more();
    let left = stage.until("its end", |what| matches!(what, What::SupervisorLeft { .. }));
    assert!(matches!(left.what, What::SupervisorLeft { reason, .. } if reason == "signed out"));
    hears("afterwards: the caller", &caller, &[BOT_HZ]);
    assert_eq!(stage.metric("calmline_browsers_ended_total{reason=\"signed_out\"}"), 1.0);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn a_browser_that_vanishes_or_never_comes_gives_its_place_back() {
    let stage = stage("browsers-vanished");
    let (caller, call) = connected(&stage);
    let path = format!("/v1/calls/{call}/webrtc?mode=barge");
    let mut browser = Browser::start(Wants::Both, BROWSER_HZ);
    let answer = as_machine(&stage, "POST", &path).offer(&browser.offer()).send();
    browser.accept(&answer.body);
    hears("barging in: the caller", &caller, &[BOT_HZ, BROWSER_HZ]);
    let mut absent = Browser::start(Wants::Both, BROWSER_HZ);
    assert_eq!(as_machine(&stage, "POST", &path).offer(&absent.offer()).send().status, 201);
    let third = as_machine(&stage, "POST", &path).offer(&absent.offer()).send();
    assert_eq!(third.status, 409, "as many supervisors as there may be: {third:?}");

    drop(browser);
    // On a busy machine either may be found out first.
    let is_over = |what: &What| match what {
        What::SupervisorLeft { supervisor: 1, reason } => reason.contains("lost"),
        What::SupervisorFailed { supervisor: 2, reason } => reason.contains("in time"),
        _ => false,
    };
    let told = ["the one", "the other"].map(|which| stage.until(which, is_over).what);
    assert_ne!(std::mem::discriminant(&told[0]), std::mem::discriminant(&told[1]), "{told:?}");
    hears("without them: the caller", &caller, &[BOT_HZ]);
    eventually("their places are free", || stage.metric("calmline_browsers_active") == 0.0);
    assert_eq!(stage.metric("calmline_browsers_ended_total{reason=\"lost\"}"), 1.0);
    assert_eq!(stage.metric("calmline_browsers_ended_total{reason=\"not_connected\"}"), 1.0);
    continuous("the caller", &caller.heard().stats);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn what_may_not_be_connected_is_a_clear_problem() {
    let stage = stage("browsers-refused");
    let (caller, call) = connected(&stage);
    let path = format!("/v1/calls/{call}/webrtc");
    let offer = Browser::start(Wants::Both, BROWSER_HZ).offer();
    let listens = Browser::start(Wants::Hear, BROWSER_HZ).offer();
    let barge = format!("{path}?mode=barge");
    for (path, kind, offer, status, word) in [
        (&path, "application/json", "{}", 415, "application/sdp"),
        (&path, "application/sdp", "hello", 400, "session description"),
        (&path, "application/sdp", &offer.replace("opus/48000", "speex/8000"), 400, "opus"),
        (&path, "application/sdp", &offer.replace("a=rtcp-mux\r\n", ""), 400, "rtcp-mux"),
        (&barge, "application/sdp", &listens, 409, "listen only"),
        (&format!("{path}?mode=shout"), "application/sdp", &offer, 400, "mode"),
        (&format!("{path}?mode=listen&party=caller"), "application/sdp", &offer, 400, "whisper"),
        (&"/v1/calls/no-such-call/webrtc".to_owned(), "application/sdp", &offer, 404, "no such call"),
        (&path, "application/sdp", &"a".repeat(17_000), 413, "16384"),
    ] {
        let answer = as_machine(&stage, "POST", path).body(kind, offer).send();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.body.contains(word), "{path}: {answer:?}");
    }
    let operator = sign_in(&stage, "chen");
    assert_eq!(as_person(&stage, "POST", &path, &operator).offer(&offer).send().status, 403);
    assert_eq!(as_person(&stage, "GET", "/v1/webrtc", &operator).send().status, 403);
    let nobody = Asked::new(stage.server.addresses.web, "POST", &path).offer(&offer).send();
    assert_eq!(nobody.status, 401);
    let way = as_machine(&stage, "GET", "/v1/webrtc").send();
    assert_eq!(way.body, r#"{"enabled":true,"ice_servers":[]}"#);
    assert_eq!(stage.api(&format!("/v1/calls/{call}"))["supervisors"].as_array().map(Vec::len), Some(0));
    assert_eq!(stage.metric("calmline_browsers_refused_total{reason=\"offer\"}"), 3.0);
    assert_eq!(stage.metric("calmline_browsers_refused_total{reason=\"denied\"}"), 1.0);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn without_a_section_no_browser_is_connected() {
    let stage = Stage::set(Setup::named("browsers-off"));
    let (caller, call) = connected(&stage);
    let offer = Browser::start(Wants::Both, BROWSER_HZ).offer();
    let answer = as_machine(&stage, "POST", &format!("/v1/calls/{call}/webrtc")).offer(&offer).send();
    assert_eq!(answer.status, 501, "{answer:?}");
    assert!(as_machine(&stage, "GET", "/v1/webrtc").send().body.contains("\"enabled\":false"));
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn a_browser_behind_a_turn_server_hears_and_is_heard() {
    let Some(kept) = relay::free_port() else { return };
    let port = kept.local_addr().expect("bound").port();
    let turn = format!("turn = [\"turn:127.0.0.1:{port}?transport=udp\"]\nturn_secret_env = \"CALMLINE_TOKEN\"\n");
    let stage = stage_with("browsers-turn", &turn);
    let relay = relay::start(kept, &stage.server.token, &folder("browsers-turn"));
    let (caller, call) = connected(&stage);
    let ways = as_machine(&stage, "GET", "/v1/webrtc").send();
    let ways: serde_json::Value = serde_json::from_str(&ways.body).expect("JSON");
    let servers = relay::servers_of(&ways["ice_servers"]);
    let mut browser = Browser::start_relayed(Wants::Both, BROWSER_HZ, servers);
    let offer = browser.offer();
    let kinds: Vec<&str> = offer.lines().filter_map(|line| line.split_once(" typ ").map(|(_, rest)| rest)).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind.starts_with("relay")), "{offer}");
    let path = format!("/v1/calls/{call}/webrtc?mode=barge");
    let answer = as_machine(&stage, "POST", &path).offer(&offer).send();
    assert_eq!(answer.status, 201, "{answer:?}");
    browser.accept(&answer.body);
    stage.until("the browser", |what| matches!(what, What::SupervisorJoined { .. }));
    browser_hears("by the relay: the browser", &browser, &[CALLER_HZ, BOT_HZ]);
    hears("by the relay: the bot", &stage.bot, &[CALLER_HZ, BROWSER_HZ]);

    // It is the relay that they go by.
    drop(relay);
    browser.hears_nothing_more();
    caller.hang_up().expect("an order");
    stage.is_empty();
}

/// A stage where browsers are connected, a supervisor and an operator may sign in.
pub fn stage(name: &str) -> Stage {
    stage_with(name, "")
}

/// The same with more of `[webrtc]`.
fn stage_with(name: &str, more: &str) -> Stage {
    let first = browser::free_ports();
    let user = |name: &str, role: &str| format!("[users.{name}]\nrole = \"{role}\"\n{}\n\n", hash());
    let sections = format!(
        "[webrtc]\naddress = \"127.0.0.1\"\nports = \"{first}-{}\"\n{more}\n{}{}[web]",
        first + browser::PORTS - 1,
        user("li", "supervisor"),
        user("chen", "operator")
    );
    Stage::set(Setup { edits: &[("[web]", &sections)], ..Setup::named(name) })
}

/// A caller who sings, and the id of the call.
pub fn connected(stage: &Stage) -> (PhoneHandle, String) {
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    (caller, call)
}

fn as_machine(stage: &Stage, method: &str, path: &str) -> Asked {
    Asked::new(stage.server.addresses.web, method, path)
        .header("Authorization", &format!("Bearer {}", stage.server.token))
}

fn as_person(stage: &Stage, method: &str, path: &str, cookie: &str) -> Asked {
    Asked::new(stage.server.addresses.web, method, path).header("Cookie", cookie).header("X-Calmline-Console", "1")
}

/// The cookie of somebody who has signed in.
fn sign_in(stage: &Stage, user: &str) -> String {
    let credentials = serde_json::json!({ "user": user, "password": PASSWORD }).to_string();
    let answer = as_person(stage, "POST", "/v1/session", "none=none").json(&credentials).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = answer.header("set-cookie").expect("a cookie");
    cookie.split(';').next().expect("its value").to_owned()
}

/// A phone hears these tones and none of the others.
#[track_caller]
pub fn hears(what: &str, phone: &PhoneHandle, tones: &[u16]) {
    heard_by(what, || phone.heard().samples.to_vec(), tones);
}

#[track_caller]
fn browser_hears(what: &str, browser: &Browser, tones: &[u16]) {
    heard_by(what, || browser.heard(), tones);
}

#[track_caller]
fn heard_by(what: &str, samples: impl Fn() -> Vec<i16>, tones: &[u16]) {
    let mut last = Vec::new();
    for _ in 0..300 {
        thread::sleep(Duration::from_millis(100));
        let samples = samples();
        last = [CALLER_HZ, BOT_HZ, BROWSER_HZ].map(|hz| (hz, strength(&samples, hz))).to_vec();
        let is = |(hz, strength): &(u16, f64)| if tones.contains(hz) { *strength > LOUD } else { *strength < QUIET };
        // A second of nothing else.
        if samples.len() > 2 * RATE && last.iter().all(is) {
            println!("{what}: {last:?}");
            return;
        }
    }
    panic!("{what} hears {last:?}, not {tones:?}");
}
