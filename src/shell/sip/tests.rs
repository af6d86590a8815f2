//! The SIP side against SIPp as a foreign client, and against a phone that does what no decent phone does.
//!
//! The scenarios are in `tests/sipp`; without the `sipp` program those tests say so and pass.

mod answering;
mod bridge;
mod calling;
mod inside;
mod phone;
mod referring;
mod sipp;
mod with_sipp;
