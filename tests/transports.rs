//! The program as it is shipped, with what carries SIP: browsers' WebSockets, certificates that change, connections that
//! break, a restart that refuses none, a name server that falls silent, a trunk that is down, and strangers that fail2ban has to find in the log.
//!
//! The bot is SIPp; without `sipp`, tests that call it say so and pass.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use calmline::demo::server::{self, Plan, Server};
use serde_json::Value;

use authority::Authority;
use dns::Dns;
use runner::Run;
use rustls::ClientConfig;
use wire::{Phone, Words, value};

// Shared with the SIP side's own tests.
#[path = "../src/shell/sip/tests/authority.rs"]
#[expect(dead_code, reason = "other tests need servers too")]
mod authority;
#[path = "../src/shell/sip/tests/dns.rs"]
#[expect(dead_code, reason = "other tests need more kinds of records")]
mod dns;
#[path = "../src/shell/sip/tests/sipp.rs"]
#[expect(dead_code, reason = "other tests have SIPp call")]
mod runner;
#[path = "../src/shell/sip/tests/wire.rs"]
#[expect(dead_code, reason = "other tests are called")]
mod wire;

/// How long something may take on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// SIPp as the bot, for one call.
const BOT: Run = Run { scenario: "uas_answer", calls: 1, rate: 10, stays_ms: 0, transport: "u1" };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browsers_call_outlives_new_certificates() {
    if !runner::is_there() {
        return;
    }
    let stage = Stage::set("certificates", |_| String::new());
    let bot = runner::answer(stage.bot, BOT);
    let client = || stage.authority.client(None, &rustls::version::TLS13);
    let (browser, before) = Phone::tls(stage.secure_web, client()).await.expect("a greeting");
    let mut browser = browser.web("sip", "https://desk.example").await.expect("a WebSocket");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tag = call(&mut browser, Words::over("wss")).await;
    stage.wait_for_calls(1);

    stage.authority.install("us.example");
    let since = Instant::now();
    while Phone::tls(stage.secure, client()).await.expect("a greeting").1 == before {
        assert!(since.elapsed() < LONG, "the new certificate never came");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.wait_for_metric("calmline_sip_certificates_total{outcome=\"loaded\"} 1");
    stage.wait_for_calls(1);
    hang_up(&mut browser, Words::over("wss"), &tag).await;
    runner::finish("uas_answer", bot).await;
    stage.wait_for_calls(0);
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlives_its_connection() {
    if !runner::is_there() {
        return;
    }
    let stage = Stage::set("reset", |_| String::new());
    let bot = runner::answer(stage.bot, BOT);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let client = || stage.authority.client(None, &rustls::version::TLS12);
    let mut phone = Phone::tls(stage.secure, client()).await.expect("a greeting").0;
    let tag = call(&mut phone, Words::over("tls")).await;
    drop(phone);
    stage.wait_for_metric("calmline_sip_connections_active 0");
    stage.wait_for_calls(1);
    let mut phone = Phone::tls(stage.secure, client()).await.expect("a greeting").0;
    hang_up(&mut phone, Words::over("tls"), &tag).await;
    runner::finish("uas_answer", bot).await;
    stage.wait_for_calls(0);
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_find_their_target_while_the_dns_is_gone() {
    if !runner::is_there() {
        return;
    }
    let dns = Dns::start().await;
    let stage = Stage::set("dns", |bot| {
        dns.naptr("bots.example", 1, "SIP+D2U", "_sip._udp.bots.example");
        dns.srv("_sip._udp.bots.example", 1, bot.port(), "one.bots.example");
        dns.host("one.bots.example", bot.ip());
        format!("dns = [\"{}\"]\n", dns.address)
    });
    for (number, is_gone) in [(1, false), (2, true)] {
        dns.set_gone(is_gone);
        let words = Words { call: number, ..Words::over("tcp") };
        let bot = runner::answer(stage.bot, BOT);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut phone = Phone::tcp(stage.plain).await;
        let tag = call(&mut phone, words).await;
        hang_up(&mut phone, words, &tag).await;
        runner::finish("uas_answer", bot).await;
        stage.wait_for_calls(0);
    }
    stage.wait_for_metric("calmline_dns_troubles_total{outcome=\"remembered\"}");
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_target_takes_the_calls_of_a_trunk_that_is_down() {
    if !runner::is_there() {
        return;
    }
    let stage = Stage::set("down", |_| String::new());
    let ready = stage.readiness(|ready| ready["trunks"]["carrier"] == "down");
    assert_eq!(ready["status"], "degraded");
    stage.wait_for_metric("calmline_trunk_up{trunk=\"carrier\"} 0");
    let bot = runner::answer(stage.bot, BOT);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let since = Instant::now();
    let mut phone = Phone::tcp(stage.plain).await;
    let tag = call(&mut phone, Words { user: "queue", ..Words::over("tcp") }).await;
    assert!(since.elapsed() < Duration::from_secs(5), "the trunk was waited for");
    hang_up(&mut phone, Words::over("tcp"), &tag).await;
    runner::finish("uas_answer", bot).await;
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_refuses_no_connection() {
    let authority = Authority::new("transports-restart");
    authority.install("us.example");
    for transport in ["tcp", "tls", "ws", "wss"] {
        let [sip, web] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        let [sip_at, web_at] = [&sip, &web].map(|listener| listener.local_addr().expect("it is bound"));
        let mut plan = Plan::for_loopback().expect("loopback has free ports");
        let file = |name: &str| authority.folder.join(name).display().to_string();
        let listen = format!(
            "listen = [\"{transport}://{sip_at}\"]\n[sip.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            file("us.pem"),
            file("us.key"),
        );
        plan.configuration = plan
            .configuration
            .replacen(&format!("listen = \"{}\"\n", plan.addresses.sip), &listen, 1)
            .replace(&plan.addresses.web.to_string(), &web_at.to_string())
            .replace("enabled = true", "enabled = false");
        plan.addresses.web = web_at;
        let start = || {
            let mut command = Command::new("sh");
            command.arg("-c").arg(LAUNCHER).arg(env!("CARGO_BIN_EXE_calmline"));
            command.stdin(OwnedFd::from(sip.try_clone().expect("a descriptor")));
            command.stdout(OwnedFd::from(web.try_clone().expect("a descriptor")));
            Server::start_by(command, &authority.folder.join(transport), &plan, &[]).expect("a server")
        };
        let client = authority.client(None, &rustls::version::TLS13);
        let mut first = start();
        ask(transport, sip_at, client.clone()).await;
        first.signal();
        assert_eq!(first.wait().expect("it ends").code(), Some(0), "{transport}");
        // Nobody is there, and nobody is refused: the socket takes the connection, and what is said on it waits.
        let asking = tokio::spawn(ask(transport, sip_at, client));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!asking.is_finished(), "{transport}: who answers?");
        let second = start();
        asking.await.expect("the new process answers");
        second.stop().expect("it ends");
    }
}

/// Starts the program as systemd would: its sockets are the descriptors from 3 on.
const LAUNCHER: &str = "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"";

/// Connects and asks by OPTIONS until there is an answer.
async fn ask(transport: &'static str, to: SocketAddr, client: Arc<ClientConfig>) {
    let mut phone = match transport {
        "tls" | "wss" => Phone::tls(to, client).await.expect("a greeting").0,
        _ => Phone::tcp(to).await,
    };
    if transport.starts_with("ws") {
        phone = phone.web("sip", "https://desk.example").await.expect("a WebSocket");
    }
    phone.say(&Words::over(transport).with("OPTIONS", 1)).await;
    phone.receive("SIP/2.0 200 ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail2ban_finds_strangers_in_the_log() {
    let stage = Stage::set("strangers", |_| "trusted = [\"192.0.2.0/24\"]\n".to_owned());
    let scanner = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = scanner.local_addr().expect("it is bound");
    for number in 0..5 {
        let message = format!(
            "REGISTER sip:us SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:100@us>;tag=1\r\nTo: <sip:100@us>\r\nCall-ID: {number}\r\nCSeq: 1 REGISTER\r\n\
             User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
        );
        scanner.send_to(message.as_bytes(), stage.plain).expect("loopback takes it");
    }
    stage.wait_for_metric("calmline_sip_refused_total{reason=\"unknown_source\"} 5");
    scanner.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(scanner.recv(&mut [0; 100]).is_err(), "a stranger was answered");

    let log = std::fs::read_to_string(stage.folder.join("server.log")).expect("a log");
    let line = log.lines().find(|line| line.contains("refused source=127.0.0.1 ")).expect("a line");
    assert!(line.ends_with("transport=udp method=REGISTER reason=unknown_source"), "{line}");
    let filter = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/fail2ban/filter.d/calmline.conf");
    match Command::new("fail2ban-regex").arg(stage.folder.join("server.log")).arg(filter).output() {
        Ok(output) => {
            let report = String::from_utf8_lossy(&output.stdout);
            assert!(report.contains("Failregex: 5 total"), "{report}");
        }
        Err(_) => skipped("the program `fail2ban-regex` is missing (Debian package fail2ban)"),
    }
    stage.end();
}

#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// The server, and what is around it.
struct Stage {
    server: Server,
    authority: Authority,
    folder: PathBuf,
    plain: SocketAddr,
    secure: SocketAddr,
    secure_web: SocketAddr,
    bot: SocketAddr,
}

impl Stage {
    /// Starts a server; `more` are further lines of `[sip]`. Calls to `queue` have a trunk as first target that nobody
    /// is at; all others go to the bot.
    fn set(name: &str, more: impl FnOnce(SocketAddr) -> String) -> Self {
        let authority = Authority::new(&format!("transports-{name}"));
        authority.install("us.example");
        let mut plan = Plan::for_loopback().expect("loopback has free ports");
        let (plain, bot) = (plan.addresses.sip, runner::free_address());
        let [secure, secure_web, nobody] = [(); 3].map(|()| runner::free_address());
        let more = more(bot);
        let is_named = more.starts_with("dns");
        let file = |name: &str| authority.folder.join(name).display().to_string();
        let sip = format!(
            "listen = [\"{plain}\", \"tcp://{plain}\", \"tls://{secure}\", \"wss://{secure_web}\"]\n{more}\
             [sip.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nauthorities = \"{}\"\nreload_s = 1\n\n\
             [trunks.carrier]\nuri = \"sip:{nobody};transport=tcp\"\nhealth_s = 1\n\n\
             [targets.queue]\nuri = \"sip:queue@{nobody};transport=tcp\"\ntrunk = \"carrier\"\n",
            file("us.pem"),
            file("us.key"),
            file("authority.pem"),
        );
        let mut configuration = plan.configuration.replacen(&format!("listen = \"{plain}\"\n"), &sip, 1);
        let target = if is_named { "sip:bot@bots.example".to_owned() } else { format!("sip:bot@{bot}") };
        configuration = configuration.replace(&format!("sip:bot@{}", plan.addresses.bot), &target);
        let routes = configuration.find("[[route]]").expect("a route");
        configuration.truncate(routes);
        configuration += "[[route]]\nname = \"queue\"\nmatch = { request_uri = \"sip:queue@*\" }\n\
                          targets = [\"queue\", \"bot\"]\nscenario = \"after-sales\"\n\n\
                          [[route]]\nname = \"all\"\ntargets = [\"bot\"]\nscenario = \"after-sales\"\n";
        plan.configuration = configuration;
        let folder = authority.folder.join("server");
        let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &folder, &plan, &[]);
        Self { server: server.expect("the server starts"), authority, folder, plain, secure, secure_web, bot }
    }

    fn get(&self, path: &str) -> String {
        server::get(self.server.addresses.web, path, &self.server.token).expect("the API answers")
    }

    fn wait_for_calls(&self, count: usize) {
        eventually("calls", || {
            let answer: Value = serde_json::from_str(&self.get("/v1/calls?state=active")).expect("JSON");
            answer["calls"].as_array().map(Vec::len) == Some(count)
        });
    }

    fn wait_for_metric(&self, line: &str) {
        eventually(line, || self.get("/metrics").contains(line));
    }

    /// What `/readyz` says as soon as it is what is waited for.
    fn readiness(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut ready = Value::Null;
        eventually("readiness", || {
            ready = serde_json::from_str(&self.get("/readyz")).expect("JSON");
            is_it(&ready)
        });
        ready
    }

    fn end(self) {
        self.server.stop().expect("the server ends as it should");
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LONG, "never came: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Calls, and is answered; what everything else in this call has to carry in To.
async fn call(phone: &mut Phone, words: Words<'_>) -> String {
    phone.say(&words).await;
    let answer = phone.receive("SIP/2.0 200 ").await;
    let to = value(&answer, "To");
    let tag = to[to.find(";tag=").expect("a tag")..].to_owned();
    phone.say(&Words { tag: &tag, ..words.with("ACK", 1) }).await;
    tag
}

/// Ends a call.
async fn hang_up(phone: &mut Phone, words: Words<'_>, tag: &str) {
    phone.say(&Words { tag, ..words.with("BYE", 2) }).await;
    phone.receive("SIP/2.0 200 ").await;
}
