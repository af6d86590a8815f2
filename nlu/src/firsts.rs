//! What is usual for a speaker: the mean of the first windows.

/// Windows that tell what is usual for the speaker: those of the first 12 s or so. Later ones might be angry.
const WINDOWS: u32 = 24;

/// The mean of the first windows of a speaker, of `N` values each.
#[derive(Debug)]
pub(crate) struct Firsts<const N: usize> {
    mean: Box<[f32; N]>,
    windows: u32,
}

impl<const N: usize> Default for Firsts<N> {
    fn default() -> Self {
        Self { mean: Box::new([0.0; N]), windows: 0 }
    }
}

impl<const N: usize> Firsts<N> {
    /// The mean; zeros of none.
    pub(crate) fn mean(&self) -> &[f32; N] {
        &self.mean
    }

    /// How many of the windows that tell it there were, 0-1.
    pub(crate) fn known(&self) -> f32 {
        self.windows as f32 / WINDOWS as f32
    }

    /// Takes a window; no more than the first ones count.
    pub(crate) fn push(&mut self, values: &[f32; N]) {
        if self.windows == WINDOWS {
            return;
        }
        self.windows += 1;
        for (mean, value) in self.mean.iter_mut().zip(values) {
            *mean += (value - *mean) / self.windows as f32;
        }
    }
}
