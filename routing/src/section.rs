//! Reads one TOML table key by key and collects every fault on the way, unknown keys included.
//!
//! Not a deserializer: a section that has faults goes on being read, so that an operator sees all of them at once.
//! Whoever reads checks the faults at the end; values read meanwhile are only good when there are none.

use std::fmt::Display;

use toml::{Table, Value};

use crate::Fault;

/// The longest text that is read, bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Reads `text` as TOML.
///
/// # Errors
/// One fault with line and column when it is not TOML, or is longer than `TEXT_BYTES_MAX`.
pub fn parse_table(text: &str) -> Result<Table, Fault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault {
            key: "the whole file".to_owned(),
            found: format!("{} bytes", text.len()),
            expected: format!("at most {TEXT_BYTES_MAX} bytes"),
        });
    }
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Fault {
            key: format!("line {line}, column {column}"),
            found: error.message().lines().collect::<Vec<_>>().join(" "),
            expected: "TOML".to_owned(),
        }
    })
}

/// One table while it is read.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    table: Option<&'a Table>,
    known: Vec<&'static str>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Section<'a> {
    /// The table of a whole file.
    pub fn root(table: &'a Table, faults: &'a mut Vec<Fault>) -> Section<'a> {
        Section { path: String::new(), table: Some(table), known: Vec::new(), faults }
    }

    /// The value of `key` when it is there and `parse` takes it; a fault when it does not.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        expected: impl Display,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.table?.get(key)?;
        let parsed = parse(value);
        if parsed.is_none() {
            self.fault(key, shown(value), expected);
        }
        parsed
    }

    /// Like `read`, but it is a fault when the key is missing.
    pub fn need<T>(
        &mut self,
        key: &'static str,
        expected: impl Display,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.fault(key, "nothing", expected);
            return None;
        }
        self.read(key, expected, parse)
    }

    /// Whether the key is there at all.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the key is there and its value is a table.
    pub fn has_table(&self, key: &str) -> bool {
        self.table(key).is_some()
    }

    /// The table under `key`, when it is one; nothing of it counts as asked for.
    pub fn table(&self, key: &str) -> Option<&'a Table> {
        self.table.and_then(|table| table.get(key)).and_then(Value::as_table)
    }

    /// Whether this section was written down at all.
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The table under `key`, empty when missing. Call `finish` on it.
    pub fn section(&mut self, key: &'static str) -> Section<'_> {
        let table = self.read(key, "a table", Value::as_table);
        let path = self.path_of(key);
        Section { path, table, known: Vec::new(), faults: self.faults }
    }

    /// Calls `visit` with every table of the array of tables under `key`; the n-th is named `key[n]`, from 1.
    pub fn each(&mut self, key: &'static str, mut visit: impl FnMut(&mut Section<'_>)) {
        let path = self.path_of(key);
        let Some(array) = self.read(key, "an array of tables", Value::as_array) else { return };
        for (index, value) in array.iter().enumerate() {
            let path = format!("{path}[{}]", index + 1);
            self.visit(path, value, &mut visit);
        }
    }

    /// Calls `visit` with the name and table of every table inside this section, whatever their names.
    pub fn each_named(&mut self, mut visit: impl FnMut(&str, &mut Section<'_>)) {
        let Some(table) = self.table.take() else { return };
        for (name, value) in table {
            let path = self.path_of(name);
            self.visit(path, value, &mut |section| visit(name, section));
        }
    }

    /// Every key and value that is there, whatever their names: all count as asked for.
    pub fn take_all(&mut self) -> Vec<(&'a str, &'a Value)> {
        self.table.take().into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// Whether anything in the whole file has been wrong so far.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Adds a fault about `key`.
    pub fn fault(&mut self, key: &str, found: impl Display, expected: impl Display) {
        let key = self.path_of(key);
        self.faults.push(Fault { key, found: found.to_string(), expected: expected.to_string() });
    }

    /// Ends the section: every key that nobody asked for is a fault.
    pub fn finish(self) {
        for (name, value) in self.table.into_iter().flatten() {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            let key = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let expected = match nearest(name, &self.known) {
                Some(known) => format!("a known key; the nearest is \"{known}\""),
                None => format!("one of {}", self.known.join(", ")),
            };
            self.faults.push(Fault { key, found: format!("an unknown key (= {})", shown(value)), expected });
        }
    }

    fn visit(&mut self, path: String, value: &Value, visit: &mut dyn FnMut(&mut Section<'_>)) {
        let Some(table) = value.as_table() else {
            self.faults.push(Fault { key: path, found: shown(value), expected: "a table".to_owned() });
            return;
        };
        let mut section = Section { path, table: Some(table), known: Vec::new(), faults: self.faults };
        visit(&mut section);
        section.finish();
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }
}

/// Takes a text of 1 to `chars_max` characters without control characters.
pub fn text(chars_max: usize) -> impl Fn(&Value) -> Option<String> {
    move |value| {
        let text = value.as_str()?;
        let fits = !text.trim().is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned())
    }
}

/// Takes a name: 1-64 letters, digits, `-`, `_` or `.`, of any script.
pub fn name(value: &Value) -> Option<String> {
    text(64)(value).filter(|text| text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)))
}

