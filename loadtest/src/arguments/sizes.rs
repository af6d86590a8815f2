//! What is asked of a site on paper, and the answer.

use std::fmt;

use clap::Args;
use loadtest::sizing::{self, Demand, Figures, MEASURED, Nodes, Played, Site, Size, Wrong};
use serde::Serialize;

#[derive(Debug, Args)]
pub(crate) struct Sizes {
    /// Calls at a time in the busy hour, 100,000 at most.
    #[arg(long)]
    calls: u32,
    /// How long one lasts on average, s.
    #[arg(long, default_value_t = 180.0)]
    call_seconds: f64,
    /// The share whose callers are listened to, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    listened: f64,
    /// The share whose words are recognised as well.
    #[arg(long, default_value_t = 0.0)]
    words: f64,
    /// The share that is transcoded.
    #[arg(long, default_value_t = 0.0)]
    transcoded: f64,
    /// The share with SRTP on one side.
    #[arg(long, default_value_t = 0.0)]
    secured: f64,
    /// The share whose audio is kept.
    #[arg(long, default_value_t = 0.0)]
    kept: f64,
    /// Busy hours a day.
    #[arg(long, default_value_t = 8.0)]
    busy_hours: f64,
    /// Days that calls are kept.
    #[arg(long, default_value_t = 180.0)]
    keep_days: f64,
    /// Days that audio is kept.
    #[arg(long, default_value_t = 30.0)]
    keep_audio_days: f64,
    /// Processors of a node.
    #[arg(long, default_value_t = 4.0)]
    cores: f64,
    /// The share of them that calls may take; above 0.8 a server spares itself.
    #[arg(long, default_value_t = 0.7)]
    utilisation: f64,
    /// Nodes that may be lost without a call refused.
    #[arg(long, default_value_t = 1)]
    spare: u32,
    /// The share of new calls that may find no room.
    #[arg(long, default_value_t = 0.001)]
    blocking: f64,
    /// Makes the calls of the simulation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Sizes {
    /// What is needed, and how it fares.
    pub(crate) fn answer(&self) -> Result<Answer, Wrong> {
        let Sizes { calls, call_seconds, listened, words, transcoded, secured, kept, busy_hours, .. } = *self;
        let Sizes { keep_days, keep_audio_days, cores, utilisation, spare, blocking, seed, .. } = *self;
        let demand = Demand {
            calls,
            call_seconds,
            listened,
            words,
            transcoded,
            secured,
            kept,
            busy_hours,
            keep_days,
            keep_audio_days,
        };
        let size = sizing::size(&demand, &Nodes { cores, utilisation, spare, blocking }, &MEASURED)?;
        let site = Site { nodes: size.nodes, calls_per_node: size.calls_per_node };
        let played = sizing::play(&site, &demand, seed);
        Ok(Answer { demand, size, played, figures: MEASURED })
    }
}

/// What `size` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    demand: Demand,
    size: Size,
    played: Played,
    figures: Figures,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { demand, size, played, figures } = self;
        writeln!(f, "{} calls at a time, by figures of {}", demand.calls, figures.machine)?;
        write!(f, "{size}")?;
        let Played { begun, refused, passed_on, lost_with_node, peak, peak_of_node } = played;
        writeln!(f, "played with {begun} calls by chance, at most {peak} at a time, {peak_of_node} on one node")?;
        writeln!(f, "  a node lost     its {lost_with_node} calls end; {passed_on} calls passed on, {refused} refused")
    }
}
