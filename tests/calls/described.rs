//! The API against its own description: Schemathesis makes requests of every kind that the document allows, and of kinds that
//! it does not, and looks at what comes back. And what nobody may find in the log afterwards.

use std::path::Path;
use std::process::Command;

use loadtest::audio::Audio;
use serde_json::json;

use crate::stage::{Setup, Stage, folder};

/// How long requests of one run are made unless `CALMLINE_SCHEMATHESIS_S` says otherwise, seconds; there are two runs.
const TRY_S: &str = "20";
/// What is looked at.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth";

#[test]
fn the_api_answers_as_its_description_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(".cache/schemathesis/bin/schemathesis");
    if !program.exists() {
        println!("skipped: no Schemathesis (scripts/fetch-pypi schemathesis)");
        return;
    }
    // An hour unused, so that what is kept can be asked for; calls go by files of this test's own folder.
    let stage = Stage::set(Setup { edits: &[("[web]", "[store]\n\n[web]")], ..Setup::named("described") });
    let caller = stage.call(Audio::tone(300, 0.1));
    let call = stage.api("/v1/calls?state=active")["calls"][0]["id"].as_str().expect("a call").to_owned();
    let settings = folder("described").join("schemathesis.toml");
    let try_s = std::env::var("CALMLINE_SCHEMATHESIS_S").unwrap_or_else(|_| TRY_S.to_owned());
    let own = std::fs::read_to_string(root.join("tests/openapi/schemathesis.toml")).expect("the settings");
    for (name, parameters) in [("any", String::new()), ("one", format!("\n[parameters]\n\"path.id\" = \"{call}\"\n"))] {
        std::fs::write(&settings, format!("{own}{parameters}")).expect("the settings");
        let output = Command::new(&program)
            .arg("--config-file")
            .arg(&settings)
            .args(["run", &format!("http://{}/v1/openapi.json", stage.server.addresses.web)])
            .args(["--header", &format!("Authorization: Bearer {}", stage.server.token)])
            .args(["--checks", CHECKS, "--max-time", &try_s, "--workers", "1", "--no-color"])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{name}: {said}");
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    let (status, _) = stage.ask("GET", "/readyz", &json!(null));
    assert_eq!(status, 200, "it has taken no harm");
    let log = std::fs::read_to_string(folder("described").join("server.log")).expect("a log");
    assert!(!log.contains("panicked"), "{log}");
    drop(caller);
}

#[test]
fn no_token_and_no_password_is_in_the_log() {
    let stage = Stage::set(Setup::named("doors"));
    let (token, address) = (&stage.server.token, stage.server.addresses.web);
    let password = "a password that nobody has";
    let wrong = "0123456789-a-wrong-token";
    for (method, path, bearer, body) in [
        ("GET", "/v1/calls".to_owned(), token.as_str(), String::new()),
        ("GET", format!("/v1/calls?token={token}"), wrong, String::new()),
        ("POST", "/v1/session".to_owned(), wrong, json!({ "user": "li", "password": password }).to_string()),
        ("POST", "/v1/forks".to_owned(), token, format!("{{\"via\": \"{password}\"}}")),
    ] {
        calmline::demo::server::ask(address, (method, &path), &body, bearer).expect("an answer");
    }
    let log = std::fs::read_to_string(folder("doors").join("server.log")).expect("a log");
    assert!(!log.is_empty());
    for secret in [token, password, wrong] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}
