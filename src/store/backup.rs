//! Back-ups: a folder that holds what the store holds, as sealed as it lies there, with a list of its files and their sums.
//!
//! Made while the server runs: what is taken up meanwhile may be in it or not, what was there at the beginning is. Calls that
//! are up end as they do after a crash. The master key is not in it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::audit::Trail;
use super::embedded::Embedded;
use super::opening::read_keys;
use super::{AUDIT_FOLDER, CALLS_FOLDER, KEYS_FILE, MASTER_FILE};
use crate::durable::sync_folder;
use crate::hexadecimal::hexadecimal;
use crate::settings::{MasterKeySource, StoreSettings};
use crate::web::Moment;

/// Version of back-ups.
const VERSION: u8 = 1;
const MANIFEST_FILE: &str = "backup.json";
const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// The calls' values and keys.
const CALLS_FILE: &str = "calls";
const CALL_KEYS_FILE: &str = "call-keys";
/// The tenants' halves of them; earlier back-ups have none.
const TENANTS_FILE: &str = "tenants";
/// The longest key and value in it: notices are far shorter.
const FIELD_BYTES_MAX: u32 = 16 << 20;

/// Why a back-up could not be made or taken back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no back-up, or not as it was made.
    #[error("{path}: expected {expected}, found {found}")]
    Other {
        /// Which file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// The keys.
    #[error(transparent)]
    Keys(#[from] super::KeyError),
    /// The store that it comes from or goes to.
    #[error("{0}")]
    Store(String),
}

/// What a back-up holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    calmline_backup: u8,
    /// When it was begun.
    pub begun: Moment,
    /// Its files by name, with `/` between folders.
    pub files: Vec<Listed>,
}

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    name: String,
    /// Its length.
    pub bytes: u64,
    sha256: String,
}

/// Makes a back-up of a store that is up, in a folder that is made for it.
///
/// # Errors
/// When the folder is there already or cannot be written, or the store cannot be read. What was written is removed; where it
/// cannot be, it is without the list that would make it a back-up.
pub(super) fn write(embedded: &Embedded, (store, trail): (&Path, &Trail), to: &Path) -> Result<Manifest, BackupError> {
    let begun = Moment::now();
    fs::create_dir_all(to.parent().unwrap_or(Path::new("."))).map_err(in_file(to))?;
    fs::create_dir(to).map_err(in_file(to))?;
    let half_done = HalfDone(to);
    let manifest = fill(embedded, (store, trail), to, begun)?;
    std::mem::forget(half_done);
    Ok(manifest)
}

/// A folder that goes with it.
struct HalfDone<'a>(&'a Path);

impl Drop for HalfDone<'_> {
    fn drop(&mut self) {
        // What stays has no list.
        let _ = fs::remove_dir_all(self.0);
    }
}

fn fill(
    embedded: &Embedded,
    (store, trail): (&Path, &Trail),
    to: &Path,
    begun: Moment,
) -> Result<Manifest, BackupError> {
    fs::create_dir(to.join(AUDIT_FOLDER)).map_err(in_file(to))?;
    // Values before their keys: what is erased meanwhile is without a key then, and not the other way round.
    let mut files = vec![listed(to, CALLS_FILE, |out| embedded.dump(out))?];
    files.push(listed(to, CALL_KEYS_FILE, |out| embedded.dump_keys(out))?);
    files.push(listed(to, TENANTS_FILE, |out| embedded.dump_tenants(out))?);
    files.extend(copy_trail(store, trail, to)?);
    // Last: keys that a rotation adds meanwhile have sealed something by then.
    files.push(listed(to, KEYS_FILE, |out| copy(&store.join(KEYS_FILE), out))?);
    let manifest = Manifest { calmline_backup: VERSION, begun, files };
    let text = serde_json::to_vec_pretty(&manifest).expect("strings and numbers");
    written(&to.join(MANIFEST_FILE), |out| out.write_all(&text))?;
    sync_folder(&to.join(AUDIT_FOLDER)).and_then(|()| sync_folder(to)).map_err(in_file(to))?;
    Ok(manifest)
}

/// The trail's files that lie in the store; those of the archive are there already.
fn copy_trail(store: &Path, trail: &Trail, to: &Path) -> Result<Vec<Listed>, BackupError> {
    let _turn = trail.reading();
    let copied = |name: String| {
        let name = format!("{AUDIT_FOLDER}/{name}");
        listed(to, &name, |out| copy(&store.join(&name), out))
    };
    trail_files(trail.folder())?.into_iter().map(copied).collect()
}

/// The trail's files, the noted end first: entries that come meanwhile are behind it, never missing.
fn trail_files(folder: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(in_file(folder))? {
        names.extend(entry.map_err(in_file(folder))?.file_name().into_string());
    }
    // What begins with a dot is a lock, or not written to its end.
    names.retain(|name| !name.starts_with('.'));
    names.sort_by_key(|name| (name.ends_with(".log"), name.clone()));
    Ok(names)
}

