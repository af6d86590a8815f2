//! What systemd is told of the server: that it is ready, that it lives, that it ends (sd_notify(3)). Elsewhere nobody is.

use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tracing::warn;

/// The sign of life that systemd waits for, where it does.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// How often it is given.
    every: Option<Duration>,
    last: Duration,
}

impl Watchdog {
    /// As systemd wants it (`WatchdogSec`): four times as often as it has to be.
    pub(super) fn wanted() -> Self {
        Self { every: watchdog_enabled().map(|within| within / 4), last: Duration::ZERO }
    }

    /// The loop that all calls depend on has come round at `now` of the server's clock.
    pub(super) fn feed(&mut self, now: Duration) {
        if self.is_due(now) {
            tell(NotifyState::Watchdog);
        }
    }

    fn is_due(&mut self, now: Duration) -> bool {
        let due = self.every.is_some_and(|every| now.saturating_sub(self.last) >= every);
        if due {
            self.last = now;
        }
        due
    }
}

/// Calls are taken.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// No new calls are.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = notify(&[state]) {
        warn!(%error, "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_is_given_as_often_as_is_wanted_and_nowhere_else() {
        let at = Duration::from_secs;
        let mut watchdog = Watchdog { every: Some(at(5)), last: Duration::ZERO };
        let due: Vec<bool> = [1, 5, 6, 9, 10, 30].map(|s| watchdog.is_due(at(s))).into();
        assert_eq!(due, [false, true, false, false, true, true]);
        assert!(!Watchdog { every: None, last: Duration::ZERO }.is_due(at(1_000)));
    }
}
