//! Sums and orders that values can be taken out of again without a trace.

/// A value is kept in these parts of its unit.
const PARTS: f32 = (1u32 << 22) as f32;
/// Values beyond are cut: no descriptor comes near.
const VALUE_MAX: f32 = 1e6;

/// A sum of one kind of value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum(i64);

impl Sum {
    pub(super) fn add(&mut self, value: f32) {
        self.0 += parts(value);
    }

    pub(super) fn take(&mut self, value: f32) {
        self.0 -= parts(value);
    }

    pub(super) fn value(&self) -> f32 {
        (self.0 as f64 / f64::from(PARTS)) as f32
    }
}

/// How many values, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    count: i64,
    sum: i64,
    squares: i128,
}

impl Sums {
    pub(super) fn add(&mut self, value: f32) {
        let parts = parts(value);
        self.count += 1;
        self.sum += parts;
        self.squares += i128::from(parts) * i128::from(parts);
    }

    pub(super) fn take(&mut self, value: f32) {
        let parts = parts(value);
        self.count -= 1;
        self.sum -= parts;
        self.squares -= i128::from(parts) * i128::from(parts);
    }

    /// 0 without values.
    pub(super) fn mean(&self) -> f32 {
        if self.count == 0 { 0.0 } else { (self.sum as f64 / self.count as f64 / f64::from(PARTS)) as f32 }
    }

    /// Standard deviation over mean; 0 where the mean is 0.
    pub(super) fn variation(&self) -> f32 {
        if self.sum == 0 {
            return 0.0;
        }
        let (count, sum) = (i128::from(self.count), i128::from(self.sum));
        let spread = (count * self.squares - sum * sum).max(0);
        ((spread as f64).sqrt() / sum as f64) as f32
    }
}

#[inline(always)]
fn parts(value: f32) -> i64 {
    // Adding what leaves no room for fractions rounds, without a call to `round`.
    const NO_FRACTIONS: f64 = 1.5 * (1u64 << 52) as f64;
    let scaled = f64::from(value.clamp(-VALUE_MAX, VALUE_MAX)) * f64::from(PARTS);
    ((scaled + NO_FRACTIONS) - NO_FRACTIONS) as i64
}

/// Values in order.
#[derive(Debug, Clone)]
pub(super) struct Sorted(Vec<f32>);

impl Sorted {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(super) fn insert(&mut self, value: f32) {
        let at = self.0.partition_point(|other| other.total_cmp(&value).is_lt());
        self.0.insert(at, value);
    }

    /// Takes out one of the values that equal `value`.
    pub(super) fn remove(&mut self, value: f32) {
        let at = self.0.partition_point(|other| other.total_cmp(&value).is_lt());
        debug_assert!(self.0[at].total_cmp(&value).is_eq(), "only what is in can be taken out");
        self.0.remove(at);
    }

    /// Between the two nearest values by a straight line; 0 without values.
    pub(super) fn percentile(&self, share: f32) -> f32 {
        let Some(last) = self.0.len().checked_sub(1) else { return 0.0 };
        let place = share * last as f32;
        let below = place as usize;
        let above = (below + 1).min(last);
        self.0[below] + (place - below as f32) * (self.0[above] - self.0[below])
    }

    /// Highest less lowest.
    pub(super) fn range(&self) -> f32 {
        self.0.last().zip(self.0.first()).map_or(0.0, |(highest, lowest)| highest - lowest)
    }
}
