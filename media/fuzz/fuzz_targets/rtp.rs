//! Any datagrams at any time through a bridged pair of legs.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/rtp.rs"]
mod rtp;

fuzz_target!(|script: &[u8]| rtp::check(script));
