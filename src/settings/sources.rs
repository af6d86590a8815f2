//! `[sources.NAME]`: where facts of customers and orders are pulled from, how often, and what its columns mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use routing::section::{Section, name, text};
use routing::{Fact, is_fact_name};
use toml::Value;

use super::pbx::url;
use super::read::{path, span, variable};
use super::{DatabaseSettings, SecretSource};
use crate::sources::{Column, Mapping};

/// One `[sources.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSettings {
    /// Where it is.
    pub place: SourcePlace,
    /// How often it is pulled.
    pub every: Duration,
    /// How long one pull may take.
    pub within: Duration,
    /// What its columns mean.
    pub mapping: Mapping,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq)]
pub enum SourcePlace {
    /// A file on this machine.
    File {
        /// Its path.
        path: PathBuf,
        /// How it is written.
        format: SourceFormat,
    },
    /// An address of HTTP.
    Http {
        /// The address.
        url: String,
        /// How the answer is written.
        format: SourceFormat,
        /// The value of the Authorization header, when it wants one.
        authorization: Option<SecretSource>,
        /// Whose certificates are good; the system's when nothing is said.
        authorities: Option<PathBuf>,
    },
    /// A PostgreSQL database.
    Database {
        /// How to connect.
        database: DatabaseSettings,
        /// What is asked; its columns are those of the source.
        query: String,
    },
}

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFormat {
    /// CSV with names in the first line.
    Csv,
    /// A JSON list of objects, at this place in the document (RFC 6901).
    Json(String),
}

/// Sources of one server, and columns of one source.
const SOURCES_MAX: usize = 20;
const COLUMNS_MAX: usize = 32;
/// Codes of one fact.
const CODES_MAX: usize = 500;

