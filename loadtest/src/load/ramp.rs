//! A ramp: more and more calls that stay, until the server refuses new ones or nothing more can be made.
//!
//! New calls are begun at the same pace after the first refusal, too: what becomes of those that are up meanwhile is the
//! point. Packets from telephone to telephone run beside, so that what the machine adds is not taken for the server's.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Serialize;

use super::direct::Direct;
use super::report::Spread;
use super::{
    CALLS_MAX, Process, Server, Speaking, TEARDOWN_MAX, any_port, invalid, outgoing, raise_file_limit, within,
};
use crate::driver::{PhoneHandle, Phones};
use crate::phone::{Event, Outgoing};

/// Pairs of telephones that speak past the server at the same time.
const DIRECT_PAIRS: usize = 16;
/// How often the telephones' events are looked at.
const STEP: Duration = Duration::from_millis(5);
/// The share of one processor from which this generator's thread counts as full.
const GENERATOR_FULL: f64 = 0.93;
/// Windows in a row in which it has to be.
const GENERATOR_FULL_WINDOWS: usize = 3;

/// A ramp.
#[derive(Debug, Clone)]
pub struct RampPlan {
    /// Who routes.
    pub server: Server,
    /// The server's process.
    pub pid: u32,
    /// New calls per second, before and after the knee.
    pub rate: f64,
    /// Calls at a time at most.
    pub calls: usize,
    /// What a window of figures lasts.
    pub window: Duration,
    /// How long new calls are begun after the first refusal.
    pub beyond: Duration,
    /// What is spoken.
    pub speaking: Speaking,
}

/// Figures of one stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Window {
    /// Its end, since the first call, s.
    pub seconds: f64,
    /// Calls that are up at its end.
    pub calls: usize,
    /// New calls that were begun in it.
    pub begun: usize,
    /// New calls that were refused in it.
    pub refused: usize,
    /// Packets that were missing in it, by sequence.
    pub lost: u64,
    /// One-way times through the server.
    pub latency: Spread,
    /// One-way times from telephone to telephone.
    pub direct: Spread,
    /// Processors that the server took.
    pub server_cores: f64,
    /// Processors that this generator took.
    pub generator_cores: f64,
    /// The server's resident memory, KiB.
    pub rss_kb: u64,
}

impl Window {
    /// What the server added to the 99th percentile, ms; never below zero.
    pub fn added_p99_ms(&self) -> f64 {
        (self.latency.p99_ms - self.direct.p99_ms).max(0.0)
    }
}

/// Why no more calls were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The server had refused new calls for as long as was asked for.
    Refused,
    /// This generator's processor was full before the server refused anybody.
    GeneratorFull,
    /// As many calls were up as were asked for.
    AllUp,
}

/// What came of a ramp.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RampReport {
    /// What was spoken.
    pub codec: String,
    /// Why it ended.
    pub stopped: Stopped,
    /// Its course.
    pub windows: Vec<Window>,
    /// The window in which the first call was refused.
    pub knee: Option<usize>,
    /// Calls that came up.
    pub answered: usize,
    /// Calls that did not, by status.
    pub refused: BTreeMap<u16, usize>,
    /// Calls that the server ended, or whose dialogs died, before we hung up.
    pub broken: usize,
    /// RTP packets that the telephones received.
    pub packets_received: u64,
}

impl RampReport {
    /// The windows from the first refusal on.
    pub fn beyond(&self) -> &[Window] {
        self.knee.and_then(|knee| self.windows.get(knee..)).unwrap_or_default()
    }
}

/// Runs a ramp.
///
/// # Errors
/// When an address is not loopback, a limit is exceeded, or the server's process cannot be read.
pub fn ramp(plan: &RampPlan) -> io::Result<RampReport> {
    let Server::Sip { server, to, callee } = &plan.server else {
        return Err(invalid("expected a SIP server: a media relay does not refuse calls".to_owned()));
    };
    within(plan.calls.min(CALLS_MAX), plan.rate, plan.window.as_secs().max(1))?;
    raise_file_limit(2 * plan.calls + 4 * DIRECT_PAIRS + 64)?;
    let phones = Phones::start()?;
    let (caller, answering) = plan.speaking.phones(any_port(server.ip()), *callee, plan.calls);
    let (answering, caller) = (phones.add(answering)?, phones.add(caller)?);
    let direct = Direct::begin(&phones, DIRECT_PAIRS, plan.speaking.caller)?;
    let mut climb = Climb {
        plan,
        phones: &phones,
        caller: &caller,
        callee: &answering,
        direct: &direct,
        process: Process::new(plan.pid),
        cpu: [Duration::ZERO; 2],
        lost: 0,
        window: Window::default(),
        up: 0,
        report: RampReport {
            codec: plan.speaking.name(),
            stopped: Stopped::AllUp,
            windows: Vec::new(),
            knee: None,
            answered: 0,
            refused: BTreeMap::new(),
            broken: 0,
            packets_received: 0,
        },
    };
    climb.climb(&outgoing(to, *server, None))?;
    climb.come_down()?;
    direct.end()?;
    Ok(climb.report)
}

