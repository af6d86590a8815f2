//! A configuration that changes under running calls: they go on untouched, and new ones go the new way.

use std::path::Path;

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::phone::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::stage::{CALLER_HZ, Setup, Stage, continuous, eventually, expect, folder, more_packets, strength};

const NAME: &str = "reload";

#[test]
fn running_calls_go_on_untouched_and_new_ones_go_the_new_way() {
    let policy = |version: u32| {
        format!(
            "name = \"own\"\nversion = {version}\nscenarios = [\"after-sales\"]\n\
             [[rule]]\nid = \"count\"\nwhen = {{ key = \"1\" }}\nthen = [{{ alert = \"info\", text = \"counted\" }}]\n"
        )
    };
    let first_policy = policy(1);
    let stage = Stage::set(Setup { policy: Some(&first_policy), ..Setup::named(NAME) });
    let file = folder(NAME).join("config/calmline.toml");
    let written = std::fs::read_to_string(&file).expect("the configuration");
    let first = stage.call(Audio::tone(CALLER_HZ, 0.3));
    stage.until("the answer", |what| matches!(what, What::CallAnswered { target, .. } if target == "bot"));

    // Broken: nothing of it is taken, and every fault is named.
    let broken = written.replace("targets = [\"bot\"]", "targets = [\"nobody\"]");
    write(&file, &broken.replace("[listening]", "[listening]\nparties = \"all\""));
    let (status, answer) = stage.ask("POST", "/v1/reload", &Value::Null);
    let keys: Vec<&str> = answer["faults"].as_array().into_iter().flatten().filter_map(|f| f["key"].as_str()).collect();
    assert_eq!((status, keys.as_slice()), (422, ["listening.parties", "route[1].targets"].as_slice()), "{answer}");

    // Good: another target, another version of the policy, and a socket that has to wait.
    let sip = stage.server.addresses.sip.to_string();
    let good = written.replace("targets = [\"bot\"]", "targets = [\"human\"]");
    write(&file, &good.replacen(&sip, "127.0.0.1:5959", 1));
    write(&folder(NAME).join("config/own/own.toml"), &policy(2));
    let (status, answer) = stage.ask("POST", "/v1/reload", &Value::Null);
    assert_eq!((status, answer), (200, json!({ "policies": ["own@2"], "needs_restart": ["sip.listen"] })));

    let second = stage.call(Audio::tone(CALLER_HZ, 0.3));
    stage.until("the answer", |what| matches!(what, What::CallAnswered { target, .. } if target == "human"));
    for (caller, version) in [(&first, "own@1"), (&second, "own@2")] {
        caller.press("1").expect("an order");
        stage.until(version, |what| matches!(what, What::Decided { policy, .. } if policy == version));
    }

    // By signal: one call more than there may be.
    write(&file, &good.replace("[web]", "[limits]\ncalls = 2\n\n[web]"));
    kill(Pid::from_raw(stage.server.pid() as i32), Signal::SIGHUP).expect("the server runs");
    eventually("the second reload", || stage.metric("calmline_reloads_total{outcome=\"taken\"}") == 2.0);
    let third = stage.dial(Audio::Silence);
    expect(&third, "a refusal", |event| *event == Event::Failed { status: 503 });
    assert_eq!(stage.metric("calmline_reloads_total{outcome=\"refused\"}"), 1.0);

    // The first call has lost nothing by all that, and goes on.
    more_packets("the bot", &stage.bot, 50);
    more_packets("the caller", &first, 50);
    assert!(strength(&stage.bot.heard().samples, CALLER_HZ) > 0.2);
    continuous("the bot", &stage.bot.heard().stats);
    continuous("the first caller", &first.heard().stats);
    for caller in [first, second] {
        caller.hang_up().expect("an order");
    }
    stage.is_empty();
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a file of the server's folder");
}
