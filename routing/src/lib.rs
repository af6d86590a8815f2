//! Policies as operators write them, and the decisions they lead to.
//!
//! Pure: no clock, no thread, no file, no socket, nothing else of ours.

mod decision;
mod engine;
mod fault;
mod policy;
pub mod section;

pub use decision::{Action, Because, CallKey, Decision, Emotion, Event, Level, PlayMode, Route, Severity};
pub use engine::{CALLS_MAX, CONFIRM_WITHIN, Engine, OBSERVATION_HOLDS};
pub use fault::Fault;
pub use policy::{ACTIONS_MAX, Fallback, Policy, RULES_MAX, Repeat, Rule, When};
