//! Replays the fuzz corpora, so that what was found once stays found.

#[path = "../fuzz/checks/lexicon.rs"]
mod lexicon;
#[path = "../fuzz/checks/masking.rs"]
mod masking;
#[path = "../fuzz/checks/phrases.rs"]
mod phrases;

use std::fs;
use std::path::Path;

#[test]
fn phrase_lists_and_dictionaries() {
    replay("phrases", phrases::check);
}

#[test]
fn lexicons() {
    replay("lexicon", lexicon::check);
}

#[test]
fn what_is_said() {
    replay("masking", masking::check);
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn replay(name: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus") {
        let path = entry.expect("the corpus").path();
        check(&fs::read(&path).expect("a file of the corpus"));
        files += 1;
    }
    assert!(files >= 5, "only {files} files in {}", folder.display());
}
