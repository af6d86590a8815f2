//! Simulated telephones: a small SIP and RTP user agent of our own, and a driver that runs many of them on loopback.
//!
//! The telephones are pure (`message`, `phone`, `stream`); only `driver` touches sockets, clocks and threads. They
//! share no SIP code with the server, so that they are independent witnesses of what it does.

pub mod audio;
mod clicks;
pub mod clip;
pub mod driver;
pub mod latency;
pub mod load;
pub mod message;
pub mod network;
pub mod phone;
pub mod plot;
pub mod sizing;
pub mod stream;
pub mod suite;
mod voice;
