//! What every test stands on: a server process, the plain telephones' thread, and a supervisor's client.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use calmline::demo::server::{Plan, Server, get};
use calmline::demo::supervisor::Supervisor;
use calmline::notice::{Notice, What};
use loadtest::driver::Phones;
use loadtest::stream::Recording;

/// Any port on loopback.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(40);
/// Samples per second.
pub const RATE: usize = 8_000;
/// What the bot sings, Hz.
pub const BOT_HZ: u16 = 1_000;
/// What the caller sings, Hz.
pub const CALLER_HZ: u16 = 400;

/// The server and those who watch it.
pub struct Stage {
    pub server: Server,
    pub phones: Phones,
    pub folder: PathBuf,
    supervisor: Supervisor,
    told: RefCell<Vec<Notice>>,
}

impl Stage {
    /// A server whose callers and whose bot are protected as these lines of the configuration say.
    pub fn set(name: &str, callers: &str, bot: &str) -> Stage {
        let mut plan = Plan::for_loopback().expect("free ports");
        let bot_address = plan.addresses.bot;
        // The plan holds the second of its ports itself, which the first leg would use for control packets.
        let (before, rest) = plan.configuration.split_once("ports = \"").expect("it has ports");
        let (first, rest) = rest.split_once('-').expect("a range");
        let first: u16 = first.parse().expect("a port");
        plan.configuration = format!("{before}ports = \"{}-{rest}", first + 2);
        let lines = [
            ("[listening]\nenabled = true\n".to_owned(), "[listening]\nenabled = false\n".to_owned()),
            ("scenario = \"after-sales\"\n".to_owned(), format!("scenario = \"after-sales\"\n{callers}\n")),
            (format!("uri = \"sip:bot@{bot_address}\"\n"), format!("uri = \"sip:bot@{bot_address}\"\n{bot}\n")),
        ];
        for (old, new) in lines {
            assert!(plan.configuration.contains(&old), "{old:?} is not in the configuration");
            plan.configuration = plan.configuration.replacen(&old, &new, 1);
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dtls-calls").join(name);
        let server = Server::start(Path::new(env!("CARGO_BIN_EXE_calmline")), &folder, &plan, &[]).expect("a server");
        let supervisor = Supervisor::subscribe(server.addresses.web, &server.token).expect("a subscription");
        let phones = Phones::start().expect("a thread");
        Stage { server, phones, folder, supervisor, told: RefCell::default() }
    }

    /// What callers dial.
    pub fn target(&self) -> String {
        format!("sip:support@{}", self.server.addresses.sip)
    }

    /// Waits until something is told.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&What) -> bool) -> Notice {
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            if let Some(notice) = self.supervisor.next(Duration::from_millis(100)) {
                self.told.borrow_mut().push(notice.clone());
                if wanted(&notice.what) {
                    return notice;
                }
            }
        }
        panic!("{what} was not told; told was {:#?}", self.told.borrow());
    }

    /// Waits until the parties have keys; how long each handshake took, milliseconds.
    #[track_caller]
    pub fn until_keys(&self, parties: &[&str]) {
        let mut missing: Vec<&str> = parties.to_vec();
        while !missing.is_empty() {
            let notice = self.until(&format!("keys of {missing:?}"), |what| matches!(what, What::HandshakeDone { .. }));
            let What::HandshakeDone { party, suite, took_ms } = notice.what else { unreachable!("just matched") };
            println!("{party}: {suite} after {took_ms} ms");
            missing.retain(|missing| *missing != party);
        }
    }

    /// The sum of a metric over the lines that begin with `prefix`.
    pub fn metric(&self, prefix: &str) -> f64 {
        let text = get(self.server.addresses.web, "/metrics", &self.server.token).expect("metrics");
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        text.lines().filter(|line| line.starts_with(prefix)).filter_map(value).sum()
    }

    /// Nothing is left of any call.
    #[track_caller]
    pub fn is_empty(&self) {
        eventually("no call is left", || self.metric("calmline_calls_active") == 0.0);
    }

    /// No key stands in the log.
    #[track_caller]
    pub fn has_kept_its_keys(&self) {
        let log = std::fs::read_to_string(self.folder.join("server.log")).expect("a log");
        assert!(log.contains("call_answered") || log.contains("CallAnswered"), "it says what happens: {log}");
        for secret in ["inline:", "a=crypto", "ice-pwd"] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "not so within {} s: {what}", LONG.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The last second that `who` has heard is a tone of `hz` and nothing else that is sung here.
#[track_caller]
pub fn hears(who: &str, heard: &Recording, hz: u16) {
    let other = if hz == BOT_HZ { CALLER_HZ } else { BOT_HZ };
    let (wanted, unwanted) = (strength(&heard.samples, hz), strength(&heard.samples, other));
    println!("{who} hears {hz} Hz at {wanted:.3}, {other} Hz at {unwanted:.3}; {:?}", heard.stats);
    assert!(wanted > 0.2 && unwanted < 0.02, "{who}: {wanted} of {hz} Hz, {unwanted} of {other} Hz");
    let faults = (heard.stats.packets_lost, heard.stats.ssrc_changes, heard.stats.timestamp_steps_back);
    assert_eq!(faults, (0, 0, 0), "{who}: packets lost, SSRC changes, timestamp steps back");
}

/// How much of a tone is in the last second of the samples: its amplitude, 0-1.
pub fn strength(samples: &[i16], hz: u16) -> f64 {
    let last = &samples[samples.len().saturating_sub(RATE)..];
    let angle = |n: usize| std::f64::consts::TAU * f64::from(hz) * n as f64 / RATE as f64;
    let sum = |wave: fn(f64) -> f64| -> f64 {
        last.iter().enumerate().map(|(n, &sample)| f64::from(sample) / 32_768.0 * wave(angle(n))).sum()
    };
    2.0 * sum(f64::cos).hypot(sum(f64::sin)) / last.len().max(1) as f64
}
