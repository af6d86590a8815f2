//! Loads what reads words beside the listening thread: reading a model takes longer than a round of it may.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nlu::text::TextReader;
use tracing::{info, warn};

use super::worker::NICENESS;
use crate::lexicons::ReaderFiles;

/// The files that readers are made of, and the reader that waits to be taken.
#[derive(Debug)]
pub struct Readers(Mutex<Wanted>);

#[derive(Debug)]
struct Wanted {
    files: Arc<ReaderFiles>,
    loaded: Option<TextReader>,
}

impl Readers {
    /// Readers of these files; none of them is loaded before somebody listens.
    pub fn new(files: ReaderFiles) -> Self {
        Self(Mutex::new(Wanted { files: Arc::new(files), loaded: None }))
    }

    /// Has words read by other files, also those of parties who are there already.
    pub fn exchange(self: &Arc<Self>, files: ReaderFiles) {
        self.lock().files = Arc::new(files);
        self.load();
    }

    /// Begins to load a reader; whoever listens takes it when it is there.
    pub(super) fn load(self: &Arc<Self>) {
        let readers = Arc::clone(self);
        let load = move || {
            if let Err(error) = rustix::process::nice(NICENESS) {
                warn!(%error, "what reads words is loaded at the media threads' priority");
            }
            let files = Arc::clone(&readers.lock().files);
            let (reader, why) = files.load();
            if let Some(why) = why {
                warn!(%why, "no text model: words are read by lexicons only");
            }
            info!(words = files.words(), model = reader.model().is_some(), "reading words");
            let mut wanted = readers.lock();
            // Meanwhile there may be other files, whose reader comes of itself.
            if Arc::ptr_eq(&wanted.files, &files) {
                wanted.loaded = Some(reader);
            }
        };
        if let Err(error) = thread::Builder::new().name("load-reader".into()).spawn(load) {
            warn!(%error, "no thread to load what reads words: words are not read");
        }
    }

    /// The reader that was loaded since the last look.
    pub(super) fn take(&self) -> Option<TextReader> {
        self.lock().loaded.take()
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        // Every change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
