//! Calls as rows for a warehouse: one table of calls, one of what was observed in them, of decisions, of outcomes; as Parquet, as
//! comma-separated values, as JSON.
//!
//! Pure: records in, octets out. Rows name calls by their ids and nobody; what was said is in none of them.

mod parquet;
mod rows;

use std::borrow::Cow;

use crate::report::{CallFacts, uncomputed};
use crate::web::{CallRecord, Moment};

use self::parquet::Groups;

/// The longest file, octets: it is put together in memory.
const OCTETS_MAX: usize = 256 << 20;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportTable {
    /// A row per call, with what has come of it.
    Calls,
    /// A row per step of the emotion timelines.
    Observations,
    /// A row per decision of a policy.
    Decisions,
    /// A row per thing that other systems said of a call.
    Outcomes,
}

/// The form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// Apache Parquet, not compressed.
    Parquet,
    /// Comma-separated values, with a line of names (RFC 4180).
    Csv,
    /// One JSON object a line.
    Json,
}

/// Why a table cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is too long to be put together at once.
    #[error("more than {} MiB: ask for a shorter time", OCTETS_MAX >> 20)]
    TooMuch,
    /// The file cannot be made.
    #[error("cannot write the table: {0}")]
    Form(String),
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// UTF-8.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Real,
    /// Yes or no.
    Flag,
    /// Milliseconds since 1970, UTC.
    Time,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
enum Cell<'a> {
    Nothing,
    Text(Cow<'a, str>),
    Whole(i64),
    Real(f64),
    Flag(bool),
    Time(Moment),
}

/// A table that is being written.
pub struct ExportWriter {
    table: ExportTable,
    sink: Sink,
}

enum Sink {
    Parquet(Groups),
    Csv(csv::Writer<Vec<u8>>),
    Json(Vec<u8>),
}

impl ExportTable {
    /// All of them.
    pub const ALL: [ExportTable; 4] =
        [ExportTable::Calls, ExportTable::Observations, ExportTable::Decisions, ExportTable::Outcomes];

    /// Its name in addresses and files.
    pub fn name(self) -> &'static str {
        match self {
            ExportTable::Calls => "calls",
            ExportTable::Observations => "observations",
            ExportTable::Decisions => "decisions",
            ExportTable::Outcomes => "outcomes",
        }
    }

    /// Its columns, by name, with what stands in them.
    pub fn columns(self) -> &'static [(&'static str, Form)] {
        rows::columns(self)
    }
}

impl ExportFormat {
    /// Its name, and how its files end.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Parquet => "parquet",
            ExportFormat::Csv => "csv",
            ExportFormat::Json => "json",
        }
    }

    /// What it is called over HTTP.
    pub fn media_type(self) -> &'static str {
        match self {
            ExportFormat::Parquet => "application/vnd.apache.parquet",
            ExportFormat::Csv => "text/csv; charset=utf-8",
            ExportFormat::Json => "application/x-ndjson",
        }
    }
}

impl ExportWriter {
    /// Begins a table.
    ///
    /// # Errors
    /// When the file cannot be begun.
    pub fn new(table: ExportTable, format: ExportFormat) -> Result<Self, ExportError> {
        let columns = table.columns();
        let sink = match format {
            ExportFormat::Parquet => Sink::Parquet(Groups::new(table.name(), columns)?),
            ExportFormat::Csv => {
                let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
                csv.write_record(columns.iter().map(|(name, _)| name)).map_err(form)?;
                Sink::Csv(csv)
            }
            ExportFormat::Json => Sink::Json(Vec::new()),
        };
        Ok(Self { table, sink })
    }

    /// Adds what a call has for the table.
    ///
    /// # Errors
    /// When the table becomes too long.
    pub fn add(&mut self, record: &CallRecord, facts: &CallFacts) -> Result<(), ExportError> {
        let columns = self.table.columns();
        for row in rows::rows(self.table, record, facts) {
            debug_assert_eq!(row.len(), columns.len(), "{}", self.table.name());
            let octets = match &mut self.sink {
                Sink::Parquet(groups) => groups.add(row)?,
                Sink::Csv(csv) => {
                    csv.write_record(row.iter().map(Cell::written)).map_err(form)?;
                    csv.get_ref().len()
                }
                Sink::Json(json) => {
                    let object: serde_json::Map<_, _> =
                        columns.iter().zip(row).map(|((name, _), cell)| ((*name).to_owned(), cell.json())).collect();
                    serde_json::to_writer(&mut *json, &object).map_err(form)?;
                    json.push(b'\n');
                    json.len()
                }
            };
            if octets > OCTETS_MAX {
                return Err(ExportError::TooMuch);
            }
        }
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn end(self) -> Result<Vec<u8>, ExportError> {
        match self.sink {
            Sink::Parquet(groups) => groups.end(),
            Sink::Csv(csv) => csv.into_inner().map_err(form),
            Sink::Json(json) => Ok(json),
        }
    }
}

impl Cell<'_> {
    /// As text; one that a spreadsheet would compute is made text.
    fn written(&self) -> String {
        match self {
            Cell::Nothing => String::new(),
            Cell::Text(text) => uncomputed(text),
            Cell::Whole(number) => number.to_string(),
            Cell::Real(number) => serde_json::Value::from(*number).to_string(),
            Cell::Flag(so) => so.to_string(),
            Cell::Time(moment) => moment.to_string(),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Cell::Nothing => serde_json::Value::Null,
            Cell::Text(text) => text.as_ref().into(),
            Cell::Whole(number) => (*number).into(),
            Cell::Real(number) => (*number).into(),
            Cell::Flag(so) => (*so).into(),
            Cell::Time(moment) => moment.to_string().into(),
        }
    }
}

fn form(error: impl std::fmt::Display) -> ExportError {
    ExportError::Form(error.to_string())
}

#[cfg(test)]
mod tests;
