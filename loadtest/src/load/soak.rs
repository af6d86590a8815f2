//! A soak: calls come and go for long at a steady number, and nothing of the server may grow or be left behind.
//!
//! Prompts, moves and keys happen as the server's policy makes them; the telephones hold, resume and press keys. What a
//! run showed is judged in `report`, what the server holds is read in `server`.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use media::network::Random;
use media::{Direction, dtmf};

use super::direct::Direct;
use super::report::Spread;
use super::{CALLS_MAX, RATE_MAX, Server, Speaking, any_port, invalid, loopback, raise_file_limit};
use crate::driver::{PhoneHandle, Phones};
use crate::phone::{self, CallIndex, Event, Outgoing};

mod report;
mod server;

pub(crate) use server::sum;

pub use report::{Counts, Sample, SoakReport, Times};

use server::{Heard, Watched};

/// The longest soak.
pub const MINUTES_MAX: f64 = 24.0 * 60.0;
/// The longest that a call may last on average.
pub const CALL_SECONDS_MAX: u64 = 3_600;
/// Samples of a soak at most, so that a day fits into a small table.
const SAMPLES_MAX: u32 = 720;
/// How long the calls may take to end.
const TEARDOWN_MAX: Duration = Duration::from_secs(20);
/// How long a server may keep its ports after its last call.
const PORTS_REST_MAX: Duration = Duration::from_secs(30);
/// Pairs of telephones that speak past the server at the same time.
const DIRECT_PAIRS: usize = 16;
/// How often the telephones' events are looked at.
const STEP: Duration = Duration::from_millis(10);

/// A long run of calls that come and go.
#[derive(Debug, Clone)]
pub struct SoakPlan {
    /// Who routes; `Ng` has no calls.
    pub server: Server,
    /// Where more telephones answer, for servers that move calls.
    pub others: Vec<SocketAddr>,
    /// The server's process.
    pub pid: u32,
    /// Where the server's `/metrics` is, if it is to be read, and the token for it.
    pub metrics: Option<(SocketAddr, Option<String>)>,
    /// How long new calls are begun.
    pub minutes: f64,
    /// Calls at a time.
    pub calls: usize,
    /// New calls per second at most.
    pub rate: f64,
    /// How long a call lasts on average: half of it to one and a half times as long.
    pub call_seconds: u64,
    /// Of a hundred calls, those that are held once and resumed.
    pub hold_percent: u32,
    /// Keys that calls press.
    pub keys: Vec<dtmf::Key>,
    /// Calls that have to end before growth is judged: as many as the server remembers.
    pub warm_up_calls: usize,
    /// What is spoken.
    pub speaking: Speaking,
    /// Makes the lengths of calls and who holds.
    pub seed: u64,
    /// Of a hundred calls, those that press them.
    pub keys_percent: u32,
    /// Where every sample is written as it is taken.
    pub csv: Option<PathBuf>,
    /// Where the same is written as JSON, an object a line.
    pub journal: Option<PathBuf>,
}

/// Runs a soak; [`SoakReport::failures`] says what was wrong.
///
/// # Errors
/// When an address is not loopback, a limit is exceeded, or the server's process cannot be read.
pub fn soak(plan: &SoakPlan) -> io::Result<SoakReport> {
    let Server::Sip { server, to, callee } = &plan.server else {
        return Err(invalid("expected a SIP server: a media relay has no calls that come and go".to_owned()));
    };
    check(plan)?;
    // Calls that are moved have two legs for a while.
    let lines = 2 * plan.calls;
    raise_file_limit((plan.others.len() + 2) * (lines + 1) + 2 * DIRECT_PAIRS + 64)?;
    let phones = Phones::start()?;
    let (caller, answering) = plan.speaking.phones(any_port(server.ip()), *callee, lines);
    let mut answerers = vec![phones.add(answering.clone())?];
    for other in &plan.others {
        answerers.push(phones.add(crate::driver::PhonePlan { bind: *other, ..answering.clone() })?);
    }
    let caller = phones.add(caller)?;

    let mut watched = Watched::new(plan)?;
    let before = watched.sample(phones.now(), &Counts::default(), &Heard::default())?;
    let outgoing =
        Outgoing { target: to.clone(), server: *server, name: None, headers: Vec::new(), hang_up_after: None };
    let direct = Direct::begin(&phones, DIRECT_PAIRS, plan.speaking.caller)?;
    let ears = Ears { caller: &caller, answerers: &answerers, direct: &direct };
    let mut crew = Crew::new(plan, &phones, ears, outgoing);
    let samples = crew.work(&mut watched)?;
    crew.hang_up(&mut watched)?;
    direct.end()?;

    let mut after = watched.sample(phones.now(), &crew.counts, &Heard::default())?;
    let patience = phones.now() + PORTS_REST_MAX;
    while after.holds_more_than(&before) && phones.now() < patience {
        std::thread::sleep(Duration::from_secs(1));
        after = watched.sample(phones.now(), &crew.counts, &Heard::default())?;
    }
    let mut counts = crew.counts;
    counts.answered_elsewhere = answerers.iter().skip(1).map(|phone| phone.stats().len()).sum();
    let heard = [&caller].into_iter().chain(&answerers).flat_map(PhoneHandle::stats).collect::<Vec<_>>();
    Ok(SoakReport::new(plan, counts, before, &samples, after, &heard))
}

