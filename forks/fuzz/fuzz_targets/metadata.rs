//! Any bytes as metadata of a recording.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/metadata.rs"]
mod metadata;

fuzz_target!(|bytes: &[u8]| metadata::check(bytes));
