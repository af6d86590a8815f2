//! The sockets that a server binds: whether it could.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Finding;
use crate::settings::{PortRange, Settings};
use crate::shell::sip::SipTransport;

/// How long a server of this machine may take to be there.
const HERE_WITHIN: Duration = Duration::from_secs(1);
/// Ports of a call as it mostly is: RTP and RTCP of two legs. Prompts take none; a new target or a supervisor takes two more.
const PORTS_PER_CALL: usize = 4;

/// Whether somebody listens where the API is to be: most likely the server itself.
pub(super) async fn is_running(settings: &Settings) -> bool {
    let Some(web) = &settings.web else { return false };
    matches!(timeout(HERE_WITHIN, TcpStream::connect(web.listen)).await, Ok(Ok(_)))
}

/// Looks at every socket of these settings; those of a server that runs are its own.
pub(super) fn look(settings: &Settings, is_running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_running {
        let found = "somebody listens where the API is to be: sockets are taken to be those of the running server";
        findings.push(Finding::ok("server", found));
    } else {
        for listener in &settings.sip.listeners {
            let what = format!("SIP by {} on {}", listener.transport.name(), listener.address);
            let bound = match listener.transport {
                SipTransport::Udp => UdpSocket::bind(listener.address).map(drop),
                _ => TcpListener::bind(listener.address).map(drop),
            };
            findings.push(of_bound(what, bound));
        }
        if let Some(web) = &settings.web {
            findings.push(of_bound(format!("API on {}", web.listen), TcpListener::bind(web.listen).map(drop)));
        }
        let media = (settings.media.address, settings.media.ports);
        let needed = settings.limits.calls * PORTS_PER_CALL;
        findings.push(of_ports("media.ports", media, &format!("limits.calls = {}", settings.limits.calls), needed));
        if let Some(webrtc) = &settings.webrtc {
            findings.push(of_ports("webrtc.ports", (webrtc.address, webrtc.ports), "a browser", 1));
        }
    }
    findings.extend(shown(settings));
    findings
}

fn of_bound(what: String, bound: io::Result<()>) -> Finding {
    match bound {
        Ok(()) => Finding::ok(what, "free"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Finding::fail(what, "in use", "`ss -lnp` tells by whom; or another address or port")
        }
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Finding::fail(what, "no address of this machine", "`ip address` tells which there are")
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Finding::fail(what, "not permitted", "a port from 1024 on, or CAP_NET_BIND_SERVICE")
        }
        Err(error) => Finding::fail(what, error.to_string(), "an address that this machine can listen on"),
    }
}

/// Whether a range has as many free ports as are needed.
fn of_ports(what: &str, (address, ports): (IpAddr, PortRange), who: &str, needed: usize) -> Finding {
    let mut last = None;
    let free = ports.all().filter(|port| match UdpSocket::bind(SocketAddr::new(address, *port)) {
        Ok(_) => true,
        Err(error) => {
            last = Some(error);
            false
        }
    });
    let (free, all) = (free.count(), ports.all().count());
    let found = format!("{free} of {all} free on {address}");
    match last {
        Some(error) if free == 0 => Finding::fail(what, format!("{found}: {error}"), "another address, or other ports"),
        _ if free < needed => {
            Finding::fail(what, found, format!("{needed} are needed for {who}: a wider range, or a lower limit"))
        }
        Some(_) => Finding::warn(what, found, "`ss -lnup` tells who has the others; calls pass over them"),
        None => Finding::ok(what, found),
    }
}

/// Addresses that others are shown, where nobody but this machine could reach them.
fn shown(settings: &Settings) -> Option<Finding> {
    let (bound, shown) = (settings.media.address, settings.media.external_address);
    let what = "address in our SDP";
    (!bound.is_loopback()).then(|| match shown.is_loopback() {
        true => Finding::fail(
            what,
            format!("{shown}: audio of others would be sent to themselves"),
            "media.external_address: the address under which far ends reach this machine",
        ),
        false => Finding::ok(what, shown.to_string()),
    })
}
