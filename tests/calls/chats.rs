//! Chats: a customer who writes is read, judged, answered and kept like one who calls, over REST and over a WebSocket.

use std::net::TcpStream;

use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::stage::{CALLER_HZ, LONG, Setup, Stage, eventually, folder};

const POLICY: &str = r#"
name = "own"
version = 1
scenarios = ["after-sales", "chats"]
[[script]]
id = "sorry"
zh = "非常抱歉，订单{X-Order}马上处理"
en = "I am very sorry, order {X-Order} is handled first"
[[service]]
id = "first"
when = { emotion = "anger", level = "medium" }
served_by = "human"
priority = 1
script = "sorry"
[[service]]
id = "usual"
served_by = "bot"
[[rule]]
id = "angry-writer"
when = { emotion = "anger", level = "medium", lasted_s = 0.5 }
while = { channels = ["app"] }
then = [
  { say = { script = "sorry" }, mode = "replace" },
  { reroute = ["refer", "bridge"], target = "human" },
  { alert = "critical", text = "angry in the app" },
]
[[rule]]
id = "wants-money-back"
when = { words = ["refund"] }
then = [{ prompt = "please-wait.wav", mode = "replace" }]
"#;
/// The server keeps calls, and a route takes chats.
const EDITS: [(&str, &str); 2] = [
    ("[listening]", "[store]\nfolder = \"../kept\"\n\n[listening]"),
    (
        "scenario = \"after-sales\"\n",
        "scenario = \"after-sales\"\n\n[[route]]\nname = \"chats\"\nmatch = { request_uri = \"chat:*\" }\nforked = true\n\
         scenario = \"chats\"\n",
    ),
];
/// What an angry customer writes.
const ANGRY: [&str; 4] = [
    "你们这是什么垃圾服务，气死我了！",
    "骗子！我要投诉你们，太可恶了！",
    "滚，一群废物，气死人了！",
    "垃圾！骗子！我真的很愤怒！",
];

#[test]
fn an_angry_customer_is_answered_moved_kept_and_forgotten() {
    let name = "chats";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    let stage = Stage::set(Setup { edits: &EDITS, policy: Some(POLICY), ..Setup::named(name) });
    wrong_requests_are_refused(&stage);
    let opening = json!({
        "channel": "app", "name": "chat-17", "customer": "13800138000", "language": "zh", "details": { "X-Order": "A-7" },
    });
    let (status, opened) = stage.ask("POST", "/v1/interactions", &opening);
    assert_eq!((status, &opened["again"]), (201, &Value::Bool(false)), "{opened}");
    let (status, again) = stage.ask("POST", "/v1/interactions", &opening);
    assert_eq!((status, &again["interaction"], &again["again"]), (200, &opened["interaction"], &Value::Bool(true)));
    let id = opened["interaction"].as_str().expect("an id");
    let chat = format!("/v1/interactions/{id}");

    useless_messages_are_dropped(&stage, &chat);
    read_words(&stage, &chat);
    let impossible = told(&stage, "no sound", |what| matches!(what, What::NotPossible { .. }));
    let What::NotPossible { action, reason, .. } = impossible else { unreachable!("just matched") };
    assert_eq!((action.as_str(), reason.as_str()), ("prompt please-wait.wav", "a chat has no sound"));
    be_angry(&stage, &chat);
    let What::ReplySuggested { script, text, .. } =
        told(&stage, "the service's reply", |what| matches!(what, What::ReplySuggested { script: Some(_), .. }))
    else {
        unreachable!("just matched")
    };
    assert_eq!((script.as_deref(), text.reveal().as_str()), (Some("sorry"), "非常抱歉，订单A-7马上处理"));
    let asked = told(&stage, "the move", |what| matches!(what, What::RerouteStarted { .. }));
    assert_eq!(asked, What::RerouteStarted { via: "app".to_owned(), target: "human".to_owned() });
    told(&stage, "the alert", |what| matches!(what, What::Alert { text, .. } if text == "angry in the app"));
    let moved = format!("{chat}/moved");
    assert_eq!(stage.ask("POST", &moved, &json!({ "done": true })).0, 202);
    stage.until("the end of the move", |what| matches!(what, What::Rerouted { .. }));
    assert_eq!(stage.ask("POST", &moved, &json!({ "done": true })).0, 409);
    assert_eq!(stage.ask("POST", &format!("/v1/calls/{id}/prompts"), &tone()).0, 409, "a chat has no sound");

    let record = stage.api(&chat);
    assert_eq!((&record["channel"], &record["state"]), (&json!("app"), &json!("answered")), "{record}");
    assert_eq!(record["decisions"][1]["because"]["facts"], json!(["channel app"]), "{record}");
    assert!(record["from"].as_str().is_some_and(|from| from.starts_with("person:")), "{record}");
    assert_eq!(stage.ask("POST", &format!("{chat}/end"), &json!({ "reason": "solved" })).0, 202);
    stage.until("the end", |what| matches!(what, What::CallEnded { reason, .. } if reason == "solved"));
    assert_eq!(write(&stage, &chat, "喂", "late").0, 409);
    is_kept_with_the_person(&stage, id, &record["from"]);
    stage.is_empty();
}

