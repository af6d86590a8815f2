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
    /// True in the hop that confirms a syllable nucleus: the level has fallen 2 dB since a voiced peak
    /// (de Jong & Wempe 2009). Each nucleus is told once.
    pub syllable: bool,
}

impl Frame {
    /// The frame of digital silence at `position`.
    pub fn silent(position: u64) -> Self {
        Self {
            position,
            level_dbov: LEVEL_DBOV_MIN,
            pitch_hz: None,
            voicing: 0.0,
            log_mel: [MEL_ENERGY_MIN.ln(); MEL_BANDS],
            tilt_db: 0.0,
            syllable: false,
        }
    }
}

/// The lowest level told, dBov (RFC 6465 stops there too).
pub(crate) const LEVEL_DBOV_MIN: f32 = -127.0;
/// Added to every mel band energy: −90 dB re full scale, under the quantisation noise of G.711.
pub(crate) const MEL_ENERGY_MIN: f32 = 1e-9;
