//! Any bytes as a knowledge file and a question.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/knowledge.rs"]
mod knowledge;

fuzz_target!(|bytes: &[u8]| knowledge::check(bytes));
