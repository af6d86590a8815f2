//! Recordings by what they begin with: RIFF is read as WAV, OggS as Opus in Ogg. Opens no file.

use crate::ogg::{self, OggError};
use crate::wav::{self, Channel, Recording, WavError};

/// Why bytes are no recording that we take.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// They begin like neither kind.
    #[error("neither a WAV recording nor Opus in Ogg: begins with {0:02x?}")]
    Unknown(Vec<u8>),
    /// They begin like WAV.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// They begin like Ogg.
    #[error(transparent)]
    Ogg(#[from] OggError),
}

/// Reads a prompt as mono at 8 kHz; several channels are mixed.
///
/// # Errors
/// When the bytes are of neither kind, damaged, or over the limits of the kind.
pub fn read(bytes: &[u8]) -> Result<Recording, SoundError> {
    match bytes.get(..4) {
        Some(b"RIFF") => Ok(wav::read(bytes, Channel::Mix)?),
        Some(b"OggS") => Ok(ogg::read(bytes)?),
        _ => Err(SoundError::Unknown(bytes[..bytes.len().min(4)].to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_beginning_decides() {
        let mut bytes = Cursor::new(Vec::new());
        wav::write(&[1_000; 800], 8_000, &mut bytes).expect("into memory");
        assert_eq!(read(bytes.get_ref()).expect("our own").samples.len(), 800);
        let bytes = ogg::tests::prompt(1, 500);
        assert_eq!(read(&bytes).expect("our own").samples.len(), 4_000);
        for (bytes, complaint) in [
            (&b""[..], "begins with []"),
            (b"ID3", "begins with [49, 44, 33]"),
            (b"RIFF", "expected a RIFF/WAVE header"),
            (b"OggS", "Ogg"),
        ] {
            let refusal = read(bytes).expect_err("no recording").to_string();
            assert!(refusal.contains(complaint), "{refusal}");
        }
    }
}
