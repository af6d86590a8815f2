//! A chain that nobody alters unnoticed, and that a crash does not break.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::store::keys::MasterKey;

#[test]
fn what_was_written_reads_back_in_order() {
    let trail = Made::of(2_500);
    let mut seen = Vec::new();
    let verified = verify(&trail.as_read(), &trail.keys, &mut |seq, unix_ms, entry| seen.push((seq, unix_ms, entry)));
    let verified = verified.expect("it can be read");
    assert_eq!((verified.entries, verified.checkpoints, verified.findings), (2_500, 3, Vec::new()));
    assert_eq!(verified.end.0, 2_500);
    assert_eq!(seen[41], (42, 1_042, entry(42)));
}

#[test]
fn nothing_of_an_entry_can_be_read_without_the_key() {
    let trail = Made::of(20);
    for path in files_in(&trail.folder()).expect("files") {
        let text = fs::read_to_string(path).expect("text");
        assert!(!text.contains("13800138000") && !text.contains("call-") && !text.contains("decided"), "{text}");
    }
}

#[test]
fn every_way_to_alter_it_is_named() {
    let altered = |change: fn(&mut Vec<String>), found: &str| {
        let trail = Made::of(30);
        let path = files_in(&trail.folder()).expect("files").remove(0);
        let mut lines: Vec<String> =
            fs::read_to_string(&path).expect("text").lines().map(|line| format!("{line}\n")).collect();
        change(&mut lines);
        fs::write(&path, lines.concat()).expect("written");
        let findings = trail.findings();
        assert!(findings.iter().any(|finding| finding.what.contains(found)), "{found}: {findings:?}");
    };
    // Line 0 opens the file, line n is entry n, the last one is the checkpoint.
    altered(|lines| lines[7] = lines[7].replace("\"unix_ms\":1007", "\"unix_ms\":1008"), "entry 7 was altered");
    altered(|lines| lines[7] = lines[7].replace("\"body\":\"AQ", "\"body\":\"AR"), "entry 7 was altered");
    altered(|lines| drop(lines.remove(7)), "entry 7 is missing");
    altered(|lines| drop(lines.remove(1)), "entry 1 is missing");
    altered(|lines| drop(lines.remove(0)), "the line that opens the file is missing");
    altered(|lines| drop(lines.drain(7..=9)), "entries 7 to 9 are missing");
    altered(|lines| lines.swap(7, 8), "entry 7 stands after entry 8");
    altered(|lines| lines.insert(8, lines[7].clone()), "entry 7 stands after entry 7");
    altered(|lines| lines.truncate(28), "entries 28 to 30 are missing");
    altered(
        |lines| lines[31] = lines[31].replace("\"checkpoint\":30", "\"checkpoint\":29"),
        "not signed by this store",
    );
    altered(|lines| lines.insert(3, "{}\n".to_owned()), "found 2 bytes that are none");
    altered(|lines| lines[0] = lines[0].replace("\"first\":1,", "\"first\":0,"), "begins with entry 0");
    altered(
        |lines| lines[7] = lines[7].replace("\"seq\":7,", &format!("\"seq\":{},", u64::MAX)),
        "entries 7 to 18446744073709551614 are missing",
    );
}

#[test]
fn a_checkpoint_that_was_removed_is_missed() {
    let trail = Made::of(2_500);
    let path = files_in(&trail.folder()).expect("files").remove(0);
    let text = fs::read_to_string(&path).expect("text");
    let lines: Vec<&str> =
        text.split_inclusive('\n').filter(|line| !line.starts_with("{\"checkpoint\":1000,")).collect();
    fs::write(&path, lines.concat()).expect("written");
    let found: Vec<String> = trail.findings().into_iter().map(|finding| finding.what).collect();
    assert_eq!(found, ["the checkpoint behind entry 1000 is missing"]);
}

