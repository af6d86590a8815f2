//! Calls whose audio is kept: played back with both sides apart, silent where somebody says a secret, gone once erased, readable
//! for nobody in the files, and not kept at all without consent. In a browser, too.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::PhonePlan;
use loadtest::phone::Event;
use serde_json::{Value, json};

use crate::console::{self, PASSWORD};
use crate::dictation;
use crate::kept::Again;
use crate::stage::{
    ANY, BOT_HZ, CALLER_HZ, LONG, RATE, Setup, Stage, angry, eventually, expect, folder, more_packets, strength,
    voice_of_the_caller,
};

const LISTENING: &str = "[listening]\nenabled = true";
const STORE: (&str, &str) = ("[listening]", "[store]\nfolder = \"../kept\"\n\n[listening]");
const SCENARIO: &str = "scenario = \"after-sales\"\n";
const KEPT: (&str, &str) = (SCENARIO, "scenario = \"after-sales\"\nkeep_audio = true\n");
/// Octets before the samples, and of one of both channels.
const HEAD: usize = 44;
const FRAME: usize = 4;
const NUMBER: &str = "13800138000";

#[test]
fn a_kept_call_is_played_back_until_it_is_erased_and_nobody_reads_it_on_the_disk() {
    let (name, kept) = ("playback", fresh("playback"));
    let mut stage = Stage::set(Setup { edits: &[STORE, KEPT], ..Setup::named(name) });
    let caller = numbered(&stage);
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    more_packets("two seconds", &caller, 100);
    let path = format!("/v1/calls/{call}/playback.wav");
    assert_eq!(fetch(&stage, &path, "").0, 409, "it is still up");
    assert_eq!(stage.metric("calmline_reels_active"), 1.0);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    eventually("it can be played", || fetch(&stage, &path, "").0 == 200);

    let (_, head, sound) = fetch(&stage, &path, "");
    assert!(head.contains("audio/wav"), "{head}");
    let [said, heard] = channels(&sound[HEAD..]);
    assert!(said.len() > RATE * 3 / 2, "{} samples", said.len());
    for (channel, own, other) in [(&said, CALLER_HZ, BOT_HZ), (&heard, BOT_HZ, CALLER_HZ)] {
        let (own, other) = (strength(channel, own), strength(channel, other));
        println!("the channel's own tone {own:.3}, the other's {other:.4}");
        assert!(own > 0.15 && other < own / 20.0, "own {own}, other {other}");
    }
    let part = fetch(&stage, &path, "Range: bytes=1044-2043\r\n");
    assert_eq!((part.0, &part.2[..]), (206, &sound[1_044..2_044]));
    let shown = stage.api(&format!("/v1/calls/{call}/playback"));
    assert_eq!((&shown["whole"], &shown["muted"]), (&json!(true), &json!([])), "{shown}");

    // Opus of a tone, and tables of G.711, hold no text; the id, the number and the format's own words are looked for.
    let file = reels(&kept).pop().expect("a file");
    let octets = std::fs::read(&file).expect("a file");
    assert!(!file.display().to_string().contains(&call), "{}", file.display());
    for secret in [call.as_bytes(), NUMBER.as_bytes(), b"OpusHead", b"RIFF"] {
        assert!(!octets.windows(secret.len()).any(|window| window == secret), "{secret:?} can be read");
    }
    assert!(entropy(&octets[64..]) > 7.9, "it does not look sealed: {} bits an octet", entropy(&octets[64..]));

    stage.server.kill();
    let token = stage.server.token.clone();
    let again = Again::start(&folder(name).join("config/calmline.toml"), &token);
    eventually("the API", || get(stage.server.addresses.web, "/healthz", "").is_ok());
    assert_eq!(fetch(&stage, &path, "").2, sound, "it outlives a crash");
    let person = json!({ "address": NUMBER, "reason": "as asked for" });
    let (status, shown) = stage.ask("POST", "/v1/people/calls", &json!({ "address": NUMBER }));
    assert_eq!((status, &shown["playback"]), (200, &json!([call])), "{shown}");
    assert_eq!(stage.ask("POST", "/v1/people/erase", &person).0, 200);
    assert_eq!(fetch(&stage, &path, "").0, 404);
    assert_eq!(reels(&kept), Vec::<PathBuf>::new());
    drop(again);
}

