//! A recogniser elsewhere as it is configured: where it is, how it is spoken to, and what hears while it is away.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nlu::recognition::remote::Protocol;

use super::Engine;
use crate::settings::is_this_machine;

/// A recogniser on another machine, or in another process of this one.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The authorities that its certificate is checked by, PEM; `None`: the system's.
    pub authorities: Option<PathBuf>,
    /// The region that it is in, as `[privacy]` names regions.
    pub region: Option<String>,
    /// How much speech may go unanswered until it counts as away.
    pub answer: Duration,
    /// What words count that it tells without a confidence, 0-1.
    pub confidence: f32,
    /// What hears while it is away.
    pub fallback: Option<Box<Engine>>,
}

/// Where a WebSocket leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// TCP.
    pub port: u16,
    /// From the `/` on, with the query, which may hold a key.
    pub path: String,
    /// By TLS.
    pub is_secured: bool,
}

impl Endpoint {
    /// Reads `wss://HOST:PORT/PATH`, `ws://…`, or `HOST:PORT`, which is secured unless it is this machine; `None` when it is
    /// none of these.
    pub fn parse(written: &str) -> Option<Self> {
        if !written.contains("://") {
            let secured = Self::parse(&format!("wss://{written}"))?;
            // Read again: a scheme's own port is left out of what is read by it.
            return if is_this_machine(&secured.host) {
                Self::parse(&format!("ws://{written}"))
            } else {
                Some(secured)
            };
        }
        let url = reqwest::Url::parse(written).ok()?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty() && is_bare)?.trim_matches(['[', ']']).to_owned();
        let is_secured = match url.scheme() {
            "wss" => true,
            "ws" => false,
            _ => return None,
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (port, path) = (url.port().unwrap_or(if is_secured { 443 } else { 80 }), format!("{}{query}", url.path()));
        Some(Self { host, port, path, is_secured })
    }

    /// What a connection asks for, the query included: not to be shown.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    fn origin(&self) -> String {
        let scheme = if self.is_secured { "wss" } else { "ws" };
        format!("{scheme}://{}", self.place())
    }

    /// Host and port, as addresses have them.
    pub fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// True where what is said leaves this machine without encryption.
    pub fn is_exposed(&self) -> bool {
        !self.is_secured && !is_this_machine(&self.host)
    }
}

/// Without the query.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split_once('?').map_or(self.path.as_str(), |(path, _)| path);
        write!(f, "{}{path}", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_the_default_beyond_the_machine() {
        check("wss://asr.example:10095", Some(("wss://asr.example:10095/", false)));
        check("asr.example:10095", Some(("wss://asr.example:10095/", false)));
        check("127.0.0.1:6006", Some(("ws://127.0.0.1:6006/", false)));
        check("wss://127.0.0.1:6006/a?b=c", Some(("wss://127.0.0.1:6006/a", false)));
        check("127.0.0.1:443", Some(("ws://127.0.0.1:443/", false)));
        check("localhost:443", Some(("ws://localhost:443/", false)));
        check("localhost", Some(("ws://localhost:80/", false)));
        check("asr.example:80", Some(("wss://asr.example:80/", false)));
        check("ws://10.0.0.9:6006", Some(("ws://10.0.0.9:6006/", true)));
        check("[::1]:6006", Some(("ws://[::1]:6006/", false)));
        check("ws://asr.example", Some(("ws://asr.example:80/", true)));
        check("wss://asr.example", Some(("wss://asr.example:443/", false)));
        for wrong in
            ["", "https://asr.example", "wss://user:secret@asr.example", "wss://", "wss://asr.example:0x", "a b"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn a_key_is_sent_and_never_shown() {
        let endpoint = Endpoint::parse("wss://asr.example/a?token=secret").expect("an address");
        assert_eq!(endpoint.url(), "wss://asr.example:443/a?token=secret");
        assert_eq!(endpoint.to_string(), "wss://asr.example:443/a");
    }

    /// How it is written out, and whether it is exposed.
    #[track_caller]
    fn check(written: &str, expected: Option<(&str, bool)>) {
        let endpoint = Endpoint::parse(written);
        let found = endpoint.map(|endpoint| (endpoint.to_string(), endpoint.is_exposed()));
        assert_eq!(found.as_ref().map(|(text, exposed)| (text.as_str(), *exposed)), expected, "{written}");
    }
}
