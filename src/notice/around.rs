//! What events say of who takes part in a forked call, of what raises the load, and of what becomes of alerts.

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

/// What has become of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Handling {
    /// When the alert was told, milliseconds since the INVITE arrived; with its rule that is its name.
    pub alert_ms: u64,
    /// Its rule.
    pub rule: String,
    /// `acknowledged`, `assigned`, `snoozed`; `escalated` when nobody has reacted in time.
    pub state: String,
    /// Who did it: a person's name, `api`, or `server`.
    pub by: String,
    /// To whom it is assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub to: Option<String>,
    /// Until when it is snoozed, milliseconds since the INVITE arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until_ms: Option<u64>,
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