pub(super) fn read_sources(mut section: Section<'_>, folder: &Path) -> BTreeMap<String, SourceSettings> {
    let mut sources = BTreeMap::new();
    section.each_named(|own_name, source| {
        if name(&Value::from(own_name)).is_none() {
            source.fault("", format!("\"{own_name}\""), "a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
        }
        if let Some(read) = read_source(source, folder) {
            sources.insert(own_name.to_owned(), read);
        }
    });
    if sources.len() > SOURCES_MAX {
        section.fault("", format!("{} of them", sources.len()), format!("at most {SOURCES_MAX}"));
    }
    section.finish();
    sources
}

fn read_source(section: &mut Section<'_>, folder: &Path) -> Option<SourceSettings> {
    let every = span(section, "every_s", 60..=604_800).unwrap_or(Duration::from_secs(3_600));
    let within = span(section, "within_s", 1..=600).unwrap_or(Duration::from_secs(30));
    let person = section.need("person", "the name of the column that says who it is", text(200));
    let columns = section.need("facts", COLUMNS, columns);
    let codes = read_codes(section.section("codes"), columns.as_deref().unwrap_or_default());
    let place = read_place(section, folder);
    let with_codes = |(column, fact): (String, String)| {
        let codes = codes.get(&fact).cloned();
        Column { name: column, fact, codes }
    };
    let mapping = Mapping { person: person?, columns: columns?.into_iter().map(with_codes).collect() };
    Some(SourceSettings { place: place?, every, within, mapping })
}

fn read_place(section: &mut Section<'_>, folder: &Path) -> Option<SourcePlace> {
    let file = section.read("file", "a file's path", path(folder));
    let from = section.read("url", "a URL, https:// or http://", url);
    let database = read_database(section, folder);
    let csv_or_json =
        |value: &Value| value.as_str().filter(|format| ["csv", "json"].contains(format)).map(str::to_owned);
    let format = section.read("format", "\"csv\" or \"json\"", csv_or_json);
    let rows = section.read("rows", "where the list is, e.g. \"/data/customers\"", |value| {
        value.as_str().filter(|pointer| pointer.is_empty() || pointer.starts_with('/')).map(str::to_owned)
    });
    let authorization = read_authorization(section, folder);
    let authorities = section.read("authorities", "a file's path", path(folder));
    let format = match format.as_deref() {
        Some("json") => SourceFormat::Json(rows.unwrap_or_default()),
        _ => SourceFormat::Csv,
    };
    match (file, from, database) {
        (Some(path), None, None) => Some(SourcePlace::File { path, format }),
        (None, Some(url), None) => Some(SourcePlace::Http { url, format, authorization, authorities }),
        (None, None, Some((database, query))) => Some(SourcePlace::Database { database, query }),
        (None, None, None) => {
            if !["file", "url", "database"].iter().any(|key| section.has(key)) {
                section.fault("url", "nothing", "file, url or database");
            }
            None
        }
        _ => {
            section.fault("url", "several of file, url and database", "one of them");
            None
        }
    }
}

fn read_database(section: &mut Section<'_>, folder: &Path) -> Option<(DatabaseSettings, String)> {
    let file = section.read("database_password_file", "a file's path", path(folder)).map(SecretSource::File);
    let from = section.read("database_password_env", "the name of an environment variable", variable);
    let written = section.read("database", "postgres://USER@HOST/NAME, without a password", text(1_000));
    let query = section.read("query", "one SELECT of up to 4000 characters, without a semicolon", |value| {
        let query = value.as_str()?.trim();
        (!query.is_empty() && query.chars().count() <= 4_000 && !query.contains(';')).then(|| query.to_owned())
    });
    let written = written?;
    match DatabaseSettings::new(&written, file.or(from.map(SecretSource::Variable))) {
        Ok(database) => {
            if query.is_none() && !section.has("query") {
                section.fault("query", "nothing", "what is asked of the database");
            }
            Some((database, query?))
        }
        Err(found) => {
            section.fault("database", found, "postgres://USER@HOST/NAME, without a password");
            None
        }
    }
}

fn read_authorization(section: &mut Section<'_>, folder: &Path) -> Option<SecretSource> {
    let file = section.read("authorization_file", "a file's path", path(folder)).map(SecretSource::File);
    let from = section.read("authorization_env", "the name of an environment variable", variable);
    if file.is_some() && from.is_some() {
        section.fault("authorization_env", "both authorization_file and authorization_env", "one of them");
    }
    file.or(from.map(SecretSource::Variable))
}

/// Columns and their facts.
fn columns(value: &Value) -> Option<Vec<(String, String)>> {
    let table = value.as_table().filter(|table| (1..=COLUMNS_MAX).contains(&table.len()))?;
    let column = |(name, fact): (&String, &Value)| {
        let fact = fact.as_str().filter(|fact| is_fact_name(fact))?;
        (!name.trim().is_empty()).then(|| (name.clone(), fact.to_owned()))
    };
    let columns = table.iter().map(column).collect::<Option<Vec<_>>>()?;
    let facts: BTreeSet<&String> = columns.iter().map(|(_, fact)| fact).collect();
    (facts.len() == columns.len()).then_some(columns)
}

/// What codes of facts stand for.
fn read_codes(mut section: Section<'_>, columns: &[(String, String)]) -> BTreeMap<String, BTreeMap<String, Fact>> {
    let mut all = BTreeMap::new();
    for (fact, value) in section.take_all() {
        if !columns.iter().any(|(_, own)| own == fact) {
            let known = columns.iter().map(|(_, own)| own.as_str()).collect::<Vec<_>>().join(", ");
            section.fault(fact, "a fact of no column", format!("one of {known}"));
            continue;
        }
        match codes(value) {
            Some(codes) => drop(all.insert(fact.to_owned(), codes)),
            None => section.fault(fact, routing::section::shown(value), CODES),
        }
    }
    section.finish();
    all
}

fn codes(value: &Value) -> Option<BTreeMap<String, Fact>> {
    let table = value.as_table().filter(|table| (1..=CODES_MAX).contains(&table.len()))?;
    let meaning = |(code, value): (&String, &Value)| {
        let fact = match value {
            Value::String(text) => Fact::Text(text.clone()),
            Value::Integer(number) => Fact::Number(*number as f64),
            Value::Float(number) => Fact::Number(*number),
            Value::Boolean(flag) => Fact::Flag(*flag),
            Value::Array(_) | Value::Table(_) | Value::Datetime(_) => return None,
        };
        fact.is_well_formed().then(|| (code.clone(), fact))
    };
    table.iter().map(meaning).collect()
}

const COLUMNS: &str = "a table of 1-32 columns and their facts, each once, e.g. { level = \"customer.tier\" }";
const CODES: &str = "a table of 1-500 codes and what they stand for, e.g. { \"1\" = \"placed\", \"*\" = \"other\" }";

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    const GOOD: &str = "[store]\n[sources.orders]\nfile = \"orders.csv\"\nperson = \"phone\"\n\
                        facts = { level = \"customer.tier\", state = \"order.state\" }\n\
                        codes.\"order.state\" = { 1 = \"placed\", 2 = \"delayed\" }\n";

    #[test]
    fn sources_are_read() {
        let settings = Settings::parse(GOOD, Path::new("/etc/c/calmline.toml")).expect("good");
        let source = &settings.sources["orders"];
        let expected = SourcePlace::File { path: "/etc/c/orders.csv".into(), format: SourceFormat::Csv };
        assert_eq!((&source.place, source.every), (&expected, Duration::from_secs(3_600)));
        assert_eq!(source.mapping.names(), ["phone", "level", "state"]);
        let placed = source.mapping.columns[1].codes.as_ref().and_then(|codes| codes.get("1").cloned());
        assert_eq!(placed, Some(Fact::Text("placed".to_owned())));
        let place = |text: &str| {
            let text = GOOD.replace("file = \"orders.csv\"", text);
            Settings::parse(&text, Path::new("c.toml")).map(|settings| settings.sources["orders"].place.clone())
        };
        let json = place("url = \"https://crm.example/export\"\nformat = \"json\"\nrows = \"/data\"").expect("good");
        assert!(matches!(json, SourcePlace::Http { format: SourceFormat::Json(rows), .. } if rows == "/data"));
        let database = place("database = \"postgres://reader@db.example/crm\"\nquery = \"SELECT * FROM people\"");
        assert!(matches!(database, Ok(SourcePlace::Database { query, .. }) if query == "SELECT * FROM people"));
    }

    #[test]
    fn faults_are_named() {
        for (old, new, expected) in [
            ("file = \"orders.csv\"", "", "sources.orders.url: found nothing, expected file, url or database"),
            ("file = ", "url = \"https://a.example\"\nfile = ", "sources.orders.url: found several of"),
            ("\"customer.tier\"", "\"tier\"", "sources.orders.facts: found a table, expected a table of 1-32 columns"),
            (
                "order.state\" =",
                "order.stat\" =",
                "sources.orders.codes.order.stat: found a fact of no column, expected one of",
            ),
            (
                "1 = \"placed\"",
                "1 = []",
                "sources.orders.codes.order.state: found a table, expected a table of 1-500 codes",
            ),
            ("person = \"phone\"", "", "sources.orders.person: found nothing"),
            ("[store]\n", "", "sources: found it without a store"),
            ("file = \"orders.csv\"", "database = \"postgres://a@b/c\"", "sources.orders.query: found nothing"),
            (
                "file = \"orders.csv\"",
                "database = \"postgres://a@b/c\"\nquery = \"SELECT 1; DROP TABLE x\"",
                "sources.orders.query: found \"SELECT 1; DROP TABLE x\", expected one SELECT",
            ),
        ] {
            assert!(GOOD.contains(old), "{old}");
            let faults = Settings::parse(&GOOD.replacen(old, new, 1), Path::new("c.toml")).expect_err(expected);
            let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            assert!(told.contains(expected), "{told}");
        }
    }
}
