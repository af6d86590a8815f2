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

/// The keys for writing; and what the trail is to be told, when the file was still wrapped by the master key of before.
pub(super) fn opened_keys(settings: &StoreSettings) -> Result<(KeyRing, Option<serde_json::Value>), KeyError> {
    let (path, master) = (settings.folder.join(KEYS_FILE), master_key(settings)?);
    match (KeyRing::open(&path, &master), &settings.previous_key) {
        (Err(KeyError::Unwrap { .. }), Some(previous)) => {
            let keys = KeyRing::rewrap(&path, &key_of(previous, &settings.folder)?, &master)?;
            let told = serde_json::json!({ "keys": keys, "master_changed": true });
            Ok((KeyRing::open(&path, &master)?, Some(told)))
        }
        (opened, _) => opened.map(|ring| (ring, None)),
    }
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
