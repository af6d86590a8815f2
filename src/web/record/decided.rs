//! What policies decided about a call, and how its caller was served.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CallRecord, DEEDS_MAX, push};
use crate::notice::{Notice, ServedAs, What};

/// One decision of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Decision {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// Rule id.
    pub rule: String,
    /// Policy name and version.
    pub policy: String,
    /// What made the rule apply.
    pub because: Because,
    /// The actions, in words.
    pub actions: Vec<String>,
}

/// The evidence of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Because {
    /// The emotion when it fired.
    pub emotion: String,
    /// Its level.
    pub level: String,
    /// Its score, 0-1.
    pub score: f32,
    /// How long it had lasted, milliseconds.
    pub lasted_ms: u64,
    /// For fallback rules: what failed.
    #[schema(required)]
    pub failure: Option<String>,
    /// For rules about interruptions: how often the caller had interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub interruptions: Option<u32>,
    /// For rules about what was said: what it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub said: Option<String>,
    /// What else made it apply, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// The call's group in the policy's comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub group: Option<String>,
}

/// A caller is served otherwise from then on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ServiceSwitch {
    /// Milliseconds since the INVITE arrived.
    pub call_ms: u64,
    /// The id of the `[[service]]` that the mood asks for.
    pub rule: String,
    /// Policy name and version.
    pub policy: String,
    /// As before.
    #[schema(required)]
    pub before: Option<ServedAs>,
    /// From then on.
    #[schema(required)]
    pub after: Option<ServedAs>,
}

impl CallRecord {
    pub(super) fn apply_decision(&mut self, notice: &Notice) {
        let What::Decided {
            rule,
            policy,
            emotion,
            level,
            score,
            lasted_ms,
            failure,
            // What callers type is kept nowhere.
            keys: _,
            interruptions,
            said,
            facts,
            group,
            actions,
        } = &notice.what
        else {
            return;
        };
        let because = Because {
            emotion: emotion.clone(),
            level: level.clone(),
            score: *score,
            lasted_ms: *lasted_ms,
            failure: failure.clone(),
            interruptions: *interruptions,
            said: said.clone(),
            facts: facts.clone(),
            group: group.clone(),
        };
        let decision = Decision {
            call_ms: notice.call_ms,
            rule: rule.clone(),
            policy: policy.clone(),
            because,
            actions: actions.clone(),
        };
        push(&mut self.decisions, decision, DEEDS_MAX);
    }

    pub(super) fn apply_service(&mut self, notice: &Notice) {
        let What::ServiceSwitched { rule, policy, before, after, .. } = &notice.what else { return };
        let switch = ServiceSwitch {
            call_ms: notice.call_ms,
            rule: rule.clone(),
            policy: policy.clone(),
            before: before.clone(),
            after: after.clone(),
        };
        push(&mut self.services, switch, DEEDS_MAX);
    }
}
