//! What the configuration lets go unencrypted beyond this machine: told at the start, since nobody else would notice.

use std::net::SocketAddr;

use crate::settings::{Settings, SourcePlace, exposed_host};
use crate::shell::sip::SipTransport;

/// One line for each way that is open to whoever is on it.
pub(super) fn unprotected(settings: &Settings, bound: &[(SipTransport, SocketAddr)]) -> Vec<String> {
    let signalling = bound.iter().filter(|(transport, address)| !transport.is_secure() && !address.ip().is_loopback());
    let signalling = signalling
        .map(|(transport, address)| format!("calls are taken at {address} over {}, without TLS", transport.name()));
    let told = settings.crms.iter().filter(|(_, crm)| exposed_host(&crm.url).is_some());
    let told = told.map(|(name, _)| format!("what is told crm.{name} goes there without TLS"));
    let pulled = settings.sources.iter().filter_map(|(name, source)| match &source.place {
        SourcePlace::Http { url, .. } if exposed_host(url).is_some() => {
            Some(format!("what sources.{name} knows comes without TLS"))
        }
        _ => None,
    });
    signalling.chain(told).chain(pulled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_open_to_others_are_told_apart() {
        for (url, expected) in [
            ("http://crm.example/hook", true),
            ("http://10.0.0.8:8080/", true),
            ("https://crm.example/hook", false),
            ("http://127.0.0.1:9000/hook", false),
            ("http://[::1]:9000", false),
            ("http://localhost", false),
        ] {
            assert_eq!(exposed_host(url).is_some(), expected, "{url}");
        }
    }

    #[test]
    fn calls_that_are_taken_without_tls_beyond_this_machine_are_told() {
        let settings = Settings::default();
        let at = |address: &str| address.parse().expect("an address");
        let bound = [
            (SipTransport::Udp, at("127.0.0.1:5060")),
            (SipTransport::Tls, at("0.0.0.0:5061")),
            (SipTransport::Tcp, at("10.0.0.8:5060")),
        ];
        assert_eq!(unprotected(&settings, &bound), ["calls are taken at 10.0.0.8:5060 over tcp, without TLS"]);
    }
}
