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
    /// Where back-ups go, each into a folder of its own.
    pub backups: PathBuf,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// How long. The audit trail is kept for good.
    pub keep: KeepSettings,
}

/// How long each class of what is kept of a call stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepSettings {
    /// All of it.
    pub calls: Duration,
    /// What was said; at most as long as the call.
    pub words: Duration,
    /// The steps of the timeline; likewise.
    pub timeline: Duration,
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
    let calls = days(&mut section, "keep_days").unwrap_or(KEEP_DAYS as i64);
    let mut within = |key| {
        let found = days(&mut section, key);
        if let Some(found) = found.filter(|found| *found > calls) {
            section.fault(key, format!("{found}"), format!("at most keep_days, {calls}"));
        }
        span(found.unwrap_or(calls))
    };
    let keep =
        KeepSettings { words: within("keep_words_days"), timeline: within("keep_timeline_days"), calls: span(calls) };
    let backups = section.read("backups", "a folder's path", path(folder));
    let settings = StoreSettings {
        folder: section.read("folder", "a folder's path", path(folder)).unwrap_or_else(|| folder.join("data")),
        backups: backups.unwrap_or_else(|| folder.join("backups")),
        master_key,
        keep,
    };
    // Whoever writes the section wants it, unless it says otherwise.
    let enabled = enabled.unwrap_or(section.is_present());
    section.finish();
    enabled.then_some(settings)
}

fn days(section: &mut Section<'_>, key: &'static str) -> Option<i64> {
    section.read(key, "a whole number from 1 to 3650", whole(1..=3_650))
}

fn span(days: i64) -> Duration {
    DAY * u32::try_from(days).unwrap_or(u32::MAX)
}
