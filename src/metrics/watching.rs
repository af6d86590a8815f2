//! Figures of whoever looks at calls from outside: captures, and collectors of messages.

use super::Metrics;
use super::table::{Metric, counter};

/// What captures lack.
pub const CAPTURED_DROPPED: Metric = counter(
    "calmline_capture_dropped_packets_total",
    &[],
    "RTP packets missing in captures of calls because their ring was full; the calls had them.",
);
/// What a collector was told.
pub const HEP: Metric = counter(
    "calmline_hep_packets_total",
    &["outcome"],
    "HEP packets to the collector by outcome: sent, failed (the socket took it not), dropped (the queue was full).",
);

/// What a receiver of telemetry was told.
pub const TELEMETRY: Metric = counter(
    "calmline_telemetry_items_total",
    &["signal", "outcome"],
    "Spans (traces) and lines (logs) for the receiver of telemetry by outcome: sent, failed, dropped (the queue was full).",
);

impl Metrics {
    /// Packets that captures did not get since the last report.
    pub fn count_captured_dropped(&self, packets: u64) {
        self.count(&CAPTURED_DROPPED, &[], packets);
    }

    /// Spans or lines for a receiver, by what became of them.
    pub fn count_told(&self, signal: &'static str, outcome: &'static str, items: u64) {
        self.count(&TELEMETRY, &[signal, outcome], items);
    }

    /// Packets to a collector, by what became of them.
    pub fn count_hep(&self, outcome: &'static str, packets: u64) {
        self.count(&HEP, &[outcome], packets);
    }
}
