//! The thread that keeps calls: notices come through a bounded queue and are written together.
//!
//! When the queue fills, steps of the timeline are left out first, then everything; when the disk fails, what comes is
//! counted and thrown away until it works again. That a caller refuses is noted all the same.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tracing::{error, info, warn};

use super::audit::Trail;
use super::embedded::{Embedded, Kept, Numbers, Running};
use super::keys::{KeyRing, MasterKey};
use super::site::{Door, FACTS_SWEEP_MAX};
use super::slots::Class;
use super::{CALLS_FOLDER, aside};
use crate::metrics::Metrics;
use crate::notice::{Notice, What};
use crate::settings::{AudioSettings, DatabaseSettings, KeepSettings, StoreSettings};
use crate::web::{ACTIVE_MAX, Moment};

/// Notices that may wait: a minute of a thousand calls.
const NOTICES_MAX: usize = 65_536;
/// From so many on, steps of the timeline are left out.
const CROWDED: usize = NOTICES_MAX / 4 * 3;
/// Room that is left for beginnings, ends and consent: a call whose end got lost would be up for good.
const ENDS_ROOM: usize = NOTICES_MAX / 8;
/// Notices written together.
const TOGETHER_MAX: usize = 1_024;
/// How often a store that failed is opened again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often old calls are looked for, and how many are removed at a time.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_MAX: usize = 1_000;
/// Calls in which a class is looked for at a time: what is found of it is in memory for that.
const CLASS_SWEEP_MAX: usize = 32;

/// The running keeper.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    sender: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    refused: Refused,
    /// Stores that were set aside.
    aside: Arc<AtomicUsize>,
    embedded: Arc<ArcSwapOption<Embedded>>,
    metrics: Metrics,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Where this node takes part in a site.
    door: Option<Door>,
}

/// Calls that are up in which callers refused that words are kept, while there was no room to say so.
#[derive(Debug, Clone, Default)]
struct Refused(Arc<Mutex<BTreeSet<String>>>);

impl Refused {
    /// Takes note of a notice that gets lost.
    fn note(&self, lost: &Notice) {
        if !lost.what.refuses_words() {
            return;
        }
        let mut calls = self.calls();
        if calls.len() < ACTIVE_MAX {
            calls.insert(lost.call.clone());
        }
    }

