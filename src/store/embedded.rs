//! Calls in sorted trees: every notice sealed, in order, under names in which nothing can be read.
//!
//! A call is what its notices add up to, as on the board; only its line in the list is kept ready. Written by one thread;
//! read by whoever asks. Whose calls they are, and what is forgotten when, is in `people` and `forget`.

mod accounts;
mod alerts;
mod dump;
mod forget;
mod minutes;
mod outbox;
mod people;
mod records;
mod reels;
mod refused;
mod shared;
mod tenants;
mod version;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::keys::KeyRing;
use super::notices::class_of;
use super::site::Site;
use super::slots::{CallKeys, Class, Seat, Slots, head_of, seat_of};
use super::trees::{Batch, Order, Tree, Trees};
use crate::notice::{Notice, Outcome, What};
use crate::report::CallFacts;
use crate::settings::DatabaseSettings;
use crate::web::{CallRecord, Late, Moment, State, Summary};
pub(super) use people::pseudonym;
pub use people::{Erased, Held, Hold, is_pseudonym, names_somebody};
pub(super) use reels::REEL_CLASS;
pub use tenants::ErasedTenant;
use tenants::Tenants;

/// Notices kept per call; those of a call that goes on longer are dropped and counted.
const NOTICES_MAX: u32 = 200_000;
/// Calls that are followed at a time, as on the board.
const RUNNING_MAX: usize = crate::web::ACTIVE_MAX;

/// Where the calls' keys lie in the folder, and the tenants' halves of them.
const KEYS_FILE: &str = "keys";
const TENANTS_FILE: &str = "tenants";
/// Without these, nothing in the folder opens.
pub(super) const KEY_FILES: [&str; 2] = [KEYS_FILE, TENANTS_FILE];
/// Where kept audio lies, unless it is elsewhere.
const AUDIO_FOLDER: &str = "audio";

/// What there is, in the order in which back-ups need it: calls that are up before all others.
const TREES: [&str; 12] = [
    "running", "parties", "people", "holds", "notices", "calls", "facts", "marks", "outbox", "accounts", "reels",
    "waiting",
];

/// A call's name in the store.
type CallName = [u8; 16];
/// A call's place in the list: when it started, then its name.
type Place = [u8; 24];

/// Which notice of each call comes next.
pub type Numbers = BTreeMap<CallName, u32>;

/// A notice with the moment it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// The notice.
    pub notice: Notice,
}

/// Calls and what was told of them.
#[derive(Debug, Clone)]
pub struct Embedded {
    trees: Trees,
    notices: Tree,
    calls: Tree,
    /// What reports need of each.
    facts: Tree,
    running: Tree,
    /// Who takes part in which calls, and the other way round.
    people: Tree,
    parties: Tree,
    /// Whose calls nobody removes.
    holds: Tree,
    /// How far classes were forgotten.
    marks: Tree,
    /// What systems outside are still to be told of.
    outbox: Tree,
    /// Who may sign in, beside those of the configuration.
    accounts: Tree,
    /// Of which calls audio is kept, and by whose keys.
    reels: Tree,
    /// Where its files are.
    audio: PathBuf,
    /// Alerts that wait for a reaction.
    alerts: Tree,
    keys: Arc<KeyRing>,
    slots: Arc<Mutex<Slots>>,
    tenants: Arc<Mutex<Tenants>>,
    /// What it has together with other nodes.
    site: Option<Arc<Site>>,
}

/// The calls that are up, as the writing thread follows them.
#[derive(Debug, Default)]
pub struct Running {
    calls: BTreeMap<CallName, Followed>,
    /// Whose words are to be forgotten, and could not be.
    refused: BTreeSet<CallName>,
}

impl Running {
    /// Notes a call in which the caller refused that words are kept, where no notice says so: they are forgotten at its end, or
    /// when the store is opened again.
    pub fn note_refused(&mut self, keys: &KeyRing, call: &str) {
        if self.refused.len() < RUNNING_MAX {
            self.refused.insert(keys.blind(call.as_bytes()));
        }
    }

    /// Which notice of each call that is up comes next.
    pub fn numbers(&self) -> Numbers {
        self.calls.iter().map(|(name, call)| (*name, call.next)).collect()
    }

    /// Goes back to where calls were before something was written that is written again: it takes the place of what is there of it.
    pub fn go_back(&mut self, numbers: &Numbers) {
        for (name, call) in &mut self.calls {
            // One that is not among them began with it.
            call.next = numbers.get(name).copied().unwrap_or(0);
        }
    }

    /// Notes, of what could not be written, which calls are over, and in which callers refused that words are kept.
    pub fn note_lost(&mut self, keys: &KeyRing, lost: &[Kept]) {
        for kept in lost {
            let name = || keys.blind(kept.notice.call.as_bytes());
            match &kept.notice.what {
                What::CallEnded { .. } => drop(self.calls.remove(&name())),
                what if what.refuses_words() => self.note_refused(keys, &kept.notice.call),
                _ => {}
            }
        }
    }
}

