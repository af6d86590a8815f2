//! The media path without sockets: RTP relay, prompts, SDP, codecs, the listening side's jitter buffer.
//!
//! Pure: no clock, no thread, no file, no socket. Time comes in as a `Duration` since start.

pub mod codec;
mod command;
pub mod copy;
pub mod dtmf;
mod engine;
pub mod g711;
mod ids;
pub mod jitter;
mod latch;
mod leg;
pub mod mix;
pub mod network;
pub mod ogg;
mod packet;
mod play;
pub mod playout;
pub mod quality;
mod relay;
pub mod rtcp;
pub mod sdp;
mod sequence;
pub mod sound;
pub mod srtp;
pub mod stats;
pub mod stun;
pub mod tone;
mod transcode;
mod voice;
pub mod wav;

pub use codec::Codec;
pub use command::{
    Command, ControlPort, Direction, Event, IceCredentials, LegStats, PlayMode, Sides, Sound, StreamSettings,
    Supervision,
};
pub use engine::{
    Arrival, BUFFER_BYTES, CapturedPacket, Capturing, Channel, CopiedPacket, Datagram, Departure, Depth, Engine, Input,
    LegSlot, Output, SUPERVISORS_MAX, TAP_BYTES_MAX, TapFrame, Tie, Way,
};
pub use ids::{LegId, PromptId};
pub use packet::{HEADER_BYTES, Malformed, PACKET_BYTES_MAX, RtpHeader, Ssrc, Stamp};
pub use sequence::{Place, Sequencer, Verdict};
