//! Any bytes as what the software of a chat sends.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/chat.rs"]
mod chat;

fuzz_target!(|bytes: &[u8]| chat::check(bytes));
