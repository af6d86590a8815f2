//! Figures of the quality of legs.

use super::table::{Metric, histogram};
use super::{Bounds, Metrics};
use crate::notice::LegReport;

/// Opinions.
pub const LEG_OPINION: Metric = histogram(
    "calmline_leg_opinion_score",
    Bounds::Opinion,
    &["party", "direction"],
    "Mean opinion per leg by the E-model: received (who listens to what came to us), conversing (with delay), reported.",
);
/// Ratings.
pub const LEG_RATING: Metric =
    histogram("calmline_leg_rating_score", Bounds::Rating, &["party"], "Transmission rating R per leg, 0-100.");
/// Round trips.
pub const LEG_ROUND_TRIP: Metric =
    histogram("calmline_leg_round_trip_seconds", Bounds::Waiting, &["party"], "To the far end and back, by RTCP.");
/// Jitter.
pub const LEG_JITTER: Metric = histogram(
    "calmline_leg_jitter_seconds",
    Bounds::Packet,
    &["party", "direction"],
    "Interarrival jitter per leg at its end: received by us, reported by the far end.",
);
/// Loss.
pub const LEG_LOSS: Metric = histogram(
    "calmline_leg_loss_ratio",
    Bounds::Loss,
    &["party", "direction"],
    "Lost packets per leg, 0-1: received by us, reported by the far end.",
);
/// Discards.
pub const LEG_DISCARDED: Metric = histogram(
    "calmline_leg_discarded_ratio",
    Bounds::Loss,
    &["party", "direction"],
    "Packets per leg that came too late to be used, 0-1: received by us, reported by the far end.",
);
/// Bursts.
pub const LEG_BURST: Metric = histogram(
    "calmline_leg_burst_ratio",
    Bounds::Runs,
    &["party"],
    "Mean run of lost packets per leg against that of random loss; 1 is random.",
);

impl Metrics {
    /// Takes up the quality of a leg that has ended.
    pub(super) fn observe_leg(&self, call: &str, LegReport { party, quality, concealed_ms, .. }: &LegReport) {
        self.count_concealed(party, *concealed_ms);
        let seconds = |milliseconds: Option<f32>| milliseconds.map(|milliseconds| milliseconds / 1_000.0);
        let by_party = [
            (&LEG_RATING, quality.r_factor),
            (&LEG_ROUND_TRIP, seconds(quality.round_trip_ms)),
            (&LEG_BURST, quality.burst_ratio),
        ];
        for (metric, value) in by_party {
            value.into_iter().for_each(|value| self.record_of(call, metric, &[party], f64::from(value)));
        }
        let by_direction = [
            (&LEG_OPINION, "received", quality.mos_listening),
            (&LEG_OPINION, "conversing", quality.mos_conversational),
            (&LEG_OPINION, "reported", quality.mos_reported),
            (&LEG_JITTER, "received", seconds(quality.jitter_received_ms)),
            (&LEG_JITTER, "reported", seconds(quality.jitter_reported_ms)),
            (&LEG_LOSS, "received", quality.loss_received),
            (&LEG_LOSS, "reported", quality.loss_reported),
            (&LEG_DISCARDED, "received", quality.discarded_received),
            (&LEG_DISCARDED, "reported", quality.discarded_reported),
        ];
        for (metric, direction, value) in by_direction {
            value.into_iter().for_each(|value| self.record_of(call, metric, &[party, direction], f64::from(value)));
        }
    }
}
