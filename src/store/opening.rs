//! Which keys open a store: the master key from where the settings say, the one of before while it is being changed.

use std::path::Path;

use tracing::warn;

use super::audit::Trail;
use super::keys::{KeyError, KeyRing, MasterKey};
use super::{AUDIT_FOLDER, KEYS_FILE, MASTER_FILE};
use crate::settings::{MasterKeySource, StoreSettings};

/// The master key, made beside the data where the settings name none.
///
/// # Errors
/// When it cannot be read, is none, or cannot be made.
pub fn master_key(settings: &StoreSettings) -> Result<MasterKey, KeyError> {
    key_of(&settings.master_key, &settings.folder)
}

pub(super) fn key_of(source: &MasterKeySource, folder: &Path) -> Result<MasterKey, KeyError> {
    match source {
        MasterKeySource::File(path) => MasterKey::read(path),
        MasterKeySource::Variable(name) => {
            let found = |error: std::env::VarError| KeyError::Master(format!("environment variable {name}: {error}"));
            MasterKey::parse(&zeroize::Zeroizing::new(std::env::var(name).map_err(found)?))
        }
        MasterKeySource::Command(words) => MasterKey::ask(words),
        MasterKeySource::Beside => {
            let path = folder.join(MASTER_FILE);
            warn!(
                key = %path.display(),
                "the key lies beside the data that it seals: set store.key_file or store.key_env to a place of its own"
            );
            if path.exists() { MasterKey::read(&path) } else { MasterKey::make(&path) }
        }
    }
}

/// The master keys of a start. Each is fetched once: a program that asks a key management service runs once for it.
pub(super) struct Masters<'a> {
    settings: &'a StoreSettings,
    current: MasterKey,
    previous: Option<MasterKey>,
}

impl<'a> Masters<'a> {
    /// Fetches the one that counts.
    ///
    /// # Errors
    /// As [`master_key`].
    pub(super) fn fetch(settings: &'a StoreSettings) -> Result<Self, KeyError> {
        Ok(Self { settings, current: master_key(settings)?, previous: None })
    }

    /// The one that counts.
    pub(super) fn current(&self) -> &MasterKey {
        &self.current
    }

    /// The one of before, where the settings name one.
    ///
    /// # Errors
    /// As [`master_key`].
    pub(super) fn previous(&mut self) -> Result<Option<&MasterKey>, KeyError> {
        if self.previous.is_none() {
            let source = self.settings.previous_key.as_ref();
            self.previous = source.map(|source| key_of(source, &self.settings.folder)).transpose()?;
        }
        Ok(self.previous.as_ref())
    }
}

/// The keys for writing; and what the trail is to be told, when the file was still wrapped by the master key of before.
pub(super) fn opened_keys(masters: &mut Masters<'_>) -> Result<(KeyRing, Option<serde_json::Value>), KeyError> {
    let path = masters.settings.folder.join(KEYS_FILE);
    let refused = match KeyRing::open(&path, masters.current()) {
        Err(refused @ KeyError::Unwrap { .. }) => refused,
        opened => return opened.map(|ring| (ring, None)),
    };
    masters.previous()?;
    let Some(previous) = &masters.previous else { return Err(refused) };
    let keys = KeyRing::rewrap(&path, previous, masters.current())?;
    let told = serde_json::json!({ "keys": keys, "master_changed": true });
    Ok((KeyRing::open(&path, masters.current())?, Some(told)))
}

/// The keys of a store for reading only, by the master key or the one of before, and its audit trail.
///
/// # Errors
/// When the keys cannot be read.
pub fn keys_and_trail(settings: &StoreSettings) -> Result<(KeyRing, Trail), KeyError> {
    let keys = read_keys(&settings.folder.join(KEYS_FILE), settings)?;
    Ok((keys, Trail::new(&settings.folder.join(AUDIT_FOLDER), settings.trail.archive.as_deref())))
}

/// The keys of a file for reading only, by the master key or the one of before.
pub(super) fn read_keys(path: &Path, settings: &StoreSettings) -> Result<KeyRing, KeyError> {
    match (KeyRing::read(path, &master_key(settings)?), &settings.previous_key) {
        (Err(KeyError::Unwrap { .. }), Some(previous)) => KeyRing::read(path, &key_of(previous, &settings.folder)?),
        (read, _) => read,
    }
}

/// Wraps the store's keys by another master key.
///
/// # Returns
/// How many keys there are.
///
/// # Errors
/// When either key or the key file is not right, or cannot be written.
pub fn rewrap(settings: &StoreSettings, new: &MasterKey) -> Result<usize, KeyError> {
    KeyRing::rewrap(&settings.folder.join(KEYS_FILE), &master_key(settings)?, new)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::super::site::Door;
    use super::*;
    use crate::settings::SiteSettings;

    #[test]
    fn a_program_that_prints_a_key_runs_once_a_start() {
        let root = tempfile::tempdir().expect("a folder");
        let asked = root.path().join("asked");
        // Which key, and a line for each time that it is asked for.
        let program = |digit: &str| {
            let script = format!("echo {digit} >> {}; printf '{digit}%.0s' $(seq 64)", asked.display());
            MasterKeySource::Command(["sh", "-c", &script].map(str::to_owned).to_vec())
        };
        let site = SiteSettings { name: "hotline".to_owned(), node: "a".to_owned() };
        let started = |settings: &StoreSettings| {
            let _ = fs::remove_file(&asked);
            let mut masters = Masters::fetch(settings).expect("a key");
            let (_, told) = opened_keys(&mut masters).expect("keys");
            Door::new(&site, &mut masters).expect("keys");
            (fs::read_to_string(&asked).expect("it was asked"), told.is_some())
        };
        let settings = StoreSettings { master_key: program("1"), ..StoreSettings::within(root.path(), Duration::MAX) };
        fs::create_dir_all(&settings.folder).expect("a folder");
        assert_eq!(started(&settings), ("1\n".to_owned(), false));
        let settings = StoreSettings { master_key: program("2"), previous_key: Some(program("1")), ..settings };
        assert_eq!(started(&settings), ("2\n1\n".to_owned(), true));
        assert_eq!(started(&settings), ("2\n1\n".to_owned(), false), "nodes of a site open by both");
    }
}
