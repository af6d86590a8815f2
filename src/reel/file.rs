//! The file of a reel: records behind their lengths, each sealed together with the reel's name and its own number, so that none
//! can be altered, moved or left out in the midst. Only ever longer; what was torn by a crash ends it.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::record::{Chunk, ChunkHead, Record};
use super::sound::decoded;
use super::spans::Spans;
use super::{RATE_HZ, samples_in};
use crate::hexadecimal::hexadecimal;
use crate::store::ReelKey;

/// What a file begins with; the last octet is its version.
const HEADER: [u8; 16] = *b"calmline reel\0\0\x01";
/// The longest record, octets: five seconds of both channels take 90 KB.
const RECORD_OCTETS_MAX: u32 = 1 << 20;
/// How much is not to be heard before the end of a reel of which that is not known, beside what was unread.
const UNKNOWN_SECONDS: u64 = 60;

/// Where a reel is: its name is that of its call in the store.
pub fn path_of(folder: &Path, name: &[u8; 16]) -> PathBuf {
    folder.join(format!("{}.reel", hexadecimal(name)))
}

/// How much of a reel in which words are recognised is not to be heard before its last sample, when it is not known what was said
/// there and so much was unread: samples.
pub fn unknown(unread: Duration) -> u64 {
    samples_in(unread) + UNKNOWN_SECONDS * u64::from(RATE_HZ)
}

/// Why a reel cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReelError {
    /// The file is not there.
    #[error("the file is gone")]
    Gone,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is no reel, or nothing of it is whole.
    #[error("it is damaged: expected {expected}, found {found}")]
    Damaged {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// No decoder of its codec.
    #[error("it cannot be decoded: {0}")]
    Codec(#[from] super::ChunkError),
}

/// Writes one reel.
#[derive(Debug)]
pub struct ReelWriter {
    file: File,
    key: ReelKey,
    number: u32,
    end: u64,
}

impl ReelWriter {
    /// Makes the file.
    ///
    /// # Errors
    /// When it is there already, or cannot be written.
    pub fn create(folder: &Path, key: ReelKey) -> io::Result<Self> {
        let path = path_of(folder, key.name());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all_at(&HEADER, 0)?;
        Ok(Self { file, key, number: 0, end: HEADER.len() as u64 })
    }

    /// Adds a record; how many octets it takes.
    ///
    /// # Errors
    /// When it cannot be written; then the next one takes its place.
    pub fn append(&mut self, record: &Record) -> io::Result<u64> {
        let sealed = self.key.seal(self.number, &record.octets()).map_err(io::Error::other)?;
        let octets = [&(sealed.len() as u32).to_be_bytes(), &sealed[..]].concat();
        if let Err(error) = self.file.write_all_at(&octets, self.end) {
            // What is there of it would be taken for the torn end of a crash, and is overwritten by what comes next.
            let _cut = self.file.set_len(self.end);
            return Err(error);
        }
        self.number += 1;
        self.end += octets.len() as u64;
        Ok(octets.len() as u64)
    }

    /// Makes sure that all of it is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A reel that is read: where its audio is, and what of it is muted.
#[derive(Debug)]
pub struct Reel {
    file: File,
    key: ReelKey,
    /// When it began, milliseconds since 1970.
    pub unix_ms: u64,
    /// The same since the call began.
    pub call_ms: u64,
    /// How long it is, samples.
    pub samples: u64,
    /// What nobody is to hear.
    pub muted: Spans,
    /// Whether it was written to its end.
    pub is_whole: bool,
    chunks: Vec<Kept>,
    /// The chunk that was decoded last, for whoever reads on.
    last: Option<(usize, Vec<[i16; 2]>)>,
}

/// A chunk in the file.
#[derive(Debug)]
struct Kept {
    span: Range<u64>,
    number: u32,
    at: u64,
}

impl Reel {
    /// Reads where everything is in a reel, and opens all of it once.
    ///
    /// # Errors
    /// When the file is not there or cannot be read, or has no beginning.
    pub fn open(folder: &Path, key: ReelKey) -> Result<Self, ReelError> {
        let file = match File::open(path_of(folder, key.name())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReelError::Gone),
            file => file?,
        };
        let damaged = |found: String| ReelError::Damaged { expected: "a reel of version 1", found };
        let mut header = [0; HEADER.len()];
        let read = file.read_exact_at(&mut header, 0);
        if read.is_err() || header != HEADER {
            return Err(damaged(format!("{:?}", String::from_utf8_lossy(&header))));
        }
        let mut reading = Reading::default();
        let (mut number, mut at) = (0, HEADER.len() as u64);
        while let Some((octets, length)) = opened_at(&file, &key, number, at)? {
            if !reading.take(&octets, number, at) {
                break;
            }
            (number, at) = (number + 1, at + length);
        }
        let (unix_ms, call_ms, words) = reading.begin.ok_or_else(|| damaged("no beginning".to_owned()))?;
        let is_whole = reading.end.is_some();
        let samples = reading.length();
        let muted = reading.muted(words);
        Ok(Self { file, key, unix_ms, call_ms, samples, muted, is_whole, chunks: reading.chunks, last: None })
    }

    /// Samples of both channels from `from` on, as they may be heard: at least one, at most to the end of a chunk; none at the
    /// end of the reel.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn piece(&mut self, from: u64) -> Result<Vec<[i16; 2]>, ReelError> {
        let index = self.chunks.partition_point(|chunk| chunk.span.end <= from);
        let next = self.chunks.get(index).map(|chunk| chunk.span.clone());
        let mut frames = match next {
            Some(span) if span.contains(&from) => {
                let frames = self.decoded(index)?;
                frames[(from - span.start) as usize..].to_vec()
            }
            // Nothing was kept here: it is silence, and takes as long.
            gap => {
                let end = gap.map_or(self.samples, |span| span.start);
                vec![[0; 2]; end.saturating_sub(from).min(GAP_SAMPLES_MAX) as usize]
            }
        };
        frames.truncate(self.samples.saturating_sub(from) as usize);
        self.muted.silence(from, &mut frames);
        Ok(frames)
    }

    fn decoded(&mut self, index: usize) -> Result<&[[i16; 2]], ReelError> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            let before =
                index.checked_sub(1).filter(|before| self.chunks[*before].span.end == self.chunks[index].span.start);
            let before = before.map(|before| self.chunk(before)).transpose()?;
            let frames = decoded(before.as_ref(), &self.chunk(index)?)?;
            self.last = Some((index, frames));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, frames)| frames))
    }

    fn chunk(&self, index: usize) -> Result<Chunk, ReelError> {
        let Kept { number, at, .. } = self.chunks[index];
        let opened = opened_at(&self.file, &self.key, number, at)?;
        match opened.and_then(|(octets, _)| Record::of(&octets)) {
            Some(Record::Audio(chunk)) => Ok(chunk),
            other => {
                let found = if other.is_some() { "another record" } else { "none" }.to_owned();
                Err(ReelError::Damaged { expected: "the audio that was there before", found })
            }
        }
    }
}

