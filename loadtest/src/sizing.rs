//! How much is needed for so many calls: processors, nodes, memory, disk and bus, from figures that were measured.
//!
//! A model on paper. What it says of nodes is played in `simulation`, with calls that come by chance and a node that is lost.

use std::fmt;

use serde::Serialize;

mod figures;
mod simulation;

pub use figures::{Figures, MEASURED};
pub use simulation::{Played, Site, erlang_b, play};

/// The most calls that are planned for.
pub const CALLS_MAX: u32 = 100_000;
/// The most nodes.
pub const NODES_MAX: u32 = 2_000;
/// Ports of one address for RTP, two of them and two for RTCP for each call, some at rest.
const CALLS_PER_ADDRESS_MAX: f64 = 13_000.0;

/// What a site has to carry in its busy hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Demand {
    /// Calls at a time.
    pub calls: u32,
    /// How long one lasts on average, s.
    pub call_seconds: f64,
    /// The share whose callers are listened to.
    pub listened: f64,
    /// The share whose words are recognised as well.
    pub words: f64,
    /// The share that is transcoded (to and from Opus).
    pub transcoded: f64,
    /// The share with SRTP on one side.
    pub secured: f64,
    /// The share whose audio is kept, as Opus.
    pub kept: f64,
    /// Busy hours a day, and days that things are kept.
    pub busy_hours: f64,
    /// Days that calls are kept.
    pub keep_days: f64,
    /// Days that audio is kept.
    pub keep_audio_days: f64,
}

#[cfg(test)]
impl Demand {
    /// A hundred calls of a minute that are relayed and no more.
    const PLAIN: Demand = Demand {
        calls: 100,
        call_seconds: 60.0,
        listened: 0.0,
        words: 0.0,
        transcoded: 0.0,
        secured: 0.0,
        kept: 0.0,
        busy_hours: 1.0,
        keep_days: 1.0,
        keep_audio_days: 1.0,
    };
}

/// What nodes are like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nodes {
    /// Processors of one.
    pub cores: f64,
    /// The share of them that calls may take; above four fifths a server spares itself.
    pub utilisation: f64,
    /// Nodes that may be lost without a call refused.
    pub spare: u32,
    /// The share of new calls that may find no room while all are there.
    pub blocking: f64,
}

/// What is needed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Size {
    /// CPU of a call, ms per second.
    pub cpu_ms_per_call_second: f64,
    /// Processors that all calls take together.
    pub cores_busy: f64,
    /// Calls that a node has room for: `limits.calls`.
    pub calls_per_node: u32,
    /// What bounds them.
    pub bound_by: &'static str,
    /// Nodes, those that may be lost included.
    pub nodes: u32,
    /// Processors to buy.
    pub cores: f64,
    /// Resident memory of a node that is full, GiB.
    pub memory_gib_per_node: f64,
    /// Disk for calls, all nodes, GB.
    pub disk_calls_gb: f64,
    /// Disk for audio, all nodes, GB.
    pub disk_audio_gb: f64,
    /// Messages on the bus per second.
    pub bus_per_s: f64,
    /// The same, MB per second.
    pub bus_mb_per_s: f64,
    /// Calls set up per second.
    pub set_ups_per_s: f64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Wrong {
    /// A number is out of its range.
    #[error("{name}: found {found}, expected {expected}")]
    Range {
        /// What it is of.
        name: &'static str,
        /// What was given.
        found: f64,
        /// What is taken.
        expected: &'static str,
    },
    /// A node has no room for a single call.
    #[error("a node of {cores} processors has no room for a call of {ms:.2} ms per second")]
    TooSmall {
        /// Its processors.
        cores: f64,
        /// What a call takes, ms per second.
        ms: f64,
    },
    /// More nodes than are planned for.
    #[error("more than {NODES_MAX} nodes: take larger ones")]
    TooMany,
}

