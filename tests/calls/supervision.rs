//! Supervisors by phone, live audio over HTTP, and prompts by order: who hears whom, told from the frequencies that arrive.

use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan, Phones};
use loadtest::phone::{Behaviour, Event};
use media::Codec;
use media::wav::{self, Channel};
use serde_json::json;

use crate::stage::{
    ANY, BOT_HZ, CALLER_HZ, LONG, RATE, Setup, Stage, continuous, eventually, expect, fixture, heard, invite,
    more_packets, strength,
};

/// What the supervisor sings, Hz.
const SUPERVISOR_HZ: u16 = 1_600;
/// What the human sings, Hz.
const HUMAN_HZ: u16 = 700;
/// A tone that is heard has at least this amplitude, of full scale; all are sung with 0.3.
const LOUD: f64 = 0.2;
/// One that is not has at most this.
const QUIET: f64 = 0.02;

/// The caller asks for a human by key; the human alone is told something first.
const BY_KEY: &str = r#"
name = "by-key"
version = 1
scenarios = ["*"]
[[rule]]
id = "human"
when = { key = "0" }
then = [{ reroute = "bridge", target = "human", whisper = "please-wait.wav" }]
"#;

#[test]
fn a_supervisor_hears_both_and_is_heard_by_whom_the_mode_says() {
    let (_phones, floor) = floor(Codec::Opus);
    let stage = supervised_stage("supervision", &floor);
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let path = format!("/v1/calls/{call}/supervisors");

    let (status, answer) = stage.ask("POST", &path, &json!({ "target": "floor", "mode": "listen" }));
    assert_eq!((status, &answer["supervisor"]), (202, &json!(1)), "{answer}");
    stage.until("the supervisor", |what| matches!(what, What::SupervisorJoined { .. }));
    assert_eq!(invite(&floor).header("X-Calmline-Supervision"), Some("listen"));
    hears("listening: the supervisor", &floor, &[CALLER_HZ, BOT_HZ]);
    hears("listening: the caller", &caller, &[BOT_HZ]);
    hears("listening: the bot", &stage.bot, &[CALLER_HZ]);
    let detail = stage.api(&format!("/v1/calls/{call}"));
    assert_eq!(detail["supervisors"][0]["state"], "joined", "{detail}");
    assert_eq!(stage.metric("calmline_supervisors_active"), 1.0);

    let mode = |body| stage.ask("PATCH", &format!("{path}/1"), &body);
    assert_eq!(mode(json!({ "mode": "whisper" })).0, 202);
    hears("whispering: the bot", &stage.bot, &[CALLER_HZ, SUPERVISOR_HZ]);
    hears("whispering: the caller", &caller, &[BOT_HZ]);
    hears("whispering: the supervisor", &floor, &[CALLER_HZ, BOT_HZ]);
    assert_eq!(mode(json!({ "mode": "whisper", "party": "caller" })).0, 202);
    hears("whispering: the caller", &caller, &[BOT_HZ, SUPERVISOR_HZ]);
    hears("whispering: the bot", &stage.bot, &[CALLER_HZ]);
    assert_eq!(mode(json!({ "mode": "barge" })).0, 202);
    hears("barging in: the caller", &caller, &[BOT_HZ, SUPERVISOR_HZ]);
    hears("barging in: the bot", &stage.bot, &[CALLER_HZ, SUPERVISOR_HZ]);

    assert_eq!(mode(json!({ "mode": "whisper", "hears": "callee" })).0, 202);
    hears("whispering and hearing one side: the supervisor", &floor, &[BOT_HZ]);
    hears("whispering and hearing one side: the bot", &stage.bot, &[CALLER_HZ, SUPERVISOR_HZ]);

    assert_eq!(stage.ask("DELETE", &format!("{path}/1"), &json!(null)).0, 202);
    expect(&floor, "our BYE", |event| matches!(event, Event::Bye { .. }));
    hears("afterwards: the caller", &caller, &[BOT_HZ]);
    hears("afterwards: the bot", &stage.bot, &[CALLER_HZ]);
    let relayed = caller.heard().stats;
    thread::sleep(Duration::from_secs(1));
    let since = caller.heard().stats.packets_received - relayed.packets_received;
    assert!((40..=60).contains(&since), "{since} packets in a second of plain relay");
    continuous("the caller", &caller.heard().stats);
    continuous("the bot", &stage.bot.heard().stats);
    continuous("the supervisor", &floor.heard().stats);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn a_supervisor_stays_through_a_re_route_and_the_human_alone_is_told_something() {
    let (_phones, floor) = floor(Codec::G722);
    let stage = supervised_stage("supervised-reroute", &floor);
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let path = format!("/v1/calls/{call}/supervisors");
    assert_eq!(stage.ask("POST", &path, &json!({ "target": "floor", "mode": "whisper" })).0, 202);
    stage.until("the supervisor", |what| matches!(what, What::SupervisorJoined { .. }));
    hears("the bot", &stage.bot, &[CALLER_HZ, SUPERVISOR_HZ]);

    // Both are heard under the whisper, which is to be compared with its file.
    caller.say(Audio::Silence).expect("an order");
    floor.say(Audio::Silence).expect("an order");
    caller.press("0").expect("an order");
    let told = |what: &What| matches!(what, What::PromptEnded { party, completed: true, .. } if party == "callee");
    stage.until("the end of the whisper", told);
    let whisper = fixture("config/prompts/please-wait.wav");
    assert!(heard(&stage.human.heard().samples, &whisper), "the human was told");
    assert!(!heard(&caller.heard().samples, &whisper), "the caller was not");
    caller.say(Audio::tone(CALLER_HZ, 0.3)).expect("an order");
    floor.say(Audio::tone(SUPERVISOR_HZ, 0.3)).expect("an order");
    hears("after the re-route: the human", &stage.human, &[CALLER_HZ, SUPERVISOR_HZ]);
    hears("after the re-route: the caller", &caller, &[HUMAN_HZ]);
    hears("after the re-route: the supervisor", &floor, &[CALLER_HZ, HUMAN_HZ]);
    continuous("the caller", &caller.heard().stats);
    continuous("the human", &stage.human.heard().stats);
    continuous("the supervisor", &floor.heard().stats);

    floor.hang_up().expect("an order");
    stage.until("the supervisor's end", |what| matches!(what, What::SupervisorLeft { .. }));
    hears("without the supervisor: the human", &stage.human, &[CALLER_HZ]);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn what_may_not_be_is_a_clear_problem() {
    let (_phones, floor) = floor(Codec::Pcma);
    let stage = supervised_stage("supervision-refused", &floor);
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let path = format!("/v1/calls/{call}/supervisors");
    for (body, status, word) in [
        (json!({ "target": "nobody", "mode": "listen" }), 400, "floor"),
        (json!({ "uri": floor.uri(), "mode": "listen" }), 403, "[supervision] uris"),
        (json!({ "target": "floor", "mode": "listen", "party": "caller" }), 400, "whisper"),
    ] {
        let (got, problem) = stage.ask("POST", &path, &body);
        assert_eq!((got, &problem["status"]), (status, &json!(status)), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{problem}");
    }
    assert_eq!(stage.ask("DELETE", &format!("{path}/1"), &json!(null)).0, 404);
    let unknown = json!({ "target": "floor", "mode": "listen" });
    assert_eq!(stage.ask("POST", "/v1/calls/no-such-call/supervisors", &unknown).0, 404);
    assert_eq!(floor.calls_open(), 0, "nobody was called");
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn live_audio_has_the_caller_on_the_left() {
    let (_phones, floor) = floor(Codec::Pcma);
    let stage = supervised_stage("live-audio", &floor);
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let stereo = listen(&stage, &format!("/v1/calls/{call}/audio"), 3 * RATE * 4);
    let [left, right] = [0, 1].map(|channel| channel_of(&stereo, channel));
    sings("the caller's channel", &left[RATE..], &[CALLER_HZ]);
    sings("what the caller hears", &right[RATE..], &[BOT_HZ]);
    let mixed = listen(&stage, &format!("/v1/calls/{call}/audio?layout=mixed"), 3 * RATE * 2);
    sings("both", &channel_of(&mixed, 0)[RATE..], &[CALLER_HZ, BOT_HZ]);
    eventually("both clients are seen out", || stage.metric("calmline_audio_clients_active") == 0.0);

    // A client that stays is there for a re-route, and its stream ends with the call.
    let mut stream = open(&stage, &format!("/v1/calls/{call}/audio"));
    let path = format!("/v1/calls/{call}/supervisors");
    assert_eq!(stage.ask("POST", &path, &json!({ "target": "floor", "mode": "whisper" })).0, 202);
    caller.press("0").expect("an order");
    stage.until("the human", |what| matches!(what, What::Rerouted { .. }));
    hears("the human", &stage.human, &[CALLER_HZ, SUPERVISOR_HZ]);
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    });
    caller.hang_up().expect("an order");
    let bytes = reading.join().expect("no panic").expect("the stream ends with the call");
    let [left, right] = [0, 1].map(|channel| channel_of(&bytes, channel));
    // The last words are the ones before the end: the supervisor's whisper is not among them.
    let end = left.len() - RATE / 2;
    sings("the caller at the end", &left[..end], &[CALLER_HZ]);
    sings("the human at the end", &right[..end], &[HUMAN_HZ]);
    let opened = stage.told.borrow().iter().filter(|notice| matches!(notice.what, What::AudioOpened { .. })).count();
    assert_eq!(opened, 3);
    assert_eq!(stage.metric("calmline_copy_dropped_packets_total"), 0.0);
    stage.is_empty();
}

#[test]
fn prompts_are_played_to_either_party_by_order() {
    let stage = Stage::set(Setup::named("ordered-prompts"));
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let path = format!("/v1/calls/{call}/prompts");
    let ended = |who: &'static str| move |what: &What| matches!(what, What::PromptEnded { party, completed: true, .. } if party == who);
    let prompt = fixture("config/prompts/please-wait.wav");
    let order = |party: &str, mode: &str| json!({ "file": "please-wait.wav", "party": party, "mode": mode });
    assert_eq!(stage.ask("POST", &path, &order("callee", "replace")).0, 202);
    stage.until("the end of the prompt", ended("callee"));
    assert!(heard(&stage.bot.heard().samples, &prompt), "the bot");
    assert!(!heard(&caller.heard().samples, &prompt), "the caller");
    assert_eq!(stage.ask("POST", &path, &order("caller", "replace")).0, 202);
    stage.until("the end of the prompt", ended("caller"));
    assert!(heard(&caller.heard().samples, &prompt), "the caller");

    let (status, answer) = stage.ask("POST", &path, &order("caller", "duck"));
    assert_eq!(status, 202, "{answer}");
    stage.until("the prompt", |what| matches!(what, What::PromptStarted { .. }));
    assert_eq!(stage.ask("DELETE", &format!("{path}/{}", answer["prompt"]), &json!(null)).0, 202);
    stage.until("its end", |what| matches!(what, What::PromptEnded { completed: false, .. }));

    let tone = json!({ "tone": "ringback", "party": "caller", "mode": "replace", "until": ["key"] });
    let (status, answer) = stage.ask("POST", &path, &tone);
    assert_eq!(status, 202, "{answer}");
    stage.until("the tone", |what| matches!(what, What::PromptStarted { file, .. } if file == "ringback"));
    caller.press("5").expect("an order");
    stage.until("its end", |what| matches!(what, What::PromptEnded { completed: false, .. }));
    hears("the caller after the tone", &caller, &[BOT_HZ]);
    continuous("the caller", &caller.heard().stats);
    continuous("the bot", &stage.bot.heard().stats);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn the_parties_hear_a_tone_while_somebody_listens_and_no_copy_has_it() {
    let (_phones, floor) = floor(Codec::Pcma);
    let target =
        format!("[targets.floor]\nuri = \"{}\"\n\n[[route]]\nsupervision_tone = {{ every_s = 2 }}", floor.uri());
    let edits = [("[[route]]", target.as_str())];
    let stage = Stage::set(Setup { edits: &edits, ..Setup::named("supervision-tone") });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let mut copy = open(&stage, &format!("/v1/calls/{call}/audio"));
    let path = format!("/v1/calls/{call}/supervisors");
    assert_eq!(beeps(&caller.heard().samples), 0, "nobody listens yet");
    assert_eq!(stage.ask("POST", &path, &json!({ "target": "floor", "mode": "listen" })).0, 202);
    // The second one is no part of joining.
    for (who, phone) in [("the caller", &caller), ("the bot", &stage.bot)] {
        eventually(&format!("{who} hears the tone twice"), || beeps(&phone.heard().samples) > 6);
        println!("{who}: {} windows of 50 ms", beeps(&phone.heard().samples));
    }
    let heard = floor.heard().samples;
    assert!(heard.len() > 2 * RATE && beeps(&heard) == 0, "{} windows at the supervisor", beeps(&heard));

    more_packets("a second more", &caller, 50);
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        copy.read_to_end(&mut bytes).map(|_| bytes)
    });
    caller.hang_up().expect("an order");
    let bytes = reading.join().expect("no panic").expect("the stream ends with the call");
    let [left, right] = [0, 1].map(|channel| channel_of(&bytes, channel));
    let end = left.len() - RATE / 2;
    assert!(end > 2 * RATE, "{end} samples: both tones are over by then");
    assert_eq!((beeps(&left), beeps(&right)), (0, 0), "the copy");
    // Where the tone begins and ends the sound comes by another way, and moves by some milliseconds.
    let found: Vec<_> = right[RATE..end].chunks_exact(RATE / 20).map(strengths).collect();
    let sung = found.iter().filter(|found| fits(found, &[BOT_HZ])).count();
    println!("the copy: the bot alone in {sung} of {} windows", found.len());
    assert!(sung * 10 >= found.len() * 9, "the copy: {found:?}");
    stage.is_empty();
}

/// How many windows of 50 ms have the tone in them that says that somebody listens.
fn beeps(samples: &[i16]) -> usize {
    samples.chunks_exact(RATE / 20).filter(|window| strength(window, 1_400) > 0.04).count()
}

/// A supervisor's phone, and what it runs on.
fn floor(codec: Codec) -> (Phones, PhoneHandle) {
    let phones = Phones::start().expect("a thread");
    let plan = PhonePlan {
        user: "floor".to_owned(),
        codecs: vec![codec],
        behaviour: Behaviour::answer().after(Duration::from_millis(200)),
        audio: Audio::tone(SUPERVISOR_HZ, 0.3),
        ..PhonePlan::new(ANY)
    };
    let floor = phones.add(plan).expect("a port");
    (phones, floor)
}

/// A stage on which the supervisor is a target, and the human sings.
fn supervised_stage(name: &str, floor: &PhoneHandle) -> Stage {
    let target = format!("[targets.floor]\nuri = \"{}\"\n\n[[route]]", floor.uri());
    let mut setup = Setup::named(name);
    setup.policy = Some(BY_KEY);
    setup.human.1 = Audio::tone(HUMAN_HZ, 0.3);
    let edits = [("[[route]]", target.as_str())];
    setup.edits = &edits;
    Stage::set(setup)
}

/// A phone hears these tones and none of the others.
#[track_caller]
fn hears(what: &str, phone: &PhoneHandle, tones: &[u16]) {
    let mut last = Vec::new();
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
        let samples = phone.heard().samples;
        last = strengths(&samples);
        // A second of nothing else.
        if samples.len() > 2 * RATE && fits(&last, tones) {
            return;
        }
    }
    panic!("{what} hears {last:?}, not {tones:?}");
}

