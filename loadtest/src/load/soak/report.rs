//! What a soak came to, and what was wrong with it.
//!
//! Growth is the median of the last third of the steady samples beside the median of the first third, so that one
//! sample in an unlucky moment is no leak. What was there before the first call must be all that is left after the last.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::super::report::{Faults, Spread, row};
use super::SoakPlan;
use crate::stream::StreamStats;

/// The part of the samples at the beginning in which a server may still grow: its pools fill.
const WARM_UP: f64 = 0.15;
/// Growth that is none: allocators keep pages back.
const RSS_GROWTH_KB: u64 = 2_048;
const RSS_GROWTH_PERCENT: u64 = 3;
/// Files come and go with the calls whose ports rest.
const FILES_GROWTH: u64 = 16;
const FILES_GROWTH_PERCENT: u64 = 5;
/// Files that may be left: a connection for the metrics that is about to be closed.
const FILES_LEFT: u64 = 2;

/// What the server held at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Since the driver's start, s.
    pub seconds: f64,
    /// Calls open, as the telephones see it.
    pub calls: usize,
    /// Calls that are over.
    pub ended: usize,
    /// Resident memory, KiB.
    pub rss_kb: u64,
    /// Open file descriptors.
    pub files: u64,
    /// UDP sockets among them: ports that are in use or rest.
    pub udp_ports: u64,
    /// Threads.
    pub threads: u64,
    /// CPU since the server's start, s.
    pub cpu_seconds: f64,
    /// Calls as the server counts them; absent, like all below, without its `/metrics`.
    pub server_calls: Option<f64>,
    /// Packets that the server missed.
    pub server_lost: Option<f64>,
    /// Packets that it refused.
    pub server_refused: Option<f64>,
    /// Packets that its listening side did not get.
    pub server_tap_dropped: Option<f64>,
    /// Packets missing in what the telephones have heard so far, by sequence.
    pub packets_lost: u64,
    /// One-way times through the server since the sample before.
    pub latency: Spread,
    /// One-way times from telephone to telephone in the same time.
    pub direct: Spread,
}

impl Sample {
    /// The first line of the table.
    pub(super) const COLUMNS: &str = "seconds,calls,ended,rss_kb,files,udp_ports,cpu_seconds,server_calls,server_lost,\
                                      server_refused,server_tap_dropped,threads,packets_lost,latency_p50_ms,latency_p99_ms,\
                                      direct_p50_ms,direct_p99_ms";

    /// One line of the table.
    pub(super) fn line(&self) -> String {
        let figures = [self.server_calls, self.server_lost, self.server_refused, self.server_tap_dropped];
        let figures = figures.map(|figure| figure.map(|value| value.to_string()).unwrap_or_default()).join(",");
        let Sample { seconds, calls, ended, rss_kb, files, udp_ports, cpu_seconds, threads, packets_lost, .. } = self;
        let (through, direct) = (self.latency, self.direct);
        let times = format!(
            "{threads},{packets_lost},{:.3},{:.3},{:.3},{:.3}",
            through.p50_ms, through.p99_ms, direct.p50_ms, direct.p99_ms
        );
        format!("{seconds:.1},{calls},{ended},{rss_kb},{files},{udp_ports},{cpu_seconds:.2},{figures},{times}")
    }

    /// What the server added to the 99th percentile, ms; never below zero.
    pub fn added_p99_ms(&self) -> f64 {
        (self.latency.p99_ms - self.direct.p99_ms).max(0.0)
    }

    /// True when ports, files or calls are held that were not before.
    pub(super) fn holds_more_than(&self, before: &Sample) -> bool {
        self.udp_ports > before.udp_ports
            || self.files > before.files + FILES_LEFT
            || self.server_calls > before.server_calls
    }
}

/// What packets took, by the samples: medians of each sample's percentiles, ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Times {
    /// How many packets were measured.
    pub packets: usize,
    /// Half of them were faster, ms.
    pub p50_ms: f64,
    /// 99 of 100 were faster, ms.
    pub p99_ms: f64,
    /// 99 of 100 were faster of those from telephone to telephone, at the same time, ms.
    pub direct_p99_ms: f64,
    /// What the server added to the 99th percentile, ms.
    pub added_p99_ms: f64,
    /// The same in the worst sample, ms.
    pub added_p99_ms_worst: f64,
}

