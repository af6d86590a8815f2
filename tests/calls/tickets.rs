//! Systems outside are told of events at least once, signed, over failures of theirs and a crash of ours.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use calmline::demo::server::get;
use calmline::notice::What;
use ring::hmac;
use serde_json::{Value, json};

use crate::chats::read_words;
use crate::kept::Again;
use crate::stage::{PROGRAM, Setup, Stage, eventually, folder};

pub const SECRET: &str = "a secret of both";
const POLICY: &str = r#"
name = "own"
version = 1
scenarios = ["chats"]
[[rule]]
id = "money-back"
when = { words = ["refund"] }
then = [{ alert = "warning", text = "wants \"money\" back" }, { notify = "tickets" }]
"#;

#[test]
fn a_ticket_outlives_failures_of_the_receiver_and_a_crash_of_the_server() {
    let name = "tickets";
    let home = folder(name);
    let _ = std::fs::remove_dir_all(home.join("kept"));
    let receiver = Receiver::start();
    receiver.does(Does::Fail);
    let mut stage = set(name, receiver.at);
    let (_, opened) = stage.ask("POST", "/v1/interactions", &json!({ "channel": "app", "customer": "13800138000" }));
    let id = opened["interaction"].as_str().expect("an id").to_owned();
    read_words(&stage, &format!("/v1/interactions/{id}"));
    if !stage.was_told(|what| matches!(what, What::TicketAsked { .. })) {
        stage.until("the ticket", |what| matches!(what, What::TicketAsked { .. }));
    }
    eventually("it was tried twice", || receiver.had().len() >= 2);
    let had = receiver.had();
    let first = &had[0];
    assert!(had.iter().all(|again| again.header("idempotency-key") == first.header("idempotency-key")));
    assert_eq!((first.header("x-calmline-event"), first.header("x-calmline-attempt")), ("ticket_asked", "1"));
    first.is_signed();
    let body: Value = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!(body["interaction"], id.as_str(), "{body}");
    assert_eq!((&body["rule"], &body["channel"]), (&json!("money-back"), &json!("app")), "{body}");
    assert!(body["emotion"]["anger"].is_number(), "{body}");
    assert!(body["customer"].as_str().is_some_and(|customer| customer.starts_with("person:")), "{body}");

    // Nobody was told before the crash; afterwards the receiver is too slow, and then well again.
    stage.server.kill();
    receiver.does(Does::Sleep);
    let config = home.join("config/calmline.toml");
    let again = Again::start(&config, &stage.server.token);
    let before = receiver.had().len();
    eventually("it is tried again", || receiver.had().len() > before);
    receiver.does(Does::Take);
    // An answer that came too late counts twice.
    eventually("it is taken", || receiver.taken() >= 1);
    let web = stage.server.addresses.web;
    eventually("nothing waits", || list(web, &again.token, "")["deliveries"] == json!([]));
    let last = receiver.had().pop().expect("it was taken");
    assert_eq!(last.header("idempotency-key"), first.header("idempotency-key"));
    last.is_signed();
}

#[test]
fn what_is_refused_is_set_aside_and_can_be_tried_again_or_dropped() {
    let name = "tickets-refused";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    let receiver = Receiver::start();
    receiver.does(Does::Refuse);
    let stage = set(name, receiver.at);
    for _ in 0..2 {
        assert_eq!(stage.ask("POST", "/v1/interactions", &json!({ "channel": "web" })).0, 201);
    }
    let (web, token) = (stage.server.addresses.web, stage.server.token.clone());
    let aside = || list(web, &token, "?state=set_aside")["deliveries"].as_array().cloned().unwrap_or_default();
    eventually("both are set aside", || aside().len() == 2);
    let refused = &aside()[0];
    assert_eq!(
        (&refused["error"], &refused["attempts"], &refused["event"]),
        (&json!("422 Unprocessable Entity"), &json!(1), &json!("chat_opened"))
    );
    let (code, told) = program(web, &token, &["list", "--set-aside"]);
    assert!(code == Some(0) && told.lines().count() == 2 && told.contains("422"), "{told}");
    receiver.does(Does::Take);
    assert_eq!(program(web, &token, &["retry", &refused["id"].to_string()]).0, Some(0));
    eventually("it is taken", || receiver.taken() == 1 && aside().len() == 1);
    assert_eq!(program(web, &token, &["drop", &aside()[0]["id"].to_string()]).0, Some(0));
    assert_eq!(aside(), Vec::<Value>::new());
    assert_eq!(program(web, &token, &["drop", "999"]).0, Some(1));
    assert_eq!(stage.ask("GET", "/v1/deliveries?state=lost", &Value::Null).0, 400);
    assert!(stage.metric("calmline_deliveries_total{crm=\"tickets\",outcome=\"set_aside\"") >= 2.0);
    what_is_done_about_an_alert_is_told(&stage, &receiver);
}

