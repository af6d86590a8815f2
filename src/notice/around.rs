//! What events say of who takes part in a forked call, and of what raises the load.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has raised the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadReason {
    /// What was measured, as its key of `[limits.overload]`, e.g. `late_ms`.
    pub measure: String,
    /// Its value, in the unit of the key.
    pub value: f32,
}

/// Somebody who takes part in a call that is forked to us.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForkedParty {
    /// `caller`, `callee` or `other`.
    pub party: String,
    /// Addresses, e.g. `sip:4000@pbx.example`.
    pub addresses: Vec<String>,
    /// The name that goes with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
}

impl std::fmt::Debug for ForkedParty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForkedParty({}, …)", self.party)
    }
}
