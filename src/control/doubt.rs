//! Whether a far end that does not answer our questions is still there.
//!
//! Some never answer OPTIONS inside a dialog, and any of them may be away for a moment: nobody counts as gone while its
//! audio comes, nor before it has been asked a second time.

use std::time::Duration;

use super::input::Presence;

/// What is thought of a far end that is asked whether it still knows the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It has answered, or is heard, or was never asked.
    #[default]
    None,
    /// It has not answered; it is asked again at this time.
    Waits(Duration),
    /// It has been asked again.
    Asked,
}

impl Doubt {
    /// Takes note of what came of a question; true when the far end counts as gone. `is_heard` when its audio comes.
    pub(super) fn judge(&mut self, now: Duration, found: Presence, is_heard: bool) -> bool {
        match (found, *self) {
            (Presence::Gone, _) => return true,
            (Presence::Here, _) => *self = Doubt::None,
            (Presence::Silent, _) if is_heard => *self = Doubt::None,
            (Presence::Silent, Doubt::None) => *self = Doubt::Waits(now + ASK_AGAIN),
            // An answer to a question from before.
            (Presence::Silent, Doubt::Waits(_)) => {}
            (Presence::Silent, Doubt::Asked) => return true,
        }
        false
    }

    /// True when the far end has to be asked again now, once.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let is_due = self.ask_at().is_some_and(|at| now >= at);
        if is_due {
            *self = Doubt::Asked;
        }
        is_due
    }

    /// When it has to be asked again.
    pub(super) fn ask_at(self) -> Option<Duration> {
        match self {
            Doubt::Waits(at) => Some(at),
            Doubt::None | Doubt::Asked => None,
        }
    }
}

/// How long after a question without an answer the next one is asked.
const ASK_AGAIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_silence_in_a_row_is_an_end() {
        let (mut doubt, at) = (Doubt::default(), Duration::from_secs);
        assert!(!doubt.judge(at(0), Presence::Silent, false));
        assert!(!doubt.judge(at(5), Presence::Silent, false), "asked before the first silence was told");
        assert_eq!((doubt.is_due(at(29)), doubt.is_due(at(30)), doubt.is_due(at(31))), (false, true, false));
        assert!(!doubt.judge(at(40), Presence::Here, false));
        assert!(!doubt.judge(at(50), Presence::Silent, false));
        assert!(doubt.is_due(at(80)));
        assert!(!doubt.judge(at(110), Presence::Silent, true), "it is heard");
        assert!(!doubt.judge(at(120), Presence::Silent, false));
        assert!(doubt.is_due(at(150)));
        assert!(doubt.judge(at(182), Presence::Silent, false));
    }

    #[test]
    fn who_says_that_it_knows_nothing_is_gone_though_it_is_heard() {
        assert!(Doubt::default().judge(Duration::ZERO, Presence::Gone, true));
    }
}
