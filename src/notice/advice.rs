//! What events say of answers that the library has for a customer's words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pii::Pii;

/// Answers for whoever serves, to what the customer has just said or written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Advice {
    /// What was said, personal data masked.
    pub query: Pii<String>,
    /// The answers, best first; one at least.
    pub answers: Vec<AnswerFound>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerFound {
    /// The entry of the library.
    pub entry: String,
    /// The question that stands for it.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// Their language: `zh` or `en`.
    pub language: String,
    /// How well it fits, from the floor of the settings up.
    pub score: f32,
}
