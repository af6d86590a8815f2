//! Sorted trees of bytes, where what is kept of calls lies: in sled, or in a PostgreSQL database.
//!
//! Keys are sorted as unsigned octets. Neither holds anything that could be read there: values are sealed before they come here.

mod postgres;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postgres::{Pages, Postgres};

use crate::settings::DatabaseSettings;

/// How often sled writes out what it was given.
const FLUSH_MS: u64 = 500;
/// What sled may keep in memory, bytes.
const CACHE_BYTES: u64 = 32 << 20;

/// The longest key, octets.
const KEY_BYTES_MAX: usize = 64;

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Where trees lie.
#[derive(Debug, Clone)]
pub(super) enum Trees {
    /// In a folder of its own.
    Sled(sled::Db),
    /// In a database.
    Postgres(Arc<Postgres>),
}

/// One tree.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Sled(sled::Tree),
    Postgres(Arc<Postgres>, &'static str),
}

/// What several servers have together in one database: trees that each of them writes to, and leases.
#[derive(Debug, Clone)]
pub(super) struct Together(Arc<Postgres>);

/// Changes that are made together: all of them or none.
#[derive(Debug, Default)]
pub(super) struct Batch(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

/// What lies between two keys, in order.
pub(super) enum Pairs {
    Sled(Box<dyn Iterator<Item = sled::Result<Pair>>>),
    Postgres(Pages),
}

/// From which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
}

impl Trees {
    /// Opens what is in `folder`, which is made where there is none.
    ///
    /// # Errors
    /// When it cannot be read, is in use by another program, or is broken.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, String> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_MS));
        // A file that is not one of sled's can make it panic.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| "it is broken".to_owned());
        opened
            .and_then(|opened| opened.map_err(said))
            .map(Self::Sled)
            .map_err(|why| format!("{}: {why}", folder.display()))
    }

    /// Opens what `store` has in a database. Its name tells it from other stores there.
    ///
    /// # Errors
    /// When the database cannot be had, is of a later version, or the store is open elsewhere.
    pub(super) fn in_database(settings: &DatabaseSettings, store: [u8; 16]) -> Result<Self, String> {
        Postgres::open(settings, store).map(Arc::new).map(Self::Postgres)
    }

    /// What several servers have together in the database, under another store's name.
    ///
    /// # Errors
    /// When this is a folder, which is one server's.
    pub(super) fn together(&self, store: [u8; 16]) -> Result<Together, String> {
        match self {
            Trees::Sled(_) => Err("expected a database, found a folder: no two servers write to one".to_owned()),
            Trees::Postgres(postgres) => Ok(Together(Arc::new(postgres.beside(store)))),
        }
    }

    /// A tree, which is made where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn tree(&self, name: &'static str) -> Result<Tree, String> {
        match self {
            Trees::Sled(db) => {
                let opened = catch_unwind(AssertUnwindSafe(|| db.open_tree(name)));
                opened.map_err(|_| format!("{name}: it is broken"))?.map(Tree::Sled).map_err(said)
            }
            Trees::Postgres(postgres) => Ok(Tree::Postgres(Arc::clone(postgres), name)),
        }
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Trees::Sled(db) => db.size_on_disk().ok(),
            Trees::Postgres(postgres) => postgres.bytes().ok(),
        }
    }

    /// Whether what writes still can: a connection may have ended without a word.
    ///
    /// # Errors
    /// When it has.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Trees::Sled(_) => Ok(()),
            Trees::Postgres(postgres) => postgres.check(),
        }
    }

    /// Takes back what was written into a store that had nothing before. A folder is whoever's who asked for it.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn clear(&self) -> Result<(), String> {
        match self {
            Trees::Sled(_) => Ok(()),
            Trees::Postgres(postgres) => postgres.clear(),
        }
    }

    /// Makes sure that everything is on the disk. A database has it there before it answers.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn flush(&self) -> Result<(), String> {
        match self {
            Trees::Sled(db) => db.flush().map(drop).map_err(said),
            Trees::Postgres(_) => Ok(()),
        }
    }
}

impl Together {
    /// A tree that every one of them writes to.
    pub(super) fn tree(&self, name: &'static str) -> Tree {
        Tree::Postgres(Arc::clone(&self.0), name)
    }

    /// The value of a key, which is set where there was none. All who ask get the same.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn first(&self, tree: &'static str, key: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
        self.0.first(tree, key, value)
    }

    /// Sets the values of keys that are there: none that another server has removed comes back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn update(&self, tree: &'static str, changed: Vec<Pair>) -> Result<(), String> {
        self.0.update(tree, changed)
    }

    /// Removes the first keys before `before`, `max` at most; how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn remove_before(&self, tree: &'static str, before: &[u8], max: u32) -> Result<u64, String> {
        self.0.remove_before(tree, before, max)
    }

    /// Takes a name for this server alone, for as long as its connection lasts; whether nobody else has it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn take_name(&self, name: [u8; 16]) -> Result<bool, String> {
        self.0.take_name(name)
    }

    /// Takes a lease for so long from now on, by the database's clock, or keeps it for so long; whether it is `holder`'s.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn take_lease(&self, name: &str, holder: &str, lasts: Duration) -> Result<bool, String> {
        self.0.take_lease(name, holder, lasts)
    }

    /// Gives a lease of `holder`'s back before its time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn give_back_lease(&self, name: &str, holder: &str) -> Result<(), String> {
        self.0.give_back_lease(name, holder)
    }

    /// Leases whose names begin with `prefix` and whose time is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn lapsed_leases(&self, prefix: &str) -> Result<Vec<String>, String> {
        self.0.lapsed_leases(prefix)
    }
}

