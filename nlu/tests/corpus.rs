//! Replays the fuzz corpora, so that what was found once stays found.

#[path = "../fuzz/checks/masking.rs"]
mod masking;

use std::fs;
use std::path::Path;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn what_is_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/masking");
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus") {
        let path = entry.expect("the corpus").path();
        masking::check(&fs::read(&path).expect("a file of the corpus"));
        files += 1;
    }
    assert!(files >= 5, "only {files} files in {}", folder.display());
}
