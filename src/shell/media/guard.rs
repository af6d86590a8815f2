//! One media thread for as long as the program runs: when it breaks down, the calls that it had end, and it begins again
//! for the next ones.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use media::{Event, LegStats};
use tokio::sync::mpsc::error::TrySendError;

use super::MediaOptions;
use super::counters::{ThreadCounters, add};
use super::homes::Homes;
use super::inbox::Inbox;
use super::thread::MediaThread;

pub(super) struct Guard {
    options: Arc<MediaOptions>,
    number: usize,
    inbox: Arc<Inbox>,
    counters: Arc<ThreadCounters>,
    homes: Arc<Homes>,
}

impl Guard {
    pub(super) fn new(
        options: Arc<MediaOptions>,
        number: usize,
        inbox: Arc<Inbox>,
        counters: Arc<ThreadCounters>,
        homes: &Arc<Homes>,
    ) -> Self {
        Self { options, number, inbox, counters, homes: Arc::clone(homes) }
    }

    /// Starts the thread; it ends when its inbox is closed.
    ///
    /// # Errors
    /// When the system gives no thread, nothing to wait with or no randomness.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let first = self.fresh()?;
        thread::Builder::new().name(format!("media-{}", self.number)).spawn(move || self.watch(first))
    }

    fn watch(&self, first: MediaThread) {
        let mut next = Some(first);
        while !self.inbox.is_closed() {
            if let Some(thread) = next.take() {
                // What was half done goes with the thread's state; what is shared is queues and counters.
                if catch_unwind(AssertUnwindSafe(|| thread.run())).is_err() {
                    tracing::error!(thread = self.number, "a media thread has broken down: the calls that it had end");
                }
                if self.inbox.is_closed() {
                    return;
                }
            }
            self.clear();
            thread::sleep(AGAIN_AFTER);
            match self.fresh() {
                Ok(thread) => {
                    add(&self.counters.restarts, 1);
                    next = Some(thread);
                }
                Err(error) => {
                    tracing::error!(thread = self.number, %error, "a media thread cannot begin again, and tries on");
                }
            }
        }
    }

    fn fresh(&self) -> io::Result<MediaThread> {
        MediaThread::new(&self.options, self.number, Arc::clone(&self.inbox), Arc::clone(&self.counters))
    }

    /// Tells call control that the legs are gone: those that were open and those that were about to be.
    fn clear(&self) {
        let lost = self.homes.clear(self.number, || while self.inbox.take().is_some() {});
        self.counters.legs_open.store(0, Ordering::Relaxed);
        for leg in lost {
            let mut event = (self.options.clock.now(), Event::Closed { leg, stats: LegStats::default() });
            // No call waits for this thread now, so it may wait for room.
            while let Err(TrySendError::Full(back)) = self.options.events.try_send(event) {
                if self.inbox.is_closed() {
                    return;
                }
                event = back;
                thread::sleep(ROOM_AFTER);
            }
        }
    }
}

/// How soon a thread that has broken down begins again: not so soon that one that cannot run keeps a processor busy.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How soon an event that did not fit is offered again.
const ROOM_AFTER: Duration = Duration::from_millis(5);