/// Somebody takes an alert of a chat: the system outside that asks for that hears of it.
fn what_is_done_about_an_alert_is_told(stage: &Stage, receiver: &Receiver) {
    let (_, opened) = stage.ask("POST", "/v1/interactions", &json!({ "channel": "web" }));
    let id = opened["interaction"].as_str().expect("an id").to_owned();
    read_words(stage, &format!("/v1/interactions/{id}"));
    let alerts = || stage.api(&format!("/v1/calls/{id}"))["alerts"].clone();
    eventually("the alert", || alerts()[0].is_object());
    let at = &alerts()[0]["call_ms"];
    let deed = json!({ "alert_ms": at, "rule": "money-back", "deed": "acknowledge" });
    let (status, answer) = stage.ask("POST", &format!("/v1/calls/{id}/alerts"), &deed);
    assert_eq!(status, 202, "{answer}");
    let handled = || receiver.had().into_iter().find(|had| had.header("x-calmline-event") == "alert_handled");
    eventually("it is told", || handled().is_some());
    let had = handled().expect("it was told");
    had.is_signed();
    let body: Value = serde_json::from_str(&had.body).expect("JSON");
    assert_eq!((&body["interaction"], &body["rule"]), (&json!(id), &json!("money-back")), "{body}");
    assert_eq!((&body["severity"], &body["handled"]["deed"]), (&json!("warning"), &json!("acknowledged")), "{body}");
}

/// A server with a store that tells `tickets`.
fn set(name: &str, at: SocketAddr) -> Stage {
    let config = folder(name).join("config");
    std::fs::create_dir_all(&config).expect("a folder");
    std::fs::write(config.join("crm-secret"), SECRET).expect("a secret");
    let generic = concat!(env!("CARGO_MANIFEST_DIR"), "/config/crm/generic.json");
    std::fs::copy(generic, config.join("generic.json")).expect("the shipped template");
    let events = if name == "tickets" { "" } else { "events = [\"chat_opened\", \"alert_handled\"]\n" };
    // Only who sleeps has to be found too slow.
    let within_s = if name == "tickets" { 1 } else { 10 };
    let crm = format!(
        "[store]\nfolder = \"../kept\"\n\n[crm.tickets]\nurl = \"http://{at}/hook\"\nsecret_file = \"crm-secret\"\n\
         template = \"generic.json\"\nretry_s = 1\nwithin_s = {within_s}\n{events}\n[listening]"
    );
    let route = "scenario = \"after-sales\"\n\n[[route]]\nname = \"chats\"\nforked = true\nscenario = \"chats\"\n";
    let edits = [("[listening]", crm.as_str()), ("scenario = \"after-sales\"\n", route)];
    Stage::set(Setup { edits: &edits, policy: Some(POLICY), ..Setup::named(name) })
}

fn list(web: SocketAddr, token: &str, query: &str) -> Value {
    // While the server starts again, there is no answer.
    let text = get(web, &format!("/v1/deliveries{query}"), token).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn program(web: SocketAddr, token: &str, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("deliveries").args(words).args(["--url", &format!("http://{web}")]).env("CALMLINE_TOKEN", token);
    let output = command.output().expect("the program can be started");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Take,
    Fail,
    Refuse,
    /// It answers after longer than anybody waits.
    Sleep,
}

/// One request that the receiver had.
#[derive(Debug, Clone)]
pub struct Had {
    head: String,
    pub body: String,
}

impl Had {
    pub fn header(&self, name: &str) -> &str {
        let found =
            self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.trim())
    }

    /// As a receiver checks it.
    #[track_caller]
    fn is_signed(&self) {
        let signature = self.header("x-calmline-signature");
        let (time, digits) =
            signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("a signature");
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits"))
            .collect();
        hmac::verify(&key, format!("{time}.{}", self.body).as_bytes(), &tag).expect("signed by the secret");
    }
}

/// An HTTP server as small as can be.
pub struct Receiver {
    pub at: SocketAddr,
    state: Arc<Mutex<(Does, Vec<Had>, usize)>>,
}

impl Receiver {
    pub fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (at, state) = (listener.local_addr().expect("bound"), Arc::new(Mutex::new((Does::Take, Vec::new(), 0))));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Receiver { at, state }
    }

    pub fn does(&self, does: Does) {
        self.state.lock().expect("nobody panics").0 = does;
    }

    pub fn had(&self) -> Vec<Had> {
        self.state.lock().expect("nobody panics").1.clone()
    }

    pub fn taken(&self) -> usize {
        self.state.lock().expect("nobody panics").2
    }
}

/// Serves one connection until it is closed.
fn serve(mut stream: TcpStream, state: &Mutex<(Does, Vec<Had>, usize)>) {
    while let Some(had) = request(&mut stream) {
        let does = {
            let mut state = state.lock().expect("nobody panics");
            state.1.push(had);
            state.2 += usize::from(state.0 == Does::Take);
            state.0
        };
        let status = match does {
            Does::Take => "201 Created",
            Does::Fail => "503 Service Unavailable",
            Does::Refuse => "422 Unprocessable Entity",
            Does::Sleep => {
                thread::sleep(Duration::from_secs(3));
                "200 OK"
            }
        };
        if stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<Had> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let had = Had { head: head.to_owned(), body: body.to_owned() };
            let length: usize = had.header("content-length").parse().unwrap_or_default();
            if had.body.len() >= length {
                return Some(had);
            }
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            length => bytes.extend(&chunk[..length]),
        }
    }
}
