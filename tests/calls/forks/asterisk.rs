//! A real Asterisk forks its calls to us: AudioSocket from the dialplan, externalMedia by ARI.
//!
//! Optional, like every test that needs the lab: it says what is missing and passes. The lab's ports are fixed, so
//! everything is one test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::Phones;
use loadtest::phone::Event;
use serde_json::Value;

use super::audio::talk;
use super::lab::{ASTERISK, Lab};
use super::{Doors, begun};
use crate::stage::{LONG, Stage, eventually, expect, fixture, heard};

/// Where the lab's configuration has its caller, and where its dialplan connects AudioSocket.
const CALLER: SocketAddr = loopback(5070);
const AUDIOSOCKET: SocketAddr = loopback(9092);
const ARI: SocketAddr = loopback(8088);
/// `lab:labpw`.
const ARI_USER: &str = "bGFiOmxhYnB3";

#[test]
fn a_real_asterisk_forks_its_calls_to_us() {
    let lab = match Lab::up(&[CALLER], "") {
        Ok(lab) => lab,
        Err(why) => return println!("skipped: {why}"),
    };
    let doors = Doors { audiosocket: AUDIOSOCKET, ..Doors::find() };
    let stage = doors.open("fork-asterisk", "");
    audiosocket_from_the_dialplan(&stage);
    eventually("Asterisk lets go", || !lab.channels().contains("PJSIP/"));
    external_media_by_ari(&stage);
    stage.is_empty();
}

fn audiosocket_from_the_dialplan(stage: &Stage) {
    // Its port is free again when the telephones are gone.
    let phones = Phones::start().expect("a thread");
    let caller =
        phones.calling(CALLER, &format!("sip:910@{ASTERISK}"), Audio::once(talk().caller), &[]).expect("a caller");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    let told = begun(stage, "audiosocket");
    let What::CallForked { pbx_call, .. } = &told.what else { unreachable!("just matched") };
    assert_eq!(pbx_call.as_deref(), Some("40325ec2-5efd-4bd3-805f-53576e581d13"));
    let alert = stage.until("the alert", |what| matches!(what, What::Alert { severity, .. } if severity == "critical"));
    println!("AudioSocket: alert {} ms after the beginning", alert.call_ms);
    stage.until("the end of the apology", |what| matches!(what, What::PromptEnded { completed: true, .. }));
    assert!(stage.was_told(|what| matches!(what, What::RerouteFailed { .. })));
    let sorry = fixture("config/prompts/sorry-transfer.wav");
    assert!(heard(&caller.heard().samples, &sorry[..8_000]), "the caller hears the apology through Asterisk");
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
}

/// What an ARI application does: asks us where the audio may go, snoops on the caller and sends the copy there.
fn external_media_by_ari(stage: &Stage) {
    // The application exists while its WebSocket does.
    let events = format!("ws://{ARI}/ari/events?app=lab&api_key=lab:labpw");
    let (mut events, _) = tungstenite::connect(events).expect("ARI's events");
    // Its port is free again when the telephones are gone.
    let phones = Phones::start().expect("a thread");
    let caller =
        phones.calling(CALLER, &format!("sip:900@{ASTERISK}"), Audio::once(talk().caller), &[]).expect("a caller");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    let channel = loop {
        let text = events.read().expect("an event of ARI");
        let Ok(text) = text.into_text() else { continue };
        let event: Value = serde_json::from_str(&text).unwrap_or_default();
        if event["type"] == "StasisStart" {
            break event["channel"]["id"].as_str().expect("an id").to_owned();
        }
    };

    let asked = format!(r#"{{"via":"rtp","call":"{channel}","from":"caller","to":"900","parties":["caller"]}}"#);
    let given = super::streams::post(stage, "/v1/forks", &asked);
    let host = given["streams"]["caller"]["rtp"].as_str().expect("an address");
    let snoop = ari(&format!("channels/{channel}/snoop?spy=in&app=lab"))["id"].as_str().expect("an id").to_owned();
    let media = ari(&format!("channels/externalMedia?app=lab&external_host={host}&format=ulaw"));
    let media = media["id"].as_str().expect("an id").to_owned();
    let bridge = ari("bridges?type=mixing")["id"].as_str().expect("an id").to_owned();
    ari(&format!("bridges/{bridge}/addChannel?channel={snoop},{media}"));

    begun(stage, "rtp");
    let alert = stage.until("the alert", |what| matches!(what, What::Alert { severity, .. } if severity == "critical"));
    println!("externalMedia: alert {} ms after the beginning", alert.call_ms);
    assert!(matches!(alert.what, What::Alert { pbx_call: Some(name), .. } if name == channel));
    let call = given["call"].as_str().expect("an id");
    super::streams::post(stage, &format!("/v1/calls/{call}/hangup"), "");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    caller.hang_up().expect("an order");
}

/// Asks ARI for something.
#[track_caller]
fn ari(path: &str) -> Value {
    let mut stream = TcpStream::connect(ARI).expect("ARI");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    let request = format!(
        "POST /ari/{path} HTTP/1.1\r\nHost: {ARI}\r\nConnection: close\r\nAuthorization: Basic {ARI_USER}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)).unwrap_or_default()
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