#[test]
fn numbers_that_no_entry_has_do_not_stop_the_log() {
    let largest = u64::MAX;
    for line in [
        "{\"calmline_audit\":1,\"first\":0,\"after\":\"\"}\n".to_owned(),
        format!("{{\"calmline_audit\":1,\"first\":{largest},\"after\":\"\"}}\n"),
        format!("{{\"seq\":{largest},\"unix_ms\":1,\"body\":\"\",\"code\":\"\"}}\n"),
        format!("{{\"checkpoint\":{largest},\"unix_ms\":1,\"code\":\"\",\"signature\":\"\"}}\n"),
    ] {
        let mut trail = Made::of(3);
        let path = files_in(&trail.folder()).expect("files").remove(0);
        let kept = fs::read(&path).expect("bytes");
        fs::write(&path, [kept.as_slice(), line.as_bytes()].concat()).expect("written");
        trail.reopen();
        trail.append(9, &[entry(4)]).expect("written");
        let mut entries = 0;
        let verified = verify(&trail.as_read(), &trail.keys, &mut |_, _, _| entries += 1).expect("read");
        assert_eq!((entries, verified.findings.is_empty()), (4, false), "{line}");
    }
}

#[test]
fn another_stores_entry_does_not_pass() {
    let (ours, theirs) = (Made::of(10), Made::of(10));
    let path = |trail: &Made| files_in(&trail.folder()).expect("files").remove(0);
    let text = |trail: &Made| fs::read_to_string(path(trail)).expect("text");
    let (mut lines, other) = (text(&ours).lines().map(str::to_owned).collect::<Vec<_>>(), text(&theirs));
    lines[5] = other.lines().nth(5).expect("ten entries").to_owned();
    fs::write(path(&ours), lines.join("\n") + "\n").expect("written");
    assert!(ours.findings().iter().any(|finding| finding.what.contains("entry 5 was altered")));
}

#[test]
fn an_entry_that_was_cut_in_the_middle_is_taken_back() {
    let mut trail = Made::of(10);
    let path = files_in(&trail.folder()).expect("files").remove(0);
    let whole = fs::read(&path).expect("bytes");
    fs::write(&path, [&whole, &b"{\"seq\":11,\"unix_ms\":5,\"bo"[..]].concat()).expect("written");
    assert_eq!(trail.reopen(), Repaired { torn_bytes: 25, missing: 0 });
    trail.append(2_000, &[entry(11)]).expect("written");
    assert_eq!(trail.findings(), []);
}

#[test]
fn a_file_that_was_only_begun_does_not_count() {
    for left in ["", "{\"calmline_audit\":1,\"fir"] {
        let mut trail = Made::of(5);
        let begun = trail.folder().join("000000000006-000.log");
        fs::write(&begun, left).expect("written");
        assert_eq!(trail.reopen(), Repaired { torn_bytes: left.len() as u64, missing: 0 });
        trail.append(2_000, &[entry(6)]).expect("written");
        assert_eq!((trail.findings(), begun.exists()), (vec![], false));
    }
    // One of somebody else's is no end of the chain either, and stays.
    let mut trail = Made::of(5);
    let strange = trail.folder().join("000000000006-000.log");
    fs::write(&strange, "nobody's line\n").expect("written");
    assert_eq!((trail.reopen(), trail.last_seq()), (Repaired::default(), 5));
    trail.append(2_000, &[entry(6)]).expect("written");
    let files: Vec<String> = trail.findings().into_iter().map(|finding| finding.file).collect();
    assert!(strange.exists() && files.iter().all(|file| file == "000000000006-000.log"), "{files:?}");
}

#[test]
fn what_is_in_the_trail_is_told_so_although_no_further_file_can_be_begun() {
    let mut trail = Made::of(0);
    // Where the file is made that entry 2 begins.
    let taken = beside(&name_of(&trail.folder(), 2, 0), "new");
    fs::create_dir(&taken).expect("a folder in its place");
    let large = AuditEntry { what: serde_json::json!({ "text": "x".repeat(13 << 20) }), ..entry(1) };
    trail.append(1, &[large]).expect("the disk has it");
    assert_eq!(files_in(&trail.folder()).expect("files").len(), 1);
    trail.append(1, &[entry(2)]).expect("written");
    assert_eq!(files_in(&trail.folder()).expect("files").len(), 2, "tried again");
    assert_eq!(trail.findings(), []);
}

