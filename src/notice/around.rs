//! What events say of who takes part in a forked call, and of what raises the load.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The way of a re-route by which somebody takes the caller's place: whoever serves stays.
pub const CALLER_REPLACED: &str = "caller_replaced";
/// The way of a re-route by which a call is handed over to its two sides, because the server stops.
pub const HANDED_OVER: &str = "handed_over";

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

/// How the calls of a scenario have turned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScenarioTurn {
    /// Which.
    pub scenario: String,
    /// The median of the highest anger per call before, 0-1.
    pub before: f32,
    /// The same from then on.
    pub after: f32,
    /// How likely so much order comes by chance, 0-1.
    pub chance: f32,
}

/// How the calls that have something in common have turned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupTurn {
    /// What they have in common: `target`, or the name of a fact, e.g. `order.product`.
    pub by: String,
    /// What that is, e.g. the target's name.
    pub group: String,
    /// The median of the highest anger per call before, 0-1.
    pub before: f32,
    /// The same from then on.
    pub after: f32,
    /// How likely so much order comes by chance, 0-1.
    pub chance: f32,
}
