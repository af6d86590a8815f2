//! Calls in sled: every notice sealed, in order, under names in which nothing can be read.
//!
//! A call is what its notices add up to, as on the board; only its line in the list is kept ready. Written by one thread;
//! read by whoever asks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sled::{Batch, Db, Tree};

use super::keys::KeyRing;
use crate::notice::{Notice, What};
use crate::web::{CallRecord, Moment, State, Summary};

/// How often sled writes out what it was given.
const FLUSH_MS: u64 = 500;
/// What sled may keep in memory, bytes.
const CACHE_BYTES: u64 = 32 << 20;
/// Notices kept per call; those of a call that goes on longer are dropped and counted.
const NOTICES_MAX: u32 = 200_000;
/// Calls that are followed at a time, as on the board.
const RUNNING_MAX: usize = crate::web::ACTIVE_MAX;

/// A call's name in the store.
type CallName = [u8; 16];
/// A call's place in the list: when it started, then its name.
type Place = [u8; 24];

/// A notice with the moment it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// The notice.
    pub notice: Notice,
}

/// The embedded store.
#[derive(Debug, Clone)]
pub struct Embedded {
    db: Db,
    notices: Tree,
    calls: Tree,
    running: Tree,
    keys: Arc<KeyRing>,
}

/// The calls that are up, as the writing thread follows them.
#[derive(Debug, Default)]
pub struct Running(BTreeMap<CallName, Followed>);

#[derive(Debug, Clone, Copy)]
struct Followed {
    place: Place,
    next: u32,
}

