//! Calls whose audio is protected by keys of DTLS handshakes (RFC 5763), through the built program and real sockets.
//!
//! The telephones shake hands by our own endpoint, by OpenSSL, or are baresip; what they heard is what counts. Where a
//! foreign program is not installed, its tests say so and pass.

#![expect(clippy::print_stdout, reason = "tests tell what they measured and what they skip")]

mod agreement;
mod baresip;
mod calls;
mod failures;
mod openssl;
mod phone;
mod stage;
