//! Kept audio: what the caller of a call says and hears, sealed in a file of its own, and muted wherever it is heard.
//!
//! A reel is the audio of one call as it is kept: no `recording`, which others upload to be listened to, no `copy`, which goes
//! out live, and not what is tapped for listening. Knows no call and no thread: `shell::reels` writes, `web::playback` plays.

mod file;
mod muting;
mod record;
mod sound;
mod spans;

pub use file::{Reel, ReelError, ReelWriter, path_of, unknown};
pub use muting::Muting;
pub use record::{Chunk, Record};
pub use sound::{ChunkError, Encoders, FRAMES_MAX};
pub use spans::Spans;

/// Samples per second of each channel.
pub const RATE_HZ: u32 = media::jitter::RATE_HZ;

/// The sample at a moment since the reel began.
pub fn samples_in(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros() * u128::from(RATE_HZ) / 1_000_000).unwrap_or(u64::MAX)
}

/// How long so many samples last, whole milliseconds.
pub fn millis_of(samples: u64) -> u64 {
    samples / u64::from(RATE_HZ / 1_000)
}
