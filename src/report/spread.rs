//! How times are spread: counts by size, each size 5 % above the one before, so that days add up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// From one size to the next.
const STEP: f64 = 1.05;

/// Counts of times by their size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, u64>)]
pub struct Spread(BTreeMap<u16, u64>);

impl Spread {
    /// Adds a time, milliseconds.
    pub fn add(&mut self, ms: u64) {
        // 5 % of an hour are 3 minutes; of 1 ms nothing that anybody sees.
        let size = ((ms + 1) as f64).ln() / STEP.ln();
        *self.0.entry(size as u16).or_default() += 1;
    }

    /// Adds those of another one.
    pub fn merge(&mut self, other: &Spread) {
        for (size, count) in &other.0 {
            *self.0.entry(*size).or_default() += count;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The time, milliseconds, that this share (0-1) of them does not exceed by more than 5 %; nothing without any.
    pub fn at(&self, share: f64) -> Option<u64> {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.0.iter().find_map(|(size, count)| {
            seen += count;
            (seen >= wanted).then(|| (STEP.powi(i32::from(*size) + 1) - 1.0) as u64)
        })
    }
}
