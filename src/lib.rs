//! Calmline: hears when a caller is getting angry and acts while the call is still on.
//!
//! The only package that touches sockets, clocks, threads and files; the crates it builds on are pure.

// By its own name, as fuzz targets have it whose checks are tests here, too.
#[cfg(test)]
extern crate self as calmline;

mod accounts;
pub mod analyze;
mod api;
mod backtest;
mod backup;
mod capture;
pub mod cli;
pub mod compliance;
pub mod control;
mod crm;
mod deliveries;
pub mod demo;
mod doctor;
mod durable;
pub mod escalation;
pub mod eval;
pub mod export;
mod exporting;
pub mod features;
#[cfg(test)]
mod fuzzed;
mod hep;
mod hexadecimal;
pub mod identity;
pub mod judges;
pub mod knowledge;
pub mod lexicons;
pub mod libraries;
pub mod log;
pub mod masking;
pub mod metrics;
pub mod model;
pub mod models;
pub mod notice;
#[cfg(test)]
mod notice_samples;
pub mod pbx;
pub mod peers;
pub mod picture;
pub mod pii;
mod quoted;
pub mod recognizer;
pub mod reel;
pub mod report;
mod reporting;
mod rotation;
pub mod serve;
pub mod settings;
pub mod shell;
pub mod signed;
pub mod sources;
pub mod speech;
pub mod store;
pub mod telemetry;
mod thinning;
pub mod totp;
mod trail;
mod uploading;
pub mod users;
mod watch;
pub mod web;
mod words;
