//! What a voice sounds like, beside the numbers about it: the spectrum of its last seconds through the first layers of the encoder
//! of a speech recogniser (Whisper, Radford et al. 2022), which was left as it is, and a perceptron on what comes out.
//!
//! The way of a sample: [`Meter`] makes steps of half a second of it, [`Encoder`] encodes those that hold speech, in one run for all
//! parties, [`Memory`] keeps the last seconds of one party and what is usual for it, and [`SoundModel`] judges that.

mod encoder;
mod memory;
mod meter;
mod model;

pub use self::encoder::{Encoder, SoundRow};
pub use self::memory::{Memories, Memory, SOUND_FEATURES, sound_names};
pub(crate) use self::meter::Meter;
pub use self::meter::SoundStep;
pub use self::model::SoundModel;

/// Log-mel energies of a hop: those of Whisper's 80 that a telephone has.
const ENERGIES: usize = 61;
/// Hops of a step: 0.5 s, as often as a window is judged.
const STEP_HOPS: usize = 50;
/// Hops before a step that the encoder hears with it: 0.5 s.
const CONTEXT_HOPS: usize = 50;
/// Frames that the encoder makes of a step; each is of two hops.
const FRAMES: usize = STEP_HOPS / 2;
/// Steps in the window that is judged: 3 s.
const STEPS: usize = crate::window::WINDOW_HOPS / STEP_HOPS;
/// Values of one of the encoder's frames.
const WIDTH: usize = 512;
/// What is known of an encoded step: the sum of its frames, that of their squares, and how many there are.
const SUMS: usize = 2 * WIDTH + 1;