fn check(plan: &SoakPlan) -> io::Result<()> {
    let expected = |wanted: &str, found: &dyn std::fmt::Display| invalid(format!("expected {wanted}, found {found}"));
    if !(plan.minutes > 0.0 && plan.minutes <= MINUTES_MAX) {
        return Err(expected(&format!("at most {MINUTES_MAX} minutes"), &plan.minutes));
    }
    if !(1..=CALLS_MAX).contains(&plan.calls) {
        return Err(expected(&format!("1 to {CALLS_MAX} calls"), &plan.calls));
    }
    if !(plan.rate > 0.0 && plan.rate <= RATE_MAX) {
        return Err(expected(&format!("a rate of at most {RATE_MAX} per second"), &plan.rate));
    }
    if !(2..=CALL_SECONDS_MAX).contains(&plan.call_seconds) {
        return Err(expected(&format!("2 to {CALL_SECONDS_MAX} seconds per call"), &plan.call_seconds));
    }
    let calls_in_all = plan.calls as f64 * (plan.minutes * 60.0 / (plan.call_seconds as f64 / 2.0) + 1.0);
    if calls_in_all * 2.0 > phone::CALLS_MAX as f64 {
        return Err(expected("fewer or longer calls", &format!("up to {calls_in_all:.0} of them")));
    }
    plan.others.iter().try_for_each(|other| loopback(other.ip()))?;
    plan.metrics.iter().try_for_each(|(address, _)| loopback(address.ip()))
}

/// Everybody who hears.
#[derive(Clone, Copy)]
struct Ears<'a> {
    caller: &'a PhoneHandle,
    answerers: &'a [PhoneHandle],
    direct: &'a Direct,
}

impl Ears<'_> {
    /// What was heard since this was asked last; losses since the beginning.
    fn heard(&self) -> Heard {
        let mut latencies = self.caller.take_latencies();
        self.answerers.iter().for_each(|phone| latencies.merge(&phone.take_latencies()));
        let lost = |phone: &PhoneHandle| phone.stats().iter().map(|stats| stats.packets_lost).sum::<u64>();
        Heard {
            packets_lost: lost(self.caller) + self.answerers.iter().map(lost).sum::<u64>(),
            latency: Spread::of(&latencies),
            direct: Spread::of(&self.direct.take()),
        }
    }
}

/// What is to be done on a call at some time.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Offer(Direction),
    Press,
}

/// Keeps the calls coming and going.
struct Crew<'a> {
    plan: &'a SoakPlan,
    phones: &'a Phones,
    caller: &'a PhoneHandle,
    ears: Ears<'a>,
    outgoing: Outgoing,
    random: Random,
    /// How long each call of ours will last.
    lengths: BTreeMap<CallIndex, Duration>,
    deeds: BTreeMap<(Duration, CallIndex), Deed>,
    counts: Counts,
    /// Everything is being hung up.
    is_over: bool,
}

impl<'a> Crew<'a> {
    fn new(plan: &'a SoakPlan, phones: &'a Phones, ears: Ears<'a>, outgoing: Outgoing) -> Self {
        Crew {
            plan,
            phones,
            caller: ears.caller,
            ears,
            outgoing,
            random: Random::new(plan.seed),
            lengths: BTreeMap::new(),
            deeds: BTreeMap::new(),
            counts: Counts::default(),
            is_over: false,
        }
    }

