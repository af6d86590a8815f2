//! The five ways that SIP is carried, and one place that a request can be sent to.

use std::fmt;
use std::net::SocketAddr;

use rsipstack::sip::Transport;

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// A WebSocket in the clear (RFC 7118).
    Ws,
    /// A WebSocket under TLS.
    Wss,
}

impl SipTransport {
    /// All of them.
    pub const ALL: [SipTransport; 5] =
        [SipTransport::Udp, SipTransport::Tcp, SipTransport::Tls, SipTransport::Ws, SipTransport::Wss];

    /// The name in URIs, settings, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            SipTransport::Udp => "udp",
            SipTransport::Tcp => "tcp",
            SipTransport::Tls => "tls",
            SipTransport::Ws => "ws",
            SipTransport::Wss => "wss",
        }
    }

    /// The transport of a name.
    pub fn named(name: &str) -> Option<SipTransport> {
        Self::ALL.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(name))
    }

    /// Whether nobody can read along.
    pub fn is_secure(self) -> bool {
        matches!(self, SipTransport::Tls | SipTransport::Wss)
    }

    /// The port of a URI that names none (RFC 3261 §19.1.2, RFC 7118 §5.4).
    pub(crate) fn default_port(self) -> u16 {
        match self {
            SipTransport::Udp | SipTransport::Tcp => 5060,
            SipTransport::Tls => 5061,
            SipTransport::Ws => 80,
            SipTransport::Wss => 443,
        }
    }

    /// The stack's transport, when it is one of ours.
    pub(crate) fn of(transport: Transport) -> Option<SipTransport> {
        match transport {
            Transport::Udp => Some(SipTransport::Udp),
            Transport::Tcp => Some(SipTransport::Tcp),
            Transport::Tls => Some(SipTransport::Tls),
            Transport::Ws => Some(SipTransport::Ws),
            Transport::Wss => Some(SipTransport::Wss),
            Transport::Sctp | Transport::TlsSctp => None,
        }
    }
}

impl From<SipTransport> for Transport {
    fn from(transport: SipTransport) -> Transport {
        match transport {
            SipTransport::Udp => Transport::Udp,
            SipTransport::Tcp => Transport::Tcp,
            SipTransport::Tls => Transport::Tls,
            SipTransport::Ws => Transport::Ws,
            SipTransport::Wss => Transport::Wss,
        }
    }
}

/// One place that a request can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hop {
    pub(crate) transport: SipTransport,
    pub(crate) address: SocketAddr,
    /// The name that its certificate has to bear: the one that was asked for, never one that the DNS gave
    /// (RFC 5922 §4).
    pub(crate) name: Option<String>,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.name(), self.address)
    }
}
