//! The thread that keeps audio: takes the live copies of calls whose audio is kept, and writes reels.
//!
//! No call waits for it. What it cannot take in time, or the disk does not take, is missing in a reel and counted; when it does
//! not even take what it is told, every reel that is being written is forgotten, for nobody knows what in it is to be muted.

mod chores;
#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "stretches are compared, of which there may be one")]
mod tests;
mod worker;
mod writing;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use media::LegId;
use media::copy::CopyFrame;
use nlu::recognition::Transcript;
use routing::CallKey;
use tokio::sync::broadcast;
use tracing::{error, warn};

use self::chores::Chores;
use self::worker::Worker;
pub use self::writing::ReelFigures;
use super::clock::Clock;
use super::copy::{Copies, again_until_stopped};
use super::recognize::Recognizing;
use crate::control::ReelCommand;
use crate::metrics::Metrics;
use crate::store::Store;

/// What the thread may be told of and not have taken up yet: minutes of a thousand calls.
const JOBS_MAX: usize = 16_384;
/// How much less of a contended core the thread gets than the media threads: as the copying thread, nearly.
const NICENESS: i32 = 6;

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
    copies: Copies,
    clock: Clock,
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The calls whose reels are being written.
    open: Mutex<BTreeSet<String>>,
    /// Those whose reels are to be forgotten, and the store has not said yet that they are.
    to_drop: Mutex<BTreeSet<String>>,
    /// It was not told of something.
    overflown: AtomicBool,
    /// The disk took nothing when it was last asked to, or there is no room.
    fails: AtomicBool,
    stopping: AtomicBool,
}

/// What the thread is told.
#[derive(Debug)]
enum Job {
    /// What call control wants, and since when: it is taken up later, and what is muted counts from then. With what is to
    /// begin come its frames, which wait from then on, too.
    Command(ReelCommand, Duration, Option<broadcast::Receiver<Arc<CopyFrame>>>),
    Began {
        call: CallKey,
        leg: LegId,
        at: Duration,
    },
    Said(Box<Transcript>),
}

impl Reels {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no thread.
    pub fn start(options: ReelOptions) -> io::Result<Self> {
        std::fs::create_dir_all(&options.store.audio().folder)?;
        let chores = Chores::start(options.store.clone())?;
        let (jobs, inlet) = sync_channel(JOBS_MAX);
        let (clock, copies, shared) = (options.clock, options.copies.clone(), Arc::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        let run = move || {
            give_way();
            let on_break = || {
                error!("the thread that keeps audio broke and begins anew: what was being kept ends here");
                theirs.open().clear();
            };
            again_until_stopped(&theirs.stopping, &on_break, || Worker::new(&options, &theirs, &chores).work(&inlet));
        };
        let thread = thread::Builder::new().name("reels".into()).spawn(run)?;
        Ok(Self { jobs, copies, clock, shared, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Has a command of call control carried out.
    pub fn order(&self, command: ReelCommand) {
        let frames = match &command {
            ReelCommand::Begin(beginning) => Some(self.copies.subscribe_to_keep(beginning.leg)),
            _ => None,
        };
        self.tell(Job::Command(command, self.clock.now(), frames));
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

    /// Whether a call's reel is being written, or is still to be forgotten.
    pub fn is_open(&self, call: &str) -> bool {
        // In this order: what is to be forgotten is there before it is no longer written.
        self.shared.open().contains(call) || self.shared.to_drop().contains(call)
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

    fn to_drop(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // As above.
        self.to_drop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the current thread give way to the media threads.
fn give_way() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        warn!(%error, "a thread that keeps audio runs at the media threads' priority");
    }
}
