//! Any bytes as a list of phrases and what is said.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/compliance.rs"]
mod compliance;

fuzz_target!(|bytes: &[u8]| compliance::check(bytes));
