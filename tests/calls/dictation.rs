//! Open dictation by a streaming model: everything that is said is told and kept, masked; a model that is not whole is
//! named, and calls go on without words.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use calmline::demo::server::get;
use calmline::notice::What;
use serde_json::Value;

use crate::stage::{PROGRAM, Setup, Stage, angry, eventually, folder};

const LISTENING: &str = "[listening]\nenabled = true";
/// The test's model says digits only: what its tokens mean is up to their list.
const DIGITS: [char; 8] = ['一', '二', '三', '四', '五', '六', '七', '八'];

#[test]
fn dictation_is_told_and_kept_and_what_is_secret_in_it_is_masked() {
    let Some(scene) = scene("dictation") else { return };
    let added = add(&scene, &published(&scene, &["encoder", "decoder", "joiner"]));
    let told = String::from_utf8_lossy(&added.stdout).into_owned();
    assert!(told.starts_with("added zh-streaming (zh, sherpa-onnx, 5 files"), "{added:?}");
    let stage = stage("dictation", &scene, "");
    eventually("words are heard", || words_of(&stage) == "up");
    let caller = stage.call(angry());
    let is_said = |what: &What| matches!(what, What::Said { is_final: true, text: Some(_), .. });
    (0..2).for_each(|_| drop(stage.until("dictation", is_said)));
    caller.hang_up().expect("an order");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));

    let partial = |what: &What| matches!(what, What::Said { is_final: false, text: Some(_), .. });
    assert!(stage.was_told(partial), "words come while the caller speaks");
    let record = stage.api(&format!("/v1/calls/{}", ended.call)).to_string();
    let events = serde_json::to_string(&*stage.told.borrow()).expect("JSON");
    let log = std::fs::read_to_string(scene.join("server.log")).expect("a log");
    let texts: Vec<String> = stage.told.borrow().iter().filter_map(text_of).collect();
    assert!(texts.iter().any(|text| text.contains("[号码]")), "a long number is hidden: {texts:?}");
    let is_digit = |letter: char| DIGITS.contains(&letter) || letter.is_ascii_digit();
    assert!(texts.iter().all(|text| longest_run(text, is_digit) < 7), "a long number is shown: {texts:?}");
    // Where other things are numbered, too, at least nothing stands as it was said.
    for (place, text) in [("record", record), ("events", events), ("log", log)] {
        assert!(longest_run(&text, |letter| DIGITS.contains(&letter)) < 7, "{place} shows a long number: {text}");
    }
    stage.is_empty();
}

#[test]
fn a_model_that_is_cut_short_is_named_and_calls_go_on_without_words() {
    let Some(scene) = scene("dictation-cut") else { return };
    assert!(add(&scene, &published(&scene, &["encoder", "decoder", "joiner"])).status.success());
    let graph = scene.join("models/zh-streaming/graphs/encoder.onnx");
    let whole = std::fs::read(&graph).expect("a graph");
    std::fs::write(&graph, &whole[..whole.len() / 2]).expect("disk space");
    let stage = stage("dictation-cut", &scene, "");
    eventually("words are told to be missing", || words_of(&stage) == "down");
    assert_eq!(stage.metric("calmline_recognition_up"), 0.0);
    let caller = stage.call(angry());
    stage.until("what is heard without words", |what| matches!(what, What::Observed { .. }));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    let log = std::fs::read_to_string(scene.join("server.log")).expect("a log");
    let expected = format!("encoder.onnx: expected {} bytes, found {} bytes", whole.len(), whole.len() / 2);
    assert!(log.contains(&expected), "{log}");
    stage.is_empty();
}

