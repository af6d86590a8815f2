//! What people have done about the alerts of a call.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Alert, CallRecord};
use crate::notice::AlertDeed;
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

impl CallRecord {
    /// The alert that was raised by that rule then.
    pub fn alert(&self, alert_ms: u64, rule: &str) -> Option<&Alert> {
        self.alerts.iter().find(|alert| alert.call_ms == alert_ms && alert.rule == rule)
    }

    pub(super) fn apply_alert_deed(&mut self, told: &AlertDeed, time: Moment) {
        let AlertDeed { alert_ms, rule, deed, by, to, snooze_s } = told.clone();
        if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.call_ms == alert_ms && alert.rule == rule) {
            alert.handled = Some(Handled { deed, by, to, snooze_s, time });
        }
    }
}
