//! Models are exchanged and compared under a running call, and what is wrong with one is told and changes nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::{Value, json};

use crate::stage::{PROGRAM, RATE, Setup, Stage, continuous, eventually, fixture, folder, more_packets};

const GRAPH: &[u8] = include_bytes!("../../nlu/models/acoustic.onnx");
const CARD: &str = include_str!("../../nlu/models/acoustic.json");

#[test]
fn models_are_exchanged_and_compared_under_a_call() {
    const NAME: &str = "models";
    if let Err(why) = nlu::Runtime::find(None) {
        println!("skipped: models are exchanged: {why}");
        return;
    }
    let scene = folder(NAME);
    let (first, second) = (model(&scene.join("first"), "9.1.0"), model(&scene.join("second"), "9.2.0"));
    let stage = Stage::set(Setup::named(NAME));
    let config = folder(NAME).join("config/calmline.toml");
    let caller = stage.call(talking());
    stage.until("the caller is heard", |what| matches!(what, What::Observed { .. }));
    let before = stage.api("/v1/models");
    assert!(before["acoustic"]["version"] != "9.1.0" && before["shadow"].is_null(), "{before}");

    // Another model judges, a third is compared.
    calmline(&["models", "use", &path(&first), "--config", &path(&config)], Ok("first/acoustic.onnx is in use"));
    calmline(&["models", "shadow", &path(&second), "--config", &path(&config)], Ok("second/acoustic.onnx is compared"));
    let (status, answer) = stage.ask("POST", "/v1/reload", &Value::Null);
    assert_eq!((status, &answer["needs_restart"]), (200, &json!([])), "{answer}");
    eventually("both are there", || {
        let models = stage.api("/v1/models");
        models["acoustic"]["version"] == "9.1.0" && models["shadow"]["acoustic"]["version"] == "9.2.0"
    });
    eventually("steps are compared", || stage.metric("calmline_shadow_steps{outcome=\"compared\"}") > 2.0);
    let shadow = stage.api("/v1/models")["shadow"].take();
    // It is the same model under another version.
    assert_eq!((&shadow["levels_differ"], &shadow["anger_difference"]), (&json!(0.0), &json!(0.0)), "{shadow}");
    assert!(shadow["cpu_s"].as_f64().is_some_and(|cpu_s| cpu_s > 0.0), "{shadow}");
    stage.until("it goes on", |what| matches!(what, What::Observed { source, .. } if source == "model"));

    // A file that is cut off is refused by the command and by the server, and what is in use stays.
    let graph = first.join("acoustic.onnx");
    let whole = std::fs::read(&graph).expect("it is there");
    std::fs::write(&graph, &whole[..whole.len() / 2]).expect("written");
    let written = std::fs::read(&config).expect("the configuration");
    calmline(&["models", "use", &path(&first), "--config", &path(&config)], Err("acoustic.onnx: expected SHA-256"));
    assert_eq!(std::fs::read(&config).expect("the configuration"), written);
    let (status, answer) = stage.ask("POST", "/v1/reload", &Value::Null);
    let fault = &answer["faults"][0];
    assert_eq!((status, &fault["key"]), (422, &json!("listening.model")), "{answer}");
    assert!(fault["found"].as_str().is_some_and(|found| found.contains("acoustic.onnx: expected SHA-256")), "{answer}");
    assert_eq!(stage.api("/v1/models")["acoustic"]["version"], "9.1.0");

    // A model that is whole, and made for something else.
    std::fs::write(&graph, whole).expect("written");
    std::fs::rename(&graph, first.join("text.onnx")).expect("renamed");
    std::fs::rename(first.join("acoustic.json"), first.join("text.json")).expect("renamed");
    calmline(
        &["models", "use", &path(&first), "--config", &path(&config)],
        Err("text.onnx: card: expected a JSON object"),
    );
    calmline(&["models", "shadow", "off", "--config", &path(&config)], Err("listening.model"));

    more_packets("audio flows", &caller, 20);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    continuous("the caller", &caller.heard().stats);
    assert_eq!(stage.metric("calmline_listener_restarts_total{cause=\"panic\""), 0.0);
    stage.is_empty();
}

/// Somebody who talks for minutes.
fn talking() -> Audio {
    let voice = fixture("fixtures/audio/calm-caller.wav");
    Audio::once([&*voice, &vec![0; RATE]].concat().repeat(20))
}

/// A folder with the shipped acoustic model under another version.
fn model(folder: &Path, version: &str) -> PathBuf {
    // What an earlier run left must not be taken for this one's.
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).expect("a folder");
    let card: Value = serde_json::from_str(CARD).expect("a card");
    let shipped = card["version"].as_str().expect("a version");
    assert_eq!(shipped.len(), version.len(), "the graph is changed in place");
    let at = GRAPH.windows(shipped.len()).rposition(|bytes| bytes == shipped.as_bytes()).expect("it is in the graph");
    let mut graph = GRAPH.to_vec();
    graph[at..at + version.len()].copy_from_slice(version.as_bytes());
    let digest = ring::digest::digest(&ring::digest::SHA256, &graph);
    let sha256: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let card = CARD.replace(shipped, version).replace(card["sha256"].as_str().expect("a checksum"), &sha256);
    std::fs::write(folder.join("acoustic.onnx"), graph).expect("written");
    std::fs::write(folder.join("acoustic.json"), card).expect("written");
    folder.to_owned()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Runs the program; what it says, or what it complains of.
#[track_caller]
fn calmline(arguments: &[&str], expected: Result<&str, &str>) {
    let ran = Command::new(PROGRAM).args(arguments).output().expect("the program runs");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let (works, text) = expected.map_or_else(|text| (false, text), |text| (true, text));
    assert!(ran.status.success() == works && said.contains(text), "{arguments:?}: {said}");
}
