//! The audit trail: an append-only chain of sealed entries in files, synced before anybody acts on them.
//!
//! One JSON object per line. Each entry's code (HMAC-SHA256) covers the code of the entry before it; every
//! `CHECKPOINT_EVERY` entries, and when the log closes, a checkpoint signs the last code (Ed25519). Nothing is removed that
//! is not older than the trail is kept; `verify` finds what others altered, removed or moved.

mod search;
mod tidy;
mod trail;
mod verify;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::guard::Guard;
use super::keys::KeyRing;
use crate::durable::{beside, sync_folder, written};
pub use search::{AuditFound, AuditWanted, search};
pub use tidy::tidy;
pub use trail::Trail;
use trail::files_in;
pub use verify::{Finding, Verified, verify, verify_up_to};

/// Entries between two checkpoints.
const CHECKPOINT_EVERY: u64 = 1_000;
/// A file that is longer is followed by the next one. Bytes.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Files that may begin with the same entry: one more each time the one before ends in something that is no entry.
const TRIES_MAX: u32 = 1_000;
/// Numbers beyond are nobody's: a million entries a second reach it after centuries.
const NUMBER_MAX: u64 = 1 << 53;
/// How long a process is waited for that is ending.
const PATIENCE: Duration = Duration::from_secs(2);
/// Version of the files.
const VERSION: u8 = 1;
/// Where the end of the chain is noted, so that entries cut off at the end are missed.
const HEAD_FILE: &str = "head";

/// The code of an entry.
pub(super) type Code = [u8; 32];

/// Who did what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// What kind of deed it is: a notice's type, `access`, `configuration`, `started`, `stopped`, `repaired`.
    pub kind: String,
    /// Who did it: `policy`, `api`, `operator`, `server`.
    pub who: String,
    /// The call it is about; empty when it is about none.
    pub call: String,
    /// What exactly, and why.
    pub what: serde_json::Value,
}

/// One line of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// Opens a file.
    Segment {
        calmline_audit: u8,
        /// The first entry's number.
        first: u64,
        /// The code before it.
        after: String,
    },
    /// An entry.
    Entry { seq: u64, unix_ms: u64, body: String, code: String },
    /// A signed end of the chain so far.
    Checkpoint { checkpoint: u64, unix_ms: u64, code: String, signature: String },
}

/// What was found and mended when the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Bytes of an entry that was being written when the program ended; nobody acted on it.
    pub torn_bytes: u64,
    /// Entries that the head knows and the files do not.
    pub missing: u64,
}

/// The open end of the chain.
#[derive(Debug)]
pub struct AuditLog {
    folder: PathBuf,
    file: File,
    /// Length up to the last whole line, bytes.
    length: u64,
    next: u64,
    last: Code,
    /// Number of the last checkpoint.
    checkpoint: u64,
    head: File,
    /// No further file could be begun: told once, and tried again at each append.
    is_stuck: bool,
    /// Nobody else appends meanwhile: two chains in one folder would each break the other.
    _alone: Guard,
}

impl AuditLog {
    /// Opens the log of a folder, which is made where there is none.
    ///
    /// # Errors
    /// When a file cannot be read or written, and when another process appends to it.
    pub fn open(folder: &Path, keys: &KeyRing) -> io::Result<(Self, Repaired)> {
        fs::create_dir_all(folder)?;
        let alone = Guard::take(&folder.join(HEAD_FILE), PATIENCE).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let head = options.open(folder.join(HEAD_FILE))?;
        let known = read_head(&head, keys);
        let (end, torn_bytes) = end_in(folder)?;
        let missing = known.map_or(0, |(seq, _)| (seq + 1).saturating_sub(end.next));
        // What is missing stays missing: its numbers are not given again.
        let next = end.next + missing;
        let (file, length) = match &end.path {
            Some(path) if missing == 0 => {
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_len(end.length)?;
                file.sync_all()?;
                (file, end.length)
            }
            _ => new_segment(folder, next, &end.last)?,
        };
        let (folder, last, checkpoint) = (folder.into(), end.last, end.checkpoint);
        let log = Self { folder, file, length, next, last, checkpoint, head, is_stuck: false, _alone: alone };
        Ok((log, Repaired { torn_bytes, missing }))
    }

