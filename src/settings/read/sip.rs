//! Reads `[sip]` and `[trunks.NAME]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use routing::section::{Section, list, name, text, whole};
use toml::Value;

use super::{ENTRIES_MAX, address, count, network, path, sip_uri, socket, span, variable};
use crate::settings::networks;
use crate::settings::{
    Account, Authentication, ClientCertificate, Listener, Networks, PasswordSource, Registration, SipSettings,
    TlsSettings, TrunkSettings, UnknownSources,
};
use crate::shell::sip::{Algorithm, SipTransport};

/// Sockets of one server.
const LISTENERS_MAX: usize = 16;
/// Trunks of one server.
const TRUNKS_MAX: usize = 64;
/// Names that one trunk's certificate may bear.
const NAMES_MAX: usize = 16;
const LISTEN: &str = "\"IP:PORT\", e.g. \"192.0.2.20:5060\" or \"[2001:db8::20]:5060\", or a list of them, each with or \
                      without udp://, tcp://, tls://, ws:// or wss:// before it";
const TRANSPORTS: &str = "a list of \"udp\", \"tcp\", \"tls\", \"ws\", \"wss\"";
const NETWORKS: &str = "a list of networks, e.g. [\"10.0.0.0/8\", \"192.0.2.7\"]; \"0.0.0.0/0\" trusts everybody";

pub(super) fn read_sip(mut section: Section<'_>, folder: &Path) -> SipSettings {
    let default = SipSettings::default();
    let listeners = read_listeners(&mut section).unwrap_or(default.listeners);
    let external = read_external(&mut section, &listeners);
    let networks = section.read("networks", networks::EXPECTED, Networks::read);
    let user_agent = section.read("user_agent", "1-100 characters on one line", text(100));
    let trusted = section.read("trusted", NETWORKS, list(ENTRIES_MAX, network));
    let unknown = section.read("unknown_sources", "\"silence\" or \"forbidden\"", unknown_sources);
    let mut number = |key, range: std::ops::RangeInclusive<i64>| {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        section.read(key, expected, whole(range)).map(count)
    };
    let requests_per_s = number("requests_per_s", 1..=100_000);
    let datagram_bytes = number("datagram_bytes", 1_300..=65_535);
    let long_request_bytes = number("long_request_bytes", 500..=65_535);
    let connections = number("connections", 1..=100_000);
    let connections_per_source = number("connections_per_source", 1..=100_000);
    let idle = span(&mut section, "idle_s", 30..=86_400);
    let tls = read_tls(section.section("tls"), folder);
    let origins =
        section.read("origins", "a list of web origins, e.g. [\"https://desk.example\"]", list(64, text(200)));
    let dns = section.read("dns", "a list of name servers, each IP:PORT", list(8, socket));
    check_listeners(&mut section, &listeners, tls.is_some());
    section.finish();
    SipSettings {
        listeners,
        external,
        networks: networks.unwrap_or_default(),
        user_agent: user_agent.unwrap_or(default.user_agent),
        trusted: trusted.unwrap_or(default.trusted),
        unknown_sources: unknown.unwrap_or(default.unknown_sources),
        requests_per_s: requests_per_s.map_or(default.requests_per_s, small),
        datagram_bytes: datagram_bytes.unwrap_or(default.datagram_bytes),
        long_request_bytes: long_request_bytes.unwrap_or(default.long_request_bytes),
        connections: connections.unwrap_or(default.connections),
        connections_per_source: connections_per_source.unwrap_or(default.connections_per_source),
        idle: idle.unwrap_or(default.idle),
        tls,
        origins: origins.unwrap_or_default(),
        dns: dns.unwrap_or_default(),
    }
}

/// One listener, or a list of them.
fn read_listeners(section: &mut Section<'_>) -> Option<Vec<Listener>> {
    section.read("listen", LISTEN, |value| match value {
        Value::Array(_) => list(LISTENERS_MAX, listener)(value).filter(|listeners| !listeners.is_empty()),
        _ => listener(value).map(|one| vec![one]),
    })
}

/// `udp://192.0.2.20:5060`, or without a scheme for UDP.
fn listener(value: &Value) -> Option<Listener> {
    let written = value.as_str()?;
    let (transport, rest) = match written.split_once("://") {
        Some((scheme, rest)) => (SipTransport::named(scheme)?, rest),
        None => (SipTransport::Udp, written),
    };
    let address: SocketAddr = rest.parse().ok().filter(|address: &SocketAddr| address.port() != 0)?;
    Some(Listener { transport, address })
}