/// What a demand needs by these figures.
///
/// # Errors
/// When a number makes no sense, or more nodes are needed than are planned for.
pub fn size(demand: &Demand, nodes: &Nodes, figures: &Figures) -> Result<Size, Wrong> {
    check(demand, nodes)?;
    let calls = f64::from(demand.calls);
    let cpu = cpu_ms(demand, figures);
    let (bound_by, per_node) = room(demand, nodes, figures);
    if per_node < 1.0 {
        return Err(Wrong::TooSmall { cores: nodes.cores, ms: cpu });
    }
    let per_node = per_node as u32;
    let needed = (1..=NODES_MAX).find(|count| {
        let room = u64::from(*count) * u64::from(per_node);
        room > u64::from(demand.calls) && erlang_b(room, calls) <= nodes.blocking
    });
    let count = needed.ok_or(Wrong::TooMany)? + nodes.spare;
    let hours = calls * demand.busy_hours;
    let ended_per_day = hours * 3_600.0 / demand.call_seconds;
    let bus_per_s = bus_per_s(demand, figures);
    Ok(Size {
        cpu_ms_per_call_second: cpu,
        cores_busy: calls * cpu / 1e3,
        calls_per_node: per_node,
        bound_by,
        nodes: count,
        cores: f64::from(count) * nodes.cores,
        memory_gib_per_node: (figures.memory_mb + f64::from(per_node) * memory_kb(demand, figures) / 1_024.0) / 1_024.0,
        disk_calls_gb: disk_kb_per_call(demand, figures) * ended_per_day * demand.keep_days / 1e6,
        disk_audio_gb: figures.audio_mb_per_hour * hours * demand.kept * demand.keep_audio_days / 1e3,
        bus_per_s,
        bus_mb_per_s: bus_per_s * figures.bus_bytes / 1e6,
        set_ups_per_s: calls / demand.call_seconds,
    })
}

/// Calls that a node has room for, and by what: its processors, or what one thread does alone.
fn room(demand: &Demand, nodes: &Nodes, figures: &Figures) -> (&'static str, f64) {
    let thread_ms = 1e3 * nodes.utilisation;
    let bounds = [
        ("processors", (thread_ms * nodes.cores - figures.idle_ms_per_s) / cpu_ms(demand, figures)),
        ("the listening thread", thread_ms / (demand.listened * figures.listened_ms)),
        ("the thread that keeps audio", thread_ms / (demand.kept * figures.kept_ms)),
        ("RTP ports of one address", CALLS_PER_ADDRESS_MAX),
    ];
    let least = bounds.into_iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
    least.map_or(("nothing", 0.0), |(name, calls)| (name, calls.floor()))
}

/// CPU of a call, ms per second, its share of setting up included.
fn cpu_ms(demand: &Demand, figures: &Figures) -> f64 {
    figures.relay_ms
        + figures.set_up_ms / demand.call_seconds
        + demand.secured * figures.secured_ms
        + demand.transcoded * figures.transcoded_ms
        + demand.listened * figures.listened_ms
        + demand.words * figures.words_ms
        + demand.kept * figures.kept_ms
}

fn memory_kb(demand: &Demand, figures: &Figures) -> f64 {
    figures.relay_kb
        + demand.transcoded * figures.transcoded_kb
        + demand.listened * figures.listened_kb
        + demand.words * figures.words_kb
}

fn disk_kb_per_call(demand: &Demand, figures: &Figures) -> f64 {
    figures.record_kb + demand.listened * figures.timeline_kb_per_minute * demand.call_seconds / 60.0
}

fn bus_per_s(demand: &Demand, figures: &Figures) -> f64 {
    let calls = f64::from(demand.calls);
    calls / demand.call_seconds * figures.events_per_call + calls * demand.listened * figures.events_per_listened_s
}

