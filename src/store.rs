//! What is kept: calls with everything that was told of them, and the audit trail of what was done and by whom.
//!
//! Two threads, each the only writer of its files: the journal, whose entries are on the disk before anybody acts on them,
//! and the keeper, which writes details behind a queue. A call never waits for the keeper, and for the journal at most
//! [`PATIENCE`]; a full or broken disk costs details, which are counted, never a call.

mod aside;
pub mod audit;
pub mod backup;
mod check;
mod embedded;
mod exports;
mod guard;
mod journal;
mod keeper;
pub mod keys;
mod notices;
mod opening;
mod reels;
mod site;
mod slots;
mod tidying;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::warn;
use utoipa::ToSchema;

use crate::accounts::Account;
use crate::crm::Parcel;
use crate::escalation::{AlertName, WaitingAlert};
use crate::metrics::Metrics;
use crate::report::Report;
use crate::settings::{AudioSettings, MasterKeySource, StoreSettings, Zone};
use crate::web::{CallRecord, Late, Moment};
pub use audit::AuditEntry;
use audit::{AuditFound, AuditWanted, Trail};
pub use check::{Checking, NoCheck};
use embedded::Embedded;
#[cfg(test)]
pub(crate) use embedded::tests::parcel as parcel_of_tests;
pub use embedded::{Erased, ErasedTenant, Held, Hold, is_pseudonym, names_somebody};
pub use exports::{Exported, NoExport};
pub use journal::Journal;
use keeper::Keeper;
pub use keys::{KeyError, KeyRing, MasterKey, Rotated};
pub use notices::entry_of;
use opening::{Masters, key_of, opened_keys};
pub use opening::{keys_and_trail, master_key, rewrap};
pub use reels::ReelKey;
#[cfg(test)]
pub(crate) use reels::keys_of_tests as reel_keys;
use site::Door;
#[cfg(test)]
pub(crate) use site::tests::Nodes as NodesOfTests;
pub use site::{REPORTS_LEASE, SiteFile, SiteSession, TakenOver};
use tidying::Tidying;

/// The longest that a decision waits for the disk. When it takes longer the call goes on, and that is counted.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// Those who look through much of what is kept at the same time; further ones wait: calls need the processors, too.
const SEARCHES_MAX: usize = 2;

/// Where things lie in the store's folder.
const KEYS_FILE: &str = "keys.json";
const AUDIT_FOLDER: &str = "audit";
const CALLS_FOLDER: &str = "calls";
pub(crate) const MASTER_FILE: &str = "master.key";

/// The running store.
#[derive(Debug, Clone)]
pub struct Store {
    journal: Journal,
    keeper: Keeper,
    keys: Arc<KeyRing>,
    folder: PathBuf,
    trail: Trail,
    tidying: Tidying,
    /// How long calls are kept.
    keeps: Duration,
    /// How long all of a call is kept.
    keeps_whole: Duration,
    audio: AudioSettings,
    /// Where back-ups go.
    backups: PathBuf,
    backup: Arc<Mutex<Backup>>,
    /// What became of the last look through the audit trail.
    check: Arc<Mutex<Checking>>,
    searching: Arc<Semaphore>,
    metrics: Metrics,
}

/// What became of the last back-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Backup {
    /// None was asked for since the start.
    #[default]
    None,
    /// It is being made.
    Running {
        /// Where.
        #[schema(value_type = String)]
        folder: PathBuf,
    },
    /// It is whole.
    Done {
        /// Where.
        #[schema(value_type = String)]
        folder: PathBuf,
        /// Files in it.
        files: usize,
        /// Their lengths together.
        bytes: u64,
    },
    /// It is none.
    Failed {
        /// Why.
        why: String,
    },
}

/// A statement of this store that anybody can check, and show to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// What is stated, JSON.
    pub statement: String,
    /// The signature of its octets, base64.
    pub signature: String,
    /// The key that it is checked by, base64.
    pub public_key: String,
}

