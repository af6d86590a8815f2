//! Whether the calls of a queue, a product or a region have turned sour: a change-point test over calls.
//!
//! Robust: it looks at the order of the calls' values, not at their size (Pettitt 1979), and names the change only when the
//! medians differ enough to matter. One awful call, or one hour with few calls, is no change.

use std::collections::VecDeque;

/// Calls that are compared at most; older ones are left out.
pub const CALLS_MAX: usize = 300;
/// Calls that there must be on each side of a change.
pub const SIDE_LEAST: usize = 10;
/// The chance at which a change is believed. Small, for every call that ends is a look.
pub const CHANCE_MOST: f64 = 0.000_1;

/// A queue has turned: better or worse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The place of the first call after the change.
    pub at: usize,
    /// The median before.
    pub before: f64,
    /// The median from then on.
    pub after: f64,
    /// How likely so much order comes by chance, 0-1.
    pub chance: f64,
}

/// The calls of one queue, as they end.
#[derive(Debug, Default)]
pub struct Queue {
    /// One value per call, oldest first, at most [`CALLS_MAX`].
    values: VecDeque<f64>,
}

impl Queue {
    /// Takes in the value of a call that has ended; a change, the first time that it is seen. `least` as for [`change`].
    pub fn note(&mut self, value: f64, least: f64) -> Option<Change> {
        if self.values.len() == CALLS_MAX {
            self.values.pop_front();
        }
        self.values.push_back(value);
        let found = change(self.values.make_contiguous(), least)?;
        // Only the newest go on: with what was before, the change would be seen again with every call.
        self.values.drain(..self.values.len() - SIDE_LEAST);
        Some(found)
    }
}

/// The change in `values`, one per call, in the order in which the calls ended; the newest [`CALLS_MAX`] count.
///
/// `least` is how far the medians must be apart, in the unit of the values. `None` without a change worth the name.
pub fn change(values: &[f64], least: f64) -> Option<Change> {
    let skipped = values.len().saturating_sub(CALLS_MAX);
    let values: Vec<f64> = values[skipped..].iter().copied().filter(|value| value.is_finite()).collect();
    let n = values.len();
    if n < 2 * SIDE_LEAST {
        return None;
    }
    // The sum over all pairs across the place of the sign of their difference, from place to place.
    let mut sums = Vec::with_capacity(n);
    let mut sum = 0i64;
    for (at, value) in values.iter().enumerate() {
        let sign = |other: &f64| (*value > *other) as i64 - (*value < *other) as i64;
        sum -= values.iter().map(sign).sum::<i64>();
        sums.push((at + 1, sum));
    }
    let inside = SIDE_LEAST..=n - SIDE_LEAST;
    let (at, strongest) = sums.into_iter().filter(|(at, _)| inside.contains(at)).max_by_key(|(_, sum)| sum.abs())?;
    let (k, count) = (strongest.abs() as f64, n as f64);
    let chance = (2.0 * (-6.0 * k * k / (count.powi(3) + count.powi(2))).exp()).min(1.0);
    let (before, after) = (median(&values[..at]), median(&values[at..]));
    let found = Change { at: at + skipped, before, after, chance };
    (chance <= CHANCE_MOST && (after - before).abs() >= least).then_some(found)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_turns_sour_is_found() {
        let values: Vec<f64> = (0..200).map(|n| noise(n) * 0.2 + if n < 120 { 0.1 } else { 0.35 }).collect();
        let change = change(&values, 0.1).expect("a change");
        assert!(change.at.abs_diff(120) <= 3, "{change:?}");
        assert!(change.before < 0.25 && change.after > 0.35, "{change:?}");
    }

    #[test]
    fn a_steady_queue_is_left_alone() {
        let false_alarms = (0..200).filter(|run| {
            let values: Vec<f64> = (0..100).map(|n| noise(run * 1_000 + n)).collect();
            change(&values, 0.05).is_some()
        });
        assert!(false_alarms.count() <= 1);
    }

    #[test]
    fn one_awful_call_is_no_change() {
        let mut values: Vec<f64> = (0..60).map(|n| noise(n) * 0.1).collect();
        values[40] = 1e9;
        values[50] = f64::INFINITY;
        assert_eq!(change(&values, 0.01), None);
        assert_eq!(change(&values[..5], 0.01), None);
        assert_eq!(change(&[], 0.01), None);
    }

    #[test]
    fn a_difference_that_does_not_matter_is_none() {
        let values: Vec<f64> = (0..200).map(|n| if n < 100 { 0.10 } else { 0.11 }).collect();
        assert_eq!(change(&values, 0.1), None);
        assert!(change(&values, 0.005).is_some());
    }

    #[test]
    fn a_queue_tells_each_change_once_and_seldom_one_that_is_none() {
        let mut queue = Queue::default();
        let level = |n: u64| if (100..220).contains(&n) { 0.6 } else { 0.2 };
        let told = (0..400).filter_map(|n| Some((n, queue.note(level(n) + noise(n) * 0.2, 0.1)?)));
        let told: Vec<(u64, bool)> = told.map(|(n, change)| (n, change.after > change.before)).collect();
        assert_eq!(told.iter().map(|(_, sour)| *sour).collect::<Vec<_>>(), [true, false], "{told:?}");
        assert!((100..160).contains(&told[0].0) && (220..300).contains(&told[1].0), "{told:?}");

        let steady = |run: u64| {
            let mut queue = Queue::default();
            (0..600).filter(|n| queue.note(noise(run * 10_000 + n), 0.1).is_some()).count()
        };
        // 30,000 calls in which nothing changes.
        let false_alarms: usize = (0..50).map(steady).sum();
        assert!(false_alarms <= 5, "{false_alarms}");
    }

    /// A number from 0 to 1, the same for the same `n`.
    fn noise(n: u64) -> f64 {
        let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}
