//! The thin outside: clock, sockets and threads around the pure cores.

pub mod advise;
pub mod browser;
pub mod capture;
pub mod clock;
pub mod copy;
pub mod crm;
pub mod dtls;
pub mod escalate;
pub mod fork;
pub mod hep;
pub mod inherited;
pub mod listen;
pub mod media;
pub mod nats;
pub mod otlp;
pub mod pbx;
pub mod provider;
pub mod recognize;
pub mod recordings;
pub mod reels;
pub mod sip;
pub mod sources;
pub mod told;