#[test]
fn nobody_else_writes_while_the_log_is_open() {
    let mut trail = Made::of(2);
    let refused = AuditLog::open(&trail.folder(), &trail.keys).map(drop).expect_err("it is held").to_string();
    let own = format!("is held by process {} (", std::process::id());
    assert!(refused.contains(&own) && refused.contains(".head.lock"), "{refused}");
    trail.append(2_000, &[entry(3)]).expect("written");
    assert_eq!((trail.findings(), trail.reopen(), trail.last_seq()), (vec![], Repaired::default(), 3));
}

#[test]
fn entries_that_vanished_at_the_end_stay_missed() {
    let mut trail = Made::of(10);
    let path = files_in(&trail.folder()).expect("files").remove(0);
    let text = fs::read_to_string(&path).expect("text");
    fs::write(&path, text.lines().take(8).map(|line| format!("{line}\n")).collect::<String>()).expect("written");
    assert_eq!(trail.reopen(), Repaired { torn_bytes: 0, missing: 3 });
    trail.append(2_000, &[entry(11)]).expect("written");
    let findings = trail.findings();
    assert!(findings.iter().any(|finding| finding.what == "entries 8 to 10 are missing"), "{findings:?}");
}

#[test]
fn long_trails_go_on_in_further_files() {
    let mut trail = Made::of(0);
    let large = AuditEntry { what: serde_json::json!({ "text": "x".repeat(6 << 20) }), ..entry(1) };
    for _ in 0..5 {
        trail.append(1, std::slice::from_ref(&large)).expect("written");
    }
    assert_eq!(files_in(&trail.folder()).expect("files").len(), 3);
    assert_eq!(trail.findings(), []);
    fs::remove_file(&files_in(&trail.folder()).expect("files")[1]).expect("removed");
    assert!(trail.findings()[0].what.contains("are missing"), "{:?}", trail.findings());
}

#[test]
fn files_in_the_archive_are_read_and_verified_as_all_others() {
    let mut trail = Made::of_three_files();
    assert_eq!(trail.tidied(None), ["audit_archived", "audit_archived"]);
    assert_eq!(
        (files_in(&trail.folder()).expect("files").len(), files_in(&trail.archive()).expect("files").len()),
        (1, 2)
    );
    let mut numbers = Vec::new();
    let verified = verify(&trail.as_read(), &trail.keys, &mut |seq, _, _| numbers.push(seq)).expect("read");
    assert_eq!((verified.findings, numbers), (vec![], (1..=9).collect::<Vec<u64>>()), "two of them of the moves");
    let all = AuditWanted { max: 100, ..AuditWanted::default() };
    assert_eq!(search(&trail.as_read(), &trail.keys, &all).expect("readable").entries.len(), 9);
    // The trail goes on where it was, also after another start.
    assert_eq!((trail.reopen(), trail.last_seq()), (Repaired::default(), 9));

    // A move that was cut off before the file was removed here.
    let archived = files_in(&trail.archive()).expect("files");
    let twin = trail.folder().join(archived[1].file_name().expect("a name"));
    fs::copy(&archived[1], &twin).expect("copied");
    assert_eq!(trail.findings(), []);
    assert_eq!(trail.tidied(None), ["audit_archived"]);
    assert!(!twin.exists());

    let text = fs::read_to_string(&archived[0]).expect("text");
    fs::write(&archived[0], text.replace("\"unix_ms\":1002", "\"unix_ms\":1003")).expect("written");
    assert!(trail.findings()[0].what.contains("entry 2 was altered"), "{:?}", trail.findings());
    fs::remove_file(&archived[0]).expect("removed");
    assert!(trail.findings()[0].what.contains("entries 1 to"), "{:?}", trail.findings());
}

