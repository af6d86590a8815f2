//! Rows as other systems export them: CSV, a JSON list of objects, or an object a line.
//!
//! What is said of a fault never shows what stands in an export: a first line may be a customer, not names of columns.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Rows of one pull; more are refused.
pub const ROWS_MAX: usize = 500_000;

/// Rows, each with the values of the wanted columns in their order; `Null` where there is none.
pub type Rows = Vec<Vec<Value>>;

/// Rows of CSV (RFC 4180) with names in the first line. What is no UTF-8 is read as lost characters.
///
/// # Errors
/// When a column is not there, there are too many rows, or a line cannot be read.
pub fn csv(octets: &[u8], columns: &[String]) -> Result<Rows, String> {
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(octets);
    let header = reader.byte_headers().map_err(|error| error.to_string())?.clone();
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let named = |column: &String| names.iter().position(|name| name == column);
    let place = |column: &String| named(column).ok_or_else(|| missing(column, names.len()));
    let places = columns.iter().map(place).collect::<Result<Vec<usize>, String>>()?;
    let mut rows = Rows::new();
    for record in reader.byte_records() {
        let record = record.map_err(|error| error.to_string())?;
        let value = |at: &usize| match record.get(*at) {
            Some(field) if !field.trim_ascii().is_empty() => scalar(String::from_utf8_lossy(field).trim()),
            Some(_) | None => Value::Null,
        };
        add(&mut rows, places.iter().map(value).collect())?;
    }
    Ok(rows)
}

/// Rows of a JSON list of objects, at a place in the document (RFC 6901) or at its top.
///
/// # Errors
/// When it is not such JSON, a column is in no row, or there are too many rows.
pub fn json(octets: &[u8], pointer: &str, columns: &[String]) -> Result<Rows, String> {
    let document: &RawValue = serde_json::from_slice(octets).map_err(|error| error.to_string())?;
    let found = at(document, pointer).ok_or_else(|| format!("found nothing at {pointer:?}, expected a list"))?;
    if !found.get().starts_with('[') {
        return Err(format!("found no list at {pointer:?}, expected one of objects"));
    }
    // Object by object: all of them at once would take many times the export.
    let mut gathered = Gathered::new(columns);
    let mut list = serde_json::Deserializer::from_str(found.get());
    serde::Deserializer::deserialize_seq(&mut list, Each(&mut gathered)).map_err(|error| error.to_string())?;
    gathered.rows()
}

/// Rows of a JSON object each.
///
/// # Errors
/// As of `json`.
pub fn lines<'a>(texts: impl Iterator<Item = &'a str>, columns: &[String]) -> Result<Rows, String> {
    let mut gathered = Gathered::new(columns);
    for text in texts {
        gathered.take(&serde_json::from_str(text).map_err(|error| error.to_string())?)?;
    }
    gathered.rows()
}

/// The value at a place in a document (RFC 6901).
fn at<'a>(document: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    if pointer.is_empty() {
        return Some(document);
    }
    let mut found = document;
    for step in pointer.strip_prefix('/')?.split('/') {
        let step = step.replace("~1", "/").replace("~0", "~");
        found = if found.get().starts_with('[') {
            *serde_json::from_str::<Vec<&RawValue>>(found.get()).ok()?.get(step.parse::<usize>().ok()?)?
        } else {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(found.get()).ok()?.remove(&step)?
        };
    }
    Some(found)
}

/// Rows of the objects that have come so far.
struct Gathered<'a> {
    columns: &'a [String],
    rows: Rows,
    /// Which columns any object had.
    seen: Vec<bool>,
    /// How many members the first object had.
    members: usize,
}

impl<'a> Gathered<'a> {
    fn new(columns: &'a [String]) -> Gathered<'a> {
        Gathered { columns, rows: Rows::new(), seen: vec![false; columns.len()], members: 0 }
    }

    fn take(&mut self, object: &Value) -> Result<(), String> {
        let Some(object) = object.as_object() else {
            return Err(format!("row {}: found no object, expected one", self.rows.len() + 1));
        };
        if self.rows.is_empty() {
            self.members = object.len();
        }
        let values = self.columns.iter().zip(&mut self.seen).map(|(column, seen)| {
            let value = object.get(column);
            *seen |= value.is_some();
            value.cloned().unwrap_or(Value::Null)
        });
        let row = values.collect();
        add(&mut self.rows, row)
    }

    fn rows(self) -> Result<Rows, String> {
        match self.seen.iter().position(|seen| !seen).filter(|_| !self.rows.is_empty()) {
            Some(at) => Err(missing(&self.columns[at], self.members)),
            None => Ok(self.rows),
        }
    }
}

/// Takes each element of a list.
struct Each<'a, 'b>(&'a mut Gathered<'b>);

impl<'de> Visitor<'de> for Each<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(object) = list.next_element::<Value>()? {
            self.0.take(&object).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

fn add(rows: &mut Rows, row: Vec<Value>) -> Result<(), String> {
    if rows.len() == ROWS_MAX {
        return Err(format!("found more than {ROWS_MAX} rows"));
    }
    rows.push(row);
    Ok(())
}

fn missing(column: &str, columns: usize) -> String {
    format!("found {columns} columns, none named \"{column}\"")
}

/// A field of CSV as what it says: a number only when it is written as one, so that numbers of orders keep their zeros.
fn scalar(field: &str) -> Value {
    match field {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let number = field.parse::<serde_json::Number>().ok().filter(|_| field.len() <= 15);
    number.map_or_else(|| Value::String(field.to_owned()), Value::Number)
}
