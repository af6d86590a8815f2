//! The models in use that fail: counted over all that follow each other, and warned of, not too often.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tracing::warn;

/// How long nothing more is said of a model that has failed.
const QUIET: Duration = Duration::from_secs(60);

/// The runs of one model, as the rest of the program sees them.
#[derive(Debug, Default)]
pub(super) struct Runs {
    failures: AtomicU64,
    fails: AtomicBool,
}

/// How the runs of the models in use go: the one that judges voices, and the one that reads words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelRuns {
    /// Runs that failed, or refused some of what was to be judged.
    pub failures: u64,
    /// Whether the last one judged nothing.
    pub fails: bool,
}

impl Runs {
    pub(super) fn now(&self) -> ModelRuns {
        ModelRuns { failures: self.failures.load(Ordering::Relaxed), fails: self.fails.load(Ordering::Relaxed) }
    }
}

/// What is known of the failures of one model.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// How many the model in use had when it was looked at last.
    known: u64,
    warned: Option<Duration>,
}

impl Failures {
    /// Takes how often the model in use, the `what` one, has failed, and why its last run did, if so; adds it up in `runs`. Whether
    /// it was warned of.
    pub(super) fn look(
        &mut self,
        now: Duration,
        what: &str,
        (failures, why): (u64, Option<&str>),
        runs: &Runs,
    ) -> bool {
        // Another model begins at none.
        let fresh = failures.checked_sub(self.known).unwrap_or(failures);
        self.known = failures;
        runs.fails.store(why.is_some(), Ordering::Relaxed);
        if fresh == 0 {
            return false;
        }
        let count = runs.failures.fetch_add(fresh, Ordering::Relaxed) + fresh;
        let is_news = self.warned.is_none_or(|warned| now.saturating_sub(warned) >= QUIET);
        if is_news {
            self.warned = Some(now);
            let why = why.unwrap_or("it judged some of what it was given");
            warn!(count, why, "a run of the {what} model failed, what it was to judge is judged without it");
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_added_up_and_warned_of_at_most_once_a_minute() {
        let (runs, mut failures) = (Runs::default(), Failures::default());
        let mut look = |at_s: u64, count: u64, why: Option<&str>| {
            let warned = failures.look(Duration::from_secs(at_s), "acoustic", (count, why), &runs);
            (warned, runs.now().failures, runs.now().fails)
        };
        assert_eq!(look(1, 0, None), (false, 0, false));
        assert_eq!(look(2, 1, Some("why")), (true, 1, true), "the first at once");
        assert_eq!(look(3, 1, Some("why")), (false, 1, true), "no further run");
        assert_eq!(look(61, 9, Some("why")), (false, 9, true));
        assert_eq!(look(62, 10, None), (true, 10, false), "one that judged a part");
        // Another model, and one that begins anew.
        assert_eq!(look(63, 0, None), (false, 10, false));
        assert_eq!(look(200, 2, Some("why")), (true, 12, true));
    }
}
