//! Any INFO body: a key is read or not, and a key that is read can be written and read again.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use media::dtmf::info::{BODY_BYTES_MAX, DURATION_MS_MAX, parse};

/// Reads `body` under both content types.
///
/// # Panics
/// When what was read cannot be.
pub fn check(body: &[u8]) {
    for content_type in ["application/dtmf-relay", "application/dtmf"] {
        let Some(read) = parse(content_type, body) else { continue };
        assert!(body.len() <= BODY_BYTES_MAX);
        assert!(read.duration_ms.is_none_or(|duration_ms| duration_ms <= DURATION_MS_MAX));
        let duration = read.duration_ms.map_or(String::new(), |duration_ms| format!("Duration={duration_ms}\r\n"));
        let written = format!("Signal={}\r\n{duration}", read.key);
        assert_eq!(parse("application/dtmf-relay", written.as_bytes()), Some(read));
    }
}
