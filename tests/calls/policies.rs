//! Policies in real calls: what other systems know counts, the mood changes how the caller is served, every change is told,
//! and the version before a reload can be had back.

use std::process::Command;

use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::{Value, json};

use crate::stage::{CALLER_HZ, Setup, Stage, angry, eventually, folder};

const POLICY: &str = r#"
name = "own"
version = 1
scenarios = ["after-sales"]
split = { id = "wording", share = 1.0 }
[[script]]
id = "sorry"
zh = "非常抱歉"
en = "I am very sorry"
[[service]]
id = "first"
when = { emotion = "anger", level = "medium" }
served_by = "human"
priority = 1
script = "sorry"
tone = "apologetic"
[[service]]
id = "usual"
served_by = "bot"
[[rule]]
id = "gold"
group = "treatment"
when = { key = "1" }
while = { customer = { tier = ["gold", "vip"] }, channels = ["phone"] }
then = [{ alert = "info", text = "a good customer" }]
cooldown_s = 1
"#;

#[test]
fn what_is_known_counts_and_the_version_before_can_be_had_back() {
    let stage = Stage::set(Setup { policy: Some(POLICY), ..Setup::named("facts") });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    let answered = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    let facts = format!("/v1/calls/{}/facts", answered.call);

    // Not known yet: the rule does not fire.
    caller.press("1").expect("an order");
    stage.until("the key", |what| matches!(what, What::KeyPressed { .. }));
    let wrong = json!({ "customer": { "Tier": "gold" } });
    assert_eq!(stage.ask("PUT", &facts, &wrong).0, 400);
    assert_eq!(stage.ask("PUT", "/v1/calls/none/facts", &json!({ "order": { "state": "sent" } })).0, 404);
    assert!(!stage.was_told(|what| matches!(what, What::Decided { .. })));

    let (status, answer) =
        stage.ask("PUT", &facts, &json!({ "customer": { "tier": "gold" }, "order": { "state": null } }));
    assert_eq!((status, &answer["accepted"]), (202, &Value::Bool(true)), "{answer}");
    let told = stage.until("the facts", |what| matches!(what, What::FactsTold { .. }));
    let What::FactsTold { known, forgotten, .. } = told.what else { unreachable!("just matched") };
    assert_eq!((known, forgotten), (vec!["customer.tier".to_owned()], vec!["order.state".to_owned()]));
    caller.press("1").expect("an order");
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. }));
    let What::Decided { rule, facts, group, .. } = decided.what else { unreachable!("just matched") };
    assert_eq!((rule.as_str(), group.as_deref()), ("gold", Some("wording: treatment")));
    assert_eq!(facts, ["channel phone", "customer.tier = gold"]);

    let record = stage.api(&format!("/v1/calls/{}", answered.call));
    assert_eq!(record["decisions"][0]["because"]["group"], "wording: treatment");

    let (code, told) = program(&stage, &["policy", "explain", &answered.call]);
    let why = "own@1 gold because neutral low (0.00) for 0.0 s; keys 1; channel phone; customer.tier = gold; \
               group wording: treatment -> alert info";
    assert!(code == Some(0) && told.contains(why), "{told}");

    assert_eq!(program(&stage, &["policy", "back"]).0, Some(1));
    let file = folder("facts").join("config/own/own.toml");
    std::fs::write(file, POLICY.replace("version = 1", "version = 2")).expect("a file of the server's folder");
    assert_eq!(stage.ask("POST", "/v1/reload", &Value::Null).1["policies"], json!(["own@2"]));
    let in_force = |version: &str| stage.metric(&format!("calmline_policy_info{{policy=\"{version}\"}}")) == 1.0;
    eventually("the second version", || in_force("own@2"));
    assert_eq!(program(&stage, &["policy", "back"]).0, Some(0));
    eventually("the first version", || in_force("own@1"));
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn an_angry_caller_is_served_first_and_every_change_is_told() {
    let stage = Stage::set(Setup { policy: Some(POLICY), ..Setup::named("service") });
    let caller = stage.call(angry());
    let switched = stage.until("the change", |what| matches!(what, What::ServiceSwitched { .. }));
    let What::ServiceSwitched { rule, policy, before, after, words, .. } = switched.what else {
        unreachable!("just matched")
    };
    assert_eq!((rule.as_str(), policy.as_str(), words.as_deref()), ("first", "own@1", Some("非常抱歉")));
    let names = [before, after].map(|served| served.map(|served| (served.service, served.served_by, served.priority)));
    let named = |service: &str, by: &str, priority| Some((service.to_owned(), by.to_owned(), priority));
    assert_eq!(names, [named("usual", "bot", 5), named("first", "human", 1)]);
    let record = stage.api(&format!("/v1/calls/{}", switched.call));
    assert_eq!(record["services"][0]["after"]["tone"], "apologetic", "{record}");
    assert!(stage.metric("calmline_service_switches_total{service=\"first\"}") >= 1.0);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn recordings_are_listened_to_from_the_command_line() {
    let name = "uploads";
    let route = "scenario = \"after-sales\"\n\n[[route]]\nname = \"recordings\"\nmatch = { request_uri = \"chat:recording\" }\n\
                 forked = true\nscenario = \"after-sales\"\n";
    let edits = [("scenario = \"after-sales\"\n", route)];
    let stage = Stage::set(Setup { edits: &edits, policy: Some(POLICY), ..Setup::named(name) });
    let night = folder(name).join("night");
    std::fs::create_dir_all(&night).expect("a folder");
    let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/audio");
    std::fs::copy(format!("{audio}/angry-caller.wav"), night.join("1.wav")).expect("a recording");
    std::fs::write(night.join("2.WAV"), "RIFF").expect("a file");
    let night = night.to_str().expect("text");

    let (code, told) = program(&stage, &["recordings", "add", night]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!((code, lines.len()), (Some(1), 3), "{told}");
    assert!(lines[0].contains("2.WAV: not listened to: 422: ") && lines[0].contains("RIFF/WAVE"), "{told}");
    assert!(lines[1].contains("1.wav: ") && lines[1].contains("(high)") && lines[1].contains("first"), "{told}");
    assert!(lines[2].contains("1 of 2 recordings were not listened to"), "{told}");
    let (code, told) = program(&stage, &["recordings", "add", &format!("{night}/1.wav"), "--json"]);
    let heard: Value = serde_json::from_str(&told).expect("one line of JSON");
    assert_eq!((code, &heard["state"], &heard["peak"]["level"]), (Some(0), &json!("done"), &json!("high")), "{told}");
    let record = stage.api(&format!("/v1/calls/{}", heard["call"].as_str().expect("an id")));
    assert_eq!((&record["channel"], &record["state"]), (&json!("recording"), &json!("ended")), "{record}");
    let (code, told) = program(&stage, &["recordings", "add", &format!("{night}/1.wav"), "--agent", "1"]);
    assert!(code == Some(1) && told.contains("found 1 channels, expected channel 1"), "{told}");
    let (code, told) = program(&stage, &["recordings", "add", &format!("{night}/none.wav")]);
    assert!(code == Some(1) && told.contains("none.wav: not listened to: No such file"), "{told}");
}

/// Runs the program against the stage's server; its exit code and all that it prints.
fn program(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{}", stage.server.addresses.web);
    let mut command = Command::new(env!("CARGO_BIN_EXE_calmline"));
    command.args(arguments).args(["--url", &url]).env("CALMLINE_TOKEN", &stage.server.token);
    let output = command.output().expect("the program can be started");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).expect("text"))
}
