//! The program as it is shipped, with SIPp as a foreign caller and as the bot behind it.
//!
//! After every run nothing may be left: no call, no leg, no port. Without `sipp` the tests say so and pass.

use std::time::{Duration, Instant};

use calmline::demo::server::{self, Addresses, Plan, Server};
use serde_json::Value;

use runner::Run;

// The runner of the SIP side's own tests: one way to start SIPp, not two.
#[path = "../src/shell/sip/tests/sipp.rs"]
mod runner;

/// How long a call may take to be over once both ends are done with it.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// Even media ports of each server: room for fifty calls at a time.
const MEDIA_PORTS: u16 = 200;

/// One run: who calls, who is called, and what the server should make of it.
struct Case {
    /// This case's place among the media ports, so that cases can run at once.
    place: u16,
    caller: &'static str,
    bot: &'static str,
    calls: u32,
    stays_ms: u32,
    /// How many of the calls are answered.
    answered: u32,
}

const SMALL: Case = Case { place: 0, caller: "uac_basic", bot: "uas_answer", calls: 1, stays_ms: 500, answered: 1 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn basic_call() {
    check(SMALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_gives_up() {
    check(Case { place: 1, caller: "uac_cancel", bot: "uas_never_answers", answered: 0, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy() {
    check(Case { place: 2, caller: "uac_busy", bot: "uas_busy", answered: 0, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_and_resume() {
    check(Case { place: 3, caller: "uac_hold", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_hangs_up_and_the_callers_bye_comes_late() {
    check(Case { place: 4, caller: "uac_hung_up", bot: "uas_hangs_up", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bye_right_after_the_answer() {
    check(Case { place: 5, caller: "uac_quick_bye", calls: 20, answered: 20, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_changes_the_session_at_once() {
    check(Case { place: 6, bot: "uas_reinvite", calls: 20, answered: 20, ..SMALL }).await;
}

/// A hundred calls need 200 media ports in all and the server has a hundred: every call has to give its own back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_with_audio() {
    check(Case { place: 7, calls: 100, answered: 100, stays_ms: 2_000, ..SMALL }).await;
}

/// `*9` makes input secure, `#` ends it; what is typed between decides nothing.
const CARD: &str = r##"
name = "card"
version = 1
scenarios = ["*"]
[[rule]]
id = "card"
when = { keys = "*9" }
then = [{ secure_input = "on" }]
[[rule]]
id = "peeked"
when = { key = "4" }
then = [{ alert = "critical", text = "a secret key was seen" }]
[[rule]]
id = "typed"
when = { key = "#" }
then = [{ alert = "info", text = "typed" }]
"##;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_info_requests() {
    let Some(metrics) = run(Case { place: 8, caller: "uac_keys", ..SMALL }, Some(CARD)).await else { return };
    let decided = |rule: &str| metrics.contains(&format!("calmline_decisions_total{{rule=\"{rule}\"}} 1"));
    // The bot sends back whatever comes as RTP, also the events that the keys become on its side.
    assert!(metrics.contains("calmline_keys_total{party=\"caller\",way=\"info\"} 5"), "{metrics}");
    assert!(decided("card") && decided("typed") && !decided("peeked"), "{metrics}");
}

async fn check(case: Case) {
    run(case, None).await;
}

/// Runs a case, with a policy of its own in place of the shipped ones; the server's figures at the end.
async fn run(case: Case, policy: Option<&str>) -> Option<String> {
    if !runner::is_there() {
        return None;
    }
    let mut plan = Plan::for_loopback().expect("loopback has free ports");
    plan.addresses.bot = runner::free_address();
    let addresses = plan.addresses;
    plan.configuration = configuration(addresses, case.place);
    let out = std::env::temp_dir().join(format!("calmline-sipp-{}-{}", std::process::id(), case.place));
    if let Some(policy) = policy {
        let own = out.join("config/own");
        std::fs::create_dir_all(&own).expect("a folder");
        std::fs::write(own.join("own.toml"), policy).expect("a file");
        plan.configuration = plan.configuration.replace("folder = \"policies\"", "folder = \"own\"");
    }
    let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &out, &plan, &[]).expect("the server starts");

    let sipp = |scenario| Run { scenario, calls: case.calls, rate: 10, stays_ms: case.stays_ms, transport: "u1" };
    let bot = runner::answer(addresses.bot, sipp(case.bot));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let caller = runner::call(addresses.sip, sipp(case.caller));
    runner::finish(case.caller, caller).await;
    runner::finish(case.bot, bot).await;

    wait_until_nothing_is_left(&server).await;
    let metrics = server::get(addresses.web, "/metrics", &server.token).expect("the server answers");
    let counted = |name: &str| total(&metrics, name);
    assert_eq!(counted("calmline_calls_started_total"), f64::from(case.calls), "{metrics}");
    assert_eq!(counted("calmline_calls_answered_total"), f64::from(case.answered), "{metrics}");
    assert_eq!(counted("calmline_calls_ended_total"), f64::from(case.calls), "{metrics}");
    assert_eq!(counted("calmline_calls_active"), 0.0, "{metrics}");
    assert_eq!(counted("calmline_media_packets_lost_total"), 0.0, "{metrics}");
    if case.calls == 100 {
        // Two seconds are 100 packets; both ways, and SIPp is no precise clock.
        let relayed = counted("calmline_media_packets_relayed_total");
        assert!(relayed > 100.0 * 2.0 * 90.0, "only {relayed} packets were relayed");
    }
    server.stop().expect("the server ends as it should");
    std::fs::remove_dir_all(&out).expect("the folder was made above");
    Some(metrics)
}

/// Waits until the API lists no active call.
async fn wait_until_nothing_is_left(server: &Server) {
    let since = Instant::now();
    loop {
        let text = server::get(server.addresses.web, "/v1/calls?state=active", &server.token).expect("the API answers");
        let answer: Value = serde_json::from_str(&text).expect("the API speaks JSON");
        let active = answer["calls"].as_array().expect("a list of calls");
        if active.is_empty() {
            return;
        }
        assert!(since.elapsed() < SETTLED_WITHIN, "calls are left: {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The sum of a metric over its labels.
fn total(metrics: &str, name: &str) -> f64 {
    let samples = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    samples
        .filter(|(key, _)| key.split('{').next() == Some(name))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// Everything goes to the bot; media ports below those that SIPp takes.
fn configuration(addresses: Addresses, place: u16) -> String {
    let Addresses { sip, web, bot, .. } = addresses;
    let first = 8_200 + place * MEDIA_PORTS;
    let last = first + MEDIA_PORTS - 2;
    format!(
        "[sip]\nlisten = \"{sip}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{first}-{last}\"\n\n\
         [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n\n\
         [listening]\nenabled = true\n\n\
         [policy]\nfolder = \"policies\"\nprompts = \"prompts\"\n\n\
         [targets.bot]\nuri = \"sip:bot@{bot}\"\n\n\
         [targets.human]\nuri = \"sip:human@{bot}\"\n\n\
         [[route]]\nname = \"everything\"\ntargets = [\"bot\"]\nscenario = \"after-sales\"\n"
    )
}
