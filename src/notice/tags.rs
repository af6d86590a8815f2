//! What a call is kept for, for whom, and where: as its route says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the route of a call says of its data. Names of the operator's own; nothing in them is about a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = CallTags)]
pub struct Tags {
    /// Whose calls they are, where one server works for several: its data has a key of its own, and can be erased by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tenant: Option<String>,
    /// What the data is kept for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub purpose: Option<String>,
    /// The region that the data is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub region: Option<String>,
}

impl Tags {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
