//! A store under the running server: what was told and decided outlives a crash, nobody reads it on the disk, and a disk that
//! fails costs no call.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::Value;

use crate::stage::{CALLER_HZ, PROGRAM, Setup, Stage, continuous, eventually, folder, more_packets};

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
fn fresh(name: &str) -> PathBuf {
    let kept = folder(name).join("kept");
    if kept.exists() {
        std::fs::remove_dir_all(&kept).expect("a folder of ours");
    }
    kept
}

/// A server that is started again with what the one before it was started with.
struct Again {
    child: Child,
    token: String,
}

impl Again {
    fn start(config: &Path, token: &str) -> Self {
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
fn audit(words: &[&str], config: &Path) -> (Option<i32>, String) {
    let output =
        Command::new(PROGRAM).arg("audit").args(words).arg("--config").arg(config).output().expect("the program");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn field(line: &str, name: &str) -> String {
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
