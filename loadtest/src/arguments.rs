//! What can be said on the command line, and the plans that come of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use loadtest::load::{CallsPlan, RelayPlan, Secured, Server, SoakPlan, Speaking, WallPlan};
use loadtest::network::BadNetwork;
use media::network::Network;
use media::{Codec, dtmf};

mod sizes;
mod stages;

pub(crate) use sizes::Sizes;
pub(crate) use stages::Stages;

/// Simulated telephones against a server on this machine.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) mode: Mode,
    /// Print one JSON object instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Calls that are all up at a time: what the relay adds to every packet, and what it costs.
    Relay {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        speech: Speech,
        /// How many calls.
        #[arg(long, default_value_t = 100)]
        calls: usize,
        /// Calls begun per second.
        #[arg(long, default_value_t = 20.0)]
        rate: f64,
        /// How long all of them are up.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// Short calls one after another: how long setting up takes.
    Calls {
        #[command(flatten)]
        target: Target,
        /// Calls begun per second.
        #[arg(long, default_value_t = 50.0)]
        rate: f64,
        /// How long calls are begun.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// How long each call lasts, ms.
        #[arg(long, default_value_t = 0)]
        hold_ms: u64,
    },
    /// Clients of the console's wall, while another run has calls up: how long from an event until everybody is told, and
    /// what it costs.
    Wall {
        #[command(flatten)]
        watch: Watch,
    },
    /// Stages that start servers of their own, and a page of what they came to.
    Suite {
        #[command(flatten)]
        suite: Stages,
    },
    /// Makes a suite's page anew from its report.
    Page {
        /// The report, as a suite writes it.
        report: PathBuf,
        /// The page.
        html: PathBuf,
    },
    /// What so many calls need: processors, nodes, memory, disk and bus, by figures that were measured; and how such a site
    /// fares when calls come by chance and a node is lost, in simulated time.
    Size {
        #[command(flatten)]
        sizes: Sizes,
    },
    /// Draws a comparison: CPU and added latency against the number of calls, one line per system and mode.
    Plot {
        /// Medians as `loadtest/compare` writes them.
        csv: PathBuf,
        /// The picture.
        svg: PathBuf,
    },
    /// Calls that come and go for long: fails when the server's memory or files grow, when packets are lost, or when
    /// anything is left behind.
    Soak {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        speech: Speech,
        #[command(flatten)]
        soak: Course,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The SIP server under test; a loopback address.
    #[arg(long, required_unless_present = "ng", conflicts_with = "ng")]
    sip: Option<SocketAddr>,
    /// A media relay that speaks rtpengine's control protocol; a loopback address.
    #[arg(long)]
    ng: Option<SocketAddr>,
    /// The request-URI of the calls; by default the user `load` at the server.
    #[arg(long)]
    to: Option<String>,
    /// Where the answering telephone listens; the server must route the calls there.
    #[arg(long, default_value = "127.0.0.1:5070")]
    callee: SocketAddr,
    /// The server's process, for CPU and memory.
    #[arg(long)]
    pid: Option<u32>,
}

impl Target {
    pub(crate) fn server(&self) -> Server {
        match (self.sip, self.ng) {
            (Some(server), _) => {
                let to = self.to.clone().unwrap_or_else(|| format!("sip:load@{server}"));
                Server::Sip { server, to, callee: self.callee }
            }
            (None, ng) => Server::Ng { server: ng.unwrap_or(self.callee) },
        }
    }

    pub(crate) fn relay(&self, speech: &Speech, calls: usize, rate: f64, seconds: u64) -> RelayPlan {
        RelayPlan { server: self.server(), pid: self.pid, calls, rate, seconds, speaking: speech.speaking() }
    }

    pub(crate) fn calls(&self, rate: f64, seconds: u64, hold: Duration) -> CallsPlan {
        CallsPlan { server: self.server(), pid: self.pid, rate, seconds, hold }
    }

    /// `None` without a process to watch.
    pub(crate) fn soak(&self, speech: &Speech, soak: &Course) -> Option<SoakPlan> {
        Some(SoakPlan {
            server: self.server(),
            others: soak.also.clone(),
            pid: self.pid?,
            metrics: soak.metrics.map(|address| (address, std::env::var(&soak.token_env).ok())),
            minutes: soak.minutes,
            calls: soak.calls,
            rate: soak.rate,
            call_seconds: soak.call_seconds,
            hold_percent: soak.hold_percent,
            keys: soak.keys.clone().unwrap_or_default().0,
            keys_percent: soak.keys_percent.unwrap_or(soak.hold_percent),
            warm_up_calls: soak.warm_up_calls,
            speaking: speech.speaking(),
            seed: speech.network.seed,
            csv: soak.csv.clone(),
            journal: soak.journal.clone(),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Speech {
    /// What the callers speak.
    #[arg(long, value_enum, default_value_t = CodecName::Pcma)]
    codec: CodecName,
    /// What the callees speak, when that is something else: the server transcodes, the callees echo, and the callers
    /// measure the round trip of clicks.
    #[arg(long, value_enum)]
    callee_codec: Option<CodecName>,
    /// Milliseconds of audio per packet: 10, 20, 30, 40 or 60; Opus has no 30.
    #[arg(long, value_parser = packet_time)]
    ptime_ms: Option<u8>,
    /// Who speaks SRTP, with keys in the descriptions (RFC 4568).
    #[arg(long, value_enum, default_value_t = Srtp::None)]
    srtp: Srtp,
    /// Measures round trips of clicks even where packets survive.
    #[arg(long)]
    echo: bool,
    #[command(flatten)]
    network: BadWay,
}

impl Speech {
    fn speaking(&self) -> Speaking {
        let caller = self.codec.codec();
        Speaking {
            caller,
            callee: self.callee_codec.map_or(caller, CodecName::codec),
            ptime_ms: self.ptime_ms,
            secured: self.srtp.secured(),
            network: self.network.bad(),
            echoes: self.echo,
            says: None,
        }
    }
}

/// What is wrong between the callers and the server, both ways.
#[derive(Debug, Args)]
pub(crate) struct BadWay {
    /// Packets lost one by one, %.
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// Packets lost in bursts of five on average, %.
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    loss_bursts: f64,
    /// Packets late by up to so many milliseconds, each by its own.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=2_000))]
    jitter_ms: u64,
    /// Packets that are overtaken by the next ones, %.
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    reorder: f64,
    /// Packets that come twice, %.
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    duplicate: f64,
    /// How much too fast the callers' clocks are, parts in a million; negative when too slow.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-100_000..=100_000))]
    drift_ppm: i32,
    /// Makes the accidents, the lengths of calls, and who holds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl BadWay {
    /// `None` when nothing is wrong.
    fn bad(&self) -> Option<BadNetwork> {
        let network = Network {
            loss_per_mille: per_mille(self.loss),
            bursts: (self.loss_bursts > 0.0).then(|| BadNetwork::bursts(per_mille(self.loss_bursts))),
            duplicate_per_mille: per_mille(self.duplicate),
            reorder_per_mille: per_mille(self.reorder),
            jitter_max: Duration::from_millis(self.jitter_ms),
            // Routers make packets wait; those that overtake have an option of their own.
            keeps_order: true,
            ..BadNetwork::NONE.network
        };
        let bad = BadNetwork { network, drift_ppm: self.drift_ppm, seed: self.seed };
        let good = Network { keeps_order: true, ..BadNetwork::NONE.network };
        (bad.network != good || bad.drift_ppm != 0).then_some(bad)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Course {
    /// How long new calls are begun.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Calls at a time.
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// New calls per second at most.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// How long a call lasts on average: half of it to one and a half times as long.
    #[arg(long, default_value_t = 60)]
    call_seconds: u64,
    /// Of a hundred calls, those that are held once and resumed.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(..=100))]
    hold_percent: u32,
    /// Of a hundred calls, those that press keys; default: as many as are held.
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=100))]
    keys_percent: Option<u32>,
    /// Keys that they press, for policies that hear them.
    #[arg(long, value_parser = keys)]
    keys: Option<Keys>,
    /// Calls that have to end before growth is judged: as many as the server remembers.
    #[arg(long, default_value_t = 1_100)]
    warm_up_calls: usize,
    /// Another address where a telephone answers, for servers that move calls; may be said again.
    #[arg(long)]
    also: Vec<SocketAddr>,
    /// Where the server's /metrics is; a loopback address.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// The environment variable that holds the token for /metrics.
    #[arg(long, default_value = "CALMLINE_TOKEN")]
    token_env: String,
    /// A file for every sample, as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// A file for every sample, as JSON, an object a line.
    #[arg(long)]
    journal: Option<PathBuf>,
}

/// The API takes 500 requests a second of one token.
const TELL_MAX: f64 = 450.0;

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The server's API; a loopback address.
    #[arg(long, default_value = "127.0.0.1:8080")]
    web: SocketAddr,
    /// The environment variable that holds its token.
    #[arg(long, default_value = "CALMLINE_TOKEN")]
    token_env: String,
    /// How many clients.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// How long they watch.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many listen to a call each meanwhile, 16 at most.
    #[arg(long, default_value_t = 0)]
    ears: usize,
    /// Changes that are told per second, of all calls in turn.
    #[arg(long, default_value_t = 0.0)]
    tell: f64,
    /// What is told is what faces show, and not how long customers wait.
    #[arg(long)]
    faces: bool,
    /// The server's process, for CPU.
    #[arg(long)]
    pid: Option<u32>,
}

impl Watch {
    /// `None` without the token.
    pub(crate) fn plan(&self) -> Option<WallPlan> {
        let token = std::env::var(&self.token_env).ok()?;
        let Watch { web, pid, clients, seconds, ears, tell, faces, .. } = *self;
        let told_per_s = tell.clamp(0.0, TELL_MAX);
        Some(WallPlan { web, token, pid, clients, seconds, ears, told_per_s, shows_faces: faces })
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Vec<dtmf::Key>);

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecName {
    Pcmu,
    Pcma,
    G722,
    Opus,
    /// L16 at 8 kHz.
    L16,
    /// L16 at 16 kHz.
    L16Wide,
}

impl CodecName {
    fn codec(self) -> Codec {
        match self {
            CodecName::Pcmu => Codec::Pcmu,
            CodecName::Pcma => Codec::Pcma,
            CodecName::G722 => Codec::G722,
            CodecName::Opus => Codec::Opus,
            CodecName::L16 => Codec::L16Narrow,
            CodecName::L16Wide => Codec::L16Wide,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Srtp {
    None,
    Caller,
    Callee,
    Both,
}

impl Srtp {
    fn secured(self) -> Secured {
        match self {
            Srtp::None => Secured::Nobody,
            Srtp::Caller => Secured::Caller,
            Srtp::Callee => Secured::Callee,
            Srtp::Both => Secured::Both,
        }
    }
}

fn packet_time(text: &str) -> Result<u8, String> {
    let expected = "expected 10, 20, 30, 40 or 60";
    text.parse().ok().filter(|ms| [10, 20, 30, 40, 60].contains(ms)).ok_or_else(|| expected.to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=90.0).contains(percent));
    percent.ok_or_else(|| "expected 0 to 90".to_owned())
}

fn per_mille(percent: f64) -> u32 {
    (percent * 10.0).round() as u32
}

fn keys(text: &str) -> Result<Keys, String> {
    let keys: Result<Vec<_>, _> = text.chars().take(dtmf::Sender::KEYS_MAX).map(dtmf::Key::try_from).collect();
    keys.map(Keys).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_plans() {
        let text = "loadtest relay --ng 127.0.0.1:2223 --codec pcmu --callee-codec opus --srtp caller --ptime-ms 40 \
                    --loss 2.5 --drift-ppm -200 --seed 9";
        let Mode::Relay { target, speech, calls, rate, seconds } = parsed(text).mode else { panic!("a relay") };
        let plan = target.relay(&speech, calls, rate, seconds);
        let speaking = plan.speaking;
        assert_eq!((speaking.caller, speaking.callee, speaking.ptime_ms), (Codec::Pcmu, Codec::Opus, Some(40)));
        assert!(speaking.is_echoed() && speaking.secured == Secured::Caller);
        let bad = speaking.network.expect("it is bad");
        assert_eq!((bad.network.loss_per_mille, bad.drift_ppm, bad.seed), (25, -200, 9));

        let text = "loadtest soak --sip 127.0.0.1:5060 --pid 7 --keys 1# --minutes 0.5 --jitter-ms 0";
        let Mode::Soak { target, speech, soak } = parsed(text).mode else { panic!("a soak") };
        let plan = target.soak(&speech, &soak).expect("it has a process");
        assert_eq!((plan.keys.len(), plan.minutes, plan.speaking.network), (2, 0.5, None));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for flags in ["--loss 91", "--loss -1", "--ptime-ms 25", "--drift-ppm 200000", "--codec g729"] {
            let text = format!("loadtest relay --ng 127.0.0.1:2223 {flags}");
            assert!(Arguments::try_parse_from(text.split_whitespace()).is_err(), "{flags}");
        }
    }

    fn parsed(text: &str) -> Arguments {
        Arguments::try_parse_from(text.split_whitespace()).expect("it is well-formed")
    }
}
