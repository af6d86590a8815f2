//! Closed files of the trail: moved to an archive, and removed once they are older than the trail is kept.
//!
//! Both are entries of the trail before they are done. What is removed is removed from its beginning, a whole file at a time,
//! and the note of where the trail begins is signed: nobody else can remove a file unnoticed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use tracing::warn;

use super::trail::{files_in, genuine_end_of, head_of};
use super::{KeyRing, Trail};
use crate::durable::{beside, folder_of, sync_folder};
use crate::store::backup::sum_of;

/// Files that are moved or removed at a time; the next look finds more.
const FILES_MAX: usize = 64;

/// Removes files whose every entry was made before `before` (milliseconds since 1970), and moves closed ones to the archive,
/// where there is one. `told` takes up a deed in the trail, by kind and what exactly; when it cannot, nothing is done.
///
/// # Errors
/// When a file cannot be read, moved or removed: it is where it was, and the next look tries again.
pub fn tidy(
    trail: &Trail,
    keys: &KeyRing,
    before: Option<u64>,
    told: &mut dyn FnMut(&str, serde_json::Value) -> bool,
) -> io::Result<()> {
    if let Some(before) = before {
        remove_older(trail, keys, before, told)?;
    }
    let Some(archive) = &trail.archive else { return Ok(()) };
    let mut files = files_in(&trail.folder)?;
    // The last one grows.
    files.pop();
    for file in files.iter().take(FILES_MAX) {
        let sum = copy_to(file, archive)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !told("audit_archived", json!({ "file": name, "sha256": sum })) {
            return Ok(());
        }
        let _turn = trail.moving();
        fs::remove_file(file)?;
        sync_folder(folder_of(file))?;
    }
    Ok(())
}

fn remove_older(
    trail: &Trail,
    keys: &KeyRing,
    before: u64,
    told: &mut dyn FnMut(&str, serde_json::Value) -> bool,
) -> io::Result<()> {
    let files = trail.files()?;
    let mut gone: Vec<&PathBuf> = Vec::new();
    let mut begins = None;
    for (file, next) in files.iter().zip(files.iter().skip(1)).take(FILES_MAX) {
        // Entries are in the order of their making, so the next file's first one is not older than any of this one.
        let Some(head) = head_of(next)?.filter(|head| head.unix_ms < before) else { break };
        // Else whoever writes a time into a file would have us remove the one before it, and sign that nothing is missing.
        if !head.is_genuine(keys) || genuine_end_of(file, keys)? != Some(head.beginning.after) {
            let (file, next) = (file.display(), next.display());
            warn!(%file, %next, "files of the audit trail are not as they were written: none is removed; verify the trail");
            break;
        }
        gone.push(file);
        begins = Some(head.beginning);
    }
    let Some(begins) = begins else { return Ok(()) };
    let names: Vec<_> = gone.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    if !told("audit_removed", json!({ "files": names, "begins_with": begins.first, "before_unix_ms": before })) {
        return Ok(());
    }
    let _turn = trail.moving();
    trail.note_beginning(keys, begins)?;
    // In both folders: a file may lie in both, when moving it was cut off.
    let folders = || std::iter::once(&trail.folder).chain(&trail.archive);
    for path in names.iter().flat_map(|name| folders().map(move |folder| folder.join(name))) {
        if path.exists() {
            fs::remove_file(&path)?;
            sync_folder(folder_of(&path))?;
        }
    }
    Ok(())
}

/// Copies a file into a folder, synced, and reads it back; its SHA-256. Where it lies there already, it stays.
///
/// # Errors
/// When that cannot be done, or something else lies there by its name: that is never replaced.
fn copy_to(file: &Path, folder: &Path) -> io::Result<String> {
    fs::create_dir_all(folder)?;
    let to = folder.join(file.file_name().unwrap_or_default());
    if to.exists() {
        return already_there(file, &to);
    }
    let partial = beside(&to, "partial");
    let copied = fs::copy(file, &partial).and_then(|_| File::open(&partial)?.sync_all());
    let compared = copied.and_then(|()| Ok((sum_of(file)?, sum_of(&partial)?)));
    let placed = compared.and_then(|(here, there)| {
        if here != there {
            let why = format!("{}: expected SHA-256 {here}, found {there}", partial.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        fs::rename(&partial, &to)?;
        sync_folder(folder)?;
        Ok(here)
    });
    if placed.is_err() {
        // What is left of it is no file of a trail.
        let _ = fs::remove_file(&partial);
    }
    placed
}

/// The SHA-256 of a file that moving was cut off of, when what lies in the archive is the same.
fn already_there(file: &Path, there: &Path) -> io::Result<String> {
    let (here_sum, there_sum) = (sum_of(file)?, sum_of(there)?);
    if here_sum != there_sum {
        let (here, there) = (file.display(), there.display());
        let why =
            format!("{there}: found SHA-256 {there_sum}, and {here} of the same name has {here_sum}: keep both apart");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    File::open(there)?.sync_all()?;
    sync_folder(folder_of(there))?;
    Ok(here_sum)
}
