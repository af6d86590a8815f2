//! Any text as the value of an `a=crypto` line: it is read or refused, and what was read can be written and read back.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use media::srtp::sdes::Crypto;

/// Reads `script` as a line.
///
/// # Panics
/// When a line that was read is another one after it was written.
pub fn check(script: &[u8]) {
    let text = String::from_utf8_lossy(script);
    if let Ok(line) = Crypto::parse(&text) {
        let again = Crypto::parse(&line.to_value()).expect("our own line can be read");
        assert!(again == line, "the line has changed");
    }
}
