//! Any bytes as a Content-Type line and a body: the parts lie inside the body, in order, and are few.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use forks::multipart::{self, PARTS_MAX};

/// Takes the first line as the header's value and the rest as the body.
///
/// # Panics
/// When a part lies outside the body or over another one.
pub fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|&octet| octet == b'\n').unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(end);
    let content_type = String::from_utf8_lossy(head);
    let Ok(parts) = multipart::parts(content_type.trim(), body) else { return };
    assert!(parts.len() <= PARTS_MAX);
    let range = body.as_ptr_range();
    let mut last = range.start;
    for part in parts {
        let content = part.content.as_ptr_range();
        assert!(last <= content.start && content.end <= range.end, "a part lies outside the body");
        last = content.end;
    }
}
