//! Keys that callers press: as telephone-events (RFC 4733), as tones in the audio (ITU-T Q.23), in SIP INFO bodies.
//!
//! What a key means, and who may learn of it, is the caller's: nothing here logs.

use std::fmt;

mod detector;
pub mod info;
mod receiver;
mod sender;
mod tones;

pub use detector::Detector;
pub use receiver::Receiver;
pub use sender::{EventPacket, QueueFull, Sender};
pub use tones::{ToneSender, Tones};

/// A key of a telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u8);

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// It went down: the moment to act.
    Down(Key),
    /// It was let go.
    Up {
        /// Which.
        key: Key,
        /// How long it was down, milliseconds.
        duration_ms: u32,
    },
}

impl Key {
    /// The hook, pressed for a moment (RFC 4733 §3.2 calls it hook flash).
    pub const FLASH: Self = Self(16);

    /// The key of an event code (RFC 4733 §3.2, table 3).
    pub fn from_event(code: u8) -> Option<Self> {
        (code <= Self::FLASH.0).then_some(Self(code))
    }

    /// Its event code.
    pub fn event(self) -> u8 {
        self.0
    }

    /// The row and column of its tones, 0-3 each; the hook has none.
    fn tones(self) -> Option<(usize, usize)> {
        let place = ROWS.iter().position(|key| *key == self.0)?;
        Some((place / 4, place % 4))
    }

    fn at(row: usize, column: usize) -> Self {
        Self(ROWS[row * 4 + column])
    }
}

impl TryFrom<char> for Key {
    type Error = NoKey;

    /// Digits, `*`, `#`, `A`-`D` in either case, and `!` for the hook.
    fn try_from(letter: char) -> Result<Self, NoKey> {
        let code = LETTERS.iter().position(|known| *known == letter.to_ascii_uppercase()).ok_or(NoKey)?;
        Ok(Self(code as u8))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", LETTERS[usize::from(self.0)])
    }
}

/// A character that is on no key. Does not say which: it may be part of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key of a telephone: 0-9, *, #, A-D and ! are")]
pub struct NoKey;

/// In the order of their event codes.
const LETTERS: [char; 17] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D', '!'];

/// The event codes in the order of the keypad (ITU-T Q.23).
const ROWS: [u8; 16] = [1, 2, 3, 12, 4, 5, 6, 13, 7, 8, 9, 14, 10, 0, 11, 15];
/// The tone of each row, Hz.
const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// The tone of each column, Hz.
const COLUMNS_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_keys_are_the_same() {
        for letter in LETTERS {
            let key = Key::try_from(letter).expect("a key");
            assert_eq!(key.to_string(), letter.to_string());
            assert_eq!(Key::from_event(key.event()), Some(key));
        }
        assert_eq!(Key::try_from('c'), Key::try_from('C'));
        assert_eq!((Key::try_from('E'), Key::from_event(17)), (Err(NoKey), None));
    }

    #[test]
    fn keys_have_their_place() {
        let places = ['1', 'A', '5', '*', '0', '#', 'D'].map(|letter| Key::try_from(letter).expect("a key").tones());
        let expected = [(0, 0), (0, 3), (1, 1), (3, 0), (3, 1), (3, 2), (3, 3)];
        assert_eq!(places, expected.map(Some));
        assert_eq!(Key::FLASH.tones(), None);
        assert_eq!(Key::at(1, 2).to_string(), "6");
    }
}
