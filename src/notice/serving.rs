//! What events say of how a caller is served, and of what whoever serves has said or left out.

use routing::Serve;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a caller is to be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServedAs {
    /// The id of the `[[service]]`.
    pub service: String,
    /// `bot` or `human`.
    pub served_by: String,
    /// Its place among those who wait: 1 goes first, 9 last.
    pub priority: u8,
    /// What whoever serves must be able to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skill: Option<String>,
    /// The id of the script to speak by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub script: Option<String>,
    /// In which tone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tone: Option<String>,
    /// Fewer steps at a time, and progress told at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simplify: bool,
}

impl From<&Serve> for ServedAs {
    fn from(serve: &Serve) -> Self {
        Self {
            service: serve.id.clone(),
            served_by: serve.served_by.as_str().to_owned(),
            priority: serve.priority,
            skill: serve.skill.clone(),
            script: serve.script.clone(),
            tone: serve.tone.clone(),
            simplify: serve.simplify,
        }
    }
}

/// The caller's place in queues is another one, wherever the caller is moved from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriorityChange {
    /// In place of that of targets; theirs again when nothing is said.
    #[schema(required)]
    pub queue_priority: Option<u32>,
    /// Who says so.
    pub by: String,
}

/// A compliance rule that whoever serves has broken. It has no words of anybody: the rule says what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Breach {
    /// The rule's id.
    pub rule: String,
    /// `never_say`: it was said; `must_say`: it was not, by when it had to be.
    pub duty: String,
    /// What is wrong, as the rule has it.
    pub text: String,
    /// Name of the target of whoever serves; empty of a chat.
    pub target: String,
}

/// What a system outside is to know, as a rule wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TicketAsked {
    /// The system, as `[crm.NAME]`.
    pub crm: String,
    /// Rule id.
    pub rule: String,
    /// The emotion when it fired.
    pub emotion: String,
    /// The level when it fired.
    pub level: String,
    /// The score when it fired.
    pub score: f32,
}
