//! What events say of alerts that somebody has done something about.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody has done about an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertDeed {
    /// When the alert was raised, milliseconds since the INVITE: with the rule, what it is known by.
    pub alert_ms: u64,
    /// The rule that raised it.
    pub rule: String,
    /// `acknowledged`, `assigned`, `snoozed` or `ended`.
    pub deed: String,
    /// Who did it.
    pub by: String,
    /// Whose it is from then on, where it was assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub to: Option<String>,
    /// For how long nobody is to be reminded of it, seconds, where it was snoozed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snooze_s: Option<u64>,
}
