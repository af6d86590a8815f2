//! Any text, read with the lexicons that come with the program.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/reading.rs"]
mod reading;

fuzz_target!(|bytes: &[u8]| reading::check(bytes));
