//! What events say of what has come of a call.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has come of a call, as far as another system knows it by now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Which system says so, e.g. `crm`.
    pub by: String,
    /// How it names what it says: the same name of the same system again is the same word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Whether the customer has filed a complaint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub complaint: Option<bool>,
    /// How satisfied the customer is, 1-5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub satisfied: Option<u8>,
    /// Whether the customer has bought again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repurchased: Option<bool>,
    /// Whether what the customer wanted is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resolved: Option<bool>,
}

impl Outcome {
    /// Whether another word of the same system by the same name is this one.
    pub fn is_same(&self, other: &Outcome) -> bool {
        self.name.is_some() && (&self.by, &self.name) == (&other.by, &other.name)
    }
}
