//! Any bytes as `bpe.model`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/streaming_pieces.rs"]
mod streaming_pieces;

fuzz_target!(|bytes: &[u8]| streaming_pieces::check(bytes));
