//! The figures of a run: as a table for people and as JSON for programs.

use std::fmt;

use serde::Serialize;

use super::{Meter, RelayPlan};
use crate::latency::{Latencies, Percentiles};
use crate::stream::{Recording, StreamStats};

/// Percentiles, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: usize,
    /// Half of them were below, ms.
    pub p50_ms: f64,
    /// 99 of 100 were below, ms.
    pub p99_ms: f64,
    /// The largest, ms.
    pub max_ms: f64,
}

impl Spread {
    pub(super) fn of(latencies: &Latencies) -> Self {
        let Percentiles { count, p50_ms, p99_ms, max_ms } = latencies.percentiles();
        Spread { count, p50_ms, p99_ms, max_ms }
    }

    /// What this one has more than `other`, percentile by percentile; never below zero.
    fn beyond(self, other: Spread) -> Spread {
        let more = |this: f64, other: f64| (this - other).max(0.0);
        Spread {
            count: self.count,
            p50_ms: more(self.p50_ms, other.p50_ms),
            p99_ms: more(self.p99_ms, other.p99_ms),
            max_ms: more(self.max_ms, other.max_ms),
        }
    }
}

/// What went wrong in the streams that the telephones heard, summed over all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that are no RTP or of another payload type.
    pub unexpected: u64,
    /// Changes of source within a call.
    pub ssrc_changes: u64,
    /// Timestamps that went back.
    pub timestamp_steps_back: u64,
    /// Timestamps that do not follow the sequence.
    pub timestamp_jumps: u64,
}

impl Faults {
    pub(super) fn add(&mut self, stats: &StreamStats) {
        self.duplicates += stats.duplicates;
        self.reordered += stats.reordered;
        self.unexpected += stats.unexpected;
        self.ssrc_changes += stats.ssrc_changes;
        self.timestamp_steps_back += stats.timestamp_steps_back;
        self.timestamp_jumps += stats.timestamp_jumps;
    }
}

/// How much audio the server delivered, which its sequence numbers do not tell: a transcoder that is starved numbers
/// what little it makes without a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Delivered {
    /// Audio received, of what was sent by the other ends, %.
    pub percent_of_sent: f64,
    /// Audio in the packets of a stream, of the time from its first to its last: the worst stream, %.
    pub percent_of_time_min: f64,
    /// The same over all streams, mean, %.
    pub percent_of_time_mean: f64,
    /// Streams with less than 99 % of their time.
    pub streams_starved: usize,
}

impl Delivered {
    fn of(streams: &[&Recording]) -> Self {
        let seconds = |of: fn(&Recording) -> f64| streams.iter().map(|recording| of(recording)).sum::<f64>();
        let sent = seconds(|recording| recording.stats.audio_sent.as_secs_f64());
        let received = seconds(|recording| recording.stats.audio_received.as_secs_f64());
        let shares: Vec<f64> = streams.iter().map(|recording| share_of_time(recording).unwrap_or(0.0)).collect();
        if shares.is_empty() || sent == 0.0 {
            return Delivered::default();
        }
        Delivered {
            percent_of_sent: 100.0 * received / sent,
            percent_of_time_min: shares.iter().copied().fold(f64::INFINITY, f64::min),
            percent_of_time_mean: shares.iter().sum::<f64>() / shares.len() as f64,
            streams_starved: shares.iter().filter(|share| **share < 99.0).count(),
        }
    }
}

/// The audio of a stream in per cent of the time from its first packet to the end of its last.
fn share_of_time(recording: &Recording) -> Option<f64> {
    let stats = recording.stats;
    let (first, last) = (recording.started?, stats.last_at?);
    let packet = stats.audio_received.div_f64(stats.packets_received.max(1) as f64);
    let time = last.saturating_sub(first) + packet;
    (!time.is_zero()).then(|| 100.0 * stats.audio_received.as_secs_f64() / time.as_secs_f64())
}

