//! The one clock of the program: time since start, for the cores that know no clock.
//!
//! Not the time of day; that appears only in the calendar and in what is stored.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day, since 1970; nothing when it is set before that.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Counts from the moment it was made; copies count from the same moment.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What the time of day was at the start, since 1970, as it appears now: the kernel's stamps are times of day, and
    /// that may be set while we run.
    pub fn began(&self) -> Duration {
        since_1970().saturating_sub(self.now())
    }

    /// Time since start; never runs backwards.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }
}
