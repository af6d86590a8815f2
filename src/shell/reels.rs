//! The thread that keeps audio: takes the live copies of calls whose audio is kept, and writes reels.
//!
//! No call waits for it. What it cannot take in time, or the disk does not take, is missing in a reel and counted; when it does
//! not even take what it is told, every reel that is being written is forgotten, for nobody knows what in it is to be muted.

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "stretches are compared, of which there may be one")]
mod tests;
mod worker;
mod writing;

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use media::LegId;
use nlu::recognition::Transcript;
use routing::CallKey;
use tracing::{error, warn};

use self::worker::Worker;
pub use self::writing::ReelFigures;
use super::clock::Clock;
use super::copy::Copies;
use super::recognize::Recognizing;
use crate::control::ReelCommand;
use crate::metrics::Metrics;
use crate::store::Store;

/// What the thread may be told of and not have taken up yet: minutes of a thousand calls.
const JOBS_MAX: usize = 16_384;
/// How much less of a contended core the thread gets than the media threads: as the copying thread, nearly.
const NICENESS: i32 = 6;
/// How long it rests after it broke.
const REST: Duration = Duration::from_secs(1);

/// What the thread needs.
pub struct ReelOptions {
    /// Whose keys seal reels, and where they go.
    pub store: Store,
    /// Where audio comes from.
    pub copies: Copies,
    /// The clock by which parties' audio begins.
    pub clock: Clock,
    /// Who recognises words, where somebody does.
    pub recognizing: Option<Recognizing>,
    /// The figures.
    pub metrics: Metrics,
}

/// The running thread, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Reels {
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The calls whose reels are being written.
    open: Mutex<BTreeSet<String>>,
    /// It was not told of something.
    overflown: AtomicBool,
    /// The disk took nothing when it was last asked to, or there is no room.
    fails: AtomicBool,
    stopping: AtomicBool,
}

/// What the thread is told.
#[derive(Debug)]
enum Job {
    Command(ReelCommand),
    Began { call: CallKey, leg: LegId, at: Duration },
    Said(Box<Transcript>),
}

impl Reels {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no thread.
    pub fn start(options: ReelOptions) -> io::Result<Self> {
        std::fs::create_dir_all(&options.store.audio().folder)?;
        let (jobs, inlet) = sync_channel(JOBS_MAX);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let run = move || {
            if let Err(error) = rustix::process::nice(NICENESS) {
                warn!(%error, "the thread that keeps audio runs at the media threads' priority");
            }
            while !theirs.is_stopping() {
                let work = || Worker::new(&options, &theirs).work(&inlet);
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    error!("the thread that keeps audio broke and begins anew: what was being kept ends here");
                    theirs.open().clear();
                    thread::sleep(REST);
                }
            }
        };
        let thread = thread::Builder::new().name("reels".into()).spawn(run)?;
        Ok(Self { jobs, shared, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Has a command of call control carried out.
    pub fn order(&self, command: ReelCommand) {
        self.tell(Job::Command(command));
    }

    /// Tells when a party's audio began, in a call whose audio may be kept.
    pub fn began(&self, call: CallKey, leg: LegId, at: Duration) {
        self.tell(Job::Began { call, leg, at });
    }

    /// Tells what a party has finally said.
    pub fn said(&self, transcript: &Transcript) {
        if transcript.is_final && !self.shared.open().is_empty() {
            self.tell(Job::Said(Box::new(transcript.clone())));
        }
    }

    /// Whether a call's reel is being written.
    pub fn is_open(&self, call: &str) -> bool {
        self.shared.open().contains(call)
    }

    /// Whether what is to be kept is.
    pub fn is_up(&self) -> bool {
        !self.shared.fails.load(Ordering::Relaxed)
    }

    /// Writes out what there is of reels, and ends the thread.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that keeps audio broke");
        }
    }

    fn tell(&self, job: Job) {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(job) {
            self.shared.overflown.store(true, Ordering::Release);
        }
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