/// What the server used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ServerReport {
    /// CPU per call and second while all calls were up, ms.
    pub cpu_ms_per_call_second: f64,
    /// The part of it that listening took, by the names of the threads, ms.
    pub listening_cpu_ms_per_call_second: f64,
    /// Growth of resident memory from none to all calls, per call, KiB.
    pub rss_kb_per_call: f64,
    /// Resident memory before the calls, KiB.
    pub rss_kb_before: f64,
}

/// A run of calls that lasted until its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RelayReport {
    /// Who relayed.
    pub system: String,
    /// What was spoken.
    pub codec: String,
    /// Calls that were tried.
    pub calls: usize,
    /// How long all were up, seconds.
    pub seconds: u64,
    /// Calls that came up.
    pub answered: usize,
    /// From the INVITE (or the offer) to the answer.
    pub setup: Spread,
    /// RTP packets that the telephones sent.
    pub packets_sent: u64,
    /// RTP packets that they received, without duplicates.
    pub packets_received: u64,
    /// Packets missing in the received sequences.
    pub packets_lost: u64,
    /// Packets that the callers' own bad network lost, both ways; they are missing in the sequences too.
    pub network_lost: u64,
    /// Audio that came through.
    pub delivered: Delivered,
    /// What was wrong with received packets.
    pub faults: Faults,
    /// Interarrival jitter over all streams: mean and largest, ms.
    pub jitter_ms_mean: f64,
    /// The largest jitter of a stream, ms.
    pub jitter_ms_max: f64,
    /// One-way time through the server.
    pub latency: Spread,
    /// From a click to its echo, through the server twice; empty where packets are stamped.
    pub round_trip: Spread,
    /// Clicks that were said.
    pub clicks_sent: u64,
    /// Clicks that came back.
    pub clicks_heard: u64,
    /// One-way time of the same packets without a server, in the same run.
    pub baseline: Spread,
    /// The difference.
    pub added: Spread,
    /// What the server used; absent without its process id.
    pub server: Option<ServerReport>,
    /// CPU of this generator per call and second, ms.
    pub generator_cpu_ms_per_call_second: f64,
}

impl RelayReport {
    pub(super) fn new(system: String, plan: &RelayPlan, answered: usize, setup: &Spread) -> Self {
        RelayReport {
            system,
            codec: plan.speaking.name(),
            calls: plan.calls,
            seconds: plan.seconds,
            answered,
            setup: *setup,
            packets_sent: 0,
            packets_received: 0,
            packets_lost: 0,
            network_lost: 0,
            delivered: Delivered::default(),
            faults: Faults::default(),
            jitter_ms_mean: 0.0,
            jitter_ms_max: 0.0,
            latency: Spread::default(),
            round_trip: Spread::default(),
            clicks_sent: 0,
            clicks_heard: 0,
            baseline: Spread::default(),
            added: Spread::default(),
            server: None,
            generator_cpu_ms_per_call_second: 0.0,
        }
    }

    pub(super) fn set_media(&mut self, callers: &[Recording], callees: &[Recording]) {
        let (mut latencies, mut round_trips) = (Latencies::default(), Latencies::default());
        // Whoever has spoken and heard nothing counts: that audio goes one way only is to be seen.
        let took_part = |recording: &&Recording| recording.started.is_some() || recording.stats.packets_sent > 0;
        let streams: Vec<&Recording> = callers.iter().chain(callees).filter(took_part).collect();
        let heard = streams.iter().filter(|recording| recording.started.is_some()).count().max(1) as f64;
        for recording in &streams {
            let stats = recording.stats;
            latencies.merge(&recording.latencies);
            round_trips.merge(&recording.round_trips);
            self.clicks_sent += stats.clicks_sent;
            self.clicks_heard += stats.clicks_heard;
            self.network_lost += stats.network_lost_sent + stats.network_lost_received;
            self.packets_sent += stats.packets_sent;
            self.packets_received += stats.packets_received;
            self.packets_lost += stats.packets_lost;
            self.faults.add(&stats);
            self.jitter_ms_mean += stats.jitter_ms / heard;
            self.jitter_ms_max = self.jitter_ms_max.max(stats.jitter_ms);
        }
        self.latency = Spread::of(&latencies);
        self.round_trip = Spread::of(&round_trips);
        self.delivered = Delivered::of(&streams);
    }

