//! `baresip` over TLS on both sides, with keys in the descriptions that TLS hides from others.

use std::path::Path;

use super::authority::Authority;
use super::baresip::{Account, USER};
use super::ports::Ports;
use super::secured::{INSISTS, REQUIRED};
use super::{Lab, PCMA, Side, Telephone, Terms, check};

/// Who everybody is on loopback.
const NAME: &str = "127.0.0.1";

#[test]
fn telephones_over_tls_with_srtp() {
    let authority = Authority::new("interop-tls");
    authority.install(NAME);
    // Telephones are described by what lives as long as the test program.
    let certificates: &'static Path = Box::leak(authority.folder.clone().into_boxed_path());
    let lab = over_tls("over-tls", &authority);
    let side = Side::Baresip(Account { codecs: PCMA, parameters: INSISTS, certificates: Some(certificates) });
    for telephone in check(&lab, side, side).into_iter().flatten() {
        let Telephone::Baresip(baresip) = telephone else { unreachable!("both sides are") };
        assert!(baresip.is_protected(), "SRTP");
        let log = baresip.log();
        assert!(log.contains("Via: SIP/2.0/TLS ") && !log.contains("Via: SIP/2.0/UDP "), "{log}");
    }
}

/// A server that takes calls over TLS, and calls over it.
fn over_tls(name: &'static str, authority: &Authority) -> Lab {
    let (caller_ports, callee_ports, own_ports) = (Ports::claim(), Ports::claim(), Ports::claim());
    // baresip takes TLS one port above the one that it is given.
    let callee = format!("sip:{USER}@{NAME}:{};transport=tls", callee_ports.sip().port() + 1);
    let own = own_ports.sip();
    let file = |name: &str| authority.folder.join(name).display().to_string();
    let (certificate, key, authorities) = (file("us.pem"), file("us.key"), file("authority.pem"));
    let certificates = format!(
        "\", \"tls://{own}\"]\n\n\
         [sip.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nauthorities = \"{authorities}\"\n\n[media]"
    );
    let more = [("[sip]\nlisten = ", "[sip]\nlisten = ["), ("\"\n\n[media]", certificates.as_str())];
    let terms = Terms { caller: REQUIRED, callee: REQUIRED };
    let stage = Lab::stage(name, terms, &callee, &more);
    let uri = format!("sip:support@{own};transport=tls");
    Lab { name, stage, uri, caller_ports, callee_ports }
}