#[test]
fn what_is_older_than_it_is_kept_is_removed_and_nothing_else_unnoticed() {
    let mut trail = Made::of_three_files();
    trail.tidied(None);
    let files = files_in(&trail.archive()).expect("files");
    let begins = trail::head_of(&files[1]).expect("readable").expect("it has entries").beginning.first;
    assert_eq!(trail.tidied(Some(1_000 + begins)), [""; 0], "the second file's first entry is not older");
    assert_eq!(trail.tidied(Some(1_001 + begins)), ["audit_removed"]);
    assert_eq!(files_in(&trail.archive()).expect("files"), [files[1].clone()]);
    let mut numbers = Vec::new();
    let verified = verify(&trail.as_read(), &trail.keys, &mut |seq, _, _| numbers.push(seq)).expect("read");
    assert_eq!((verified.findings, numbers.first()), (vec![], Some(&begins)));

    let note = trail.folder().join("beginning");
    let whole = fs::read_to_string(&note).expect("a note");
    fs::remove_file(&files[1]).expect("removed");
    assert!(trail.findings().iter().any(|found| found.what.contains("are missing")), "{:?}", trail.findings());
    for broken in [whole.replace(&format!("\"first\":{begins}"), "\"first\":7"), "{}".to_owned(), String::new()] {
        fs::write(&note, broken).expect("written");
        let findings = trail.findings();
        assert!(findings.iter().any(|found| found.what.contains("not signed by this store")), "{findings:?}");
    }
}

#[test]
fn what_lies_in_the_archive_is_never_replaced() {
    let mut trail = Made::of_three_files();
    let first = files_in(&trail.folder()).expect("files").remove(0);
    let there = trail.archive().join(first.file_name().expect("a name"));
    fs::create_dir_all(trail.archive()).expect("a folder");
    fs::write(&there, "the original").expect("written");
    let mut deeds = 0;
    let mut told = |_: &str, _: serde_json::Value| {
        deeds += 1;
        true
    };
    let failed = tidy(&trail.as_read(), &trail.keys, None, &mut told);
    let why = failed.expect_err("another file lies there").to_string();
    assert_eq!(deeds, 0);
    assert!(why.contains("found SHA-256") && why.contains("of the same name"), "{why}");
    assert_eq!(fs::read_to_string(&there).expect("text"), "the original");
    assert_eq!(files_in(&trail.folder()).expect("files").len(), 3, "nothing was removed");
    fs::remove_file(&there).expect("removed");
    assert_eq!(trail.tidied(None), ["audit_archived", "audit_archived"]);
}

#[test]
fn nobody_else_has_files_removed_by_what_they_write_into_them() {
    let mut trail = Made::of_three_files();
    trail.tidied(None);
    let files = files_in(&trail.archive()).expect("files");
    let whole = fs::read_to_string(&files[1]).expect("text");
    let begins = trail::head_of(&files[1]).expect("readable").expect("it has entries").beginning.first;
    let young = format!("\"unix_ms\":{},", 1_000 + begins);
    assert!(whole.contains(&young));
    fs::write(&files[1], whole.replace(&young, "\"unix_ms\":1,")).expect("written");
    assert_eq!(trail.tidied(Some(1_000)), [""; 0], "its time was altered");
    assert_eq!(files_in(&trail.archive()).expect("files"), files);

    let last = fs::read_to_string(&files[0]).expect("text");
    fs::write(&files[1], &whole).expect("written");
    fs::write(&files[0], last.replace("\"unix_ms\":1002,", "\"unix_ms\":1003,")).expect("written");
    assert_eq!(trail.tidied(Some(5_000)), [""; 0], "what was altered stays as evidence");
    fs::write(&files[0], last).expect("written");

    fs::remove_file(&files[1]).expect("removed");
    assert_eq!(trail.tidied(Some(5_000)), [""; 0], "the next file is missing");
    assert!(trail.findings()[0].what.contains("are missing"), "{:?}", trail.findings());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// One flipped bit, anywhere, in any file of the trail: found, unless it is in what JSON ignores.
    #[test]
    fn a_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let trail = Made::of(12);
        let path = files_in(&trail.folder()).expect("files").remove(0);
        let mut bytes = fs::read(&path).expect("bytes");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).expect("written");
        prop_assert!(!trail.findings().is_empty(), "byte {} is now {:?}", at, bytes[at] as char);
    }

    #[test]
    fn whatever_stands_in_the_files_the_log_opens(garbage in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut trail = Made::of(3);
        let path = files_in(&trail.folder()).expect("files").remove(0);
        let kept = fs::read(&path).expect("bytes");
        fs::write(&path, [kept.as_slice(), &garbage].concat()).expect("written");
        trail.reopen();
        trail.append(9, &[entry(4)]).expect("written");
        let mut entries = 0;
        verify(&trail.as_read(), &trail.keys, &mut |_, _, _| entries += 1).expect("read");
        prop_assert_eq!(entries, 4);
    }
}

