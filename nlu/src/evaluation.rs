//! How good the listening is: figures over labelled clips, and over streams in which anger starts at a known moment.
//!
//! Reads no files and holds no clock: samples and labels come in, figures go out; speed is the caller's to measure.

mod clips;
mod estimate;
mod onsets;

pub use clips::{ClipFigures, ClipJudgement, ClipTally, class_of, judge_clip};
pub use estimate::Estimate;
pub use onsets::{OnsetFigures, OnsetTally};
