//! A call through a real Asterisk: it dials us, the caller gets angry, we refer the call to its queue.
//!
//! Optional: needs root and a folder for the lab's Asterisk; says "skipped" otherwise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::PhonePlan;
use loadtest::phone::{Behaviour, Event};

use super::stage::{LONG, RATE, Setup, Stage, angry, eventually, expect, fixture, heard};

/// Where the lab's configuration expects everybody.
const ASTERISK: &str = "127.0.0.1:5060";
const CALMLINE: &str = "127.0.0.1:5062";
const CALLER: &str = "127.0.0.1:5070";
const AGENT: &str = "127.0.0.1:5081";

/// Moves the call to the queue by REFER.
const TO_QUEUE: &str = r#"
name = "lab"
version = 1
scenarios = ["after-sales"]

[[rule]]
id = "to-queue"
when = { emotion = "anger", level = "high" }
then = [{ alert = "critical", text = "angry" }, { reroute = "refer", target = "human" }]
"#;

#[test]
fn an_angry_caller_of_a_real_asterisk_reaches_its_queue() {
    let Some(lab) = Lab::up() else { return };
    let mut setup = Setup::named("asterisk");
    setup.policy = Some(TO_QUEUE);
    setup.edits = &[("match = { request_uri = \"sip:support@*\" }\n", "")];
    setup.sip = Some(CALMLINE);
    setup.human_uri = Some("sip:700@127.0.0.1:5060");
    let stage = Stage::set(setup);
    let agent_says = fixture("fixtures/audio/agent.wav");
    let agent = PhonePlan {
        user: "agent1".into(),
        behaviour: Behaviour::answer().after(Duration::from_millis(300)),
        audio: Audio::once(agent_says.clone()),
        ..PhonePlan::new(address(AGENT))
    };
    let agent = stage.phones.add(agent).expect("the agent's port");

    let caller = stage.phones.calling(address(CALLER), &format!("sip:8support@{ASTERISK}"), angry(), &[]);
    let caller = caller.expect("the caller's port");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    let started = stage.until("the re-route's start", |what| matches!(what, What::RerouteStarted { .. }));
    let rerouted = stage.until("the re-route", |what| matches!(what, What::Rerouted { .. }));
    println!("REFER {} ms into the call, done {} ms later", started.call_ms, rerouted.call_ms - started.call_ms);
    expect(&agent, "the agent's answer", |event| *event == Event::Answered);

    // Asterisk never ends the leg that it was told to move: that is ours to do.
    expect(&stage.bot, "the bot's BYE", |event| matches!(event, Event::Bye { .. }));
    stage.is_empty();
    eventually("no channel of ours is left in Asterisk", || !lab.channels().contains("PJSIP/sut-"));
    eventually("agent and caller talk", || agent.heard().samples.len() > 4 * RATE);
    assert!(heard(&caller.heard().samples, &agent_says[RATE / 2..RATE * 5 / 2]), "the caller hears the agent");
    let spoken = fixture("fixtures/audio/angry-caller.wav");
    let heard_of_caller = agent.heard().samples;
    let seconds = |from: usize| &spoken[from * RATE..(from + 2) * RATE];
    assert!((19..26).any(|from| heard(&heard_of_caller, seconds(from))), "the agent hears the caller");
    assert!(!stage.was_told(|what| matches!(what, What::RerouteFailed { .. })));
    caller.hang_up().expect("an order");
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The running Asterisk.
struct Lab {
    script: PathBuf,
    folder: String,
}

impl Lab {
    /// Starts it, or says why not.
    fn up() -> Option<Lab> {
        let shared = std::env::var_os("CALMLINE_SHARED")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
        let script = shared.join("lab/asterisk.sh");
        let Ok(folder) = std::env::var("CALMLINE_ASTERISK_DIR") else {
            println!("skipped: CALMLINE_ASTERISK_DIR names no folder in which the lab's Asterisk may be set up");
            return None;
        };
        let lab = Lab { script, folder };
        let started = lab.run("up", &[]);
        if started.as_ref().is_none_or(|pid| pid.trim().parse::<u32>().is_err()) {
            println!("skipped: no Asterisk lab ({} up gave {started:?})", lab.script.display());
            return None;
        }
        // It answers SIP a moment after its pid file is there.
        std::thread::sleep(LONG / 15);
        Some(lab)
    }

    fn channels(&self) -> String {
        self.run("cli", &["core show channels concise"]).expect("an answer")
    }

    fn run(&self, verb: &str, more: &[&str]) -> Option<String> {
        // Asterisk inherits the script's output, so that goes to a file and not to a pipe that would never close.
        let path = std::env::temp_dir().join(format!("calmline-lab-{}-{verb}", std::process::id()));
        let file = std::fs::File::create(&path).ok()?;
        let status = Command::new("sh").arg(&self.script).arg(verb).arg(&self.folder).args(more).stdout(file).status();
        let text = std::fs::read_to_string(&path).ok()?;
        status.ok()?.success().then_some(text)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run("down", &[]);
    }
}