impl Tree {
    /// The value of a key.
    pub(super) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, String> {
        match self {
            Tree::Sled(tree) => tree.get(key).map(|value| value.map(|value| value.to_vec())).map_err(said),
            Tree::Postgres(postgres, name) => postgres.get(name, key.as_ref()),
        }
    }

    /// Whether there is a key.
    pub(super) fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool, String> {
        match self {
            Tree::Sled(tree) => tree.contains_key(key).map_err(said),
            Tree::Postgres(..) => self.get(key).map(|value| value.is_some()),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> Result<bool, String> {
        self.keys(&[], None).next().transpose().map(|first| first.is_none())
    }

    /// Sets the value of a key.
    pub(super) fn insert(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), String> {
        match self {
            Tree::Sled(tree) => tree.insert(key, value.as_ref()).map(drop).map_err(said),
            Tree::Postgres(..) => {
                let mut batch = Batch::default();
                batch.insert(key.as_ref(), value.as_ref());
                self.apply(batch)
            }
        }
    }

    /// Removes a key.
    pub(super) fn remove(&self, key: impl AsRef<[u8]>) -> Result<(), String> {
        match self {
            Tree::Sled(tree) => tree.remove(key).map(drop).map_err(said),
            Tree::Postgres(..) => {
                let mut batch = Batch::default();
                batch.remove(key.as_ref());
                self.apply(batch)
            }
        }
    }

    /// Makes changes together.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), String> {
        #[cfg(test)]
        tests::may_break(self)?;
        match self {
            Tree::Sled(tree) => {
                let mut changes = sled::Batch::default();
                for (key, value) in batch.0 {
                    match value {
                        Some(value) => changes.insert(key, value),
                        None => changes.remove(key),
                    }
                }
                tree.apply_batch(changes).map_err(said)
            }
            Tree::Postgres(postgres, name) => postgres.apply(name, batch.0),
        }
    }

    /// Keys from `from` on and before `before`, with their values.
    pub(super) fn pairs(&self, from: &[u8], before: Option<&[u8]>, order: Order) -> Pairs {
        self.range(from, before, order, true)
    }

    /// The same without values.
    pub(super) fn keys(
        &self,
        from: &[u8],
        before: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<Vec<u8>, String>> + use<> {
        self.range(from, before, Order::Up, false).map(|pair| pair.map(|(key, _)| key))
    }

    /// Keys that begin with `prefix`, with their values.
    pub(super) fn scan_prefix(&self, prefix: &[u8]) -> Pairs {
        self.pairs(prefix, after_prefix(prefix).as_deref(), Order::Up)
    }

    /// The same without values.
    pub(super) fn prefixed_keys(&self, prefix: &[u8]) -> impl Iterator<Item = Result<Vec<u8>, String>> + use<> {
        self.keys(prefix, after_prefix(prefix).as_deref())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys(&[], None).count()
    }

    fn range(&self, from: &[u8], before: Option<&[u8]>, order: Order, values: bool) -> Pairs {
        match self {
            Tree::Sled(tree) => {
                let range = match before {
                    Some(before) if before < from => tree.range(from..from),
                    Some(before) => tree.range(from..before),
                    None => tree.range(from..),
                };
                let pair = move |pair: sled::Result<(sled::IVec, sled::IVec)>| {
                    pair.map(|(key, value)| (key.to_vec(), if values { value.to_vec() } else { Vec::new() }))
                };
                Pairs::Sled(match order {
                    Order::Up => Box::new(range.map(pair)),
                    Order::Down => Box::new(range.rev().map(pair)),
                })
            }
            Tree::Postgres(postgres, name) => {
                let last = [0xff; KEY_BYTES_MAX + 1];
                let (from, before) = (from.to_vec(), before.unwrap_or(&last).to_vec());
                Pairs::Postgres(Pages::new(postgres, name, (from, before), order, values))
            }
        }
    }
}

impl Batch {
    pub(super) fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.insert(key.into(), Some(value.into()));
    }

    pub(super) fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.0.insert(key.into(), None);
    }
}

impl Iterator for Pairs {
    type Item = Result<Pair, String>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Pairs::Sled(pairs) => pairs.next().map(|pair| pair.map_err(said)),
            Pairs::Postgres(pages) => pages.next(),
        }
    }
}

/// The first key behind all that begin with `prefix`; none when there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|octet| *octet < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[expect(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn said(error: sled::Error) -> String {
    error.to_string()
}

#[cfg(test)]
pub(super) mod tests;
