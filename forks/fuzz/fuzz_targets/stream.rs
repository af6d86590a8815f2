//! Any bytes as messages of a WebSocket stream.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/stream.rs"]
mod stream;

fuzz_target!(|bytes: &[u8]| stream::check(bytes));
