//! `[bus]`: the NATS server by which nodes and other systems are told of calls.

use std::path::{Path, PathBuf};

use routing::section::{Section, text};
use toml::Value;

use super::is_this_machine;
use super::node::{NAME, label};
use super::read::path;

/// The stream unless the file says otherwise.
const STREAM: &str = "CALMLINE";
const URL: &str = "nats://HOST:PORT, without a password";

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusSettings {
    /// `nats://HOST:PORT`.
    pub url: String,
    /// The JetStream stream that keeps them; it is made where there is none.
    pub stream: String,
    /// Whether the connection is sealed, and the server's certificate checked.
    pub tls: bool,
    /// Whose certificates are good; the system's when nothing is said.
    pub authorities: Option<PathBuf>,
    /// Who this is: a file of credentials, as `nsc` writes them.
    pub credentials: Option<PathBuf>,
}

impl BusSettings {
    /// The machine to which events go in the clear, other than this one.
    pub fn exposed(&self) -> Option<String> {
        let host = reqwest::Url::parse(&self.url).ok()?.host_str()?.to_owned();
        (!self.tls && !is_this_machine(&host)).then_some(host)
    }
}

/// Reads the section.
pub(super) fn read_bus(mut section: Section<'_>, folder: &Path) -> Option<BusSettings> {
    let is_there = section.is_present();
    let url = if is_there { section.need("url", URL, url) } else { section.read("url", URL, url) };
    let settings = BusSettings {
        url: url.unwrap_or_default(),
        stream: section.read("stream", NAME, label).unwrap_or_else(|| STREAM.to_owned()),
        tls: section.read("tls", "true or false", Value::as_bool).unwrap_or(true),
        authorities: section.read("authorities", "a file's path", path(folder)),
        credentials: section.read("credentials", "a file's path", path(folder)),
    };
    if !settings.tls && settings.authorities.is_some() {
        section.fault("authorities", "it without tls", "tls = true: nobody shows a certificate otherwise");
    }
    section.finish();
    is_there.then_some(settings)
}

fn url(value: &Value) -> Option<String> {
    let text = text(1_024)(value)?;
    let url = reqwest::Url::parse(&text).ok()?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (url.scheme() == "nats" && url.has_host() && is_bare).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections() {
        for (written, expected) in [
            ("url = \"nats://127.0.0.1:4222\"", Ok((true, None))),
            ("url = \"nats://bus.example:4222\"\ntls = false", Ok((false, Some("bus.example")))),
            ("url = \"nats://[::1]:4222\"\ntls = false", Ok((false, None))),
            ("stream = \"S\"", Err("bus.url: found nothing, expected nats://HOST:PORT")),
            ("url = \"nats://u:secret@bus.example\"", Err("expected nats://HOST:PORT, without a password")),
            ("url = \"http://bus.example\"", Err("expected nats://HOST:PORT")),
            ("url = \"nats://a\"\nstream = \"a.b\"", Err("bus.stream: found \"a.b\", expected 1-63 letters")),
            ("url = \"nats://a\"\ntls = false\nauthorities = \"x\"", Err("bus.authorities: found it without tls")),
        ] {
            let table = routing::section::parse_table(&format!("[bus]\n{written}")).expect("TOML");
            let mut faults = Vec::new();
            let mut root = Section::root(&table, &mut faults);
            let read = read_bus(root.section("bus"), Path::new("."));
            root.finish();
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            match expected {
                Ok((tls, exposed)) => {
                    assert_eq!(told, Vec::<String>::new(), "{written}");
                    let read = read.expect("it is there");
                    assert_eq!((read.tls, read.exposed().as_deref(), &*read.stream), (tls, exposed, STREAM));
                }
                Err(expected) => assert!(told.len() == 1 && told[0].contains(expected), "{written}: {told:?}"),
            }
        }
    }
}