/// Takes a whole number of the range.
pub fn whole(range: std::ops::RangeInclusive<i64>) -> impl Fn(&Value) -> Option<i64> {
    move |value| value.as_integer().filter(|number| range.contains(number))
}

/// Takes a number of the range, with or without a decimal point.
pub fn number(range: std::ops::RangeInclusive<f64>) -> impl Fn(&Value) -> Option<f64> {
    move |value| {
        let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))?;
        range.contains(&number).then_some(number)
    }
}

/// Takes a list of 1 to `length_max` things.
pub fn list<T>(length_max: usize, item: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Vec<T>> {
    move |value| {
        let array = value.as_array()?;
        if array.is_empty() || array.len() > length_max {
            return None;
        }
        array.iter().map(&item).collect()
    }
}

/// One of a few, by its word.
pub fn choice<T: Copy>(all: &'static [T], as_str: fn(T) -> &'static str) -> impl Fn(&Value) -> Option<T> {
    move |value| all.iter().copied().find(|&one| value.as_str() == Some(as_str(one)))
}

/// How [`choice`] is told: every word.
pub fn one_of<T: Copy>(all: &[T], as_str: fn(T) -> &'static str) -> String {
    let words: Vec<String> = all.iter().map(|&one| shown(&Value::from(as_str(one)))).collect();
    words.join(" or ")
}

/// A value as the operator wrote it, on one line, shortened.
pub fn shown(value: &Value) -> String {
    const CHARS_MAX: usize = 80;
    let whole = match value {
        Value::Table(_) => "a table".to_owned(),
        other => other.to_string().replace(['\n', '\r'], " "),
    };
    match whole.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &whole[..at]),
        None => whole,
    }
}

/// The known key that takes the fewest edits from `unknown`, when that is at most a third of its length.
fn nearest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |key: &&str| edits(unknown, key);
    let best = known.iter().copied().min_by_key(|key| distance(key))?;
    (distance(&best) <= best.chars().count().div_ceil(3)).then_some(best)
}

/// The Levenshtein distance of two keys; the first 64 characters count.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_key() {
        check(
            "calls = 1\nrings = 2",
            &["rings: found an unknown key (= 2), expected a known key; the nearest is \"ring\""],
        );
        check("zebra = 2", &["zebra: found an unknown key (= 2), expected one of calls, ring, inner, list"]);
    }

    #[test]
    fn collects_every_fault() {
        check(
            "calls = \"x\"\nring = 99\ninner = { deep = [] }\nlist = [{ n = 1 }, 5, { n = \"y\" }]",
            &[
                "calls: found \"x\", expected a whole number",
                "ring: found 99, expected 1-30",
                "inner.deep: found an unknown key (= []), expected one of n",
                "list[2]: found 5, expected a table",
                "list[3].n: found \"y\", expected a number",
            ],
        );
    }

    #[test]
    fn says_where_it_is_not_toml() {
        let fault = parse_table("a = 1\nb = = 2\n").expect_err("not TOML");
        assert_eq!((fault.key.as_str(), fault.expected.as_str()), ("line 2, column 5", "TOML"));
        assert!(parse_table(&"#".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn shortens_what_it_shows() {
        let long = shown(&Value::String("语".repeat(500)));
        assert_eq!(long.chars().count(), 81);
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let table = parse_table(text).expect("TOML");
        let mut faults = Vec::new();
        let mut root = Section::root(&table, &mut faults);
        root.read("calls", "a whole number", Value::as_integer);
        root.read("ring", "1-30", whole(1..=30));
        let mut inner = root.section("inner");
        inner.read("n", "a number", number(0.0..=1.0));
        inner.finish();
        root.each("list", |item| {
            item.need("n", "a number", number(0.0..=1.0));
        });
        root.finish();
        let got: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(got, expected);
    }
}
