//! The recognising loop: one thread that turns what the listening thread hands on into words.
//!
//! Behind a bounded queue of its own, so that decoding a long sentence delays no observation; when it stalls or dies,
//! listening and calls go on without words.

mod queue;
#[cfg(test)]
mod tests;
mod worker;

#[cfg(test)]
pub(super) use tests::no_files;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use media::LegId;
use nlu::recognition::{Language, Recognizer};
use tokio::sync::mpsc;

use super::listen::{Heard, Utterances};
use crate::recognizer::RecognizerFiles;
use queue::{Piece, Queue};
use worker::Worker;

/// The running loop, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Recognizing {
    queue: Arc<Queue>,
    state: Arc<State>,
    files: Arc<Mutex<Result<RecognizerFiles, String>>>,
}

/// Makes a recogniser, or says why there is none.
type Load = Box<dyn FnMut() -> Result<Box<dyn Recognizer>, String> + Send>;

/// What the loop has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecognizingFigures {
    /// Audio that was taken, of all parties together.
    pub heard: Duration,
    /// Speech in it that was decoded.
    pub decoded: Duration,
    /// Time spent computing.
    pub busy: Duration,
    /// Audio that waits.
    pub backlog: Duration,
    /// Audio that was dropped because too much waited.
    pub dropped: Duration,
    /// How often the recogniser broke.
    pub restarts: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The recogniser is loaded and works.
    up: AtomicBool,
    /// There are other files.
    renewed: AtomicBool,
    /// The thread has ended.
    ended: AtomicBool,
    restarts: AtomicU64,
    spared: AtomicBool,
    samples: AtomicU64,
    samples_decoded: AtomicU64,
    busy_us: AtomicU64,
}

impl Recognizing {
    /// Starts the thread, which loads the recogniser first; what it hears goes to `heard`, and what it finally understands
    /// to `utterances`, too. Where there is no recogniser the thread waits for other files, and `files` tells why.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        files: Result<RecognizerFiles, String>,
        heard: mpsc::Sender<Heard>,
        utterances: Arc<Utterances>,
    ) -> std::io::Result<Self> {
        let files = Arc::new(Mutex::new(files));
        let read = Arc::clone(&files);
        let load = move || {
            let files = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
            files?.load()
        };
        Self::start_with(Box::new(load), files, heard, utterances)
    }

    pub(super) fn start_with(
        load: Load,
        files: Arc<Mutex<Result<RecognizerFiles, String>>>,
        heard: mpsc::Sender<Heard>,
        utterances: Arc<Utterances>,
    ) -> std::io::Result<Self> {
        let (queue, state) = (Arc::new(Queue::default()), Arc::new(State::default()));
        let recognizing = Self { queue: Arc::clone(&queue), state: Arc::clone(&state), files };
        let run = move || {
            // However this ends, nobody waits for words any longer.
            let _ended = Ended { queue: Arc::clone(&queue), state: Arc::clone(&state), _heard: heard.clone() };
            Worker::new(load, queue, state, heard, utterances).run();
        };
        thread::Builder::new().name("recognize".into()).spawn(run)?;
        Ok(recognizing)
    }

    /// Listens by other models and phrases from now on. Running calls go on; where these cannot be loaded, the recogniser
    /// that is there does, too.
    pub fn renew(&self, files: RecognizerFiles) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = Ok(files);
        self.state.renewed.store(true, Ordering::Relaxed);
    }

    /// Takes a party up, at position 0 of its audio.
    pub(super) fn open(&self, leg: LegId, language: Language) {
        self.queue.push(Piece::Open { leg, language });
    }

    /// Hands on audio of a party (8 kHz, [-1, 1]), the first sample at `position`.
    pub(super) fn push(&self, leg: LegId, position: u64, samples: &[f32]) {
        self.queue.push(Piece::Audio { leg, position, samples: samples.into() });
    }

    /// Lets go of a party.
    pub(super) fn close(&self, leg: LegId) {
        self.queue.push(Piece::Close { leg });
    }

    /// True while words are heard.
    pub fn is_up(&self) -> bool {
        self.state.up.load(Ordering::Relaxed)
    }

    /// From now on, whether only what is final is told.
    pub fn spare(&self, spared: bool) {
        self.state.spared.store(spared, Ordering::Relaxed);
    }

    /// What it has done so far.
    pub fn figures(&self) -> RecognizingFigures {
        let (waiting, dropped) = self.queue.samples();
        let of_samples = |samples: u64| Duration::from_micros(samples * MICROS_PER_SAMPLE);
        RecognizingFigures {
            heard: of_samples(self.state.samples.load(Ordering::Relaxed)),
            decoded: of_samples(self.state.samples_decoded.load(Ordering::Relaxed)),
            busy: Duration::from_micros(self.state.busy_us.load(Ordering::Relaxed)),
            backlog: of_samples(waiting),
            dropped: of_samples(dropped),
            restarts: self.state.restarts.load(Ordering::Relaxed),
        }
    }

    /// Asks the thread to end.
    pub fn stop(&self) {
        self.queue.close();
    }

    /// True once the thread, which was asked to, has ended.
    pub fn has_ended(&self) -> bool {
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

/// At 8 kHz.
const MICROS_PER_SAMPLE: u64 = 125;
