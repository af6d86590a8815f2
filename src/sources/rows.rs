//! Rows as other systems export them: CSV, a JSON list of objects, or an object a line.

use serde_json::Value;

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
    let place = |column: &String| names.iter().position(|name| name == column).ok_or_else(|| missing(column, &names));
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
    let document: Value = serde_json::from_slice(octets).map_err(|error| error.to_string())?;
    let found = document.pointer(pointer).ok_or_else(|| format!("found nothing at {pointer:?}, expected a list"))?;
    let list = found.as_array().ok_or_else(|| format!("found no list at {pointer:?}, expected one of objects"))?;
    of_objects(list.iter(), columns)
}

/// Rows of a JSON object each.
///
/// # Errors
/// As of `json`.
pub fn lines<'a>(texts: impl Iterator<Item = &'a str>, columns: &[String]) -> Result<Rows, String> {
    let objects = texts.map(|text| serde_json::from_str(text).map_err(|error| error.to_string()));
    of_objects(objects.collect::<Result<Vec<Value>, String>>()?.iter(), columns)
}

fn of_objects<'a>(objects: impl Iterator<Item = &'a Value>, columns: &[String]) -> Result<Rows, String> {
    let (mut rows, mut seen, mut names) = (Rows::new(), vec![false; columns.len()], Vec::new());
    for object in objects {
        let Some(object) = object.as_object() else {
            return Err(format!("row {}: found no object, expected one", rows.len() + 1));
        };
        if names.is_empty() {
            names = object.keys().cloned().collect();
        }
        let values = columns.iter().zip(&mut seen).map(|(column, seen)| {
            let value = object.get(column);
            *seen |= value.is_some();
            value.cloned().unwrap_or(Value::Null)
        });
        add(&mut rows, values.collect())?;
    }
    match seen.iter().position(|seen| !seen).filter(|_| !rows.is_empty()) {
        Some(at) => Err(missing(&columns[at], &names)),
        None => Ok(rows),
    }
}

fn add(rows: &mut Rows, row: Vec<Value>) -> Result<(), String> {
    if rows.len() == ROWS_MAX {
        return Err(format!("found more than {ROWS_MAX} rows"));
    }
    rows.push(row);
    Ok(())
}

fn missing(column: &str, names: &[String]) -> String {
    const NAMES_MAX: usize = 30;
    let names = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("found the columns {names}; expected \"{column}\" among them")
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
