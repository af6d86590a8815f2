//! Any INFO body.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/dtmf_info.rs"]
mod dtmf_info;

fuzz_target!(|bytes: &[u8]| dtmf_info::check(bytes));
