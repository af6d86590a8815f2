//! The SIP side against SIPp as a foreign client, with a few lines of call control that join two legs.
//!
//! The scenarios are in `tests/sipp`; without the `sipp` program the tests say so and pass.

mod bridge;
mod sipp;
mod with_sipp;
