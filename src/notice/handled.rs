//! What events say of alerts that somebody has done something about, or nobody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::web::Moment;

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

/// Nobody has reacted to an alert for long: more people are told of it, and more urgently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertEscalated {
    /// When the alert was raised, milliseconds since the INVITE: with the rule, what it is known by.
    pub alert_ms: u64,
    /// The rule that raised it.
    pub rule: String,
    /// Which step it is, from 1.
    pub step: u32,
    /// How long nobody has reacted, seconds.
    pub waited_s: u64,
    /// `warning`, `critical`: how urgent it is from now on.
    pub severity: String,
    /// What to say, as it was raised.
    pub text: String,
    /// The call's route.
    pub route: String,
    /// The call's tenant, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Since when it waits: since it was raised, or since it was to rest no longer.
    pub since: Moment,
    /// Whom it is for from now on, by name; everybody who sees the call when nobody is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Systems outside that are told of this step besides others, as `[crm.NAME]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crms: Vec<String>,
}
