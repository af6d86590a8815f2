//! The recognising loop: one thread that turns what the listening thread hands on into words.
//!
//! Behind a bounded queue of its own, so that decoding a long sentence delays no observation; when it stalls or dies,
//! listening and calls go on without words.

mod queue;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use media::LegId;
use nlu::recognition::{Language, Recognizer};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::listen::Heard;
use crate::recognizer::RecognizerFiles;
use queue::{Piece, Queue};
use worker::Worker;

/// The running loop, as the rest of the program sees it.
#[derive(Debug, Clone)]
pub struct Recognizing {
    queue: Arc<Queue>,
    state: Arc<State>,
}

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
}

#[derive(Debug, Default)]
struct State {
    /// The recogniser is loaded and its thread runs.
    up: AtomicBool,
    spared: AtomicBool,
    samples: AtomicU64,
    samples_decoded: AtomicU64,
    busy_us: AtomicU64,
}

impl Recognizing {
    /// Starts the thread, which loads the recogniser first; what it hears goes to `heard`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(files: RecognizerFiles, heard: mpsc::Sender<Heard>) -> std::io::Result<Self> {
        let load = move || match files.load() {
            Ok(recognizer) => Some(Box::new(recognizer) as Box<dyn Recognizer>),
            Err(why) => {
                warn!(%why, "no recogniser: listening without words");
                None
            }
        };
        Self::start_with(load, heard)
    }

    fn start_with(
        load: impl FnOnce() -> Option<Box<dyn Recognizer>> + Send + 'static,
        heard: mpsc::Sender<Heard>,
    ) -> std::io::Result<Self> {
        let (queue, state) = (Arc::new(Queue::default()), Arc::new(State::default()));
        let recognizing = Self { queue: Arc::clone(&queue), state: Arc::clone(&state) };
        let run = move || {
            // However this ends, nobody waits for words any longer.
            let _ended = Ended { queue: Arc::clone(&queue), state: Arc::clone(&state), _heard: heard.clone() };
            let Some(recognizer) = load() else { return };
            info!(recogniser = recognizer.name(), "listening for words");
            state.up.store(true, Ordering::Relaxed);
            Worker::new(recognizer, queue, state, heard).run();
        };
        thread::Builder::new().name("recognize".into()).spawn(run)?;
        Ok(recognizing)
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
        }
    }

    /// Asks the thread to end.
    pub fn stop(&self) {
        self.queue.close();
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
    }
}

/// At 8 kHz.
const MICROS_PER_SAMPLE: u64 = 125;
