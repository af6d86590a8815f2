//! What a telephone says: samples, once or again and again, packets that carry their send time, or what it hears.
//!
//! Knows nothing of codecs; `voice` makes packets of it.

use std::f32::consts::TAU;
use std::sync::Arc;

use media::g711;

use crate::clip::Clip;

/// What is said.
#[derive(Debug, Clone)]
pub enum Audio {
    /// Digital silence.
    Silence,
    /// Once from the beginning of the call, then silence. 8 kHz.
    Once(Arc<[i16]>),
    /// Again and again. 8 kHz.
    Loop(Arc<[i16]>),
    /// Again and again, encoded once for all telephones that say it.
    Clip(Arc<Clip>),
    /// Noise in which every packet carries the time it was sent; not for ears, and lost in any transcoding.
    Stamped,
    /// Every packet that is heard, at once and as it is.
    Echo,
}

impl Audio {
    /// A sine of `hz` at the given peak (0-1), looped without a click.
    pub fn tone(hz: u16, peak: f32) -> Self {
        let wave = |n: u32| peak * (TAU * f32::from(hz) * n as f32 / 8_000.0).sin();
        Audio::Loop((0..8_000).map(|n| g711::to_i16(wave(n))).collect())
    }

    /// A recording, once.
    pub fn once(samples: impl Into<Arc<[i16]>>) -> Self {
        Audio::Once(samples.into())
    }

    /// A recording, looped.
    pub fn looped(samples: impl Into<Arc<[i16]>>) -> Self {
        Audio::Loop(samples.into())
    }

    /// True for what is heard again; such a telephone listens for its clicks.
    pub(crate) fn has_clicks(&self) -> bool {
        matches!(self, Audio::Clip(clip) if clip.has_clicks())
    }
}