    /// Until the time is over; the samples taken meanwhile.
    fn work(&mut self, watched: &mut Watched) -> io::Result<Vec<Sample>> {
        let begin = self.phones.now();
        let length = Duration::from_secs_f64(self.plan.minutes * 60.0);
        let between = (length / SAMPLES_MAX).max(Duration::from_secs(1));
        let (mut next_call, mut next_sample) = (begin, begin + between);
        let mut samples = Vec::new();
        while self.phones.now() < begin + length {
            let now = self.phones.now();
            while self.counts.open() < self.plan.calls && next_call <= now {
                self.begin_call()?;
                next_call += Duration::from_secs_f64(1.0 / self.plan.rate);
            }
            next_call = next_call.max(now);
            self.do_deeds(now)?;
            self.take_events();
            if next_sample <= now {
                samples.push(watched.sample(now, &self.counts, &self.ears.heard())?);
                next_sample += between;
            }
            std::thread::sleep(STEP);
        }
        Ok(samples)
    }

    /// Ends what is still up.
    fn hang_up(&mut self, watched: &mut Watched) -> io::Result<()> {
        self.is_over = true;
        watched.sample(self.phones.now(), &self.counts, &self.ears.heard())?;
        (0..self.counts.begun + self.counts.referred).try_for_each(|call| self.caller.hang_up_call(call))?;
        let end = self.phones.now() + TEARDOWN_MAX;
        while self.counts.open() > 0 && self.phones.now() < end {
            self.take_events();
            std::thread::sleep(STEP);
        }
        self.take_events();
        Ok(())
    }

    fn begin_call(&mut self) -> io::Result<()> {
        let half = self.plan.call_seconds * 500;
        let length = Duration::from_millis(half + self.random.below(2 * half));
        self.lengths.insert(self.counts.begun + self.counts.referred, length);
        self.counts.begun += 1;
        self.caller.call_with(Outgoing { hang_up_after: Some(length), ..self.outgoing.clone() })
    }

    fn do_deeds(&mut self, now: Duration) -> io::Result<()> {
        while let Some(entry) = self.deeds.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, call), deed) = entry.remove_entry();
            match deed {
                Deed::Offer(direction) => self.caller.offer_on(call, direction)?,
                Deed::Press => self.caller.press_on(call, self.plan.keys.clone())?,
            }
        }
        Ok(())
    }

    fn take_events(&mut self) {
        while let Ok(event) = self.caller.events().try_recv() {
            let (at, call) = (event.at, event.call);
            match event.event {
                Event::Answered => {
                    self.counts.answered += 1;
                    self.answered(at, call);
                }
                // We have cancelled what was ringing at the end.
                Event::Failed { status: 487 } if self.is_over => self.counts.hung_up += 1,
                Event::Failed { status } => *self.counts.failed.entry(status).or_default() += 1,
                Event::Bye { .. } => self.counts.ended_by_server += 1,
                Event::HungUp => self.counts.hung_up += 1,
                Event::Lost => self.counts.lost += 1,
                Event::OfferAnswered { status: 200, .. } => self.counts.offers_answered += 1,
                Event::OfferAnswered { .. } => self.counts.offers_refused += 1,
                Event::Reoffered { .. } => self.counts.reoffered += 1,
                Event::Referred { .. } => self.counts.referred += 1,
                Event::Incoming { .. } | Event::Ringing { .. } | Event::RtpFirst | Event::Key(_) => {}
            }
        }
    }

    /// Decides what becomes of a call.
    fn answered(&mut self, at: Duration, call: CallIndex) {
        let Some(length) = self.lengths.remove(&call) else { return };
        let moment = |share: f64| (at + length.mul_f64(share), call);
        if self.random.below(100) < u64::from(self.plan.hold_percent) {
            let held = if self.random.below(2) == 0 { Direction::SendOnly } else { Direction::Inactive };
            self.deeds.insert(moment(0.3), Deed::Offer(held));
            self.deeds.insert(moment(0.5), Deed::Offer(Direction::SendRecv));
        }
        if !self.plan.keys.is_empty() && self.random.below(100) < u64::from(self.plan.keys_percent) {
            self.deeds.insert(moment(0.6), Deed::Press);
        }
    }
}
