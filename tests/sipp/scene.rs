//! The program as it is shipped, reached by SIPp over UDP, TCP and TLS at once, with a bot of SIPp behind each.
//!
//! A call that comes over one of them goes on over the same, so that a scenario says the same on both sides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use calmline::demo::server::{self, Plan, Server};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::runner::{self, Run};
use crate::{tunnel, until};

/// How long a call may take to be over once both ends are done with it.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// Even media ports of each server: room for fifty calls at a time.
const MEDIA_PORTS: u16 = 200;

/// What carries SIP on both sides of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Udp,
    Tcp,
    Tls,
}

impl Carrier {
    pub const ALL: [Carrier; 3] = [Carrier::Udp, Carrier::Tcp, Carrier::Tls];

    fn name(self) -> &'static str {
        match self {
            Carrier::Udp => "udp",
            Carrier::Tcp => "tcp",
            Carrier::Tls => "tls",
        }
    }

    /// Where the server finds whoever is at `address`; TLS is taken off by a tunnel.
    async fn reaches(self, address: SocketAddr, authority: &Authority) -> String {
        match self {
            Carrier::Udp => address.to_string(),
            Carrier::Tcp => format!("{address};transport=tcp"),
            Carrier::Tls => {
                let tunnel = tunnel::out_of_tls(address, authority.server("localhost")).await;
                format!("localhost:{};transport=tls", tunnel.port())
            }
        }
    }
}

/// What the server of a scene is besides the usual.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The scene's place among the media ports, so that scenes can be set at once.
    pub place: u16,
    /// More lines of every route.
    pub route: &'static str,
    /// More lines of `[limits]`.
    pub limits: &'static str,
    /// Lines of the trunks that callers and bots belong to; none: they do not.
    pub trunk: &'static str,
    /// Whether it registers at every bot, as a trunk of its own.
    pub registers: bool,
    /// Whether the human is called where the bot takes no call.
    pub human_is_next: bool,
    /// A policy of its own in place of the shipped ones.
    pub policy: Option<&'static str>,
}

/// One way through the server.
pub struct Way {
    carrier: Carrier,
    /// Where the server listens.
    inside: SocketAddr,
    /// Where SIPp calls: the same, or a tunnel that leads there.
    entrance: SocketAddr,
    /// Where SIPp answers as the bot, and where the server finds it: host, port and parameters of a URI.
    pub bot: SocketAddr,
    bot_at: String,
    /// The same of the human whom callers are sent to.
    pub human: SocketAddr,
    pub human_at: String,
}

/// A server and its ways.
pub struct Scene {
    pub server: Server,
    pub ways: Vec<Way>,
    out: PathBuf,
    _authority: Authority,
}

impl Way {
    /// SIPp's word for what carries this way: TLS is put around TCP by a tunnel.
    fn run(&self, run: Run) -> Run {
        Run { transport: if self.carrier == Carrier::Udp { "u1" } else { "t1" }, ..run }
    }

    /// SIPp as a caller, with more arguments.
    pub fn call(&self, run: Run, arguments: Vec<String>) -> JoinHandle<Output> {
        runner::call(self.entrance, self.run(run), arguments)
    }

    /// SIPp as whoever is called there.
    pub fn answer(&self, address: SocketAddr, run: Run) -> JoinHandle<Output> {
        runner::answer(address, self.run(run))
    }
}

impl Scene {
    /// A server that is reached over these; `None`, and that is said, where there is no SIPp.
    pub async fn set(carriers: &[Carrier], terms: Terms) -> Option<Scene> {
        if !runner::is_there() {
            return None;
        }
        let authority = Authority::new(&format!("sipp-{}", terms.place));
        let ways = ways(carriers, Ipv4Addr::LOCALHOST.into(), &authority).await;
        Some(Scene::start(ways, authority, terms))
    }

