//! The API behind TLS: whoever believes the certificate is served, and nobody else says a token to it.

use std::time::Duration;

use super::client::TOKEN;
use super::*;
use crate::api::Door;
use crate::demo::server::ask;
use crate::settings::TlsSettings;
use crate::shell::sip::tests::authority::Authority;

#[tokio::test]
async fn with_a_certificate_nobody_is_served_without_tls() {
    let authority = Authority::new("web-tls");
    authority.install("calmline.example");
    let [certificate, key] = ["us.pem", "us.key"].map(|name| authority.folder.join(name));
    let tls = TlsSettings {
        certificate: certificate.clone(),
        key,
        authorities: None,
        allows_1_2: false,
        reload: Duration::from_millis(20),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let fixture = try_fixture(WebOptions { tls: Some(tls), ..options(address) }, None).await.expect("it is served");
    let address = fixture.handle.addr;
    let asked = |certificate: Option<&std::path::Path>| {
        let door = Door { address, certificate: certificate.map(std::path::Path::to_owned) };
        tokio::task::spawn_blocking(move || ask(door, ("GET", "/v1/calls"), "", TOKEN).map_err(|why| why.to_string()))
    };
    let (status, body) = asked(Some(&certificate)).await.expect("it ends").expect("an answer");
    assert_eq!((status, body.contains("\"calls\"")), (200, true), "{body}");
    assert!(asked(None).await.expect("it ends").is_err(), "no word without TLS");
    let why = asked(Some(&authority.folder.join("authority.pem"))).await.expect("it ends").expect_err("another one");
    assert!(why.contains("another certificate than the configuration's"), "{why}");

    // Another certificate in its place is shown without a restart.
    authority.install("calmline.example");
    for attempt in 0.. {
        if asked(Some(&certificate)).await.expect("it ends").is_ok() {
            break;
        }
        assert!(attempt < 200, "it was not read again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told() {
    let nowhere = std::path::PathBuf::from("/nowhere/us.pem");
    let tls = TlsSettings {
        certificate: nowhere.clone(),
        key: nowhere,
        authorities: None,
        allows_1_2: true,
        reload: Duration::from_secs(10),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let why = try_fixture(WebOptions { tls: Some(tls), ..options(address) }, None).await.err().expect("refused");
    assert!(why.to_string().contains("web.tls: /nowhere/us.pem"), "{why}");
}
