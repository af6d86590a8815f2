//! The program as it is shipped, with SIPp as a foreign caller and as the bot behind it, over UDP, TCP and TLS at once.
//!
//! After every run nothing may be left: no call, no leg, no port. Without `sipp` the tests say so and pass.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use authority::Authority;
use runner::Run;
use scene::{Carrier, Scene, Terms, finish, listening, total};

// Shared with the SIP side's own tests.
#[path = "../src/shell/sip/tests/authority.rs"]
mod authority;
#[path = "sipp/scene.rs"]
mod scene;
#[path = "sipp/tunnel.rs"]
mod tunnel;

// The runner of the SIP side's own tests: one way to start SIPp, not two.
#[path = "../src/shell/sip/tests/sipp.rs"]
mod runner;

/// One run: who calls, who is called, and what the server should make of it.
struct Case {
    carriers: &'static [Carrier],
    terms: Terms,
    caller: &'static str,
    /// Nobody where the server is to say no by itself.
    bot: Option<&'static str>,
    /// Over each carrier.
    calls: u32,
    stays_ms: u32,
    /// How many of the calls are begun, and how many are answered.
    begun: u32,
    answered: u32,
}

/// One call over each carrier.
const SMALL: Case = Case {
    carriers: &Carrier::ALL,
    terms: Terms { place: 0, route: "", limits: "", trunk: "", registers: false, human_is_next: false, policy: None },
    caller: "uac_basic",
    bot: Some("uas_answer"),
    calls: 1,
    stays_ms: 500,
    begun: 1,
    answered: 1,
};

