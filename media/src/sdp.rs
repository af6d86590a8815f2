//! SDP offer/answer for one audio stream (RFC 3264 over RFC 4566): PCMU, PCMA, telephone-event.
//!
//! Reads what the far end says, answers it, makes offers of our own. Not a general SDP editor, and it resolves
//! no host names: an address that is a name counts as unknown, and symmetric RTP finds the far end.

use std::net::IpAddr;

use crate::{Codec, Direction, StreamSettings};

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{Session, parse};

/// The longest description that is read, bytes.
pub const BYTES_MAX: usize = 16 * 1024;
/// The most lines that are read.
pub const LINES_MAX: usize = 512;
/// The most media lines that are read.
pub const MEDIA_MAX: usize = 16;

/// Milliseconds of audio per packet when nobody asks for anything else (RFC 3551 §4.2).
const PTIME_MS_DEFAULT: u8 = 20;
/// The RTP clock of G.711, Hz.
const CLOCK_HZ: u32 = 8_000;

/// What stands in our own descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The address at which the far end reaches us (the external one behind NAT).
    pub address: IpAddr,
    /// Our RTP port.
    pub port: u16,
    /// `o=` session id: the same for the whole dialog.
    pub session_id: u64,
    /// `o=` version: one more whenever the description changes (RFC 3264 §8).
    pub version: u64,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than we read.
    #[error("description is larger than expected: found {found} {unit}, expected at most {limit}")]
    TooLarge {
        /// What was found.
        found: usize,
        /// What is allowed.
        limit: usize,
        /// What was counted.
        unit: &'static str,
    },
    /// Not a session description.
    #[error("description is malformed: {0}")]
    Malformed(String),
    /// No audio stream over plain RTP that is switched on (port 0 means off).
    #[error("no usable audio stream: expected m=audio with a port over RTP/AVP, found {found}")]
    NoAudio {
        /// The media lines, shortened.
        found: String,
    },
    /// An audio stream, but no codec that both sides can do.
    #[error("no common codec: expected one of {expected}, found {found}")]
    NoCodec {
        /// What we can do.
        expected: String,
        /// The offered formats.
        found: String,
    },
}

impl SdpError {
    /// The SIP status that says this to the far end: 400 for what cannot be read, 488 for what cannot be done.
    pub fn status(&self) -> u16 {
        match self {
            SdpError::TooLarge { .. } | SdpError::Malformed(_) => 400,
            SdpError::NoAudio { .. } | SdpError::NoCodec { .. } => 488,
        }
    }
}

/// Answers `offer` with the first acceptable codec of `codecs`, in the offerer's order.
///
/// The offered payload-type numbers, transport, `t=` line and packet time are kept, the direction is mirrored, and
/// every other media line is declined with port 0 (RFC 3264 §6). The settings are seen from us.
pub fn answer(offer: &Session, local: &Local, codecs: &[Codec]) -> Result<(String, StreamSettings), SdpError> {
    let audio = offer.audio()?;
    let Some(&(codec, payload_type)) = audio.codecs.iter().find(|(codec, _)| codecs.contains(codec)) else {
        return Err(no_codec(codecs, &audio));
    };

    let settings = StreamSettings {
        ptime_ms: audio.ptime_ms,
        direction: audio.direction,
        ..StreamSettings::plain(audio.remote, codec, payload_type)
            .with_events(audio.event.as_ref().map(|event| event.payload_type))
    };
    Ok((write::answer(offer, &audio, local, &settings), settings))
}

/// An offer of these codecs in order, with telephone-event/8000 when it has a payload type, 20 ms per packet.
pub fn offer(local: &Local, codecs: &[(Codec, u8)], event_payload_type: Option<u8>, direction: Direction) -> String {
    write::offer(local, codecs, event_payload_type, direction)
}

/// Reads the answer to our offer of one audio stream.
///
/// The answer's first known codec that we offered is taken. `NoAudio` when the stream was declined.
pub fn accept(
    answer: &Session,
    offered: &[(Codec, u8)],
    offered_event: Option<u8>,
) -> Result<StreamSettings, SdpError> {
    let audio = answer.audio()?;
    let known = |codec: &Codec| offered.iter().any(|(offered, _)| offered == codec);
    let Some(&(codec, payload_type)) = audio.codecs.iter().find(|(codec, _)| known(codec)) else {
        let codecs: Vec<Codec> = offered.iter().map(|(codec, _)| *codec).collect();
        return Err(no_codec(&codecs, &audio));
    };

    let event = audio.event.filter(|_| offered_event.is_some()).map(|event| event.payload_type);
    Ok(StreamSettings {
        ptime_ms: audio.ptime_ms,
        direction: audio.direction,
        ..StreamSettings::plain(audio.remote, codec, payload_type).with_events(event)
    })
}

/// The codecs and the event payload type of an offer that we can do, in the offerer's order.
///
/// Empty when the offer has no usable audio. Used to make the outgoing offer of a back-to-back call.
pub fn usable(offer: &Session) -> (Vec<(Codec, u8)>, Option<u8>) {
    match offer.audio() {
        Ok(audio) => (audio.codecs, audio.event.map(|event| event.payload_type)),
        Err(_) => (Vec::new(), None),
    }
}

fn no_codec(codecs: &[Codec], audio: &read::Audio) -> SdpError {
    let expected: Vec<&str> = codecs.iter().map(|codec| codec.name()).collect();
    SdpError::NoCodec { expected: expected.join(", "), found: audio.formats.clone() }
}
