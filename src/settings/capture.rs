//! `[capture]`: whether packets of single calls may be written down for whoever looks for a fault, and how many.

use std::time::Duration;

use routing::section::{Section, whole};
use toml::Value;

use super::read::span;

/// How calls may be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureSettings {
    /// Whether administrators get audio, without its protection; else everybody gets headers of audio packets alone.
    pub payloads: bool,
    /// How long a capture may take.
    pub longest: Duration,
    /// How large it may become, bytes.
    pub bytes_max: u64,
    /// Bytes of SIP of running calls that are kept, so that a capture has what came before it.
    pub history_bytes: usize,
}

/// Reads the section.
pub(super) fn read_capture(mut section: Section<'_>) -> Option<CaptureSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let mb = |section: &mut Section<'_>, key: &'static str, range: std::ops::RangeInclusive<i64>, usual: u64| {
        let expected = format!("whole megabytes from {} to {}", range.start(), range.end());
        section.read(key, expected, whole(range)).map_or(usual, i64::unsigned_abs) << 20
    };
    let settings = CaptureSettings {
        payloads: section.read("payloads", "true or false", Value::as_bool).unwrap_or(false),
        longest: span(&mut section, "longest_s", 1..=14_400).unwrap_or(Duration::from_secs(600)),
        bytes_max: mb(&mut section, "largest_mb", 1..=4_096, 64),
        history_bytes: usize::try_from(mb(&mut section, "history_mb", 0..=1_024, 16)).unwrap_or(usize::MAX),
    };
    section.finish();
    Some(settings)
}
