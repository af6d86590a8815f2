//! `[pbx.NAME]`: who can be asked to act on calls, and how.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use routing::Route;
use routing::section::{Section, name, text, whole};
use toml::Value;

use super::exposed_host;
use super::read::{SOCKET, count, path, socket, span, variable};
use crate::pbx::{Dialplan, Place, Secret};

/// One PBX, or another system outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxSettings {
    /// How it is spoken to.
    pub kind: PbxKind,
    /// The authorities that its certificate is checked by, PEM; `None`: the system's.
    pub authorities: Option<PathBuf>,
    /// The header of an INVITE that names its channel; without meaning for a webhook.
    pub channel_header: String,
    /// How long an order may take, unless a policy says otherwise.
    pub within: Duration,
    /// Orders that may wait for it; the next one fails at once.
    pub orders_max: usize,
}

/// How it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxKind {
    /// Asterisk's manager interface.
    Ami {
        /// Its TCP socket.
        address: SocketAddr,
        /// The name or address that its certificate has to bear; `None`: no TLS.
        tls: Option<String>,
        /// The manager user.
        user: String,
        /// The manager user's secret.
        secret: SecretSource,
    },
    /// Asterisk's REST interface.
    Ari {
        /// Where it begins, e.g. `https://pbx.example:8089/ari`.
        url: String,
        /// The user.
        user: String,
        /// The user's password.
        secret: SecretSource,
        /// The name of our Stasis application.
        app: String,
    },
    /// FreeSWITCH's event socket.
    Esl {
        /// Its TCP socket.
        address: SocketAddr,
        /// Its password.
        secret: SecretSource,
    },
    /// An HTTP server that is told in JSON.
    Webhook {
        /// What is posted to.
        url: String,
        /// The bearer token, when it wants one.
        secret: Option<SecretSource>,
    },
}

/// What call control has to know of a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxTerms {
    /// The header of an INVITE that names the channel.
    pub channel_header: String,
    /// Whether it can do nothing without a channel.
    pub needs_channel: bool,
    /// How long an order may take.
    pub within: Duration,
}

impl PbxSettings {
    /// What call control has to know.
    pub fn terms(&self) -> PbxTerms {
        PbxTerms {
            channel_header: self.channel_header.clone(),
            needs_channel: !matches!(self.kind, PbxKind::Webhook { .. }),
            within: self.within,
        }
    }

    /// Where the secret and what is said of callers go without encryption, other than to this machine.
    pub fn exposed(&self) -> Option<String> {
        let outside = |address: &SocketAddr| (!address.ip().is_loopback()).then(|| address.to_string());
        match &self.kind {
            PbxKind::Ami { address, tls: None, .. } | PbxKind::Esl { address, .. } => outside(address),
            PbxKind::Ami { .. } => None,
            PbxKind::Ari { url, .. } | PbxKind::Webhook { url, .. } => exposed_host(url),
        }
    }

    /// The secret's source, when there is one.
    pub fn secret(&self) -> Option<&SecretSource> {
        match &self.kind {
            PbxKind::Ami { secret, .. } | PbxKind::Ari { secret, .. } | PbxKind::Esl { secret, .. } => Some(secret),
            PbxKind::Webhook { secret, .. } => secret.as_ref(),
        }
    }
}

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl SecretSource {
    /// Fetches it.
    ///
    /// # Errors
    /// What was found instead, in words: a missing file or variable, nothing, or something too long.
    pub fn fetch(&self) -> Result<Secret, String> {
        let text = match self {
            SecretSource::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            SecretSource::Variable(name) => {
                std::env::var(name).map_err(|error| format!("environment variable {name}: {error}"))?
            }
        };
        let line = text.lines().next().unwrap_or_default().trim();
        if !(1..=256).contains(&line.len()) || line.chars().any(char::is_control) {
            return Err(format!("a secret of {} bytes; 1-256 are needed, on one line", line.len()));
        }
        Ok(Secret::new(line))
    }
}

/// Reads `[pbx.NAME]`.
pub(super) fn read_pbxes(mut section: Section<'_>, folder: &Path) -> BTreeMap<String, PbxSettings> {
    let mut pbxes = BTreeMap::new();
    section.each_named(|own_name, pbx| {
        let is_way = Route::OWN.iter().any(|way| way.as_str() == own_name);
        if name(&Value::from(own_name)).is_none() || is_way {
            let expected = "a name of 1-64 letters, digits, \"-\", \"_\" or \".\" that is no way of SIP";
            pbx.fault("", format!("\"{own_name}\""), expected);
        }
        if let Some(read) = read_pbx(pbx, folder) {
            pbxes.insert(own_name.to_owned(), read);
        }
    });
    if pbxes.len() > PBXES_MAX {
        section.fault("", format!("{} of them", pbxes.len()), format!("at most {PBXES_MAX}"));
    }
    section.finish();
    pbxes
}

