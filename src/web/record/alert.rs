//! Alerts of a call, and what has become of them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::notice::Handling;

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Alert {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// `info`, `warning`, `critical`.
    pub severity: String,
    /// What to say.
    pub text: String,
    /// Rule id.
    pub rule: String,
    /// What has become of it last; nothing while nobody has reacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handled: Option<Handled>,
}

/// What has become of an alert, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AlertHandled)]
pub struct Handled {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// What.
    #[serde(flatten)]
    pub handling: Handling,
}

impl Alert {
    /// Whether something has become of this one.
    pub(super) fn is(&self, handling: &Handling) -> bool {
        (self.call_ms, &self.rule) == (handling.alert_ms, &handling.rule)
    }

    /// Whether it waits for somebody at that time of its call: nobody has reacted, it is escalated, or its snooze is over.
    pub fn is_open(&self, now_ms: u64) -> bool {
        match &self.handled {
            None => true,
            Some(Handled { handling, .. }) => match handling.state.as_str() {
                "escalated" => true,
                "snoozed" => handling.until_ms.is_none_or(|until| now_ms >= until),
                _ => false,
            },
        }
    }

    /// Whether it is to be escalated at that time of its call: nobody has reacted for `patience_ms`, whoever it is assigned to
    /// included, or its snooze is over.
    pub fn is_due(&self, now_ms: u64, patience_ms: u64) -> bool {
        if self.severity == "info" {
            return false;
        }
        let has_waited = |since: u64| now_ms.saturating_sub(since) >= patience_ms;
        match &self.handled {
            None => has_waited(self.call_ms),
            Some(Handled { call_ms, handling }) => match handling.state.as_str() {
                "assigned" => has_waited(*call_ms),
                "snoozed" => handling.until_ms.is_none_or(|until| now_ms >= until),
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_wait_are_escalated_and_are_settled() {
        let handled = |state: &str, until_ms| {
            let (rule, state, by) = ("rule".to_owned(), state.to_owned(), "li".to_owned());
            Some(Handled {
                call_ms: 10_000,
                handling: Handling { alert_ms: 5_000, rule, state, by, to: None, until_ms },
            })
        };
        for (handled, now_ms, open, due) in [
            (None, 5_000, true, false),
            (None, 35_000, true, true),
            (handled("acknowledged", None), 90_000, false, false),
            (handled("assigned", None), 39_999, false, false),
            (handled("assigned", None), 40_000, false, true),
            (handled("snoozed", Some(70_000)), 69_999, false, false),
            (handled("snoozed", Some(70_000)), 70_000, true, true),
            (handled("escalated", None), 90_000, true, false),
        ] {
            let (severity, text, rule) = ("warning".to_owned(), "look".to_owned(), "rule".to_owned());
            let alert = Alert { call_ms: 5_000, severity, text, rule, handled };
            assert_eq!((alert.is_open(now_ms), alert.is_due(now_ms, 30_000)), (open, due), "{alert:?} at {now_ms}");
            let info = Alert { severity: "info".to_owned(), ..alert };
            assert!(!info.is_due(now_ms, 30_000), "nobody has to react to it");
        }
    }
}
