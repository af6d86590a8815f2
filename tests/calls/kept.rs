//! A store under the running server: what was told and decided outlives a crash, nobody reads it on the disk, and a disk that
//! fails costs no call.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::PhonePlan;
use loadtest::phone::Event;
use serde_json::Value;

use crate::stage::{ANY, CALLER_HZ, PROGRAM, Setup, Stage, continuous, eventually, expect, folder, more_packets};

const STORE: (&str, &str) = ("[listening]", "[store]\nfolder = \"../kept\"\n\n[listening]");
const POLICY: &str = "name = \"own\"\nversion = 1\nscenarios = [\"after-sales\"]\n\
                      [[rule]]\nid = \"count\"\nwhen = { key = \"1\" }\nthen = [{ alert = \"info\", text = \"counted\" }]\n";

#[test]
fn what_was_decided_outlives_a_crash_and_nobody_reads_it_on_the_disk() {
    let name = "kept";
    let kept = fresh(name);
    let mut stage = Stage::set(Setup { edits: &[STORE], policy: Some(POLICY), ..Setup::named(name) });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    caller.press("1").expect("an order");
    let decided = stage.until("the decision", |what| matches!(what, What::Decided { .. }));
    stage.until("the alert", |what| matches!(what, What::Alert { .. }));
    assert_eq!(stage.api("/readyz")["components"]["store"], "up");
    // Details are written out twice a second.
    more_packets("a second and a half", &caller, 75);
    stage.server.kill();

    let config = folder(name).join("config/calmline.toml");
    let trail = audit(&["list"], &config);
    let kinds: Vec<String> = trail.1.lines().map(|line| field(line, "kind")).collect();
    for kind in ["started", "decided", "alert", "access"] {
        assert!(kinds.iter().any(|found| found == kind), "no {kind} in {kinds:?}");
    }
    let verified = audit(&["verify"], &config);
    assert!(verified.0 == Some(0) && verified.1.contains("as it was written"), "{verified:?}");

    let again = Again::start(&config, &stage.server.token);
    let path = format!("/v1/calls/{}", decided.call);
    eventually("the API", || get(stage.server.addresses.web, "/healthz", "").is_ok());
    let call: Value =
        serde_json::from_str(&get(stage.server.addresses.web, &path, &again.token).expect("it is kept")).expect("JSON");
    assert_eq!(call["decisions"][0]["rule"], "count", "{call}");
    assert_eq!(
        (call["state"].as_str(), call["end_reason"].as_str()),
        (Some("ended"), Some("the server ended")),
        "{call}"
    );
    let list = get(stage.server.addresses.web, "/v1/calls?state=ended", &again.token).expect("a list");
    assert!(list.contains(&decided.call), "{list}");
    drop(again);

    for secret in [decided.call.as_str(), "sip:support", "after-sales", "counted"] {
        nobody_reads(secret, &kept);
    }
    alter_one_letter(&kept.join("audit"));
    let verified = audit(&["verify"], &config);
    assert!(verified.0 == Some(4) && verified.1.contains("was altered"), "{verified:?}");
}

#[test]
fn calls_are_reported_a_person_is_erased_and_a_back_up_is_taken_back() {
    let name = "kept-people";
    let kept = fresh(name);
    let stage = Stage::set(Setup { edits: &[STORE], policy: Some(POLICY), ..Setup::named(name) });
    for user in ["13800138000", "13900139000"] {
        let plan = PhonePlan { audio: Audio::tone(CALLER_HZ, 0.3), user: user.to_owned(), ..PhonePlan::new(ANY) };
        let caller = stage.phones.add(plan).expect("a caller");
        caller.call(&format!("sip:support@{}", stage.server.addresses.sip), &[]).expect("an order");
        expect(&caller, "the answer", |event| *event == Event::Answered);
        caller.hang_up().expect("an order");
        stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    }
    let person = |user: &str| serde_json::json!({ "address": user });
    let calls_of = |user: &str| -> Vec<Value> {
        let (status, answer) = stage.ask("POST", "/v1/people/calls", &person(user));
        assert_eq!(status, 200, "{answer}");
        answer["calls"].as_array().expect("a list").clone()
    };
    eventually("both calls are kept", || calls_of("13800138000").len() == 1 && calls_of("13900139000").len() == 1);
    let config = folder(name).join("config/calmline.toml");
    let today = today(&calls_of("13800138000")[0]);
    for (format, wanted) in [("json", "\"calls\": 2"), ("csv", ",calls,2"), ("html", "<svg")] {
        let words = ["report", "--date", &today, "--format", format, "--language", "en", "--config"];
        let report = program(&words, &config, &stage.server.token);
        assert!(report.0 == Some(0) && report.1.contains(wanted) && !report.1.contains("13800138000"), "{report:?}");
    }
    let made = program(&["backup", "--config"], &config, &stage.server.token);
    assert!(made.0 == Some(0) && made.1.contains("files"), "{made:?}");

    let asked = |path: &str, reason: &str| {
        stage.ask("POST", path, &serde_json::json!({ "address": "tel:138-0013-8000", "reason": reason }))
    };
    assert_eq!(asked("/v1/people/hold", "case 7").0, 200);
    let refused = asked("/v1/people/erase", "as asked for");
    assert!(refused.0 == 409 && refused.1["detail"].as_str().is_some_and(|why| why.contains("case 7")), "{refused:?}");
    assert_eq!(stage.ask("POST", "/v1/people/release", &person("13800138000")).0, 200);
    let erased = asked("/v1/people/erase", "as asked for");
    assert_eq!((erased.0, erased.1["calls"].as_array().map(Vec::len)), (200, Some(1)), "{erased:?}");
    let gone = erased.1["calls"][0].as_str().expect("an id").to_owned();
    assert_eq!(stage.ask("GET", &format!("/v1/calls/{gone}"), &Value::Null).0, 404);
    assert!(!stage.api("/v1/calls").to_string().contains(&gone));
    assert_eq!((calls_of("13800138000").len(), calls_of("13900139000").len()), (0, 1));
    assert_eq!(asked("/v1/people/erase", " ").0, 400, "a reason is needed");

    let token = stage.server.token.clone();
    drop(stage);
    let trail = audit(&["list"], &config).1;
    for kind in ["exported", "held", "released", "erasure_asked", "erased", "backup"] {
        assert!(trail.lines().any(|line| field(line, "kind") == kind), "no {kind} in {trail}");
    }
    assert!(!trail.contains("13800138000"), "{trail}");

    // The disk is lost; the back-up and the master key are not.
    let key = std::fs::read(kept.join("master.key")).expect("a key");
    std::fs::remove_dir_all(&kept).expect("a folder of ours");
    std::fs::create_dir_all(&kept).expect("a folder");
    std::fs::write(kept.join("master.key"), key).expect("written");
    let backup = made.1.split(':').next().expect("a path").to_owned();
    let restored = program(&["restore", &backup, "--config"], &config, &token);
    assert!(restored.0 == Some(0) && restored.1.contains("erased again"), "{restored:?}");
    let verified = audit(&["verify"], &config);
    assert!(verified.0 == Some(0) && verified.1.contains("as it was written"), "{verified:?}");
}

