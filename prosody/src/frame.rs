//! What is known about one 10 ms hop of speech.

/// The sample rate everything here works at, Hz.
pub const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples per hop: 10 ms.
pub const HOP: usize = 80;
/// Mel bands per frame.
pub const MEL_BANDS: usize = 24;

/// The descriptors of one 10 ms hop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Position of the hop's first sample in the stream.
    pub position: u64,
    /// Level of the 25 ms around the hop, dB relative to full scale (0 dBov = a full-scale square wave; RFC 6465).
    pub level_dbov: f32,
    /// Fundamental frequency, Hz, 60-600; `None` where unvoiced.
    pub pitch_hz: Option<f32>,
    /// Probability that the hop is voiced, 0-1.
    pub voicing: f32,
    /// Natural logarithms of the mel band energies, 100-3800 Hz.
    pub log_mel: [f32; MEL_BANDS],
    /// Energy of 1-3.4 kHz over energy of 0.2-1 kHz, dB: pressed, loud voices have more of it (alpha ratio).
    pub tilt_db: f32,
    /// True when a syllable nucleus peaks in this hop (de Jong & Wempe 2009).
    pub syllable: bool,
}
