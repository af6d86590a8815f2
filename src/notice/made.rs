//! A notice as it goes to everybody who watches.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::What;

/// One notice with the moment it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// The call it is about; empty when it is about the whole server.
    pub call: String,
    /// Milliseconds since the call's INVITE arrived.
    pub call_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}
