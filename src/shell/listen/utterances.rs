//! What parties have said or typed, on its way to the listening thread: bounded, and no sender ever waits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use media::LegId;
use nlu::{Expression, Utterance};

/// Utterances of all parties that may wait; beyond that the oldest are dropped and counted.
const UTTERANCES_MAX: usize = 256;

/// Words of one party.
#[derive(Debug, Clone, PartialEq)]
pub enum Uttered {
    /// Heard in the party's audio, at positions of it.
    Spoken(Utterance),
    /// Typed; it belongs to the moment in which it comes.
    Typed(String),
    /// Shown; it belongs to the moment in which it comes.
    Shown(Expression),
}

/// The queue of words.
#[derive(Debug, Default)]
pub struct Utterances(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    uttered: VecDeque<(LegId, Uttered)>,
    figures: UtteranceFigures,
}

/// What has become of the words so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UtteranceFigures {
    /// Utterances that were read.
    pub read: u64,
    /// Utterances that were dropped: too many waited, or nobody listens to their party any more.
    pub dropped: u64,
}

impl Utterances {
    /// Adds words of a party; the oldest give way when too many wait.
    pub fn push(&self, leg: LegId, uttered: Uttered) {
        let mut waiting = self.lock();
        if waiting.uttered.len() == UTTERANCES_MAX {
            waiting.uttered.pop_front();
            waiting.figures.dropped += 1;
        }
        waiting.uttered.push_back((leg, uttered));
    }

    /// Everything that waits, oldest first.
    pub(super) fn take(&self) -> VecDeque<(LegId, Uttered)> {
        std::mem::take(&mut self.lock().uttered)
    }

    /// Counts what became of words that were taken.
    pub(super) fn count(&self, read: u64, dropped: u64) {
        let figures = &mut self.lock().figures;
        figures.read += read;
        figures.dropped += dropped;
    }

    /// What has become of the words so far.
    pub fn figures(&self) -> UtteranceFigures {
        self.lock().figures
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let utterances = Utterances::default();
        (0..=UTTERANCES_MAX as u32).for_each(|n| utterances.push(LegId(n), Uttered::Typed("喂".to_owned())));
        let taken = utterances.take();
        assert_eq!((taken.len(), taken[0].0), (UTTERANCES_MAX, LegId(1)));
        assert!(utterances.take().is_empty());
        utterances.count(2, 1);
        assert_eq!(utterances.figures(), UtteranceFigures { read: 2, dropped: 2 });
    }
}
