//! What a party sounded like in the last seconds, and what is usual for it.

use std::collections::VecDeque;

use super::{STEPS, SUMS, SoundStep, WIDTH};
use crate::features::HOP;
use crate::firsts::Firsts;
use crate::window::WINDOW_HOPS;

/// Mean and deviation of the encoder's frames in a window.
const VALUES: usize = 2 * WIDTH;
/// Values of one row: the window's, what they were over the speaker's first windows, and how well these are known.
pub const SOUND_FEATURES: usize = 2 * VALUES + 1;

/// The names of a row's values, in order.
pub fn sound_names() -> Vec<String> {
    let values =
        || ["mean", "deviation"].iter().flat_map(|told| (0..WIDTH).map(move |at| format!("encoder_{told}_{at:03}")));
    values().chain(values().map(|name| format!("usual_{name}"))).chain(["usual_known".to_owned()]).collect()
}

/// The encoded steps of a party's window. Holds about 30 KiB; nothing grows.
#[derive(Debug, Default)]
pub struct Memory {
    /// End of each, and its sums.
    steps: VecDeque<(u64, Box<[f32; SUMS]>)>,
    usual: Firsts<VALUES>,
}

/// The memories of some parties, by `T`.
pub trait Memories<T> {
    /// That of one party; `None` when it is gone.
    fn of(&mut self, whose: &T) -> Option<&mut Memory>;
}

/// Of one party alone.
impl Memories<()> for Memory {
    fn of(&mut self, (): &()) -> Option<&mut Memory> {
        Some(self)
    }
}

impl Memory {
    /// Takes the next step, as it was encoded.
    pub(super) fn take(&mut self, step: &SoundStep, sums: &[f32; SUMS]) {
        if step.begins {
            self.steps.clear();
        }
        // What is usual for the speaker would never be a number again.
        if !sums.iter().all(|sum| sum.is_finite()) {
            return;
        }
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back((step.end, Box::new(*sums)));
    }

    /// The row of the window that ends at `position`; `None` when nothing of it was encoded.
    pub(super) fn row(&mut self, position: u64) -> Option<Box<[f32; SOUND_FEATURES]>> {
        let first = position.saturating_sub((WINDOW_HOPS * HOP) as u64);
        while self.steps.pop_front_if(|(end, _)| *end <= first).is_some() {}
        let mut sums = [0.0; SUMS];
        for (_, step) in &self.steps {
            sums.iter_mut().zip(step.iter()).for_each(|(sum, value)| *sum += value);
        }
        let frames = sums[SUMS - 1];
        if frames < 1.0 {
            return None;
        }
        let mut row = Box::new([0.0; SOUND_FEATURES]);
        for at in 0..WIDTH {
            let mean = sums[at] / frames;
            row[at] = mean;
            row[WIDTH + at] = (sums[WIDTH + at] / frames - mean * mean).max(0.0).sqrt();
        }
        row[VALUES..2 * VALUES].copy_from_slice(self.usual.mean());
        row[2 * VALUES] = self.usual.known();
        self.usual.push(row.first_chunk().expect("it is longer"));
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> = sound_names().into_iter().collect();
        assert_eq!(names.len(), SOUND_FEATURES);
    }

    #[test]
    fn a_window_is_its_steps_and_what_was_lost_ends_it() {
        let mut memory = Memory::default();
        assert_eq!(memory.row(24_000), None);
        memory.take(&step(8_000, true), &sums(2.0, 10.0));
        memory.take(&step(16_000, false), &sums(4.0, 30.0));
        let row = memory.row(16_000).expect("there are two");
        assert!((row[0] - 3.5).abs() < 1e-6 && (row[WIDTH] - 0.866).abs() < 1e-3, "{} {}", row[0], row[WIDTH]);
        assert_eq!((row[VALUES], row[2 * VALUES]), (0.0, 0.0), "nothing was usual before");
        let row = memory.row(36_000).expect("the second one counts up to here");
        assert_eq!((row[0], row[WIDTH]), (4.0, 0.0));
        assert!((row[VALUES] - 3.5).abs() < 1e-6 && row[2 * VALUES] > 0.0);
        memory.take(&step(48_000, true), &sums(1.0, 5.0));
        assert_eq!(memory.row(48_000).expect("one")[0], 1.0);
        assert_eq!(memory.row(72_000), None);
        memory.take(&step(80_000, false), &sums(f32::NAN, 5.0));
        assert_eq!(memory.row(80_000), None);
    }

    fn step(end: u64, begins: bool) -> SoundStep {
        SoundStep { end, begins, energies: Vec::new(), speech: [1.0; super::super::FRAMES] }
    }

    /// So many frames that are all this `value`.
    fn sums(value: f32, frames: f32) -> [f32; SUMS] {
        std::array::from_fn(|at| match at {
            at if at < WIDTH => frames * value,
            at if at < 2 * WIDTH => frames * value * value,
            _ => frames,
        })
    }
}