#[track_caller]
fn sings(what: &str, samples: &[i16], tones: &[u16]) {
    let found = strengths(samples);
    println!("{what}: {found:?}");
    assert!(fits(&found, tones), "{what}: {found:?}, not {tones:?}");
}

fn strengths(samples: &[i16]) -> Vec<(u16, f64)> {
    [CALLER_HZ, BOT_HZ, HUMAN_HZ, SUPERVISOR_HZ].map(|hz| (hz, strength(samples, hz))).to_vec()
}

fn fits(found: &[(u16, f64)], tones: &[u16]) -> bool {
    found.iter().all(|(hz, strength)| if tones.contains(hz) { *strength > LOUD } else { *strength < QUIET })
}

/// A live stream of a call's audio, after the head of the answer.
fn open(stage: &Stage, path: &str) -> TcpStream {
    let (web, token) = (stage.server.addresses.web, &stage.server.token);
    let mut stream = TcpStream::connect(web).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.0\r\nHost: {web}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).expect("a head");
        head.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(head.contains(" 200 ") && head.contains("content-type: audio/wav"), "{head}");
    stream
}

/// The beginning of a live stream.
fn listen(stage: &Stage, path: &str, octets: usize) -> Vec<u8> {
    let mut bytes = vec![0; octets];
    open(stage, path).read_exact(&mut bytes).expect("audio");
    bytes
}

/// One channel of a WAV stream that ends when it ends.
fn channel_of(bytes: &[u8], channel: u16) -> Vec<i16> {
    let recording = wav::read(Cursor::new(bytes), Channel::Only(channel)).expect("WAV");
    assert_eq!(recording.rate_hz as usize, RATE);
    recording.to_sound().samples
}