#[test]
fn a_chat_by_websocket_has_events_and_answers() {
    let stage = Stage::set(Setup { edits: &EDITS, policy: Some(POLICY), ..Setup::named("chats-socket") });
    let (_, opened) = stage.ask("POST", "/v1/interactions", &json!({ "channel": "web", "language": "en" }));
    let id = opened["interaction"].as_str().expect("an id");
    let mut socket = connect(&stage, &format!("/v1/interactions/{id}/channel"));
    let mut ask = |frame: Value| socket.send(Message::text(frame.to_string())).expect("it takes it");
    ask(json!({ "ref": 1, "message": { "party": "customer", "text": "this is rubbish, I am furious", "id": "m1" } }));
    ask(json!({ "ref": 2, "message": { "party": "customer", "text": "this is rubbish, I am furious", "id": "m1" } }));
    ask(json!({ "ref": 3, "expression": { "emoji": "😡" } }));
    ask(json!({ "ref": 4, "expression": { "label": "cross" } }));
    ask(json!({ "ref": 5, "shout": {} }));
    let (mut answers, mut seen, mut said) = (Vec::new(), None, None);
    while answers.len() < 5 || seen.is_none() || said.is_none() {
        let Message::Text(text) = socket.read().expect("a message") else { continue };
        let told: Value = serde_json::from_str(&text).expect("JSON");
        match told["type"].as_str() {
            Some("answer") => answers.push(told),
            Some("observed") if told["expression"].is_object() => seen = Some(told["expression"].clone()),
            Some("said") => said = Some(told["text"].clone()),
            _ => {}
        }
    }
    let outcomes: Vec<_> = answers.iter().map(|told| (&told["ref"], &told["accepted"], &told["status"])).collect();
    let (yes, no, none) = (json!(true), json!(false), Value::Null);
    let expected = [(json!(1), &yes, none.clone()), (json!(2), &no, none.clone()), (json!(3), &yes, none)];
    for (outcome, (name, accepted, status)) in outcomes.iter().zip(&expected) {
        assert_eq!(*outcome, (name, *accepted, status), "{answers:?}");
    }
    assert_eq!((&answers[1]["dropped"], &answers[3]["status"]), (&json!("duplicate"), &json!(400)), "{answers:?}");
    assert!(answers[4]["detail"].as_str().is_some_and(|why| why.contains("`message`")), "{answers:?}");
    let seen = seen.expect("just awaited");
    assert_eq!((&seen["label"], &seen["source"]), (&json!("anger"), &json!("emoji")));
    assert_eq!(said, Some(json!("this is rubbish, I am furious")));

    is_taken_at_its_longest(&mut socket);
    socket.send(Message::text(json!({ "end": {} }).to_string())).expect("it takes it");
    let ended = std::iter::from_fn(|| socket.read().ok()).any(|message| matches!(message, Message::Close(_)));
    assert!(ended, "the server closes with the chat");
    stage.is_empty();
}

/// A message of as many characters as it may have, each of them escaped.
fn is_taken_at_its_longest(socket: &mut WebSocket<TcpStream>) {
    let text = "\\ud83d\\ude21".repeat(1_000);
    let frame = format!("{{\"ref\":6,\"message\":{{\"party\":\"customer\",\"text\":\"{text}\",\"id\":\"m6\"}}}}");
    socket.send(Message::text(frame)).expect("it takes it");
    let answer = loop {
        let Message::Text(text) = socket.read().expect("a message") else { continue };
        let told: Value = serde_json::from_str(&text).expect("JSON");
        if told["type"] == "answer" {
            break told;
        }
    };
    assert_eq!((&answer["ref"], &answer["accepted"]), (&json!(6), &json!(true)), "{answer}");
}

