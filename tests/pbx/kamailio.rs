//! Kamailio in front of two nodes, of which one is killed under calls and comes back.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use calmline::demo::server::{Plan, Server};
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan, Phones};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::runner::{self, Run};
use crate::{LONG, PROGRAM, eventually, folder, metric, sample};

/// SIPp as the callers: ten calls a second, each up for a second.
const CALLS: Run = Run { scenario: "uac_proxied", calls: 60, rate: 10, stays_ms: 1_000, transport: "u1" };
/// How long calls are made before a node is killed.
const BEFORE: Duration = Duration::from_millis(2_500);
/// Calls that the bot can have at a time, with those whose end it never hears of.
const LINES: usize = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_killed_under_calls_and_comes_back() {
    if !runner::is_there() || !is_there() {
        return;
    }
    let phones = Phones::start().expect("a thread");
    let plan = PhonePlan { lines: LINES, ..PhonePlan::new(runner::free_address()) };
    let bot = phones.add(PhonePlan { user: "bot".to_owned(), audio: Audio::tone(1_000, 0.3), ..plan }).expect("a port");
    let plans = [(); 2].map(|()| plan_of_node(&bot));
    let [first, second] = [0, 1].map(|number| start(number, &plans[number]));
    let proxy = Kamailio::start(&plans.each_ref().map(|plan| plan.addresses.sip));

    // Under calls.
    let callers = runner::call(proxy.address, CALLS, Vec::new());
    sleep(BEFORE);
    let up = metric(&first, "calmline_calls_active");
    drop(first);
    let [through, lost] = outcome(&callers.await.expect("SIPp's thread does not panic"));
    println!(
        "a node was killed with {up} calls on it: of {} calls {through} went through, {lost} were lost",
        CALLS.calls
    );
    assert_eq!(through + lost, CALLS.calls);
    // Besides what is up, only a call that had its 100 and not yet its answer can go with its node.
    assert!(up > 0.0 && (1..=up as u32 + 2).contains(&lost), "{lost} lost, {up} were up");
    eventually("the other node's calls are over", || metric(&second, "calmline_calls_active") == 0.0);
    // A request that reached the wrong node would have left a call behind, or lost one.
    assert_eq!(ended(&second), metric(&second, "calmline_calls_started_total"));

    // Back again.
    let first = start(0, &plans[0]);
    let few = Run { calls: 6, rate: 20, stays_ms: 100, ..CALLS };
    let before = metric(&second, "calmline_calls_started_total");
    for _ in 0..LONG.as_secs() {
        let output = runner::call(proxy.address, few, Vec::new()).await.expect("SIPp's thread does not panic");
        assert_eq!(outcome(&output), [few.calls, 0], "a node that comes back loses no call");
        if ended(&first) > 0.0 {
            break;
        }
        sleep(Duration::from_millis(500));
    }
    assert!(ended(&first) > 0.0, "the node that came back gets no calls");
    assert!(metric(&second, "calmline_calls_started_total") > before, "the other one has its share");
    for server in [first, second] {
        eventually("no call is left", || metric(&server, "calmline_calls_active") == 0.0);
        server.stop().expect("the server ends as it should");
    }
}

#[test]
fn kamailio_takes_the_configuration() {
    if !is_there() {
        return;
    }
    let output = Command::new("kamailio").args(["-c", "-f"]).arg(sample("kamailio/kamailio.cfg")).output();
    let output = output.expect("the program was there a moment ago");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("config file ok"), "{said}");
}

/// False, and said aloud, when Kamailio is missing.
fn is_there() -> bool {
    let found = Command::new("kamailio").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: the program `kamailio` is missing (Debian package kamailio)");
    }
    found
}

/// A node as the sample has it, as far as this machine is one.
fn plan_of_node(bot: &PhoneHandle) -> Plan {
    let mut plan = Plan::for_loopback().expect("free ports");
    let of_the_plan = format!("sip:bot@{}", plan.addresses.bot);
    plan.configuration = plan.configuration.replace(&of_the_plan, bot.uri());
    plan.configuration = plan.configuration.replace("match = { request_uri = \"sip:support@*\" }\n", "");
    plan
}

fn start(number: usize, plan: &Plan) -> Server {
    let folder = folder(&format!("kamailio/node-{number}"));
    Server::start(Path::new(PROGRAM), &folder, plan, &[]).expect("a server")
}

fn ended(server: &Server) -> f64 {
    metric(server, "calmline_calls_ended_total")
}

/// Calls that went as the scenario says, and those that did not: the last table that SIPp prints.
fn outcome(output: &Output) -> [u32; 2] {
    let text = String::from_utf8_lossy(&output.stdout);
    ["Successful call", "Failed call"].map(|name| {
        let line = text.lines().rev().find(|line| line.trim_start().starts_with(name));
        let value = line.and_then(|line| line.rsplit('|').next()?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}{}", String::from_utf8_lossy(&output.stderr)))
    })
}

/// A Kamailio with the sample's configuration; ended with this.
struct Kamailio {
    address: SocketAddr,
    process: Child,
}

impl Kamailio {
    fn start(nodes: &[SocketAddr]) -> Kamailio {
        let (folder, address) = (folder("kamailio/proxy"), runner::free_address());
        let list: String = nodes.iter().map(|node| format!("1 sip:{node} 0 0\n")).collect();
        let nodes = folder.join("dispatcher.list");
        fs::write(&nodes, list).expect("a file");
        let log = fs::File::create(folder.join("log")).expect("a file");
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "32", "-M", "8", "-f"]).arg(sample("kamailio/kamailio.cfg"));
        command.args(["-A", &format!("LISTEN=udp:{address}"), "-A", &format!("NODES=\"{}\"", nodes.display())]);
        command.arg("-Y").arg(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("the program was there a moment ago");
        let kamailio = Kamailio { address, process };
        eventually("Kamailio answers", || kamailio.answers());
        kamailio
    }

    /// Whether it answers an OPTIONS.
    fn answers(&self) -> bool {
        let socket = UdpSocket::bind((self.address.ip(), 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let (own, address) = (socket.local_addr().expect("bound"), self.address);
        let request = format!(
            "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKask\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{own}>;tag=ask\r\nTo: <sip:{address}>\r\nCall-ID: ask\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let mut answer = [0; 2_048];
        // Nobody is there yet: the system says so on either call.
        socket.send_to(request.as_bytes(), address).is_ok()
            && socket.recv(&mut answer).is_ok_and(|length| answer[..length].starts_with(b"SIP/2.0 200"))
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its other processes end only when it is told to end, not when it is killed.
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
        let _ = self.process.wait();
    }
}