fn read_pbx(section: &mut Section<'_>, folder: &Path) -> Option<PbxSettings> {
    let kinds = "\"ami\", \"ari\", \"esl\" or \"webhook\"";
    let kind = section.need("kind", kinds, |value| {
        ["ami", "ari", "esl", "webhook"].into_iter().find(|&kind| value.as_str() == Some(kind))
    });
    let channel_header = section.read("channel_header", "a header's name", name);
    let within = span(section, "within_s", 1..=300);
    let orders_max = section.read("orders_max", "a whole number from 1 to 10000", whole(1..=10_000));
    let secret = read_secret(section, folder);
    let authorities = section.read("authorities", "a file's path", path(folder));
    if kind.is_none() {
        // Only the real mistake is reported.
        for key in ["address", "user", "url", "app", "tls", "server_name"] {
            section.read(key, "", Some);
        }
    }
    // All of a kind's keys are read before one that is missing ends the reading, so that every fault is named.
    let kind = match kind? {
        "ami" => {
            let (address, user, secret) = (read_address(section), read_user(section), needed(section, secret));
            let tls = read_tls(section, address);
            PbxKind::Ami { address: address?, tls, user: user?, secret: secret? }
        }
        "ari" => {
            let expected = "a URL, https:// or http://, e.g. \"https://pbx.example:8089/ari\"";
            let (url, user) = (section.need("url", expected, url), read_user(section));
            let app = section.read("app", "the name of a Stasis application", name);
            let (secret, app) = (needed(section, secret), app.unwrap_or_else(|| "calmline".to_owned()));
            PbxKind::Ari { url: url?, user: user?, secret: secret?, app }
        }
        "esl" => {
            let (address, secret) = (read_address(section), needed(section, secret));
            PbxKind::Esl { address: address?, secret: secret? }
        }
        _ => PbxKind::Webhook { url: section.need("url", "a URL, http:// or https://", url)?, secret },
    };
    let is_encrypted = match &kind {
        PbxKind::Ami { tls, .. } => tls.is_some(),
        PbxKind::Esl { .. } => false,
        PbxKind::Ari { url, .. } | PbxKind::Webhook { url, .. } => url.starts_with("https://"),
    };
    if authorities.is_some() && !is_encrypted {
        section.fault("authorities", "no TLS to check by them", "tls = true (ami) or a URL with https:// beside it");
    }
    Some(PbxSettings {
        kind,
        authorities,
        channel_header: channel_header.unwrap_or_else(|| "X-PBX-Channel".to_owned()),
        within: within.unwrap_or(Duration::from_secs(5)),
        orders_max: orders_max.map_or(64, count),
    })
}

fn read_address(section: &mut Section<'_>) -> Option<SocketAddr> {
    section.need("address", SOCKET, socket)
}

/// `tls` and `server_name`: what the certificate has to bear, without a name the address.
fn read_tls(section: &mut Section<'_>, address: Option<SocketAddr>) -> Option<String> {
    let is_wanted = section.read("tls", "true or false", Value::as_bool).unwrap_or(false);
    let server_name = section.read("server_name", "a host name", text(253));
    if server_name.is_some() && !is_wanted {
        section.fault("server_name", "no TLS", "tls = true beside it");
    }
    is_wanted.then(|| server_name.or_else(|| address.map(|address| address.ip().to_string()))).flatten()
}

fn read_user(section: &mut Section<'_>) -> Option<String> {
    section.need("user", "1-100 characters on one line", text(100))
}

pub(super) fn read_secret(section: &mut Section<'_>, folder: &Path) -> Option<SecretSource> {
    let file = section.read("secret_file", "a file's path", path(folder));
    let from_variable = section.read("secret_env", "the name of an environment variable", variable);
    if file.is_some() && from_variable.is_some() {
        section.fault("secret_env", "both secret_file and secret_env", "one of them");
    }
    file.map(SecretSource::File).or(from_variable.map(SecretSource::Variable))
}

pub(super) fn needed(section: &mut Section<'_>, secret: Option<SecretSource>) -> Option<SecretSource> {
    if secret.is_none() && !section.has("secret_file") && !section.has("secret_env") {
        section.fault("secret_env", "nothing", "secret_env or secret_file");
    }
    secret
}