    fn calls(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // It is changed in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the writing thread is asked to do besides.
pub(super) type Task = Box<dyn FnOnce(&Embedded) + Send>;

enum Job {
    Keep(Box<Kept>),
    Do(Task),
    Stop,
}

impl Keeper {
    /// Starts the thread, which opens the calls in `folder` first.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        (settings, door): (&StoreSettings, Option<Door>),
        keys: &Arc<KeyRing>,
        trail: &Trail,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(NOTICES_MAX);
        let (waiting, embedded) = (Arc::new(AtomicUsize::new(0)), Arc::new(ArcSwapOption::empty()));
        let (refused, aside) = (Refused::default(), Arc::default());
        let mut writer = Writer {
            folder: settings.folder.join(CALLS_FOLDER),
            database: settings.database.clone(),
            door: door.clone(),
            keys: Arc::clone(keys),
            keep: settings.keep,
            audio: settings.audio.clone(),
            waiting: Arc::clone(&waiting),
            refused: refused.clone(),
            aside: Arc::clone(&aside),
            embedded: Arc::clone(&embedded),
            running: Running::default(),
            trail: Some(trail.clone()),
            metrics: metrics.clone(),
            opened: Instant::now(),
            swept: None,
        };
        if let Some(to) = settings.database.as_ref().and_then(DatabaseSettings::exposed) {
            warn!(to, "what is kept goes there unencrypted, or to whom is not checked");
        }
        // Here, so that whoever asks as soon as the server is there finds what it knows.
        writer.open();
        writer.sweep_aside(Moment(0));
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || writer.run(&jobs))?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Self { sender, waiting, refused, aside, embedded, metrics: metrics.clone(), thread, door })
    }

    /// Takes up a notice without waiting.
    pub(super) fn keep(&self, notice: Notice, time: Moment) {
        let has_room = match notice.what {
            What::Observed { .. } => CROWDED,
            What::CallStarted { .. } | What::CallEnded { .. } | What::Consent { .. } => NOTICES_MAX,
            _ => NOTICES_MAX - ENDS_ROOM,
        };
        if self.waiting.load(Ordering::Relaxed) >= has_room {
            return self.lose(&notice);
        }
        // First: the thread that writes may be quicker than this one.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let job = Job::Keep(Box::new(Kept { unix_ms: time.0, notice }));
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.sender.try_send(job) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if let Job::Keep(lost) = job {
                self.lose(&lost.notice);
            }
        }
    }

    fn lose(&self, notice: &Notice) {
        self.metrics.count_store_dropped(1);
        self.refused.note(notice);
    }

    /// Has the writing thread do something once everything is written that came before; false when it has too much to do.
    pub(super) fn run(&self, task: Task) -> bool {
        self.sender.try_send(Job::Do(task)).is_ok()
    }

    /// What can be read, unless the store is down.
    pub(super) fn embedded(&self) -> Option<Arc<Embedded>> {
        self.embedded.load_full()
    }

    /// What the site is entered by, where several nodes write to the database.
    pub(super) fn door(&self) -> Option<&Door> {
        self.door.as_ref()
    }

    /// Has what is the site's sealed by another master key, too.
    pub(super) fn exchange_master(&self, master: &MasterKey) {
        let Some(door) = self.door.clone() else { return };
        door.exchange(master);
        let seal = move |embedded: &Embedded| {
            if let Err(why) = embedded.open_site(&door) {
                warn!(why, "the site's secret is sealed by the new master key at the next start");
            }
        };
        if !self.run(Box::new(seal)) {
            warn!("the site's secret is sealed by the new master key at the next start");
        }
    }

    /// How many stores lie aside.
    pub(super) fn set_aside(&self) -> usize {
        self.aside.load(Ordering::Relaxed)
    }

    pub(super) fn is_up(&self) -> bool {
        self.embedded.load().is_some()
    }

    /// Writes out everything and ends the thread.
    pub(super) fn stop(&self) {
        if self.sender.send(Job::Stop).is_err() {
            return;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the keeper's thread broke");
        }
    }
}

