//! Where the trail's files lie: the one that grows and those closed of late in the store's folder, older ones in an archive,
//! perhaps on other disks. Whoever reads the trail reads both as one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Code, KeyRing, Line, code_of, decode};
use crate::durable::write_whole;

/// Where it is noted with which entry the trail begins, once earlier ones are so old that they were removed.
const BEGINNING_FILE: &str = "beginning";
/// The longest such note, bytes.
const BEGINNING_BYTES_MAX: u64 = 4_096;

/// The folders of a trail. Clones are of the same one.
#[derive(Debug, Clone)]
pub struct Trail {
    pub(super) folder: PathBuf,
    pub(super) archive: Option<PathBuf>,
    /// Held by those who read several files, and by who moves or removes some.
    turns: Arc<RwLock<()>>,
}

/// The first entry that the trail still has, and the code of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) first: u64,
    pub(super) after: Code,
}

/// How it is written down, with a signature of the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    first: u64,
    after: String,
    signature: String,
}

impl Trail {
    /// The trail in `folder`, whose older files are in `archive`, where there is one.
    pub fn new(folder: &Path, archive: Option<&Path>) -> Self {
        Self { folder: folder.to_owned(), archive: archive.map(Path::to_owned), turns: Arc::default() }
    }

    /// The store's folder of it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps every file in its place until it is dropped.
    pub(in super::super) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.turns.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.turns.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// All files, oldest first. One that lies in both folders, since moving it was cut off, counts as the store's.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        // The store's first: a file that another program moves in between is then in both lists, not in neither.
        let here = files_in(&self.folder)?;
        let mut files = self.archive.as_deref().map_or_else(|| Ok(Vec::new()), files_in)?;
        files.retain(|file| here.iter().all(|other| other.file_name() != file.file_name()));
        files.extend(here);
        files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        Ok(files)
    }

    /// With which entry the trail begins, when that is not the first; what is wrong with the note, when it is none of ours.
    pub(super) fn beginning(&self, keys: &KeyRing) -> io::Result<Result<Option<Beginning>, &'static str>> {
        let path = self.folder.join(BEGINNING_FILE);
        if !path.exists() {
            return Ok(Ok(None));
        }
        if fs::metadata(&path)?.len() > BEGINNING_BYTES_MAX {
            return Ok(Err("it is too long"));
        }
        let noted = serde_json::from_slice::<Noted>(&fs::read(&path)?).ok();
        let read = noted.and_then(|noted| {
            let (after, signature) = (decode(&noted.after)?, STANDARD.decode(&noted.signature).ok()?);
            let beginning = Beginning { first: noted.first, after };
            keys.has_signed(&message(beginning), &signature).then_some(beginning)
        });
        Ok(read.map(Some).ok_or("it is not signed by this store"))
    }

    /// Notes with which entry the trail begins from now on; on the disk when this returns.
    pub(super) fn note_beginning(&self, keys: &KeyRing, beginning: Beginning) -> io::Result<()> {
        let signature = STANDARD.encode(keys.sign(&message(beginning)));
        let noted = Noted { first: beginning.first, after: STANDARD.encode(beginning.after), signature };
        let text = serde_json::to_vec(&noted).map_err(io::Error::other)?;
        write_whole(&self.folder.join(BEGINNING_FILE), &text, Some(0o600))
    }
}

/// The files of a trail in one folder, oldest first; none where there is no folder.
pub(super) fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What the first lines of a file say. Whoever can write the file can have them say anything.
#[derive(Debug)]
pub(super) struct Head {
    /// What the file says that it follows.
    pub(super) beginning: Beginning,
    /// When its first entry was made, milliseconds since 1970.
    pub(super) unix_ms: u64,
    seq: u64,
    body: String,
    code: String,
}

impl Head {
    /// Whether this store wrote the first entry as it stands there, right behind what the file says that it follows.
    pub(super) fn is_genuine(&self, keys: &KeyRing) -> bool {
        let Beginning { first, after } = &self.beginning;
        self.seq == *first && follows(keys, after, (self.seq, self.unix_ms), &self.body, &self.code).is_some()
    }
}

/// The head of a file; nothing of what is no file of a trail, or has no entry yet.
pub(super) fn head_of(path: &Path) -> io::Result<Option<Head>> {
    let mut beginning = None;
    for line in BufReader::new(File::open(path)?).split(b'\n').take(3) {
        match serde_json::from_slice(&line?) {
            Ok(Line::Segment { first, after, .. }) => {
                beginning = decode(&after).map(|after| Beginning { first, after });
            }
            Ok(Line::Entry { seq, unix_ms, body, code }) => {
                return Ok(beginning.map(|beginning| Head { beginning, unix_ms, seq, body, code }));
            }
            Ok(Line::Checkpoint { .. }) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// The code of the last entry of a file, or of what it follows when it has none; nothing when one of them is not as this
/// store wrote it. Lines that are none are passed over, as when the log is opened.
pub(super) fn genuine_end_of(path: &Path, keys: &KeyRing) -> io::Result<Option<Code>> {
    let mut last: Option<Code> = None;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let read: Result<Line, _> = serde_json::from_slice(&line?);
        let next = match (read, last) {
            (Ok(Line::Segment { after, .. }), None) => decode(&after),
            (Ok(Line::Entry { seq, unix_ms, body, code }), Some(last)) => {
                follows(keys, &last, (seq, unix_ms), &body, &code)
            }
            (Ok(Line::Segment { .. }), Some(_)) | (Ok(Line::Entry { .. }), None) => None,
            (Ok(Line::Checkpoint { .. }) | Err(_), _) => continue,
        };
        if next.is_none() {
            return Ok(None);
        }
        last = next;
    }
    Ok(last)
}

/// The code of an entry, when it is the right one behind `before`.
fn follows(keys: &KeyRing, before: &Code, (seq, unix_ms): (u64, u64), body: &str, code: &str) -> Option<Code> {
    let (body, code) = (STANDARD.decode(body).ok()?, decode(code)?);
    (code_of(keys.chain(), before, seq, unix_ms, &body) == code).then_some(code)
}

fn message(Beginning { first, after }: Beginning) -> Vec<u8> {
    [&b"calmline audit beginning"[..], &first.to_be_bytes(), &after].concat()
}
