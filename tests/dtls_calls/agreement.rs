//! Descriptions of a telephone that knows nothing of protection, and what stands in their place on the wire.

use std::net::SocketAddr;

use media::sdp::{Fingerprint, Handshake};

/// What a telephone says of its protection.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `UDP/TLS/RTP/SAVP` or `RTP/AVP` for what may be plain.
    pub transport: &'static str,
    /// Who begins, when that is ours to say.
    pub active: bool,
    /// Whether control packets share the port of audio.
    pub shares_port: bool,
    /// What its certificate hashes to, or what it says that it does.
    pub fingerprint: Fingerprint,
}

/// What the server's description says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    pub media: SocketAddr,
    pub shares_port: bool,
    fingerprint: Fingerprint,
    setup: String,
}

impl Theirs {
    /// Reads a description; `None` when it brings no handshake.
    pub fn read(description: &str) -> Option<Theirs> {
        let value = |prefix: &str| description.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
        let port: u16 = value("m=audio ")?.split(' ').next()?.parse().ok()?;
        let address = value("c=IN IP4 ")?.parse().ok()?;
        Some(Theirs {
            media: SocketAddr::new(address, port),
            shares_port: description.contains("a=rtcp-mux"),
            fingerprint: Fingerprint::parse(value("a=fingerprint:")?)?,
            setup: value("a=setup:")?.to_owned(),
        })
    }

    /// What both descriptions come to.
    pub fn with(&self, terms: &Terms) -> Handshake {
        let active = match self.setup.as_str() {
            "active" => false,
            "passive" => true,
            "actpass" => terms.active,
            other => panic!("a=setup:{other}"),
        };
        let separate_control = !(terms.shares_port && self.shares_port);
        Handshake { fingerprint: self.fingerprint.clone(), active, separate_control }
    }
}

/// The server's description as the telephone understands it.
pub fn plain(description: &str, terms: &Terms) -> String {
    lines(description, |line| {
        let is_protection = ["a=fingerprint", "a=setup", "a=crypto"].iter().any(|key| line.starts_with(key));
        let is_unwanted = !terms.shares_port && line == "a=rtcp-mux";
        (!is_protection && !is_unwanted).then(|| match line.strip_prefix("m=audio ") {
            Some(_) => line.replace("UDP/TLS/RTP/SAVP", "RTP/AVP"),
            None => line.to_owned(),
        })
    })
}

/// The telephone's description as it goes out; `offers` when it is no answer.
pub fn protected(description: &str, terms: &Terms, offers: bool) -> String {
    let role = if terms.active { "active" } else { "passive" };
    let setup = if offers { "actpass" } else { role };
    let mut text = lines(description, |line| {
        (line != "a=rtcp-mux").then(|| line.replace(" RTP/AVP ", &format!(" {} ", terms.transport)))
    });
    if terms.shares_port {
        text += "a=rtcp-mux\r\n";
    }
    text + &format!("a=fingerprint:{}\r\na=setup:{setup}\r\n", terms.fingerprint)
}

/// A SIP message with another description, when it has one.
pub fn with_description(message: &[u8], change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let text = std::str::from_utf8(message).expect("SIP is text");
    let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.starts_with("v=0")) else {
        return message.to_vec();
    };
    let body = change(body);
    let length = format!("Content-Length: {}", body.len());
    let head =
        lines(head, |line| Some(if line.starts_with("Content-Length:") { length.clone() } else { line.to_owned() }));
    format!("{head}\r\n{body}").into_bytes()
}

fn lines(text: &str, change: impl Fn(&str) -> Option<String>) -> String {
    text.split_terminator("\r\n").filter_map(|line| change(line).map(|line| line + "\r\n")).collect()
}