    /// Appends entries made at `unix_ms` and waits until the disk has them.
    ///
    /// # Errors
    /// When they could not be written as a whole; then none of them is in the log.
    pub fn append(&mut self, keys: &KeyRing, unix_ms: u64, entries: &[AuditEntry]) -> io::Result<()> {
        let (mut next, mut last, mut checkpoint) = (self.next, self.last, self.checkpoint);
        let mut text = Vec::new();
        for entry in entries {
            let body = serde_json::to_vec(entry).map_err(io::Error::other)?;
            let body = keys.seal(&context_of(next), &body);
            last = code_of(keys.chain(), &last, next, unix_ms, &body);
            let (body, code) = (STANDARD.encode(body), STANDARD.encode(last));
            push_line(&mut text, &Line::Entry { seq: next, unix_ms, body, code });
            if next >= checkpoint + CHECKPOINT_EVERY {
                push_line(&mut text, &signed(keys, next, unix_ms, &last));
                checkpoint = next;
            }
            next += 1;
        }
        self.write(&text)?;
        (self.next, self.last, self.checkpoint) = (next, last, checkpoint);
        self.note_head(keys);
        if self.length > SEGMENT_BYTES {
            self.turn();
        }
        Ok(())
    }

    /// Goes on in another file. Where none can be begun this one grows on: what was appended is in it.
    fn turn(&mut self) {
        match new_segment(&self.folder, self.next, &self.last) {
            Ok((file, length)) => (self.file, self.length, self.is_stuck) = (file, length, false),
            Err(why) if !self.is_stuck => {
                warn!(%why, "no further file of the audit trail can be begun: the last one grows on");
                self.is_stuck = true;
            }
            Err(_) => {}
        }
    }

    /// Signs the chain's end.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn close(&mut self, keys: &KeyRing, unix_ms: u64) -> io::Result<()> {
        let seq = self.next - 1;
        if seq <= self.checkpoint {
            return Ok(());
        }
        let mut text = Vec::new();
        push_line(&mut text, &signed(keys, seq, unix_ms, &self.last));
        self.write(&text)?;
        self.checkpoint = seq;
        Ok(())
    }

    /// The number of the last entry; 0 when there is none.
    pub fn last_seq(&self) -> u64 {
        self.next - 1
    }

    /// Writes at the end and syncs; what could be written only in part is cut off again.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all_at(text, self.length).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // When even that fails, the next opening finds a torn end.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }

    /// Notes the end beside the files; not synced, so it may be behind after a power cut, and never ahead.
    fn note_head(&self, keys: &KeyRing) {
        let mut head = [&self.last_seq().to_be_bytes()[..], &self.last].concat();
        head.extend(hmac::sign(keys.chain(), &[b"head", head.as_slice()].concat()).as_ref());
        // Without it only entries cut off at the end would go unnoticed until the next one is written.
        let _ = self.head.write_all_at(&head, 0);
    }
}

/// Where a file's chain ends.
#[derive(Debug)]
struct End {
    path: Option<PathBuf>,
    /// Whether anything stands in it that belongs to a chain.
    has_begun: bool,
    length: u64,
    next: u64,
    last: Code,
    checkpoint: u64,
}

impl Default for End {
    fn default() -> Self {
        Self { path: None, has_begun: false, length: 0, next: 1, last: [0; 32], checkpoint: 0 }
    }
}

/// Where the chain of a folder ends, and how many bytes behind that are no whole line. Files that were begun and hold nothing, or
/// behind all others no whole line, are removed: the power went, or the disk was full, before anybody acted on them.
fn end_in(folder: &Path) -> io::Result<(End, u64)> {
    let (mut torn_bytes, mut is_strange) = (0, false);
    let mut files = Vec::new();
    for path in files_in(folder)? {
        if fs::metadata(&path)?.len() == 0 {
            fs::remove_file(&path)?;
        } else {
            files.push(path);
        }
    }
    for path in files.iter().rev() {
        let (end, torn) = end_of(path)?;
        torn_bytes += torn;
        if end.length == 0 {
            fs::remove_file(path)?;
        } else if end.has_begun {
            let path = end.path.clone().filter(|_| !is_strange);
            return Ok((End { path, ..end }, torn_bytes));
        } else {
            // Somebody else's doing, as in the midst of a file.
            is_strange = true;
        }
    }
    Ok((End::default(), torn_bytes))
}