fn check(demand: &Demand, nodes: &Nodes) -> Result<(), Wrong> {
    let share = "0 to 1";
    let calls = f64::from(demand.calls);
    let ranges = [
        ("calls", calls, (1.0..=f64::from(CALLS_MAX)).contains(&calls), "1 to 100000"),
        ("call-seconds", demand.call_seconds, (1.0..=86_400.0).contains(&demand.call_seconds), "1 to 86400"),
        ("listened", demand.listened, (0.0..=1.0).contains(&demand.listened), share),
        ("words", demand.words, (0.0..=demand.listened).contains(&demand.words), "0 to the share that is listened to"),
        ("transcoded", demand.transcoded, (0.0..=1.0).contains(&demand.transcoded), share),
        ("secured", demand.secured, (0.0..=1.0).contains(&demand.secured), share),
        ("kept", demand.kept, (0.0..=1.0).contains(&demand.kept), share),
        ("busy-hours", demand.busy_hours, (0.0..=24.0).contains(&demand.busy_hours), "0 to 24"),
        ("keep-days", demand.keep_days, (0.0..=36_500.0).contains(&demand.keep_days), "0 to 36500"),
        ("keep-audio-days", demand.keep_audio_days, (0.0..=36_500.0).contains(&demand.keep_audio_days), "0 to 36500"),
        ("cores", nodes.cores, (0.5..=1_024.0).contains(&nodes.cores), "0.5 to 1024"),
        ("utilisation", nodes.utilisation, (0.05..=0.95).contains(&nodes.utilisation), "0.05 to 0.95"),
        ("spare", f64::from(nodes.spare), nodes.spare <= 100, "0 to 100"),
        ("blocking", nodes.blocking, (1e-9..=0.5).contains(&nodes.blocking), "0.000000001 to 0.5"),
    ];
    let wrong = ranges.into_iter().find(|(_, _, is_good, _)| !is_good);
    wrong.map_or(Ok(()), |(name, found, _, expected)| Err(Wrong::Range { name, found, expected }))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<16}{value}");
        row("a call", format!("{:.2} ms of a processor per second", self.cpu_ms_per_call_second))?;
        row("all calls", format!("{:.1} processors, {:.0} set-ups per second", self.cores_busy, self.set_ups_per_s))?;
        let (nodes, calls, bound_by) = (self.nodes, self.calls_per_node, self.bound_by);
        row("nodes", format!("{nodes}, of {calls} calls each (limits.calls), bound by {bound_by}"))?;
        row("processors", format!("{:.0}", self.cores))?;
        row("memory", format!("{:.1} GiB a node", self.memory_gib_per_node))?;
        row("disk", format!("{:.0} GB for calls, {:.0} GB for audio", self.disk_calls_gb, self.disk_audio_gb))?;
        row("bus", format!("{:.0} messages, {:.1} MB per second", self.bus_per_s, self.bus_mb_per_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Figures = Figures {
        machine: "on paper",
        idle_ms_per_s: 10.0,
        relay_ms: 1.0,
        set_up_ms: 100.0,
        secured_ms: 0.5,
        transcoded_ms: 4.0,
        listened_ms: 3.0,
        words_ms: 10.0,
        kept_ms: 2.0,
        memory_mb: 1_024.0,
        relay_kb: 100.0,
        transcoded_kb: 50.0,
        listened_kb: 300.0,
        words_kb: 600.0,
        record_kb: 10.0,
        timeline_kb_per_minute: 5.0,
        audio_mb_per_hour: 15.0,
        events_per_call: 6.0,
        events_per_listened_s: 2.0,
        bus_bytes: 500.0,
    };
    const DEMAND: Demand = Demand { calls: 1_000, call_seconds: 100.0, ..Demand::PLAIN };
    const NODES: Nodes = Nodes { cores: 1.0, utilisation: 0.41, spare: 1, blocking: 0.001 };

    #[test]
    fn a_small_site_by_hand() {
        let size = size(&DEMAND, &NODES, &ROUND).expect("it can be had");
        // 1 ms of relay and a hundredth of 100 ms; 400 ms of room; 1,000 erlangs want more than 1,000 places.
        let (per_node, bound_by) = (size.calls_per_node, size.bound_by);
        assert_eq!((size.cpu_ms_per_call_second, per_node, bound_by, size.nodes), (2.0, 200, "processors", 7));
        assert_eq!((size.cores_busy, size.set_ups_per_s, size.bus_per_s), (2.0, 10.0, 60.0));
        assert_eq!((size.disk_calls_gb, size.disk_audio_gb), (0.36, 0.0));
    }

    #[test]
    fn every_share_costs_what_it_costs() {
        let cases: [(Demand, f64); 6] = [
            (DEMAND, 2.0),
            (Demand { secured: 0.5, ..DEMAND }, 2.25),
            (Demand { transcoded: 0.2, ..DEMAND }, 2.8),
            (Demand { listened: 1.0, ..DEMAND }, 5.0),
            (Demand { listened: 1.0, words: 0.5, ..DEMAND }, 10.0),
            (Demand { kept: 1.0, ..DEMAND }, 4.0),
        ];
        for (demand, expected) in cases {
            assert!((cpu_ms(&demand, &ROUND) - expected).abs() < 1e-9, "{demand:?}");
        }
        let audio = size(&Demand { kept: 0.5, ..DEMAND }, &NODES, &ROUND).expect("it can be had").disk_audio_gb;
        assert!((audio - 7.5).abs() < 1e-9, "{audio}");
    }

    #[test]
    fn what_one_thread_does_alone_bounds_a_node() {
        let large = Nodes { cores: 64.0, utilisation: 0.6, ..NODES };
        let cases = [
            (DEMAND, "RTP ports of one address", 13_000),
            (Demand { listened: 1.0, ..DEMAND }, "the listening thread", 200),
            (Demand { listened: 0.5, kept: 1.0, ..DEMAND }, "the thread that keeps audio", 300),
        ];
        for (demand, name, calls) in cases {
            let (bound_by, found) = room(&demand, &large, &ROUND);
            assert_eq!((bound_by, found), (name, f64::from(calls)), "{demand:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases = [
            (Demand { calls: 0, ..DEMAND }, NODES, "calls: found 0, expected 1 to 100000"),
            (Demand { words: 0.5, ..DEMAND }, NODES, "words: found 0.5, expected 0 to the share that is listened to"),
            (DEMAND, Nodes { utilisation: 1.5, ..NODES }, "utilisation: found 1.5, expected 0.05 to 0.95"),
            (Demand { call_seconds: f64::NAN, ..DEMAND }, NODES, "call-seconds: found NaN, expected 1 to 86400"),
        ];
        for (demand, nodes, expected) in cases {
            assert_eq!(size(&demand, &nodes, &ROUND).expect_err("it makes none").to_string(), expected);
        }
        let tiny = Nodes { cores: 0.5, utilisation: 0.05, ..NODES };
        let dear = Figures { words_ms: 100.0, ..ROUND };
        let demand = Demand { listened: 1.0, words: 1.0, ..DEMAND };
        assert!(matches!(size(&demand, &tiny, &dear), Err(Wrong::TooSmall { .. })));
        let many = Demand { calls: CALLS_MAX, ..DEMAND };
        assert_eq!(size(&many, &Nodes { utilisation: 0.05, ..NODES }, &ROUND), Err(Wrong::TooMany));
    }

    /// What the model promises of 100,000 calls holds when they come by chance and a node is lost.
    #[test]
    fn a_hundred_thousand_calls_on_paper() {
        let demand = Demand { calls: CALLS_MAX, call_seconds: 180.0, listened: 1.0, words: 1.0, ..DEMAND };
        let nodes = Nodes { cores: 4.0, utilisation: 0.7, spare: 1, blocking: 0.001 };
        let size = size(&demand, &nodes, &MEASURED).expect("it can be had");
        let site = Site { nodes: size.nodes, calls_per_node: size.calls_per_node };
        let played = play(&site, &demand, 11);
        assert!(played.peak > 99_000 && played.begun > 200_000, "{played:?}");
        assert!(played.refused as f64 <= 2.0 * nodes.blocking * played.begun as f64, "{played:?}");
        assert!(played.lost_with_node > 0 && played.lost_with_node <= u64::from(size.calls_per_node), "{played:?}");
    }
}