struct Writer {
    folder: PathBuf,
    database: Option<DatabaseSettings>,
    door: Option<Door>,
    keys: Arc<KeyRing>,
    keep: KeepSettings,
    audio: AudioSettings,
    waiting: Arc<AtomicUsize>,
    refused: Refused,
    /// Stores that were set aside.
    aside: Arc<AtomicUsize>,
    embedded: Arc<ArcSwapOption<Embedded>>,
    running: Running,
    /// Until the store was opened once: what the program before this one could not keep may stand there.
    trail: Option<Trail>,
    metrics: Metrics,
    /// When it was tried last to open the store.
    opened: Instant,
    swept: Option<Instant>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match jobs.recv_timeout(SWEEP_EVERY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let more = std::iter::from_fn(|| jobs.try_recv().ok());
            let (mut kept, mut tasks, mut stop) = (Vec::new(), Vec::new(), false);
            for job in first.into_iter().chain(more.take(TOGETHER_MAX)) {
                match job {
                    Job::Keep(one) => kept.push(*one),
                    Job::Do(task) => tasks.push(task),
                    Job::Stop => stop = true,
                }
            }
            self.waiting.fetch_sub(kept.len(), Ordering::Relaxed);
            self.write(&kept);
            // Dropped when the store is down: whoever waits is told so by that.
            let asked = !tasks.is_empty();
            if let Some(embedded) = self.embedded.load_full() {
                tasks.into_iter().for_each(|task| task(&embedded));
            }
            self.check(asked);
            self.sweep();
            if stop {
                break;
            }
        }
        if let Some(embedded) = self.embedded.swap(None)
            && let Err(why) = embedded.flush()
        {
            error!(%why, "what was told last of calls is lost");
        }
    }

    /// Sees whether what is written goes on to be: tasks keep to themselves what became of them.
    fn check(&mut self, asked: bool) {
        let is_due = asked || self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY);
        if let Some(embedded) = self.embedded.load_full().filter(|_| is_due)
            && let Err(why) = embedded.check()
        {
            drop(embedded);
            self.fail(&why);
            self.open();
        }
    }

    fn write(&mut self, kept: &[Kept]) {
        self.note_refused();
        if self.embedded.load().is_none() && self.opened.elapsed() >= AGAIN {
            self.open();
            self.note_refused();
        }
        match self.embedded.load_full() {
            Some(embedded) => self.write_to(embedded, kept),
            None => self.lose(kept),
        }
        let mut refused = self.refused.calls();
        if !refused.is_empty() {
            for kept in kept.iter().filter(|kept| matches!(kept.notice.what, What::CallEnded { .. })) {
                refused.remove(&kept.notice.call);
            }
        }
    }

    fn write_to(&mut self, embedded: Arc<Embedded>, kept: &[Kept]) {
        let numbers = self.database.as_ref().map(|_| self.running.numbers());
        match embedded.keep(&mut self.running, kept) {
            Ok(dropped) => self.count(kept, dropped),
            Err(why) => {
                drop(embedded);
                self.fail(&why);
                self.write_again(kept, numbers);
            }
        }
    }

    /// A database may have ended a connection only: it is asked once more at once. What it took before that it takes again.
    fn write_again(&mut self, kept: &[Kept], numbers: Option<Numbers>) {
        if let Some(numbers) = numbers {
            self.open();
            self.running.go_back(&numbers);
            self.note_refused();
        }
        let again = self.embedded.load_full().map(|embedded| embedded.keep(&mut self.running, kept));
        match again {
            Some(Ok(dropped)) => self.count(kept, dropped),
            Some(Err(why)) => {
                self.fail(&why);
                self.lose(kept);
            }
            None => self.lose(kept),
        }
    }

    /// Has words forgotten at the end of calls in which callers refuse: opening the store forgets those of before alone.
    fn note_refused(&mut self) {
        self.refused.calls().iter().for_each(|call| self.running.note_refused(&self.keys, call));
    }

    fn count(&self, kept: &[Kept], dropped: u64) {
        self.metrics.count_store_kept(kept.len());
        self.metrics.count_store_dropped(dropped as usize);
    }

    /// Counts what cannot be kept; which calls end with it, and in which callers refuse, is known when the store works again.
    fn lose(&mut self, kept: &[Kept]) {
        self.metrics.count_store_dropped(kept.len());
        self.running.note_lost(&self.keys, kept);
    }

    fn fail(&mut self, why: &str) {
        error!(why, "calls cannot be kept: they go on, and what is told of them is lost until the store works again");
        self.embedded.store(None);
        self.opened = Instant::now();
    }

    /// Opens the store; one that is broken is set aside. Calls that nobody ended are ended.
    fn open(&mut self) {
        self.opened = Instant::now();
        let opened = self.open_here().or_else(|why| {
            // A folder in use belongs to another server, and a disk that fails now may work later. A database is not ours.
            if self.database.is_none() && is_broken(&why) { self.set_aside(&why) } else { Err(why) }
        });
        let mut up = std::mem::take(&mut self.running);
        let ready = opened.and_then(|embedded| {
            if let Some(trail) = &self.trail {
                up.note_refused_before(&embedded, trail)?;
            }
            let abandoned = embedded.end_abandoned(&mut self.running, &up, Moment::now())?;
            if abandoned > 0 {
                warn!(calls = abandoned, "calls were up when the server ended: they are kept as far as they were told");
            }
            Ok(embedded)
        });
        match ready {
            Ok(embedded) => {
                let place = self
                    .database
                    .as_ref()
                    .map_or_else(|| self.folder.display().to_string(), |it| it.place().to_owned());
                info!(place, bytes = embedded.bytes(), "calls are kept");
                self.trail = None;
                self.embedded.store(Some(Arc::new(embedded)));
            }
            Err(why) => {
                self.running = up;
                error!(why, "calls cannot be kept: tried again every {} s", AGAIN.as_secs());
            }
        }
    }

    fn open_here(&self) -> Result<Embedded, String> {
        let opened = Embedded::open(&self.folder, self.database.as_ref(), &self.keys)?;
        let opened = opened.with_audio_in(self.audio.folder.clone());
        match &self.door {
            Some(door) => opened.in_site(door),
            None => Ok(opened),
        }
    }

    fn set_aside(&self, why: &str) -> Result<Embedded, String> {
        let aside = aside::set_aside(&self.folder, Moment::now());
        let aside = aside.map_err(|error| format!("{why}; setting it aside: {error}"))?;
        self.aside.fetch_add(1, Ordering::Relaxed);
        error!(why, aside = %aside.display(), "kept calls cannot be read: they are set aside, and others begin anew");
        self.open_here()
    }

    /// Removes what was set aside so long ago that all in it is older than it is to be kept.
    fn sweep_aside(&self, before: Moment) {
        match aside::remove_before(&self.folder, before) {
            Ok(left) => self.aside.store(left, Ordering::Relaxed),
            Err(why) => warn!(%why, "what was set aside is as old as it may become, and cannot be removed"),
        }
    }

    /// Removes calls that are older than they are to be kept.
    fn sweep(&mut self) {
        if self.swept.is_some_and(|swept| swept.elapsed() < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(Instant::now());
        let KeepSettings { calls, words, timeline } = self.keep;
        let before = |keep: Duration| Moment(Moment::now().0.saturating_sub(keep.as_millis() as u64));
        self.sweep_aside(before(calls));
        let Some(embedded) = self.embedded.load_full() else { return };
        let classes =
            [(Class::Words, words), (Class::Timeline, timeline)].into_iter().filter(|(_, keep)| *keep < calls);
        let swept = embedded.forget_before(before(calls), SWEEP_MAX).and_then(|removed| {
            let facts = embedded.site().map_or(Ok(0), |site| site.forget_before(before(calls)))?;
            let looked_at =
                classes.map(|(class, keep)| embedded.forget_class_before(class, before(keep), CLASS_SWEEP_MAX));
            let reels = || embedded.forget_reels_before(before(self.audio.keep), CLASS_SWEEP_MAX);
            let looked_at = looked_at.chain(std::iter::once_with(reels));
            looked_at.collect::<Result<Vec<usize>, String>>().map(|looked_at| (removed, facts, looked_at))
        });
        match swept {
            Ok((removed, facts, looked_at)) => {
                if removed > 0 {
                    info!(calls = removed, "calls are as old as they may become, and removed");
                    self.metrics.count_store_removed(removed);
                }
                // There may be more.
                if removed == SWEEP_MAX || facts == u64::from(FACTS_SWEEP_MAX) || looked_at.contains(&CLASS_SWEEP_MAX) {
                    self.swept = None;
                }
            }
            Err(why) => self.fail(&why),
        }
        embedded.bytes().into_iter().for_each(|bytes| self.metrics.set_store_bytes(bytes));
    }
}

/// Whether what sled says of a folder means that its files are not as it wrote them.
fn is_broken(why: &str) -> bool {
    ["broken", "corrupt", "Corruption", "unsupported"].iter().any(|word| why.contains(word))
}

#[cfg(test)]
mod tests;
