//! Where captures of the outside world lie, and the datagrams in them.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file or folder of the shared data.
#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("CALMLINE_SHARED").map_or(beside, PathBuf::from);
    let path = folder.join("data").join(name);
    if !path.exists() {
        println!("skipped: no shared data {name}");
        return None;
    }
    Some(path)
}

/// The UDP payloads of a pcap file and when they came, counted from the first.
pub fn datagrams(pcap: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let word = |at: usize| pcap.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    // Ethernet or Linux "cooked" frames, then IPv4 without options, then UDP.
    let headers = if word(20) == 113 { 16 } else { 14 } + 20 + 8;
    let mut found: Vec<(Duration, Vec<u8>)> = Vec::new();
    let mut at = 24;
    while at + 16 <= pcap.len() {
        let time = Duration::from_secs(word(at).into()) + Duration::from_micros(word(at + 4).into());
        let frame = &pcap[at + 16..pcap.len().min(at + 16 + word(at + 8) as usize)];
        at += 16 + word(at + 8) as usize;
        if let Some(payload) = frame.get(headers..) {
            found.push((time, payload.to_vec()));
        }
    }
    let first = found.first().map_or(Duration::ZERO, |(time, _)| *time);
    found.into_iter().map(|(time, payload)| (time.saturating_sub(first), payload)).collect()
}