impl Times {
    fn of(samples: &[Sample]) -> Self {
        let measured: Vec<&Sample> =
            samples.iter().filter(|sample| sample.latency.count > 0 && sample.direct.count > 0).collect();
        let sorted = |of: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = measured.iter().map(|sample| of(sample)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |of: fn(&Sample) -> f64| sorted(of).get(measured.len() / 2).copied().unwrap_or_default();
        Times {
            packets: measured.iter().map(|sample| sample.latency.count).sum(),
            p50_ms: median(|sample| sample.latency.p50_ms),
            p99_ms: median(|sample| sample.latency.p99_ms),
            direct_p99_ms: median(|sample| sample.direct.p99_ms),
            added_p99_ms: median(Sample::added_p99_ms),
            added_p99_ms_worst: sorted(Sample::added_p99_ms).last().copied().unwrap_or_default(),
        }
    }
}

/// How the calls went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that were begun.
    pub begun: usize,
    /// Calls that came up, those after a REFER included.
    pub answered: usize,
    /// Calls that did not, by status.
    pub failed: BTreeMap<u16, usize>,
    /// Calls that we ended.
    pub hung_up: usize,
    /// Calls that the server ended.
    pub ended_by_server: usize,
    /// Dialogs that died.
    pub lost: usize,
    /// Holds and resumes that were answered.
    pub offers_answered: usize,
    /// Those that were refused, by 491 when they met a re-INVITE of the server.
    pub offers_refused: usize,
    /// Re-INVITEs and UPDATEs of the server.
    pub reoffered: usize,
    /// Calls that the server asked for by REFER.
    pub referred: usize,
    /// Calls that came to the other answering telephones.
    pub answered_elsewhere: usize,
}

impl Counts {
    /// Calls that are not over.
    pub(super) fn open(&self) -> usize {
        (self.begun + self.referred).saturating_sub(self.ended())
    }

    /// Calls that are over.
    pub(super) fn ended(&self) -> usize {
        self.calls_failed() + self.hung_up + self.ended_by_server + self.lost
    }

    fn calls_failed(&self) -> usize {
        self.failed.values().sum()
    }
}

/// A soak.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SoakReport {
    /// What was spoken.
    pub codec: String,
    /// How long new calls were begun.
    pub minutes: f64,
    /// Calls at a time.
    pub calls: usize,
    /// Calls that had to end before growth was judged.
    pub warm_up_calls: usize,
    /// How they went.
    pub counts: Counts,
    /// RTP packets that the telephones sent.
    pub packets_sent: u64,
    /// RTP packets that they received.
    pub packets_received: u64,
    /// Packets missing in the received sequences.
    pub packets_lost: u64,
    /// Packets that the callers' own bad network lost.
    pub network_lost: u64,
    /// What was wrong with received packets.
    pub faults: Faults,
    /// Before the first call.
    pub before: Sample,
    /// The medians of the first, second and last third of the time with all calls up.
    pub steady: [Sample; 3],
    /// After the last call, when the ports have rested.
    pub after: Sample,
    /// What packets that carry the time they were sent took.
    pub times: Times,
    /// Everything that was seen meanwhile.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// What was wrong; empty when nothing was.
    pub failures: Vec<String>,
}

impl SoakReport {
    pub(super) fn new(
        plan: &SoakPlan,
        counts: Counts,
        before: Sample,
        samples: &[Sample],
        after: Sample,
        heard: &[StreamStats],
    ) -> Self {
        let remembered = samples.iter().position(|sample| sample.ended >= plan.warm_up_calls);
        let warm = remembered.unwrap_or(samples.len()).max((samples.len() as f64 * WARM_UP).ceil() as usize);
        let sum = |of: fn(&StreamStats) -> u64| heard.iter().map(of).sum();
        let mut faults = Faults::default();
        heard.iter().for_each(|stats| faults.add(stats));
        let mut report = SoakReport {
            codec: plan.speaking.name(),
            minutes: plan.minutes,
            calls: plan.calls,
            warm_up_calls: plan.warm_up_calls,
            counts,
            packets_sent: sum(|stats| stats.packets_sent),
            packets_received: sum(|stats| stats.packets_received),
            packets_lost: sum(|stats| stats.packets_lost),
            network_lost: sum(|stats| stats.network_lost_sent + stats.network_lost_received),
            faults,
            before,
            steady: thirds(samples.get(warm..).unwrap_or_default()),
            after,
            times: Times::of(samples),
            samples: samples.to_vec(),
            failures: Vec::new(),
        };
        report.failures = report.judge();
        report
    }

