//! The newest samples of the stream, found again by their positions.

/// A bounded stretch of samples; what was before the stream is silence.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    samples: Vec<f32>,
    /// Position after the newest sample.
    end: i64,
}

impl Recent {
    pub(crate) fn new(length: usize) -> Self {
        Self { samples: vec![0.0; length], end: 0 }
    }

    pub(crate) fn push(&mut self, hop: &[f32]) {
        let keep = self.samples.len() - hop.len();
        self.samples.copy_within(hop.len().., 0);
        self.samples[keep..].copy_from_slice(hop);
        self.end += hop.len() as i64;
    }

    /// `length` samples from `position` on; both ends must be within what is kept.
    pub(crate) fn window(&self, position: i64, length: usize) -> &[f32] {
        let from = (position - self.end + self.samples.len() as i64) as usize;
        &self.samples[from..from + length]
    }

    /// Forgets everything and starts again at position 0.
    pub(crate) fn restart(&mut self) {
        self.samples.fill(0.0);
        self.end = 0;
    }
}
