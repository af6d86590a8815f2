//! Stores of calls that could not be read: set aside, so that others begin anew, and removed, keys first, once all that is in
//! them is as old as calls may become.
//!
//! Nobody is erased in them meanwhile, so it is told that they are there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::embedded::KEY_FILES;
use crate::web::Moment;

/// What their extensions begin with; when they were set aside follows, milliseconds since 1970.
const PREFIX: &str = "broken-";
/// Octets that are overwritten at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Sets a folder of calls aside; where it is then.
///
/// # Errors
/// When it cannot be renamed.
pub(super) fn set_aside(folder: &Path, now: Moment) -> io::Result<PathBuf> {
    let aside = folder.with_extension(format!("{PREFIX}{}", now.0));
    fs::rename(folder, &aside)?;
    Ok(aside)
}

/// Removes what was set aside of `folder` before `before`. How many are still there.
///
/// # Errors
/// When one cannot be read or removed; it is tried again the next time.
pub(super) fn remove_before(folder: &Path, before: Moment) -> io::Result<usize> {
    let mut left = 0;
    for (path, since) in all(folder)? {
        if since < before {
            KEY_FILES.iter().try_for_each(|name| overwrite(&path.join(name)))?;
            fs::remove_dir_all(&path)?;
        } else {
            left += 1;
        }
    }
    Ok(left)
}

/// All of them, and since when.
fn all(folder: &Path) -> io::Result<Vec<(PathBuf, Moment)>> {
    let Some(parent) = folder.parent().filter(|parent| parent.is_dir()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let since = path.extension().and_then(|extension| extension.to_str()?.strip_prefix(PREFIX)?.parse().ok());
        if let Some(since) = since.filter(|_| path.file_stem() == folder.file_name() && path.is_dir()) {
            found.push((path, Moment(since)));
        }
    }
    Ok(found)
}

/// Overwrites a file, on the disk when it returns: from then on no copy of what was sealed by its keys opens.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut left, zeros) = (file.metadata()?.len(), vec![0; PIECE_BYTES]);
    while left > 0 {
        let piece = left.min(PIECE_BYTES as u64);
        file.write_all(&zeros[..piece as usize])?;
        left -= piece;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_goes_by_its_age_and_its_keys_first() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("calls");
        for at in [1_000, 2_000] {
            fs::create_dir_all(folder.join("blobs")).expect("a folder");
            KEY_FILES.iter().for_each(|name| fs::write(folder.join(name), vec![7; PIECE_BYTES + 9]).expect("written"));
            let aside = set_aside(&folder, Moment(at)).expect("renamed");
            assert!(aside.ends_with(format!("calls.broken-{at}")) && aside.is_dir(), "{aside:?}");
        }
        for others in ["calls.broken-soon", "other.broken-1", "calls"] {
            fs::create_dir_all(root.path().join(others)).expect("a folder");
        }
        // Another name of its keys: they are overwritten where they lie.
        let keys = root.path().join("keys");
        fs::hard_link(root.path().join("calls.broken-1000/keys"), &keys).expect("linked");
        assert_eq!(remove_before(&folder, Moment(1_000)).expect("readable"), 2);
        assert_eq!(remove_before(&folder, Moment(1_001)).expect("removed"), 1);
        assert_eq!(fs::read(&keys).expect("still there"), vec![0; PIECE_BYTES + 9]);
        let mut left: Vec<_> =
            fs::read_dir(root.path()).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        left.sort();
        assert_eq!(left, ["calls", "calls.broken-2000", "calls.broken-soon", "keys", "other.broken-1"]);
    }
}