struct Made {
    root: TempDir,
    keys: KeyRing,
    /// Closed while it is opened again.
    log: Option<AuditLog>,
}

impl Made {
    fn of(entries: u64) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let master = MasterKey::make(&root.path().join("master.key")).expect("a key");
        let keys = KeyRing::open(&root.path().join("keys.json"), &master).expect("keys");
        let (mut log, repaired) = AuditLog::open(&root.path().join("audit"), &keys).expect("a new log");
        assert_eq!(repaired, Repaired::default());
        for seq in 1..=entries {
            log.append(&keys, 1_000 + seq, &[entry(seq)]).expect("written");
        }
        log.close(&keys, 9_999).expect("signed");
        Self { root, keys, log: Some(log) }
    }

    fn append(&mut self, unix_ms: u64, entries: &[AuditEntry]) -> io::Result<()> {
        self.log.as_mut().expect("it is open").append(&self.keys, unix_ms, entries)
    }

    fn last_seq(&self) -> u64 {
        self.log.as_ref().expect("it is open").last_seq()
    }

    /// Opens the log anew, as another start does.
    fn reopen(&mut self) -> Repaired {
        self.log = None;
        let (log, repaired) = AuditLog::open(&self.folder(), &self.keys).expect("it opens");
        self.log = Some(log);
        repaired
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("audit")
    }

    fn archive(&self) -> PathBuf {
        self.root.path().join("archive")
    }

    fn as_read(&self) -> Trail {
        Trail::new(&self.folder(), Some(&self.archive()))
    }

    /// Moves closed files to the archive, and removes those that are older; the deeds that were told.
    fn tidied(&mut self, before: Option<u64>) -> Vec<String> {
        let (trail, mut deeds) = (self.as_read(), Vec::new());
        let mut told = |kind: &str, what: serde_json::Value| {
            deeds.push(kind.to_owned());
            let entry = AuditEntry { kind: kind.to_owned(), who: "server".to_owned(), call: String::new(), what };
            self.log.as_mut().expect("it is open").append(&self.keys, 9_000, &[entry]).is_ok()
        };
        tidy(&trail, &self.keys, before, &mut told).expect("moved");
        deeds
    }

    /// Three files: the first with entries 1 to 3, the second with 4 to 6, the last with what comes then.
    fn of_three_files() -> Self {
        let mut made = Self::of(0);
        let large = |seq: u64| AuditEntry { what: serde_json::json!({ "text": "x".repeat(5 << 20) }), ..entry(seq) };
        for seq in 1..=7 {
            made.append(1_000 + seq, &[large(seq)]).expect("written");
        }
        assert_eq!(files_in(&made.folder()).expect("files").len(), 3);
        made
    }

    fn findings(&self) -> Vec<Finding> {
        verify(&self.as_read(), &self.keys, &mut |_, _, _| {}).expect("it can be read").findings
    }
}

fn entry(seq: u64) -> AuditEntry {
    let what = serde_json::json!({ "rule": "calm-down", "caller": "13800138000", "number": seq });
    AuditEntry { kind: "decided".to_owned(), who: "policy".to_owned(), call: format!("call-{seq}"), what }
}