/// Takes a back-up back into the folder of a store that has nothing yet.
///
/// # Errors
/// When it is none, or not as it was made, or neither the master key nor the one of before is its key; or there is a store already.
/// Nothing is written before all of it was looked at.
pub fn restore(settings: &StoreSettings, from: &Path) -> Result<Manifest, BackupError> {
    let manifest = checked(from)?;
    let to = &settings.folder;
    // One that is made now is not the one that it was sealed by.
    let beside = to.join(MASTER_FILE);
    if settings.master_key == MasterKeySource::Beside && !beside.exists() {
        return Err(other(&beside, "the back-up's master key", "none".to_owned()));
    }
    for name in [KEYS_FILE, AUDIT_FOLDER, CALLS_FOLDER] {
        if to.join(name).exists() {
            return Err(other(to, "a folder without a store", format!("one with {name}: move it away first")));
        }
    }
    let keys = read_keys(&from.join(KEYS_FILE), settings)?;
    fs::create_dir_all(to.join(AUDIT_FOLDER)).map_err(in_file(to))?;
    for Listed { name, .. } in &manifest.files {
        if name == KEYS_FILE || name.starts_with(AUDIT_FOLDER) {
            written(&to.join(name), |out| copy(&from.join(name), out))?;
        }
    }
    let calls = from.join(CALLS_FILE);
    let mut values = BufReader::new(File::open(&calls).map_err(in_file(&calls))?);
    let (folder, call_keys) = (to.join(CALLS_FOLDER), from.join(CALL_KEYS_FILE));
    let tenants = manifest.files.iter().any(|file| file.name == TENANTS_FILE).then(|| from.join(TENANTS_FILE));
    let all_keys = (call_keys.as_path(), tenants.as_deref());
    Embedded::load(&folder, settings.database.as_ref(), &keys, all_keys, &mut values).map_err(BackupError::Store)?;
    for folder in [to.clone(), to.join(AUDIT_FOLDER), to.join(CALLS_FOLDER)] {
        sync_folder(&folder).map_err(in_file(&folder))?;
    }
    Ok(manifest)
}

/// The list of a back-up whose every file is as it was written.
fn checked(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST_FILE);
    let mut text = String::new();
    let file = File::open(&path).map_err(in_file(&path))?;
    file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text).map_err(in_file(&path))?;
    let read = serde_json::from_str::<Manifest>(&text);
    let manifest = read.map_err(|error| other(&path, "the list of a back-up", error.to_string()))?;
    if manifest.calmline_backup != VERSION {
        let found = format!("version {}", manifest.calmline_backup);
        return Err(other(&path, format!("a back-up of version {VERSION}"), found));
    }
    for Listed { name, bytes, sha256 } in &manifest.files {
        let plain = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.')) && !name.contains('\\');
        if !plain {
            return Err(other(&path, "names of files in its folder", format!("{name:?}")));
        }
        let path = from.join(name);
        let mut sum = Summing::new(io::sink());
        copy(&path, &mut sum).map_err(in_file(&path))?;
        let found = sum.finish().1;
        if (found.0, &found.1) != (*bytes, sha256) {
            let (length, sum) = found;
            return Err(other(
                &path,
                format!("{bytes} bytes, SHA-256 {sha256}"),
                format!("{length} bytes, SHA-256 {sum}"),
            ));
        }
    }
    for needed in [KEYS_FILE, CALLS_FILE, CALL_KEYS_FILE] {
        if !manifest.files.iter().any(|listed| listed.name == needed) {
            return Err(other(&path, format!("a file {needed}"), "none".to_owned()));
        }
    }
    Ok(manifest)
}

/// Writes a file of the back-up, synced; how it is listed.
fn listed(to: &Path, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Listed, BackupError> {
    let (bytes, sha256) = written(&to.join(name), write)?;
    Ok(Listed { name: name.to_owned(), bytes, sha256 })
}

fn written(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(u64, String), BackupError> {
    let write_all = || {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let mut out = Summing::new(BufWriter::new(file));
        write(&mut out)?;
        let (mut out, sum) = out.finish();
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(sum)
    };
    write_all().map_err(in_file(path))
}

fn copy(from: &Path, out: &mut dyn Write) -> io::Result<()> {
    // To the length it has now: the trail grows meanwhile.
    let file = File::open(from)?;
    let length = file.metadata()?.len();
    io::copy(&mut file.take(length), out).map(drop)
}

/// The SHA-256 of a file.
pub(super) fn sum_of(path: &Path) -> io::Result<String> {
    let mut sum = Summing::new(io::sink());
    io::copy(&mut File::open(path)?, &mut sum)?;
    Ok(sum.finish().1.1)
}

/// Adds up what goes through it.
struct Summing<W> {
    out: W,
    bytes: u64,
    sum: Context,
}

impl<W: Write> Summing<W> {
    fn new(out: W) -> Self {
        Self { out, bytes: 0, sum: Context::new(&SHA256) }
    }

    fn finish(self) -> (W, (u64, String)) {
        let sum = hexadecimal(self.sum.finish().as_ref());
        (self.out, (self.bytes, sum))
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A value: its tree's number, key and value.
pub(super) type Value = (u8, Vec<u8>, Vec<u8>);

/// Writes one value: the tree's number, then key and value, each behind its length.
pub(super) fn write_value(out: &mut dyn Write, tree: u8, key: &[u8], value: &[u8]) -> io::Result<()> {
    out.write_all(&[tree])?;
    for field in [key, value] {
        let length = u32::try_from(field.len()).ok().filter(|length| *length <= FIELD_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other(format!("a value of {} bytes", field.len())))?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(field)?;
    }
    Ok(())
}

/// Reads what [`write_value`] has written; nothing at the end.
pub(super) fn read_value(from: &mut dyn Read) -> io::Result<Option<Value>> {
    let mut tree = [0];
    if from.read(&mut tree)? == 0 {
        return Ok(None);
    }
    let mut field = || {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > FIELD_BYTES_MAX {
            let why = format!("expected a value of at most {FIELD_BYTES_MAX} bytes, found one of {length}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut bytes = vec![0; length as usize];
        from.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    Ok(Some((tree[0], field()?, field()?)))
}

fn other(path: &Path, expected: impl Into<String>, found: String) -> BackupError {
    BackupError::Other { path: path.into(), expected: expected.into(), found }
}

fn in_file(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

#[cfg(test)]
mod tests;