/// The furthest ahead that a caller can be in a queue.
pub(crate) const QUEUE_PRIORITY_MAX: u32 = 1_000_000;

/// Reads what `[targets.NAME]` says of PBXs.
pub(super) fn read_place(section: &mut Section<'_>) -> Place {
    let place = "\"CONTEXT,EXTENSION\" or \"CONTEXT,EXTENSION,PRIORITY\", e.g. \"queues,700,1\"";
    let priorities = whole(0..=i64::from(QUEUE_PRIORITY_MAX));
    let priority = section.read("queue_priority", "a whole number from 0 to 1000000", priorities);
    Place {
        dialplan: section.read("dialplan", place, dialplan),
        endpoint: section.read("endpoint", "a device that ARI can call, e.g. \"PJSIP/agent1\"", word),
        queue_priority: priority.and_then(|priority| u32::try_from(priority).ok()),
        variables: section
            .read("variables", "a table of at most 32 channel variables and their values, both text", variables)
            .unwrap_or_default(),
    }
}

fn dialplan(value: &Value) -> Option<Dialplan> {
    let parts: Vec<&str> = value.as_str()?.split(',').map(str::trim).collect();
    let (context, extension, priority) = match *parts.as_slice() {
        [context, extension] => (context, extension, 1),
        [context, extension, priority] => (context, extension, priority.parse().ok().filter(|&at| at >= 1)?),
        _ => return None,
    };
    let of = |part: &str| word(&Value::from(part));
    Some(Dialplan { context: of(context)?, extension: of(extension)?, priority })
}

fn variables(value: &Value) -> Option<BTreeMap<String, String>> {
    let table = value.as_table().filter(|table| table.len() <= 32)?;
    let variable = |(key, value): (&String, &Value)| {
        let named = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        named.then(|| Some((key.clone(), text(200)(value)?))).flatten()
    };
    table.iter().map(variable).collect()
}

/// 1-100 graphic characters without a comma.
fn word(value: &Value) -> Option<String> {
    text(100)(value).filter(|text| text.chars().all(|c| c.is_ascii_graphic() && c != ','))
}

pub(super) fn url(value: &Value) -> Option<String> {
    let url = text(500)(value).filter(|url| url.is_ascii() && !url.contains(char::is_whitespace))?;
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    (!host.starts_with(['/', ':', '?']) && !host.is_empty()).then(|| url.trim_end_matches('/').to_owned())
}

/// PBXs of one server.
const PBXES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn what_is_encrypted_and_what_is_not() {
        let ami = "kind = \"ami\"\nuser = \"us\"\naddress";
        check(&format!("{ami} = \"192.0.2.1:5038\""), Some("192.0.2.1:5038"));
        check(&format!("{ami} = \"127.0.0.1:5038\""), None);
        check(&format!("{ami} = \"192.0.2.1:5039\"\ntls = true\nauthorities = \"ca.pem\""), None);
        check("kind = \"esl\"\naddress = \"[2001:db8::1]:8021\"", Some("[2001:db8::1]:8021"));
        check("kind = \"esl\"\naddress = \"[::1]:8021\"", None);
        let ari = "kind = \"ari\"\nuser = \"us\"\nurl";
        check(&format!("{ari} = \"http://pbx.example:8088/ari\""), Some("pbx.example"));
        check(&format!("{ari} = \"http://localhost:8088/ari\""), None);
        check(&format!("{ari} = \"https://pbx.example:8089/ari\"\nauthorities = \"ca.pem\""), None);
        check("kind = \"webhook\"\nurl = \"http://[::1]/\"", None);
        check("kind = \"webhook\"\nurl = \"http://localhost.example/\"", Some("localhost.example"));
    }

    #[test]
    fn a_certificate_bears_the_address_when_no_name_is_given() {
        let name = |more: &str| {
            let text = format!("kind = \"ami\"\nuser = \"us\"\naddress = \"192.0.2.1:5039\"\ntls = true\n{more}");
            match read(&text).kind {
                PbxKind::Ami { tls, .. } => tls,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(name(""), Some("192.0.2.1".to_owned()));
        assert_eq!(name("server_name = \"pbx.example\""), Some("pbx.example".to_owned()));
    }

    #[track_caller]
    fn check(pbx: &str, exposed: Option<&str>) {
        assert_eq!(read(pbx).exposed().as_deref(), exposed, "{pbx}");
    }

    fn read(pbx: &str) -> PbxSettings {
        let text = format!("[pbx.a]\nsecret_env = \"S\"\n{pbx}");
        Settings::parse(&text, Path::new("c.toml")).expect(pbx).pbxes.remove("a").expect("it is there")
    }
}
