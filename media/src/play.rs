//! A sound that plays to one leg, frame by frame.
//!
//! Knows samples and frames; packets, codecs, and what happens to the other side meanwhile, are the voice's.

use std::sync::Arc;

use crate::{PlayMode, PromptId, Sound};

/// One playing of a sound.
#[derive(Debug)]
pub struct Player {
    /// What call control calls it; `None` for one that plays to somebody else.
    prompt: Option<PromptId>,
    sound: Arc<Sound>,
    mode: PlayMode,
    repeats: bool,
    key_ends: bool,
    position: usize,
    /// The first packet has left.
    started: bool,
    /// A frame could not be sent.
    missed: bool,
    /// It plays to somebody else, and ends when it ends there.
    overheard: bool,
}

/// What is to be played, and how.
#[derive(Debug, Clone)]
pub struct Playing {
    /// What call control calls it.
    pub prompt: PromptId,
    /// What is heard.
    pub sound: Arc<Sound>,
    /// What happens to the other side meanwhile.
    pub mode: PlayMode,
    /// It begins again at its end.
    pub repeats: bool,
    /// A key that the hearer presses ends it.
    pub key_ends: bool,
}

impl Player {
    /// A sound at its beginning.
    pub fn new(playing: Playing) -> Self {
        let Playing { prompt, sound, mode, repeats, key_ends } = playing;
        // An empty sound would repeat for ever without an end.
        let repeats = repeats && !sound.samples.is_empty();
        let prompt = Some(prompt);
        Self { prompt, sound, mode, repeats, key_ends, position: 0, started: false, missed: false, overheard: false }
    }

    /// The same from here on for somebody who hears it beside everything else.
    pub fn overheard(&self) -> Self {
        let (sound, mode) = (Arc::clone(&self.sound), PlayMode::Duck { attenuation_db: 0 });
        let Self { repeats, position, .. } = *self;
        let started = true;
        Self { prompt: None, sound, mode, repeats, key_ends: false, position, started, missed: false, overheard: true }
    }

    /// True when it plays to somebody else.
    pub fn is_overheard(&self) -> bool {
        self.overheard
    }

    /// True when both play the same sound at about the same place.
    pub fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sound, &other.sound) && self.position.abs_diff(other.position) <= BESIDE_SAMPLES_MAX
    }

    /// The name of this playing, if it has one.
    pub fn prompt(&self) -> Option<PromptId> {
        self.prompt
    }

    /// What happens to the other side meanwhile.
    pub fn mode(&self) -> PlayMode {
        self.mode
    }

    /// Whether nobody hears it but the hearer.
    pub fn is_aside(&self) -> bool {
        self.mode == PlayMode::Aside
    }

    /// Whether a key that the hearer presses ends it.
    pub fn key_ends(&self) -> bool {
        self.key_ends
    }

    /// True when every sample was taken.
    pub fn is_over(&self) -> bool {
        self.position >= self.sound.samples.len()
    }

    /// True when the whole sound was sent.
    pub fn is_complete(&self) -> bool {
        self.is_over() && !self.missed
    }

    /// Writes the next samples at 8 kHz, padded with silence at the end.
    pub fn next_frame(&mut self, frame: &mut [i16]) {
        let mut filled = 0;
        while filled < frame.len() {
            let left = &self.sound.samples[self.position..];
            let taken = left.len().min(frame.len() - filled);
            frame[filled..filled + taken].copy_from_slice(&left[..taken]);
            self.position += taken;
            filled += taken;
            if !self.repeats && taken == 0 {
                frame[filled..].fill(0);
                return;
            }
            if self.repeats && self.is_over() {
                self.position = 0;
            }
        }
    }

    /// Remembers that a frame was sent; true for the first one.
    pub fn sent(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    /// Remembers that a frame could not be sent.
    pub fn missed(&mut self) {
        self.missed = true;
    }
}

/// Two legs are fed at different times of the same tick, or one packet apart: 60 ms.
const BESIDE_SAMPLES_MAX: usize = 480;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_in_silence() {
        let mut player = player(200, false);
        let mut frame = [9; 160];
        player.next_frame(&mut frame);
        assert_eq!((frame[0], frame[159], player.is_over()), (0, 159, false));
        player.next_frame(&mut frame);
        assert_eq!((frame[39], frame[40], player.is_over()), (199, 0, true));
    }

    #[test]
    fn music_begins_again_without_a_gap() {
        let mut player = player(100, true);
        let mut frame = [9; 160];
        player.next_frame(&mut frame);
        player.next_frame(&mut frame);
        // 160 samples on: the sixtieth of the second round follows.
        assert_eq!((frame[0], frame[39], frame[40], player.is_over()), (60, 99, 0, false));
    }

    #[test]
    fn who_overhears_goes_on_from_there() {
        let mut player = player(1_000, false);
        let mut frame = [9; 160];
        player.next_frame(&mut frame);
        let mut beside = player.overheard();
        assert!(beside.is_overheard() && beside.is_beside(&player) && !player.is_overheard());
        beside.next_frame(&mut frame);
        assert_eq!((frame[0], beside.prompt(), beside.sent()), (160, None, false));
        for _ in 0..4 {
            assert!(beside.is_beside(&player));
            player.next_frame(&mut frame);
        }
        player.next_frame(&mut frame);
        assert!(!beside.is_beside(&player), "too far behind");
        assert!(!beside.is_beside(&super::tests::player(1_000, false)), "another sound");
    }

    #[test]
    fn an_empty_sound_is_over_at_once() {
        assert!(player(0, true).is_over());
    }

    fn player(samples: i16, repeats: bool) -> Player {
        let sound = Arc::new(Sound { samples: (0..samples).collect() });
        Player::new(Playing { prompt: PromptId(1), sound, mode: PlayMode::Replace, repeats, key_ends: false })
    }
}
