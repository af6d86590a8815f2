//! Business data that is pulled from other systems: customers and orders, cleaned, normalised, and joined to calls by the
//! pseudonym of who calls.
//!
//! Reads octets and keeps what comes out, in memory alone; `shell::sources` fetches them.

mod customers;
mod mapping;
mod rows;

pub use customers::{Customers, Standing};
pub use mapping::{Column, FactTally, Mapping, Pulled, Tally};
pub use rows::{ROWS_MAX, Rows, csv, json, lines};

/// Octets of one pull; more is refused.
pub const BYTES_MAX: usize = 64 << 20;
/// People of one source that are known at a time.
pub const PEOPLE_MAX: usize = 100_000;

#[cfg(test)]
mod tests;
