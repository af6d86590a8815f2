//! Any bytes as a prompt.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/sound.rs"]
mod sound;

fuzz_target!(|bytes: &[u8]| sound::check(bytes));
