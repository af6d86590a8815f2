//! What people have done about the alerts of a call, and what became of those about which nobody did anything.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Alert, CallRecord};
use crate::notice::{AlertDeed, AlertEscalated};
use crate::web::Moment;

/// What was done about an alert last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AlertHandled)]
pub struct Handled {
    /// `acknowledged`, `assigned`, `snoozed` or `ended`.
    pub deed: String,
    /// Who did it.
    pub by: String,
    /// Whose it is, where it was assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub to: Option<String>,
    /// For how long nobody is to be reminded of it, seconds, where it was snoozed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snooze_s: Option<u64>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Moment,
}

/// How an alert became more urgent last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EscalatedAlert)]
pub struct Escalated {
    /// Which step that was, from 1.
    pub step: u32,
    /// How long nobody had reacted, seconds.
    pub waited_s: u64,
    /// `warning`, `critical`: how urgent it is from then on.
    pub severity: String,
    /// Whom it is for from then on, by name; everybody who sees the call when nobody is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Moment,
}

impl Handled {
    /// What was done then.
    pub fn of(told: &AlertDeed, time: Moment) -> Self {
        let AlertDeed { deed, by, to, snooze_s, .. } = told.clone();
        Self { deed, by, to, snooze_s, time }
    }
}

impl Escalated {
    /// How it became more urgent then.
    pub fn of(told: &AlertEscalated, time: Moment) -> Self {
        let AlertEscalated { step, waited_s, severity, to, .. } = told.clone();
        Self { step, waited_s, severity, to, time }
    }
}

impl CallRecord {
    /// The alert that was raised by that rule then.
    pub fn alert(&self, alert_ms: u64, rule: &str) -> Option<&Alert> {
        self.alerts.iter().find(|alert| alert.call_ms == alert_ms && alert.rule == rule)
    }

    pub(super) fn apply_alert_deed(&mut self, told: &AlertDeed, time: Moment) {
        if let Some(alert) = self.alert_mut(told.alert_ms, &told.rule) {
            // Whoever puts it off has it wait anew.
            alert.escalated = None;
            alert.handled = Some(Handled::of(told, time));
        }
    }

    pub(super) fn apply_escalated(&mut self, told: &AlertEscalated, time: Moment) {
        if let Some(alert) = self.alert_mut(told.alert_ms, &told.rule) {
            alert.escalated = Some(Escalated::of(told, time));
        }
    }

    fn alert_mut(&mut self, alert_ms: u64, rule: &str) -> Option<&mut Alert> {
        self.alerts.iter_mut().find(|alert| alert.call_ms == alert_ms && alert.rule == rule)
    }
}