/// Why no back-up is begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBackup {
    /// There is nothing to copy.
    #[error("the store is down")]
    Down,
    /// Another one is being made.
    #[error("one is being made in {}", .0.display())]
    Running(PathBuf),
    /// What the system said.
    #[error("no thread to make it: {0}")]
    NoThread(String),
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The folder or the audit trail.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Store {
    /// Opens the store and starts its threads.
    ///
    /// # Errors
    /// When the keys or the audit trail cannot be had: without them nothing could be promised. Calls that cannot be read
    /// are set aside, and the store begins anew.
    pub fn start(settings: &StoreSettings, metrics: &Metrics) -> Result<Self, StoreError> {
        let folder = &settings.folder;
        let failed = |path: &Path, source| StoreError::File { path: path.display().to_string(), source };
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        let mut masters = Masters::fetch(settings)?;
        let (keys, rotated) = opened_keys(&mut masters)?;
        let keys = Arc::new(keys);
        let audit = folder.join(AUDIT_FOLDER);
        let journal = Journal::start(&audit, &keys, metrics).map_err(|source| failed(&audit, source))?;
        let trail = Trail::new(&audit, settings.trail.archive.as_deref());
        let tidying = Tidying::start(&settings.trail, &trail, &keys, &journal);
        let tidying = tidying.map_err(|source| failed(&audit, source))?;
        let door = settings.site.as_ref().map(|site| Door::new(site, &mut masters)).transpose()?;
        let keeper =
            Keeper::start((settings, door), &keys, &trail, metrics).map_err(|source| failed(folder, source))?;
        let (folder, backups, keeps) = (folder.clone(), settings.backups.clone(), settings.keep.calls);
        let keeps_whole = settings.keep.whole();
        let audio = settings.audio.clone();
        let (backup, check, searching) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(SEARCHES_MAX)));
        let metrics = metrics.clone();
        let store = Self {
            journal,
            keeper,
            keys,
            keeps,
            keeps_whole,
            audio,
            folder,
            trail,
            tidying,
            backups,
            backup,
            check,
            searching,
            metrics,
        };
        rotated.into_iter().for_each(|rotated| store.audit("keys_rotated", rotated));
        Ok(store)
    }

    /// How long calls are kept.
    pub fn keeps(&self) -> Duration {
        self.keeps
    }

    /// Since when calls have started that are kept whole: of those before, only what is kept may be shown.
    pub fn whole_since(&self, now: Moment) -> Moment {
        Moment(now.0.saturating_sub(u64::try_from(self.keeps_whole.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Takes up what the server itself did.
    pub fn audit(&self, kind: &str, what: serde_json::Value) {
        let (kind, who, call) = (kind.to_owned(), "server".to_owned(), String::new());
        self.journal.record(AuditEntry { kind, who, call, what });
    }

    /// Has another data key seal from now on, and all keys wrapped by the master key that `source` gives now. May wait for a program.
    ///
    /// # Errors
    /// When the master key cannot be had, or the key file not be written; then everything is as before.
    pub fn rotate_keys(&self, source: &MasterKeySource) -> Result<Rotated, KeyError> {
        let master = key_of(source, &self.folder)?;
        let rotated = self.keys.rotate(&master)?;
        self.keeper.exchange_master(&master);
        Ok(rotated)
    }

    /// Writes down what somebody did, of a call where it was of one, and waits for that, at most a second: whether the disk
    /// has it.
    pub async fn audited(&self, kind: &str, who: &str, call: &str, what: serde_json::Value) -> bool {
        let (kind, who, call) = (kind.to_owned(), who.to_owned(), call.to_owned());
        self.journal.committed(AuditEntry { kind, who, call, what }).await
    }

    /// Takes up a notice made at `time`: behind a queue, so without waiting.
    pub fn keep(&self, notice: &crate::notice::Notice, time: Moment) {
        // What is decisive is in the journal already: see `commit`.
        if !notices::is_decisive(&notice.what)
            && let Some(entry) = entry_of(notice)
        {
            self.journal.record(entry);
        }
        if notices::is_kept(&notice.what) {
            self.keeper.keep(notice.clone(), time);
        }
    }

    /// Takes up in the audit trail what was told of a call that has ended, and is kept with it already.
    pub fn record(&self, notice: &crate::notice::Notice) {
        entry_of(notice).into_iter().for_each(|entry| self.journal.record(entry));
    }

    /// Keeps with a call that has ended what has come of it.
    ///
    /// # Returns
    /// When the call started; or why nothing was kept.
    ///
    /// # Errors
    /// When the store is down or cannot be written.
    pub async fn tell_late(
        &self,
        call: String,
        outcome: crate::notice::Outcome,
        time: Moment,
    ) -> Result<Result<Moment, Late>, String> {
        self.write(move |embedded| embedded.tell_late(&call, outcome, time)).await
    }

    /// Writes parcels for systems outside down as they are now; on the disk when this returns.
    ///
    /// # Errors
    /// When the store is down or cannot be written.
    pub async fn keep_parcels(&self, parcels: Vec<Parcel>) -> Result<(), String> {
        self.write(move |embedded| embedded.keep_parcels(&parcels)).await
    }

    /// Writes down a parcel that is made once for good, by its key; whether it was the first of that key.
    ///
    /// # Errors
    /// As [`Store::keep_parcels`].
    pub async fn keep_parcel_once(&self, parcel: Parcel) -> Result<bool, String> {
        self.write(move |embedded| embedded.keep_parcel_once(&parcel)).await
    }

    /// Notes that parcels were made once for good.
    ///
    /// # Errors
    /// As [`Store::keep_parcels`].
    pub async fn mark_parcels(&self, parcels: Vec<Parcel>) -> Result<(), String> {
        self.write(move |embedded| embedded.mark_parcels(&parcels)).await
    }

    /// Whether a parcel of this key was ever made.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub async fn was_made(&self, key: String) -> Result<bool, String> {
        self.read(move |embedded| embedded.was_made(&key)).await
    }

    /// Removes parcels that are done with.
    ///
    /// # Errors
    /// As [`Store::keep_parcels`].
    pub async fn drop_parcels(&self, ids: Vec<u64>) -> Result<(), String> {
        self.write(move |embedded| embedded.drop_parcels(&ids)).await
    }

    /// All parcels that wait, or were set aside.
    ///
    /// # Errors
    /// When the store is down, or what it holds cannot be opened.
    pub async fn parcels(&self) -> Result<Vec<Parcel>, String> {
        self.read(Embedded::parcels).await
    }

    /// Waits until what is decided in `notices` is on the disk, at most [`PATIENCE`]; whether it is.
    pub fn commit<'a>(&self, notices: impl Iterator<Item = &'a crate::notice::Notice>) -> bool {
        let decisive = notices.filter(|notice| notices::is_decisive(&notice.what));
        self.journal.commit(decisive.filter_map(entry_of).collect())
    }

    /// A call that is kept.
    ///
    /// # Errors
    /// When the store is down, or what it holds cannot be opened.
    pub async fn call(&self, id: String) -> Result<Option<CallRecord>, String> {
        self.read(move |embedded| embedded.call(&id)).await
    }

    /// Which of some calls are kept, whether they are up or have ended.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub async fn kept_of(&self, calls: BTreeSet<String>) -> Result<BTreeSet<String>, String> {
        self.read(move |embedded| embedded.kept_of(calls)).await
    }

    /// The lines of ended calls that started before `before`, newest first: `max`, and with the last of them all others of its
    /// millisecond, so that a list goes on by when that started.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub async fn calls(&self, before: Moment, max: usize) -> Result<Vec<serde_json::Value>, String> {
        self.read(move |embedded| embedded.calls(before, max)).await
    }

    /// The calls of a person that started before `before`, whole, newest first; as many as [`Store::calls`] lists.
    ///
    /// # Errors
    /// As [`Store::call`], and when the address names nobody.
    pub async fn calls_of(&self, address: String, before: Moment, max: usize) -> Result<Vec<CallRecord>, String> {
        self.read(move |embedded| embedded.calls_of(&address, before, max)).await
    }

    /// Signs a statement by the store's own key, the one that signs the audit trail (Ed25519, RFC 8032).
    pub fn sign(&self, statement: String) -> Receipt {
        let signature = STANDARD.encode(self.keys.sign(statement.as_bytes()));
        Receipt { statement, signature, public_key: STANDARD.encode(self.keys.public_key()) }
    }

    /// Erases every ended call of a person, or says why that may not be.
    ///
    /// # Errors
    /// When the store is down or cannot be written, or the address names nobody.
    pub async fn erase(&self, address: String) -> Result<Result<Erased, Held>, String> {
        self.write(move |embedded| embedded.erase(&address)).await
    }

    /// Erases all of a tenant, or says why that may not be.
    ///
    /// # Errors
    /// When the store is down or cannot be written.
    pub async fn erase_tenant(&self, tenant: String) -> Result<Result<ErasedTenant, Held>, String> {
        self.write(move |embedded| embedded.erase_tenant(&tenant)).await
    }

    /// Keeps everything of a person until it is released, or says by what it is kept already.
    ///
    /// # Errors
    /// As [`Store::erase`].
    pub async fn hold(&self, address: String, held: Held) -> Result<Result<Hold, Held>, String> {
        self.write(move |embedded| embedded.hold(&address, held)).await
    }

    /// Ends a hold; nothing when there was none.
    ///
    /// # Errors
    /// As [`Store::erase`].
    pub async fn release(&self, address: String) -> Result<Option<Hold>, String> {
        self.write(move |embedded| embedded.release(&address)).await
    }

    /// What stands for a person in place of an address; `None` when the address names nobody.
    pub fn pseudonym(&self, address: &str) -> Option<String> {
        embedded::pseudonym(&self.keys, address)
    }

    /// Everybody who may sign in besides those of the configuration, by name.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub async fn accounts(&self) -> Result<BTreeMap<String, Account>, String> {
        self.read(Embedded::accounts).await
    }

    /// Writes down how somebody signs in from now on; nobody of that name does any more when `account` is nothing.
    ///
    /// # Errors
    /// As [`Store::keep_parcels`].
    pub async fn keep_account(&self, name: String, account: Option<Account>) -> Result<(), String> {
        self.write(move |embedded| embedded.keep_account(&name, account.as_ref())).await
    }

    /// Writes down alerts that wait for a reaction as they are now, and removes those that wait no longer.
    ///
    /// # Errors
    /// As [`Store::keep_parcels`].
    pub async fn keep_alerts(&self, changes: Vec<(AlertName, Option<WaitingAlert>)>) -> Result<(), String> {
        self.write(move |embedded| embedded.keep_alerts(&changes)).await
    }

    /// All alerts that wait.
    ///
    /// # Errors
    /// As [`Store::parcels`].
    pub async fn alerts(&self) -> Result<Vec<WaitingAlert>, String> {
        self.read(Embedded::alerts).await
    }

    /// People who are held, in the order of their hashes, from behind one on.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub async fn holds(&self, after: String, limit: usize) -> Result<Vec<Hold>, String> {
        self.read(move |store| store.holds(&after, limit)).await
    }

    /// The report of a day in a time zone.
    ///
    /// # Errors
    /// As [`Store::call`].
    pub async fn report(&self, day: Date, zone: Zone) -> Result<Report, String> {
        self.read(move |embedded| {
            let (from, before) = zone.day(day).ok_or("a day that this time zone does not have")?;
            let mut report = Report::of_day(&day.to_string(), zone.name());
            embedded.facts(from, before, &mut |started, facts| report.add(zone.hour(started), facts))?;
            report.minutes = embedded.minutes(from, before, Moment::now())?;
            Ok(report)
        })
        .await
    }

    /// Notes that the server is up now, and whether it takes calls.
    ///
    /// # Errors
    /// As [`Store::keep_parcels`].
    pub async fn note_minute(&self, ready: bool) -> Result<(), String> {
        self.write(move |embedded| embedded.note_minute(Moment::now(), ready)).await
    }

    /// Waits for one's turn to look through much of what is kept; it is over when this is dropped.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.searching).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Looks for entries of the audit trail, newest first, as soon as it has its turn.
    ///
    /// # Errors
    /// When a file of it cannot be read.
    pub async fn search_audit(&self, wanted: AuditWanted) -> Result<AuditFound, String> {
        let (trail, keys) = (self.trail.clone(), Arc::clone(&self.keys));
        let turn = self.turn().await;
        let found = tokio::task::spawn_blocking(move || {
            // Held until it is done, even when nobody waits any more.
            let _turn = turn;
            audit::search(&trail, &keys, &wanted)
        });
        let found = found.await;
        found.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Begins a back-up in a folder of its own, named by the time; its folder.
    ///
    /// # Errors
    /// When one is being made already, or the store is down.
    pub fn begin_backup(&self) -> Result<PathBuf, NoBackup> {
        let embedded = self.keeper.embedded().ok_or(NoBackup::Down)?;
        let folder = self.backups.join(Moment::now().to_string().replace(':', "-"));
        let mut state = self.backup_state();
        if let Backup::Running { folder } = &*state {
            return Err(NoBackup::Running(folder.clone()));
        }
        let (store, to) = (self.clone(), folder.clone());
        let make = move || {
            let outcome = backup_in(&embedded, (&store.folder, &store.trail), to);
            if let Backup::Failed { why } = &outcome {
                warn!(why, "the back-up failed");
            }
            store.audit("backup", serde_json::to_value(&outcome).expect("strings and numbers"));
            *store.backup_state() = outcome;
        };
        // A thread of its own: a server that ends does not wait for it, and what is not whole has no manifest.
        let begun = thread::Builder::new().name("backup".into()).spawn(make);
        begun.map_err(|error| NoBackup::NoThread(error.to_string()))?;
        *state = Backup::Running { folder: folder.clone() };
        Ok(folder)
    }

    /// What became of the last back-up.
    pub fn last_backup(&self) -> Backup {
        self.backup_state().clone()
    }

    fn backup_state(&self) -> MutexGuard<'_, Backup> {
        self.backup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the one thread that writes do something.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Embedded) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (answer, written) = oneshot::channel();
        // Whoever asked may have gone.
        let task = Box::new(move |embedded: &Embedded| drop(answer.send(write(embedded))));
        if !self.keeper.run(task) {
            return Err("the store has too much to do".to_owned());
        }
        written.await.unwrap_or_else(|_| Err("the store is down".to_owned()))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Embedded) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let embedded = self.keeper.embedded().ok_or("the store is down")?;
        let read = tokio::task::spawn_blocking(move || read(&embedded)).await;
        read.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// How many stores of calls could not be read and were set aside: nobody is erased in them, until they are as old as calls
    /// may become.
    pub fn set_aside(&self) -> usize {
        self.keeper.set_aside()
    }

    /// Whether both threads can write.
    pub fn is_up(&self) -> bool {
        self.journal.is_up() && self.keeper.is_up()
    }

    /// Writes out everything, signs the audit trail's end, and ends the threads.
    pub fn stop(&self) {
        self.tidying.stop();
        self.leave_site();
        self.keeper.stop();
        self.journal.stop();
    }
}

/// Makes a back-up, and says what became of it.
fn backup_in(embedded: &Embedded, from: (&Path, &Trail), to: PathBuf) -> Backup {
    match catch_unwind(AssertUnwindSafe(|| backup::write(embedded, from, &to))) {
        Ok(Ok(manifest)) => {
            let bytes = manifest.files.iter().map(|file| file.bytes).sum();
            Backup::Done { folder: to, files: manifest.files.len(), bytes }
        }
        Ok(Err(error)) => Backup::Failed { why: error.to_string() },
        Err(_) => Backup::Failed { why: "it broke".to_owned() },
    }
}
