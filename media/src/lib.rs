//! The media path without sockets: RTP relay, prompts, SDP, codecs, the listening side's jitter buffer.
//!
//! Pure: no clock, no thread, no file, no socket. Time comes in as a `Duration` since start.

mod command;
mod ids;
pub mod sdp;

pub use command::{Codec, Command, Direction, Event, LegStats, PlayMode, Sound, StreamSettings};
pub use ids::{LegId, PromptId};
