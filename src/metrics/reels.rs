//! Figures of kept audio.

use super::Metrics;
use super::table::{Metric, counter, gauge};
use crate::shell::reels::ReelFigures;

/// Calls whose audio is being kept.
pub const REELS: Metric = gauge("calmline_reels_active", &[], "Calls whose audio is being kept.");
/// Whether it is.
pub const REELS_UP: Metric = gauge(
    "calmline_reels_up",
    &[],
    "1 when audio that is to be kept is; 0 when the disk takes nothing or there is no room.",
);
/// What it takes.
pub const REELS_BYTES: Metric = gauge("calmline_reels_bytes", &[], "What kept audio takes on disk.");
/// Audio of both channels.
pub const REEL_AUDIO: Metric = counter(
    "calmline_reel_audio_milliseconds_total",
    &["outcome"],
    "Audio of calls whose audio is kept, by whether it was kept or dropped.",
);
/// What has become of reels.
pub const REELS_ENDED: Metric = counter(
    "calmline_reels_ended_total",
    &["outcome"],
    "Reels by what has become of them: kept, failed, or forgotten because the caller does not agree.",
);

impl Metrics {
    /// How many there are now, and what all of them take.
    pub fn set_reels(&self, active: usize, bytes: u64) {
        self.gauge(&REELS, &[]).set(active as f64);
        self.gauge(&REELS_BYTES, &[]).set(bytes as f64);
    }

    /// Whether what is to be kept is.
    pub fn set_reels_up(&self, up: bool) {
        self.gauge(&REELS_UP, &[]).set(f64::from(u8::from(up)));
    }

    /// Samples that were kept, and that were not.
    pub fn count_reel_samples(&self, ReelFigures { kept, dropped }: ReelFigures) {
        for (outcome, samples) in [("kept", kept), ("dropped", dropped)] {
            if samples > 0 {
                self.count(&REEL_AUDIO, &[outcome], crate::reel::millis_of(samples));
            }
        }
    }

    /// A reel has come to its end.
    pub fn count_reel(&self, outcome: &'static str) {
        self.count(&REELS_ENDED, &[outcome], 1);
    }
}