#[test]
fn a_folder_that_is_no_model_is_not_added() {
    let Some(scene) = scene("dictation-add") else { return };
    let refused = |graphs: &[&str]| {
        let output = add(&scene, &published(&scene, graphs));
        assert!(!output.status.success(), "{output:?}");
        assert!(!scene.join("models/zh-streaming/manifest.toml").exists(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = refused(&["encoder"]);
    let expected =
        "expected encoder*.onnx, decoder*.onnx and joiner*.onnx, of which a Paraformer has no joiner, or ctc*.onnx";
    assert!(told.contains(expected), "{told}");
    let told = refused(&["encoder", "decoder"]);
    let expected =
        "encoder.onnx: metadata: expected model_type: paraformer, as there is a decoder without a joiner, found";
    assert!(told.contains(expected), "{told}");
    let from = published(&scene, &["encoder", "decoder", "joiner"]);
    let graph = from.join("decoder-epoch-99-avg-1.onnx");
    std::fs::copy(from.join("joiner-epoch-99-avg-1.onnx"), &graph).expect("disk space");
    let output = add(&scene, &from);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("decoder.onnx: metadata: expected context_size: a number of 1-16, found no such key"),
        "{told}"
    );
    assert!(!scene.join("models/zh-streaming/manifest.toml").exists(), "{told}");
}

#[test]
fn a_paraformer_is_added() {
    let Some(scene) = scene("dictation-paraformer") else { return };
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("nlu/tests/streaming/paraformer");
    let output = add(&scene, &from);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("added zh-streaming (zh, sherpa-onnx, 3 files"), "{output:?}");
}

#[test]
fn without_the_gpu_that_is_asked_for_calls_go_on_without_words() {
    let Some(scene) = scene("dictation-gpu") else { return };
    assert!(add(&scene, &published(&scene, &["encoder", "decoder", "joiner"])).status.success());
    // One that no machine of tests has.
    let stage = stage("dictation-gpu", &scene, "device = \"cuda:63\"\nbatch = 128\n");
    eventually("words are told to be missing", || words_of(&stage) == "down");
    let log = std::fs::read_to_string(scene.join("server.log")).expect("a log");
    assert!(log.contains("cuda:63: expected "), "{log}");
    stage.is_empty();
}

/// A folder of the test's own; `None`, said aloud, without ONNX Runtime.
pub fn scene(name: &str) -> Option<PathBuf> {
    if let Err(why) = nlu::Runtime::find(None) {
        println!("skipped: {why}");
        return None;
    }
    let scene = folder(name);
    std::fs::create_dir_all(&scene).expect("a folder");
    Some(scene)
}

/// A folder as sherpa-onnx publishes one, with these graphs, whose tokens are digits.
pub fn published(scene: &Path, graphs: &[&str]) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("nlu/tests/streaming/transducer");
    let to = scene.join(format!("published-{}", graphs.len()));
    std::fs::create_dir_all(&to).expect("a folder");
    for graph in graphs {
        let published = to.join(format!("{graph}-epoch-99-avg-1.onnx"));
        std::fs::copy(from.join(format!("{graph}.onnx")), published).expect("disk space");
    }
    let count = std::fs::read_to_string(from.join("tokens.txt")).expect("the tokens").lines().count();
    let token = |number: usize| match number {
        0 => "<blk>".to_owned(),
        1 => "<sos/eos>".to_owned(),
        2 => "<unk>".to_owned(),
        _ => DIGITS[number % DIGITS.len()].to_string(),
    };
    let tokens: String = (0..count).map(|number| format!("{} {number}\n", token(number))).collect();
    std::fs::write(to.join("tokens.txt"), tokens).expect("disk space");
    std::fs::copy(from.with_file_name("pieces").join("bpe.model"), to.join("bpe.model")).expect("disk space");
    to
}

pub fn add(scene: &Path, from: &Path) -> Output {
    let mut program = Command::new(PROGRAM);
    program.args(["models", "add", "--language", "zh", "--models"]).arg(scene.join("models")).arg(from);
    program.output().expect("the program runs")
}

/// A server with the scene's models; `more` goes into its section of recognition.
fn stage(name: &str, scene: &Path, more: &str) -> Stage {
    let list = scene.join("phrases.toml");
    std::fs::write(&list, "language = \"zh\"\n[[intent]]\nname = \"never\"\nphrases = [\"零零零零\"]\n")
        .expect("disk space");
    let models = scene.join("models");
    let recognition = format!(
        "{LISTENING}\ntext_model = false\n[recognition]\nengine = \"sherpa-onnx\"\nmodels = {models:?}\n\
         phrases = [{list:?}]\n{more}"
    );
    Stage::set(Setup { edits: &[(LISTENING, &recognition)], ..Setup::named(name) })
}

/// What `/readyz` says of words.
fn words_of(stage: &Stage) -> String {
    let text = get(stage.server.addresses.web, "/readyz", &stage.server.token).expect("an answer");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    report["components"]["words"].as_str().unwrap_or_default().to_owned()
}

fn text_of(notice: &calmline::notice::Notice) -> Option<String> {
    match &notice.what {
        What::Said { text: Some(text), .. } => Some(text.reveal().clone()),
        _ => None,
    }
}

/// The longest run of such letters; one that is said again and again counts once: that is nobody's number to the masker.
fn longest_run(text: &str, is_digit: impl Fn(char) -> bool) -> usize {
    let distinct = |run: &str| {
        let mut letters: Vec<char> = run.chars().collect();
        letters.dedup();
        letters.len()
    };
    text.split(|letter| !is_digit(letter)).map(distinct).max().unwrap_or_default()
}
