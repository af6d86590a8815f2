//! Any bytes as answers of a recogniser elsewhere.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/remote_answers.rs"]
mod remote_answers;

fuzz_target!(|bytes: &[u8]| remote_answers::check(bytes));
