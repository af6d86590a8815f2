//! Any bytes as what a party says.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/masking.rs"]
mod masking;

fuzz_target!(|bytes: &[u8]| masking::check(bytes));
