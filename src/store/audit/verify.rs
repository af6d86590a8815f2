//! Reads the whole audit trail and names everything that is not as it was written.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::trail::head_of;
use super::{
    AuditEntry, CHECKPOINT_EVERY, Code, HEAD_FILE, KeyRing, Line, Trail, VERSION, checkpoint_message, code_of,
    context_of, decode, read_head,
};

/// Findings that are listed; a file full of garbage has more.
const FINDINGS_MAX: usize = 100;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// What a trail holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Entries that were read.
    pub entries: u64,
    /// Checkpoints whose signature is right.
    pub checkpoints: u64,
    /// The last entry's number and code, base64: whoever keeps them elsewhere can tell a trail that was put back as a whole.
    pub end: (u64, String),
    /// What is wrong, at most 100 findings.
    pub findings: Vec<Finding>,
}

/// Reads every entry of a trail, oldest first, and hands what can be opened to `each` (number, time, entry).
///
/// # Errors
/// When a file cannot be read. What is wrong with the trail is no error but a finding.
pub fn verify(trail: &Trail, keys: &KeyRing, each: &mut dyn FnMut(u64, u64, AuditEntry)) -> io::Result<Verified> {
    let mut reader = Reader::new(keys, each);
    reader.read_all(trail, None)?;
    if let Ok(head) = File::open(trail.folder.join(HEAD_FILE)) {
        reader.compare_with_head(&head);
    }
    Ok(reader.verified())
}

/// Reads the trail of a server that runs, up to entry number `written`: what comes behind it is being written.
///
/// # Errors
/// As [`verify`].
pub fn verify_up_to(trail: &Trail, keys: &KeyRing, written: u64) -> io::Result<Verified> {
    let mut ignored = |_, _, _| {};
    let mut reader = Reader::new(keys, &mut ignored);
    reader.read_all(trail, Some(written))?;
    if reader.next <= written {
        reader.follow(written + 1);
    }
    Ok(reader.verified())
}

struct Reader<'a> {
    keys: &'a KeyRing,
    each: &'a mut dyn FnMut(u64, u64, AuditEntry),
    next: u64,
    last: Code,
    /// The last entry that is signed, or that stands before the file.
    signed: u64,
    file: String,
    line: usize,
    verified: Verified,
}

impl<'a> Reader<'a> {
    fn new(keys: &'a KeyRing, each: &'a mut dyn FnMut(u64, u64, AuditEntry)) -> Self {
        Self {
            keys,
            each,
            next: 1,
            last: [0; 32],
            signed: 0,
            file: String::new(),
            line: 0,
            verified: Verified::default(),
        }
    }
}

