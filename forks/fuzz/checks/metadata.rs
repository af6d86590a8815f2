//! Any bytes as one document after another: they are read or refused, what is kept is bounded, and sides can be told.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use forks::siprec::{Metadata, Recording, Seat, seats};

/// Entries of each kind that are kept, as `forks::siprec` has it.
const ENTRIES_MAX: usize = 32;

/// Applies the documents that a NUL stands between.
///
/// # Panics
/// When more is kept than may be, or two sides are told to be in one stream.
pub fn check(bytes: &[u8]) {
    let mut recording = Recording::default();
    for document in bytes.split(|&octet| octet == 0) {
        let Ok(metadata) = Metadata::parse(&String::from_utf8_lossy(document)) else { continue };
        let labels: Vec<String> = metadata.streams.iter().filter_map(|stream| stream.label.clone()).collect();
        recording.apply(metadata);
        assert!(recording.participants().len() <= ENTRIES_MAX && recording.sessions().len() <= ENTRIES_MAX);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        for first in [Seat::Caller, Seat::Callee] {
            let told = seats(&recording, &labels, |address| address.contains("agent"), first);
            assert!(told.caller.is_none() || told.caller != told.callee, "{told:?}");
            assert!(told.caller.into_iter().chain(told.callee).all(|place| place < labels.len()), "{told:?}");
            assert!(labels.len() < 2 || told.caller.is_some() || told.callee.is_some(), "{told:?}");
        }
    }
}
