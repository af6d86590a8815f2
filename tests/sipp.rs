//! The program as it is shipped, with SIPp as a foreign caller and as the bot behind it.
//!
//! After every run nothing may be left: no call, no leg, no port. Without `sipp` the tests say so and pass.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use calmline::demo::server::{self, Addresses, Plan, Server};
use serde_json::Value;

use authority::Authority;
use runner::Run;

// Shared with the SIP side's own tests.
#[path = "../src/shell/sip/tests/authority.rs"]
mod authority;
#[path = "sipp/tunnel.rs"]
mod tunnel;

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
    carrier: Carrier,
}

/// What carries SIP on both sides of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Udp,
    Tcp,
    Tls,
}

const SMALL: Case = Case {
    place: 0,
    caller: "uac_basic",
    bot: "uas_answer",
    calls: 1,
    stays_ms: 500,
    answered: 1,
    carrier: Carrier::Udp,
};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_makes_no_offer() {
    check(Case { place: 9, caller: "uac_late_offer", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_media_that_both_sides_acknowledge() {
    check(Case { place: 10, caller: "uac_prack", bot: "uas_prack", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_timers() {
    check(Case { place: 11, caller: "uac_refresh", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fax_and_video_are_declined_and_the_call_goes_on() {
    check(Case { place: 12, caller: "uac_fax_and_video", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untrusted_bot_is_not_told_who_hides() {
    check(Case { place: 13, caller: "uac_identity", bot: "uas_untrusted", ..SMALL }).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_tcp() {
    check(Case { place: 14, calls: 20, answered: 20, carrier: Carrier::Tcp, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_tls() {
    check(Case { place: 15, calls: 20, answered: 20, carrier: Carrier::Tls, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_over_tls_gives_up_and_another_one_holds() {
    let tls = Case { carrier: Carrier::Tls, ..SMALL };
    check(Case { place: 16, caller: "uac_cancel", bot: "uas_never_answers", answered: 0, ..tls }).await;
    check(Case { place: 17, caller: "uac_hold", ..tls }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_whose_calls_go_past_the_server() {
    if !runner::is_there() {
        return;
    }
    let mut plan = Plan::for_loopback().expect("loopback has free ports");
    let configuration = configuration(plan.addresses, 18);
    plan.configuration = configuration.replace("scenario =", "bypass = \"always\"\nscenario =");
    let out = std::env::temp_dir().join(format!("calmline-sipp-{}-past", std::process::id()));
    let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &out, &plan, &[]).expect("the server starts");
    let calls = Run { scenario: "uac_redirected", calls: 20, rate: 20, stays_ms: 0, transport: "u1" };
    runner::finish("uac_redirected", runner::call(plan.addresses.sip, calls)).await;
    let metrics = server::get(plan.addresses.web, "/metrics", &server.token).expect("the server answers");
    let counted = ["calmline_calls_redirected_total", "calmline_calls_started_total"].map(|name| total(&metrics, name));
    assert_eq!(counted, [20.0, 0.0], "{metrics}");
    server.stop().expect("the server ends as it should");
    std::fs::remove_dir_all(&out).expect("the folder was made above");
}

/// One bot asks for no calls after the first one, in either way; the next target has all of them, and whoever calls and
/// asks hears that we have nothing to keep back ourselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_wants_no_calls_gets_none_meanwhile() {
    if !runner::is_there() {
        return;
    }
    for (scenario, reason) in [("uas_overloaded", "feedback"), ("uas_closed", "retry_after")] {
        let mut plan = Plan::for_loopback().expect("loopback has free ports");
        (plan.addresses.bot, plan.addresses.human) = (runner::free_address(), runner::free_address());
        let Addresses { bot, human, sip, web, .. } = plan.addresses;
        let of_trunk = format!("uri = \"sip:bot@{bot}\"\ntrunk = \"pbx\"");
        plan.configuration = configuration(plan.addresses, 19)
            .replace(&format!("uri = \"sip:bot@{bot}\""), &of_trunk)
            .replace(&format!("sip:human@{bot}"), &format!("sip:human@{human}"))
            .replace("targets = [\"bot\"]", "targets = [\"bot\", \"human\"]")
            + "\n[trunks.pbx]\nsources = [\"127.0.0.1/32\"]\noverload_feedback = true\n";
        let out = std::env::temp_dir().join(format!("calmline-sipp-{}-{scenario}", std::process::id()));
        let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &out, &plan, &[]).expect("it starts");
        let run = |scenario, calls| Run { scenario, calls, rate: 4, stays_ms: 200, transport: "u1" };
        let (first, others) = (runner::answer(bot, run(scenario, 1)), runner::answer(human, run("uas_answer", 5)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        runner::finish("uac_feedback", runner::call(sip, run("uac_feedback", 5))).await;
        runner::finish(scenario, first).await;
        runner::finish("uas_answer", others).await;
        wait_until_nothing_is_left(&server).await;
        let metrics = server::get(web, "/metrics", &server.token).expect("the server answers");
        let kept_back = format!("calmline_sip_invites_kept_back_total{{reason=\"{reason}\"}} 4");
        assert!(metrics.contains(&kept_back), "no {kept_back} in {metrics}");
        assert_eq!(total(&metrics, "calmline_sip_servers_restrained_active"), 1.0, "{metrics}");
        assert_eq!(total(&metrics, "calmline_calls_answered_total"), 5.0, "{metrics}");
        server.stop().expect("the server ends as it should");
        std::fs::remove_dir_all(&out).expect("the folder was made above");
    }
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
    let authority = Authority::new(&format!("sipp-{}", case.place));
    authority.install("us.example");
    let (bot_at, bot_of) = bot(case.carrier, addresses.bot, &authority).await;
    let secure = runner::free_address();
    plan.configuration = configuration(addresses, case.place) + &carried(case.carrier, &authority);
    plan.configuration = plan.configuration.replace(&format!("@{}", addresses.bot), &format!("@{bot_at}{bot_of}"));
    if case.carrier != Carrier::Udp {
        let list = format!("[\"{0}\", \"tcp://{0}\", \"tls://{secure}\"]", addresses.sip);
        let one = format!("listen = \"{}\"", addresses.sip);
        plan.configuration = plan.configuration.replacen(&one, &format!("listen = {list}"), 1);
    }
    let out = std::env::temp_dir().join(format!("calmline-sipp-{}-{}", std::process::id(), case.place));
    if let Some(policy) = policy {
        let own = out.join("config/own");
        std::fs::create_dir_all(&own).expect("a folder");
        std::fs::write(own.join("own.toml"), policy).expect("a file");
        plan.configuration = plan.configuration.replace("folder = \"policies\"", "folder = \"own\"");
    }
    let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &out, &plan, &[]).expect("the server starts");

    let way_in = match case.carrier {
        Carrier::Udp | Carrier::Tcp => addresses.sip,
        Carrier::Tls => {
            let client = authority.client(None, &rustls::version::TLS13);
            tunnel::into_tls(secure, "us.example", client).await
        }
    };
    let transport = if case.carrier == Carrier::Udp { "u1" } else { "t1" };
    let sipp = |scenario| Run { scenario, calls: case.calls, rate: 10, stays_ms: case.stays_ms, transport };
    let bot = runner::answer(addresses.bot, sipp(case.bot));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let caller = runner::call(way_in, sipp(case.caller));
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

/// Where the server finds the bot, and the parameter of its URI.
async fn bot(carrier: Carrier, address: SocketAddr, authority: &Authority) -> (String, &'static str) {
    match carrier {
        Carrier::Udp => (address.to_string(), ""),
        Carrier::Tcp => (address.to_string(), ";transport=tcp"),
        Carrier::Tls => {
            let tunnel = tunnel::out_of_tls(address, authority.server("localhost")).await;
            (format!("localhost:{}", tunnel.port()), ";transport=tls")
        }
    }
}

/// The section of certificates.
fn carried(carrier: Carrier, authority: &Authority) -> String {
    if carrier == Carrier::Udp {
        return String::new();
    }
    let file = |name: &str| authority.folder.join(name).display().to_string();
    let (certificate, key, authorities) = (file("us.pem"), file("us.key"), file("authority.pem"));
    format!("\n[sip.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nauthorities = \"{authorities}\"\n")
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
    let first = 6_000 + place * MEDIA_PORTS;
    let last = first + MEDIA_PORTS - 2;
    let headers = "headers = { identity = \"untrusted\", drop = [\"x-secret\"], set = { \"X-Account\" = \"8\" } }\n";
    format!(
        "[sip]\nlisten = \"{sip}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{first}-{last}\"\n\n\
         [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n\n\
         [listening]\nenabled = true\n\n\
         [limits.overload]\nenabled = false\n\n\
         [policy]\nfolder = \"policies\"\nprompts = \"prompts\"\n\n\
         [targets.bot]\nuri = \"sip:bot@{bot}\"\n{headers}\n\
         [targets.human]\nuri = \"sip:human@{bot}\"\n\n\
         [[route]]\nname = \"everything\"\ntargets = [\"bot\"]\nscenario = \"after-sales\"\n"
    )
}
