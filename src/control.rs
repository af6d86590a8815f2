//! Call control, pure: SIP and media events, observations and orders in; commands and notices out.
//!
//! No socket, clock, thread or file. `handle(now, input, &mut out)` and `deadline()` are all there is.

mod command;
mod input;

pub use command::{Command, SipCommand};
pub use input::{Header, Input, Invite, OfferMethod, Order, ReplyId, SipEvent};
