//! The rates at which speech comes in.

/// Samples per second of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleRate {
    /// The telephone's.
    Hz8000,
    /// Wide-band speech.
    Hz16000,
}

impl SampleRate {
    /// Samples per second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
        }
    }

    /// Samples per hop of 10 ms.
    pub const fn hop(self) -> usize {
        self.hz() as usize / 100
    }
}
