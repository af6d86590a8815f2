//! What people have done about the alerts of a call, and what became of those about which nobody did anything.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Alert, CallRecord};
use crate::notice::{AlertDeed, AlertEscalated};
use crate::web::Moment;

/// What was done about an alert last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EscalatedAlert)]
pub struct Escalated {
    /// Which step that was, from 1.
    pub step: u32,
    /// How long nobody had reacted, seconds.
    pub waited_s: u64,
    /// `warning`, `critical`: how urgent it is from then on.
    pub severity: String,
    /// Whom it is for from then on, by name; everybody who sees the call when nobody is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Moment,
}

impl CallRecord {
    /// The alert that was raised by that rule then.
    pub fn alert(&self, alert_ms: u64, rule: &str) -> Option<&Alert> {
        self.alerts.iter().find(|alert| alert.call_ms == alert_ms && alert.rule == rule)
    }

    pub(super) fn apply_alert_deed(&mut self, told: &AlertDeed, time: Moment) {
        let AlertDeed { alert_ms, rule, deed, by, to, snooze_s } = told.clone();
        if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.call_ms == alert_ms && alert.rule == rule) {
            // Whoever puts it off has it wait anew.
            alert.escalated = None;
            alert.handled = Some(Handled { deed, by, to, snooze_s, time });
        }
    }

    pub(super) fn apply_escalated(&mut self, told: &AlertEscalated, time: Moment) {
        let AlertEscalated { alert_ms, rule, step, waited_s, severity, to, .. } = told.clone();
        if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.call_ms == alert_ms && alert.rule == rule) {
            alert.escalated = Some(Escalated { step, waited_s, severity, to, time });
        }
    }
}