#[test]
fn a_disk_that_takes_nothing_costs_no_call() {
    let name = "kept-full";
    let kept = fresh(name);
    // A file stands where the calls were to be kept: as good as a disk that takes nothing.
    std::fs::create_dir_all(&kept).expect("a folder");
    std::fs::write(kept.join("calls"), b"in the way").expect("a file");
    let stage = Stage::set(Setup { edits: &[STORE], policy: Some(POLICY), ..Setup::named(name) });
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    stage.until("the answer", |what| matches!(what, What::CallAnswered { .. }));
    caller.press("1").expect("an order");
    stage.until("the alert", |what| matches!(what, What::Alert { .. }));
    more_packets("a second", &caller, 50);
    let ready = stage.api("/readyz");
    assert_eq!((&ready["status"], &ready["components"]["store"]), (&"degraded".into(), &"down".into()), "{ready}");
    eventually("what is dropped is counted", || {
        stage.metric("calmline_store_notices_total{outcome=\"dropped\"}") > 0.0
    });
    assert_eq!(stage.metric("calmline_store_up"), 0.0);
    assert!(stage.metric("calmline_audit_entries_total{outcome=\"written\"}") > 0.0);
    continuous("the caller", &caller.heard().stats);
}

/// The store's folder of a test, empty.
pub fn fresh(name: &str) -> PathBuf {
    let kept = folder(name).join("kept");
    if kept.exists() {
        std::fs::remove_dir_all(&kept).expect("a folder of ours");
    }
    kept
}

/// A server that is started again with what the one before it was started with.
pub struct Again {
    child: Child,
    pub token: String,
}

impl Again {
    pub fn start(config: &Path, token: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(config).env("CALMLINE_TOKEN", token).stderr(Stdio::null());
        Self { child: command.spawn().expect("the program"), token: token.to_owned() }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `calmline audit`: its exit code and what it prints.
pub fn audit(words: &[&str], config: &Path) -> (Option<i32>, String) {
    program(&[&["audit"], words, &["--config"]].concat(), config, "")
}

/// The program with these words and the configuration: its exit code and what it prints.
fn program(words: &[&str], config: &Path, token: &str) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM).args(words).arg(config).env("CALMLINE_TOKEN", token).output();
    let output = output.expect("the program");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The day on which a call came, UTC.
fn today(call: &Value) -> String {
    call["started"].as_str().and_then(|started| started.get(..10)).expect("a time").to_owned()
}

pub fn field(line: &str, name: &str) -> String {
    let entry: Value = serde_json::from_str(line).expect("a JSON object");
    entry[name].as_str().unwrap_or_default().to_owned()
}

fn nobody_reads(secret: &str, folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            nobody_reads(secret, &path);
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} can be read in {}", path.display());
        }
    }
}

/// Alters one letter of an entry's body, as somebody would who has the files and not the key.
fn alter_one_letter(trail: &Path) {
    let path = std::fs::read_dir(trail).expect("a folder").map(|entry| entry.expect("an entry").path());
    let path = path.filter(|path| path.extension().is_some_and(|extension| extension == "log")).min().expect("a file");
    let text = std::fs::read_to_string(&path).expect("text");
    let at = text.find("\"body\":\"").expect("an entry") + 40;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    std::fs::write(&path, [&text[..at], other, &text[at + 1..]].concat()).expect("written");
}
