//! Any datagrams at a receiver of protected packets.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/srtp.rs"]
mod srtp;

fuzz_target!(|script: &[u8]| srtp::check(script));
