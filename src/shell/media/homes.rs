//! On which thread a leg lives. Only those look here who give orders, and a thread that has broken down; never one that
//! relays.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use media::LegId;

use super::inbox::Refused;

/// As many legs as are open or about to be.
#[derive(Debug, Default)]
pub(super) struct Homes(Mutex<BTreeMap<LegId, usize>>);

impl Homes {
    /// Notes that a leg lives on a thread, when `open` has asked that thread for it. A thread that breaks down finds both
    /// or neither.
    ///
    /// # Errors
    /// Those of `open`.
    pub(super) fn settle(
        &self,
        leg: LegId,
        thread: usize,
        open: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut homes = self.lock();
        open()?;
        homes.insert(leg, thread);
        Ok(())
    }

    /// The leg's thread.
    pub(super) fn of(&self, leg: LegId) -> Option<usize> {
        self.lock().get(&leg).copied()
    }

    /// A leg is closed.
    pub(super) fn leave(&self, leg: LegId) {
        self.lock().remove(&leg);
    }

    /// Clears a thread that has broken down: `forget` lets go of the orders that it had not carried out. Returns the legs
    /// that lived there.
    pub(super) fn clear(&self, thread: usize, forget: impl FnOnce()) -> Vec<LegId> {
        let mut homes = self.lock();
        forget();
        homes.extract_if(.., |_, home| *home == thread).map(|(leg, _)| leg).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LegId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