/// What is written of calls that begin, together with their notices.
#[derive(Debug, Default)]
struct Names {
    running: Batch,
    people: Batch,
    parties: Batch,
}

#[derive(Debug)]
struct Followed {
    place: Place,
    next: u32,
    keys: CallKeys,
    /// What reports know of it, when it has ended before.
    facts: Option<Box<CallFacts>>,
}

/// What the notices of a call add up to.
struct Folded {
    /// Nothing when there are none, or the keys of what began it are gone.
    record: Option<CallRecord>,
    /// The next notice's number.
    next: u32,
    /// Whose keys seal them.
    seats: BTreeSet<Seat>,
}

impl Embedded {
    /// Opens what is kept in `folder`, which is made where there is none, or in a database; the calls' keys are in the folder.
    ///
    /// # Errors
    /// When it cannot be read, is in use by another program, or is broken.
    pub fn open(folder: &Path, database: Option<&DatabaseSettings>, keys: &Arc<KeyRing>) -> Result<Self, String> {
        let trees = trees_of(folder, database, keys)?;
        let in_folder = |why: std::io::Error| format!("{}: {why}", folder.display());
        let slots = Slots::open(&folder.join(KEYS_FILE)).map_err(in_folder)?;
        let tenants = Tenants::new(Slots::open(&folder.join(TENANTS_FILE)).map_err(in_folder)?);
        let opened = TREES.into_iter().map(|name| trees.tree(name)).collect::<Result<Vec<Tree>, String>>()?;
        let opened = <[Tree; TREES.len()]>::try_from(opened).expect("as many as there are names");
        let [running, parties, people, holds, notices, calls, facts, marks, outbox, accounts, reels, alerts] = opened;
        let (keys, slots, tenants) = (Arc::clone(keys), Arc::new(Mutex::new(slots)), Arc::new(Mutex::new(tenants)));
        let all = Self {
            trees,
            notices,
            calls,
            facts,
            running,
            people,
            parties,
            holds,
            marks,
            outbox,
            accounts,
            reels,
            audio: folder.join(AUDIO_FOLDER),
            alerts,
            keys,
            slots,
            tenants,
            site: None,
        };
        all.note_version()?;
        Ok(all)
    }

    /// The same with its files of kept audio elsewhere.
    pub fn with_audio_in(self, audio: PathBuf) -> Self {
        Self { audio, ..self }
    }

    /// Ends calls that were up when the program before this one ended, or when the store could not be written any more; those
    /// that are `up` still go on. How many were ended.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn end_abandoned(&self, running: &mut Running, up: &Running, now: Moment) -> Result<usize, String> {
        let (mut abandoned, mut count) = (Vec::new(), 0);
        for entry in self.running.pairs(&[], None, Order::Up) {
            let (name, place) = entry?;
            if let (Ok(name), Ok(place)) = (CallName::try_from(name), Place::try_from(place)) {
                abandoned.push((name, place));
            }
        }
        for (name, place) in &abandoned {
            let Folded { record, next, .. } = self.fold(name)?;
            let Some(record) = record else {
                // All of its tenant was erased, or nothing of it was written.
                self.running.remove(name)?;
                self.forget(&[*place])?;
                continue;
            };
            // Keys of its own for each opening: after a restore, the same opening may come once more, with the same nonces. One
            // that goes on in this program has them.
            let keys = match up.calls.get(name) {
                Some(followed) => followed.keys.clone(),
                None => self.fresh_keys(record.tags.tenant.as_deref())?,
            };
            running.calls.insert(*name, Followed { place: *place, next, keys, facts: None });
            if up.refused.contains(name) || record.consent.as_deref() == Some("refused") {
                self.forget_words(running, name)?;
            }
            self.slots().sync().map_err(|error| error.to_string())?;
            if record.state == State::Ended {
                self.end(running, &[*name])?;
                continue;
            }
            if up.calls.contains_key(name) {
                continue;
            }
            count += 1;
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
        Ok(count)
    }

