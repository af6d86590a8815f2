//! What was played in a call, where its caller was moved, and which compliance rules were broken.

use serde::Serialize;
use utoipa::ToSchema;

use crate::notice::Breach;

/// How far a prompt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptOutcome {
    /// It plays.
    Playing,
    /// It was heard to its end.
    Completed,
    /// It was cut short.
    Cut,
    /// It could not be played.
    Failed,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Prompt {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// Its number; orders about it name it.
    pub prompt: u32,
    /// The file.
    pub file: String,
    /// Who hears it: `caller` or `callee`.
    pub party: String,
    /// From decision to first packet, milliseconds.
    #[schema(required)]
    pub reaction_ms: Option<u64>,
    /// How far it came.
    pub outcome: PromptOutcome,
    /// Why it could not be played.
    #[schema(required)]
    pub reason: Option<String>,
}

/// What became of a re-route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RerouteOutcome {
    /// The target is being called.
    Trying,
    /// The caller is with the target.
    Done,
    /// The caller stayed.
    Failed,
}

/// One re-route.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reroute {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// The way, as in notices.
    pub via: String,
    /// Name of the target.
    pub target: String,
    /// What became of it.
    pub outcome: RerouteOutcome,
    /// From decision to the target's answer, milliseconds.
    #[schema(required)]
    pub answer_ms: Option<u64>,
    /// From the target's answer to its first packet towards the caller, milliseconds.
    #[schema(required)]
    pub gap_ms: Option<u64>,
    /// Why it failed.
    #[schema(required)]
    pub reason: Option<String>,
}

/// A compliance rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Breached {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// Which, and how.
    #[serde(flatten)]
    pub breach: Breach,
}
