//! Load: many calls through a server on loopback, measured beside the same packets without a server.
//!
//! Both ends are telephones of this process, so that one clock stamps a packet when it leaves and when it arrives.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use media::{Codec, StreamSettings};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::driver::{PhoneHandle, Phones, StreamsHandle, invalid, loopback};
use crate::latency::Latencies;
use crate::phone::{CallIndex, Event, Outgoing, PAYLOAD_TYPE_FIRST};
use crate::stream::{Keep, Recording};

mod calls;
mod direct;
mod ng;
mod process;
mod ramp;
mod report;
mod soak;
mod speaking;
mod wall;

pub use calls::{CallsPlan, calls};
pub use process::Usage;
pub use ramp::{RampPlan, RampReport, Stopped, Window, ramp};
pub use report::{CallsReport, Delivered, Faults, RelayReport, ServerReport, Spread};
pub(crate) use soak::sum;
pub use soak::{Counts, Sample, SoakPlan, SoakReport, Times, soak};
pub use speaking::{Secured, Speaking};
pub use wall::{CLIENTS_MAX, Delay, WallPlan, WallReport, wall};

use direct::Direct;
pub(crate) use process::Process;

/// The most calls of one run.
pub const CALLS_MAX: usize = 5_000;
/// The longest run.
pub const SECONDS_MAX: u64 = 3_600;
/// The most calls per second.
pub const RATE_MAX: f64 = 1_000.0;
/// How long the last call may take to be answered.
const SETUP_MAX: Duration = Duration::from_secs(20);
/// How long calls may take to end.
const TEARDOWN_MAX: Duration = Duration::from_secs(10);
/// How long the packets without a server are measured.
const BASELINE: Duration = Duration::from_secs(3);
/// Load keeps no audio; the packets carry their times.
const NOTHING: Keep = Keep { audio_seconds: 0, trace: false };

/// Who relays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// A SIP server that routes calls for `to` to the address `callee`.
    Sip {
        /// Where the INVITEs go.
        server: SocketAddr,
        /// The request-URI.
        to: String,
        /// Where our answering telephone listens.
        callee: SocketAddr,
    },
    /// A media relay with rtpengine's control protocol.
    Ng {
        /// Where the control protocol listens.
        server: SocketAddr,
    },
}

/// A run of calls that all last until its end.
#[derive(Debug, Clone)]
pub struct RelayPlan {
    /// Who relays.
    pub server: Server,
    /// Its process, for CPU and memory.
    pub pid: Option<u32>,
    /// How many calls.
    pub calls: usize,
    /// Calls begun per second.
    pub rate: f64,
    /// How long all of them are up.
    pub seconds: u64,
    /// What they speak.
    pub speaking: Speaking,
}

/// Relays `calls` at a time and measures what the server adds.
///
/// # Errors
/// When an address is not loopback, a limit is exceeded, or a socket cannot be had.
pub fn relay(plan: &RelayPlan) -> io::Result<RelayReport> {
    within(plan.calls, plan.rate, plan.seconds)?;
    raise_file_limit(plan.calls * 4 + 64)?;
    let phones = Phones::start()?;
    let baseline = baseline(&phones, plan.calls, plan.speaking.caller)?;
    let mut report = match &plan.server {
        Server::Sip { server, to, callee } => relay_sip(&phones, plan, *server, to, *callee),
        Server::Ng { server } => relay_ng(&phones, plan, *server),
    }?;
    report.set_baseline(&baseline);
    Ok(report)
}