/// Reads a file to its end; how many bytes of it are no whole line.
fn end_of(path: &Path) -> io::Result<(End, u64)> {
    let bytes = fs::read(path)?;
    let mut end = End { path: Some(path.into()), ..End::default() };
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else { return Ok((end, line.len() as u64)) };
        match serde_json::from_slice(text) {
            Ok(Line::Segment { first, after, .. }) if is_number(first) => {
                (end.next, end.last) = (first, decode(&after).unwrap_or_default());
                (end.checkpoint, end.has_begun) = (first - 1, true);
            }
            Ok(Line::Entry { seq, code, .. }) if is_number(seq) => {
                (end.next, end.last) = (seq + 1, decode(&code).unwrap_or_default());
                end.has_begun = true;
            }
            Ok(Line::Checkpoint { checkpoint, .. }) if is_number(checkpoint) => end.checkpoint = checkpoint,
            // Somebody else's doing: it stays as evidence, and the chain goes on in another file.
            Ok(_) | Err(_) => end.path = None,
        }
        end.length += line.len() as u64;
    }
    Ok((end, 0))
}

/// Whether an entry can have this number.
fn is_number(seq: u64) -> bool {
    (1..=NUMBER_MAX).contains(&seq)
}

/// Begins another file, which is whole before it has its name. Never one that is there: its name says which try it is.
fn new_segment(folder: &Path, first: u64, after: &Code) -> io::Result<(File, u64)> {
    let mut text = Vec::new();
    push_line(&mut text, &Line::Segment { calmline_audit: VERSION, first, after: STANDARD.encode(after) });
    let fresh = beside(&name_of(folder, first, 0), "new");
    let placed = written(&fresh, &text, Some(0o600)).and_then(|file| place(&fresh, folder, first).map(|()| file));
    if placed.is_err() {
        // What is left of it is no file of a trail.
        let _ = fs::remove_file(&fresh);
    }
    Ok((placed?, text.len() as u64))
}

/// Gives a file the first name of entry `first` that nobody has; where that fails, nobody has it.
fn place(file: &Path, folder: &Path, first: u64) -> io::Result<()> {
    let taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    let name = (0..TRIES_MAX)
        .map(|again| name_of(folder, first, again))
        .map(|name| OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name).map(|_| name))
        .find(|named| !named.as_ref().is_err_and(taken))
        .unwrap_or_else(|| {
            Err(io::Error::other(format!("{TRIES_MAX} files of entry {first} in {}", folder.display())))
        })?;
    let placed = fs::rename(file, &name).and_then(|()| sync_folder(folder));
    if placed.is_err() {
        // Should this fail, too, it is empty, or has no entries.
        let _ = fs::remove_file(&name);
    }
    placed
}

fn name_of(folder: &Path, first: u64, again: u32) -> PathBuf {
    folder.join(format!("{first:012}-{again:03}.log"))
}

fn read_head(head: &File, keys: &KeyRing) -> Option<(u64, Code)> {
    let mut bytes = [0; 8 + 32 + 32];
    head.read_exact_at(&mut bytes, 0).ok()?;
    let (noted, tag) = bytes.split_at(40);
    hmac::verify(keys.chain(), &[b"head", noted].concat(), tag).ok()?;
    let (seq, code) = noted.split_at(8);
    Some((u64::from_be_bytes(seq.try_into().ok()?), code.try_into().ok()?))
}

fn code_of(chain: &hmac::Key, before: &Code, seq: u64, unix_ms: u64, body: &[u8]) -> Code {
    let mut context = hmac::Context::with_key(chain);
    for part in [&before[..], &seq.to_be_bytes(), &unix_ms.to_be_bytes(), body] {
        context.update(part);
    }
    context.sign().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

fn signed(keys: &KeyRing, seq: u64, unix_ms: u64, code: &Code) -> Line {
    let signature = STANDARD.encode(keys.sign(&checkpoint_message(seq, unix_ms, code)));
    Line::Checkpoint { checkpoint: seq, unix_ms, code: STANDARD.encode(code), signature }
}

fn checkpoint_message(seq: u64, unix_ms: u64, code: &Code) -> Vec<u8> {
    [&b"calmline audit checkpoint"[..], &seq.to_be_bytes(), &unix_ms.to_be_bytes(), code].concat()
}

fn context_of(seq: u64) -> Vec<u8> {
    [&b"audit"[..], &seq.to_be_bytes()].concat()
}

fn decode(text: &str) -> Option<Code> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn push_line(text: &mut Vec<u8>, line: &Line) {
    serde_json::to_writer(&mut *text, line).expect("only strings and numbers");
    text.push(b'\n');
}

#[cfg(test)]
mod tests;
