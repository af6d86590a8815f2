//! Policies as operators write them, and the decisions they lead to.
//!
//! Pure: no clock, no thread, no file, no socket, nothing else of ours.

mod decision;

pub use decision::{Action, Because, CallKey, Decision, Emotion, Event, Level, PlayMode, Route, Severity};
