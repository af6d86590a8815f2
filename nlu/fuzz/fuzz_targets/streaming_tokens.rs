//! Any bytes as the tokens of a streaming model.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/streaming_tokens.rs"]
mod streaming_tokens;

fuzz_target!(|bytes: &[u8]| streaming_tokens::check(bytes));
