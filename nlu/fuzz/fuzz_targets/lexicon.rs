//! Any bytes as a lexicon and a text.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/lexicon.rs"]
mod lexicon;

fuzz_target!(|bytes: &[u8]| lexicon::check(bytes));
