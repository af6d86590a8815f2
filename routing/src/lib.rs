//! Policies as operators write them, and the decisions they lead to.
//!
//! Pure: no clock, no thread, no file, no socket, nothing else of ours.

pub mod backtest;
mod decision;
mod engine;
mod facts;
mod fault;
mod policy;
mod saying;
pub mod section;
mod story;
pub mod warning;
mod words;

pub use decision::{
    Action, Because, CallKey, Decision, Emotion, Event, Hold, Language, Level, Opening, PlayMode, Route, SecureInput,
    Serve, ServedBy, Severity, Switch, Texts, Until, Whisper,
};
pub use engine::{CALLS_MAX, CONFIRM_WITHIN, Engine, KEYS_WITHIN, OBSERVATION_HOLDS, groups, warn_at};
pub use facts::{Day, FACT_CHARS_MAX, FACT_KINDS, FACTS_MAX, Fact, LocalTime, TimeSpan, is_fact_name};
pub use fault::Fault;
pub use policy::{
    ACTIONS_MAX, Circumstances, Expect, Fallback, Feeling, Group, KEYS_MAX, Mood, Policy, Purpose, RULES_MAX, Repeat,
    Rule, SAYING_CHARS_MAX, Script, Service, Split, Step, Trigger, WAYS_MAX, Wanted, When, is_prompt_file, is_saying,
};
pub use saying::{fill, variables};
pub use story::{Broken, EPILOGUE, Played, Story, check_expects, play};
pub(crate) use words::words;
