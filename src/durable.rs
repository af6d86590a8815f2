//! Files that are there whole or not at all, also after a power cut.
//!
//! Knows nothing of what stands in them, and keeps nothing of what was there before.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Puts a file at `path`: written beside it, then to the disk, and put in its place in one step, so that whoever reads finds
/// the old one or the new one. Its permission bits are `mode`, or what the system gives a new file.
///
/// # Errors
/// When it cannot be written; then what was there is there, unless only its folder could not be made sure of.
pub(crate) fn write_whole(path: &Path, octets: &[u8], mode: Option<u32>) -> io::Result<()> {
    let fresh = beside(path, "new");
    let placed = written(&fresh, octets, mode).and_then(|_| fs::rename(&fresh, path));
    if placed.is_err() {
        // What is left of it is in nobody's way, should this fail too.
        let _ = fs::remove_file(&fresh);
    }
    placed?;
    sync_folder(folder_of(path))
}

/// A hidden neighbour of a file, which nobody takes for one of its kind: its whole name stands in the neighbour's.
pub(crate) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// The folder that a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes sure that the names in a folder outlive a power cut.
///
/// # Errors
/// When the folder cannot be opened, or the disk does not take it.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file at `path` alone, on the disk when it is returned; `mode` as of `write_whole`.
///
/// # Errors
/// When it cannot be written; then some of it may be there.
pub(crate) fn written(path: &Path, octets: &[u8], mode: Option<u32>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = options.mode(mode.unwrap_or(0o666)).open(path)?;
    if let Some(mode) = mode {
        // Whatever was left there, and whatever the process takes from new files.
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    file.write_all(octets)?;
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_whole_and_leave_nothing_beside_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["day.zh.html", "day.zh.pdf", "day"];
        let beside: Vec<PathBuf> = names.iter().map(|name| beside(&folder.path().join(name), "new")).collect();
        assert_eq!(beside.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len(), "{beside:?}");
        for name in names {
            let path = folder.path().join(name);
            write_whole(&path, b"a longer text", Some(0o640)).expect("written");
            write_whole(&path, name.as_bytes(), Some(0o600)).expect("written over");
            assert_eq!(fs::read(&path).expect("there"), name.as_bytes());
            let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
        write_whole(&folder.path().join("none/day"), b"", None).expect_err("no such folder");
        // A folder cannot give way to a file: what was written is cleared away.
        fs::create_dir(folder.path().join("taken")).expect("a folder");
        write_whole(&folder.path().join("taken"), b"", None).expect_err("a folder");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), names.len() + 1);
    }

    #[test]
    fn a_file_without_a_folder_lies_in_this_one() {
        assert_eq!(folder_of(Path::new("day.html")), Path::new("."));
        assert_eq!(folder_of(Path::new("reports/day.html")), Path::new("reports"));
    }
}
