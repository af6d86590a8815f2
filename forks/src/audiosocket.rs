//! Asterisk's AudioSocket: frames of a type, a length and a payload over TCP.
//!
//! The first one names the call by a UUID; then audio goes both ways, 20 ms per frame.

use std::fmt;

use media::dtmf::Key;

use crate::audio::{Encoding, Format, Rate};

/// The longest payload that a frame can name.
pub const PAYLOAD_BYTES_MAX: usize = u16::MAX as usize;
/// A type and a length.
const HEADER_BYTES: usize = 3;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The call is over.
    Hangup,
    /// Names the call.
    Id(Uuid),
    /// A key was pressed.
    Key(Key),
    /// Linear samples.
    Audio {
        /// How many of them a second has.
        rate: Rate,
        /// The samples.
        samples: Vec<i16>,
    },
    /// Something went wrong on the far side.
    Error(Fault),
    /// A type that is not known, and its length; skipped.
    Unknown(u8, usize),
}

/// What went wrong on the far side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The call was hung up.
    #[error("the call was hung up")]
    Hangup,
    /// A frame could not be passed on.
    #[error("a frame could not be forwarded")]
    Frame,
    /// No memory.
    #[error("out of memory")]
    Memory,
    /// Something of the application's own, or nothing that it says.
    #[error("error {0}")]
    Other(u8),
}

/// A frame that cannot be read. The stream cannot go on: where the next frame begins is not known, or not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than is taken.
    #[error("a frame of {found} bytes, expected at most {limit}")]
    TooLong {
        /// What it names.
        found: usize,
        /// What is taken.
        limit: usize,
    },
    /// Of a length that its type does not have.
    #[error("a frame of type 0x{kind:02x} with {found} bytes, expected {expected}")]
    Length {
        /// Its type.
        kind: u8,
        /// Its length.
        found: usize,
        /// The lengths it may have.
        expected: &'static str,
    },
    /// No key.
    #[error("a key 0x{0:02x}, expected 0-9, *, # or A-D")]
    Key(u8),
    /// Audio at another rate.
    #[error("audio of type 0x{0:02x}, expected 0x10 (8 kHz) or 0x12 (16 kHz)")]
    Rate(u8),
}

/// Names a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Reads the usual form, `40325ec2-5efd-4bd3-805f-53576e581d13`; case does not matter.
    pub fn parse(text: &str) -> Option<Uuid> {
        let hyphens = |at: usize| [8, 13, 18, 23].contains(&at);
        let well_formed =
            text.len() == 36 && text.bytes().enumerate().all(|(at, octet)| (octet == b'-') == hyphens(at));
        let digits: String = text.chars().filter(|&letter| letter != '-').collect();
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| well_formed && digits.is_ascii())?;
        Some(Uuid(number.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            let hyphen = if [4, 6, 8, 10].contains(&at) { "-" } else { "" };
            write!(f, "{hyphen}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

/// Reads frames out of a stream of octets.
#[derive(Debug)]
pub struct Decoder {
    waiting: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
    payload_max: usize,
}

impl Decoder {
    /// Takes frames with payloads up to `payload_max` bytes.
    pub fn new(payload_max: usize) -> Decoder {
        Decoder { waiting: Vec::new(), at: 0, payload_max: payload_max.min(PAYLOAD_BYTES_MAX) }
    }

    /// Takes octets as they come; take out every frame before more are given, so that no more than one frame waits.
    pub fn push(&mut self, octets: &[u8]) {
        self.waiting.drain(..self.at);
        self.at = 0;
        self.waiting.extend_from_slice(octets);
    }

    /// The next frame; `None` when more octets are needed.
    ///
    /// # Errors
    /// When a frame cannot be read; nothing can be read after it.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.waiting[self.at..];
        let Some((&[kind, high, low], rest)) = rest.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > self.payload_max {
            return Err(FrameError::TooLong { found: length, limit: self.payload_max });
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = read(kind, payload)?;
        self.at += HEADER_BYTES + length;
        Ok(Some(frame))
    }
}

fn read(kind: u8, payload: &[u8]) -> Result<Frame, FrameError> {
    let wrong = |expected| FrameError::Length { kind, found: payload.len(), expected };
    match kind {
        HANGUP => Ok(Frame::Hangup),
        ID => payload.try_into().map(|octets| Frame::Id(Uuid(octets))).map_err(|_| wrong("16")),
        KEY => {
            let &[letter] = payload else { return Err(wrong("1")) };
            Key::try_from(char::from(letter)).map(Frame::Key).map_err(|_| FrameError::Key(letter))
        }
        AUDIO_NARROW | AUDIO_WIDE => {
            if !payload.len().is_multiple_of(2) {
                return Err(wrong("whole samples of 2 bytes"));
            }
            let rate = if kind == AUDIO_NARROW { Rate::Narrow } else { Rate::Wide };
            let mut samples = Vec::with_capacity(payload.len() / 2);
            Format { encoding: Encoding::L16, rate }.decode(payload, &mut samples);
            Ok(Frame::Audio { rate, samples })
        }
        AUDIO_FIRST..=AUDIO_LAST => Err(FrameError::Rate(kind)),
        ERROR => Ok(Frame::Error(match payload.first() {
            Some(1) => Fault::Hangup,
            Some(2) => Fault::Frame,
            Some(4) => Fault::Memory,
            code => Fault::Other(code.copied().unwrap_or(0)),
        })),
        _ => Ok(Frame::Unknown(kind, payload.len())),
    }
}

/// Appends a frame of audio.
///
/// # Panics
/// When there are more samples than a frame can hold: 4 seconds at 8 kHz.
pub fn write_audio(rate: Rate, samples: &[i16], out: &mut Vec<u8>) {
    let kind = if rate == Rate::Narrow { AUDIO_NARROW } else { AUDIO_WIDE };
    let length = u16::try_from(samples.len() * 2).expect("a frame is 20 ms");
    out.push(kind);
    out.extend(length.to_be_bytes());
    Format { encoding: Encoding::L16, rate }.encode(samples, out);
}

/// A frame that ends the call.
pub const HANGUP_FRAME: [u8; HEADER_BYTES] = [HANGUP, 0, 0];

const HANGUP: u8 = 0x00;
const ID: u8 = 0x01;
const KEY: u8 = 0x03;
const AUDIO_FIRST: u8 = 0x10;
const AUDIO_NARROW: u8 = 0x10;
const AUDIO_WIDE: u8 = 0x12;
/// 192 kHz.
const AUDIO_LAST: u8 = 0x18;
const ERROR: u8 = 0xff;

#[cfg(test)]
mod tests;