impl Reader<'_> {
    /// Reads all files, or as far as to entry number `written`.
    fn read_all(&mut self, trail: &Trail, written: Option<u64>) -> io::Result<()> {
        let _turn = trail.reading();
        let files = trail.files()?;
        self.begin(trail, files.first())?;
        for path in files {
            self.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.line = 0;
            for line in io::BufReader::new(File::open(&path)?).split(b'\n') {
                if written.is_some_and(|written| self.next > written) {
                    break;
                }
                self.line += 1;
                self.read(&line?);
            }
        }
        Ok(())
    }

    /// Goes to where the trail begins, when what stood before is older than it is kept.
    fn begin(&mut self, trail: &Trail, oldest: Option<&PathBuf>) -> io::Result<()> {
        match trail.beginning(self.keys)? {
            Ok(None) => {}
            Ok(Some(noted)) => {
                // Removing was cut off: what is still there begins with what it says.
                let oldest = oldest.map(|file| head_of(file)).transpose()?.flatten().map(|head| head.beginning);
                let begins = oldest.filter(|oldest| (1..noted.first).contains(&oldest.first)).unwrap_or(noted);
                (self.next, self.last) = (begins.first, begins.after);
            }
            Err(wrong) => self.find(format!("the note of where the trail begins: {wrong}")),
        }
        Ok(())
    }

    fn verified(mut self) -> Verified {
        self.verified.end = (self.next.saturating_sub(1), STANDARD.encode(self.last));
        self.verified
    }

    fn read(&mut self, line: &[u8]) {
        let read = serde_json::from_slice(line);
        if self.line == 1 && !matches!(read, Ok(Line::Segment { .. })) {
            self.find("the line that opens the file is missing".to_owned());
        }
        match read {
            Ok(Line::Segment { first: 0, .. }) => self.find("the file says that it begins with entry 0".to_owned()),
            Ok(Line::Segment { calmline_audit: VERSION, first, after }) => {
                self.follow(first);
                if decode(&after) != Some(self.last) {
                    self.find(format!("the file does not follow entry {}", first - 1));
                    self.last = decode(&after).unwrap_or_default();
                }
                (self.next, self.signed) = (first, first - 1);
            }
            Ok(Line::Entry { seq, unix_ms, body, code }) => self.entry(seq, unix_ms, &body, &code),
            Ok(Line::Checkpoint { checkpoint, unix_ms, code, signature }) => {
                self.checkpoint(checkpoint, unix_ms, &code, &signature);
            }
            Ok(Line::Segment { calmline_audit, .. }) => {
                self.find(format!("expected version 1, found {calmline_audit}"));
            }
            Err(_) => self.find(format!("expected an entry, found {} bytes that are none", line.len())),
        }
    }

    /// Says what is missing before number `seq`, or that it does not belong here.
    fn follow(&mut self, seq: u64) {
        match seq.checked_sub(self.next) {
            Some(0) => {}
            Some(1) => self.find(format!("entry {} is missing", self.next)),
            Some(_) => self.find(format!("entries {} to {} are missing", self.next, seq - 1)),
            None => self.find(format!("entry {seq} stands after entry {}", self.next - 1)),
        }
    }

    fn entry(&mut self, seq: u64, unix_ms: u64, body: &str, code: &str) {
        let missing = seq > self.next;
        self.follow(seq);
        let (body, code) = (STANDARD.decode(body).unwrap_or_default(), decode(code).unwrap_or_default());
        // Behind a gap the code before is not known; the entry's own seal still tells whether it is genuine.
        let follows = missing || code_of(self.keys.chain(), &self.last, seq, unix_ms, &body) == code;
        let opened = self.keys.open_value(&context_of(seq), &body).ok();
        match opened.and_then(|body| serde_json::from_slice(&body).ok()) {
            Some(entry) if follows => (self.each)(seq, unix_ms, entry),
            Some(_) => self.find(format!("entry {seq} was altered, or the one before it is another one")),
            None => self.find(format!("entry {seq} was altered: it cannot be opened")),
        }
        // One that was cut off with its checkpoint, when the server was killed, has it behind the next one.
        if seq.saturating_sub(self.signed) > CHECKPOINT_EVERY + 1 {
            self.find(format!("the checkpoint behind entry {} is missing", self.signed + CHECKPOINT_EVERY));
            self.signed = seq;
        }
        (self.next, self.last) = (seq.saturating_add(1), code);
        self.verified.entries += 1;
    }

    fn checkpoint(&mut self, seq: u64, unix_ms: u64, code: &str, signature: &str) {
        let code = decode(code).unwrap_or_default();
        let signature = STANDARD.decode(signature).unwrap_or_default();
        if !self.keys.has_signed(&checkpoint_message(seq, unix_ms, &code), &signature) {
            self.find(format!("the checkpoint of entry {seq} is not signed by this store"));
        } else if (seq.saturating_add(1), code) != (self.next, self.last) {
            let before = self.next.saturating_sub(1);
            self.find(format!("the checkpoint signs entry {seq}, and it stands after entry {before}"));
        } else {
            self.verified.checkpoints += 1;
            self.signed = seq;
        }
    }

    fn compare_with_head(&mut self, head: &File) {
        let Some((seq, code)) = read_head(head, self.keys) else { return };
        self.file = HEAD_FILE.to_owned();
        self.line = 1;
        if seq >= self.next {
            self.follow(seq.saturating_add(1));
        } else if seq.saturating_add(1) == self.next && code != self.last {
            self.find(format!("entry {seq} is not the one that was written last"));
        }
    }

    fn find(&mut self, what: String) {
        if self.verified.findings.len() < FINDINGS_MAX {
            let (file, line) = (self.file.clone(), self.line);
            self.verified.findings.push(Finding { file, line, what });
        }
    }
}