/// Some calls over each, so many that they overlap.
const SOME: Case = Case { calls: 15, begun: 15, answered: 15, ..SMALL };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls() {
    check(Case { terms: at(0), ..SOME }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_gives_up() {
    check(Case { terms: at(1), caller: "uac_cancel", bot: Some("uas_never_answers"), answered: 0, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy() {
    check(Case { terms: at(2), caller: "uac_busy", bot: Some("uas_busy"), answered: 0, ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_and_resume() {
    check(Case { terms: at(3), caller: "uac_hold", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_hangs_up_and_the_callers_bye_comes_late() {
    check(Case { terms: at(4), caller: "uac_hung_up", bot: Some("uas_hangs_up"), ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bye_right_after_the_answer() {
    check(Case { terms: at(5), caller: "uac_quick_bye", ..SOME }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_changes_the_session_at_once() {
    check(Case { terms: at(6), bot: Some("uas_reinvite"), ..SOME }).await;
}

/// A hundred calls need 200 media ports in all and the server has a hundred: every call has to give its own back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_with_audio() {
    const CALLS: u32 = 100;
    let udp = &[Carrier::Udp];
    let case =
        Case { terms: at(7), carriers: udp, calls: CALLS, begun: CALLS, answered: CALLS, stays_ms: 2_000, ..SMALL };
    let Some(metrics) = check(case).await else { return };
    // Two seconds are 100 packets; both ways, and SIPp is no precise clock.
    let relayed = total(&metrics, "calmline_media_packets_relayed_total");
    assert!(relayed > f64::from(CALLS) * 2.0 * 90.0, "only {relayed} packets were relayed");
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
    let terms = Terms { policy: Some(CARD), ..at(8) };
    let Some(metrics) = check(Case { terms, caller: "uac_keys", ..SMALL }).await else { return };
    let decided = |rule: &str| metrics.contains(&format!("calmline_decisions_total{{rule=\"{rule}\"}} 3"));
    // The bot sends back whatever comes as RTP, also the events that the keys become on its side.
    assert!(metrics.contains("calmline_keys_total{party=\"caller\",way=\"info\"} 15"), "{metrics}");
    assert!(decided("card") && decided("typed") && !metrics.contains("rule=\"peeked\""), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_makes_no_offer() {
    check(Case { terms: at(9), caller: "uac_late_offer", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_media_that_both_sides_acknowledge() {
    check(Case { terms: at(10), caller: "uac_prack", bot: Some("uas_prack"), ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_timers() {
    check(Case { terms: at(11), caller: "uac_refresh", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fax_and_video_are_declined_and_the_call_goes_on() {
    check(Case { terms: at(12), caller: "uac_fax_and_video", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untrusted_bot_is_not_told_who_hides() {
    check(Case { terms: at(13), caller: "uac_identity", bot: Some("uas_untrusted"), ..SMALL }).await;
}

/// The bot refreshes the session, where we have offered a timer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_refreshes_the_session() {
    let terms = Terms { limits: "session_expires_s = 90\n", ..at(14) };
    check(Case { terms, bot: Some("uas_refreshes"), stays_ms: 1_500, ..SMALL }).await;
}

/// We follow no 302 of a bot: whoever calls is told that nobody is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_redirects_has_no_call() {
    check(Case { terms: at(15), caller: "uac_nobody", bot: Some("uas_redirects"), answered: 0, ..SMALL }).await;
}

/// What the server says by itself, to requests that begin no call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_questions_and_refusals() {
    for (place, caller) in (16..).zip(["uac_options", "uac_register", "uac_no_hops", "uac_bad_extension"]) {
        check(Case { terms: at(place), caller, bot: None, begun: 0, answered: 0, ..SMALL }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_whose_calls_go_past_the_server() {
    let terms = Terms { route: "bypass = \"always\"\n", ..at(20) };
    let case = Case { terms, caller: "uac_redirected", bot: None, begun: 0, answered: 0, ..SOME };
    let Some(metrics) = check(case).await else { return };
    assert_eq!(total(&metrics, "calmline_calls_redirected_total"), 45.0, "{metrics}");
}

/// Who is asked proves it, in both directions: SIPp knows digest by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digest_both_ways() {
    let trunk = "authentication = { user = \"them\", password_file = \"trunk.password\", realm = \"calmline\", \
                 algorithms = [\"MD5\"] }\ncredentials = { user = \"us\", password_file = \"trunk.password\" }";
    let terms = Terms { trunk, ..at(21) };
    check(Case { terms, caller: "uac_authenticated", bot: Some("uas_challenges"), ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_that_cross_are_made_again() {
    check(Case { terms: at(22), caller: "uac_glare", bot: Some("uas_recodes"), ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_and_resume_by_update() {
    check(Case { terms: at(24), caller: "uac_update", ..SMALL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_bot_that_answers_is_hung_up() {
    check(Case { terms: at(25), bot: Some("uas_forks"), ..SMALL }).await;
}

/// The bot sends the caller to the human, plainly or in the place of a call: SIPp is called twice, and plays both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_refers_the_caller() {
    for (place, bot) in [(27, "uas_refers"), (28, "uas_refers_attended")] {
        let Some(scene) = Scene::set(&Carrier::ALL, at(place)).await else { return };
        let run = |scenario, calls| Run { scenario, calls, rate: 10, stays_ms: 2_000, transport: "" };
        scene.play(run("uac_basic", 1), Some(run(bot, 2))).await;
        let metrics = scene.end().await;
        let moved = "calmline_reroutes_total{via=\"referred\",outcome=\"done\"} 3";
        assert!(metrics.contains(moved), "no {moved} in {metrics}");
    }
}

/// The caller sends the bot to the human.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_refers_the_bot() {
    let Some(scene) = Scene::set(&Carrier::ALL, at(29)).await else { return };
    let run = |scenario| Run { scenario, calls: 1, rate: 10, stays_ms: 0, transport: "" };
    let mut runs = Vec::new();
    for way in &scene.ways {
        runs.push(("uas_answer", way.answer(way.bot, run("uas_answer"))));
        runs.push(("uas_hangs_up", way.answer(way.human, run("uas_hangs_up"))));
    }
    listening(scene.ways.iter().flat_map(|way| [way.bot, way.human])).await;
    for way in &scene.ways {
        let elsewhere = ["-key", "elsewhere", &way.human_at].map(str::to_owned);
        runs.push(("uac_refers", way.call(run("uac_refers"), elsewhere.into())));
    }
    finish(runs).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_ipv6() {
    if !runner::is_there() {
        return;
    }
    let authority = Authority::new("sipp-six");
    let ways = scene::ways(&[Carrier::Udp, Carrier::Tcp], Ipv6Addr::LOCALHOST.into(), &authority).await;
    let scene = Scene::start(ways, authority, at(33));
    let run = |scenario| Run { scenario, calls: 5, rate: 10, stays_ms: 300, transport: "" };
    scene.play(run("uac_basic"), Some(run("uas_answer"))).await;
    let metrics = scene.end().await;
    assert_eq!(total(&metrics, "calmline_calls_answered_total"), 10.0, "{metrics}");
    assert!(total(&metrics, "calmline_media_packets_relayed_total") > 10.0 * 10.0, "audio went both ways: {metrics}");
}

/// We register at a trunk that asks for no proof, and at one that does, and take it back in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_is_registered_at() {
    for (place, registrar) in [(30, "uas_registrar"), (31, "uas_registrar_digest")] {
        if !runner::is_there() {
            return;
        }
        let authority = Authority::new(&format!("sipp-{registrar}"));
        let ways = scene::ways(&Carrier::ALL, Ipv4Addr::LOCALHOST.into(), &authority).await;
        let run = Run { scenario: registrar, calls: 1, rate: 10, stays_ms: 0, transport: "" };
        let runs = ways.iter().map(|way| (registrar, way.answer(way.bot, run))).collect();
        listening(ways.iter().map(|way| way.bot)).await;
        let scene = Scene::start(ways, authority, Terms { registers: true, ..at(place) });
        let registered = "calmline_trunk_registration_up";
        until("three registrations", || (total(&scene.metrics(), registered) == 3.0).then_some(())).await;
        scene.end().await;
        finish(runs).await;
    }
}

/// Each bot asks for no calls after the first one, in either way; the next target has all of them, and whoever calls and
/// asks hears that we have nothing to keep back ourselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_wants_no_calls_gets_none_meanwhile() {
    for (place, bot, reason) in [(32, "uas_overloaded", "feedback"), (34, "uas_closed", "retry_after")] {
        let terms = Terms { trunk: "overload_feedback = true", human_is_next: true, ..at(place) };
        let Some(scene) = Scene::set(&Carrier::ALL, terms).await else { return };
        let run = |scenario, calls| Run { scenario, calls, rate: 4, stays_ms: 200, transport: "" };
        let humans = scene.ways.iter().map(|way| ("uas_answer", way.answer(way.human, run("uas_answer", 5)))).collect();
        listening(scene.ways.iter().map(|way| way.human)).await;
        scene.play(run("uac_feedback", 5), Some(run(bot, 1))).await;
        finish(humans).await;
        let restrained = total(&scene.metrics(), "calmline_sip_servers_restrained_active");
        let metrics = scene.end().await;
        let kept_back = format!("calmline_sip_invites_kept_back_total{{reason=\"{reason}\"}} 12");
        assert!(metrics.contains(&kept_back), "no {kept_back} in {metrics}");
        assert_eq!((restrained, total(&metrics, "calmline_calls_answered_total")), (3.0, 15.0), "{metrics}");
    }
}

/// The place whose ports the scenarios of bypass know: 8300-8499.
const BYPASS_PLACE: u16 = 23;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_goes_past_the_server_and_back_or_stays_where_it_was() {
    for (bot, told) in [("uas_bypass", ["bypassed", "bypass_ended"]), ("uas_refuses_bypass", ["bypass_failed"; 2])] {
        let Some(scene) = Scene::set(&Carrier::ALL, at(BYPASS_PLACE)).await else { return };
        let one = |scenario| Run { scenario, calls: 1, rate: 10, stays_ms: 0, transport: "" };
        let act = async {
            let calls = until("the calls", || Some(active(&scene)).filter(|calls| calls.len() == 3)).await;
            for call in calls {
                let path = format!("/v1/calls/{call}");
                let is_told = |kind: &str| {
                    let record = scene.api(&path);
                    record["events"].as_array()?.iter().any(|event| event["type"] == kind).then_some(())
                };
                until("the answer", || is_told("call_answered")).await;
                // The answer is told before the caller has confirmed it.
                until("the ACK", || match scene.ask("POST", &format!("{path}/bypass")) {
                    (409, why) if why.contains("has not confirmed") => None,
                    (202, _) => Some(()),
                    refused => panic!("{path}: {refused:?}"),
                })
                .await;
                until(told[0], || is_told(told[0])).await;
                if told[1] == "bypass_ended" {
                    scene.order("DELETE", &format!("{path}/bypass"));
                }
                until(told[1], || is_told(told[1])).await;
            }
        };
        tokio::join!(scene.play(one("uac_bypass"), Some(one(bot))), act);
        scene.end().await;
    }
}

/// The calls that are up.
fn active(scene: &Scene) -> Vec<String> {
    let answer = scene.api("/v1/calls?state=active");
    let calls = answer["calls"].as_array().into_iter().flatten();
    calls.filter_map(|call| Some(call["id"].as_str()?.to_owned())).collect()
}

/// Waits until something is there.
async fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "{what} never comes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The usual server, at a place among the media ports.
const fn at(place: u16) -> Terms {
    Terms { place, ..SMALL.terms }
}

/// Runs a case over all its carriers at once; the server's figures at the end.
async fn check(case: Case) -> Option<String> {
    let scene = Scene::set(case.carriers, case.terms).await?;
    let run = |scenario| Run { scenario, calls: case.calls, rate: 10, stays_ms: case.stays_ms, transport: "" };
    scene.play(run(case.caller), case.bot.map(run)).await;
    let metrics = scene.end().await;
    let counted = |name: &str| total(&metrics, name) / case.carriers.len() as f64;
    assert_eq!(counted("calmline_calls_started_total"), f64::from(case.begun), "{metrics}");
    assert_eq!(counted("calmline_calls_answered_total"), f64::from(case.answered), "{metrics}");
    assert_eq!(counted("calmline_calls_ended_total"), f64::from(case.begun), "{metrics}");
    assert_eq!(counted("calmline_calls_active"), 0.0, "{metrics}");
    assert_eq!(counted("calmline_media_packets_lost_total"), 0.0, "{metrics}");
    Some(metrics)
}
