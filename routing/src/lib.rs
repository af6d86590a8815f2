//! Policies as operators write them, and the decisions they lead to.
//!
//! Pure: no clock, no thread, no file, no socket, nothing else of ours.

mod decision;
mod engine;
mod fault;
mod policy;
mod saying;
pub mod section;

pub use decision::{
    Action, Because, CallKey, Decision, Emotion, Event, Hold, Language, Level, PlayMode, Route, SecureInput, Severity,
    Until, Whisper,
};
pub use engine::{CALLS_MAX, CONFIRM_WITHIN, Engine, KEYS_WITHIN, OBSERVATION_HOLDS};
pub use fault::Fault;
pub use policy::{
    ACTIONS_MAX, Fallback, Feeling, KEYS_MAX, Policy, RULES_MAX, Repeat, Rule, SAYING_CHARS_MAX, Trigger, WAYS_MAX,
    When, is_prompt_file, is_saying,
};
pub use saying::{fill, variables};