fn check_listeners(section: &mut Section<'_>, listeners: &[Listener], has_tls: bool) {
    let udp = |v4: bool| {
        let is_one = |each: &&Listener| each.transport == SipTransport::Udp && each.address.is_ipv4() == v4;
        listeners.iter().filter(is_one).count()
    };
    if udp(true) > 1 || udp(false) > 1 {
        section.fault("listen", "more than one UDP socket of one address family", "one for IPv4 and one for IPv6");
    }
    for (index, each) in listeners.iter().enumerate() {
        let is_same = |other: &Listener| {
            let is_udp = |listener: &Listener| listener.transport == SipTransport::Udp;
            other.address == each.address && is_udp(other) == is_udp(each)
        };
        if listeners[..index].iter().any(is_same) {
            section.fault("listen", format!("\"{}\" twice", each.address), "a socket once");
        }
        if each.transport.is_secure() && !has_tls && !section.has("tls") {
            let expected = "a section [sip.tls] with certificate and key";
            section.fault("tls", format!("nothing, but a listener for {}", each.transport.name()), expected);
        }
    }
}

/// One address, or one per family. An unspecified listener needs one of its family.
fn read_external(section: &mut Section<'_>, listeners: &[Listener]) -> Vec<IpAddr> {
    let expected = "an IP address that peers reach this machine at, e.g. \"192.0.2.20\"";
    let specified = |value: &Value| address(value).filter(|address| !address.is_unspecified());
    let written = section.read("external_address", expected, |value| match value {
        Value::Array(_) => {
            list(2, specified)(value).filter(|two| two.len() < 2 || two[0].is_ipv4() != two[1].is_ipv4())
        }
        _ => specified(value).map(|one| vec![one]),
    });
    let is_written = section.has("external_address");
    let mut external = written.unwrap_or_default();
    for Listener { address: bound, .. } in listeners {
        if external.iter().any(|known| known.is_ipv4() == bound.is_ipv4()) {
            continue;
        }
        if !bound.ip().is_unspecified() {
            external.push(bound.ip());
        } else if !is_written || !external.is_empty() {
            section.fault("external_address", "nothing", format!("{expected}, because sip.listen is {}", bound.ip()));
            return external;
        }
    }
    external
}

pub(in crate::settings) fn read_tls(mut section: Section<'_>, folder: &Path) -> Option<TlsSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let certificate = section.need("certificate", "a PEM file: our certificate first", path(folder));
    let key = section.need("key", "a PEM file with the certificate's private key", path(folder));
    let authorities = section.read("authorities", "a PEM file of authorities' certificates", path(folder));
    let allows_1_2 = section.read("minimum", "\"1.2\" or \"1.3\"", |value| match value.as_str()? {
        "1.2" => Some(true),
        "1.3" => Some(false),
        _ => None,
    });
    let reload = span(&mut section, "reload_s", 1..=86_400);
    section.finish();
    Some(TlsSettings {
        certificate: certificate?,
        key: key?,
        authorities,
        allows_1_2: allows_1_2.unwrap_or(true),
        reload: reload.unwrap_or(Duration::from_secs(10)),
    })
}

