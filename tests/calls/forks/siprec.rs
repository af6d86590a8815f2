//! A recording client: an INVITE with descriptions and metadata, RTP of two people, pause, refresh, news and the end.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use calmline::notice::What;
use loadtest::message::Message;

use super::audio::{Speaker, shared, talk};
use super::bodies::{self, Body, description, metadata, multipart};
use super::{Doors, angry_as_in_our_path, begun, stage};
use crate::raw::{Content, RawCaller};
use crate::stage::{Stage, eventually};

const MIXED: &str = "multipart/mixed;boundary=boundary-1";
const XML: &str = "Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session";
const SDP: &str = "Content-Type: application/sdp";
/// What recording clients say of themselves.
const CLIENT: &str = "Require: siprec\r\nContent-Disposition: session\r\n";

#[test]
fn an_angry_caller_of_a_recorded_call_is_alerted() {
    let (stage, _) = stage("siprec");
    let mut client = RawCaller::calling(stage.server.addresses.sip, "recorder");
    let body = multipart(&[(SDP, &description(["96", "97"], "sendonly")), (XML, &metadata("complete", "7001"))]);
    let answer = client.ask("INVITE", content(MIXED, &body));
    assert_eq!(answer.status(), Some(200), "{answer:?}");
    assert!(answer.header("Contact").is_some_and(|contact| contact.contains("+sip.srs")), "{answer:?}");
    assert_eq!(answer.body.matches("a=recvonly").count(), 2, "{}", answer.body);
    let ports = ports(&answer);
    let call = begun(&stage, "siprec").call;

    let talk = talk();
    // The first stream is the agent's: 7001.
    let agent = Speaker::start(ports[0], &talk.agent);
    let caller = Speaker::start(ports[1], &talk.caller);
    angry_as_in_our_path(&stage, Some("ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2"));
    drop((agent, caller));

    client.hang_up();
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    assert_eq!(ended.call, call);
    let legs: Vec<(String, u64)> = stage
        .told
        .borrow()
        .iter()
        .filter_map(|notice| match &notice.what {
            What::LegEnded(report) => Some((report.party.clone(), report.packets_received)),
            _ => None,
        })
        .collect();
    assert!(legs.len() == 2 && legs.iter().all(|(_, packets)| *packets > 300), "{legs:?}");
    assert!(stage.metric("calmline_forked_calls_total{source=\"siprec\"") >= 1.0);
    stage.is_empty();
}

