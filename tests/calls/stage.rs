//! What every test stands on: a server process, a bot, a human, and a supervisor's client.

use std::cell::RefCell;
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calmline::demo::measure::{self, HEARD};
use calmline::demo::server::{Plan, Server, ask, get};
use calmline::demo::supervisor::Supervisor;
use calmline::notice::{Notice, What};
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, Phones};
use loadtest::message::Message;
use loadtest::phone::{Behaviour, Event};
use loadtest::stream::StreamStats;
use media::wav::{self, Channel};
use serde_json::Value;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_calmline");
/// Any port on loopback.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);
/// Samples per second.
pub const RATE: usize = 8_000;
/// What the bot sings when it does not speak, Hz.
pub const BOT_HZ: u16 = 1_000;
/// What the caller sings, Hz.
pub const CALLER_HZ: u16 = 400;

/// How a stage is set up.
pub struct Setup<'a> {
    /// Names its folder.
    pub name: &'a str,
    /// Pieces of the configuration that are replaced.
    pub edits: &'a [(&'a str, &'a str)],
    /// A policy that takes the place of the shipped one.
    pub policy: Option<&'a str>,
    /// More arguments of `calmline serve`.
    pub arguments: &'a [&'a str],
    /// What the bot does and says.
    pub bot: (Behaviour, Audio),
    /// What the human does and says.
    pub human: (Behaviour, Audio),
}

impl Setup<'_> {
    /// Both answer; the bot sings, the human speaks.
    pub fn named(name: &str) -> Setup<'_> {
        Setup {
            name,
            edits: &[],
            policy: None,
            arguments: &[],
            bot: (Behaviour::answer(), Audio::tone(BOT_HZ, 0.3)),
            human: (Behaviour::answer(), Audio::once(fixture("fixtures/audio/agent.wav"))),
        }
    }
}

/// Everybody who takes part but the caller.
pub struct Stage {
    pub server: Server,
    pub supervisor: Supervisor,
    pub phones: Phones,
    pub bot: PhoneHandle,
    pub human: PhoneHandle,
    /// Everything told so far.
    pub told: RefCell<Vec<Notice>>,
}

impl Stage {
    pub fn set(setup: Setup<'_>) -> Stage {
        let folder = folder(setup.name);
        let mut plan = Plan::for_loopback().expect("free ports");
        for (old, new) in setup.edits {
            assert!(plan.configuration.contains(old), "{old:?} is not in the configuration");
            plan.configuration = plan.configuration.replacen(old, new, 1);
        }
        if let Some(policy) = setup.policy {
            let own = folder.join("config/own");
            std::fs::create_dir_all(&own).expect("a folder");
            std::fs::write(own.join("own.toml"), policy).expect("a policy");
            plan.configuration = plan.configuration.replace("folder = \"policies\"", "folder = \"own\"");
        }
        let server = Server::start(Path::new(PROGRAM), &folder, &plan, setup.arguments).expect("a server");
        let supervisor = Supervisor::subscribe(server.addresses.web, &server.token).expect("a subscription");
        let phones = Phones::start().expect("a thread");
        let bot = phones.answering(plan.addresses.bot, setup.bot.0, setup.bot.1).expect("the bot's port");
        let human = phones.answering(plan.addresses.human, setup.human.0, setup.human.1).expect("the human's port");
        Stage { server, supervisor, phones, bot, human, told: RefCell::default() }
    }

    /// A caller who has just dialled.
    pub fn dial(&self, says: Audio) -> PhoneHandle {
        let target = format!("sip:support@{}", self.server.addresses.sip);
        self.phones.calling(ANY, &target, says, &[]).expect("a caller")
    }

    /// A caller whose call is up.
    pub fn call(&self, says: Audio) -> PhoneHandle {
        let caller = self.dial(says);
        expect(&caller, "the answer", |event| *event == Event::Answered);
        caller
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

    /// Whether something was told so far.
    pub fn was_told(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.told.borrow().iter().any(|notice| wanted(&notice.what))
    }

    /// An answer of the API.
    pub fn api(&self, path: &str) -> Value {
        let text = get(self.server.addresses.web, path, &self.server.token).expect(path);
        serde_json::from_str(&text).expect("JSON")
    }

    /// Asks the API for something; its status and what it says.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) =
            ask(self.server.addresses.web, (method, path), &body, &self.server.token).expect("an answer");
        (status, serde_json::from_str(&answer).expect("JSON"))
    }

    /// The sum of a metric over the lines that begin with `prefix`.
    pub fn metric(&self, prefix: &str) -> f64 {
        let text = get(self.server.addresses.web, "/metrics", &self.server.token).expect("metrics");
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        text.lines().filter(|line| line.starts_with(prefix)).filter_map(value).sum()
    }

    /// Nothing is left of any call.
    pub fn is_empty(&self) {
        eventually("no call is left", || self.metric("calmline_calls_active") == 0.0);
        assert_eq!(self.api("/v1/calls?state=active")["calls"].as_array().map(Vec::len), Some(0));
    }
}

/// Waits for an event of a telephone.
#[track_caller]
pub fn expect(phone: &PhoneHandle, what: &str, wanted: impl Fn(&Event) -> bool) -> loadtest::phone::TimedEvent {
    let Some(event) = phone.wait_for(LONG, wanted) else { panic!("{what} did not come") };
    event
}

/// The INVITE by which a telephone is called.
#[track_caller]
pub fn invite(phone: &PhoneHandle) -> Message {
    match expect(phone, "an INVITE", |event| matches!(event, Event::Incoming { .. })).event {
        Event::Incoming { invite } => *invite,
        _ => unreachable!("just matched"),
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

/// Waits until a telephone has received so many more packets; pauses that were filled up do not count.
#[track_caller]
pub fn more_packets(what: &str, phone: &PhoneHandle, count: u64) {
    let before = phone.heard().stats.packets_received;
    eventually(what, || phone.heard().stats.packets_received >= before + count);
}

/// A telephone heard one continuous stream without loss.
#[track_caller]
pub fn continuous(who: &str, stats: &StreamStats) {
    println!("{who}: {stats:?}");
    let faults = (stats.packets_lost, stats.ssrc_changes, stats.timestamp_steps_back);
    assert_eq!(faults, (0, 0, 0), "{who}: packets lost, SSRC changes, timestamp steps back");
    assert!(stats.packets_received > 0, "{who} heard nothing");
}

/// Whether `sound` is in what was heard.
pub fn heard(samples: &[i16], sound: &[i16]) -> bool {
    let found = measure::find(samples, sound);
    println!("looked for {} samples in {}: {found:?}", sound.len(), samples.len());
    found.is_some_and(|found| found.likeness >= HEARD)
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

/// Audio of the repository, 8 kHz.
pub fn fixture(path: &str) -> Arc<[i16]> {
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    wav::read(Cursor::new(bytes), Channel::Mix).expect(path).to_sound().samples.into()
}

/// The built-in angry caller from eight seconds on: calm for seven more, then angry.
pub fn angry() -> Audio {
    Audio::once(voice_of_the_caller())
}

/// What that caller says, 8 kHz.
pub fn voice_of_the_caller() -> Vec<i16> {
    fixture("fixtures/audio/angry-caller.wav")[8 * RATE..].to_vec()
}

/// A folder of the test's own.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("calls").join(name)
}