fn relay_sip(
    phones: &Phones,
    plan: &RelayPlan,
    server: SocketAddr,
    to: &str,
    callee: SocketAddr,
) -> io::Result<RelayReport> {
    let (caller, answering) = plan.speaking.phones(any_port(server.ip()), callee, plan.calls);
    let answering = phones.add(answering)?;
    let caller = phones.add(caller)?;

    let mut meter = Meter::begin(plan.pid)?;
    let mut run = Run::start(phones, &caller, plan.calls, plan.rate, &outgoing(to, server, None))?;
    run.wait(SETUP_MAX, |run| run.answers.len() + run.failed >= plan.calls);
    let up = run.answers.len();
    meter.all_up()?;
    std::thread::sleep(Duration::from_secs(plan.seconds));
    meter.end()?;

    (0..plan.calls).try_for_each(|call| caller.hang_up_call(call))?;
    run.wait(TEARDOWN_MAX, |run| run.ended >= up + run.failed);
    let heard = |phone: &PhoneHandle| (0..plan.calls).map(|call| phone.heard_on(call)).collect::<Vec<Recording>>();
    let (callers, callees) = (heard(&caller), heard(&answering));
    let mut report = RelayReport::new(format!("sip {server}"), plan, up, &Spread::of(&run.setup));
    report.set_media(&callers, &callees);
    report.set_usage(&meter, up, plan.seconds);
    Ok(report)
}

fn relay_ng(phones: &Phones, plan: &RelayPlan, server: SocketAddr) -> io::Result<RelayReport> {
    let (says, answers) = plan.speaking.audio();
    let (caller_plan, callee_plan) = plan.speaking.streams();
    let callers = phones.streams(server.ip(), plan.calls, says, NOTHING, caller_plan)?;
    let callees = phones.streams(server.ip(), plan.calls, answers, NOTHING, callee_plan)?;
    let mut client = ng::Client::connect(server, plan.speaking.clone())?;
    let mut meter = Meter::begin(plan.pid)?;
    let mut setup = Latencies::default();
    let mut failed = 0;
    for call in 0..plan.calls {
        pace(phones, phones.now(), 1, plan.rate);
        let begun = phones.now();
        let sides = (callers.ports[call], callees.ports[call]);
        match client.set_up(call, sides) {
            Ok((caller, callee)) => {
                setup.add(phones.now() - begun);
                callers.configure(sides.0, caller)?;
                callees.configure(sides.1, callee)?;
            }
            Err(_) => failed += 1,
        }
    }
    meter.all_up()?;
    std::thread::sleep(Duration::from_secs(plan.seconds));
    meter.end()?;
    callers.stop()?;
    callees.stop()?;
    (0..plan.calls).for_each(|call| client.delete(call));

    let up = plan.calls - failed;
    let mut report = RelayReport::new(format!("ng {server}"), plan, up, &Spread::of(&setup));
    report.set_media(&recordings(&callers, plan.calls), &recordings(&callees, plan.calls));
    report.set_usage(&meter, up, plan.seconds);
    Ok(report)
}

/// The same number of packets without a server: what the machine and this process cost.
fn baseline(phones: &Phones, calls: usize, codec: Codec) -> io::Result<Latencies> {
    let direct = Direct::begin(phones, calls, codec)?;
    std::thread::sleep(BASELINE);
    direct.end()
}

fn recordings(streams: &StreamsHandle, count: usize) -> Vec<Recording> {
    (0..count).map(|stream| streams.heard(stream)).collect()
}

fn settings(remote: SocketAddr, codec: Codec) -> StreamSettings {
    StreamSettings::plain(Some(remote), codec, codec.static_payload_type().unwrap_or(PAYLOAD_TYPE_FIRST))
}

fn outgoing(to: &str, server: SocketAddr, hang_up_after: Option<Duration>) -> Outgoing {
    Outgoing { target: to.to_owned(), server, name: None, headers: Vec::new(), hang_up_after }
}

fn any_port(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 0)
}

/// The calls of a run as their events tell.
struct Run<'a> {
    phones: &'a Phones,
    caller: &'a PhoneHandle,
    /// When each call was begun; calls are numbered in that order.
    begun: Vec<Duration>,
    /// When each was answered.
    answers: BTreeMap<CallIndex, Duration>,
    failed: usize,
    ended: usize,
    setup: Latencies,
}

