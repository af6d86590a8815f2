//! A server that has more to do than it may: new calls are turned away, running ones lose nothing and are led past it
//! where they may be, and it passes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use calmline::demo::server::{Server, get};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::bypass::Call;
use super::phone::{PATIENCE, Phone, description, media_address, packet, server_limited, server_routing, value};

/// Six hundredths of the one processor that the server gets are too much: a server that rests needs one or two of a slow one.
const LIMITS: &str = "retry_after_s = 3\n[limits.overload]\nlate_ms = []\ncpu_percent = [6, 6]\nqueue_percent = []\n\
                      backlog_percent = []\nunsent_percent = []\ncalm_s = 1\n[trunks.pbx]\nsources = [\"127.0.0.1/32\"]";
/// The flood: so many packets, so often; three hundred times what a call sends.
const BURST: u16 = 150;
const PAUSE: Duration = Duration::from_millis(10);

/// Held by whoever floods the one processor: two at a time would overload each other.
static FLOODING: Mutex<()> = Mutex::new(());

#[test]
fn an_overload_turns_new_calls_away_and_passes() {
    let _alone = FLOODING.lock().unwrap_or_else(PoisonError::into_inner);
    let (server, bot_at) = on_one_processor(|| server_limited("overload", "", LIMITS));
    let sip = server.addresses.sip;
    let bot = Phone::at(bot_at, sip, "bot");
    let (busy, calm, far) = (Phone::anywhere(sip, "busy"), Phone::anywhere(sip, "calm"), Phone::anywhere(sip, "far"));
    let (flooded, _) = connect(&busy, &bot, bot.port());
    let (from_caller, from_far) = connect(&calm, &bot, far.port());
    until(&server, "normal");

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flood(&busy, flooded, &is_over));
        until(&server, "overloaded");
        let [late, later] = ["late", "later"].map(|name| Phone::anywhere(sip, name));
        for phone in [&late, &later] {
            phone.invite(&description(phone.port(), "8", ""));
            let refusal = phone.hear("SIP/2.0 503 ");
            assert!(refusal.starts_with("SIP/2.0 503 Overloaded"), "{refusal}");
            let seconds: u64 = value(&refusal, "Retry-After").parse().expect("seconds");
            assert!((3..=6).contains(&seconds), "{refusal}");
        }
        // Whoever asks hears how much of that there is, already when it is tried, and not to stay away altogether.
        let asking = Phone::anywhere(sip, "asking").asking();
        asking.invite(&description(asking.port(), "8", ""));
        let (trying, refusal) = (asking.hear("SIP/2.0 100 "), asking.hear("SIP/2.0 503 "));
        for response in [&trying, &refusal] {
            let via = value(response, "Via");
            assert!(via.contains(";oc=100;oc-algo=\"loss\";oc-validity=2000;oc-seq="), "{response}");
        }
        assert!(!refusal.contains("Retry-After"), "{refusal}");
        for number in 0..50 {
            for (phone, to) in [(&calm, from_caller), (&far, from_far)] {
                let packet = packet(8, number, u32::from(phone.port()), 0x55);
                phone.media.send_to(&packet, to).expect("loopback takes it");
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!([far.heard(), calm.heard()], [50, 50], "a running call loses nothing");
        is_over.store(true, Ordering::Relaxed);
    });

    until(&server, "normal");
    // The way back takes as long as the calm time.
    thread::sleep(Duration::from_millis(1_500));
    let next = Phone::anywhere(sip, "next").asking();
    let (_, _, answer) = connected(&next, &bot, bot.port());
    assert!(value(&answer, "Via").contains(";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq="), "{answer}");
    let figures = metrics(&server);
    for line in [
        "calmline_calls_refused_total{code=\"503\"} 3",
        "calmline_overload_feedback_ratio 0",
        "calmline_calls_started_total 3",
    ] {
        assert!(figures.contains(line), "no {line} in {figures}");
    }
    server.stop().expect("it ends");
}

