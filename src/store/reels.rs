//! Kept audio as the rest of the program asks for it: keys by call, each for one reel.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::Store;
use super::embedded::{Embedded, REEL_CLASS};
use super::keys::KeyRing;
use super::slots::CallKeys;
use crate::settings::AudioSettings;

/// The key of one reel.
#[derive(Debug, Clone)]
pub struct ReelKey {
    name: [u8; 16],
    keys: CallKeys,
    ring: Arc<KeyRing>,
}

impl ReelKey {
    pub(super) fn new(name: [u8; 16], keys: CallKeys, ring: Arc<KeyRing>) -> Self {
        Self { name, keys, ring }
    }

    /// What the reel's file is named by; nothing can be read in it.
    pub fn name(&self) -> &[u8; 16] {
        &self.name
    }

    /// Seals the record of that number.
    ///
    /// # Errors
    /// When there is no key any more.
    pub fn seal(&self, number: u32, record: &[u8]) -> Result<Vec<u8>, String> {
        self.keys.seal(&self.ring, REEL_CLASS, &self.context(number), record).map_err(|error| error.to_string())
    }

    /// Opens it; nothing when it is another one, was altered, or its key is gone.
    pub fn open(&self, number: u32, sealed: &[u8]) -> Option<Vec<u8>> {
        self.keys.open(&self.context(number), sealed).ok().flatten()
    }

    fn context(&self, number: u32) -> Vec<u8> {
        [b"reel ", &self.name[..], &number.to_be_bytes()].concat()
    }
}

impl Store {
    /// Has the key of a call's reel made, which the writing thread does in its turn; nothing comes when the store is down or has
    /// too much to do.
    pub fn begin_reel(&self, call: String, tenant: Option<String>) -> Receiver<Result<ReelKey, String>> {
        let (answer, made) = sync_channel(1);
        let begin = move |embedded: &Embedded| {
            // Whoever asked may have gone.
            let _ = answer.send(embedded.begin_reel(&call, tenant.as_deref()));
        };
        let _taken = self.keeper.run(Box::new(begin));
        made
    }

    /// Has a reel forgotten, for its caller does not agree; whether the writing thread will.
    pub fn drop_reel(&self, call: String) -> bool {
        self.keeper.run(Box::new(move |embedded| {
            if let Err(why) = embedded.drop_reel(&call) {
                tracing::error!(call, why, "kept audio cannot be forgotten that the caller does not agree to");
            }
        }))
    }

    /// The key of a call's reel: nothing where there was none, and none where it is gone.
    ///
    /// # Errors
    /// When the store is down, or what it holds cannot be opened.
    pub async fn reel(&self, call: String) -> Result<Option<Option<ReelKey>>, String> {
        self.read(move |embedded| embedded.reel(&call)).await
    }

    /// Removes the files of reels that nobody knows, once they are as old as audio may become: their calls went or never came to be
    /// kept, or the store that knew them was set aside.
    ///
    /// # Errors
    /// When the store is down, or the folder cannot be read.
    pub fn remove_unknown_reels(&self) -> Result<usize, String> {
        let embedded = self.keeper.embedded().ok_or("the store is down")?;
        let mut removed = 0;
        for (path, name) in reels_in(&self.audio.folder).map_err(|error| error.to_string())? {
            let age =
                std::fs::metadata(&path).and_then(|file| file.modified()).ok().and_then(|then| then.elapsed().ok());
            if age.is_some_and(|age| age > self.audio.keep) && !embedded.knows_reel(&name)? {
                std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// How audio is kept.
    pub fn audio(&self) -> &AudioSettings {
        &self.audio
    }
}

/// The reels in a folder, by their names.
fn reels_in(folder: &Path) -> std::io::Result<Vec<(PathBuf, [u8; 16])>> {
    let mut reels = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem =
            path.file_stem().and_then(|stem| stem.to_str()).filter(|_| path.extension().is_some_and(|it| it == "reel"));
        reels.extend(stem.and_then(name_of).map(|name| (path.clone(), name)));
    }
    Ok(reels)
}

/// The octets of 32 hexadecimal digits.
fn name_of(digits: &str) -> Option<[u8; 16]> {
    let value = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32 && !digits.starts_with('+'))?;
    Some(value.to_be_bytes())
}

#[cfg(test)]
pub(crate) mod keys_of_tests {
    //! Keys of reels for tests that have no store.

    use super::*;
    use crate::store::keys::MasterKey;
    use crate::store::slots::Slots;

    /// A key whose files are in a folder.
    pub(crate) fn fresh(folder: &Path) -> ReelKey {
        let master = MasterKey::make(&folder.join("master.key")).expect("a key");
        let ring = Arc::new(KeyRing::open(&folder.join("keys.json"), &master).expect("keys"));
        let mut slots = Slots::open(&folder.join("keys")).expect("a file");
        ReelKey::new([7; 16], slots.take(&ring, None).expect("keys"), ring)
    }
}
