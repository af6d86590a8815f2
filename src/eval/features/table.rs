//! Values by signal: what is true of a folder of signals, or what one tool tells of it.
//!
//! CSV with a header: `signal`, then any of [`VALUES`]; other columns are passed over, an empty field is no value.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::Failure;

/// What can be known of a signal.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Whether it is a ratio to noise, so that a line's own noise counts too.
    pub(super) to_noise: bool,
}

impl Value {
    const fn of(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, to_noise: false }
    }

    const fn to_noise(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, to_noise: true }
    }
}

/// All of it, in the order of tables.
pub(super) const VALUES: [Value; 10] = [
    Value::of("jitter", "%"),
    Value::of("shimmer", "dB"),
    Value::to_noise("hnr", "dB"),
    Value::of("formant1", "Hz"),
    Value::of("formant2", "Hz"),
    Value::of("formant3", "Hz"),
    Value::to_noise("snr", "dB"),
    Value::of("speaking_rate", "per s"),
    Value::of("articulation_rate", "per s"),
    Value::of("pause_share", ""),
];

/// The values of some signals.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    /// By signal and name.
    values: BTreeMap<(String, String), f64>,
}

impl Table {
    pub(super) fn insert(&mut self, signal: &str, name: &str, value: f64) {
        self.values.insert((signal.to_owned(), name.to_owned()), value);
    }

    pub(super) fn get(&self, signal: &str, name: &str) -> Option<f64> {
        self.values.get(&(signal.to_owned(), name.to_owned())).copied()
    }

    /// All signals that have a value of that name.
    pub(super) fn column<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.values.iter().filter(move |((_, own), _)| own == name).map(|((signal, _), value)| (&**signal, *value))
    }

    /// The signals there are, in order.
    pub(super) fn signals(&self) -> Vec<&str> {
        let mut signals: Vec<&str> = self.values.keys().map(|(signal, _)| &**signal).collect();
        signals.dedup();
        signals
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, has no column `signal`, or holds something that is no finite number.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let named = |error: &dyn std::fmt::Display| Failure::of(path.display(), error);
        let mut reader = csv::Reader::from_path(path).map_err(|error| named(&error))?;
        let header = reader.headers().map_err(|error| named(&error))?.clone();
        let Some(place) = header.iter().position(|name| name == "signal") else {
            return Err(named(&"expected a column `signal`"));
        };
        let mut table = Self::default();
        for record in reader.records() {
            let record = record.map_err(|error| named(&error))?;
            let signal = record.get(place).unwrap_or_default();
            for (name, field) in header.iter().zip(&record).filter(|(_, field)| !field.is_empty()) {
                if !VALUES.iter().any(|value| value.name == name) {
                    continue;
                }
                let value = field.parse().ok().filter(|value: &f64| value.is_finite());
                let fault = || named(&format!("{signal}, {name}: expected a number, found {field:?}"));
                table.insert(signal, name, value.ok_or_else(fault)?);
            }
        }
        Ok(table)
    }

    /// Writes a file with every column.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let named = |error: csv::Error| Failure::of(path.display(), error);
        let mut writer = csv::Writer::from_path(path).map_err(named)?;
        writer.write_record(std::iter::once("signal").chain(VALUES.iter().map(|value| value.name))).map_err(named)?;
        for signal in self.signals() {
            let fields = VALUES
                .iter()
                .map(|value| self.get(signal, value.name).map_or_else(String::new, |value| format!("{value:.6}")));
            writer.write_record(std::iter::once(signal.to_owned()).chain(fields)).map_err(named)?;
        }
        writer.flush().map_err(|error| Failure::of(path.display(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_written() {
        let mut table = Table::default();
        table.insert("b", "jitter", 0.5);
        table.insert("a", "hnr", 12.25);
        let path = std::env::temp_dir().join(format!("calmline-table-{}.csv", std::process::id()));
        table.write(&path).expect("a writable folder");
        let read = Table::read(&path);
        std::fs::write(&path, "signal,jitter\na,much\n").expect("a writable folder");
        let fault = Table::read(&path).expect_err("no number").to_string();
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(read.expect("it reads"), table);
        assert!(fault.ends_with("a, jitter: expected a number, found \"much\""), "{fault}");
        assert_eq!(table.signals(), ["a", "b"]);
        assert_eq!(table.column("jitter").collect::<Vec<_>>(), [("b", 0.5)]);
    }
}