/// The calm call of a route that allows it goes past the server and comes back; one that refuses stays where it was.
#[test]
fn an_overload_that_lasts_leads_running_calls_past_the_server() {
    let _alone = FLOODING.lock().unwrap_or_else(PoisonError::into_inner);
    let limits = LIMITS.replace("calm_s = 1", "calm_s = 1\nbypass_after_s = 1\nbypass_calm_s = 1");
    let (server, bot_at) = on_one_processor(|| server_routing("relief", "", &limits, "bypass_running = true\n"));
    let sip = server.addresses.sip;
    let mut call = Call::begin(sip, bot_at);
    let (busy, far) = (Phone::anywhere(sip, "busy"), Phone::anywhere(sip, "far"));
    let (flooded, _) = connect(&busy, &call.bot, far.port());
    until(&server, "normal");

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flood(&busy, flooded, &is_over));
        let offer = busy.hear("INVITE ");
        assert_eq!(media_address(&offer).port(), far.port(), "{offer}");
        busy.respond(&offer, 488, "");
        busy.hear("ACK ");
        call.both_agree([call.bot.port(), call.caller.port()]);
        until_shown(&server, "calmline_bypasses_total{outcome=\"done\",by=\"overload\"} 1");
        until_shown(&server, "calmline_bypasses_total{outcome=\"failed\",by=\"overload\"} 1");
        assert_eq!(call.speak(call.directly()), [10, 10], "past the server");
        is_over.store(true, Ordering::Relaxed);
    });

    until(&server, "normal");
    call.both_agree(call.to_server.map(|to| to.port()));
    until_shown(&server, "calmline_bypasses_total{outcome=\"ended\",by=\"overload\"} 1");
    assert_eq!(call.speak(call.to_server), [10, 10], "through the server again");
    server.stop().expect("it ends");
}

/// A call of `caller`, whose far end takes the audio at a port; where the server takes the audio of both.
#[track_caller]
fn connect(caller: &Phone, bot: &Phone, port: u16) -> (SocketAddr, SocketAddr) {
    let (from_caller, from_far, _) = connected(caller, bot, port);
    (from_caller, from_far)
}

/// The same with the answer that the caller got.
#[track_caller]
fn connected(caller: &Phone, bot: &Phone, port: u16) -> (SocketAddr, SocketAddr, String) {
    caller.invite(&description(caller.port(), "8", ""));
    let invite = bot.hear("INVITE ");
    bot.respond(&invite, 200, &description(port, "8", ""));
    let answer = caller.hear("SIP/2.0 200 ");
    caller.request_inside("ACK", 1, &answer, "");
    bot.hear("ACK ");
    (media_address(&answer), media_address(&invite), answer)
}

fn flood(phone: &Phone, to: SocketAddr, is_over: &AtomicBool) {
    let (ssrc, end) = (u32::from(phone.port()), Instant::now() + 2 * PATIENCE);
    let mut number = 0_u16;
    while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
        for _ in 0..BURST {
            phone.media.send_to(&packet(8, number, ssrc, 0x55), to).expect("loopback takes it");
            number = number.wrapping_add(1);
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until that is done about the load.
#[track_caller]
fn until(server: &Server, load: &str) {
    until_shown(server, &format!("calmline_load_info{{load=\"{load}\"}} 1"));
}

/// Waits until the figures have this line.
#[track_caller]
fn until_shown(server: &Server, wanted: &str) {
    let end = Instant::now() + PATIENCE;
    while !metrics(server).contains(wanted) {
        assert!(Instant::now() < end, "no {wanted} in {}", metrics(server));
        // Asked more often, the figures alone would be hundredths of a processor.
        thread::sleep(Duration::from_millis(500));
    }
}

fn metrics(server: &Server) -> String {
    get(server.addresses.web, "/metrics", &server.token).expect("an answer")
}

/// What is started meanwhile may use one processor only, whatever this machine has.
fn on_one_processor<T>(start: impl FnOnce() -> T) -> T {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this).expect("the system tells");
    let first = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu) == Ok(true)).expect("we run on one");
    let mut one = CpuSet::new();
    one.set(first).expect("it is there");
    sched_setaffinity(this, &one).expect("it is ours");
    let started = start();
    sched_setaffinity(this, &all).expect("they were ours");
    started
}