    pub(super) fn set_baseline(&mut self, baseline: &Latencies) {
        self.baseline = Spread::of(baseline);
        if self.latency.count > 0 {
            self.added = self.latency.beyond(self.baseline);
        }
    }

    pub(super) fn set_usage(&mut self, meter: &Meter, calls: usize, seconds: u64) {
        let [(before, _), (up, own_up), (end, own_end)] = meter.samples[..] else { return };
        let call_seconds = calls.max(1) as f64 * seconds.max(1) as f64;
        self.generator_cpu_ms_per_call_second = (own_end.cpu - own_up.cpu).as_secs_f64() * 1e3 / call_seconds;
        if let (Some(before), Some(up), Some(end)) = (before, up, end) {
            let growth = end.rss_bytes.max(up.rss_bytes) as f64 - before.rss_bytes as f64;
            self.server = Some(ServerReport {
                cpu_ms_per_call_second: (end.cpu - up.cpu).as_secs_f64() * 1e3 / call_seconds,
                listening_cpu_ms_per_call_second: (end.listening_cpu.saturating_sub(up.listening_cpu)).as_secs_f64()
                    * 1e3
                    / call_seconds,
                rss_kb_per_call: growth / 1_024.0 / calls.max(1) as f64,
                rss_kb_before: before.rss_bytes as f64 / 1_024.0,
            });
        }
    }
}

impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, worst) = (self.percent_of_time_mean, self.percent_of_time_min);
        write!(f, "{mean:.2} % of the time, worst stream {worst:.2} %, {} below 99 %", self.streams_starved)?;
        write!(f, "; {:.2} % of what was sent", self.percent_of_sent)
    }
}

impl fmt::Display for RelayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} · {} · {} calls · {} s", self.system, self.codec, self.calls, self.seconds)?;
        row(f, "answered", format!("{} of {}", self.answered, self.calls))?;
        row(f, "set-up", spread(&self.setup))?;
        row(f, "packets", format!("{} sent, {} received", self.packets_sent, self.packets_received))?;
        row(f, "lost", format!("{} (by sequence), {} by the callers' network", self.packets_lost, self.network_lost))?;
        row(f, "delivered", self.delivered)?;
        row(f, "jitter", format!("mean {:.2} ms, max {:.2} ms", self.jitter_ms_mean, self.jitter_ms_max))?;
        if self.latency.count > 0 {
            row(f, "one-way", spread(&self.latency))?;
        }
        row(f, "without server", spread(&self.baseline))?;
        if self.latency.count > 0 {
            row(f, "added", spread(&self.added))?;
        }
        if self.clicks_sent > 0 {
            row(f, "round trip", spread(&self.round_trip))?;
            row(f, "clicks", format!("{} said, {} came back", self.clicks_sent, self.clicks_heard))?;
        }
        if self.faults != Faults::default() {
            row(f, "faults", format!("{:?}", self.faults))?;
        }
        if let Some(server) = &self.server {
            let (cpu, listening) = (server.cpu_ms_per_call_second, server.listening_cpu_ms_per_call_second);
            row(f, "server CPU", format!("{cpu:.3} ms per call-second, of which listening {listening:.3}"))?;
            let memory = format!("{:.0} KiB per call, {:.0} KiB before", server.rss_kb_per_call, server.rss_kb_before);
            row(f, "server memory", memory)?;
        }
        row(f, "generator CPU", format!("{:.3} ms per call-second", self.generator_cpu_ms_per_call_second))
    }
}