    fn judge(&self) -> Vec<String> {
        let [first, _, last] = &self.steady;
        let (counts, before, after) = (&self.counts, &self.before, &self.after);
        let rss_limit = first.rss_kb + RSS_GROWTH_KB.max(first.rss_kb * RSS_GROWTH_PERCENT / 100);
        let files_limit = first.files + FILES_GROWTH.max(first.files * FILES_GROWTH_PERCENT / 100);
        let left = after.server_calls.unwrap_or(0.0);
        let failed = counts.calls_failed();
        let lost = self.packets_lost.saturating_sub(self.network_lost);
        let judgements = [
            (counts.begun == 0 || self.packets_received == 0, "no call came about".to_owned()),
            (failed > 0, format!("{failed} of {} calls failed, by status: {:?}", counts.begun, counts.failed)),
            (counts.lost > 0, format!("{} dialogs died", counts.lost)),
            (counts.open() > 0, format!("{} calls did not end", counts.open())),
            (
                first.rss_kb == 0,
                format!("too short to judge growth: it takes more than {} calls that have ended", self.warm_up_calls),
            ),
            (lost > 0, format!("{lost} packets were lost by the server")),
            (
                last.rss_kb > rss_limit,
                format!("memory grew from {} to {} KiB, {rss_limit} were allowed", first.rss_kb, last.rss_kb),
            ),
            (
                last.files > files_limit,
                format!("open files grew from {} to {}, {files_limit} were allowed", first.files, last.files),
            ),
            (
                after.udp_ports > before.udp_ports,
                format!("{} UDP ports were not returned", after.udp_ports.saturating_sub(before.udp_ports)),
            ),
            (
                after.files > before.files + FILES_LEFT,
                format!("{} files are open, {} were before", after.files, before.files),
            ),
            (left > 0.0, format!("the server counts {left} calls after the last")),
        ];
        judgements.into_iter().filter_map(|(is_wrong, what)| is_wrong.then_some(what)).collect()
    }
}

/// The medians of three equal parts.
fn thirds(samples: &[Sample]) -> [Sample; 3] {
    let bound = |third: usize| samples.len() * third / 3;
    [0, 1, 2].map(|third| median(&samples[bound(third)..bound(third + 1)]))
}

