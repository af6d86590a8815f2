//! Any bytes as the card of a text model.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/text_card.rs"]
mod text_card;

fuzz_target!(|bytes: &[u8]| text_card::check(bytes));
