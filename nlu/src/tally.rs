//! Counts what was found against what is true, and the figures that follow from it.

/// Bins of the calibration error.
const BINS: usize = 10;

/// Judgements among a fixed number of classes.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Rows: truth, columns: found.
    confusion: Vec<Vec<u64>>,
    /// Per bin of confidence: its sum, how many were right.
    confident: [(f64, u64); BINS],
}

impl Tally {
    pub(crate) fn new(classes: usize) -> Self {
        Self { confusion: vec![vec![0; classes]; classes], confident: [(0.0, 0); BINS] }
    }

    /// Adds a judgement, found with `confidence` 0-1.
    pub(crate) fn add(&mut self, truth: usize, found: usize, confidence: f32) {
        self.confusion[truth][found] += 1;
        let bin = &mut self.confident[((confidence * BINS as f32) as usize).min(BINS - 1)];
        bin.0 += f64::from(confidence);
        bin.1 += u64::from(found == truth);
    }

    /// Rows: truth, columns: found.
    pub(crate) fn confusion(&self) -> &[Vec<u64>] {
        &self.confusion
    }

    pub(crate) fn total(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }

    pub(crate) fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.confusion.len()).map(|class| self.confusion[class][class]).sum();
        ratio(right as f64, self.total() as f64)
    }

    /// Mean recall over the classes that occur.
    pub(crate) fn uar(&self) -> f64 {
        self.mean(|class| ratio(self.confusion[class][class] as f64, self.confusion[class].iter().sum::<u64>() as f64))
    }

    /// Mean F1 over the classes that occur.
    pub(crate) fn macro_f1(&self) -> f64 {
        self.mean(|class| self.f1(class))
    }

    pub(crate) fn f1(&self, class: usize) -> f64 {
        let found: u64 = self.confusion.iter().map(|row| row[class]).sum();
        let truth: u64 = self.confusion[class].iter().sum();
        ratio(2.0 * self.confusion[class][class] as f64, (found + truth) as f64)
    }

    /// Expected calibration error of the class that was found.
    pub(crate) fn calibration_error(&self) -> f64 {
        let gap: f64 = self.confident.iter().map(|(confidence, right)| (confidence - *right as f64).abs()).sum();
        ratio(gap, self.total() as f64)
    }

    fn mean(&self, value: impl Fn(usize) -> f64) -> f64 {
        let occurs = |class: &usize| self.confusion[*class].iter().any(|count| *count > 0);
        let occurring: Vec<usize> = (0..self.confusion.len()).filter(occurs).collect();
        ratio(occurring.iter().map(|&class| value(class)).sum(), occurring.len() as f64)
    }
}

/// `part / whole`, 0 of nothing.
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
