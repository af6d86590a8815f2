//! The SIP side against SIPp as a foreign client, and against a phone that does what no decent phone does.
//!
//! The scenarios are in `tests/sipp`; without the `sipp` program those tests say so and pass.

mod answering;
mod astray;
pub(crate) mod authority;
mod bridge;
mod calling;
mod carrying;
mod dns;
mod exchange;
mod inside;
mod load;
mod long;
mod office;
mod phone;
mod referring;
mod resolving;
mod sipp;
mod trunks;
mod users;
mod wire;
mod with_sipp;