/// A run of short calls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallsReport {
    /// Calls that were begun.
    pub calls: usize,
    /// Calls begun per second.
    pub rate: f64,
    /// Calls that came up.
    pub answered: usize,
    /// Calls that were refused or timed out.
    pub failed: usize,
    /// Calls that had not ended when the run did.
    pub unfinished: usize,
    /// From the INVITE to its 200.
    pub setup: Spread,
    /// From the callee's 200 to the caller's: the server's own part of the answer.
    pub passing_on: Spread,
    /// The server's CPU per call, ms; absent without its process id.
    pub server_cpu_ms_per_call: Option<f64>,
    /// Growth of its resident memory per finished call, KiB.
    pub rss_kb_growth_per_call: Option<f64>,
    /// CPU of this generator per call, ms.
    pub generator_cpu_ms_per_call: f64,
}

impl fmt::Display for CallsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} calls at {} per second", self.calls, self.rate)?;
        let ends = format!("{} answered, {} failed, {} unfinished", self.answered, self.failed, self.unfinished);
        row(f, "calls", ends)?;
        row(f, "set-up", spread(&self.setup))?;
        row(f, "200 to 200", spread(&self.passing_on))?;
        if let (Some(cpu), Some(memory)) = (self.server_cpu_ms_per_call, self.rss_kb_growth_per_call) {
            row(f, "server CPU", format!("{cpu:.2} ms per call"))?;
            row(f, "server memory", format!("{memory:.2} KiB growth per finished call"))?;
        }
        row(f, "generator CPU", format!("{:.2} ms per call", self.generator_cpu_ms_per_call))
    }
}

pub(super) fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<16}{value}")
}

pub(super) fn spread(spread: &Spread) -> String {
    format!("p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms", spread.p50_ms, spread.p99_ms, spread.max_ms)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_starved_stream_is_seen_though_nothing_is_lost() {
        let stream = |audio_ms: u64, time_ms: u64| {
            let second = Duration::from_secs(1);
            let stats = StreamStats {
                packets_received: audio_ms / 20,
                audio_sent: Duration::from_secs(10),
                audio_received: Duration::from_millis(audio_ms),
                last_at: Some(second + Duration::from_millis(time_ms - 20)),
                ..StreamStats::default()
            };
            Recording { started: Some(second), stats, ..Recording::default() }
        };
        let (good, starved) = (stream(10_000, 10_000), stream(5_700, 10_000));
        let delivered = Delivered::of(&[&good, &starved]);
        assert_eq!((delivered.percent_of_sent, delivered.streams_starved), (78.5, 1));
        assert!((delivered.percent_of_time_min - 57.0).abs() < 0.01, "{delivered}");
        assert_eq!(Delivered::of(&[]), Delivered::default());
    }

    #[test]
    fn audio_that_goes_one_way_only_is_seen() {
        let stream = |packets_received: u64| {
            let (started, sent) = (Duration::from_secs(1), Duration::from_secs(10));
            let stats = StreamStats {
                packets_sent: 500,
                packets_received,
                audio_sent: sent,
                audio_received: Duration::from_millis(20) * packets_received as u32,
                last_at: (packets_received > 0).then(|| started + sent - Duration::from_millis(20)),
                jitter_ms: if packets_received > 0 { 2.0 } else { 0.0 },
                ..StreamStats::default()
            };
            Recording { started: (packets_received > 0).then_some(started), stats, ..Recording::default() }
        };
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let plan = RelayPlan {
            server: super::super::Server::Ng { server: nowhere },
            pid: None,
            calls: 1,
            rate: 1.0,
            seconds: 10,
            speaking: super::super::Speaking::plain(media::Codec::Pcma),
        };
        let mut report = RelayReport::new("server".to_owned(), &plan, 1, &Spread::default());
        report.set_media(&[stream(500)], &[stream(0)]);
        let Delivered { percent_of_sent, percent_of_time_min, percent_of_time_mean, streams_starved } =
            report.delivered;
        assert_eq!((percent_of_sent, percent_of_time_min, streams_starved), (50.0, 0.0, 1));
        assert!((percent_of_time_mean - 50.0).abs() < 0.01);
        assert_eq!((report.packets_sent, report.packets_received, report.jitter_ms_mean), (1_000, 500, 2.0));
    }
}