impl<'a> Run<'a> {
    /// Begins all calls, paced by absolute time.
    fn start(
        phones: &'a Phones,
        caller: &'a PhoneHandle,
        calls: usize,
        rate: f64,
        outgoing: &Outgoing,
    ) -> io::Result<Self> {
        let begin = phones.now();
        let setup = Latencies::default();
        let mut run = Run { phones, caller, begun: Vec::new(), answers: BTreeMap::new(), failed: 0, ended: 0, setup };
        for call in 0..calls {
            pace(phones, begin, call, rate);
            run.begun.push(phones.now());
            caller.call_with(Outgoing { name: Some(calls::name_of(call)), ..outgoing.clone() })?;
            run.take_events();
        }
        Ok(run)
    }

    /// Waits until `done` or for `limit`; says whether it is done.
    fn wait(&mut self, limit: Duration, done: impl Fn(&Run<'_>) -> bool) -> bool {
        let end = self.phones.now() + limit;
        while self.phones.now() < end {
            self.take_events();
            if done(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn take_events(&mut self) {
        while let Ok(event) = self.caller.events().try_recv() {
            match event.event {
                Event::Answered => {
                    self.answers.insert(event.call, event.at);
                    if let Some(begun) = self.begun.get(event.call) {
                        self.setup.add(event.at.saturating_sub(*begun));
                    }
                }
                Event::Failed { .. } => {
                    self.failed += 1;
                    self.ended += 1;
                }
                Event::Bye { .. } | Event::HungUp | Event::Lost => self.ended += 1,
                _ => {}
            }
        }
    }
}

/// What a server uses while nothing, then everything, is up.
struct Meter {
    process: Option<Process>,
    own: Process,
    /// Before, when all calls are up, and at the end: the server's and our own.
    samples: Vec<(Option<Usage>, Usage)>,
}

impl Meter {
    fn begin(pid: Option<u32>) -> io::Result<Self> {
        let mut meter = Meter { process: pid.map(Process::new), own: Process::own(), samples: Vec::new() };
        meter.sample()?;
        Ok(meter)
    }

    fn all_up(&mut self) -> io::Result<()> {
        self.sample()
    }

    fn end(&mut self) -> io::Result<()> {
        self.sample()
    }

    fn sample(&mut self) -> io::Result<()> {
        let sample = (usage(self.process.as_mut())?, self.own.usage()?);
        self.samples.push(sample);
        Ok(())
    }
}

fn usage(process: Option<&mut Process>) -> io::Result<Option<Usage>> {
    process.map(|process| process.usage()).transpose()
}

/// Sleeps until the `n`-th of `rate` things per second since `begin` is due.
fn pace(phones: &Phones, begin: Duration, n: usize, rate: f64) {
    let due = begin + Duration::from_secs_f64(n as f64 / rate);
    std::thread::sleep(due.saturating_sub(phones.now()));
}

fn within(calls: usize, rate: f64, seconds: u64) -> io::Result<()> {
    if !(1..=CALLS_MAX).contains(&calls) {
        return Err(invalid(format!("expected 1 to {CALLS_MAX} calls, found {calls}")));
    }
    if !(rate > 0.0 && rate <= RATE_MAX) {
        return Err(invalid(format!("expected a rate of at most {RATE_MAX} per second, found {rate}")));
    }
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(invalid(format!("expected 1 to {SECONDS_MAX} seconds, found {seconds}")));
    }
    Ok(())
}

/// Lets this process have that many sockets, as far as the system allows.
fn raise_file_limit(files: usize) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if (files as u64) > hard {
        return Err(invalid(format!("expected room for {files} sockets, the system allows {hard}")));
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(files as u64), hard)?;
    Ok(())
}

/// Refuses servers that are not on this machine.
///
/// # Errors
/// When an address is not loopback.
pub fn check(server: &Server) -> io::Result<()> {
    match server {
        Server::Sip { server, callee, .. } => loopback(server.ip()).and_then(|()| loopback(callee.ip())),
        Server::Ng { server } => loopback(server.ip()),
    }
}
