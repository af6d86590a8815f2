//! The thread that writes the audit trail: what waits is written and synced together, then everybody who waits is told.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::PATIENCE;
use super::audit::{AuditEntry, AuditLog, Repaired};
use super::keys::KeyRing;
use crate::metrics::Metrics;
use crate::web::Moment;

/// Entries that may wait.
const ENTRIES_MAX: usize = 8_192;
/// Entries written together.
const TOGETHER_MAX: usize = 256;
/// How long the API waits for the disk.
const API_PATIENCE: Duration = Duration::from_secs(1);
/// How long a thread waits that nobody waits for.
const THREAD_PATIENCE: Duration = Duration::from_secs(30);

/// The running journal.
#[derive(Debug, Clone)]
pub struct Journal {
    sender: SyncSender<Job>,
    state: Arc<State>,
    metrics: Metrics,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug, Default)]
struct State {
    /// The last write went well.
    up: AtomicBool,
    /// Somebody waited in vain, and the thread has not caught up since: nobody waits until it has.
    late: AtomicBool,
    /// The last entry that the disk has.
    last: AtomicU64,
}

#[derive(Debug)]
enum Job {
    Write { entries: Vec<AuditEntry>, done: Done },
    Stop,
}

/// Who waits.
#[derive(Debug)]
enum Done {
    Nobody,
    Thread(SyncSender<bool>),
    Task(oneshot::Sender<bool>),
}

impl Done {
    fn tell(self, written: bool) {
        // Whoever waited may have lost patience.
        match self {
            Done::Nobody => {}
            Done::Thread(waits) => drop(waits.try_send(written)),
            Done::Task(waits) => drop(waits.send(written)),
        }
    }
}

impl Journal {
    /// Opens the trail in `folder` and starts the thread.
    ///
    /// # Errors
    /// When the trail cannot be read or written.
    pub fn start(folder: &Path, keys: &Arc<KeyRing>, metrics: &Metrics) -> io::Result<Self> {
        let (log, repaired) = AuditLog::open(folder, keys)?;
        let (sender, jobs) = sync_channel(ENTRIES_MAX);
        let state = Arc::new(State::default());
        state.up.store(true, Ordering::Relaxed);
        state.last.store(log.last_seq(), Ordering::Release);
        let writer = Writer { log, keys: Arc::clone(keys), state: Arc::clone(&state), metrics: metrics.clone() };
        let thread = thread::Builder::new().name("journal".into()).spawn(move || writer.run(&jobs))?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        let journal = Self { sender, state, metrics: metrics.clone(), thread };
        journal.tell_repaired(repaired);
        Ok(journal)
    }

    fn tell_repaired(&self, repaired: Repaired) {
        if repaired == Repaired::default() {
            return;
        }
        let Repaired { torn_bytes, missing } = repaired;
        warn!(torn_bytes, missing, "the audit trail did not end as it was left: the trail says so, too");
        let what = serde_json::json!({ "torn_bytes": torn_bytes, "missing": missing });
        self.record(AuditEntry { kind: "repaired".to_owned(), who: "server".to_owned(), call: String::new(), what });
    }

    /// Takes up an entry without waiting; when the queue is full it is lost and counted.
    pub fn record(&self, entry: AuditEntry) {
        self.send(vec![entry], Done::Nobody);
    }

    /// Takes up entries and waits until the disk has them, at most [`PATIENCE`]; whether it has. Once somebody has waited in
    /// vain, nobody waits until the disk has caught up.
    pub fn commit(&self, entries: Vec<AuditEntry>) -> bool {
        if entries.is_empty() {
            return true;
        }
        let (waits, done) = sync_channel(1);
        if !self.send(entries, Done::Thread(waits)) {
            return false;
        }
        let patience = if self.state.late.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
        match done.recv_timeout(patience) {
            Ok(written) => written,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.metrics.count_audit_late();
                if !self.state.late.swap(true, Ordering::Relaxed) {
                    warn!(
                        "the disk is slower than decisions: calls do not wait for the audit trail until it has caught up"
                    );
                }
                false
            }
        }
    }

    /// As [`Journal::commit`] for those who wait in the runtime, at most a second.
    pub async fn committed(&self, entry: AuditEntry) -> bool {
        let (waits, done) = oneshot::channel();
        if !self.send(vec![entry], Done::Task(waits)) {
            return false;
        }
        matches!(tokio::time::timeout(API_PATIENCE, done).await, Ok(Ok(true)))
    }

    /// As [`Journal::commit`] for those whose thread may wait, at most [`THREAD_PATIENCE`].
    pub(super) fn written(&self, entry: AuditEntry) -> bool {
        let (waits, done) = sync_channel(1);
        self.send(vec![entry], Done::Thread(waits)) && done.recv_timeout(THREAD_PATIENCE) == Ok(true)
    }

    /// Whether entries reach the disk.
    pub fn is_up(&self) -> bool {
        self.state.up.load(Ordering::Relaxed)
    }

    /// The number of the last entry that the disk has; 0 when there is none.
    pub fn last_seq(&self) -> u64 {
        self.state.last.load(Ordering::Acquire)
    }

    /// Signs the end of the trail and ends the thread.
    pub fn stop(&self) {
        if self.sender.send(Job::Stop).is_err() {
            return;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the journal's thread broke");
        }
    }

    fn send(&self, entries: Vec<AuditEntry>, done: Done) -> bool {
        let count = entries.len();
        match self.sender.try_send(Job::Write { entries, done }) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.count_audit_lost(count);
                false
            }
        }
    }
}

struct Writer {
    log: AuditLog,
    keys: Arc<KeyRing>,
    state: Arc<State>,
    metrics: Metrics,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let mut entries = Vec::new();
            let mut waiting = Vec::new();
            let mut stop = false;
            let more = std::iter::from_fn(|| jobs.try_recv().ok());
            for job in std::iter::once(job).chain(more.take(TOGETHER_MAX)) {
                match job {
                    Job::Write { entries: mut further, done } => {
                        entries.append(&mut further);
                        waiting.push(done);
                    }
                    Job::Stop => stop = true,
                }
            }
            self.write(&entries, waiting);
            if stop {
                return self.close();
            }
        }
        self.close();
    }

    fn write(&mut self, entries: &[AuditEntry], waiting: Vec<Done>) {
        if entries.is_empty() {
            return;
        }
        let written = self.log.append(&self.keys, Moment::now().0, entries);
        let was_up = self.state.up.swap(written.is_ok(), Ordering::Relaxed);
        match &written {
            Ok(()) => {
                self.metrics.count_audit_written(entries.len());
                self.state.late.store(false, Ordering::Relaxed);
                self.state.last.store(self.log.last_seq(), Ordering::Release);
                if !was_up {
                    info!("the audit trail is written again");
                }
            }
            Err(why) => {
                self.metrics.count_audit_lost(entries.len());
                if was_up {
                    error!(%why, "the audit trail cannot be written: calls go on, what they do is lost to it");
                }
            }
        }
        for done in waiting {
            done.tell(written.is_ok());
        }
    }

    fn close(mut self) {
        if let Err(why) = self.log.close(&self.keys, Moment::now().0) {
            error!(%why, "the audit trail's end is not signed");
        }
        info!(entries = self.log.last_seq(), "the audit trail is closed");
    }
}