#[test]
fn pause_refresh_news_and_resume() {
    let (stage, _) = stage("siprec-updates");
    let mut client = RawCaller::calling(stage.server.addresses.sip, "recorder");
    let body = multipart(&[(XML, &metadata("complete", "7001")), (SDP, &description(["96", "97"], "sendonly"))]);
    let timer = format!("{CLIENT}Supported: timer\r\nSession-Expires: 1800\r\n");
    let answer = client.ask("INVITE", Content { headers: &timer, media_type: MIXED, body: &body });
    assert_eq!(answer.status(), Some(200), "{answer:?}");
    assert!(answer.header("Session-Expires").is_some_and(|value| value.contains("refresher=uac")), "{answer:?}");
    let ports = ports(&answer);
    let speakers = [Speaker::start(ports[0], &[]), Speaker::start(ports[1], &[])];

    let held = description(["96", "97"], "inactive");
    let answer = client.ask("INVITE", content("application/sdp", &held));
    assert_eq!((answer.status(), answer.body.matches("a=inactive").count()), (Some(200), 2), "{answer:?}");
    stage.until("the pause", |what| matches!(what, What::ForkPaused { on: true }));
    let record = stage.api("/v1/calls?state=active")["calls"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(stage.api(&format!("/v1/calls/{record}"))["fork"]["paused"], true);

    // A refresh by UPDATE, without a body, leaves it paused.
    assert_eq!(client.ask("UPDATE", Content::default()).status(), Some(200));
    let resumed = description(["96", "97"], "sendonly");
    let answer = client.ask("INVITE", content("application/sdp", &resumed));
    assert_eq!((answer.status(), answer.body.matches("a=recvonly").count()), (Some(200), 2), "{answer:?}");
    assert_eq!(self::ports(&answer), ports, "the ports stay");
    stage.until("the end of the pause", |what| matches!(what, What::ForkPaused { on: false }));
    // The same once more is a refresh.
    assert_eq!(client.ask("INVITE", content("application/sdp", &resumed)).status(), Some(200));

    // Another agent.
    let news = metadata("complete", "7002");
    let told = Content { headers: CLIENT, media_type: "application/rs-metadata+xml", body: &news };
    assert_eq!(client.ask("UPDATE", told).status(), Some(200));
    stage.until("the other agent", |what| {
        matches!(what, What::CallForked { again: true, parties, .. }
            if parties.iter().any(|party| party.party == "callee" && party.addresses == ["sip:7002@pbx.example"]))
    });
    drop(speakers);
    client.hang_up();
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn bodies_of_all_makers_are_understood() {
    let (stage, _) = stage("siprec-makers");
    for Body { name, media_type, text, parties, told_by, streams } in bodies::all() {
        let mut client = RawCaller::calling(stage.server.addresses.sip, "recorder");
        let answer = client.ask("INVITE", content(media_type, &text));
        assert_eq!((answer.status(), ports(&answer).len()), (Some(200), streams), "{name}: {answer:?}");
        let What::CallForked { told_by: how, parties: found, .. } = begun(&stage, "siprec").what else {
            unreachable!("just matched")
        };
        assert_eq!(how.as_deref(), Some(told_by), "{name}");
        for (party, address) in parties {
            let told = found.iter().any(|each| each.party == *party && each.addresses == [*address]);
            assert!(told, "{name}: no {party} {address}");
        }
        client.hang_up();
        stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    }
    stage.is_empty();
}

#[test]
fn captured_bodies_are_taken_as_they_are() {
    let folder = shared().join("data/captures/siprec");
    let captured = [
        ("acme-siprec-offer.txt", "multipart/mixed; boundary=\"unique-boundary-1\"", 2),
        ("broadworks-offer.txt", "multipart/mixed;boundary=UniqueBroadWorksBoundary", 1),
        ("connectel-offer.txt", "multipart/mixed;boundary=OSS-unique-boundary-42", 2),
    ];
    if !folder.exists() {
        return println!("skipped: no captured bodies in {}", folder.display());
    }
    let (stage, _) = stage("siprec-captured");
    for (file, media_type, streams) in captured {
        let body = std::fs::read_to_string(folder.join(file)).expect("a capture").replace("\r\n", "\n");
        let mut client = RawCaller::calling(stage.server.addresses.sip, "recorder");
        let answer = client.ask("INVITE", content(media_type, &body));
        assert_eq!((answer.status(), ports(&answer).len()), (Some(200), streams), "{file}: {answer:?}");
        println!("{file}: {:?}", begun(&stage, "siprec").what);
        client.hang_up();
        stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    }
    stage.is_empty();
}

#[test]
fn a_draining_recorder_sends_the_client_to_the_next_one() {
    let doors = [Doors::find(), Doors::find()];
    let [first, second] = [doors[0].open("siprec-first", ""), doors[1].open("siprec-second", "")];
    let body = multipart(&[(SDP, &description(["96", "97"], "sendonly")), (XML, &metadata("complete", "7001"))]);
    let mut running = RawCaller::calling(first.server.addresses.sip, "recorder");
    assert_eq!(running.ask("INVITE", content(MIXED, &body)).status(), Some(200));
    begun(&first, "siprec");
    post(&first, "/v1/drain");
    // Without metadata: the same session, sent before the drain is on, would take the running one's place.
    let plain = description(["96", "97"], "sendonly");
    eventually("the first recorder drains", || {
        let mut client = RawCaller::calling(first.server.addresses.sip, "recorder");
        let answer = client.ask("INVITE", content("application/sdp", &plain));
        answer.status() == Some(503) && answer.header("Retry-After").is_some()
    });
    let mut client = RawCaller::calling(second.server.addresses.sip, "recorder");
    assert_eq!(client.ask("INVITE", content(MIXED, &body)).status(), Some(200));
    begun(&second, "siprec");
    // The one that ran goes on until its client ends it.
    assert_eq!(running.ask("INVITE", content("application/sdp", &plain)).status(), Some(200));
    running.hang_up();
    first.until("the end", |what| matches!(what, What::CallEnded { .. }));

    // An operator's word ends the recording, not the call.
    let call = second.api("/v1/calls?state=active")["calls"][0]["id"].as_str().expect("an id").to_owned();
    post(&second, &format!("/v1/calls/{call}/hangup"));
    client.answer("BYE");
    second.until("the end", |what| matches!(what, What::CallEnded { .. }));
    second.is_empty();
}

#[test]
fn what_is_wrong_with_one_recording_hurts_no_other() {
    let (stage, _) = stage("siprec-bad");
    let good = multipart(&[(SDP, &description(["96", "97"], "sendonly")), (XML, &metadata("complete", "7001"))]);
    let mut client = RawCaller::calling(stage.server.addresses.sip, "recorder");
    let answer = client.ask("INVITE", content(MIXED, &good));
    let speaker = Speaker::start(ports(&answer)[1], &[]);
    let caller = stage.call(loadtest::audio::Audio::tone(crate::stage::CALLER_HZ, 0.3));

    let deep = "<recording>".repeat(5_000);
    let sdp = description(["96", "97"], "sendonly");
    for (media_type, body, expected) in [
        (MIXED, "no boundary at all".to_owned(), 415),
        (MIXED, multipart(&[(XML, &metadata("complete", "7001"))]), 415),
        ("text/plain", "hello".to_owned(), 415),
        (MIXED, multipart(&[(SDP, "this is no description"), (XML, "<recording/>")]), 488),
        (MIXED, multipart(&[(SDP, &sdp.replace("RTP/AVP 0", "RTP/AVP 18")), (XML, "<recording/>")]), 488),
        // Metadata that cannot be read costs the names only.
        (MIXED, multipart(&[(SDP, &sdp), (XML, &deep[..1_000])]), 200),
        // As long as some recording clients make it, and in a datagram.
        (MIXED, multipart(&[(SDP, &sdp), (XML, &deep[..12_000])]), 200),
        (MIXED, multipart(&[(SDP, &sdp), (XML, "<!DOCTYPE a [<!ENTITY b \"c\">]><recording>&b;</recording>")]), 200),
    ] {
        let mut other = RawCaller::calling(stage.server.addresses.sip, "recorder");
        let answer = other.ask("INVITE", content(media_type, &body));
        assert_eq!(answer.status(), Some(expected), "{media_type} {body:.80}: {answer:?}");
        if expected == 200 {
            other.hang_up();
        }
    }
    thread::sleep(Duration::from_millis(300));
    assert_eq!(client.ask("INVITE", content("application/sdp", &sdp)).status(), Some(200));
    crate::stage::more_packets("the call in our path goes on", &caller, 50);
    drop(speaker);
    client.hang_up();
    caller.hang_up().expect("an order");
    stage.is_empty();
}

fn content<'a>(media_type: &'a str, body: &'a str) -> Content<'a> {
    Content { headers: CLIENT, media_type, body }
}

/// Where the streams go that were taken.
fn ports(answer: &Message) -> Vec<SocketAddr> {
    let lines = answer.body.lines().filter_map(|line| line.strip_prefix("m=audio "));
    let ports = lines.filter_map(|line| line.split(' ').next()?.parse::<u16>().ok()).filter(|port| *port != 0);
    ports.map(|port| SocketAddr::new([127, 0, 0, 1].into(), port)).collect()
}

fn post(stage: &Stage, path: &str) {
    super::streams::post(stage, path, "");
}
