//! SDP offer/answer for one audio stream (RFC 3264 over RFC 8866): codecs, control packets, keys, connectivity checks.
//!
//! Reads what the far end says, answers it, makes offers of our own. Not a general SDP editor, and it resolves
//! no host names: an address that is a name counts as unknown, and symmetric RTP finds the far end.

use std::net::IpAddr;

use crate::codec::OpusSettings;
use crate::{Codec, Direction, StreamSettings};

mod agree;
mod format;
mod offer;
mod read;
mod secure;
mod write;

#[cfg(test)]
mod tests;

pub use agree::{Agreement, Terms};
pub use format::Formats;
pub use offer::Offer;
pub use read::{Session, parse};
pub use secure::{Credentials, Exchange, Fingerprint, Handshake, Hash, Protection, Wanted};

/// The longest description that is read, bytes.
pub const BYTES_MAX: usize = 16 * 1024;
/// The most lines that are read.
pub const LINES_MAX: usize = 512;
/// The most media lines that are read.
pub const MEDIA_MAX: usize = 16;

/// Milliseconds of audio per packet when nobody asks for anything else (RFC 3551 §4.2).
const PTIME_MS_DEFAULT: u8 = 20;
/// The longest packets that we ask for, milliseconds.
const PTIME_MS_MAX: u8 = 60;
/// The clock of telephone-events that everybody knows.
const EVENT_CLOCK_HZ: u32 = 8_000;
/// The event codes that we take when the far end names none: digits, `*`, `#`, A-D and flash (RFC 4733 §3.2).
const EVENT_CODES: &str = "0-16";

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

/// How a far end wants what it receives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Audio per packet, milliseconds (`ptime`, RFC 8866 §6.4).
    pub ptime_ms: Option<u8>,
    /// The most that a packet may hold, milliseconds (`maxptime`).
    pub ptime_ms_max: Option<u8>,
    /// What it wants of Opus, when it speaks that (RFC 7587 §6.1).
    pub opus: Option<OpusSettings>,
}

impl Wishes {
    /// The packet time that we pass on to those who send: what telephones do, nothing odd. A frame of Opus has no 30 or
    /// 50 ms, and telephones that are asked for them fall silent instead of putting frames together (baresip 1.0).
    fn ptime_to_ask_for(self, mut codecs: impl Iterator<Item = Codec>) -> Option<u8> {
        let opus = codecs.any(|codec| codec == Codec::Opus);
        self.ptime_ms.filter(|ms| (10..=PTIME_MS_MAX).contains(ms) && !(opus && [30, 50].contains(ms)))
    }
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
    /// No audio stream over RTP that is switched on (port 0 means off).
    #[error("no usable audio stream: expected m=audio with a port over RTP, found {found}")]
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
    /// An audio stream, but not protected as it has to be.
    #[error("no common protection: expected {expected}, found {found}")]
    NoSecurity {
        /// What we need.
        expected: &'static str,
        /// The transport and what came with it; no keys.
        found: String,
    },
}

impl SdpError {
    /// The SIP status that says this to the far end: 400 for what cannot be read, 488 for what cannot be done.
    pub fn status(&self) -> u16 {
        match self {
            SdpError::TooLarge { .. } | SdpError::Malformed(_) => 400,
            SdpError::NoAudio { .. } | SdpError::NoCodec { .. } | SdpError::NoSecurity { .. } => 488,
        }
    }
}

/// Answers `offer` over plain RTP; see [`Terms::answer`].
pub fn answer(offer: &Session, local: &Local, codecs: &[Codec]) -> Result<(String, StreamSettings), SdpError> {
    let (text, agreement) = Terms::plain(codecs).answer(offer, local)?;
    Ok((text, agreement.settings))
}

/// An offer of these codecs over plain RTP, with telephone-event/8000 when it has a payload type; see [`Offer::write`].
pub fn offer(local: &Local, codecs: &[(Codec, u8)], event_payload_type: Option<u8>, direction: Direction) -> String {
    Offer { direction, ..Offer::plain(formats(codecs, event_payload_type)) }.write(local)
}

/// Reads the answer to an offer over plain RTP; see [`Offer::accept`].
pub fn accept(answer: &Session, offered: &[(Codec, u8)], event: Option<u8>) -> Result<StreamSettings, SdpError> {
    Ok(Offer::plain(formats(offered, event)).accept(answer)?.settings)
}

fn formats(codecs: &[(Codec, u8)], event: Option<u8>) -> Formats {
    Formats {
        codecs: codecs.to_vec(),
        events: event.map(|payload_type| (EVENT_CLOCK_HZ, payload_type)).into_iter().collect(),
        comfort_noise: false,
    }
}

fn no_codec(codecs: impl IntoIterator<Item = Codec>, written: String) -> SdpError {
    let expected: Vec<&str> = codecs.into_iter().map(Codec::name).collect();
    SdpError::NoCodec { expected: expected.join(", "), found: written }
}
