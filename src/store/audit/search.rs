//! Looks for entries of the audit trail, newest first, while it may be written: piece by piece, at a bounded cost.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{AuditEntry, KeyRing, Line, Trail, context_of};

/// Entries that are looked at for one answer; whoever wants more goes on where it ended.
const LOOKED_AT_MAX: usize = 50_000;
/// How far clocks may have been put back: entries that are older than what is asked for by more end the search. Milliseconds.
const PUT_BACK_MS: u64 = 24 * 3_600 * 1_000;

/// What is looked for. All that is named has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditWanted {
    /// Who did it.
    pub who: Option<String>,
    /// What kind of deed it is.
    pub kind: Option<String>,
    /// The call it is about.
    pub call: Option<String>,
    /// Not before this, milliseconds since 1970.
    pub from_unix_ms: u64,
    /// Before this.
    pub before_unix_ms: Option<u64>,
    /// Of a lower number than this.
    pub below: Option<u64>,
    /// At most so many.
    pub max: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditFound {
    /// Number, time and entry, newest first.
    pub entries: Vec<(u64, u64, AuditEntry)>,
    /// Where to go on (`below`); nothing when the trail's beginning, or what is too old, was reached.
    pub next: Option<u64>,
}

/// Looks for entries in a trail. What cannot be opened is passed over: `verify` names it.
///
/// # Errors
/// When a file cannot be read.
pub fn search(trail: &Trail, keys: &KeyRing, wanted: &AuditWanted) -> io::Result<AuditFound> {
    let (mut found, mut looked_at) = (AuditFound::default(), 0);
    let _turn = trail.reading();
    for path in trail.files()?.into_iter().rev() {
        if wanted.below.is_some_and(|below| first_of(&path).is_some_and(|first| first >= below)) {
            continue;
        }
        let text = fs::read(&path)?;
        for line in text.split(|&octet| octet == b'\n').rev() {
            let Ok(Line::Entry { seq, unix_ms, body, .. }) = serde_json::from_slice(line) else { continue };
            if wanted.below.is_some_and(|below| seq >= below) {
                continue;
            }
            if unix_ms.saturating_add(PUT_BACK_MS) < wanted.from_unix_ms {
                return Ok(found);
            }
            if looked_at == LOOKED_AT_MAX || found.entries.len() == wanted.max {
                found.next = Some(seq.saturating_add(1));
                return Ok(found);
            }
            looked_at += 1;
            let is_in_time = unix_ms >= wanted.from_unix_ms && wanted.before_unix_ms.is_none_or(|end| unix_ms < end);
            if let Some(entry) = is_in_time.then(|| open(keys, seq, &body)).flatten()
                && wanted.is_met_by(&entry)
            {
                found.entries.push((seq, unix_ms, entry));
            }
        }
    }
    Ok(found)
}

impl AuditWanted {
    fn is_met_by(&self, entry: &AuditEntry) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.who, &entry.who) && is(&self.kind, &entry.kind) && is(&self.call, &entry.call)
    }
}

fn open(keys: &KeyRing, seq: u64, body: &str) -> Option<AuditEntry> {
    let plain = keys.open_value(&context_of(seq), &STANDARD.decode(body).ok()?).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// The number of a file's first entry, as its name says.
fn first_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::keys::{KeyRing, MasterKey};
    use super::super::AuditLog;
    use super::*;

    #[test]
    fn entries_are_found_newest_first_and_page_by_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::make(&folder.path().join("master")).expect("a key");
        let keys = KeyRing::open(&folder.path().join("keys"), &master).expect("keys");
        let trail = folder.path().join("audit");
        let entry = |number: u64| AuditEntry {
            kind: ["access", "decided"][(number % 2) as usize].to_owned(),
            who: ["li", "wang", "policy"][(number % 3) as usize].to_owned(),
            call: format!("call {}", number % 5),
            what: serde_json::json!({ "number": number }),
        };
        let open = || AuditLog::open(&trail, &keys).expect("a log").0;
        let mut log = Some(open());
        for number in 1..=60 {
            log.get_or_insert_with(open).append(&keys, number * 1_000, &[entry(number)]).expect("written");
            if number % 20 == 0 {
                // The trail goes on in another file.
                fs::write(trail.join(format!("{:012}-{:03}.log", number + 1, 0)), "torn").expect("written");
                log = None;
            }
        }
        let all = AuditWanted { max: 100, ..AuditWanted::default() };
        let numbers = |wanted: &AuditWanted| {
            let found = search(&Trail::new(&trail, None), &keys, wanted).expect("readable");
            (found.entries.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), found.next)
        };
        assert_eq!(numbers(&all), ((1..=60).rev().collect(), None));
        let li = AuditWanted { who: Some("li".to_owned()), kind: Some("access".to_owned()), ..all.clone() };
        assert_eq!(numbers(&li), ((1..=10).rev().map(|of| of * 6).collect(), None));
        let timed = AuditWanted { from_unix_ms: 10_000, before_unix_ms: Some(13_000), ..all.clone() };
        assert_eq!(numbers(&timed), (vec![12, 11, 10], None));
        let (mut read, mut below) = (Vec::new(), None);
        loop {
            let page = AuditWanted { max: 7, below, call: Some("call 3".to_owned()), ..all.clone() };
            let (mut found, next) = numbers(&page);
            read.append(&mut found);
            below = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(read, (0..12).rev().map(|of| of * 5 + 3).collect::<Vec<_>>());
        let found = search(&Trail::new(&trail, None), &keys, &AuditWanted { max: 1, ..all }).expect("readable");
        assert_eq!(found.entries[0].2, entry(60));
    }
}
