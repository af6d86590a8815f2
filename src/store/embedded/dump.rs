//! All values as they lie in their trees, for back-ups, and back.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::super::backup::{read_value, write_value};
use super::super::keys::KeyRing;
use super::super::trees::{Batch, Order, Tree};
use super::{CallName, Embedded, KEYS_FILE, TENANTS_FILE, TREES, trees_of};
use crate::settings::DatabaseSettings;

/// Values taken up together.
const TOGETHER_MAX: usize = 4_096;

impl Embedded {
    /// Writes every value of the calls that are there when it begins: of one that comes meanwhile, only some would be in it.
    /// Calls that are up first: one that ends meanwhile is then ended once more, and none is lost.
    pub(in super::super) fn dump(&self, out: &mut dyn Write) -> io::Result<()> {
        let names = self.names()?;
        for (number, tree) in (0_u8..).zip(TREES) {
            let values = self.trees.tree(tree).map_err(io::Error::other)?.pairs(&[], None, Order::Up);
            for entry in values {
                let (key, value) = entry.map_err(io::Error::other)?;
                let name = match tree {
                    "running" | "notices" | "parties" | "reels" => key.first_chunk(),
                    "calls" | "facts" | "people" => key.last_chunk(),
                    _ => None,
                };
                if name.is_none_or(|name| names.contains(name)) {
                    write_value(out, number, &key, &value)?;
                }
            }
        }
        Ok(())
    }

    /// The names of all calls, 16 octets each.
    fn names(&self) -> io::Result<BTreeSet<CallName>> {
        let mut names = BTreeSet::new();
        for key in self.running.keys(&[], None) {
            names.extend(key.map_err(io::Error::other)?.first_chunk().copied());
        }
        for place in self.calls.keys(&[], None) {
            names.extend(place.map_err(io::Error::other)?.last_chunk::<16>().copied());
        }
        Ok(names)
    }

    /// Writes the calls' keys.
    pub(in super::super) fn dump_keys(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut first = 0;
        loop {
            // A piece at a time: whoever writes waits meanwhile.
            let bytes = self.slots().piece(&mut first)?;
            if bytes.is_empty() {
                return Ok(());
            }
            out.write_all(&bytes)?;
        }
    }

    /// Fills a store that has nothing yet with what was written, the calls' keys, and the tenants' halves of them if any.
    ///
    /// # Errors
    /// When it cannot be written or has something, or what is read is none of it.
    pub(in super::super) fn load(
        folder: &Path,
        database: Option<&DatabaseSettings>,
        keys: &KeyRing,
        (call_keys, tenants): (&Path, Option<&Path>),
        values: &mut dyn Read,
    ) -> Result<(), String> {
        let into = trees_of(folder, database, keys)?;
        let trees = TREES.into_iter().map(|name| into.tree(name)).collect::<Result<Vec<Tree>, String>>()?;
        for (tree, name) in trees.iter().zip(TREES) {
            if !tree.is_empty()? {
                return Err(format!("expected a store without calls, found {name}"));
            }
        }
        if let Err(why) = fill(&trees, values) {
            // Nobody else could find what is there of it.
            into.clear().map_err(|error| format!("{why}; taking it back: {error}"))?;
            return Err(why);
        }
        let copied =
            fs::copy(call_keys, folder.join(KEYS_FILE)).and_then(|_| File::open(folder.join(KEYS_FILE))?.sync_all());
        copied.map_err(|error| error.to_string())?;
        if let Some(tenants) = tenants {
            let to = folder.join(TENANTS_FILE);
            let copied = fs::copy(tenants, &to).and_then(|_| File::open(&to)?.sync_all());
            copied.map_err(|error| error.to_string())?;
        }
        into.flush()
    }
}

/// Writes values into their trees.
fn fill(trees: &[Tree], values: &mut dyn Read) -> Result<(), String> {
    let mut batches: Vec<Batch> = trees.iter().map(|_| Batch::default()).collect();
    let mut count = 0;
    while let Some((number, key, value)) = read_value(values).map_err(|error| error.to_string())? {
        let batch = batches.get_mut(usize::from(number));
        batch.ok_or_else(|| format!("expected a tree below {}, found {number}", TREES.len()))?.insert(key, value);
        count += 1;
        if count % TOGETHER_MAX == 0 {
            for (tree, batch) in trees.iter().zip(&mut batches) {
                tree.apply(std::mem::take(batch))?;
            }
        }
    }
    for (tree, batch) in trees.iter().zip(batches) {
        tree.apply(batch)?;
    }
    Ok(())
}
