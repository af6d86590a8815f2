//! What a call takes of a machine, by what it is made of.

use serde::Serialize;

/// Figures of one machine; each part is what it costs beside a plain relay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Where they come from.
    pub machine: &'static str,
    /// CPU of a server without calls, ms per second.
    pub idle_ms_per_s: f64,
    /// CPU of a relayed call of G.711, 20 ms, both ways, ms per second.
    pub relay_ms: f64,
    /// CPU of setting a call up and ending it, ms.
    pub set_up_ms: f64,
    /// CPU of SRTP on one side, ms per second.
    pub secured_ms: f64,
    /// CPU of transcoding to Opus and back, ms per second.
    pub transcoded_ms: f64,
    /// CPU of listening to the caller's voice, ms per second.
    pub listened_ms: f64,
    /// CPU of phrases heard in the caller's speech, ms per second.
    pub words_ms: f64,
    /// CPU of keeping audio as Opus, ms per second.
    pub kept_ms: f64,
    /// Resident memory of a server without calls, models included, MiB.
    pub memory_mb: f64,
    /// Memory of a relayed call, KiB.
    pub relay_kb: f64,
    /// Memory of transcoding, KiB.
    pub transcoded_kb: f64,
    /// Memory of listening, KiB.
    pub listened_kb: f64,
    /// Memory of words, KiB.
    pub words_kb: f64,
    /// Disk of a kept call without its timeline, KB.
    pub record_kb: f64,
    /// Disk of a listened caller's timeline, KB per minute.
    pub timeline_kb_per_minute: f64,
    /// Disk of kept audio, both sides, as Opus, MB per hour of talk.
    pub audio_mb_per_hour: f64,
    /// Events of a call besides those of its timeline.
    pub events_per_call: f64,
    /// Events of a listened caller's timeline per second.
    pub events_per_listened_s: f64,
    /// A message on the bus, octets, headers included.
    pub bus_bytes: f64,
}

/// Two shared cores, a release build, the generator on the same machine: docs/PERFORMANCE.md and docs/OPERATING.md ("Sizing")
/// say where each figure comes from. Of two points the slope counts, or the dearer one where a point was not clean.
pub const MEASURED: Figures = Figures {
    machine: "two shared cores, release build (docs/OPERATING.md)",
    idle_ms_per_s: 20.0,
    relay_ms: 0.47,
    set_up_ms: 1.0,
    secured_ms: 0.083,
    transcoded_ms: 1.97,
    listened_ms: 2.65,
    words_ms: 15.0,
    kept_ms: 1.9,
    memory_mb: 170.0,
    relay_kb: 76.0,
    transcoded_kb: 141.0,
    listened_kb: 308.0,
    words_kb: 600.0,
    record_kb: 5.4,
    timeline_kb_per_minute: 108.0,
    audio_mb_per_hour: 15.0,
    events_per_call: 6.0,
    events_per_listened_s: 2.0,
    bus_bytes: 700.0,
};
