//! `[forks]`: how calls are taken whose audio others send us, while they stay in their own path.

use std::net::SocketAddr;

use forks::siprec::Seat;
use routing::section::{Section, list, text};
use toml::Value;

use super::read::{SOCKET, network, pattern, socket};
use super::{IpNet, Pattern, TokenSource, loopback_networks};

/// How forked calls are taken. SIPREC needs no key of its own: it comes to the SIP socket.
#[derive(Debug, Clone)]
pub struct ForkSettings {
    /// Whose addresses are agents', in the metadata of recorded calls.
    pub agents: Vec<Pattern>,
    /// Whose stream comes first in a recorded call when nothing else tells.
    pub first: Seat,
    /// The TCP socket of AudioSocket; `None`: none is opened.
    pub audiosocket: Option<SocketAddr>,
    /// The TCP socket of WebSockets; `None`: none is opened.
    pub websocket: Option<SocketAddr>,
    /// Who may connect to either.
    pub trusted: Vec<IpNet>,
    /// What WebSocket clients have to show besides; `None`: nothing.
    pub token: Option<TokenSource>,
}

impl Default for ForkSettings {
    fn default() -> Self {
        ForkSettings {
            agents: Vec::new(),
            first: Seat::Caller,
            audiosocket: None,
            websocket: None,
            trusted: loopback_networks(),
            token: None,
        }
    }
}

/// Patterns of agents' addresses, and trusted networks.
const ENTRIES_MAX: usize = 1_000;

pub(super) fn read_forks(mut section: Section<'_>) -> ForkSettings {
    let default = ForkSettings::default();
    let variable = |value: &Value| text(128)(value).map(TokenSource::Variable);
    let settings = ForkSettings {
        agents: section
            .read("agents", "a list of patterns over addresses, e.g. [\"sip:7*@*\"]", list(ENTRIES_MAX, pattern))
            .unwrap_or_default(),
        first: section.read("first", "\"caller\" or \"callee\"", seat).unwrap_or(default.first),
        audiosocket: section.read("audiosocket", SOCKET, socket),
        websocket: section.read("websocket", SOCKET, socket),
        trusted: section
            .read("trusted", "a list of addresses and networks", list(ENTRIES_MAX, network))
            .unwrap_or(default.trusted),
        token: section.read("token_env", "the name of an environment variable", variable),
    };
    section.finish();
    settings
}

fn seat(value: &Value) -> Option<Seat> {
    match value.as_str()? {
        "caller" => Some(Seat::Caller),
        "callee" => Some(Seat::Callee),
        _ => None,
    }
}
