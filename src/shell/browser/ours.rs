//! Addresses of this machine, as far as the configuration names them: nothing that a browser offers sends packets there.

use std::net::IpAddr;

use crate::settings::{Settings, WebRtcSettings};

/// Our own addresses.
#[derive(Debug, Clone)]
pub(super) struct Ours {
    /// Whether browsers reach us by loopback: then they are on this machine themselves.
    by_loopback: bool,
    addresses: Vec<IpAddr>,
}

impl Ours {
    /// Those of a server that browsers reach as `webrtc` says.
    pub(super) fn of(settings: &Settings, webrtc: &WebRtcSettings) -> Self {
        let (media, sip) = (&settings.media, &settings.sip);
        let bound = sip.listeners.iter().map(|listener| listener.address.ip());
        let networks = media.networks.0.iter().chain(&sip.networks.0).map(|(_, ip)| *ip);
        let media = [media.address, media.external_address];
        let external = webrtc.external_address.into_iter().chain(media).chain(sip.external.iter().copied());
        Self::at(webrtc.address, external.chain(networks).chain(bound))
    }

    /// Those of a server where browsers' packets come to `local`, and the others that it has.
    pub(super) fn at(local: IpAddr, others: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = std::iter::once(local).chain(others).map(|address| address.to_canonical()).collect();
        Self { by_loopback: local.is_loopback(), addresses }
    }

    /// Whether an address, in its canonical form, is one of ours that no browser has.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        !self.by_loopback && (address.is_loopback() || self.addresses.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_address_that_the_configuration_names_is_ours() {
        let text = "[sip]\nlisten = \"192.0.2.1:5060\"\nexternal_address = \"198.51.100.1\"\n\
            [media]\naddress = \"192.0.2.2\"\nexternal_address = \"198.51.100.2\"\n\
            [web]\ntoken_env = \"T\"\n[webrtc]\naddress = \"192.0.2.3\"\nexternal_address = \"198.51.100.3\"\n";
        let settings = Settings::parse(text, Path::new("c.toml")).expect("good");
        let ours = Ours::of(&settings, settings.webrtc.as_ref().expect("it is there"));
        for host in 1..=3 {
            assert!(
                ours.has(IpAddr::from([192, 0, 2, host])) && ours.has(IpAddr::from([198, 51, 100, host])),
                "{host}"
            );
        }
        assert!(ours.has(IpAddr::from([127, 0, 0, 7])) && !ours.has(IpAddr::from([192, 0, 2, 9])));
    }
}
