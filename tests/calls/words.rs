//! What a caller says or types: told, kept in the record, read beside the voice and decided on; without a model calls go
//! on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use calmline::demo::server::get;
use calmline::notice::What;
use calmline::recognizer::{Engine, RecognizerFiles};
use loadtest::audio::Audio;
use nlu::PartyId;
use nlu::recognition::{Language, Transcript};
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

/// What the sentence's word means to the operator of these tests.
const LEXICON: &str = "[[entry]]\ncategory = \"anger\"\nstrength = 0.95\nwords = [\"帮助\", \"骗子\", \"气死我了\"]\n";

#[test]
fn a_phrase_of_the_list_is_told_kept_read_and_decided_on() {
    let Some(shared) = shared() else { return };
    let stage = stage_with_words("words", &shared, LEXICON, "");
    let caller = stage.call(sentence(&shared));

    let said = stage.until("the phrase", |what| matches!(what, What::Said { is_final: true, .. }));
    let What::Said { party, phrases, .. } = said.what else { unreachable!("just matched") };
    let [phrase] = phrases.as_slice() else { panic!("{phrases:?}") };
    assert_eq!((party.as_str(), phrase.intent.as_str(), phrase.text.reveal().as_str()), ("caller", "help", SENTENCE.0));
    assert!((1_900..5_000).contains(&phrase.audio_ms) && phrase.until_ms > phrase.audio_ms + 500, "{phrase:?}");
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. }));
    let What::Decided { rule, said, .. } = &decided.what else { unreachable!("just matched") };
    assert_eq!((rule.as_str(), said.as_deref()), ("asks-for-help", Some("help")));
    let observed = stage.until("what the words say", |what| matches!(what, What::Observed { words: Some(_), .. }));
    let What::Observed { words: Some(words), .. } = &observed.what else { unreachable!("just matched") };
    assert_eq!((words.audio_ms, words.until_ms), (phrase.audio_ms, phrase.until_ms), "one axis");
    let [found] = words.found.as_slice() else { panic!("{words:?}") };
    assert_eq!(
        (found.word.as_str(), found.category.as_str(), words.source.as_str()),
        ("帮助", "anger", "lexicon_only")
    );
    assert!(words.anger > 0.9 && (0.1..0.6).contains(&words.reliability), "{words:?}");

    caller.hang_up().expect("an order");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    let record = stage.api(&format!("/v1/calls/{}", ended.call));
    assert_eq!((&record["phrases"][0]["intent"], &record["phrases"][0]["text"]), (&"help".into(), &SENTENCE.0.into()));
    let told = record["timeline"].as_array().expect("a timeline").iter().filter(|step| !step["words"].is_null());
    let told: Vec<&Value> = told.map(|step| &step["words"]["found"][0]["word"]).collect();
    assert_eq!(told, [&Value::from("帮助")], "once, where it came");
    assert!(stage.metric("calmline_phrases_total{party=\"caller\",intent=\"help\"") >= 1.0);
    eventually("the cost is told", || stage.metric("calmline_recognition_real_time_ratio") > 0.0);
    eventually("what was read is counted", || stage.metric("calmline_utterances_total{outcome=\"read\"}") >= 1.0);
    stage.is_empty();
}

