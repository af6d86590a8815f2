//! Any bytes as a recording that is uploaded.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/recording.rs"]
mod recording;

fuzz_target!(|bytes: &[u8]| recording::check(bytes));
