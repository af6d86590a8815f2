//! The media path without sockets: RTP relay, prompts, SDP, codecs, the listening side's jitter buffer.
//!
//! Pure: no clock, no thread, no file, no socket. Time comes in as a `Duration` since start.

mod command;
pub mod g711;
mod ids;
pub mod jitter;
pub mod sdp;
pub mod wav;

pub use command::{Codec, Command, Direction, Event, LegStats, PlayMode, Sound, StreamSettings};
pub use ids::{LegId, PromptId};
