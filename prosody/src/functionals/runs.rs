//! Stretches with and without voice: how many, how long.

use std::collections::VecDeque;

use super::HOPS_PER_S;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    voiced: bool,
    hops: u32,
}

/// The stretches of a window, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Runs(VecDeque<Run>);

impl Runs {
    pub(super) fn new(capacity: usize) -> Self {
        Self(VecDeque::with_capacity(capacity))
    }

    pub(super) fn push(&mut self, voiced: bool) {
        match self.0.back_mut().filter(|run| run.voiced == voiced) {
            Some(run) => run.hops += 1,
            None => self.0.push_back(Run { voiced, hops: 1 }),
        }
    }

    pub(super) fn pop(&mut self) {
        if let Some(run) = self.0.front_mut() {
            run.hops -= 1;
            if run.hops == 0 {
                self.0.pop_front();
            }
        }
    }

    /// Voiced stretches per second; mean length of voiced ones and its deviation, the same of the others, seconds.
    pub(super) fn describe(&self, seconds: f32) -> [f32; 5] {
        let [voiced, unvoiced] = [true, false].map(|wanted| {
            let mut sums = [0u64; 3];
            for run in self.0.iter().filter(|run| run.voiced == wanted) {
                sums[0] += 1;
                sums[1] += u64::from(run.hops);
                sums[2] += u64::from(run.hops) * u64::from(run.hops);
            }
            let count = sums[0].max(1) as f32;
            let mean = sums[1] as f32 / count;
            let variance = (sums[2] as f32 / count - mean * mean).max(0.0);
            (sums[0] as f32, mean / HOPS_PER_S, variance.sqrt() / HOPS_PER_S)
        });
        [voiced.0 / seconds, voiced.1, voiced.2, unvoiced.1, unvoiced.2]
    }
}