/// Silence that is made at once.
const GAP_SAMPLES_MAX: u64 = 5 * RATE_HZ as u64;

/// What the records of a reel add up to.
#[derive(Debug, Default)]
struct Reading {
    begin: Option<(u64, u64, bool)>,
    chunks: Vec<Kept>,
    muted: Spans,
    /// Since where the caller types in secret.
    secure: Option<u64>,
    end: Option<u64>,
    unread_ms: u64,
}

impl Reading {
    /// Takes the next record; whether it is one. Of audio only the head is read.
    fn take(&mut self, octets: &[u8], number: u32, at: u64) -> bool {
        if let Some(head) = ChunkHead::of(octets) {
            self.unread_ms = head.unread_ms.into();
            let span = head.position..head.position + head.samples();
            // None lies over another.
            if self.chunks.last().is_none_or(|last| last.span.end <= span.start) && !span.is_empty() {
                self.chunks.push(Kept { span, number, at });
            }
            return true;
        }
        match Record::of(octets) {
            Some(Record::Begin { unix_ms, call_ms, words }) => self.begin = Some((unix_ms, call_ms, words)),
            Some(Record::Mute { from, to }) => self.muted.add(from..to),
            Some(Record::Secure { at, on: true }) => {
                self.secure.get_or_insert(at);
            }
            Some(Record::Secure { at, on: false }) => {
                if let Some(from) = self.secure.take() {
                    self.muted.add(from..at);
                }
            }
            Some(Record::End { samples }) => self.end = Some(samples),
            Some(Record::Audio(_)) | None => return false,
        }
        true
    }

    fn length(&self) -> u64 {
        self.end.unwrap_or_else(|| self.chunks.last().map_or(0, |chunk| chunk.span.end))
    }

    /// What is not to be heard, of a reel in which words are recognised or not.
    fn muted(&mut self, words: bool) -> Spans {
        let length = self.length();
        if let Some(from) = self.secure.take() {
            self.muted.add(from..length.max(from));
        }
        if self.end.is_none() && words {
            let unknown = unknown(Duration::from_millis(self.unread_ms));
            self.muted.add(length.saturating_sub(unknown)..length);
        }
        self.muted.before(length)
    }
}

/// What was sealed at a place, and how long it is there; nothing at the end, and where it is torn or altered.
fn opened_at(file: &File, key: &ReelKey, number: u32, at: u64) -> Result<Option<(Vec<u8>, u64)>, ReelError> {
    let mut length = [0; 4];
    if !read_whole(file, &mut length, at)? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(length);
    let mut sealed = vec![0; length.min(RECORD_OCTETS_MAX) as usize];
    if length > RECORD_OCTETS_MAX || !read_whole(file, &mut sealed, at + 4)? {
        return Ok(None);
    }
    Ok(key.open(number, &sealed).map(|octets| (octets, 4 + u64::from(length))))
}

/// Whether all of it is there.
fn read_whole(file: &File, octets: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(octets, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "stretches are compared, of which there may be one")]
mod tests;
