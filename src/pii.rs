//! Personal data as a type: it is stored and served, and never printed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A value about a person. `Debug` and `Display` print `…`; only serialisation (the API) shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, ToSchema)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Marks a value as personal.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for those who must have it.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl<T> std::fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl<T: Serialize> Serialize for Pii<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pii<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Pii<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints() {
        let number = Pii::new("sip:13800138000@pbx".to_owned());
        assert_eq!(format!("{number} {number:?} {:?}", Some(&number)), "… … Some(…)");
        assert_eq!(serde_json::to_string(&number).expect("a string"), "\"sip:13800138000@pbx\"");
        assert_eq!(serde_json::from_str::<Pii<String>>("\"sip:13800138000@pbx\"").expect("a string"), number);
        assert!(number.reveal().contains("138"));
    }
}
