//! The recognising of one language: a thread with a queue and a recogniser of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nlu::recognition::{Language, Recognizer};
use tokio::sync::mpsc;

use super::queue::{Piece, Queue};
use super::worker::Worker;
use super::{RecognizingFigures, Told, of_samples};
use crate::shell::listen::Heard;

/// Makes a recogniser, or says why there is none.
pub(super) type Load = Box<dyn FnMut() -> Result<Box<dyn Recognizer>, String> + Send>;

/// The running thread.
#[derive(Debug)]
pub(super) struct Lane {
    queue: Arc<Queue>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The recogniser is loaded and works.
    pub(super) up: AtomicBool,
    /// There are other files.
    pub(super) renewed: AtomicBool,
    /// The thread has ended.
    pub(super) ended: AtomicBool,
    pub(super) restarts: AtomicU64,
    pub(super) spared: AtomicBool,
    pub(super) samples: AtomicU64,
    pub(super) samples_decoded: AtomicU64,
    pub(super) undecoded: AtomicU64,
    pub(super) busy_us: AtomicU64,
}

impl Lane {
    /// Starts the thread, which loads the recogniser first.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(language: Language, load: Load, told: Told) -> std::io::Result<Self> {
        let (queue, state) = (Arc::new(Queue::default()), Arc::new(State::default()));
        let lane = Self { queue: Arc::clone(&queue), state: Arc::clone(&state) };
        let run = move || {
            // However this ends, nobody waits for words any longer.
            let _ended = Ended { queue: Arc::clone(&queue), state: Arc::clone(&state), _heard: told.heard.clone() };
            Worker::new(language, load, queue, state, told).run();
        };
        thread::Builder::new().name(format!("recognize-{}", language.code())).spawn(run)?;
        Ok(lane)
    }

    pub(super) fn push(&self, piece: Piece) {
        self.queue.push(piece);
    }

    /// Has it load its recogniser again.
    pub(super) fn renew(&self) {
        self.state.renewed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.up.load(Ordering::Relaxed)
    }

    pub(super) fn spare(&self, spared: bool) {
        self.state.spared.store(spared, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> RecognizingFigures {
        let (waiting, dropped) = self.queue.samples();
        RecognizingFigures {
            heard: of_samples(self.state.samples.load(Ordering::Relaxed)),
            decoded: of_samples(self.state.samples_decoded.load(Ordering::Relaxed)),
            busy: Duration::from_micros(self.state.busy_us.load(Ordering::Relaxed)),
            backlog: of_samples(waiting),
            dropped: of_samples(dropped),
            undecoded: self.state.undecoded.load(Ordering::Relaxed),
            restarts: self.state.restarts.load(Ordering::Relaxed),
        }
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        self.queue.close();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::Acquire)
    }
}

/// Closes the queue when the thread ends, by whatever way. Holds an end of the other queue, so that whoever sees that
/// one close finds this one closed.
struct Ended {
    queue: Arc<Queue>,
    state: Arc<State>,
    _heard: mpsc::Sender<Heard>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.queue.close();
        self.state.up.store(false, Ordering::Relaxed);
        self.state.ended.store(true, Ordering::Release);
    }
}
