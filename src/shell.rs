//! The thin outside: clock, sockets and threads around the pure cores.

pub mod sip;
