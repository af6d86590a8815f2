//! The copying thread: makes live copies of calls out of the packets that the media loop copies, for all who want one.
//!
//! Decodes for nobody but them, and waits for none of them: who is too slow finds the oldest frames gone. When it breaks,
//! it begins anew; neither calls nor listening notice.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use media::LegId;
use media::copy::{CallCopy, CopyFrame};
use tokio::sync::broadcast;
use tracing::{error, warn};

use super::clock::Clock;
use super::listen::Parties;
use super::media::CopyRing;

/// Frames that a reader may be behind: two and a half seconds.
pub const FRAMES_BEHIND_MAX: usize = 128;
/// Frames that whoever keeps audio may be behind: ten seconds, for a machine that is busy elsewhere lets that thread wait for
/// some.
const FRAMES_TO_KEEP_MAX: usize = 512;
/// How long the thread sleeps between two rounds.
const ROUND: Duration = Duration::from_millis(10);
/// How long a thread rests after it broke, so that what breaks it again and again costs little.
const REST: Duration = Duration::from_secs(1);
/// How much less of a contended core the thread gets than the media threads, and more than the listening thread.
const NICENESS: i32 = 5;

/// What the copying thread needs.
pub struct CopyOptions {
    /// Where the media loop puts the packets.
    pub ring: Arc<CopyRing>,
    /// Whose calls are copied, kept by call control.
    pub parties: Arc<Parties>,
    /// The clock that the packets' arrival times were read from.
    pub clock: Clock,
    /// Told every time it began anew.
    pub on_restart: Box<dyn Fn() + Send + Sync>,
}

/// The running thread, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Copies {
    shared: Arc<Shared>,
    ring: Arc<CopyRing>,
}

#[derive(Debug, Default)]
struct Shared {
    readers: Mutex<Readers>,
    stopping: AtomicBool,
}

/// Who gets the frames of each leg's call.
#[derive(Debug, Default)]
struct Readers {
    live: BTreeMap<LegId, broadcast::Sender<Arc<CopyFrame>>>,
    keeping: BTreeMap<LegId, broadcast::Sender<Arc<CopyFrame>>>,
}

impl Copies {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(options: CopyOptions) -> io::Result<Self> {
        let (shared, ring) = (Arc::new(Shared::default()), Arc::clone(&options.ring));
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("copy".into()).spawn(move || run(&options, &theirs))?;
        Ok(Self { shared, ring })
    }

    /// Packets that were lost to copies because the thread was behind.
    pub fn packets_dropped(&self) -> u64 {
        self.ring.dropped()
    }

    /// The frames of a leg's call from now on. They end when its copy ends; at once when there is none.
    pub fn subscribe(&self, leg: LegId) -> broadcast::Receiver<Arc<CopyFrame>> {
        let mut readers = self.shared.readers();
        readers.live.entry(leg).or_insert_with(|| broadcast::Sender::new(FRAMES_BEHIND_MAX)).subscribe()
    }

    /// The same for whoever keeps them, and may be further behind.
    pub fn subscribe_to_keep(&self, leg: LegId) -> broadcast::Receiver<Arc<CopyFrame>> {
        let mut readers = self.shared.readers();
        readers.keeping.entry(leg).or_insert_with(|| broadcast::Sender::new(FRAMES_TO_KEEP_MAX)).subscribe()
    }

    /// Ends the thread and every copy.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(options: &CopyOptions, shared: &Shared) {
    // On Linux this is the thread's own niceness.
    if let Err(error) = rustix::process::nice(NICENESS) {
        warn!(%error, "the copying thread runs at the media threads' priority");
    }
    let on_break = || {
        error!("the copying thread broke and begins anew; calls go on");
        (options.on_restart)();
    };
    again_until_stopped(&shared.stopping, &on_break, || {
        Worker { options, shared, copies: BTreeMap::new(), parties_version: None }.work();
    });
    *shared.readers() = Readers::default();
}

/// Works until that is to stop; when it breaks, afresh, after a rest.
pub(super) fn again_until_stopped(stopping: &AtomicBool, on_break: &dyn Fn(), mut work: impl FnMut()) {
    while !stopping.load(Ordering::Acquire) {
        if catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
            on_break();
            thread::sleep(REST);
        }
    }
}

struct Worker<'a> {
    options: &'a CopyOptions,
    shared: &'a Shared,
    copies: BTreeMap<LegId, CallCopy>,
    parties_version: Option<u64>,
}

impl Worker<'_> {
    fn work(&mut self) {
        while !self.shared.is_stopping() {
            let now = self.options.clock.now();
            self.follow_parties(now);
            while let Some(packet) = self.options.ring.pop() {
                if let Some(copy) = self.copies.get_mut(&packet.frame.leg) {
                    copy.push(&packet);
                }
            }
            self.give_out(now);
            thread::sleep(ROUND);
        }
    }

    fn follow_parties(&mut self, now: Duration) {
        let version = self.options.parties.version();
        if self.parties_version.replace(version) == Some(version) {
            return;
        }
        let copied = self.options.parties.copied();
        self.copies.retain(|leg, _| copied.contains(leg));
        for leg in copied {
            self.copies.entry(leg).or_insert_with(|| CallCopy::new(now));
        }
    }

    /// Hands out the frames that are due, and ends what is copied no longer.
    fn give_out(&mut self, now: Duration) {
        let Readers { live, keeping } = &mut *self.shared.readers();
        // Whoever asks for a copy that has been ordered since we looked finds it in the next round.
        if self.parties_version == Some(self.options.parties.version()) {
            live.retain(|leg, _| self.copies.contains_key(leg));
            keeping.retain(|leg, _| self.copies.contains_key(leg));
        }
        for (leg, copy) in &mut self.copies {
            let readers = [live.get(leg), keeping.get(leg)];
            while let Some(frame) = copy.pop(now) {
                let frame = Arc::new(frame);
                for readers in readers.into_iter().flatten() {
                    // An error only means that nobody reads.
                    let _ = readers.send(Arc::clone(&frame));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
