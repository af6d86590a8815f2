//! The sample for Asterisk in the lab's Asterisk: a caller asks for a human; and calls while Calmline is away.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use calmline::demo::server::{Plan, Server};
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan, Phones};
use loadtest::phone::Event;

use crate::lab::{ASTERISK, Lab, SETTLED_WITHIN};
use crate::samples::{copy_folder, secrets};
use crate::{LONG, PROGRAM, eventually, folder, loopback, sample};

/// The addresses of the samples, and what they are here.
const ADDRESSES: [(&str, &str); 6] = [
    ("192.0.2.10", "127.0.0.1"),
    ("192.0.2.20", "127.0.0.20"),
    ("192.0.2.31", "127.0.0.31"),
    ("192.0.2.32", "127.0.0.32"),
    ("192.0.2.40", "127.0.0.40"),
    ("198.51.100.7", "127.0.0.7"),
];
const CALMLINE: SocketAddr = loopback(20, 5060);
const AGENTS: [SocketAddr; 2] = [loopback(31, 5060), loopback(32, 5060)];
const BOT: SocketAddr = loopback(40, 5060);
const CARRIER: SocketAddr = loopback(7, 5060);
/// What an operator writes in place of the samples' secret.
const SECRET: &str = "change-me";

#[test]
fn a_caller_asks_for_a_human_and_calls_outlive_calmline() {
    let lab = match Lab::up_with(&[CALMLINE, AGENTS[0], AGENTS[1], BOT, CARRIER], of_the_sample) {
        Ok(lab) => lab,
        Err(why) => return println!("skipped: {why}"),
    };
    let server = start_server();
    let phones = Phones::start().expect("a thread");
    let phone = |bind, user: &str| {
        let plan = PhonePlan { user: user.to_owned(), audio: Audio::tone(1_000, 0.3), ..PhonePlan::new(bind) };
        phones.add(plan).expect("its port is free")
    };
    let bot = phone(BOT, "bot");
    let agents = [phone(AGENTS[0], "agent1"), phone(AGENTS[1], "agent2")];
    let carrier = phone(CARRIER, "carrier");
    eventually("Asterisk reaches Calmline", || contact(&lab).contains("Avail"));

    // Through Calmline to the bot, and to the queue by AMI.
    carrier.call(&format!("sip:4000@{ASTERISK}"), &[]).expect("an order");
    expect(&bot, "the bot's answer", |event| *event == Event::Answered);
    expect(&carrier, "the caller's answer", |event| *event == Event::Answered);
    carrier.press("0").expect("an order");
    until_one_answers(&agents);
    expect(&bot, "the bot's BYE", |event| matches!(event, Event::Bye { .. }));
    eventually("Calmline is out of the path", || !lab.channels().contains("PJSIP/calmline-"));
    assert_eq!(carrier.calls_open(), 1, "the caller's call is still the same one");
    let channel = lab
        .channels()
        .lines()
        .find_map(|line| line.split('!').find(|it| it.starts_with("PJSIP/carrier-")).map(str::to_owned));
    let shown = lab.ask(&format!("core show channel {}", channel.expect("the caller's channel")));
    for variable in ["QUEUE_PRIO=10", "CALMLINE_RULE=asks-for-a-human"] {
        assert!(shown.contains(variable), "{variable} in\n{shown}");
    }
    over(&lab, &carrier);

    // Calmline is away: past it.
    server.stop().expect("the server ends as it should");
    eventually("Asterisk knows that Calmline is away", || contact(&lab).contains("Unavail"));
    carrier.call(&format!("sip:4000@{ASTERISK}"), &[]).expect("an order");
    until_one_answers(&agents);
    over(&lab, &carrier);
}

/// A file of the lab's configuration, or the sample's in its place, with addresses of loopback.
fn of_the_sample(name: &str, text: String) -> String {
    let text = fs::read_to_string(sample("asterisk").join(name)).unwrap_or(text);
    // A connection to an address of loopback comes from that address.
    let text = if name == "manager.conf" { text.replace("permit=192.0.2.20", "permit=127.0.0.1") } else { text };
    here(text)
}

fn here(text: String) -> String {
    ADDRESSES.iter().fold(text, |text, (there, here)| text.replace(there, here))
}

/// The program with the sample's configuration and policies.
fn start_server() -> Server {
    let out = folder("asterisk");
    let text = here(fs::read_to_string(sample("asterisk/calmline.toml")).expect("the sample"));
    let mut plan = Plan::for_loopback().expect("free ports");
    let web = plan.addresses.web;
    plan.addresses.sip = CALMLINE;
    plan.configuration = text
        .replace("../../prompts", "prompts")
        .replace("127.0.0.1:8080", &web.to_string())
        .replace("token_file = \"api.token\"", "token_env = \"CALMLINE_TOKEN\"");
    copy_folder(&sample("asterisk/policies"), &out.join("config/own"));
    for name in secrets(&plan.configuration) {
        fs::write(out.join("config").join(name), SECRET).expect("a file");
    }
    // The server brings the shipped policy along; here the sample's own is the one.
    plan.configuration = plan.configuration.replace("folder = \"policies\"", "folder = \"own\"");
    Server::start(Path::new(PROGRAM), &out, &plan, &[]).expect("a server")
}

/// How Asterisk sees Calmline.
fn contact(lab: &Lab) -> String {
    let said = lab.ask("pjsip show contacts");
    said.lines().filter(|line| line.contains("calmline")).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn expect(phone: &PhoneHandle, what: &str, wanted: impl Fn(&Event) -> bool) {
    assert!(phone.wait_for(LONG, wanted).is_some(), "{what} did not come");
}

#[track_caller]
fn until_one_answers(agents: &[PhoneHandle]) {
    let short = Duration::from_millis(50);
    eventually("an agent answers", || {
        agents.iter().any(|agent| agent.wait_for(short, |event| *event == Event::Answered).is_some())
    });
}

fn over(lab: &Lab, carrier: &PhoneHandle) {
    carrier.hang_up().expect("an order");
    let since = std::time::Instant::now();
    while !lab.channels().trim().is_empty() {
        assert!(since.elapsed() < SETTLED_WITHIN, "Asterisk keeps {}", lab.channels());
    }
}
