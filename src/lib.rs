//! Calmline: hears when a caller is getting angry and acts while the call is still on.
//!
//! The only package that touches sockets, clocks, threads and files; the crates it builds on are pure.

pub mod control;
pub mod metrics;
pub mod notice;
#[cfg(test)]
mod notice_samples;
pub mod picture;
pub mod settings;
pub mod shell;
pub mod web;