    /// A server with these ways through it.
    pub fn start(ways: Vec<Way>, authority: Authority, terms: Terms) -> Scene {
        let mut plan = Plan::for_loopback().expect("loopback has free ports");
        plan.addresses.sip = ways[0].inside;
        plan.configuration = configuration(&ways, &authority, plan.addresses.web, terms);
        let out = std::env::temp_dir().join(format!("calmline-sipp-{}-{}", std::process::id(), terms.place));
        std::fs::create_dir_all(out.join("config/own")).expect("a folder");
        std::fs::write(out.join("config/trunk.password"), "secret\n").expect("a file");
        if let Some(policy) = terms.policy {
            std::fs::write(out.join("config/own/own.toml"), policy).expect("a file");
        }
        let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &out, &plan, &[]).expect("a server");
        Scene { server, ways, out, _authority: authority }
    }

    /// SIPp calls over every way at once, and answers behind each; `bot` may be nobody.
    pub async fn play(&self, caller: Run, bot: Option<Run>) {
        let mut runs = Vec::new();
        for way in &self.ways {
            runs.extend(bot.map(|bot| (bot.scenario, way.answer(way.bot, bot))));
        }
        let bots = self.ways.iter().filter(|_| bot.is_some());
        listening(bots.map(|way| way.bot)).await;
        runs.extend(self.ways.iter().map(|way| (caller.scenario, way.call(caller, Vec::new()))));
        finish(runs).await;
    }

    /// An answer of the API.
    pub fn api(&self, path: &str) -> Value {
        let text = server::get(self.server.addresses.web, path, &self.server.token).expect("the API answers");
        serde_json::from_str(&text).expect("the API speaks JSON")
    }

    /// Orders something by the API, which takes it.
    pub fn order(&self, method: &str, path: &str) {
        assert_eq!(self.ask(method, path), (202, String::new()), "{method} {path}");
    }

    /// What the API says to an order: its status, and why not when it refuses.
    pub fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let address = self.server.addresses.web;
        let (status, text) = server::ask(address, (method, path), "", &self.server.token).expect("the API answers");
        (status, if status == 202 { String::new() } else { text })
    }

    /// Waits until no call is active, and ends the server; its figures.
    pub async fn end(self) -> String {
        let since = Instant::now();
        loop {
            let answer = self.api("/v1/calls?state=active");
            if answer["calls"].as_array().expect("a list of calls").is_empty() {
                break;
            }
            assert!(since.elapsed() < SETTLED_WITHIN, "calls are left: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let metrics = self.metrics();
        self.server.stop().expect("the server ends as it should");
        std::fs::remove_dir_all(&self.out).expect("the folder was made for this");
        metrics
    }

    /// The server's figures at present.
    pub fn metrics(&self) -> String {
        server::get(self.server.addresses.web, "/metrics", &self.server.token).expect("the server answers")
    }
}

/// Ways over these carriers between ports of `host`; nobody is there yet.
pub async fn ways(carriers: &[Carrier], host: IpAddr, authority: &Authority) -> Vec<Way> {
    authority.install("us.example");
    let mut ways = Vec::new();
    for &carrier in carriers {
        let [inside, bot, human] = std::array::from_fn(|_| SocketAddr::new(host, runner::free_address().port()));
        let entrance = match carrier {
            Carrier::Udp | Carrier::Tcp => inside,
            Carrier::Tls => {
                let client = authority.client(None, &rustls::version::TLS13);
                tunnel::into_tls(inside, "us.example", client).await
            }
        };
        let (bot_at, human_at) = (carrier.reaches(bot, authority).await, carrier.reaches(human, authority).await);
        ways.push(Way { carrier, inside, entrance, bot, bot_at, human, human_at });
    }
    ways
}

/// What the server of a scene is told.
fn configuration(ways: &[Way], authority: &Authority, web: SocketAddr, terms: Terms) -> String {
    let Terms { place, route, limits, trunk, registers, human_is_next, policy } = terms;
    let listen: Vec<String> = ways.iter().map(|way| format!("\"{}://{}\"", way.carrier.name(), way.inside)).collect();
    let file = |name: &str| authority.folder.join(name).display().to_string();
    let mut text = format!(
        "[sip]\nlisten = [{}]\n\n\
         [sip.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nauthorities = \"{}\"\n\n\
         [media]\naddress = \"{}\"\nports = \"{}\"\n\n\
         [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n\n\
         [listening]\nenabled = true\n\n\
         [limits]\n{limits}[limits.overload]\nenabled = false\n\n\
         [policy]\nfolder = \"{}\"\nprompts = \"prompts\"\n\n\
         [targets.human]\nuri = \"sip:human@{}\"\n\n",
        listen.join(", "),
        file("us.pem"),
        file("us.key"),
        file("authority.pem"),
        ways[0].inside.ip(),
        media_ports(place),
        if policy.is_some() { "own" } else { "policies" },
        ways[0].human_at,
    );
    if !trunk.is_empty() {
        text += &format!("[trunks.pbx]\nsources = [\"127.0.0.1/32\"]\n{trunk}\n\n");
    }
    for Way { carrier, entrance, bot_at, human_at, .. } in ways {
        let (name, port) = (carrier.name(), entrance.port());
        let of_trunk = if trunk.is_empty() { "" } else { "trunk = \"pbx\"\n" };
        let next = if human_is_next { format!(", \"{name}-human\"") } else { String::new() };
        text += &format!(
            "[targets.{name}-human]\nuri = \"sip:human@{human_at}\"\n\
             [targets.{name}]\nuri = \"sip:bot@{bot_at}\"\n{of_trunk}\
             headers = {{ identity = \"untrusted\", drop = [\"x-secret\"], set = {{ \"X-Account\" = \"8\" }} }}\n\
             [[route]]\nname = \"{name}\"\nmatch = {{ request_uri = \"sip:bot@*:{port}\" }}\n\
             targets = [\"{name}\"{next}]\nscenario = \"after-sales\"\n{route}\n"
        );
        if registers {
            text += &format!(
                "[trunks.{name}]\nuri = \"sip:{bot_at}\"\n\
                 register = {{ address = \"sip:us@pbx.example\", expires_s = 60 }}\n\
                 credentials = {{ user = \"us\", password_file = \"trunk.password\" }}\n\n"
            );
        }
    }
    text
}

/// Waits until whoever was started to be called at these addresses listens.
pub async fn listening(addresses: impl IntoIterator<Item = SocketAddr>) {
    for address in addresses {
        until("somebody who listens", || is_bound(address.port()).then_some(())).await;
    }
}

/// Whether a port is taken, by whatever protocol, as the system lists it.
fn is_bound(port: u16) -> bool {
    let local = format!(":{port:04X}");
    ["udp", "tcp", "udp6", "tcp6"].into_iter().any(|list| {
        let text = std::fs::read_to_string(format!("/proc/net/{list}")).unwrap_or_default();
        text.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local)))
    })
}

/// Waits for all of these; none may fail.
pub async fn finish(runs: Vec<(&'static str, JoinHandle<Output>)>) {
    for (scenario, run) in runs.into_iter().rev() {
        runner::finish(scenario, run).await;
    }
}

/// Media ports of a place, below those that SIPp takes.
fn media_ports(place: u16) -> String {
    let first = 3_700 + place * MEDIA_PORTS;
    format!("{first}-{}", first + MEDIA_PORTS - 2)
}

/// The sum of a metric over its labels.
pub fn total(metrics: &str, name: &str) -> f64 {
    let samples = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    samples
        .filter(|(key, _)| key.split('{').next() == Some(name))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}