impl Embedded {
    /// Opens the store in `folder`, which is made where there is none.
    ///
    /// # Errors
    /// When it cannot be read, is in use by another program, or is broken.
    pub fn open(folder: &Path, keys: &Arc<KeyRing>) -> Result<Self, String> {
        let open = || -> sled::Result<Self> {
            let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_MS));
            let db = config.open()?;
            let (notices, calls, running) =
                (db.open_tree("notices")?, db.open_tree("calls")?, db.open_tree("running")?);
            Ok(Self { db, notices, calls, running, keys: Arc::clone(keys) })
        };
        // A file that is not one of sled's can make it panic.
        let opened = catch_unwind(AssertUnwindSafe(open));
        let in_folder = |why: String| format!("{}: {why}", folder.display());
        opened.map_err(|_| in_folder("it is broken".to_owned()))?.map_err(|error| in_folder(error.to_string()))
    }

    /// Ends calls that were up when the program before this one ended. How many there were.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn end_abandoned(&self, running: &mut Running, now: Moment) -> Result<usize, String> {
        let mut abandoned = Vec::new();
        for entry in &self.running {
            let (name, place) = entry.map_err(said)?;
            if let (Ok(name), Ok(place)) = (CallName::try_from(&*name), Place::try_from(&*place)) {
                abandoned.push((name, place));
            }
        }
        for (name, place) in &abandoned {
            let Some((record, next)) = self.fold(name)? else {
                self.running.remove(name).map_err(said)?;
                continue;
            };
            running.0.insert(*name, Followed { place: *place, next });
            if record.state == State::Ended {
                self.end(running, name)?;
                continue;
            }
            let peak = record.peak.as_ref();
            let what = What::CallEnded {
                reason: "the server ended".to_owned(),
                talk_ms: 0,
                peak_anger: peak.map_or(0.0, |peak| peak.anger),
                peak_level: peak.map_or_else(|| "low".to_owned(), |peak| peak.level.clone()),
                packets_lost: 0,
            };
            let call_ms = record.events.back().map_or(0, |event| event.notice.call_ms);
            let notice = Notice { call: record.id.clone(), call_ms, what };
            self.keep(running, &[Kept { unix_ms: now.0, notice }])?;
        }
        Ok(abandoned.len())
    }

    /// Takes up notices, in order. Those of calls that nobody has told of change nothing, as on the board. How many were
    /// dropped because their call had too many.
    ///
    /// # Errors
    /// When the store cannot be written; some of them may be in it then.
    pub fn keep(&self, running: &mut Running, kept: &[Kept]) -> Result<u64, String> {
        let (mut notices, mut dropped, mut ended) = (Batch::default(), 0, Vec::new());
        for kept in kept {
            let name = self.keys.blind(kept.notice.call.as_bytes());
            if let What::CallStarted { .. } = kept.notice.what {
                self.start(running, name, kept)?;
            }
            let Some(call) = running.0.get_mut(&name) else { continue };
            let over = matches!(kept.notice.what, What::CallEnded { .. });
            if call.next >= NOTICES_MAX && !over {
                dropped += 1;
                continue;
            }
            let at = notice_key(&name, call.next);
            let plain = serde_json::to_vec(kept).map_err(|error| error.to_string())?;
            notices.insert(&at[..], self.keys.seal(&at, &plain));
            call.next += 1;
            if over {
                ended.push(name);
            }
        }
        self.notices.apply_batch(notices).map_err(said)?;
        for name in ended {
            self.end(running, &name)?;
        }
        Ok(dropped)
    }

    fn start(&self, running: &mut Running, name: CallName, kept: &Kept) -> Result<(), String> {
        if running.0.len() >= RUNNING_MAX {
            return Ok(());
        }
        let mut place = [0; 24];
        place[..8].copy_from_slice(&kept.unix_ms.to_be_bytes());
        place[8..].copy_from_slice(&name);
        running.0.insert(name, Followed { place, next: 0 });
        self.running.insert(name, &place).map_err(said)?;
        Ok(())
    }

    /// Writes a call's line in the list.
    fn end(&self, running: &mut Running, name: &CallName) -> Result<(), String> {
        let (Some(call), Some((record, _))) = (running.0.remove(name), self.fold(name)?) else { return Ok(()) };
        let line = serde_json::to_vec(&Summary::from(&record)).map_err(|error| error.to_string())?;
        self.calls.insert(call.place, self.keys.seal(&call.place, &line)).map_err(said)?;
        self.running.remove(name).map_err(said)?;
        Ok(())
    }

    /// A call by its id, whole as on the board.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds cannot be opened.
    pub fn call(&self, id: &str) -> Result<Option<CallRecord>, String> {
        Ok(self.fold(&self.keys.blind(id.as_bytes()))?.map(|(record, _)| record))
    }

    /// The lines of ended calls that started before `before`, newest first.
    ///
    /// # Errors
    /// As [`Embedded::call`].
    pub fn calls(&self, before: Moment, max: usize) -> Result<Vec<serde_json::Value>, String> {
        let mut lines = Vec::new();
        for entry in self.calls.range(..before.0.to_be_bytes()).rev().take(max) {
            let (place, sealed) = entry.map_err(said)?;
            let line = self.keys.open_value(&place, &sealed).map_err(|error| error.to_string())?;
            lines.push(serde_json::from_slice(&line).map_err(|error| error.to_string())?);
        }
        Ok(lines)
    }

    /// Removes ended calls that started before `before`, oldest first, at most `max` of them. How many were removed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn forget_before(&self, before: Moment, max: usize) -> Result<usize, String> {
        let mut forgotten = 0;
        for entry in self.calls.range(..before.0.to_be_bytes()).take(max) {
            let (place, _) = entry.map_err(said)?;
            if let Some(name) = place.get(8..).and_then(|name| CallName::try_from(name).ok()) {
                self.forget(&name)?;
            }
            self.calls.remove(&place).map_err(said)?;
            forgotten += 1;
        }
        Ok(forgotten)
    }

    fn forget(&self, name: &CallName) -> Result<(), String> {
        let mut gone = Batch::default();
        for key in self.notices.scan_prefix(name).keys() {
            gone.remove(key.map_err(said)?);
        }
        self.notices.apply_batch(gone).map_err(said)
    }

    /// How many bytes it takes on disk.
    pub fn bytes(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }

    /// Writes out everything.
    ///
    /// # Errors
    /// When that fails.
    pub fn flush(&self) -> Result<(), String> {
        self.db.flush().map(drop).map_err(said)
    }

    /// What the notices of a call add up to, and how many there are.
    fn fold(&self, name: &CallName) -> Result<Option<(CallRecord, u32)>, String> {
        let (mut record, mut next): (Option<CallRecord>, u32) = (None, 0);
        for entry in self.notices.scan_prefix(name) {
            let (key, sealed) = entry.map_err(said)?;
            let plain = self.keys.open_value(&key, &sealed).map_err(|error| error.to_string())?;
            let Kept { unix_ms, notice } = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
            let now = Moment(unix_ms);
            if let What::CallStarted { from, to, route, scenario } = &notice.what {
                record = Some(CallRecord::new(&notice.call, from, to, route, scenario, now));
            }
            if let Some(record) = &mut record {
                record.apply(&notice, now);
            }
            let number = key.get(16..).and_then(|number| <[u8; 4]>::try_from(number).ok());
            next = number.map_or(next, |number| u32::from_be_bytes(number).saturating_add(1));
        }
        Ok(record.map(|record| (record, next)))
    }
}

fn notice_key(name: &CallName, number: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(name);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

#[expect(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn said(error: sled::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
