//! `[sip]` and `[trunks.NAME]`: where SIP is spoken, with whom, and who is believed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{IpNet, LOOPBACK, Networks, loopback_networks};
use crate::shell::sip::{Algorithm, SipTransport};

/// How SIP is spoken.
#[derive(Debug, Clone)]
pub struct SipSettings {
    /// The sockets SIP is received on; never empty, at most one UDP socket per address family.
    pub listeners: Vec<Listener>,
    /// The addresses that Via and Contact show, at most one per family; ports are those of the listeners. Never
    /// unspecified. A family that is missing shows the address of its listener.
    pub external: Vec<IpAddr>,
    /// What far ends in certain networks are shown instead, where it is of the family of the listener.
    pub networks: Networks,
    /// The User-Agent and Server header.
    pub user_agent: String,
    /// Source networks whose requests are answered without a trunk of their own.
    pub trusted: Vec<IpNet>,
    /// What everybody else hears.
    pub unknown_sources: UnknownSources,
    /// Requests outside dialogs that one source may send per second, and at once; beyond it 503.
    pub requests_per_s: u32,
    /// The longest message that is taken in a datagram, bytes; beyond it 513.
    pub datagram_bytes: usize,
    /// Requests of ours beyond so many bytes are too long for a datagram and go over TCP, where both sides listen for it
    /// (RFC 3261 §18.1.1).
    pub long_request_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one source address at a time.
    pub connections_per_source: usize,
    /// A connection that says nothing for this long is closed.
    pub idle: Duration,
    /// Certificates; needed for TLS and WSS listeners.
    pub tls: Option<TlsSettings>,
    /// The web pages (`Origin`) whose WebSockets are taken; empty: all.
    pub origins: Vec<String>,
    /// The name servers; empty: those of the system.
    pub dns: Vec<SocketAddr>,
}

impl SipSettings {
    /// Whether requests from `source` are answered without a trunk.
    pub fn trusts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.trusted.iter().any(|network| network.contains(&source))
    }

    /// The address of the first listener.
    pub fn listen(&self) -> SocketAddr {
        self.listeners.first().map_or(SocketAddr::new(LOOPBACK, 5060), |listener| listener.address)
    }

    /// What Via and Contact show in place of `bound`'s address, to far ends that are in no network of their own.
    pub fn shown(&self, bound: SocketAddr) -> SocketAddr {
        let external = self.external.iter().find(|external| external.is_ipv4() == bound.is_ipv4());
        SocketAddr::new(external.copied().unwrap_or(bound.ip()), bound.port())
    }

    /// What they show to a far end at `remote`.
    pub fn shown_to(&self, remote: IpAddr, bound: SocketAddr) -> SocketAddr {
        let own = self.networks.shown_to(remote).filter(|own| own.is_ipv4() == bound.is_ipv4());
        own.map_or_else(|| self.shown(bound), |own| SocketAddr::new(own, bound.port()))
    }
}

impl Default for SipSettings {
    fn default() -> Self {
        SipSettings {
            listeners: vec![Listener { transport: SipTransport::Udp, address: SocketAddr::new(LOOPBACK, 5060) }],
            external: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            networks: Networks::default(),
            user_agent: concat!("Calmline/", env!("CARGO_PKG_VERSION")).to_owned(),
            trusted: loopback_networks(),
            unknown_sources: UnknownSources::Silence,
            requests_per_s: 500,
            datagram_bytes: 65_535,
            long_request_bytes: 1_300,
            connections: 1_000,
            connections_per_source: 100,
            idle: Duration::from_secs(3_600),
            tls: None,
            origins: Vec::new(),
            dns: Vec::new(),
        }
    }
}

/// A socket that SIP is received on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// What is spoken there.
    pub transport: SipTransport,
    /// Where it is.
    pub address: SocketAddr,
}

/// What a source hears that is neither trusted nor a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownSources {
    /// Nothing: a scanner learns not even that somebody is there.
    Silence,
    /// 403.
    Forbidden,
}

/// Files of TLS; read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Our certificate and those between it and a known authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities that others' certificates are checked by, PEM; `None`: the system's, and no client
    /// certificates.
    pub authorities: Option<PathBuf>,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub allows_1_2: bool,
    /// How often the files are looked at.
    pub reload: Duration,
}

/// A neighbour that calls come from or go to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrunkSettings {
    /// Where it calls from.
    pub sources: Vec<IpNet>,
    /// What it may speak; empty: everything.
    pub transports: Vec<SipTransport>,
    /// Whether it has to show a certificate that an authority of ours has signed.
    pub client_certificate: ClientCertificate,
    /// The names of which its certificate must bear one; empty: any.
    pub certificate_names: Vec<String>,
    /// What it has to know to call us.
    pub authentication: Option<Authentication>,
    /// Requests outside dialogs that it may send per second; `None`: as `[sip]` says.
    pub requests_per_s: Option<u32>,
    /// Who we are when it asks.
    pub credentials: Option<Account>,
    /// Where it is asked for signs of life and where we register.
    pub uri: Option<String>,
    /// How often it is asked; `None`: never.
    pub health: Option<Duration>,
    /// The address of record that we register, and for how long at a time.
    pub register: Option<Registration>,
    /// Whether it may tell us how many new calls to keep back (RFC 7339).
    pub overload_feedback: bool,
}

/// What is demanded of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificate {
    /// None is needed; whose name is in one that is shown does not matter.
    #[default]
    Off,
    /// None is needed; one that is shown must bear the right name.
    Optional,
    /// Without one, nothing is answered but 403.
    Required,
}

/// What a trunk has to prove, by digest (RFC 8760).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// Whom we say we are.
    pub realm: String,
    /// The name and password that are accepted.
    pub account: Account,
    /// The algorithms that are offered, best first.
    pub algorithms: Vec<Algorithm>,
}

/// What we register at a trunk (RFC 3261 §10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The address of record.
    pub address: String,
    /// For how long at a time.
    pub expires: Duration,
}

/// A user name with its password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub user: String,
    /// Where the password comes from.
    pub password: PasswordSource,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, …)", self.user)
    }
}

/// Where a password comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl PasswordSource {
    /// Fetches the password.
    ///
    /// # Errors
    /// What was found instead, in words, when the file or variable is missing or empty.
    pub fn fetch(&self) -> Result<String, String> {
        let text = match self {
            PasswordSource::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            PasswordSource::Variable(name) => {
                std::env::var(name).map_err(|error| format!("environment variable {name}: {error}"))?
            }
        };
        let password = text.lines().next().unwrap_or_default().trim();
        if password.is_empty() || password.len() > 512 {
            return Err(format!("a password of {} bytes; 1-512 are needed", password.len()));
        }
        Ok(password.to_owned())
    }
}
