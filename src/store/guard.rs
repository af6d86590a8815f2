//! One process at a time writes a file of keys, or an audit trail: a lock beside it, which the system takes back when its
//! holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable::beside;

/// How often it is looked whether the lock is free.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The most that is read of who holds it, octets.
const HOLDER_OCTETS_MAX: u64 = 200;

/// Why a lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Taken {
    /// Another process has it.
    #[error("{path} is held by {holder}")]
    Held {
        /// The lock.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// The file of the lock cannot be opened or locked.
    #[error("{path}: {source}")]
    File {
        /// The lock.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Guard(#[expect(dead_code, reason = "the lock goes with the file")] File);

impl Guard {
    /// Takes the lock of the file at `path`, and writes who has it. Another process is waited for for so long.
    ///
    /// # Errors
    /// When it cannot be had, and when another process holds it for longer.
    pub(super) fn take(path: &Path, patience: Duration) -> Result<Self, Taken> {
        let lock = beside(path, "lock");
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(|source| Taken::File { path: lock.clone(), source })?;
        let until = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOOK_EVERY),
                Err(TryLockError::WouldBlock) => return Err(Taken::Held { path: lock, holder: holder(&mut file) }),
                Err(TryLockError::Error(source)) => return Err(Taken::File { path: lock, source }),
            }
        }
        let name = std::env::args().take(2).collect::<Vec<_>>().join(" ");
        let who = format!("process {} ({name})", std::process::id());
        // For whoever is refused only: a disk that does not take it will say so of the keys, too.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(who.as_bytes()));
        Ok(Self(file))
    }
}

/// Who has the lock, as they wrote.
fn holder(file: &mut File) -> String {
    let mut who = String::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_OCTETS_MAX).read_to_string(&mut who));
    match read {
        Ok(octets) if octets > 0 => who,
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_it_held_is_told_by_whom_and_has_it_once_it_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        let first = Guard::take(&path, Duration::ZERO).expect("it is free");
        let refused = Guard::take(&path, Duration::ZERO).map(drop).expect_err("it is held").to_string();
        let own = format!("held by process {} (", std::process::id());
        assert!(refused.contains(&own) && refused.contains(".keys.json.lock"), "{refused}");
        drop(first);
        assert!(Guard::take(&path, Duration::ZERO).is_ok());
    }
}