pub(super) fn read_trunks(
    mut section: Section<'_>,
    folder: &Path,
    sip: &SipSettings,
) -> BTreeMap<String, TrunkSettings> {
    let mut trunks = BTreeMap::new();
    section.each_named(|trunk_name, trunk| {
        if name(&Value::from(trunk_name)).is_none() {
            trunk.fault("", format!("\"{trunk_name}\""), "a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
        }
        trunks.insert(trunk_name.to_owned(), read_trunk(trunk, folder, sip));
    });
    if trunks.len() > TRUNKS_MAX {
        section.fault("", format!("{} trunks", trunks.len()), format!("at most {TRUNKS_MAX}"));
    }
    section.finish();
    trunks
}

fn read_trunk(section: &mut Section<'_>, folder: &Path, sip: &SipSettings) -> TrunkSettings {
    let sources = section.read("sources", NETWORKS, list(ENTRIES_MAX, network)).unwrap_or_default();
    let transports = section.read("transports", TRANSPORTS, list(5, transport)).unwrap_or_default();
    let expected = "\"off\", \"optional\" or \"required\"";
    let certificate = section.read("client_certificate", expected, client_certificate);
    let names = section.read("certificate_names", "a list of host names", list(NAMES_MAX, text(253)));
    let has_authorities = sip.tls.as_ref().is_some_and(|tls| tls.authorities.is_some());
    if certificate.is_some_and(|wanted| wanted != ClientCertificate::Off) && !has_authorities {
        section.fault("client_certificate", "no authorities to check it by", "authorities in [sip.tls]");
    }
    let authentication = read_authentication(section.section("authentication"), folder);
    if authentication.is_some() && sources.is_empty() {
        section.fault("authentication", "no sources of the trunk", "sources beside it: where it calls from");
    }
    let credentials = section.section("credentials");
    let is_wanted = credentials.is_present();
    let credentials = read_account(credentials, folder, is_wanted);
    let requests = section.read("requests_per_s", "a whole number from 1 to 100000", whole(1..=100_000));
    let uri = section.read("uri", "a SIP URI, e.g. \"sip:carrier.example;transport=tls\"", sip_uri);
    let health = span(section, "health_s", 1..=3_600);
    let register = read_registration(section.section("register"));
    let feedback = section.read("overload_feedback", "true or false", Value::as_bool);
    for (key, is_wanted) in [("health_s", health.is_some()), ("register", register.is_some())] {
        if is_wanted && uri.is_none() {
            section.fault(key, "no uri of the trunk", "uri = \"sip:…\" beside it: where it is asked");
        }
    }
    TrunkSettings {
        sources,
        transports,
        client_certificate: certificate.unwrap_or(ClientCertificate::Off),
        certificate_names: names.unwrap_or_default(),
        authentication,
        requests_per_s: requests.map(count).map(small),
        credentials,
        uri,
        health,
        register,
        overload_feedback: feedback.unwrap_or(false),
    }
}

fn read_authentication(mut section: Section<'_>, folder: &Path) -> Option<Authentication> {
    let is_wanted = section.is_present();
    let realm = section.read("realm", "1-100 characters", text(100));
    let names = "a list of \"SHA-512-256\", \"SHA-256\" and \"MD5\", best first";
    let algorithms = section.read("algorithms", names, |value| {
        list(3, |each| Algorithm::named(each.as_str()?))(value).filter(|algorithms| !algorithms.is_empty())
    });
    let account = read_account(section, folder, is_wanted)?;
    Some(Authentication {
        realm: realm.unwrap_or_else(|| "calmline".to_owned()),
        account,
        algorithms: algorithms.unwrap_or_else(|| vec![Algorithm::Sha256, Algorithm::Md5]),
    })
}

/// `user`, and `password_file` or `password_env`.
fn read_account(mut section: Section<'_>, folder: &Path, is_wanted: bool) -> Option<Account> {
    if !is_wanted {
        section.finish();
        return None;
    }
    let user = section.need("user", "1-100 characters", text(100));
    let file = section.read("password_file", "a file's path", path(folder)).map(PasswordSource::File);
    let env = section.read("password_env", "the name of an environment variable", variable);
    let password = match (file, env.map(PasswordSource::Variable)) {
        (Some(_), Some(_)) => {
            section.fault("password_env", "both password_file and password_env", "one of them");
            None
        }
        (file, env) => file.or(env),
    };
    if password.is_none() && !section.has("password_file") && !section.has("password_env") {
        section.fault("password_file", "nothing", "password_file or password_env");
    }
    section.finish();
    Some(Account { user: user?, password: password? })
}

fn read_registration(mut section: Section<'_>) -> Option<Registration> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let address = section.need("address", "the address of record, e.g. \"sip:4000@carrier.example\"", sip_uri);
    let expires = span(&mut section, "expires_s", 60..=86_400);
    section.finish();
    Some(Registration { address: address?, expires: expires.unwrap_or(Duration::from_secs(600)) })
}

fn transport(value: &Value) -> Option<SipTransport> {
    SipTransport::named(value.as_str()?)
}

fn unknown_sources(value: &Value) -> Option<UnknownSources> {
    match value.as_str()? {
        "silence" => Some(UnknownSources::Silence),
        "forbidden" => Some(UnknownSources::Forbidden),
        _ => None,
    }
}

fn client_certificate(value: &Value) -> Option<ClientCertificate> {
    match value.as_str()? {
        "off" => Some(ClientCertificate::Off),
        "optional" => Some(ClientCertificate::Optional),
        "required" => Some(ClientCertificate::Required),
        _ => None,
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