#[test]
fn what_is_typed_is_read_and_decided_on() {
    const POLICY: &str = r#"
name = "typed"
version = 1
scenarios = ["after-sales"]
[[rule]]
id = "writes-angrily"
when = { emotion = "anger", level = "medium" }
then = [{ alert = "warning", text = "writes angrily" }]
"#;
    let scene = folder("typed");
    std::fs::create_dir_all(&scene).expect("a folder");
    let lexicon = write(&scene, "lexicon.toml", LEXICON);
    let reading = format!("{LISTENING}\ntext_model = false\nlexicons = [{lexicon:?}]\n");
    let setup = Setup { edits: &[(LISTENING, &reading)], policy: Some(POLICY), ..Setup::named("typed") };
    let stage = Stage::set(setup);
    let caller = stage.call(Audio::once([vec![0; 30 * RATE]].concat()));
    let call = stage.until("the answer", |what| matches!(what, What::CallAnswered { .. })).call;
    let path = format!("/v1/calls/{call}/utterances");
    // The lexicons are there soon after the start; until then words say nothing.
    eventually("the reader is there", || {
        let body = serde_json::json!({ "party": "caller", "text": "你们是骗子，真是气死我了" });
        assert_eq!(stage.ask("POST", &path, &body).0, 202);
        let observed = stage.until("a judgement", |what| matches!(what, What::Observed { words: Some(_), .. }));
        let What::Observed { source, words: Some(words), .. } = &observed.what else { unreachable!("just matched") };
        assert_eq!((source.as_str(), words.confidence), ("words_only", 1.0));
        words.found.len() == 2
    });
    let body = serde_json::json!({ "party": "caller", "text": "骗子！你们都是骗子，我真的要气死我了" });
    (0..3).for_each(|_| assert_eq!(stage.ask("POST", &path, &body).0, 202));
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. }));
    let What::Decided { rule, .. } = &decided.what else { unreachable!("just matched") };
    assert_eq!(rule, "writes-angrily");
    let to_callee = serde_json::json!({ "party": "callee", "text": "谢谢" });
    let (status, problem) = stage.ask("POST", &path, &to_callee);
    assert_eq!((status, problem["detail"].as_str()), (409, Some("nobody listens to the callee")), "{problem}");
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn what_is_said_is_masked_for_everybody_but_the_policies() {
    let Some(shared) = shared() else { return };
    // With these lists the end of the sentence is a name.
    let (shown, secret) = ("我们需要[姓名]", "帮助");
    let lexicon = LEXICON.replace(secret, "着急");
    let scene = folder("masked-words");
    std::fs::create_dir_all(&scene).expect("a folder");
    let lists = write(&scene, "masking.toml", "[names]\nintroduced_by = [\"我们需要\"]\n");
    let stage = stage_with_words("masked-words", &shared, &lexicon, &format!("[privacy]\nlists = [{lists:?}]\n"));
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
fn other_phrases_are_heard_and_read_under_a_running_call_after_a_reload() {
    let Some(shared) = shared() else { return };
    let models = add_model("words-reload", &shared);
    let phrases = write(&models, "phrases.toml", &list(&[("children", "小宝逮老鼠")]));
    let edits = [(LISTENING, &*hearing(&models, &phrases, LEXICON))];
    let policy = POLICY.replace("said = [\"help\"]", "key = \"9\"");
    let stage = Stage::set(Setup { edits: &edits, policy: Some(&policy), ..Setup::named("words-reload") });
    eventually("words are heard", || words_of(&stage) == "up");
    // The same sentence again and again, so that it is said after whatever time the new phrases take.
    let said = [voice(&shared, SENTENCE.1), vec![0; 6 * RATE]].concat();
    let caller = stage.call(Audio::once(vec![said; 12].concat()));
    stage.until("the caller is heard", |what| matches!(what, What::Observed { .. }));
    assert!(!stage.was_told(|what| matches!(what, What::Said { .. })), "nobody listens for that yet");

    write(&models, "phrases.toml", &list(&[("help", SENTENCE.0)]));
    write(&models, "lexicon.toml", &LEXICON.replace("anger", "sadness"));
    let (status, answer) = stage.ask("POST", "/v1/reload", &Value::Null);
    assert_eq!((status, &answer["needs_restart"]), (200, &serde_json::json!([])), "{answer}");
    stage.until("the new phrase", |what| matches!(what, What::Said { is_final: true, .. }));
    stage.until("the new meaning", |what| {
        matches!(what, What::Observed { words: Some(words), .. } if words.found.iter().any(|found| found.category == "sadness"))
    });
    assert!(!stage.was_told(|what| matches!(what, What::CallEnded { .. })));
    assert_eq!(stage.metric("calmline_recognition_restarts_total"), 0.0);
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn parties_who_speak_at_the_same_time_are_heard_as_each_alone() {
    let Some(shared) = shared() else { return };
    let models = add_model("words-interleaved", &shared);
    let said = [("rain", "就是下雨也去"), ("help", SENTENCE.0), ("other", "工作还有困难")];
    let phrases = write(&models, "phrases.toml", &list(&said));
    let engine = Engine::Phrases { library: None };
    let files =
        RecognizerFiles::read(&models.join("models"), &[phrases.into()], &engine, &calmline::signed::Trust::anybody())
            .expect("a model and a list");
    let voices = ["201", "224", "225"]
        .map(|text| [voice(&shared, &format!("data/casia/ZhaoZuoxiang_angry_{text}.opus")), vec![0; RATE]].concat());
    let alone = |index: usize| hear(&files, &[(index as u32, &voices[index])]).remove(&(index as u32));
    let together: Vec<_> = (0_u32..).zip(voices.iter().map(Vec::as_slice)).collect();
    let mut together = hear(&files, &together);
    let alone: Vec<_> = (0..voices.len()).map(alone).collect();
    assert!(alone.iter().flatten().count() >= 2, "most of it is heard: {alone:?}");
    for (index, alone) in alone.into_iter().enumerate() {
        assert_eq!(together.remove(&(index as u32)), alone, "party {index}");
    }
}

/// Lets one recogniser hear the parties in packets by turns; the final transcripts of each.
fn hear(files: &RecognizerFiles, voices: &[(u32, &[i16])]) -> BTreeMap<u32, Vec<Transcript>> {
    let mut recognizer = files.load().expect("a recogniser");
    let mut told = Vec::new();
    voices.iter().for_each(|(party, _)| recognizer.open(PartyId(*party), Language::Mandarin));
    let longest = voices.iter().map(|(_, voice)| voice.len()).max().unwrap_or_default();
    for at in (0..longest).step_by(160) {
        for (party, voice) in voices {
            let packet: Vec<f32> =
                voice.iter().skip(at).take(160).map(|&sample| f32::from(sample) / 32_768.0).collect();
            recognizer.push(PartyId(*party), &packet);
        }
        recognizer.run(&mut told);
    }
    voices.iter().for_each(|(party, _)| recognizer.close(PartyId(*party), &mut told));
    let mut finals: BTreeMap<u32, Vec<Transcript>> = BTreeMap::new();
    for transcript in told.into_iter().filter(|transcript| transcript.is_final) {
        finals.entry(transcript.party.0).or_default().push(transcript);
    }
    finals
}

#[test]
fn without_a_model_calls_go_on_without_words() {
    let scene = folder("no-words");
    std::fs::create_dir_all(&scene).expect("a folder");
    let list = write(&scene, "phrases.toml", &list(&[("help", SENTENCE.0)]));
    let recognition = format!("{LISTENING}\n[recognition]\nmodels = \"nowhere\"\nphrases = [{list:?}]\n");
    let stage = Stage::set(Setup { edits: &[(LISTENING, &recognition)], ..Setup::named("no-words") });
    eventually("words are told to be missing", || words_of(&stage) == "down");
    let caller = stage.call(angry());
    stage.until("what is heard without words", |what| matches!(what, What::Observed { .. }));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

/// What the configuration of the tests says of listening.
const LISTENING: &str = "[listening]\nenabled = true";

/// The same with words: phrases of one list, read by a lexicon, which lies beside the models.
fn hearing(models: &Path, list: &str, lexicon: &str) -> String {
    let lexicon = write(models, "lexicon.toml", lexicon);
    let models = models.join("models").display().to_string();
    format!(
        "{LISTENING}\ntext_model = false\nlexicons = [{lexicon:?}]\n\
         [recognition]\nmodels = {models:?}\nphrases = [{list:?}]\n"
    )
}

/// A server that hears the sentence, and more of its configuration.
fn stage_with_words(name: &str, shared: &Path, lexicon: &str, more: &str) -> Stage {
    let models = add_model(&format!("{name}-models"), shared);
    let list = write(&models, "phrases.toml", &list(&[("help", SENTENCE.0), ("children", "小宝逮老鼠")]));
    let edits = [(LISTENING, &*format!("{}{more}", hearing(&models, &list, lexicon)))];
    let stage = Stage::set(Setup { edits: &edits, policy: Some(POLICY), ..Setup::named(name) });
    eventually("words are heard", || words_of(&stage) == "up");
    stage
}

/// The sentence with silence around it.
fn sentence(shared: &Path) -> Audio {
    Audio::once([vec![0; 2 * RATE], voice(shared, SENTENCE.1), vec![0; 4 * RATE]].concat())
}

fn voice(shared: &Path, file: &str) -> Vec<i16> {
    let voice = std::fs::read(shared.join(file)).expect("a recording");
    media::sound::read(&voice).expect("Ogg Opus").to_sound().samples
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
