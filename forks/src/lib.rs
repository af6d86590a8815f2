//! Copies of calls that others send us: SIPREC bodies and metadata, AudioSocket, WebSocket streams. Pure.
//!
//! Reads and writes what stands on the wire; knows no call, no socket, no clock, no thread and no file.

pub mod audio;
pub mod audiosocket;
pub mod multipart;
pub mod pacing;
pub mod siprec;
pub mod stream;
