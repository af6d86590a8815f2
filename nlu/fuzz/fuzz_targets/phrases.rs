//! Any bytes as a phrase list and a pronunciation dictionary.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/phrases.rs"]
mod phrases;

fuzz_target!(|bytes: &[u8]| phrases::check(bytes));
