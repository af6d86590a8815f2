//! Moving calls by others: a real HTTP server as webhook, and a scripted event socket in FreeSWITCH's place.
//!
//! The event socket's peer is written from the documentation of mod_event_socket; it is no FreeSWITCH.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::PhoneHandle;
use loadtest::phone::Event;
use serde_json::Value;

use crate::stage::{ANY, CALLER_HZ, LONG, Setup, Stage, eventually, expect, folder, invite};

const POLICY: &str = r#"
name = "moves"
version = 1
scenarios = ["after-sales"]

[[rule]]
id = "by-webhook"
when = { key = "1" }
then = [{ reroute = ["crm", "bridge"], target = "human" }, { notify = "crm" }]

[[rule]]
id = "by-switch"
when = { key = "2" }
then = [{ reroute = ["switch", "bridge"], target = "human", within_s = 2 }]

[[rule]]
id = "sorry"
when = { key = "3" }
then = [{ announce = "ivr/sorry.wav", pbx = "switch" }]
"#;

/// The channel that the PBX says the call is.
const UUID: &str = "3f6f8f6e-1c55-4d0a-9d5b-3a1d2f9d7a10";

/// Calls that know a webhook at `webhook` and an event socket at `switch`.
fn stage(name: &str, webhook: SocketAddr, switch: SocketAddr) -> Stage {
    let secrets = folder(name).join("config");
    std::fs::create_dir_all(&secrets).expect("a folder");
    std::fs::write(secrets.join("token"), "a-token\n").expect("a token");
    std::fs::write(secrets.join("password"), "ClueCon\n").expect("a password");
    let pbxes = format!(
        "[pbx.crm]\nkind = \"webhook\"\nurl = \"http://{webhook}/moves\"\nsecret_file = \"token\"\n\n\
         [pbx.switch]\nkind = \"esl\"\naddress = \"{switch}\"\nsecret_file = \"password\"\n\n[targets.bot]"
    );
    let place = "[targets.human]\ndialplan = \"default,700\"\nqueue_priority = 60\nvariables = { team = \"gold\" }\n\
                 user_to_user = true\n";
    let mut setup = Setup::named(name);
    let edits = [("[targets.bot]", pbxes.as_str()), ("[targets.human]\n", place)];
    setup.edits = &edits;
    setup.policy = Some(POLICY);
    Stage::set(setup)
}

/// A caller whose call the PBX has named.
fn call(stage: &Stage) -> PhoneHandle {
    let target = format!("sip:support@{}", stage.server.addresses.sip);
    let headers = [("X-PBX-Channel", UUID)];
    let caller = stage.phones.calling(ANY, &target, Audio::tone(CALLER_HZ, 0.3), &headers).expect("a caller");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    caller
}

#[test]
fn a_webhook_moves_the_caller_or_the_next_way_does() {
    let (webhook, requests) = http_server(vec![StatusCode::ACCEPTED, StatusCode::ACCEPTED, StatusCode::BAD_GATEWAY]);
    let stage = stage("webhook", webhook, nobody());
    let caller = call(&stage);
    caller.press("1").expect("an order");
    // What is told and what is to be done go out side by side: either may come first.
    let mut both = [0, 1].map(|_| requests.recv_timeout(LONG).expect("a request"));
    both.sort_by_key(|(_, told)| told["action"] != "move");
    let [(token, told), (_, other)] = both;
    assert_eq!((token.as_str(), &other["action"]), ("Bearer a-token", &"tell".into()));
    for (name, expected) in [("action", "move"), ("target", "human"), ("rule", "by-webhook"), ("channel", UUID)] {
        assert_eq!(told[name], expected, "{told}");
    }
    assert_eq!((&told["queue_priority"], &told["variables"]["team"]), (&60.into(), &"gold".into()));
    stage.until("what the webhook did", |what| matches!(what, What::PbxDone { pbx } if pbx == "crm"));

    // As a PBX would whom the webhook's owner has told to move the caller.
    caller.hang_up().expect("an order");
    stage.until("the move", |what| matches!(what, What::Rerouted { via, .. } if via == "crm"));
    stage.until("the end", |what| matches!(what, What::CallEnded { reason, .. } if reason == "moved by crm"));

    let caller = call(&stage);
    caller.press("1").expect("an order");
    let failed = stage.until("a refusal", |what| matches!(what, What::RerouteFailed { .. }));
    assert!(
        matches!(&failed.what, What::RerouteFailed { via, reason, .. } if via == "crm" && reason == "502 Bad Gateway")
    );
    stage.until("the human", |what| matches!(what, What::Rerouted { via, .. } if via == "bridge"));
    let data = invite(&stage.human).header("User-to-User").map(str::to_owned);
    assert!(data.is_some_and(|data| data.ends_with(";encoding=hex")), "User-to-User of the human's INVITE");
    caller.hang_up().expect("an order");
    stage.is_empty();
    assert_eq!(stage.metric("calmline_pbx_orders_total{pbx=\"crm\",outcome=\"accepted\""), 2.0);
}

