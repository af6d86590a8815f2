//! Any telephone-event packets at any time.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/telephone_event.rs"]
mod telephone_event;

fuzz_target!(|bytes: &[u8]| telephone_event::check(bytes));
