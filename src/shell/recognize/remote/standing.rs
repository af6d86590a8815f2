//! How things stand with a recogniser elsewhere, for whoever looks from outside.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::shell::recognize::of_samples;

/// What all connections to it share.
#[derive(Debug, Default)]
pub(in crate::shell::recognize) struct Standing {
    state: AtomicU8,
    said: Mutex<Said>,
    /// Whether something else hears while it is away.
    pub(super) fallback: AtomicU8,
    pub(super) streams: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) answers: AtomicU64,
    pub(super) answers_wrong: AtomicU64,
    pub(super) samples_sent: AtomicU64,
    pub(super) samples_dropped: AtomicU64,
    pub(super) samples_local: AtomicU64,
}

/// What was said last.
#[derive(Debug, Default)]
struct Said {
    /// Of which recogniser.
    endpoint: String,
    /// Why it was away last.
    why: String,
    /// It has been there since.
    is_past: bool,
}

/// What has been done with a recogniser elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteFigures {
    /// It answers.
    pub is_up: bool,
    /// Parties that it hears, or will when it is back.
    pub streams: u64,
    /// Connections that were opened, could not be opened, and were lost.
    pub opened: u64,
    /// See `opened`.
    pub failed: u64,
    /// See `opened`.
    pub lost: u64,
    /// Answers that were taken, and those that were none.
    pub answers: u64,
    /// See `answers`.
    pub answers_wrong: u64,
    /// Audio that was sent.
    pub sent: Duration,
    /// Audio that was dropped because too much waited.
    pub dropped: Duration,
    /// Audio that was heard here in its place.
    pub local: Duration,
}

/// Nobody asks for such a recogniser; nobody has tried yet; it is there; it is away.
const UNWANTED: u8 = 0;
const UNTRIED: u8 = 1;
const UP: u8 = 2;
const DOWN: u8 = 3;

impl Standing {
    /// From now on there is to be one; whether something else hears while it is away.
    pub(super) fn want(&self, endpoint: &str, has_fallback: bool) {
        self.fallback.store(u8::from(has_fallback), Ordering::Relaxed);
        let mut said = self.said();
        // Of one that was wanted before it is known how it stands.
        if said.endpoint != endpoint || self.state.load(Ordering::Relaxed) == UNWANTED {
            *said = Said { endpoint: endpoint.to_owned(), ..Said::default() };
            self.state.store(UNTRIED, Ordering::Relaxed);
        }
    }

    /// None is wanted any more.
    pub(in crate::shell::recognize) fn forget(&self) {
        let _said = self.said();
        self.state.store(UNWANTED, Ordering::Relaxed);
    }

    /// It is there; of no account unless it is the one that is wanted.
    pub(super) fn up(&self, endpoint: &str) {
        let mut said = self.said();
        if self.is_wanted(&said, endpoint) && self.state.swap(UP, Ordering::Relaxed) != UP {
            info!(endpoint, "the recogniser elsewhere is there");
            said.is_past = true;
        }
    }

    /// It is away; of no account unless it is the one that is wanted.
    pub(super) fn down(&self, endpoint: &str, why: &str) {
        let mut said = self.said();
        if !self.is_wanted(&said, endpoint) {
            return;
        }
        self.state.store(DOWN, Ordering::Relaxed);
        if std::mem::take(&mut said.is_past) || said.why != why {
            warn!(endpoint, why, "the recogniser elsewhere is away");
            why.clone_into(&mut said.why);
        }
    }

    /// Connections of a recogniser that was wanted before may still be under way.
    fn is_wanted(&self, said: &Said, endpoint: &str) -> bool {
        self.state.load(Ordering::Relaxed) != UNWANTED && said.endpoint == endpoint
    }

    /// True once a try has failed, until one succeeds.
    pub(super) fn is_down(&self) -> bool {
        self.state.load(Ordering::Relaxed) == DOWN
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    /// Why it was away last.
    #[cfg(test)]
    pub(super) fn why(&self) -> String {
        self.said().why.clone()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // Every change is whole before anything in it can panic.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether words are heard in spite of how it stands; true where none is wanted.
    pub(in crate::shell::recognize) fn hears(&self) -> bool {
        match self.state.load(Ordering::Relaxed) {
            UNWANTED | UP => true,
            _ => self.fallback.load(Ordering::Relaxed) == 1,
        }
    }

    /// What has been done; `None` where no such recogniser is wanted.
    pub(in crate::shell::recognize) fn figures(&self) -> Option<RemoteFigures> {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        (self.state.load(Ordering::Relaxed) != UNWANTED).then(|| RemoteFigures {
            is_up: self.is_up(),
            streams: read(&self.streams),
            opened: read(&self.opened),
            failed: read(&self.failed),
            lost: read(&self.lost),
            answers: read(&self.answers),
            answers_wrong: read(&self.answers_wrong),
            sent: of_samples(read(&self.samples_sent)),
            dropped: of_samples(read(&self.samples_dropped)),
            local: of_samples(read(&self.samples_local)),
        })
    }
}

/// Adds to a figure.
pub(super) fn count(figure: &AtomicU64, more: u64) {
    figure.fetch_add(more, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_wanted_no_more_is_of_no_account() {
        let standing = Standing::default();
        standing.want("ws://a:1/", false);
        standing.down("ws://a:1/", "refused");
        assert!(standing.is_down() && !standing.hears());
        standing.want("ws://b:1/", false);
        standing.up("ws://a:1/");
        assert!(!standing.is_up(), "another one is there");
        standing.up("ws://b:1/");
        standing.down("ws://a:1/", "refused");
        assert!(standing.is_up(), "another one is away");
        standing.forget();
        standing.down("ws://b:1/", "refused");
        standing.up("ws://b:1/");
        assert!(standing.hears() && standing.figures().is_none(), "nobody asks for one");
    }
}
