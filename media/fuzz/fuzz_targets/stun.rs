//! Any datagram as a connectivity check.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/stun.rs"]
mod stun;

fuzz_target!(|bytes: &[u8]| stun::check(bytes));
