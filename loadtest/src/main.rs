//! The command line of the load generator. Exit codes: 0 done, 1 some calls failed, 2 could not run.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use loadtest::load::{self, CallsPlan, RelayPlan, Server};
use media::Codec;
use serde::Serialize;

/// Simulated telephones against a server on this machine.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
    /// Print one JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Calls that are all up at a time: what the relay adds to every packet, and what it costs.
    Relay {
        #[command(flatten)]
        target: Target,
        /// How many calls.
        #[arg(long, default_value_t = 100)]
        calls: usize,
        /// Calls begun per second.
        #[arg(long, default_value_t = 20.0)]
        rate: f64,
        /// How long all of them are up.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// What they speak.
        #[arg(long, value_enum, default_value_t = CodecName::Pcma)]
        codec: CodecName,
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
}

#[derive(Debug, Args)]
struct Target {
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
    fn server(&self) -> Server {
        match (self.sip, self.ng) {
            (Some(server), _) => {
                let to = self.to.clone().unwrap_or_else(|| format!("sip:load@{server}"));
                Server::Sip { server, to, callee: self.callee }
            }
            (None, ng) => Server::Ng { server: ng.unwrap_or(self.callee) },
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecName {
    Pcmu,
    Pcma,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "loadtest: {error}");
            ExitCode::from(2)
        }
    }
}

/// True when every call came up.
fn run(arguments: &Arguments) -> std::io::Result<bool> {
    match &arguments.mode {
        Mode::Relay { target, calls, rate, seconds, codec } => {
            let server = target.server();
            load::check(&server)?;
            let codec = match codec {
                CodecName::Pcmu => Codec::Pcmu,
                CodecName::Pcma => Codec::Pcma,
            };
            let plan = RelayPlan { server, pid: target.pid, calls: *calls, rate: *rate, seconds: *seconds, codec };
            let report = load::relay(&plan)?;
            print(&report, arguments.json)?;
            Ok(report.answered == report.calls)
        }
        Mode::Calls { target, rate, seconds, hold_ms } => {
            let server = target.server();
            load::check(&server)?;
            let hold = Duration::from_millis(*hold_ms);
            let plan = CallsPlan { server, pid: target.pid, rate: *rate, seconds: *seconds, hold };
            let report = load::calls(&plan)?;
            print(&report, arguments.json)?;
            Ok(report.answered == report.calls)
        }
    }
}

fn print(report: &(impl Serialize + std::fmt::Display), json: bool) -> std::io::Result<()> {
    let text = if json { serde_json::to_string(report)? } else { report.to_string() };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}