#[test]
fn a_crash_keeps_all_but_the_last_seconds() {
    let name = "playback-crash";
    fresh(name);
    let mut stage = Stage::set(Setup { edits: &[STORE, KEPT], ..Setup::named(name) });
    let caller = numbered(&stage);
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    more_packets("more than a chunk", &caller, 300);
    eventually("a chunk is written", || {
        stage.metric("calmline_reel_audio_milliseconds_total{outcome=\"kept\"}") >= 5_000.0
    });
    // Calls are written out twice a second.
    more_packets("a second", &caller, 50);
    stage.server.kill();
    let again = Again::start(&folder(name).join("config/calmline.toml"), &stage.server.token);
    eventually("the API", || get(stage.server.addresses.web, "/healthz", "").is_ok());
    let shown = stage.api(&format!("/v1/calls/{call}/playback"));
    assert_eq!(shown["whole"], false, "{shown}");
    let (status, _, sound) = fetch(&stage, &format!("/v1/calls/{call}/playback.wav"), "");
    let [said, heard] = channels(&sound[HEAD..]);
    assert!(status == 200 && said.len() >= 5 * RATE, "{status}, {} samples", said.len());
    assert!(strength(&said, CALLER_HZ) > 0.15 && strength(&heard, BOT_HZ) > 0.15);
    drop(again);
}

#[test]
fn a_spoken_secret_is_silent_on_both_sides() {
    let Some(scene) = dictation::scene("playback-secret") else { return };
    fresh("playback-secret");
    let added = dictation::add(&scene, &dictation::published(&scene, &["encoder", "decoder", "joiner"]));
    assert!(added.status.success(), "{added:?}");
    let list = scene.join("phrases.toml");
    std::fs::write(&list, "language = \"zh\"\n[[intent]]\nname = \"never\"\nphrases = [\"零零零零\"]\n")
        .expect("disk space");
    let models = scene.join("models");
    let recognition = format!(
        "[store]\nfolder = \"../kept\"\n\n{LISTENING}\ntext_model = false\n[recognition]\nengine = \"sherpa-onnx\"\n\
         models = {models:?}\nphrases = [{list:?}]\n"
    );
    let stage = Stage::set(Setup { edits: &[(LISTENING, &recognition), KEPT], ..Setup::named("playback-secret") });
    eventually("words are heard", || {
        let ready = get(stage.server.addresses.web, "/readyz", &stage.server.token).expect("an answer");
        ready.contains("\"words\":\"up\"")
    });
    // To this model all that is said is digits: so it is quiet before and behind.
    let quiet = || vec![0; 4 * RATE];
    let caller = stage.call(Audio::once([quiet(), voice_of_the_caller()[..5 * RATE].to_vec(), quiet()].concat()));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let secret = |what: &What| matches!(what, What::Said { is_final: true, text: Some(text), .. } if text.reveal().contains('['));
    let said = stage.until("a number, masked", secret);
    let What::Said { audio_ms, until_ms, .. } = said.what else { unreachable!("just matched") };
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));

    let path = format!("/v1/calls/{call}/playback.wav");
    eventually("its last words are known", || fetch(&stage, &path, "").0 == 200);
    let shown = stage.api(&format!("/v1/calls/{call}/playback"));
    let (_, _, sound) = fetch(&stage, &path, "");
    let [said, heard] = channels(&sound[HEAD..]);
    let muted: Vec<(usize, usize)> = shown["muted"].as_array().expect("a list").iter().map(span).collect();
    println!("said from {audio_ms} to {until_ms} ms; muted: {muted:?} of {} samples", said.len());
    assert!(!muted.is_empty() && shown["whole"] == true, "{shown}");
    for &(from, to) in &muted {
        // Told in whole milliseconds.
        let (from, to) = (from + 8, to.min(said.len()));
        assert!(said[from..to].iter().chain(&heard[from..to]).all(|sample| *sample == 0), "{from} to {to}");
    }
    // The reel begins with the call, as the caller's audio does, but for some packets.
    let (from, until) = (audio_ms as usize * 8, until_ms as usize * 8);
    let within = muted.iter().map(|&(start, end)| end.min(until).saturating_sub(start.max(from))).sum::<usize>();
    assert!(within > (until - from) / 4, "{within} of {} samples of what was masked are muted", until - from);
    let open = (0..said.len()).filter(|at| muted.iter().all(|(start, end)| at < start || at >= end));
    let loud = open.filter(|at| heard[*at].unsigned_abs() > 1_000).count();
    assert!(loud > RATE, "the bot is heard beside it, in {loud} samples");
    stage.is_empty();
}

