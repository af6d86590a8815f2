//! Short calls one after another: how long setting up takes, what it costs, and how much of that is the server's own.
//!
//! Each caller shows a number as its name, which every server passes on; so it is known which answer of the callee
//! became which answer to a caller.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::process::Process;
use super::report::{CallsReport, Spread};
use super::{NOTHING, Run, SETUP_MAX, Server, any_port, invalid, outgoing, raise_file_limit, usage, within};
use crate::driver::{PhoneHandle, PhonePlan, Phones};
use crate::latency::Latencies;
use crate::message::Message;
use crate::phone::{Behaviour, CallIndex, Event};

/// A run of short calls, one after another.
#[derive(Debug, Clone)]
pub struct CallsPlan {
    /// Who routes; `Ng` has no calls to set up.
    pub server: Server,
    /// Its process, for CPU and memory.
    pub pid: Option<u32>,
    /// Calls begun per second.
    pub rate: f64,
    /// How long calls are begun.
    pub seconds: u64,
    /// How long a call lasts from its answer.
    pub hold: Duration,
}

/// Sets up and ends short calls and measures how long that takes.
///
/// # Errors
/// As [`super::relay`].
pub fn calls(plan: &CallsPlan) -> io::Result<CallsReport> {
    let Server::Sip { server, to, callee } = &plan.server else {
        return Err(invalid("expected a SIP server: a media relay has no calls to set up".to_owned()));
    };
    let count = (plan.rate * plan.seconds as f64).ceil() as usize;
    within(count, plan.rate, plan.seconds)?;
    let lines = ((plan.rate * (plan.hold.as_secs_f64() + 2.0)).ceil() as usize).min(count);
    raise_file_limit(lines * 2 + 64)?;
    let phones = Phones::start()?;
    let plan_of = |bind, user: &str| PhonePlan {
        user: user.to_owned(),
        lines,
        keep: NOTHING,
        behaviour: Behaviour::answer(),
        ..PhonePlan::new(bind)
    };
    let answering = phones.add(plan_of(*callee, "callee"))?;
    let caller = phones.add(plan_of(any_port(server.ip()), "caller"))?;

    let mut process = plan.pid.map(Process::new);
    let before = usage(process.as_mut())?;
    let own_before = Process::own().usage()?;
    let outgoing = outgoing(to, *server, Some(plan.hold));
    let mut run = Run::start(&phones, &caller, count, plan.rate, &outgoing)?;
    let ended = run.wait(SETUP_MAX + plan.hold, |run| run.ended >= count);
    let after = usage(process.as_mut())?;
    let own = Process::own().usage()?;
    Ok(CallsReport {
        calls: count,
        rate: plan.rate,
        answered: run.answers.len(),
        failed: run.failed,
        unfinished: if ended { 0 } else { count.saturating_sub(run.ended) },
        setup: Spread::of(&run.setup),
        passing_on: Spread::of(&passing_on(&answers_of(&answering), &run.answers)),
        server_cpu_ms_per_call: before.zip(after).map(|(b, a)| (a.cpu - b.cpu).as_secs_f64() * 1e3 / count as f64),
        rss_kb_growth_per_call: before
            .zip(after)
            .map(|(b, a)| (a.rss_bytes as f64 - b.rss_bytes as f64) / 1_024.0 / count as f64),
        generator_cpu_ms_per_call: (own.cpu - own_before.cpu).as_secs_f64() * 1e3 / count as f64,
    })
}

/// The name of a caller's call.
pub(super) fn name_of(call: CallIndex) -> String {
    format!("load {call}")
}

/// When the callee answered each call, by the callers' numbers.
fn answers_of(callee: &PhoneHandle) -> BTreeMap<CallIndex, Duration> {
    let (mut numbers, mut answers) = (BTreeMap::new(), BTreeMap::new());
    while let Ok(event) = callee.events().try_recv() {
        match event.event {
            Event::Incoming { invite } => {
                numbers.extend(number(&invite).map(|number| (event.call, number)));
            }
            Event::Answered => {
                answers.extend(numbers.remove(&event.call).map(|number| (number, event.at)));
            }
            _ => {}
        }
    }
    answers
}

/// The number of the call that an INVITE is of; nothing when its name was not passed on.
fn number(invite: &Message) -> Option<CallIndex> {
    let (_, name) = invite.header("From")?.split_once("load ")?;
    name.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// From the callee's answers to those that their callers got.
fn passing_on(given: &BTreeMap<CallIndex, Duration>, got: &BTreeMap<CallIndex, Duration>) -> Latencies {
    let mut latencies = Latencies::default();
    for (call, given) in given {
        if let Some(got) = got.get(call) {
            latencies.add(got.saturating_sub(*given));
        }
    }
    latencies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_names() {
        for (from, expected) in [
            ("\"load 17\" <sip:caller@127.0.0.1:5070>;tag=a", Some(17)),
            ("load 17 <sip:caller@127.0.0.1:5070>;tag=a", Some(17)),
            ("<sip:caller@127.0.0.1:5070>;tag=a", None),
            ("\"load x\" <sip:caller@127.0.0.1>", None),
        ] {
            let mut invite = Message::request("INVITE", "sip:a@127.0.0.1");
            invite.push("From", from);
            assert_eq!(number(&invite), expected, "{from}");
        }
    }

    #[test]
    fn answers_are_paired_by_number() {
        let at =
            |pairs: &[(CallIndex, u64)]| pairs.iter().map(|(call, ms)| (*call, Duration::from_millis(*ms))).collect();
        let spread = Spread::of(&passing_on(&at(&[(1, 10), (0, 20), (2, 30)]), &at(&[(0, 21), (1, 13)])));
        assert_eq!((spread.count, spread.max_ms), (2, 3.0));
    }
}
