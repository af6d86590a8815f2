//! Turning points of a contour: how many peaks, how steep the ways up and down between them.

use std::collections::VecDeque;

use super::HOPS_PER_S;

/// A turn smaller than this share of the contour's range is none.
const TURN_SHARE: f32 = 0.1;

/// Mean and deviation of slopes, units per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Slopes {
    pub(super) mean: f32,
    pub(super) deviation: f32,
}

/// A value higher, or lower, than both its neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Extreme {
    at: u64,
    value: f32,
    is_peak: bool,
}

/// The contour of a window and the extremes in it, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Peaks {
    values: VecDeque<f32>,
    /// Number of the oldest value since the start.
    first: u64,
    extremes: VecDeque<Extreme>,
}

impl Peaks {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            values: VecDeque::with_capacity(capacity),
            first: 0,
            extremes: VecDeque::with_capacity(capacity / 2 + 1),
        }
    }

    pub(super) fn push(&mut self, value: f32) {
        self.values.push_back(value);
        let Some(middle) = self.values.len().checked_sub(2).filter(|middle| *middle > 0) else { return };
        let [before, here] = [self.values[middle - 1], self.values[middle]];
        let (is_peak, is_valley) = (here > before && here > value, here < before && here < value);
        if is_peak || is_valley {
            self.extremes.push_back(Extreme { at: self.first + middle as u64, value: here, is_peak });
        }
    }

    /// The oldest value goes; the one after it has lost a neighbour and is no extreme any more.
    pub(super) fn pop(&mut self) {
        self.values.pop_front();
        self.first += 1;
        if self.extremes.front().is_some_and(|extreme| extreme.at <= self.first) {
            self.extremes.pop_front();
        }
    }

    /// Peaks among the turns of a contour with this range.
    pub(super) fn count(&self, range: f32) -> usize {
        let mut count = 0;
        self.turns(range, |_, turn| count += usize::from(turn.is_peak));
        count
    }

    /// Rising and falling.
    pub(super) fn slopes(&self, range: f32) -> [Slopes; 2] {
        // Per direction: number, sum and sum of squares.
        let mut sums = [[0.0f64; 3]; 2];
        self.turns(range, |before, turn| {
            let Some(before) = before else { return };
            let slope = f64::from((turn.value - before.value).abs() * HOPS_PER_S / (turn.at - before.at) as f32);
            let [count, sum, squares] = &mut sums[usize::from(!turn.is_peak)];
            *count += 1.0;
            *sum += slope;
            *squares += slope * slope;
        });
        sums.map(|[count, sum, squares]| {
            let count = count.max(1.0);
            let mean = sum / count;
            Slopes { mean: mean as f32, deviation: (squares / count - mean * mean).max(0.0).sqrt() as f32 }
        })
    }

    /// Calls `each` with every turn and the one before: peaks and valleys in alternation, far enough from each other.
    fn turns(&self, range: f32, mut each: impl FnMut(Option<&Extreme>, &Extreme)) {
        let least = TURN_SHARE * range;
        let mut last: Option<Extreme> = None;
        let mut before: Option<Extreme> = None;
        for extreme in &self.extremes {
            let Some(open) = &mut last else {
                last = Some(*extreme);
                continue;
            };
            let further = if open.is_peak { extreme.value > open.value } else { extreme.value < open.value };
            if extreme.is_peak == open.is_peak {
                if further {
                    *open = *extreme;
                }
            } else if (extreme.value - open.value).abs() >= least {
                each(before.as_ref(), open);
                before = Some(*open);
                last = Some(*extreme);
            }
        }
        if let Some(open) = &last {
            each(before.as_ref(), open);
        }
    }
}