#[test]
fn nothing_is_kept_without_consent() {
    let kept = fresh("playback-consent");
    let asked = "scenario = \"after-sales\"\nkeep_audio = true\nconsent = { rule = \"asked\", given_key = \"1\" }\n";
    let stage = Stage::set(Setup { edits: &[STORE, (SCENARIO, asked)], ..Setup::named("playback-consent") });
    let caller = numbered(&stage);
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    more_packets("a second", &caller, 50);
    assert_eq!((stage.metric("calmline_reels_active"), reels(&kept)), (0.0, Vec::new()));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    assert_eq!(fetch(&stage, &format!("/v1/calls/{call}/playback.wav"), "").0, 404);

    // One who agrees, and then does not.
    let caller = numbered(&stage);
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    caller.press("1").expect("an order");
    stage.until("consent", |what| matches!(what, What::Consent { state, .. } if state == "given"));
    eventually("it is kept", || !reels(&kept).is_empty());
    assert_eq!(stage.ask("PUT", &format!("/v1/calls/{call}/consent"), &json!({ "consent": "refused" })).0, 202);
    eventually("it is forgotten", || reels(&kept).is_empty());
    assert_eq!(fetch(&stage, &format!("/v1/calls/{call}/playback.wav"), "").0, 410);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn a_supervisor_plays_a_call_in_a_browser() {
    let Some(browser) = console::browser() else { return };
    fresh("playback-browser");
    let sections =
        format!("[users.wang]\nrole = \"supervisor\"\n{}\n\n[store]\nfolder = \"../kept\"\n\n[web]", console::hash());
    let stage = Stage::set(Setup { edits: &[("[web]", &sections), KEPT], ..Setup::named("playback-browser") });
    let caller = stage.call(angry());
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    more_packets("eight seconds", &caller, 400);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    let heard = BOT_HZ.to_string();
    let given = ["wang", PASSWORD, &call, &heard];
    let output = console::walk("playback", &browser, (&stage, "playback-browser"), &given).output().expect("node");
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert!(output.status.success(), "the browser found: {told}{}", String::from_utf8_lossy(&output.stderr));
}

/// A caller of a number, who sings, and whose call is up.
fn numbered(stage: &Stage) -> loadtest::driver::PhoneHandle {
    let plan = PhonePlan { audio: Audio::tone(CALLER_HZ, 0.3), user: NUMBER.to_owned(), ..PhonePlan::new(ANY) };
    let caller = stage.phones.add(plan).expect("a caller");
    caller.call(&format!("sip:support@{}", stage.server.addresses.sip), &[]).expect("an order");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    caller
}

/// An answer's status, head and body.
fn fetch(stage: &Stage, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(stage.server.addresses.web).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    let token = &stage.server.token;
    write!(stream, "GET {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{headers}\r\n")
        .expect("sent");
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("an answer");
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, head, octets[end + 4..].to_vec())
}

/// The samples of both channels.
fn channels(octets: &[u8]) -> [Vec<i16>; 2] {
    [0, 2].map(|at| octets.chunks_exact(FRAME).map(|frame| i16::from_le_bytes([frame[at], frame[at + 1]])).collect())
}

/// Samples that are muted.
fn span(muted: &Value) -> (usize, usize) {
    let at = |key: &str| muted[key].as_u64().expect("a number") as usize * 8;
    (at("from_ms"), at("to_ms"))
}

/// Shannon's entropy of the octets, bits each: 8 of what looks random.
fn entropy(octets: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    octets.iter().for_each(|octet| counts[usize::from(*octet)] += 1);
    let share = |count: u32| f64::from(count) / octets.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| -share(*count) * share(*count).log2()).sum()
}

/// The files of kept audio.
fn reels(kept: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(kept.join("audio")).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// The store's folder of a test, empty.
fn fresh(name: &str) -> PathBuf {
    let kept = folder(name).join("kept");
    if kept.exists() {
        std::fs::remove_dir_all(&kept).expect("a folder of ours");
    }
    kept
}
