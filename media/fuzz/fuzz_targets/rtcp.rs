//! Any control packets at any time to a session that reports.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/rtcp.rs"]
mod rtcp;

fuzz_target!(|script: &[u8]| rtcp::check(script));
