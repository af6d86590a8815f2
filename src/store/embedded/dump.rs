//! All values as they lie in sled, for back-ups, and back.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use sled::{Batch, Db};

use super::super::backup::{read_value, write_value};
use super::{Embedded, KEYS_FILE, TREES, said};

/// Values taken up together.
const TOGETHER_MAX: usize = 4_096;

impl Embedded {
    /// Writes every value. Calls that are up first: one that ends meanwhile is then ended once more, and none is lost.
    pub(in super::super) fn dump(&self, out: &mut dyn Write) -> io::Result<()> {
        for (number, name) in (0_u8..).zip(TREES) {
            for entry in &self.db.open_tree(name)? {
                let (key, value) = entry?;
                write_value(out, number, &key, &value)?;
            }
        }
        Ok(())
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

    /// Makes the folder of a store from what was written, and the calls' keys.
    ///
    /// # Errors
    /// When it cannot be written, or what is read is none of it.
    pub(in super::super) fn load(folder: &Path, call_keys: &Path, values: &mut dyn Read) -> Result<(), String> {
        let db: Db = sled::Config::new().path(folder).open().map_err(said)?;
        let trees = TREES.map(|name| db.open_tree(name)).into_iter().collect::<sled::Result<Vec<_>>>().map_err(said)?;
        let mut batches: Vec<Batch> = trees.iter().map(|_| Batch::default()).collect();
        let mut count = 0;
        while let Some((number, key, value)) = read_value(values).map_err(|error| error.to_string())? {
            let batch = batches.get_mut(usize::from(number));
            batch.ok_or_else(|| format!("expected a tree below {}, found {number}", TREES.len()))?.insert(key, value);
            count += 1;
            if count % TOGETHER_MAX == 0 {
                for (tree, batch) in trees.iter().zip(&mut batches) {
                    tree.apply_batch(std::mem::take(batch)).map_err(said)?;
                }
            }
        }
        for (tree, batch) in trees.iter().zip(batches) {
            tree.apply_batch(batch).map_err(said)?;
        }
        fs::copy(call_keys, folder.join(KEYS_FILE)).map_err(|error| error.to_string())?;
        db.flush().map(drop).map_err(said)
    }
}