#[test]
fn a_scripted_switch_transfers_the_caller() {
    let listener = TcpListener::bind(ANY).expect("a port");
    let address = listener.local_addr().expect("an address");
    let commands = event_socket(listener);
    let stage = stage("switch", nobody(), address);
    eventually("the switch takes orders", || stage.metric("calmline_pbx_up{pbx=\"switch\"") == 1.0);
    let caller = call(&stage);
    caller.press("3").expect("an order");
    stage.until("the announcement", |what| matches!(what, What::PbxDone { pbx } if pbx == "switch"));
    assert_eq!(commands.recv().expect("a command"), format!("uuid_broadcast {UUID} ivr/sorry.wav aleg"));
    caller.press("2").expect("an order");
    let transfer = format!("uuid_transfer {UUID} 700 XML default");
    let mut said = Vec::new();
    while said.last() != Some(&transfer) {
        said.push(commands.recv_timeout(LONG).expect("a command"));
    }
    let variables = ["CALMLINE_RULE by-switch", "cc_base_score 60", "team gold"];
    assert_eq!(said[4..7], variables.map(|variable| format!("uuid_setvar {UUID} {variable}")));
    caller.hang_up().expect("an order");
    stage.until("the move", |what| matches!(what, What::Rerouted { via, .. } if via == "switch"));
    stage.is_empty();
}

#[test]
fn a_switch_that_is_down_for_a_while() {
    let address = nobody();
    let stage = stage("switch-down", nobody(), address);
    let caller = call(&stage);
    let id = stage.api("/v1/calls?state=active")["calls"][0]["id"].as_str().expect("a call is up").to_owned();
    caller.press("2").expect("an order");
    let failed = stage.until("the order's end", |what| matches!(what, What::RerouteFailed { .. }));
    let What::RerouteFailed { via, reason, .. } = &failed.what else { unreachable!("just matched") };
    assert!(via == "switch" && reason.starts_with("not passed on in time: "), "{via}: {reason}");
    stage.until("the human", |what| matches!(what, What::Rerouted { via, .. } if via == "bridge"));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    assert_eq!(stage.metric("calmline_pbx_up{pbx=\"switch\""), 0.0);
    assert_eq!(stage.metric("calmline_pbx_orders_total{pbx=\"switch\",outcome=\"expired\""), 1.0);
    assert_eq!(stage.metric("calmline_pbx_waiting_orders{pbx=\"switch\""), 0.0);
    stage.is_empty();
    // The record tells of both ways, and every leg has ended: caller, bot, human.
    let record = stage.api(&format!("/v1/calls/{id}"));
    let told = |kind: &str, via: &str| {
        let events = record["events"].as_array().expect("events");
        events.iter().filter(|event| event["type"] == kind && event["via"] == via).count()
    };
    assert_eq!((told("reroute_failed", "switch"), told("rerouted", "bridge")), (1, 1), "{record}");
    assert_eq!(record["legs"].as_array().map(Vec::len), Some(3), "{record}");

    // It comes back, and nothing that expired is carried out.
    let commands = event_socket(TcpListener::bind(address).expect("its port"));
    eventually("the switch takes orders", || stage.metric("calmline_pbx_up{pbx=\"switch\"") == 1.0);
    assert!(commands.try_recv().is_err(), "an order of a call that is over");
    let caller = call(&stage);
    caller.press("2").expect("an order");
    let is_transfer = |command: &String| command.starts_with("uuid_transfer ");
    while !is_transfer(&commands.recv_timeout(LONG).expect("a command")) {}
    caller.hang_up().expect("an order");
    stage.until("the move", |what| matches!(what, What::Rerouted { via, .. } if via == "switch"));
    stage.is_empty();
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind(ANY).and_then(|listener| listener.local_addr()).expect("a free port")
}

/// A real HTTP server that answers with these codes, the last one again and again, and tells what it was told.
fn http_server(codes: Vec<StatusCode>) -> (SocketAddr, Receiver<(String, Value)>) {
    let (tell, requests) = channel();
    let listener = TcpListener::bind(ANY).expect("a port");
    listener.set_nonblocking(true).expect("a socket option");
    let address = listener.local_addr().expect("an address");
    let state = std::sync::Arc::new(std::sync::Mutex::new((codes.into_iter(), StatusCode::OK, tell)));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let app = Router::new().route("/moves", post(take)).with_state(state);
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app).await.expect("it serves");
        });
    });
    (address, requests)
}

type Answers = std::sync::Arc<std::sync::Mutex<(std::vec::IntoIter<StatusCode>, StatusCode, Sender<(String, Value)>)>>;

async fn take(State(state): State<Answers>, headers: HeaderMap, body: String) -> StatusCode {
    let mut state = state.lock().expect("nobody panics");
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let _ = state.2.send((token, serde_json::from_str(&body).expect("JSON")));
    if let Some(code) = state.0.next() {
        state.1 = code;
    }
    state.1
}

/// The far end of an event socket, as mod_event_socket is documented: asks for the password, then says +OK to every
/// `api` command. What it was told, in order.
fn event_socket(listener: TcpListener) -> Receiver<String> {
    let (tell, commands) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            stream.write_all(b"Content-Type: auth/request\n\n").expect("taken");
            while let Some(command) = next_command(&mut reader) {
                let reply = if command == "auth ClueCon" {
                    "Content-Type: command/reply\nReply-Text: +OK accepted\n\n".to_owned()
                } else if let Some(api) = command.strip_prefix("api ") {
                    if !api.starts_with("uptime") {
                        let _ = tell.send(api.to_owned());
                    }
                    "Content-Type: api/response\nContent-Length: 4\n\n+OK\n".to_owned()
                } else {
                    "Content-Type: command/reply\nReply-Text: -ERR command not found\n\n".to_owned()
                };
                if stream.write_all(reply.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    commands
}

/// One command up to its empty line.
fn next_command(reader: &mut BufReader<impl Read>) -> Option<String> {
    let mut command = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" if command.is_empty() => {}
            "" => return Some(command),
            line => command.push_str(line),
        }
    }
}
