//! Events as the API writes them, read as stories and explained.

use std::fs;
use std::path::Path;

use routing::Event;

use super::*;
use crate::cli::{PolicyExplainArgs, RecordedArgs};

/// One event of every kind, as the API's contract has them.
const EVENTS: &str = include_str!("../web/golden/events.jsonl");

#[test]
fn a_log_of_events_is_a_story() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("events.jsonl");
    // Also as a stream of server-sent events is copied, with what is none of it between.
    let stream: String = EVENTS.lines().map(|line| format!("event: any\ndata: {line}\n\n")).collect();
    fs::write(&log, stream).expect("a file");
    let zone = Zone::named("Asia/Shanghai").expect("a zone");
    let read = interactions(&[folder.path().to_owned()], Some(&zone), None).expect("a log");
    let [call] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((call.name.as_str(), call.story.opening.scenario.as_str()), ("call-1", "after-sales"));
    // In the group that it was in.
    assert_eq!(call.story.opening.caller.as_deref(), Some("sip:13800138000@pbx.example"));
    // How the sample comes is told last of a chat; it was answered after 2 s, at 06:13 in Shanghai.
    assert_eq!(call.story.opening.channel.as_deref(), Some("app"));
    assert_eq!(call.story.local.map(|local| local.to_string()).as_deref(), Some("wed 06:13"));
    assert_eq!(call.recorded.as_deref(), Some(["angry-caller".to_owned()].as_slice()));
    let has = |wanted: &dyn Fn(&Event) -> bool| call.story.events.iter().any(|(_, event)| wanted(event));
    assert!(has(&|event| matches!(event, Event::Emotion { score, .. } if *score == 0.875)));
    assert!(has(&|event| matches!(event, Event::Words { categories } if categories == &["complaint"])));
    assert!(has(&|event| matches!(event, Event::Said { intent } if intent == "complaint")));
    assert!(has(&|event| matches!(event, Event::Interrupted { times: 2 })));
    assert!(has(&|event| matches!(event, Event::Key { key: '5' })));
    assert!(has(&|event| *event == Event::Rerouted));
    assert!(has(&|event| matches!(event, Event::RerouteFailed { reason } if reason == "486 Busy Here")));
    assert!(call.escalates.is_some_and(|at| at.is_some()));
}

#[test]
fn a_recording_is_a_story() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recordings = ["angry-caller.wav", "calm-caller.wav"].map(|name| root.join("fixtures/audio").join(name));
    let unsaid = interactions(&recordings, None, None).expect_err("nobody says what it is of").to_string();
    assert!(unsaid.contains("--scenario"), "{unsaid}");
    let args = RecordedArgs { scenario: Some("ecommerce-returns".to_owned()), ..RecordedArgs::default() };
    let hearing = hearing::Hearing::new(&args).expect("a scenario");
    let read = interactions(&recordings, None, hearing.as_ref()).expect("recordings");
    let policies = policies(&[root.join("config/policies")]).expect("they are shipped");
    let tried = Tried::new(&policies, &read, Duration::from_secs(5));
    let [angry, calm] = &tried.outcomes[..] else { panic!("{} of them", tried.outcomes.len()) };
    assert!(angry.rules().contains(&"furious-to-human") && angry.moved.is_some(), "{:?}", angry.rules());
    assert!(!calm.rules().contains(&"furious-to-human") && calm.moved.is_none(), "{:?}", calm.rules());
    assert!(read.iter().all(|call| call.recorded.is_none() && call.story.opening.scenario == "ecommerce-returns"));
    let two = RecordedArgs { agent: Some(1), ..args };
    let hearing = hearing::Hearing::new(&two).expect("a scenario");
    let found = interactions(&recordings[..1], None, hearing.as_ref()).expect_err("it has one channel").to_string();
    assert!(found.contains("found 1 channel"), "{found}");
}

