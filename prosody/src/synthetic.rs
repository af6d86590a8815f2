//! Voices whose pitch, periods and voicing are known exactly, noises to put under them and the lines they pass.
//!
//! Input of tests, benchmarks and `calmline eval pitch`; not a speech synthesiser. One seed makes one signal, on every
//! machine the same up to the rounding of `sin` and `exp`.

mod formants;
mod line;
mod plan;
mod random;
mod voice;

pub use line::{add_at_snr, babble, half_rate, telephone_band, white};
pub use plan::{Kind, Plan};
pub use random::Random;
pub use voice::{Period, Voice};

/// Samples per second of [`Voice::samples`] and of everything here that does not say otherwise.
pub const RATE_HZ: u32 = 16_000;
