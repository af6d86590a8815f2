//! Any text as the value of an `a=crypto` line.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/sdes.rs"]
mod sdes;

fuzz_target!(|script: &[u8]| sdes::check(script));
