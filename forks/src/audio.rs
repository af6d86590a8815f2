//! Audio as forks carry it: linear samples or G.711, at 8 or 16 kHz.

use media::Codec;
use media::g711::{self, Law};

/// How many samples a second has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// 8,000.
    Narrow,
    /// 16,000.
    Wide,
}

/// How a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Two octets, the lower one first.
    L16,
    /// G.711 μ-law.
    Mulaw,
    /// G.711 A-law.
    Alaw,
}

/// Audio of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// How a sample is written.
    pub encoding: Encoding,
    /// How many there are.
    pub rate: Rate,
}

/// Audio that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// At another rate.
    #[error("audio at {found} Hz, expected 8000 or 16000")]
    Rate {
        /// What was named.
        found: String,
    },
    /// In another encoding.
    #[error("audio as {found}, expected {expected}")]
    Encoding {
        /// What was named, shortened.
        found: String,
        /// What is taken here.
        expected: &'static str,
    },
}

impl Rate {
    /// The rate of that many samples a second.
    ///
    /// # Errors
    /// When it is another one.
    pub fn of(hz: u64) -> Result<Rate, FormatError> {
        match hz {
            8_000 => Ok(Rate::Narrow),
            16_000 => Ok(Rate::Wide),
            _ => Err(FormatError::Rate { found: hz.to_string() }),
        }
    }

    /// Samples per second.
    pub const fn hz(self) -> u32 {
        match self {
            Rate::Narrow => 8_000,
            Rate::Wide => 16_000,
        }
    }

    /// Samples of 20 ms.
    pub const fn frame(self) -> usize {
        (self.hz() / 50) as usize
    }

    /// The codec that carries such samples over RTP.
    pub const fn codec(self) -> Codec {
        match self {
            Rate::Narrow => Codec::L16Narrow,
            Rate::Wide => Codec::L16Wide,
        }
    }
}

impl Format {
    /// Octets of one sample.
    pub const fn sample_bytes(self) -> usize {
        match self.encoding {
            Encoding::L16 => 2,
            Encoding::Mulaw | Encoding::Alaw => 1,
        }
    }

    /// Appends the samples that `bytes` stand for; half a sample at the end is left out.
    pub fn decode(self, bytes: &[u8], samples: &mut Vec<i16>) {
        match self.encoding {
            Encoding::L16 => {
                let (whole, _) = bytes.as_chunks::<2>();
                samples.extend(whole.iter().map(|&octets| i16::from_le_bytes(octets)));
            }
            Encoding::Mulaw => g711::decode(Law::Mu, bytes, samples),
            Encoding::Alaw => g711::decode(Law::A, bytes, samples),
        }
    }

    /// Appends the octets that stand for `samples`.
    pub fn encode(self, samples: &[i16], bytes: &mut Vec<u8>) {
        match self.encoding {
            Encoding::L16 => bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            Encoding::Mulaw => g711::encode(Law::Mu, samples, bytes),
            Encoding::Alaw => g711::encode(Law::A, samples, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (encoding, bytes) in [(Encoding::L16, 2), (Encoding::Mulaw, 1), (Encoding::Alaw, 1)] {
            let format = Format { encoding, rate: Rate::Narrow };
            let samples = [0, 8, -8, 1_000, -1_000, i16::MAX, i16::MIN];
            let (mut wire, mut back) = (Vec::new(), Vec::new());
            format.encode(&samples, &mut wire);
            assert_eq!((wire.len(), format.sample_bytes()), (samples.len() * bytes, bytes));
            format.decode(&wire, &mut back);
            let near = samples
                .iter()
                .zip(&back)
                .all(|(&a, &b)| (i32::from(a) - i32::from(b)).abs() <= 16 + i32::from(a).abs() / 16);
            assert!(near && back.len() == samples.len(), "{back:?}");
        }
    }

    #[test]
    fn half_a_sample_is_none() {
        let mut samples = Vec::new();
        Format { encoding: Encoding::L16, rate: Rate::Wide }.decode(&[1, 2, 3], &mut samples);
        assert_eq!(samples, [0x0201]);
    }

    #[test]
    fn rates() {
        assert_eq!((Rate::of(8_000), Rate::of(16_000)), (Ok(Rate::Narrow), Ok(Rate::Wide)));
        assert_eq!(Rate::of(44_100).expect_err("no").to_string(), "audio at 44100 Hz, expected 8000 or 16000");
        assert_eq!((Rate::Narrow.frame(), Rate::Wide.frame()), (160, 320));
    }
}
