//! Replays the fuzz corpora, so that what was found once stays found.

#[path = "../fuzz/checks/audiosocket.rs"]
mod audiosocket;
#[path = "../fuzz/checks/metadata.rs"]
mod metadata;
#[path = "../fuzz/checks/multipart.rs"]
mod multipart;
#[path = "../fuzz/checks/stream.rs"]
mod stream;

use std::fs;
use std::path::Path;

#[test]
fn bodies() {
    replay("multipart", multipart::check);
}

#[test]
fn documents() {
    replay("metadata", metadata::check);
}

#[test]
fn frames() {
    replay("audiosocket", audiosocket::check);
}

#[test]
fn messages() {
    replay("stream", stream::check);
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
