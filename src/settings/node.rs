//! `[node]`: which of several servers this is, and whether they are one site.

use routing::section::{Section, text};
use toml::Value;

use super::{MasterKeySource, SiteSettings, StoreSettings};

/// The longest name, octets: a label of a host's name (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 63;
pub(super) const NAME: &str = "1-63 letters of ASCII, digits, - or _";
/// Where the system says what its host is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// This server among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// By what it is known in events, records, figures and to other nodes.
    pub name: String,
    /// What several nodes are together that write to one database.
    pub site: Option<String>,
    /// Where people reach its API, `https://HOST:PORT`; other nodes send them there.
    pub address: Option<String>,
}

impl Default for NodeSettings {
    fn default() -> Self {
        let host = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
        Self { name: name_of(&host), site: None, address: None }
    }
}

/// A host's name as a node's: its first label, with a dash for whatever may not stand there.
fn name_of(host: &str) -> String {
    let label = host.trim().split('.').next().unwrap_or_default();
    let dashed = label.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' });
    let name: String = dashed.take(NAME_BYTES_MAX).collect();
    if name.is_empty() { "calmline".to_owned() } else { name }
}

/// Reads the section, and has the store know what of it is its own.
pub(super) fn read_node(mut section: Section<'_>, store: Option<&mut StoreSettings>) -> NodeSettings {
    let own = NodeSettings::default();
    let name = section.read("name", NAME, label).unwrap_or(own.name);
    let site = section.read("site", NAME, label);
    let address = section.read("address", "http:// or https://, a host and a port", address);
    if let Some(site) = &site {
        match store.filter(|store| store.database.is_some()) {
            Some(store) if store.master_key == MasterKeySource::Beside => {
                section.fault(
                    "site",
                    format!("\"{site}\" without store.key_file"),
                    "a master key that all its nodes share",
                );
            }
            Some(store) => store.site = Some(SiteSettings { name: site.clone(), node: name.clone() }),
            None => section.fault(
                "site",
                format!("\"{site}\" without a database"),
                "store.database, the same on every node",
            ),
        }
    }
    section.finish();
    NodeSettings { name, site, address }
}

pub(super) fn label(value: &Value) -> Option<String> {
    let is_label = |text: &String| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
    text(NAME_BYTES_MAX)(value).filter(is_label)
}

fn address(value: &Value) -> Option<String> {
    let text = text(1_024)(value)?;
    let url = reqwest::Url::parse(&text).ok()?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    (["http", "https"].contains(&url.scheme()) && url.has_host() && is_plain)
        .then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gives_its_node_a_name() {
        for (host, expected) in
            [("media-1\n", "media-1"), ("media_1.example.com", "media_1"), ("a b", "a-b"), ("", "calmline"), ("é", "-")]
        {
            assert_eq!(name_of(host), expected, "{host:?}");
        }
        assert_eq!(name_of(&"x".repeat(80)).len(), 63);
    }

    #[test]
    fn sections() {
        for (written, expected) in [
            ("name = \"a\"\naddress = \"https://a.example:8080/\"", Ok(("a", None, Some("https://a.example:8080")))),
            ("name = \"a.b\"", Err("node.name: found \"a.b\", expected 1-63 letters")),
            ("name = \"a\"\nsite = \"s\"", Err("node.site: found \"s\" without a database, expected store.database")),
            ("name = \"a\"\naddress = \"a.example\"", Err("expected http:// or https://")),
            ("name = \"a\"\naddress = \"https://u:p@a.example\"", Err("expected http:// or https://")),
        ] {
            let table = routing::section::parse_table(&format!("[node]\n{written}")).expect("TOML");
            let mut faults = Vec::new();
            let mut root = Section::root(&table, &mut faults);
            let read = read_node(root.section("node"), None);
            root.finish();
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            match expected {
                Ok((name, site, address)) => {
                    assert_eq!(told, Vec::<String>::new(), "{written}");
                    assert_eq!((&*read.name, read.site.as_deref(), read.address.as_deref()), (name, site, address));
                }
                Err(expected) => assert!(told.len() == 1 && told[0].contains(expected), "{written}: {told:?}"),
            }
        }
    }
}
