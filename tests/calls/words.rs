//! What a caller says: phrases of the lists are told, kept in the record and decided on; without a model calls go on.

use std::path::{Path, PathBuf};
use std::process::Command;

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::Value;

use crate::stage::{PROGRAM, RATE, Setup, Stage, angry, eventually, folder};

/// A human's sentence of the corpus, and the file in which it is said.
const SENTENCE: (&str, &str) = ("我们需要帮助", "data/casia/ZhaoZuoxiang_angry_224.opus");

const POLICY: &str = r#"
name = "words"
version = 1
scenarios = ["after-sales"]
[[rule]]
id = "asks-for-help"
when = { said = ["help"] }
then = [{ alert = "warning", text = "asks for help" }]
"#;

#[test]
fn a_phrase_of_the_list_is_told_kept_and_decided_on() {
    let Some(shared) = shared() else { return };
    let stage = stage_with_words("words", &shared, "");
    let caller = stage.call(sentence(&shared));

    let said = stage.until("the phrase", |what| matches!(what, What::Said { is_final: true, .. }));
    let What::Said { party, phrases, .. } = said.what else { unreachable!("just matched") };
    let [phrase] = phrases.as_slice() else { panic!("{phrases:?}") };
    assert_eq!((party.as_str(), phrase.intent.as_str(), phrase.text.reveal().as_str()), ("caller", "help", SENTENCE.0));
    assert!((1_900..5_000).contains(&phrase.audio_ms) && phrase.until_ms > phrase.audio_ms + 500, "{phrase:?}");
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. }));
    let What::Decided { rule, said, .. } = &decided.what else { unreachable!("just matched") };
    assert_eq!((rule.as_str(), said.as_deref()), ("asks-for-help", Some("help")));

    caller.hang_up().expect("an order");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    let record = stage.api(&format!("/v1/calls/{}", ended.call));
    assert_eq!((&record["phrases"][0]["intent"], &record["phrases"][0]["text"]), (&"help".into(), &SENTENCE.0.into()));
    assert!(stage.metric("calmline_phrases_total{party=\"caller\",intent=\"help\"") >= 1.0);
    eventually("the cost is told", || stage.metric("calmline_recognition_real_time_ratio") > 0.0);
    stage.is_empty();
}

#[test]
fn what_is_said_is_masked_for_everybody_but_the_policies() {
    let Some(shared) = shared() else { return };
    // With these lists the end of the sentence is a name.
    let (shown, secret) = ("我们需要[姓名]", "帮助");
    let scene = folder("masked-words");
    std::fs::create_dir_all(&scene).expect("a folder");
    let lists = write(&scene, "masking.toml", "[names]\nintroduced_by = [\"我们需要\"]\n");
    let stage = stage_with_words("masked-words", &shared, &format!("[privacy]\nlists = [{lists:?}]\n"));
    let caller = stage.call(sentence(&shared));
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. }));
    assert!(matches!(&decided.what, What::Decided { said: Some(said), .. } if said == "help"), "{decided:?}");
    caller.hang_up().expect("an order");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));

    let record = stage.api(&format!("/v1/calls/{}", ended.call));
    assert_eq!(record["phrases"][0]["text"], shown);
    let events = serde_json::to_string(&*stage.told.borrow()).expect("JSON");
    assert!(events.contains(shown), "{events}");
    let log = std::fs::read_to_string(scene.join("server.log")).expect("a log");
    let metrics = get(stage.server.addresses.web, "/metrics", &stage.server.token).expect("metrics");
    for (place, text) in [("record", record.to_string()), ("events", events), ("log", log), ("metrics", metrics)] {
        assert!(!text.contains(secret), "{place}: {text}");
    }
    stage.is_empty();
}

#[test]
fn without_a_model_calls_go_on_without_words() {
    let scene = folder("no-words");
    std::fs::create_dir_all(&scene).expect("a folder");
    let list = write(&scene, "phrases.toml", &list(&[("help", SENTENCE.0)]));
    let recognition =
        format!("[listening]\nenabled = true\n[recognition]\nmodels = \"nowhere\"\nphrases = [{list:?}]\n");
    let stage =
        Stage::set(Setup { edits: &[("[listening]\nenabled = true", &recognition)], ..Setup::named("no-words") });
    eventually("words are told to be missing", || words_of(&stage) == "down");
    let caller = stage.call(angry());
    stage.until("what is heard without words", |what| matches!(what, What::Observed { .. }));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

/// A server that hears the sentence, and more of its configuration.
fn stage_with_words(name: &str, shared: &Path, more: &str) -> Stage {
    let models = add_model(&format!("{name}-models"), shared);
    let list = write(&models, "phrases.toml", &list(&[("help", SENTENCE.0), ("children", "小宝逮老鼠")]));
    let recognition = format!(
        "[listening]\nenabled = true\n[recognition]\nmodels = {:?}\nphrases = [{list:?}]\n{more}",
        models.join("models").display().to_string()
    );
    let edits = [("[listening]\nenabled = true", recognition.as_str())];
    let stage = Stage::set(Setup { edits: &edits, policy: Some(POLICY), ..Setup::named(name) });
    eventually("words are heard", || words_of(&stage) == "up");
    stage
}

/// The sentence with silence around it.
fn sentence(shared: &Path) -> Audio {
    let voice = std::fs::read(shared.join(SENTENCE.1)).expect("a recording");
    let voice = media::sound::read(&voice).expect("Ogg Opus").to_sound().samples;
    Audio::once([vec![0; 2 * RATE], voice, vec![0; 4 * RATE]].concat())
}

/// What `/readyz` says of words.
fn words_of(stage: &Stage) -> String {
    let text = get(stage.server.addresses.web, "/readyz", &stage.server.token).expect("an answer");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    report["components"]["words"].as_str().unwrap_or_default().to_owned()
}

/// The shared data with the library to use them by; `None`, said aloud, when one of them is not at hand.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("CALMLINE_SHARED").map_or(beside, PathBuf::from);
    if !shared.join("data/pocketsphinx_zh/hmm").is_dir() || !shared.join(SENTENCE.1).is_file() {
        println!("skipped: no model and recordings in {}", shared.display());
        return None;
    }
    if let Err(why) = nlu::recognition::load_library(None) {
        println!("skipped: {why}");
        return None;
    }
    Some(shared)
}

/// Has the program take the model over into a folder of the test's own.
fn add_model(name: &str, shared: &Path) -> PathBuf {
    let scene = folder(name);
    std::fs::create_dir_all(&scene).expect("a folder");
    let model = shared.join("data/pocketsphinx_zh");
    let output = Command::new(PROGRAM)
        .args(["models", "add", "--language", "zh", "--dictionary"])
        .arg(model.join("lm_zh_CN/mandarin_notone.dic"))
        .arg("--models")
        .arg(scene.join("models"))
        .arg(model.join("hmm/zh/tdt_sc_8k"))
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.starts_with("added zh (zh, pocketsphinx, 8 files"), "{output:?}");
    scene
}

/// A phrase list with one phrase for each intent.
fn list(phrases: &[(&str, &str)]) -> String {
    let intent = |(name, text): &(&str, &str)| format!("[[intent]]\nname = \"{name}\"\nphrases = [\"{text}\"]\n");
    format!("language = \"zh\"\n{}", phrases.iter().map(intent).collect::<String>())
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("disk space");
    path.display().to_string()
}
