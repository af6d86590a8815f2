//! Any bytes as AudioSocket frames.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/audiosocket.rs"]
mod audiosocket;

fuzz_target!(|bytes: &[u8]| audiosocket::check(bytes));
