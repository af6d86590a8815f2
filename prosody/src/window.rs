//! The sliding window of frames that the emotion model looks at: 3 s, moved on every 0.5 s.

use crate::frame::Frame;
use crate::functionals::{FUNCTIONALS, functionals};

/// Frames of a full window (3 s).
pub const WINDOW_FRAMES: usize = 300;
/// Frames between two windows (0.5 s).
pub const WINDOW_STEP: usize = 50;
/// Frames before the first, shorter window is given (1 s).
const FIRST: usize = 100;

/// Collects frames and computes their functionals twice a second. Holds at most 6 s of frames (90 KiB).
pub struct Window {
    /// Every frame stands here twice, `WINDOW_FRAMES` apart, so that the last ones are always one slice.
    frames: Vec<Frame>,
    speech: Vec<bool>,
    taken: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// An empty window.
    pub fn new() -> Self {
        Self { frames: vec![Frame::silent(0); 2 * WINDOW_FRAMES], speech: vec![false; 2 * WINDOW_FRAMES], taken: 0 }
    }

    /// Takes the next frame; every 0.5 s from the first full second on, the functionals of the last 3 s.
    pub fn push(&mut self, frame: &Frame, speech: bool) -> Option<[f32; FUNCTIONALS]> {
        let at = self.taken % WINDOW_FRAMES;
        for place in [at, at + WINDOW_FRAMES] {
            self.frames[place] = *frame;
            self.speech[place] = speech;
        }
        self.taken += 1;
        let due = self.taken >= FIRST && self.taken.is_multiple_of(WINDOW_STEP);
        due.then(|| functionals(self.frames(), self.speech()))
    }

    /// The frames in the window, oldest first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames[self.range()]
    }

    /// Which of [`Window::frames`] are speech.
    pub fn speech(&self) -> &[bool] {
        &self.speech[self.range()]
    }

    fn range(&self) -> std::ops::Range<usize> {
        if self.taken < WINDOW_FRAMES {
            return 0..self.taken;
        }
        let start = self.taken % WINDOW_FRAMES;
        start..start + WINDOW_FRAMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_every_half_second_after_the_first() {
        let mut window = Window::new();
        let given: Vec<usize> = (1..=250).filter(|i| window.push(&Frame::silent(*i as u64), true).is_some()).collect();
        assert_eq!(given, [100, 150, 200, 250]);
    }

    #[test]
    fn holds_the_last_frames_in_order() {
        let mut window = Window::new();
        for i in 0..1_234 {
            window.push(&Frame::silent(i), i % 2 == 0);
            let expected: Vec<u64> = ((i + 1).saturating_sub(WINDOW_FRAMES as u64)..=i).collect();
            assert_eq!(window.frames().iter().map(|frame| frame.position).collect::<Vec<_>>(), expected);
            assert!(window.speech().iter().zip(&expected).all(|(speech, i)| *speech == (i % 2 == 0)));
        }
    }
}