/// A ramp under way.
struct Climb<'a> {
    plan: &'a RampPlan,
    phones: &'a Phones,
    caller: &'a PhoneHandle,
    callee: &'a PhoneHandle,
    direct: &'a Direct,
    process: Process,
    /// The server's and our own when the window began.
    cpu: [Duration; 2],
    lost: u64,
    window: Window,
    up: usize,
    report: RampReport,
}

impl Climb<'_> {
    fn climb(&mut self, outgoing: &Outgoing) -> io::Result<()> {
        let begin = self.phones.now();
        let (mut next_call, mut window_ends) = (begin, begin + self.plan.window);
        let mut refusing_since = None;
        self.cpu = self.used()?;
        loop {
            let now = self.phones.now();
            while next_call <= now && self.up < self.plan.calls {
                self.caller.call_with(outgoing.clone())?;
                self.window.begun += 1;
                next_call += Duration::from_secs_f64(1.0 / self.plan.rate);
            }
            next_call = next_call.max(now);
            self.take_events();
            if self.window.refused > 0 {
                refusing_since.get_or_insert(now);
            }
            if window_ends <= now {
                self.close_window(now - begin, now + self.plan.window - window_ends)?;
                window_ends = now + self.plan.window;
                if refusing_since.is_some_and(|since| now - since >= self.plan.beyond) {
                    self.report.stopped = Stopped::Refused;
                    return Ok(());
                }
                if refusing_since.is_none() && self.is_generator_full() {
                    self.report.stopped = Stopped::GeneratorFull;
                    return Ok(());
                }
                if refusing_since.is_none() && self.up >= self.plan.calls {
                    return Ok(());
                }
            }
            std::thread::sleep(STEP);
        }
    }

    fn take_events(&mut self) {
        while let Ok(event) = self.caller.events().try_recv() {
            match event.event {
                Event::Answered => {
                    self.up += 1;
                    self.report.answered += 1;
                }
                Event::Failed { status } => {
                    *self.report.refused.entry(status).or_default() += 1;
                    self.window.refused += 1;
                }
                Event::Bye { .. } | Event::Lost => {
                    self.up = self.up.saturating_sub(1);
                    self.report.broken += 1;
                }
                _ => {}
            }
        }
    }

    fn close_window(&mut self, since_begin: Duration, lasted: Duration) -> io::Result<()> {
        let [server, own] = self.used()?;
        let cores = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() / lasted.as_secs_f64();
        let mut latencies = self.caller.take_latencies();
        latencies.merge(&self.callee.take_latencies());
        let lost =
            [self.caller, self.callee].iter().flat_map(|phone| phone.stats()).map(|stats| stats.packets_lost).sum();
        let window = Window {
            seconds: since_begin.as_secs_f64(),
            calls: self.up,
            // Sequences are judged anew where a late packet comes: a loss may be taken back.
            lost: u64::saturating_sub(lost, self.lost),
            latency: Spread::of(&latencies),
            direct: Spread::of(&self.direct.take()),
            server_cores: cores(server, self.cpu[0]),
            generator_cores: cores(own, self.cpu[1]),
            rss_kb: self.process.usage()?.rss_bytes / 1_024,
            ..std::mem::take(&mut self.window)
        };
        (self.cpu, self.lost) = ([server, own], lost);
        if window.refused > 0 && self.report.knee.is_none() {
            self.report.knee = Some(self.report.windows.len());
        }
        self.report.windows.push(window);
        Ok(())
    }

    fn used(&self) -> io::Result<[Duration; 2]> {
        Ok([self.process.usage()?.cpu, Process::own().usage()?.cpu])
    }

    fn is_generator_full(&self) -> bool {
        let last = self.report.windows.iter().rev().take(GENERATOR_FULL_WINDOWS);
        last.filter(|window| window.generator_cores >= GENERATOR_FULL).count() == GENERATOR_FULL_WINDOWS
    }

    /// Hangs up on everybody.
    fn come_down(&mut self) -> io::Result<()> {
        let received = |phone: &PhoneHandle| phone.stats().iter().map(|stats| stats.packets_received).sum::<u64>();
        self.report.packets_received = received(self.caller) + received(self.callee);
        let calls = self.report.answered + self.report.refused.values().sum::<usize>();
        (0..calls).try_for_each(|call| self.caller.hang_up_call(call))?;
        let end = self.phones.now() + TEARDOWN_MAX;
        while self.phones.now() < end && self.caller.calls_open() > 0 {
            std::thread::sleep(STEP * 20);
        }
        Ok(())
    }
}
