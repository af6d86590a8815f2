//! What is picked out of JSON: texts by any of their names, and whatever else stands at the top.

use serde_json::{Map, Value};

/// The most details that are kept.
pub(super) const DETAILS_MAX: usize = 32;
/// The longest text that is kept, characters.
const CHARS_MAX: usize = 256;

/// An object.
pub(super) type Object = Map<String, Value>;

/// Reads an object.
pub(super) fn object(text: &str) -> Option<Object> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// The first of these names that has a text, a number or a truth value, as text.
pub(super) fn text(object: &Object, names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| object.get(*name)).find_map(plain)
}

/// The first of these names that has a whole number, or a text that is one.
pub(super) fn number(object: &Object, names: &[&str]) -> Option<u64> {
    text(object, names)?.parse().ok()
}

/// The object under the first of these names that has one.
pub(super) fn inner<'a>(object: &'a Object, names: &[&str]) -> Option<&'a Object> {
    names.iter().find_map(|name| object.get(*name)?.as_object())
}

/// Everything at the top that is a text, a number or a truth value, except under these names.
pub(super) fn details(object: &Object, except: &[&str]) -> Vec<(String, String)> {
    let others = object.iter().filter(|(name, _)| !except.contains(&name.as_str()));
    others.filter_map(|(name, value)| Some((bounded(name), plain(value)?))).take(DETAILS_MAX).collect()
}

/// At most 256 characters, none of them control characters.
pub(super) fn bounded(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(CHARS_MAX).collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(bounded(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
