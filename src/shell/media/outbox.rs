//! Events on their way from a media thread to call control, without waiting.
//!
//! What does not fit in the channel is kept here for the next round. When too much is kept, passing news is dropped
//! first; the ends of sounds and legs only when nothing more fits. Every drop is counted by the caller.

use std::collections::VecDeque;
use std::time::Duration;

use media::Event;
use tokio::sync::mpsc::{Sender, error::TrySendError};

#[derive(Debug)]
pub(super) struct Outbox {
    events: Sender<(Duration, Event)>,
    kept: VecDeque<(Duration, Event)>,
}

impl Outbox {
    pub(super) fn new(events: Sender<(Duration, Event)>) -> Self {
        Self { events, kept: VecDeque::with_capacity(KEPT_MAX) }
    }

    /// Hands over one event, behind those that are kept; false when it had to be dropped.
    pub(super) fn push(&mut self, now: Duration, event: Event) -> bool {
        let room = if is_final(&event) { KEPT_MAX } else { KEPT_MAX / 2 };
        let kept = self.kept.len() < room;
        if kept {
            self.kept.push_back((now, event));
        }
        self.flush();
        kept
    }

    /// Hands over what is kept, as far as it fits.
    pub(super) fn flush(&mut self) {
        while let Some(event) = self.kept.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.kept.push_front(event);
                    return;
                }
                // Nobody listens any more: the program is ending.
                Err(TrySendError::Closed(_)) => self.kept.clear(),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// True for events that call control waits for before it lets go of something.
fn is_final(event: &Event) -> bool {
    match event {
        Event::OpenFailed { .. }
        | Event::PlayEnded { .. }
        | Event::CodecFailed { .. }
        | Event::Key { .. }
        | Event::Closed { .. } => true,
        Event::Latched { .. }
        | Event::PlayStarted { .. }
        | Event::Bridged { .. }
        | Event::Silent { .. }
        | Event::Heard { .. }
        | Event::Handshake { .. } => false,
    }
}

/// Events kept while the channel is full.
const KEPT_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use media::{LegId, LegStats};
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn passing_news_is_dropped_first() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        let heard = || Event::Heard { leg: LegId(1) };
        let closed = || Event::Closed { leg: LegId(1), stats: LegStats::default() };

        let taken = (0..KEPT_MAX).filter(|_| outbox.push(Duration::ZERO, heard())).count();
        assert_eq!(taken, KEPT_MAX / 2 + 1, "one is in the channel");
        let taken = (0..KEPT_MAX).filter(|_| outbox.push(Duration::ZERO, closed())).count();
        assert_eq!(taken, KEPT_MAX / 2);

        let mut received = 0;
        while receiver.try_recv().is_ok() {
            received += 1;
            outbox.flush();
        }
        assert_eq!(received, KEPT_MAX + 1);
        assert!(outbox.is_empty());
    }
}
