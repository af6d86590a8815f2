//! Kept audio as the rest of the program asks for it: keys by call, each for one reel.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tracing::warn;

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

    /// Has a reel forgotten, for its caller does not agree, or nobody knows what in it is to be muted. It is once the answer says
    /// so; no answer comes when the store is down or has too much to do, and whoever asked has to ask again.
    pub fn drop_reel(&self, call: String) -> Receiver<Result<(), String>> {
        let (answer, dropped) = sync_channel(1);
        let drop_it = move |embedded: &Embedded| {
            // Whoever asked may have gone.
            let _ = answer.send(embedded.drop_reel(&call));
        };
        let _taken = self.keeper.run(Box::new(drop_it));
        dropped
    }

    /// The key of a call's reel: nothing where there was none, and none where it is gone.
    ///
    /// # Errors
    /// When the store is down, or what it holds cannot be opened.
    pub async fn reel(&self, call: String) -> Result<Option<Option<ReelKey>>, String> {
        self.read(move |embedded| embedded.reel(&call)).await
    }

    /// Those of these calls whose audio is kept.
    ///
    /// # Errors
    /// As [`Store::reel`].
    pub async fn with_reels(&self, calls: Vec<String>) -> Result<Vec<String>, String> {
        self.read(move |embedded| {
            let mut with_reels = Vec::new();
            for call in calls {
                if embedded.reel(&call)?.flatten().is_some() {
                    with_reels.push(call);
                }
            }
            Ok(with_reels)
        })
        .await
    }

    /// Removes the files of reels that nobody knows, once they are as old as audio may become: their calls went or never came to be
    /// kept, or the store that knew them was set aside. While the store is down, or does not say, all stay. How many were removed,
    /// and how many octets all others take.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn clean_reels(&self) -> io::Result<(usize, u64)> {
        let embedded = self.keeper.embedded();
        let (mut removed, mut octets) = (0, 0);
        for entry in std::fs::read_dir(&self.audio.folder)? {
            let entry = entry?;
            // One may go meanwhile.
            let Ok(file) = entry.metadata() else { continue };
            let path = entry.path();
            let age = file.modified().ok().and_then(|then| then.elapsed().ok());
            let is_unknown = |embedded: &Embedded| {
                reel_at(&path).is_some_and(|name| embedded.knows_reel(&name).is_ok_and(|is_known| !is_known))
            };
            if age.is_some_and(|age| age > self.audio.keep) && embedded.as_deref().is_some_and(is_unknown) {
                match std::fs::remove_file(&path) {
                    Ok(()) => {
                        removed += 1;
                        continue;
                    }
                    Err(error) => warn!(path = %path.display(), %error, "kept audio of no call cannot be removed"),
                }
            }
            octets += file.len();
        }
        Ok((removed, octets))
    }

    /// How audio is kept.
    pub fn audio(&self) -> &AudioSettings {
        &self.audio
    }
}

/// The name of the reel in a file, if it is one.
fn reel_at(path: &Path) -> Option<[u8; 16]> {
    let stem = path.file_stem().filter(|_| path.extension().is_some_and(|it| it == "reel"));
    stem.and_then(|stem| stem.to_str()).and_then(name_of)
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
