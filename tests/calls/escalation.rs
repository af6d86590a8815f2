//! An alert that nobody reacts to, over a crash of the server; followed, listed and taken at the command line.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use calmline::demo::server::get;
use calmline::notice::{AlertEscalated, What};
use loadtest::audio::Audio;
use serde_json::{Value, json};

use crate::kept::{Again, audit, field, fresh};
use crate::stage::{CALLER_HZ, PROGRAM, Setup, Stage, eventually, folder, more_packets};
use crate::tickets::{Receiver, SECRET};

const POLICY: &str = "name = \"own\"\nversion = 1\nscenarios = [\"after-sales\"]\n\
                      [[rule]]\nid = \"count\"\nwhen = { key = \"1\" }\nthen = [{ alert = \"info\", text = \"counted\" }]\n";

#[test]
fn an_alert_escalates_over_a_crash_until_somebody_takes_it() {
    let name = "escalation";
    fresh(name);
    let receiver = Receiver::start();
    let mut stage = set(name, &receiver);
    let (token, web) = (stage.server.token.clone(), stage.server.addresses.web);
    let calmline = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words).env("CALMLINE_URL", format!("http://{web}")).env("CALMLINE_TOKEN", &token);
        command
    };
    let said = |words: &[&str]| {
        let output = calmline(words).output().expect("the program");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let tail = ["tail", "--type", "alert_escalated,call_ended", "--count", "2", "--json"];
    let mut tail = calmline(&tail).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program");
    let mut lines = BufReader::new(tail.stdout.take().expect("piped")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };

    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    caller.press("1").expect("an order");
    let alert = stage.until("the alert", |what| matches!(what, What::Alert { .. }));
    let named = format!("{}/{}/count", alert.call, alert.call_ms);
    let (code, calls) = said(&["calls"]);
    assert!(code == Some(0) && calls.contains(&alert.call) && calls.lines().count() == 2, "{calls}");
    let first = stage.until("the first step", |what| matches!(what, What::AlertEscalated(_)));
    let What::AlertEscalated(AlertEscalated { step, severity, .. }) = first.what else { unreachable!("just matched") };
    assert_eq!((step, severity.as_str()), (1, "warning"));
    assert_eq!(next()["step"], 1);
    let (code, listed) = said(&["alerts"]);
    assert!(code == Some(0) && listed.contains(&named) && listed.contains("warning"), "{listed}");
    // It is on the disk by then.
    more_packets("half a second", &caller, 25);
    stage.server.kill();

    let config = folder(name).join("config/calmline.toml");
    let again = Again::start(&config, &token);
    eventually("the API", || get(web, "/healthz", "").is_ok());
    let second = next();
    assert_eq!(
        (&second["step"], &second["severity"], &second["to"]),
        (&json!(2), &json!("critical"), &json!(["wang"]))
    );
    assert!(tail.wait().expect("the program").success(), "it has come back by itself, and ended after two");
    eventually("the pager is told", || receiver.had().len() == 1);
    let had = receiver.had();
    assert_eq!(had[0].header("x-calmline-event"), "alert_escalated");
    let told: Value = serde_json::from_str(&had[0].body).expect("JSON");
    assert_eq!((&told["severity"], &told["rule"]), (&json!("critical"), &json!("count")), "{told}");

    let (code, listed) = said(&["alerts", "--json"]);
    let line: Value = serde_json::from_str(listed.trim()).expect("one alert");
    assert_eq!((code, &line["call"], &line["severity"]), (Some(0), &json!(alert.call), &json!("critical")), "{line}");
    assert_eq!(said(&["alerts", "acknowledge", &named]).0, Some(0));
    assert_eq!(said(&["alerts", "acknowledge", &named]).0, Some(1), "it waits no longer");
    assert_eq!(said(&["alerts", "acknowledge", "nothing"]).0, Some(1));
    assert_eq!(said(&["alerts", "--json"]), (Some(0), String::new()));
    assert_eq!(said(&["tail", "--type", "nonsense"]).0, Some(1));
    drop(again);
    let trail = audit(&["list"], &config).1;
    let of = |kind: &str| trail.lines().filter(|line| field(line, "kind") == kind).count();
    assert_eq!((of("alert_escalated"), of("alert_handled")), (2, 1), "{trail}");
}

/// A server with a store, whose alerts escalate after one second, and after three to a pager.
fn set(name: &str, receiver: &Receiver) -> Stage {
    let config = folder(name).join("config");
    std::fs::create_dir_all(&config).expect("a folder");
    std::fs::write(config.join("crm-secret"), SECRET).expect("a secret");
    let sections = format!(
        "[store]\nfolder = \"../kept\"\n\n[crm.pager]\nurl = \"http://{}/hook\"\nsecret_file = \"crm-secret\"\n\n\
         [[alerts.escalation]]\nafter_s = 1\n[[alerts.escalation]]\nafter_s = 4\nto = [\"wang\"]\ncrm = [\"pager\"]\n\n\
         [listening]",
        receiver.at
    );
    let edits = [("[listening]", sections.as_str())];
    Stage::set(Setup { edits: &edits, policy: Some(POLICY), ..Setup::named(name) })
}