#[test]
fn a_call_as_the_api_shows_it_is_the_same_story() {
    let folder = tempfile::tempdir().expect("a folder");
    let events: Vec<serde_json::Value> = EVENTS
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .filter(|event: &serde_json::Value| event["call"] == "call-1" && event["type"] != "observed")
        .collect();
    let step = serde_json::json!({
        "call_ms": 3_000, "party": "caller", "emotion": "anger", "level": "high", "anger": 0.875, "trend_per_s": 0.25,
        "words": { "found": [{ "word": "a", "category": "complaint" }, { "word": "b", "category": "anger", "negated": true }],
                   "intents": ["thanks"] },
    });
    let record = serde_json::json!({ "id": "call-1", "scenario": "after-sales", "events": events, "timeline": [step] });
    let file = folder.path().join("call.json");
    fs::write(&file, record.to_string()).expect("a file");
    let read = interactions(&[file], None, None).expect("a record");
    let moods = read[0].story.events.iter().filter(|(_, event)| matches!(event, Event::Emotion { .. }));
    assert_eq!(moods.map(|(at, _)| at.as_secs()).collect::<Vec<_>>(), [1]);
    let words = Event::Words { categories: vec!["complaint".to_owned()] };
    let thanks = Event::Said { intent: "thanks".to_owned() };
    assert!([words, thanks].iter().all(|wanted| read[0].story.events.iter().any(|(_, event)| event == wanted)));
}

#[test]
fn what_is_no_interaction_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, fault) in [
        ("a.txt", "", "expected a set (.toml)"),
        ("b.jsonl", "{\"type\":", "b.jsonl, line 1: expected JSON"),
        ("c.toml", "[[interaction]]\nname = 1", "interaction[1].name: found 1, expected 1-200 characters on one line"),
        ("d.json", "[", "d.json, line 1: expected JSON"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("a file");
        let failure = interactions(&[file], None, None).expect_err(name).to_string();
        assert!(failure.contains(fault), "{name}: {failure}");
    }
}

#[test]
fn expectations_that_are_not_met_are_an_outcome_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("p.toml");
    let text = |then: &str| {
        format!(
            "name = \"p\"\nversion = 1\nscenarios = [\"*\"]\n[[rule]]\nid = \"count\"\nwhen = {{ key = \"1\" }}\n\
             then = [{{ alert = \"info\", text = \"x\" }}]\n[[expect]]\nname = \"counts\"\n\
             events = [{{ at_s = 1, key = \"1\" }}]\n{then}\n"
        )
    };
    let args = |json| PolicyTestArgs {
        interactions: Vec::new(),
        policies: vec![policy.clone()],
        against: Vec::new(),
        answer_s: 5.0,
        time_zone: None,
        each: false,
        recorded: RecordedArgs::default(),
        json,
    };
    fs::write(&policy, text("then = [\"count\"]\nonly = true")).expect("a file");
    assert!(test(&args(false)).is_ok() && test(&args(true)).is_ok());
    fs::write(&policy, text("never = [\"count\"]")).expect("a file");
    assert!(matches!(test(&args(false)), Err(Failure::Unexpected(_))));
    fs::write(&policy, text("never = [\"gone\"]")).expect("a file");
    assert!(matches!(test(&args(false)), Err(Failure::Configuration(_))));
}

#[test]
fn a_call_can_be_explained_from_a_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("events.jsonl");
    fs::write(&log, EVENTS).expect("a file");
    let args = |call: &str| {
        let server = ServerArgs { url: None, token_env: String::new(), token_file: None, authorities: None };
        PolicyExplainArgs { call: call.to_owned(), from: Some(log.clone()), server }
    };
    assert!(explain::run(&args("call-1")).is_ok());
    assert!(matches!(explain::run(&args("call-9")), Err(Failure::Failed(_))));
    let lines: Vec<String> = read::events_of(&log, "call-1").expect("a log").iter().filter_map(explain::line).collect();
    let decided = "     4.0 s  after-sales@3 angry-caller because anger high (0.88) for 1.5 s; order.state = delayed; \
                   group wording: treatment -> prompt sorry-transfer.wav, reroute bridge human";
    assert!(lines.iter().any(|line| line == decided), "{lines:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line
                .ends_with("served as sorry-first (by human, priority 1), before as usual (by bot, priority 5)")),
        "{lines:#?}"
    );
}
