//! `[webrtc]`: how supervisors' browsers are connected for listening and speaking.

use std::net::{IpAddr, SocketAddr};

use routing::section::{Section, list, text};
use toml::Value;

use super::read::{address, port_range};
use super::{MediaSettings, PortRange, TokenSource};

/// How browsers are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcSettings {
    /// The address of this machine that their audio comes to; unspecified: every one but loopback.
    pub address: IpAddr,
    /// Under which they reach it when that is another one: behind address translation that keeps the ports.
    pub external_address: Option<IpAddr>,
    /// The UDP ports for that, one a browser.
    pub ports: PortRange,
    /// STUN servers (RFC 7064), e.g. `stun:stun.example.com:3478`.
    pub stun: Vec<String>,
    /// TURN servers (RFC 7065), e.g. `turn:turn.example.com:3478`.
    pub turn: Vec<String>,
    /// What the TURN servers and we know, from which passwords for some hours are made.
    pub turn_secret: Option<TokenSource>,
}

/// STUN servers, and TURN servers.
const SERVERS_MAX: usize = 4;
/// Ports, and so browsers at a time.
const PORTS_MAX: usize = 256;

/// Reads the section.
pub(super) fn read_webrtc(mut section: Section<'_>, media: &MediaSettings) -> Option<WebRtcSettings> {
    if !section.is_present() {
        section.finish();
        return None;
    }
    let ports = format!("\"FIRST-LAST\", FIRST even, 1024-65535, 2-{PORTS_MAX} ports");
    let few = |value: &Value| port_range(value).filter(|range| range.all().count() <= PORTS_MAX);
    let external = section.read("external_address", "an IP address", address);
    let (stun, turn) = (servers(&mut section, "stun", &["stun:"]), servers(&mut section, "turn", &["turn:", "turns:"]));
    let variable = |value: &Value| text(128)(value).map(TokenSource::Variable);
    let settings = WebRtcSettings {
        address: section.read("address", "an IP address of this machine", address).unwrap_or(media.address),
        external_address: external,
        ports: section.read("ports", ports, few).unwrap_or(PORTS),
        stun,
        turn,
        turn_secret: section.read("turn_secret_env", "the name of an environment variable", variable),
    };
    if settings.turn.is_empty() != settings.turn_secret.is_none() {
        section.fault("turn_secret_env", "one of both alone", "it and `turn`: TURN servers ask for passwords");
    }
    if settings.external_address.is_some_and(|address| address.is_unspecified()) {
        section.fault("external_address", "the unspecified address", "the address that browsers reach");
    }
    section.finish();
    Some(settings)
}

fn servers(section: &mut Section<'_>, key: &'static str, schemes: &'static [&'static str]) -> Vec<String> {
    let expected = format!("a list of 1-{SERVERS_MAX} servers like \"{}turn.example.com:3478\"", schemes[0]);
    let server = |value: &Value| {
        let server = text(256)(value)?;
        schemes.iter().find_map(|scheme| server.strip_prefix(scheme)).filter(|rest| is_server(rest))?;
        Some(server)
    };
    section.read(key, expected, list(SERVERS_MAX, server)).unwrap_or_default()
}

/// Whether a text is `HOST`, `HOST:PORT`, and perhaps `?transport=udp` or `tcp` behind it.
fn is_server(text: &str) -> bool {
    let (place, transport) = text.split_once('?').unwrap_or((text, "transport=udp"));
    let is_host = |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    let is_place = place.parse::<SocketAddr>().is_ok()
        || match place.rsplit_once(':') {
            Some((host, port)) => is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
            None => is_host(place),
        };
    is_place && matches!(transport, "transport=udp" | "transport=tcp")
}

/// Beside those of RTP.
const PORTS: PortRange = PortRange { first: 30_000, last: 30_031 };

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};
    use super::*;

    const WEB: &str = "[web]\ntoken_env = \"T\"\n[webrtc]\n";

    #[test]
    fn a_section_is_enough() {
        assert_eq!(Settings::parse("[web]\ntoken_env = \"T\"", Path::new("c.toml")).expect("good").webrtc, None);
        let read = |text: &str| Settings::parse(&format!("{WEB}{text}"), Path::new("c.toml")).expect("good").webrtc;
        let plain = read("").expect("the section is there");
        assert_eq!((plain.address, plain.ports), (IpAddr::from([127, 0, 0, 1]), PORTS));
        let turn = read("turn = [\"turns:turn.example.com:5349?transport=tcp\"]\nturn_secret_env = \"TURN\"");
        assert_eq!(turn.expect("it is there").turn_secret, Some(TokenSource::Variable("TURN".to_owned())));
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("ports = \"30000-30999\"", "webrtc.ports: found \"30000-30999\", expected \"FIRST-LAST\""),
            ("ports = \"29998-30001\"", "webrtc.ports: found 29998-29998, which [media] ports has, too"),
            (
                "[sip]\nlisten = \"127.0.0.1:30002\"",
                "sip.listen: found \"127.0.0.1:30002\", expected a port outside webrtc",
            ),
            (
                "[forks]\naudiosocket = \"127.0.0.1:30031\"",
                "forks.audiosocket: found \"127.0.0.1:30031\", expected a port outside webrtc.ports = \"30000-30031\"",
            ),
            ("stun = [\"turn:a\"]", "webrtc.stun: found [\"turn:a\"], expected a list of 1-4 servers like \"stun:"),
            ("turn = [\"turn:a\"]", "webrtc.turn_secret_env: found one of both alone"),
            ("external_address = \"0.0.0.0\"", "webrtc.external_address: found the unspecified address"),
            ("stunn = []", "webrtc.stunn"),
        ] {
            let faults = Settings::parse(&format!("{WEB}{text}"), Path::new("c.toml")).expect_err(text);
            let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
            assert!(told.len() == 1 && told[0].starts_with(&format!("c.toml: {fault}")), "{told:?}");
        }
        assert!(Settings::parse("[webrtc]", Path::new("c.toml")).is_err(), "without the API");
    }

    #[test]
    fn servers_are_hosts_with_or_without_a_port() {
        for good in ["turn.example.com", "turn.example.com:3478", "192.0.2.7:3478?transport=tcp", "[2001:db8::7]:3478"]
        {
            assert!(is_server(good), "{good}");
        }
        for bad in ["", ":3478", "user@host", "host:0", "host:99999", "host?transport=carrier", "a b", "host:3478?x"] {
            assert!(!is_server(bad), "{bad}");
        }
    }
}