    /// Takes up notices, in order. Those of calls that nobody has told of change nothing, as on the board. How many were
    /// dropped because their call had too many.
    ///
    /// # Errors
    /// When the store cannot be written; some of them may be in it then.
    pub fn keep(&self, running: &mut Running, kept: &[Kept]) -> Result<u64, String> {
        let (mut notices, mut names, mut dropped) = (Batch::default(), Names::default(), 0);
        let (mut refused, mut ended) = (Vec::new(), Vec::new());
        for kept in kept {
            let name = self.keys.blind(kept.notice.call.as_bytes());
            if let What::CallStarted { tags, .. } = &kept.notice.what {
                self.start(running, (name, tags.tenant.as_deref()), kept, &mut names)?;
            }
            let Some(call) = running.calls.get_mut(&name) else { continue };
            let over = matches!(kept.notice.what, What::CallEnded { .. });
            if call.next >= NOTICES_MAX && !over {
                dropped += 1;
                continue;
            }
            let at = notice_key(&name, call.next);
            let plain = serde_json::to_vec(kept).map_err(|error| error.to_string())?;
            let class = class_of(&kept.notice.what);
            let sealed = call.keys.seal(&self.keys, class, &at, &plain).map_err(|error| error.to_string())?;
            notices.insert(&at[..], sealed);
            call.next += 1;
            self.index(&name, &call.place, &kept.notice.what, &mut names);
            match &kept.notice.what {
                What::CallEnded { .. } => {
                    ended.push(name);
                    refused.extend(running.refused.get(&name));
                }
                what if what.refuses_words() => refused.push(name),
                _ => {}
            }
        }
        // Keys before what they seal.
        self.slots().sync().map_err(|error| error.to_string())?;
        self.running.apply(names.running)?;
        self.people.apply(names.people)?;
        self.parties.apply(names.parties)?;
        self.notices.apply(notices)?;
        for name in refused {
            self.forget_words(running, &name)?;
        }
        self.end(running, &ended)?;
        for name in &ended {
            running.refused.remove(name);
        }
        Ok(dropped)
    }

    fn start(
        &self,
        running: &mut Running,
        (name, tenant): (CallName, Option<&str>),
        kept: &Kept,
        names: &mut Names,
    ) -> Result<(), String> {
        if running.calls.len() >= RUNNING_MAX || running.calls.contains_key(&name) {
            return Ok(());
        }
        let place = place_of(kept.unix_ms, &name);
        let keys = self.fresh_keys(tenant)?;
        running.calls.insert(name, Followed { place, next: 0, keys, facts: None });
        names.running.insert(name, place);
        Ok(())
    }

    /// Writes a call's line in the list.
    fn end(&self, running: &mut Running, names: &[CallName]) -> Result<(), String> {
        let (mut facts_of, mut lines, mut gone) = (Batch::default(), Batch::default(), Batch::default());
        let mut shared = Vec::new();
        for name in names {
            let Some(Followed { place, keys, facts, .. }) = running.calls.remove(name) else { continue };
            let Some(record) = self.fold(name)?.record else {
                // All of its tenant was erased while it was up.
                self.running.remove(name)?;
                self.forget(&[place])?;
                continue;
            };
            let facts = match facts {
                // The record may have less by now: words and timelines are forgotten earlier than calls.
                Some(mut facts) => {
                    facts.tell_outcomes(&record);
                    *facts
                }
                None => CallFacts::from(&record),
            };
            let mut summary = Summary::from(&record);
            // The line is kept longer than words.
            summary.emotion.iter_mut().for_each(|step| step.words = None);
            let line = serde_json::to_vec(&summary).map_err(|error| error.to_string())?;
            let facts = serde_json::to_vec(&facts).map_err(|error| error.to_string())?;
            let seal = |context: &[u8], plain: &[u8]| {
                keys.seal(&self.keys, Class::Record, context, plain).map_err(|error| error.to_string())
            };
            facts_of.insert(place, seal(&facts_context(&place), &facts)?);
            shared.push((place, facts));
            lines.insert(place, seal(&place, &line)?);
            gone.remove(*name);
        }
        self.facts.apply(facts_of)?;
        self.share_facts(&shared)?;
        self.calls.apply(lines)?;
        self.running.apply(gone)
    }

