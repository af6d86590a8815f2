//! What events say of the legs of a call when they are over: what they carried, and how it sounded.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one leg carried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LegReport {
    /// `caller` or `callee`.
    pub party: String,
    /// Name of the target; `caller` for the caller's leg.
    pub name: String,
    /// The codec agreed last, e.g. `PCMA`.
    pub codec: String,
    /// Ticks of its RTP clock per second: two codecs are called `L16`. Not told to anybody who reads of the call.
    #[serde(skip)]
    pub clock_hz: u32,
    /// RTP packets that came from the far end.
    pub packets_received: u64,
    /// RTP packets that went to it.
    pub packets_sent: u64,
    /// Those missing among the received ones.
    pub packets_lost: u64,
    /// How much of what was sent to it, transcoded, stood in for what the other side's packets had lost, milliseconds.
    #[serde(default)]
    #[schema(required)]
    pub concealed_ms: u64,
    /// Frames of a mix for it (a prompt over voices, a supervisor's) that were due while a speaker's audio was not there.
    #[serde(default)]
    #[schema(required)]
    pub underruns: u64,
    /// Packets from it whose protection did not hold: forged, replayed, or of another key.
    #[serde(default)]
    #[schema(required)]
    pub unauthentic: u64,
    /// How it sounded.
    pub quality: LegQuality,
}

/// How one leg sounded, by our own counts and by what the far end reported (RTCP); what is unknown is absent.
///
/// `received` is what came from the far end to us, `reported` what it says of what it received from us.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct LegQuality {
    /// Mean opinion of one who listens to what we received, 1-4.5 (ITU-T G.107).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mos_listening: Option<f32>,
    /// Mean opinion of one who converses, delay included, 1-4.5; known once the round trip is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mos_conversational: Option<f32>,
    /// Mean opinion at the far end, 1-5: of its own telling, else by its loss reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mos_reported: Option<f32>,
    /// Transmission rating R of what we received, 0-100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub r_factor: Option<f32>,
    /// To the far end and back, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub round_trip_ms: Option<f32>,
    /// From mouth to ear on this leg, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub delay_ms: Option<f32>,
    /// Interarrival jitter, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub jitter_received_ms: Option<f32>,
    /// The same at the far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub jitter_reported_ms: Option<f32>,
    /// Lost, 0-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub loss_received: Option<f32>,
    /// The same at the far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub loss_reported: Option<f32>,
    /// Came too late to be used, 0-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub discarded_received: Option<f32>,
    /// The same at the far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub discarded_reported: Option<f32>,
    /// Mean run of losses against that of random loss; 1 is random.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub burst_ratio: Option<f32>,
}

impl From<media::quality::LegQuality> for LegQuality {
    fn from(quality: media::quality::LegQuality) -> Self {
        // A thousandth is finer than any of it is known.
        let rounded = |value: Option<f32>| value.map(|value| (value * 1_000.0).round() / 1_000.0);
        Self {
            mos_listening: rounded(quality.mos_listening),
            mos_conversational: rounded(quality.mos_conversational),
            mos_reported: rounded(quality.mos_reported),
            r_factor: rounded(quality.r_factor),
            round_trip_ms: rounded(quality.rtt_ms),
            delay_ms: rounded(quality.delay_ms),
            jitter_received_ms: rounded(quality.jitter_received_ms),
            jitter_reported_ms: rounded(quality.jitter_reported_ms),
            loss_received: rounded(quality.loss_received),
            loss_reported: rounded(quality.loss_reported),
            discarded_received: rounded(quality.discarded),
            discarded_reported: rounded(quality.discarded_reported),
            burst_ratio: rounded(quality.burst_ratio),
        }
    }
}
