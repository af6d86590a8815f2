//! Any bytes as a remote description.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/sdp.rs"]
mod sdp;

fuzz_target!(|bytes: &[u8]| sdp::check(bytes));