#[test]
fn a_face_counts_beside_a_voice() {
    let stage = Stage::set(Setup::named("expressions"));
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let answered = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    let path = format!("/v1/calls/{}/expressions", answered.call);
    let face = json!({ "label": "anger", "score": 0.9 });
    eventually("the listening side has the party", || {
        assert_eq!(stage.ask("POST", &path, &face).0, 202);
        stage.was_told(shows) || stage.supervisor.next(LONG / 30).is_some_and(|notice| shows(&notice.what))
    });
    for wrong in [json!({ "label": "cross" }), json!({ "emoji": "😡", "label": "joy" }), json!({ "emoji": "🚗" })] {
        assert_eq!(stage.ask("POST", &path, &wrong).0, 400, "{wrong}");
    }
    assert_eq!(stage.ask("POST", &path, &json!({ "label": "joy", "image": "…" })).0, 422, "no images");
    let message = json!({ "party": "customer", "text": "喂" });
    assert_eq!(stage.ask("POST", &format!("/v1/interactions/{}/messages", answered.call), &message).0, 409);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn a_chat_in_which_nobody_writes_ends() {
    let limits = ("[limits.overload]", "[limits]\nchat_idle_s = 10\nchats = 1\n\n[limits.overload]");
    let stage = Stage::set(Setup { edits: &[EDITS[1], limits], ..Setup::named("chats-idle") });
    let opening = json!({ "channel": "mini_program" });
    assert_eq!(stage.ask("POST", "/v1/interactions", &opening).0, 201);
    assert_eq!(stage.ask("POST", "/v1/interactions", &opening).0, 503, "one chat at a time");
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let is_idle = |reason: &str| reason == "nobody has written for too long";
    stage.until("the end", |what| matches!(what, What::CallEnded { reason, .. } if is_idle(reason)));
    caller.hang_up().expect("an order");
    stage.is_empty();
}

fn shows(what: &What) -> bool {
    matches!(what, What::Observed { expression: Some(seen), .. } if seen.label == "anger" && seen.source == "face")
}

fn wrong_requests_are_refused(stage: &Stage) {
    for (wrong, status) in [
        (json!({ "channel": "App" }), 400),
        (json!({ "channel": "phone" }), 400),
        (json!({ "channel": "siprec" }), 400),
        (json!({ "channel": "app", "language": "fr" }), 400),
        (json!({ "channel": "app", "route": "none" }), 400),
        (json!({ "channel": "app", "customer": "anonymous" }), 400),
        (json!({ "channel": "app", "face": "image" }), 422),
    ] {
        let (found, answer) = stage.ask("POST", "/v1/interactions", &wrong);
        assert_eq!(found, status, "{wrong} {answer}");
    }
    assert_eq!(write(stage, "/v1/interactions/none", "喂", "m0").0, 404);
}

fn useless_messages_are_dropped(stage: &Stage, chat: &str) {
    assert_eq!(write(stage, chat, "我的手机号是13800138000", "m1").1, json!({ "accepted": true }));
    let said = stage.until("the message", |what| matches!(what, What::Said { .. }));
    let What::Said { text: Some(text), .. } = said.what else { panic!("no text") };
    assert!(!text.reveal().contains("13800138000"), "personal data is masked: {}", text.reveal());
    for (text, name, why) in
        [("我的手机号", "m1", "duplicate"), (" \n", "m2", "empty"), ("\u{FFFD}\u{FFFD}?", "m3", "garbled")]
    {
        assert_eq!(write(stage, chat, text, name).1, json!({ "accepted": false, "dropped": why }));
        let counted = || stage.metric(&format!("calmline_messages_dropped_total{{why=\"{why}\"}}"));
        eventually("it is counted", || counted() == 1.0);
    }
    assert_eq!(write(stage, chat, &"长".repeat(1_001), "m4").0, 400);
}

/// Asks for money back until what reads words is loaded and has found it.
pub fn read_words(stage: &Stage, chat: &str) {
    let found = |what: &What| matches!(what, What::Observed { words: Some(words), .. } if words.found.iter().any(|found| found.category == "refund"));
    let mut times = 0;
    eventually("words are read", || {
        times += 1;
        assert_eq!(write(stage, chat, "我要退款", &format!("r{times}")).0, 202);
        // As long as nothing more is told: messages may not come too fast.
        while let Some(notice) = stage.supervisor.next(LONG / 100) {
            stage.told.borrow_mut().push(notice);
        }
        stage.was_told(found)
    });
}

/// Writes angry messages.
fn be_angry(stage: &Stage, chat: &str) {
    for (number, text) in ANGRY.iter().enumerate() {
        assert_eq!(write(stage, chat, text, &format!("a{number}")).1, json!({ "accepted": true }));
        stage.until("it is read", |what| matches!(what, What::Observed { words: Some(_), .. }));
    }
    told(stage, "the service", |what| matches!(what, What::ServiceSwitched { .. }));
}

/// Something that was told already, or is told now.
pub fn told(stage: &Stage, name: &str, wanted: impl Fn(&What) -> bool) -> What {
    let before = stage.told.borrow().iter().map(|notice| &notice.what).find(|what| wanted(what)).cloned();
    before.unwrap_or_else(|| stage.until(name, wanted).what)
}

fn is_kept_with_the_person(stage: &Stage, id: &str, person: &Value) {
    let (status, key) = stage.ask("POST", "/v1/people/key", &json!({ "address": "+8613800138000" }));
    assert_eq!(status, 200, "{key}");
    let (_, key) = stage.ask("POST", "/v1/people/key", &json!({ "address": "sip:13800138000@pbx" }));
    assert_eq!(&key["person"], person, "one customer over all channels");
    eventually("the chat is kept", || {
        let (_, found) = stage.ask("POST", "/v1/people/calls", &json!({ "address": "13800138000" }));
        found["calls"][0]["id"] == id && found["calls"][0]["state"] == "ended"
    });
    let day = stage.api(&format!("/v1/interactions/{id}"))["started"].as_str().expect("a time")[..10].to_owned();
    eventually("it is in the report", || {
        let report = stage.api(&format!("/v1/reports/{day}"));
        report["by_channel"]["app"]["calls"] == 1 && report["by_channel"]["app"]["moved"] == 1
    });
    outcomes_are_kept_and_reported(stage, id, &day);
    let erase = json!({ "address": key["person"], "reason": "as asked" });
    let (status, erased) = stage.ask("POST", "/v1/people/erase", &erase);
    assert_eq!((status, &erased["calls"]), (200, &json!([id])), "{erased}");
    assert_eq!(stage.ask("GET", &format!("/v1/interactions/{id}"), &Value::Null).0, 404);
}

/// Said long after the end, and once.
fn outcomes_are_kept_and_reported(stage: &Stage, id: &str, day: &str) {
    let path = format!("/v1/interactions/{id}/outcomes");
    let outcome = json!({ "by": "crm", "id": "ticket-9", "complaint": true, "satisfied": 2 });
    assert_eq!(stage.ask("POST", &path, &outcome), (202, json!({ "accepted": true })));
    assert_eq!(stage.ask("POST", &path, &outcome), (202, json!({ "accepted": false, "dropped": "duplicate" })));
    let later = json!({ "by": "survey", "satisfied": 4, "repurchased": true });
    assert_eq!(stage.ask("POST", &path, &later).0, 202);
    for wrong in
        [json!({ "by": "crm" }), json!({ "by": "crm", "satisfied": 6 }), json!({ "by": "", "complaint": true })]
    {
        assert_eq!(stage.ask("POST", &path, &wrong).0, 400, "{wrong}");
    }
    assert_eq!(stage.ask("POST", "/v1/calls/none/outcomes", &outcome).0, 404);
    let told = stage.api(&format!("/v1/calls/{id}"))["outcomes"].clone();
    assert_eq!((&told[0]["complaint"], &told[1]["satisfied"]), (&json!(true), &json!(4)), "{told}");
    let report = stage.api(&format!("/v1/reports/{day}"))["by_channel"]["app"]["outcomes"].clone();
    let found =
        ["complaints", "satisfaction_known", "satisfaction_sum", "repurchased"].map(|name| report[name].as_u64());
    assert_eq!(found, [Some(1), Some(1), Some(4), Some(1)], "what was said last counts: {report}");
}

pub fn write(stage: &Stage, chat: &str, text: &str, name: &str) -> (u16, Value) {
    stage.ask("POST", &format!("{chat}/messages"), &json!({ "party": "customer", "text": text, "id": name }))
}

fn tone() -> Value {
    json!({ "tone": "beep", "party": "caller", "mode": "duck" })
}

fn connect(stage: &Stage, path: &str) -> WebSocket<TcpStream> {
    let web = stage.server.addresses.web;
    let mut request = format!("ws://{web}{path}").into_client_request().expect("a request");
    let bearer = HeaderValue::from_str(&format!("Bearer {}", stage.server.token)).expect("a header");
    request.headers_mut().insert("Authorization", bearer);
    let stream = TcpStream::connect(web).expect("the server listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket");
    tungstenite::client(request, stream).expect("a WebSocket").0
}