/// Each figure's median; the others are those of the sample in the middle.
fn median(samples: &[Sample]) -> Sample {
    let Some(middle) = samples.get(samples.len() / 2) else { return Sample::default() };
    let of = |figure: fn(&Sample) -> u64| {
        let mut sorted: Vec<u64> = samples.iter().map(figure).collect();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    Sample {
        rss_kb: of(|sample| sample.rss_kb),
        files: of(|sample| sample.files),
        threads: of(|sample| sample.threads),
        udp_ports: of(|sample| sample.udp_ports),
        calls: of(|sample| sample.calls as u64) as usize,
        ..*middle
    }
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(f, "soak · {} · {} calls at a time · {} minutes", self.codec, self.calls, self.minutes)?;
        let went = format!("{} begun, {} answered, {} failed", counts.begun, counts.answered, counts.calls_failed());
        row(f, "calls", went)?;
        let (ours, theirs) = (counts.hung_up, counts.ended_by_server);
        row(f, "ended", format!("{ours} by the callers, {theirs} by the server, {} died", counts.lost))?;
        row(f, "holds, resumes", format!("{} answered, {} refused", counts.offers_answered, counts.offers_refused))?;
        let moved = counts.answered_elsewhere;
        row(
            f,
            "moves",
            format!("{moved} to other telephones, {} re-offers, {} REFERs", counts.reoffered, counts.referred),
        )?;
        row(f, "packets", format!("{} sent, {} received", self.packets_sent, self.packets_received))?;
        row(f, "lost", format!("{} (by sequence), {} by the callers' network", self.packets_lost, self.network_lost))?;
        if self.faults != Faults::default() {
            row(f, "faults", format!("{:?}", self.faults))?;
        }
        let [first, middle, last] = &self.steady;
        for (name, sample) in [
            ("before", &self.before),
            ("first third", first),
            ("middle", middle),
            ("last third", last),
            ("after", &self.after),
        ] {
            let Sample { calls, rss_kb, files, udp_ports, .. } = sample;
            row(f, name, format!("{calls} calls, {rss_kb} KiB, {files} files, {udp_ports} UDP ports"))?;
        }
        if self.times.packets > 0 {
            let Times { p50_ms, p99_ms, direct_p99_ms, added_p99_ms, added_p99_ms_worst, .. } = self.times;
            row(
                f,
                "one-way",
                format!("p50 {p50_ms:.3} ms, p99 {p99_ms:.3} ms, without the server {direct_p99_ms:.3} ms"),
            )?;
            row(f, "added", format!("p99 {added_p99_ms:.3} ms, in the worst sample {added_p99_ms_worst:.3} ms"))?;
        }
        for failure in &self.failures {
            row(f, "FAILED", failure)?;
        }
        if self.failures.is_empty() {
            row(f, "passed", "nothing grew, nothing was left, nothing was lost")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is changed of a soak in which nothing was wrong, and what is said of it.
    type Case = (fn(&mut SoakReport), &'static str);

    #[test]
    fn what_is_wrong_is_said() {
        let cases: [Case; 12] = [
            (|_| {}, ""),
            (|soak| soak.packets_received = 0, "no call came about"),
            (
                |soak| soak.counts.failed = [(486, 1), (503, 1)].into(),
                "2 of 100 calls failed, by status: {486: 1, 503: 1}",
            ),
            (|soak| soak.counts.lost = 1, "1 dialogs died"),
            (|soak| soak.counts.hung_up -= 3, "3 calls did not end"),
            (|soak| (soak.packets_lost, soak.network_lost) = (7, 5), "2 packets were lost by the server"),
            (|soak| soak.steady[2].rss_kb += 3_001, "memory grew from 100000 to 103001 KiB, 103000 were allowed"),
            (
                |soak| soak.steady = [Sample::default(); 3],
                "too short to judge growth: it takes more than 50 calls that have ended",
            ),
            (|soak| soak.steady[2].files += 41, "open files grew from 800 to 841, 840 were allowed"),
            (|soak| soak.after.udp_ports += 1, "1 UDP ports were not returned"),
            (|soak| soak.after.files += 3, "23 files are open, 20 were before"),
            (|soak| soak.after.server_calls = Some(1.0), "the server counts 1 calls after the last"),
        ];
        for (change, expected) in cases {
            let mut soak = good();
            change(&mut soak);
            soak.counts.hung_up -= soak.counts.calls_failed() + soak.counts.lost;
            assert_eq!(soak.judge().join("; "), expected);
        }
    }

    #[test]
    fn one_unlucky_sample_is_no_growth() {
        let sample = |rss_kb| Sample { rss_kb, files: 9, ..Sample::default() };
        let samples: Vec<Sample> = [50, 51, 99, 51, 50, 52, 51, 51, 90].map(sample).into();
        assert_eq!(thirds(&samples).map(|sample| sample.rss_kb), [51, 51, 51]);
        assert_eq!(thirds(&[]), [Sample::default(); 3]);
    }

    #[test]
    fn lines_have_all_columns() {
        let (without, with) = (Sample::default(), Sample { server_calls: Some(3.0), ..Sample::default() });
        for sample in [without, with] {
            assert_eq!(sample.line().split(',').count(), Sample::COLUMNS.split(',').count());
        }
    }

    fn good() -> SoakReport {
        let idle = Sample { rss_kb: 60_000, files: 20, udp_ports: 1, ..Sample::default() };
        let busy = Sample { rss_kb: 100_000, files: 800, udp_ports: 781, calls: 200, ..Sample::default() };
        SoakReport {
            codec: String::new(),
            minutes: 30.0,
            calls: 200,
            warm_up_calls: 50,
            counts: Counts { begun: 100, answered: 100, hung_up: 100, ..Counts::default() },
            packets_sent: 10,
            packets_received: 10,
            packets_lost: 0,
            network_lost: 0,
            faults: Faults::default(),
            before: idle,
            steady: [busy; 3],
            after: Sample { rss_kb: 90_000, ..idle },
            times: Times::default(),
            samples: Vec::new(),
            failures: Vec::new(),
        }
    }
}
