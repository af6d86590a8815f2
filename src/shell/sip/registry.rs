//! Who is on: finds the leg of a command and the leg of an in-dialog request.
//!
//! Holds an entry exactly as long as the leg's task lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::LegId;
use tokio::sync::mpsc;

use super::dialog::DialogKey;
use super::leg::Input;
use super::referral::Replaces;
use super::trace::Trace;

/// All legs that are on.
#[derive(Debug)]
pub(super) struct Registry {
    tables: Mutex<Tables>,
    /// Who is told of the dialogs of legs, where anybody follows messages.
    trace: Option<Arc<Trace>>,
}

#[derive(Debug, Default)]
struct Tables {
    inboxes: BTreeMap<LegId, On>,
    dialogs: BTreeMap<DialogKey, LegId>,
    /// The INVITEs that legs came with.
    invites: BTreeSet<Origin>,
    /// The dialogs that are up, as Replaces names them for their far ends, and who these are.
    places: BTreeMap<LegId, (Replaces, String)>,
}

/// A leg that is on.
#[derive(Debug)]
struct On {
    key: DialogKey,
    origin: Option<Origin>,
    inbox: mpsc::Sender<Input>,
}

/// What an INVITE is to its sender, whichever way it came: Call-ID, the tag of From, and CSeq (RFC 3261 §8.2.2.2).
pub(super) type Origin = (String, String, u32);

/// Why a leg was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its number or its dialog is another one's.
    Name,
    /// Its INVITE has come before, another way.
    Invite,
}

impl Registry {
    /// Nobody is on yet.
    pub(super) fn new(trace: Option<Arc<Trace>>) -> Self {
        Self { tables: Mutex::default(), trace }
    }

    /// Adds a leg, with the INVITE that it came with.
    ///
    /// # Errors
    /// When its number, its dialog or its INVITE is taken.
    pub(super) fn add(
        &self,
        leg: LegId,
        key: DialogKey,
        origin: Option<Origin>,
        inbox: mpsc::Sender<Input>,
    ) -> Result<(), Taken> {
        let mut tables = self.lock();
        if tables.inboxes.contains_key(&leg) || tables.dialogs.contains_key(&key) {
            return Err(Taken::Name);
        }
        if origin.as_ref().is_some_and(|origin| !tables.invites.insert(origin.clone())) {
            return Err(Taken::Invite);
        }
        if let Some(trace) = &self.trace {
            trace.took(leg, &key.0);
        }
        tables.dialogs.insert(key.clone(), leg);
        tables.inboxes.insert(leg, On { key, origin, inbox });
        Ok(())
    }

    /// Forgets a leg.
    pub(super) fn remove(&self, leg: LegId) {
        let mut tables = self.lock();
        if let Some(On { key, origin, .. }) = tables.inboxes.remove(&leg) {
            tables.dialogs.remove(&key);
            if let Some(origin) = origin {
                tables.invites.remove(&origin);
            }
            if let Some(trace) = &self.trace {
                trace.left(leg, &key.0);
            }
        }
        tables.places.remove(&leg);
    }

    /// A leg's dialog is up.
    pub(super) fn take_place(&self, leg: LegId, place: (Replaces, String)) {
        let mut tables = self.lock();
        if tables.inboxes.contains_key(&leg) {
            tables.places.insert(leg, place);
        }
    }

    /// A leg's dialog as Replaces names it for its far end, and the far end's URI; nothing while it is not up.
    pub(super) fn place_of(&self, leg: LegId) -> Option<(Replaces, String)> {
        self.lock().places.get(&leg).cloned()
    }

    /// The leg whose dialog a Replaces of somebody else names.
    pub(super) fn replaced(&self, named: &Replaces) -> Option<LegId> {
        let tables = self.lock();
        let leg = *tables.dialogs.get(&(named.call_id.clone(), named.to_tag.clone()))?;
        let (place, _) = tables.places.get(&leg)?;
        (place.to_tag == named.from_tag).then_some(leg)
    }

    /// The inbox of a leg.
    pub(super) fn inbox(&self, leg: LegId) -> Option<mpsc::Sender<Input>> {
        self.lock().inboxes.get(&leg).map(|on| on.inbox.clone())
    }

    /// The inbox of the leg that has a dialog.
    pub(super) fn inbox_of_dialog(&self, key: &DialogKey) -> Option<mpsc::Sender<Input>> {
        let tables = self.lock();
        let leg = tables.dialogs.get(key)?;
        tables.inboxes.get(leg).map(|on| on.inbox.clone())
    }

    /// The inboxes of all legs.
    pub(super) fn all(&self) -> Vec<mpsc::Sender<Input>> {
        self.lock().inboxes.values().map(|on| on.inbox.clone()).collect()
    }

    /// How many legs are on.
    pub(super) fn len(&self) -> usize {
        let tables = self.lock();
        tables.inboxes.len().max(tables.dialogs.len())
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
