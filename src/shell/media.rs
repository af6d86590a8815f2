//! The media threads and the handle by which the rest of the program speaks to them.
//!
//! Nothing here waits for a media thread, and no media thread waits for anybody: orders go through bounded queues,
//! events and copied packets come back through bounded queues, and each says what happens when it is full.

mod counters;
mod guard;
mod homes;
mod inbox;
mod outbox;
mod priority;
mod sockets;
mod tap;
#[cfg(test)]
mod tests;
mod thread;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use media::{Command, Event, LegId};
use tokio::sync::mpsc;

use self::counters::ThreadCounters;
pub use self::counters::{MediaFigures, TICK_LATE_US};
use self::guard::Guard;
use self::homes::Homes;
use self::inbox::Inbox;
pub use self::inbox::Refused;
pub use self::priority::MediaPriority;
pub use self::sockets::{MediaIo, RECEIVE_BUFFER_BYTES};
pub use self::tap::{CaptureRing, CopyRing, TapRing};
use super::clock::Clock;

/// What the media threads need to know.
#[derive(Debug)]
pub struct MediaOptions {
    /// The local address of all RTP sockets.
    pub address: IpAddr,
    /// Media threads, at least one.
    pub threads: usize,
    /// Most legs at a time on each thread; the next one fails to open.
    pub legs_max: usize,
    /// The processors the threads stay on, one each and then from the start again; empty for any.
    pub cpus: Vec<usize>,
    /// How the threads wait for datagrams.
    pub io: MediaIo,
    /// Whether packets are taken to arrive when the kernel receives them, not when the thread takes them.
    pub stamps: bool,
    /// What the threads come before.
    pub priority: MediaPriority,
    /// Where copies of tapped legs' packets go.
    pub tap: Arc<TapRing>,
    /// Where copies of both directions of copied legs go.
    pub copies: Arc<CopyRing>,
    /// Where captured packets go.
    pub captures: Arc<CaptureRing>,
    /// Where events go, with the time they were made.
    pub events: mpsc::Sender<(Duration, Event)>,
    /// The program's clock.
    pub clock: Clock,
}

/// Speaks to the media threads. Cheap to clone; the threads end when `stop` is called or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct MediaHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    threads: Vec<Worker>,
    homes: Arc<Homes>,
    tap: Arc<TapRing>,
}

#[derive(Debug)]
struct Worker {
    inbox: Arc<Inbox>,
    counters: Arc<ThreadCounters>,
    join: Mutex<Option<JoinHandle<()>>>,
}

impl MediaHandle {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread, nothing to wait with or no randomness.
    pub fn start(options: MediaOptions) -> io::Result<Self> {
        let (mut threads, homes) = (Vec::new(), Arc::new(Homes::default()));
        let options = Arc::new(options);
        for number in 0..options.threads.max(1) {
            let inbox = Arc::new(Inbox::new()?);
            let counters = Arc::new(ThreadCounters::default());
            let guard = Guard::new(Arc::clone(&options), number, Arc::clone(&inbox), Arc::clone(&counters), &homes);
            let join = Mutex::new(Some(guard.start()?));
            threads.push(Worker { inbox, counters, join });
        }
        let shared = Shared { threads, homes, tap: Arc::clone(&options.tap) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens a leg on the thread of its call: legs with the same `call_group` can be bridged.
    ///
    /// # Errors
    /// When the thread's queue has no room for new legs.
    pub fn open(&self, call_group: u64, leg: LegId, port: u16, address: Option<IpAddr>) -> Result<(), Refused> {
        let thread = (call_group % self.shared.threads.len() as u64) as usize;
        self.shared.homes.settle(leg, thread, || self.post(thread, Command::Open { leg, port, address }))
    }

    /// Gives an order; `Open` without a group opens on the first thread.
    ///
    /// # Errors
    /// When the thread's queue is full, or a bridge names legs of two threads.
    pub fn send(&self, command: Command) -> Result<(), Refused> {
        let leg = match &command {
            Command::Open { leg, port, address } => return self.open(0, *leg, *port, *address),
            Command::Bridge { a, b } | Command::Supervise { supervisor: a, leg: b, .. } => {
                let homes = &self.shared.homes;
                if homes.of(*a).zip(homes.of(*b)).is_some_and(|(a, b)| a != b) {
                    return Err(Refused::Apart);
                }
                *a
            }
            Command::Configure { leg, .. }
            | Command::Play { leg, .. }
            | Command::Press { leg, .. }
            | Command::Secure { leg, .. }
            | Command::Renew { leg }
            | Command::Send { leg, .. }
            | Command::Key { leg, .. }
            | Command::StopPlay { leg }
            | Command::Tap { leg, .. }
            | Command::Copy { leg, .. }
            | Command::Capture { leg, .. }
            | Command::Close { leg } => *leg,
        };
        // An unknown leg is the engine's to answer; any thread's engine will do.
        let thread = self.shared.homes.of(leg).unwrap_or(0);
        let closes = matches!(command, Command::Close { .. });
        self.post(thread, command)?;
        if closes {
            self.shared.homes.leave(leg);
        }
        Ok(())
    }

    /// The sums over all threads, for metrics.
    pub fn figures(&self) -> MediaFigures {
        let mut figures = MediaFigures { tap_dropped: self.shared.tap.dropped(), ..MediaFigures::default() };
        for worker in &self.shared.threads {
            worker.counters.add_to(&mut figures);
        }
        figures
    }

    /// Ends all threads after the orders given so far, and waits for them; their sockets close.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Lets a thread break down.
    #[cfg(test)]
    fn break_down(&self, thread: usize) {
        self.shared.threads[thread].inbox.break_down();
    }

    fn post(&self, thread: usize, order: Command) -> Result<(), Refused> {
        let worker = self.shared.threads.get(thread).ok_or(Refused::Apart)?;
        worker.inbox.post(order)
    }
}

impl Shared {
    fn stop(&self) {
        for worker in &self.threads {
            worker.inbox.close();
        }
        for worker in &self.threads {
            let join = worker.join.lock().unwrap_or_else(PoisonError::into_inner).take();
            if join.is_some_and(|join| join.join().is_err()) {
                tracing::error!("a media thread had panicked");
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}
