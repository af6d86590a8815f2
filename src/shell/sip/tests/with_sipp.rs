//! Whole calls through the SIP side, with SIPp at both ends.

use std::time::Duration;

use super::bridge::Bridge;
use super::phone::options;
use super::sipp::{self, Run};
use crate::control::SipEvent;
use crate::settings::UnknownSources;
use crate::shell::sip::{SipOptions, SipTransport};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_call() {
    check("uac_basic", Some("uas_answer"), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls() {
    check("uac_basic", Some("uas_answer"), 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_gives_up() {
    let events = check("uac_cancel", Some("uas_never_answers"), 1).await;
    assert!(events.iter().any(|event| matches!(event, SipEvent::Cancelled { .. })));
    assert!(events.iter().any(|event| matches!(event, SipEvent::Failed { code: 487, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy() {
    let events = check("uac_busy", Some("uas_busy"), 1).await;
    assert!(events.iter().any(|event| matches!(event, SipEvent::Failed { code: 486, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_and_resume() {
    let events = check("uac_hold", Some("uas_answer"), 1).await;
    let offers = events.iter().filter(|event| matches!(event, SipEvent::Offer { .. })).count();
    assert_eq!(offers, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_changes_the_session_at_once() {
    let events = check("uac_basic", Some("uas_reinvite"), 20).await;
    let offers = events.iter().filter(|event| matches!(event, SipEvent::Offer { .. })).count();
    assert_eq!(offers, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_bye() {
    check("uac_hung_up", Some("uas_hangs_up"), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bye_right_after_the_answer() {
    check("uac_quick_bye", Some("uas_answer"), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_questions_and_refusals() {
    for scenario in ["uac_options", "uac_register", "uac_no_hops", "uac_bad_extension"] {
        let events = check(scenario, None, 1).await;
        assert_eq!(events, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused() {
    let mut strangers = options(&[SipTransport::Udp], None);
    strangers.settings.trusted = Vec::new();
    strangers.settings.unknown_sources = UnknownSources::Forbidden;
    let events = check_with("uac_stranger", None, 1, strangers).await;
    assert_eq!(events, []);
}

/// Runs SIPp as `caller` against the bridge and, when named, SIPp as the `bot` behind it.
async fn check(caller: &'static str, bot: Option<&'static str>, calls: u32) -> Vec<SipEvent> {
    check_with(caller, bot, calls, options(&[SipTransport::Udp], None)).await
}

async fn check_with(caller: &'static str, bot: Option<&'static str>, calls: u32, options: SipOptions) -> Vec<SipEvent> {
    if !sipp::is_there() {
        return Vec::new();
    }
    let target = sipp::free_address();
    let bridge = Bridge::start(target, options).await;
    let run = |scenario| Run { scenario, calls, rate: 10, stays_ms: 300, transport: "u1" };
    let bot = bot.map(|scenario| (scenario, sipp::answer(target, run(scenario))));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let caller_run = sipp::call(bridge.sip.local_addr(), run(caller), Vec::new());
    sipp::finish(caller, caller_run).await;
    if let Some((scenario, bot)) = bot {
        sipp::finish(scenario, bot).await;
    }
    bridge.settle().await;
    bridge.events()
}
