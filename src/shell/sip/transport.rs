//! How messages come and go.

mod frame;
mod udp;

pub(super) use udp::DatagramSocket;