    /// Adds to a call that has ended what has come of it, and writes its line anew.
    ///
    /// # Returns
    /// When the call started; or why nothing was added.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn tell_late(&self, id: &str, outcome: Outcome, now: Moment) -> Result<Result<Moment, Late>, String> {
        let name = self.keys.blind(id.as_bytes());
        if self.running.contains_key(name)? {
            return Err("the call has not been told to its end yet".to_owned());
        }
        let Folded { record: Some(record), next, .. } = self.fold(&name)? else { return Ok(Err(Late::NoSuchCall)) };
        if let Some(refused) = record.refuses(&outcome) {
            return Ok(Err(refused));
        }
        let place = place_of(record.started.0, &name);
        // Its keys of before are those of another opening, perhaps, whose nonces come again.
        let mut late = Running::default();
        let facts = self.kept_facts(&place)?.map(Box::new);
        late.calls.insert(name, Followed { place, next, keys: self.fresh_keys(record.tags.tenant.as_deref())?, facts });
        let call_ms = now.0.saturating_sub(record.started.0);
        let notice = Notice { call: record.id, call_ms, what: What::OutcomeTold(outcome) };
        self.keep(&mut late, &[Kept { unix_ms: now.0, notice }])?;
        self.end(&mut late, &[name])?;
        self.flush()?;
        Ok(Ok(record.started))
    }

    /// A call by its id, whole as on the board.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds cannot be opened.
    pub fn call(&self, id: &str) -> Result<Option<CallRecord>, String> {
        Ok(self.fold(&self.keys.blind(id.as_bytes()))?.record)
    }

    /// The lines of ended calls that started before `before`, newest first: `max`, and with the last of them all others of its
    /// millisecond, so that a list goes on by when that started.
    ///
    /// # Errors
    /// As [`Embedded::call`].
    pub fn calls(&self, before: Moment, max: usize) -> Result<Vec<serde_json::Value>, String> {
        let (mut lines, mut last) = (Vec::new(), None);
        for entry in self.calls.pairs(&[], Some(&before.0.to_be_bytes()), Order::Down) {
            let (place, sealed) = entry?;
            let started = place.first_chunk::<8>().copied();
            if lines.len() >= max && last != started {
                break;
            }
            lines.extend(self.line(&place, &sealed)?);
            last = started;
        }
        Ok(lines)
    }

    /// A line of the list, unless its key is gone.
    fn line(&self, place: &[u8], sealed: &[u8]) -> Result<Option<serde_json::Value>, String> {
        let Some(line) = self.open_one(place, sealed)? else { return Ok(None) };
        serde_json::from_slice(&line).map(Some).map_err(|error| error.to_string())
    }

    /// What reports know of a call; nothing of one that was kept by a version that told nothing.
    fn kept_facts(&self, place: &Place) -> Result<Option<CallFacts>, String> {
        let Some(sealed) = self.facts.get(place)? else { return Ok(None) };
        let opened = self.open_one(&facts_context(place), &sealed)?;
        opened.map(|facts| serde_json::from_slice(&facts).map_err(|error| error.to_string())).transpose()
    }

    /// How many bytes it takes on disk; nothing when that cannot be said now.
    pub fn bytes(&self) -> Option<u64> {
        self.trees.bytes()
    }

    /// Whether what is written still can be.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<(), String> {
        self.trees.check()
    }

    /// Writes out everything.
    ///
    /// # Errors
    /// When that fails.
    pub fn flush(&self) -> Result<(), String> {
        self.trees.flush()
    }

    fn fold(&self, name: &CallName) -> Result<Folded, String> {
        let mut folded = Folded { record: None, next: 0, seats: BTreeSet::new() };
        let mut opened = BTreeMap::new();
        for entry in self.notices.scan_prefix(name) {
            let (key, sealed) = entry?;
            let number = key.get(16..).and_then(|number| <[u8; 4]>::try_from(number).ok());
            folded.next = number.map_or(folded.next, |number| u32::from_be_bytes(number).saturating_add(1));
            folded.seats.extend(seat_of(&sealed).map(|(seat, _)| seat));
            let Some(plain) = self.open_value(&mut opened, &key, &sealed)? else { continue };
            let Kept { unix_ms, notice } = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
            let now = Moment(unix_ms);
            if let What::CallStarted { from, to, route, scenario, .. } = &notice.what {
                folded.record = Some(CallRecord::new(&notice.call, from, to, route, scenario, now));
            }
            if let Some(record) = &mut folded.record {
                record.apply(&notice, now);
            }
        }
        Ok(folded)
    }

    /// Opens a value by the keys of its call; nothing when they are gone.
    fn open_value(
        &self,
        opened: &mut BTreeMap<Seat, CallKeys>,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, String> {
        let Some(head) = head_of(sealed) else { return self.open_one(context, sealed) };
        let keys = match opened.entry(head.seat) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match self.keys_at(head.seat, head.tenant, &Class::ALL)? {
                Some(keys) => place.insert(keys),
                None => return Ok(None),
            },
        };
        keys.open(context, sealed).map_err(|error| error.to_string())
    }

    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // What a panic elsewhere leaves half done are places that are written as a whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place_of(started_unix_ms: u64, name: &CallName) -> Place {
    let mut place = [0; 24];
    place[..8].copy_from_slice(&started_unix_ms.to_be_bytes());
    place[8..].copy_from_slice(name);
    place
}

fn facts_context(place: &Place) -> Vec<u8> {
    [b"facts ", &place[..]].concat()
}

fn notice_key(name: &CallName, number: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(name);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Where a store's trees lie. Its name in a database is made of its own key, so that no other store's is the same.
fn trees_of(folder: &Path, database: Option<&DatabaseSettings>, keys: &KeyRing) -> Result<Trees, String> {
    let Some(database) = database else { return Trees::in_folder(folder) };
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Trees::in_database(database, keys.blind(b"store"))
}

#[cfg(test)]
pub(super) mod tests;
