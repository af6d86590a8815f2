//! What the folder of kept audio is asked for that may take its time: a thread of its own does it, so that no frame is lost
//! meanwhile.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tracing::{error, info, warn};

use super::give_way;
use crate::reel::ReelWriter;
use crate::store::Store;

/// What may wait to be done: the ends of a thousand calls.
const CHORES_MAX: usize = 1_024;

/// The running thread; it ends when this goes.
#[derive(Debug)]
pub(super) struct Chores {
    inlet: SyncSender<Chore>,
    counted: Receiver<Counted>,
}

/// What the files of the folder take, octets.
#[derive(Debug)]
pub(super) struct Counted {
    /// What was known of it when somebody asked.
    pub(super) known: u64,
    /// What was found.
    pub(super) found: u64,
}

#[derive(Debug)]
enum Chore {
    Sync { call: String, reel: Box<ReelWriter> },
    Count { known: u64 },
}

impl Chores {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn start(store: Store) -> io::Result<Self> {
        let (inlet, chores) = sync_channel(CHORES_MAX);
        let (outlet, counted) = sync_channel(1);
        let run = move || {
            give_way();
            while let Ok(chore) = chores.recv() {
                if catch_unwind(AssertUnwindSafe(|| carry_out(chore, &store, &outlet))).is_err() {
                    error!("what the folder of kept audio was asked for broke");
                }
            }
        };
        thread::Builder::new().name("reels-chores".into()).spawn(run)?;
        Ok(Self { inlet, counted })
    }

    /// Makes sure that a reel is on the disk that has come to its end.
    pub(super) fn sync(&self, call: String, reel: Box<ReelWriter>) {
        if let Err(refused) = self.inlet.try_send(Chore::Sync { call, reel }) {
            warn!(%refused, "the end of kept audio may not be on the disk");
        }
    }

    /// Has the folder looked through; what it takes is `known` so far.
    pub(super) fn count(&self, known: u64) {
        // It is asked again.
        let _taken = self.inlet.try_send(Chore::Count { known });
    }

    /// What was counted, once it was.
    pub(super) fn counted(&self) -> Option<Counted> {
        self.counted.try_recv().ok()
    }
}

fn carry_out(chore: Chore, store: &Store, counted: &SyncSender<Counted>) {
    match chore {
        Chore::Sync { call, reel } => {
            if let Err(error) = reel.sync() {
                warn!(call, %error, "the end of kept audio may not be on the disk");
            }
        }
        Chore::Count { known } => match store.clean_reels() {
            Ok((removed, found)) => {
                if removed > 0 {
                    info!(removed, "files of kept audio that belong to no call are removed");
                }
                // One that nobody took yet is as good.
                let _taken = counted.try_send(Counted { known, found });
            }
            Err(error) => warn!(%error, "what kept audio takes cannot be counted"),
        },
    }
}
