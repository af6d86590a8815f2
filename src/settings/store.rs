//! `[store]`: where calls and the audit trail are kept, for how long, and by which key they are sealed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use routing::section::{Section, whole};
use toml::Value;

use super::read::{path, variable};

/// How long calls are kept unless the file says otherwise, days.
const KEEP_DAYS: u64 = 180;
const DAY: Duration = Duration::from_secs(86_400);

/// What is kept, and how; the section's absence means that nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The folder that everything lies in.
    pub folder: PathBuf,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// How long calls are kept. The audit trail is kept for good.
    pub keep: Duration,
}

/// Where the key comes from that wraps all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A file in the store's own folder, made at the first start.
    Beside,
}

pub(super) fn read_store(mut section: Section<'_>, folder: &Path) -> Option<StoreSettings> {
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    let file = section.read("key_file", "a file's path", path(folder));
    let name = section.read("key_env", "the name of an environment variable", variable);
    let master_key = match (file, name) {
        (Some(file), None) => MasterKeySource::File(file),
        (None, Some(name)) => MasterKeySource::Variable(name),
        (None, None) => MasterKeySource::Beside,
        (Some(file), Some(_)) => {
            section.fault("key_env", "both key_file and key_env", "one of them");
            MasterKeySource::File(file)
        }
    };
    let days = section.read("keep_days", "a whole number from 1 to 3650", whole(1..=3_650));
    let settings = StoreSettings {
        folder: section.read("folder", "a folder's path", path(folder)).unwrap_or_else(|| folder.join("data")),
        master_key,
        keep: DAY * u32::try_from(days.unwrap_or(KEEP_DAYS as i64)).unwrap_or(u32::MAX),
    };
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    section.finish();
    enabled.then_some(settings)
}
