//! What the media path carries, and what is missing in it, as figures.

use std::sync::PoisonError;

use super::Metrics;
use super::table::{Metric, counter};

/// Packets relayed.
pub const PACKETS_RELAYED: Metric =
    counter("calmline_media_packets_relayed_total", &[], "RTP packets sent on to the other side.");
/// Packets refused.
pub const PACKETS_REFUSED: Metric = counter(
    "calmline_media_packets_refused_total",
    &[],
    "RTP packets not accepted: malformed, from a stranger, of an unknown payload type.",
);
/// Packets lost.
pub const PACKETS_LOST: Metric =
    counter("calmline_media_packets_lost_total", &[], "RTP packets missing in the received sequence numbers.");
/// Tap losses.
pub const TAP_DROPPED: Metric = counter(
    "calmline_tap_dropped_packets_total",
    &[],
    "Packets the listening side did not get because its ring was full; the call had them.",
);
/// Media threads that broke down.
pub const MEDIA_RESTARTS: Metric = counter(
    "calmline_media_restarts_total",
    &[],
    "How often a media thread broke down and began again; the calls that it had have ended.",
);
/// Packets of somebody else.
pub const PACKETS_UNAUTHENTIC: Metric = counter(
    "calmline_media_packets_unauthentic_total",
    &[],
    "SRTP packets whose protection did not hold: forged, replayed, or of another key.",
);
/// Frames that came too late for a mix.
pub const UNDERRUNS: Metric = counter(
    "calmline_media_underruns_total",
    &[],
    "Frames that were due in a mix (a prompt over voices, a supervisor's) while a speaker's audio was not there.",
);
/// What stood in for what was lost.
pub const CONCEALED: Metric = counter(
    "calmline_media_concealed_seconds_total",
    &["party"],
    "Audio that stood in for lost packets in what was sent to the party, transcoded; told when legs end.",
);

/// Packets of the media path, counted since the last report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaCounts {
    /// RTP packets sent on to the other side.
    pub relayed: u64,
    /// RTP packets not accepted.
    pub refused: u64,
    /// RTP packets missing in the received sequence numbers.
    pub lost: u64,
    /// Packets the listening side did not get.
    pub tap_dropped: u64,
    /// Packets whose protection did not hold.
    pub unauthentic: u64,
    /// Frames of mixes that were due while a speaker's audio was not there.
    pub underruns: u64,
}

impl From<&::media::LegStats> for MediaCounts {
    fn from(stats: &::media::LegStats) -> Self {
        Self {
            relayed: stats.packets_sent,
            refused: stats.packets_refused,
            lost: stats.packets_lost,
            tap_dropped: stats.tap_dropped,
            unauthentic: stats.packets_unauthentic,
            underruns: stats.underruns,
        }
    }
}

impl Metrics {
    /// How often media threads have broken down since the start.
    pub fn set_media_restarts(&self, restarts: u64) {
        self.counter(&MEDIA_RESTARTS, &[]).absolute(restarts);
    }

    /// Adds packets of the media path, counted since the last report. A packet is reported once.
    pub fn count_media(&self, counts: MediaCounts) {
        self.count(&PACKETS_RELAYED, &[], counts.relayed);
        self.count(&PACKETS_REFUSED, &[], counts.refused);
        self.count(&PACKETS_LOST, &[], counts.lost);
        self.count(&TAP_DROPPED, &[], counts.tap_dropped);
        self.count(&PACKETS_UNAUTHENTIC, &[], counts.unauthentic);
        self.count(&UNDERRUNS, &[], counts.underruns);
    }

    /// Adds what stood in for lost audio in what was sent to a party; whole seconds are shown.
    pub(super) fn count_concealed(&self, party: &str, ms: u64) {
        let mut all = self.inner.concealed_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let of_party = all.entry(party.to_owned()).or_default();
        *of_party += ms;
        self.counter(&CONCEALED, &[party]).absolute(*of_party / 1_000);
    }
}
