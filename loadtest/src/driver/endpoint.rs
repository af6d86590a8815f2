//! What the thread runs: a telephone, or bare RTP streams. Both take and give datagrams in the same way.

use std::collections::BTreeSet;
use std::time::Duration;

use media::StreamSettings;

use crate::audio::Audio;
use crate::latency::Latencies;
use crate::network::BadNetwork;
use crate::phone::{Input, Output, Phone};
use crate::stream::{Keep, Recording, Stream, StreamPlan};

/// Anything with sockets.
pub(super) enum Endpoint {
    Phone(Box<Phone>),
    Streams(Streams),
}

impl Endpoint {
    pub(super) fn handle(&mut self, now: Duration, input: Input<'_>, out: &mut Output) {
        match self {
            Endpoint::Phone(phone) => phone.handle(now, input, out),
            Endpoint::Streams(streams) => streams.handle(now, &input, out),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Endpoint::Phone(phone) => phone.deadline(),
            Endpoint::Streams(streams) => streams.timers.first().map(|(at, _)| *at),
        }
    }

    pub(super) fn heard(&self, call: Option<usize>) -> Recording {
        match self {
            Endpoint::Phone(phone) => phone.heard(call.unwrap_or(phone.calls().saturating_sub(1))),
            Endpoint::Streams(streams) => {
                streams.streams.get(call.unwrap_or(0)).map(Stream::recording).unwrap_or_default()
            }
        }
    }

    pub(super) fn take_latencies(&mut self) -> Latencies {
        match self {
            Endpoint::Phone(phone) => phone.take_latencies(),
            Endpoint::Streams(streams) => {
                let mut all = Latencies::default();
                streams.streams.iter_mut().for_each(|stream| all.merge(&stream.take_latencies()));
                all
            }
        }
    }
}

/// Streams without SIP; ports are consecutive in no way, so they are found by a sorted list.
pub(super) struct Streams {
    streams: Vec<Stream>,
    by_port: std::collections::BTreeMap<u16, usize>,
    timers: BTreeSet<(Duration, usize)>,
    /// Each stream's time in `timers`.
    scheduled: Vec<Option<Duration>>,
}

impl Streams {
    pub(super) fn new(ports: &[u16], audio: &Audio, seed: u64, keep: Keep, plan: StreamPlan) -> Self {
        let of = |(n, port): (usize, &u16)| {
            let offset = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let network = plan.network.map(|bad| BadNetwork { seed: bad.seed.wrapping_add(offset), ..bad });
            Stream::new(*port, audio.clone(), seed.wrapping_add(offset), keep, StreamPlan { network, ..plan })
        };
        Streams {
            streams: ports.iter().enumerate().map(of).collect(),
            by_port: ports.iter().enumerate().map(|(n, port)| (*port, n)).collect(),
            timers: BTreeSet::new(),
            scheduled: vec![None; ports.len()],
        }
    }

    pub(super) fn configure(&mut self, now: Duration, port: u16, settings: StreamSettings) {
        if let Some(&n) = self.by_port.get(&port) {
            self.streams[n].configure(now, settings);
            self.schedule(n);
        }
    }

    pub(super) fn stop(&mut self) {
        self.streams.iter_mut().for_each(Stream::stop);
        self.timers.clear();
        self.scheduled.fill(None);
    }

    fn handle(&mut self, now: Duration, input: &Input<'_>, out: &mut Output) {
        if let Input::Rtp { port, bytes } = input
            && let Some(&n) = self.by_port.get(port)
        {
            self.streams[n].receive(now, bytes);
            self.tick(now, n, out);
        }
        // One at a time: what is due next says so by the deadline.
        if let Some(&(at, n)) = self.timers.first()
            && at <= now
        {
            self.tick(now, n, out);
            self.schedule(n);
        }
    }

    fn tick(&mut self, now: Duration, n: usize, out: &mut Output) {
        let port = self.streams[n].port;
        self.streams[n].tick(now, |to, packet| out.rtp.push((port, to, packet)));
        // Nobody asks bare streams what happened.
        self.streams[n].take_events().for_each(drop);
    }

    fn schedule(&mut self, n: usize) {
        let next = self.streams[n].deadline();
        if let Some(at) = std::mem::replace(&mut self.scheduled[n], next) {
            self.timers.remove(&(at, n));
        }
        self.timers.extend(next.map(|at| (at, n)));
    }
}
