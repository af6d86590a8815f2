//! Calls over TCP, TLS and WebSocket, both ways, and what a far end may not do to a connection.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::authority::Authority;
use super::office::Office;
use super::phone::{LEG, SDP, failed, options, value};
use super::wire::{Phone, Words};
use crate::control::{Presence, SipCommand, SipEvent};
use crate::settings::{ClientCertificate, Listener, TlsSettings, TrunkSettings};
use crate::shell::sip::{SipOptions, SipTransport};

const STREAMS: [SipTransport; 4] = [SipTransport::Tcp, SipTransport::Tls, SipTransport::Ws, SipTransport::Wss];

#[tokio::test]
async fn calls_come_over_every_transport_and_go_back_by_it() {
    let authority = Authority::new("coming");
    let mut office = Office::open(secured(&authority)).await;
    for transport in STREAMS {
        let mut phone = connect(&office, transport, &authority, None).await;
        called(&mut office, &mut phone, transport).await;
    }
}

#[tokio::test]
async fn calls_go_over_every_transport() {
    let authority = Authority::new("going");
    let mut office = Office::open(secured(&authority)).await;
    for transport in STREAMS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let tls = transport.is_secure().then(|| authority.server("localhost"));
        office.invite(LEG, &format!("sip:bot@localhost:{port};transport={}", transport.name()), None);
        let mut phone = Phone::accept(&listener, is_web(transport), tls).await;
        let invite = phone.receive("INVITE ").await;
        let via = format!("SIP/2.0/{} 127.0.0.1:", transport.name().to_ascii_uppercase());
        assert!(value(&invite, "Via").starts_with(&via), "{invite}");
        assert!(value(&invite, "Contact").contains(&format!(";transport={}>", transport.name())), "{invite}");
        assert_eq!(value(&invite, "Max-Forwards"), "42");
        // As many a phone: without a word about TCP in Contact.
        phone.respond(&invite, 200, &format!("Contact: <sip:bot@127.0.0.1:{port}>\r\n"), SDP).await;
        phone.receive("ACK ").await;
        assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
        office.hang_up(&mut phone).await;
    }
}

#[tokio::test]
async fn a_server_that_is_another_one_gets_no_call() {
    let authority = Authority::new("another");
    let mut office = Office::open(secured(&authority)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let other = authority.server("other.example");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a stream");
        let _ = tokio_rustls::TlsAcceptor::from(other).accept(stream).await;
    });
    office.invite(LEG, &format!("sips:bot@localhost:{port}"), None);
    let event = office.event().await;
    let SipEvent::Failed { code: 503, reason, .. } = &event else { panic!("{event:?}") };
    assert!(reason.contains("TLS: invalid peer certificate"), "{reason}");
}

#[tokio::test]
async fn a_connection_that_breaks_while_it_rings_ends_the_call_at_once() {
    let authority = Authority::new("breaks");
    let mut office = Office::open(secured(&authority)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    office.invite(LEG, &format!("sips:bot@localhost:{port}"), None);
    let mut phone = Phone::accept(&listener, false, Some(authority.server("localhost"))).await;
    let invite = phone.receive("INVITE ").await;
    phone.respond(&invite, 180, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Progress { .. }));
    drop(phone);
    assert_eq!(office.event().await, failed(503, "the connection was lost"));
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_call_is_made_anew_for_the_goodbye() {
    let authority = Authority::new("anew");
    let mut office = Office::open(secured(&authority)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let contact = format!("Contact: <sip:bot@localhost:{port};transport=tls>\r\n");
    office.invite(LEG, &format!("sips:bot@localhost:{port}"), None);
    let mut phone = Phone::accept(&listener, false, Some(authority.server("localhost"))).await;
    let invite = phone.receive("INVITE ").await;
    phone.respond(&invite, 200, &contact, SDP).await;
    phone.receive("ACK ").await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    drop(phone);
    while office.sip.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    office.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let mut phone = Phone::accept(&listener, false, Some(authority.server("localhost"))).await;
    let bye = phone.receive("BYE ").await;
    phone.respond(&bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { leg: LEG, .. }));
}

#[tokio::test]
async fn a_far_end_that_starts_anew_is_asked_again_before_it_counts_as_silent() {
    let mut office = Office::open(options(&[SipTransport::Tcp], None)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let uri = format!("sip:bot@127.0.0.1:{port};transport=tcp");
    office.invite(LEG, &uri, None);
    let mut phone = Phone::accept(&listener, false, None).await;
    let invite = phone.receive("INVITE ").await;
    phone.respond(&invite, 200, &format!("Contact: <{uri}>\r\n"), SDP).await;
    phone.receive("ACK ").await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    drop((phone, listener));
    while office.sip.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    office.sip.handle(SipCommand::Probe { leg: LEG });
    assert_eq!(office.event().await, SipEvent::Probed { leg: LEG, found: Presence::Silent });

    office.sip.handle(SipCommand::Probe { leg: LEG });
    // Its first question leads nowhere.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free again");
    let mut phone = Phone::accept(&listener, false, None).await;
    let asked = phone.receive("OPTIONS ").await;
    phone.respond(&asked, 200, "", "").await;
    assert_eq!(office.event().await, SipEvent::Probed { leg: LEG, found: Presence::Here });
    office.hang_up(&mut phone).await;
}

#[tokio::test]
async fn new_certificates_are_for_new_connections_and_running_calls_stay() {
    let authority = Authority::new("reload");
    let options = secured(&authority);
    let mut office = Office::open(options).await;
    let address = office.at(SipTransport::Tls);
    let client = || authority.client(None, &rustls::version::TLS12);
    let (mut phone, before) = Phone::tls(address, client()).await.expect("a greeting");
    phone.say(&Words::over("tls")).await;
    let leg = office.answer().await;
    let answer = phone.receive("SIP/2.0 200 ").await;
    let to = value(&answer, "To");
    let tag = &to[to.find(";tag=").expect("a tag")..];
    phone.say(&Words { tag, ..Words::over("tls").with("ACK", 1) }).await;
    assert_eq!(office.event().await, SipEvent::Confirmed { leg, sdp: None });

    // Rubbish changes nothing.
    std::fs::write(authority.folder.join("us.pem"), "no certificate").expect("a file");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(Phone::tls(address, client()).await.expect("a greeting").1, before);

    authority.install("us.example");
    let mut after = before.clone();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = Phone::tls(address, client()).await.expect("a greeting").1;
        if after != before {
            break;
        }
    }
    assert_ne!(after, before, "the new certificate never came");
    office.sip.handle(SipCommand::Bye { leg, reason: None });
    phone.receive("BYE ").await;
}

#[tokio::test]
async fn client_certificates_are_asked_for_trunk_by_trunk() {
    let authority = Authority::new("clients");
    let mut options = secured(&authority);
    let carrier = TrunkSettings {
        sources: vec!["127.0.0.0/8".parse().expect("a network")],
        client_certificate: ClientCertificate::Required,
        certificate_names: vec!["sbc.carrier.example".to_owned()],
        ..TrunkSettings::default()
    };
    options.trunks.insert("carrier".to_owned(), carrier);
    let office = Office::open(options).await;
    let clients = [(None, 403), (Some("other.example"), 403), (Some("sbc.carrier.example"), 200)];
    for (sequence, (name, code)) in (1..).zip(clients) {
        let mut phone = connect(&office, SipTransport::Tls, &authority, name).await;
        phone.say(&Words::over("tls").with("OPTIONS", sequence)).await;
        phone.receive(&format!("SIP/2.0 {code} ")).await;
    }
    // Without TLS there is no certificate.
    let mut phone = Phone::tcp(office.at(SipTransport::Tcp)).await;
    phone.say(&Words::over("tcp").with("OPTIONS", 9)).await;
    phone.receive("SIP/2.0 403 ").await;
}

#[tokio::test]
async fn websockets_of_others_are_turned_away() {
    let authority = Authority::new("origins");
    let mut options = secured(&authority);
    options.settings.origins = vec!["https://desk.example".to_owned()];
    let office = Office::open(options).await;
    let address = office.at(SipTransport::Ws);
    for (protocol, origin, expected) in [
        ("sip", "https://desk.example", None),
        ("chat", "https://desk.example", Some(400)),
        ("sip", "https://evil.example", Some(403)),
    ] {
        let outcome = Phone::tcp(address).await.web(protocol, origin).await;
        assert_eq!(outcome.err(), expected, "{protocol} {origin}");
    }
}

#[tokio::test]
async fn connections_have_limits() {
    let mut options = options(&[SipTransport::Tcp], None);
    options.settings.connections_per_source = 2;
    let office = Office::open(options).await;
    let address = office.at(SipTransport::Tcp);
    let mut first = Phone::tcp(address).await;
    let _second = Phone::tcp(address).await;
    first.send("\r\n\r\n").await;
    first.say(&Words::over("tcp").with("OPTIONS", 1)).await;
    first.receive("SIP/2.0 200 ").await;
    assert_eq!(Phone::tcp(address).await.any().await, None, "a third one is closed");

    // What has no end is refused, and the connection closed: nobody knows where the next message begins.
    first
        .send(&format!("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bKx\r\nX: {}", "y".repeat(20_000)))
        .await;
    first.receive("SIP/2.0 513 ").await;
    assert_eq!(first.any().await, None);
    while office.sip.connections() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut fourth = Phone::tcp(address).await;
    fourth.send("OPTIONS sip:a@b SIP/2.0\r\nContent-Length: five\r\n\r\n").await;
    assert_eq!(fourth.any().await, None);
}

/// What is answered to the messages of RFC 4475 that pass the door; those that it stops are tested there.
#[tokio::test]
async fn torture_beyond_the_door() {
    let office = Office::open(options(&[SipTransport::Tcp], None)).await;
    let mut wrong = Vec::new();
    for (name, expected) in [
        ("wsinv", "SIP/2.0 481"),
        ("esc01", "SIP/2.0 100"),
        ("escnull", "SIP/2.0 405"),
        ("lwsdisp", "SIP/2.0 200"),
        ("longreq", "SIP/2.0 100"),
        ("semiuri", "SIP/2.0 200"),
        ("transports", "SIP/2.0 200"),
        ("mpart01", "SIP/2.0 405"),
        ("baddate", "SIP/2.0 100"),
        ("unksm2", "SIP/2.0 405"),
        ("bext01", "SIP/2.0 420"),
        ("invut", "SIP/2.0 415"),
        ("regaut01", "SIP/2.0 405"),
        ("zeromf", "SIP/2.0 200"),
        ("cparam01", "SIP/2.0 405"),
        ("cparam02", "SIP/2.0 405"),
        ("regescrt", "SIP/2.0 405"),
        ("sdp01", "SIP/2.0 100"),
        ("inv2543", "SIP/2.0 400"),
    ] {
        let file = format!("{}/fixtures/sip/torture/{name}.dat", env!("CARGO_MANIFEST_DIR"));
        let message = std::fs::read(file).expect("a fixture");
        let mut phone = Phone::tcp(office.at(SipTransport::Tcp)).await;
        phone.send_bytes(&message).await;
        let answer = tokio::time::timeout(Duration::from_secs(3), phone.any()).await.ok().flatten().unwrap_or_default();
        if !answer.starts_with(expected) {
            wrong.push(format!("{name}: {:?} instead of {expected}", answer.lines().next()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn both_address_families_are_served_by_one_side() {
    let mut options = options(&[SipTransport::Udp], None);
    let v6 = Listener { transport: SipTransport::Udp, address: "[::1]:0".parse().expect("an address") };
    options.settings.listeners.push(v6);
    let mut office = Office::open(options).await;
    let (v4, v6) = (office.sip.bound()[0].1, office.sip.bound()[1].1);
    for (us, local) in [(v4, "127.0.0.1:0"), (v6, "[::1]:0")] {
        let phone = tokio::net::UdpSocket::bind(local).await.expect("a free port");
        let address = phone.local_addr().expect("it is bound");
        office.invite(LEG, &format!("sip:bot@{address}"), None);
        let mut buffer = vec![0; 4_096];
        let (length, from) = phone.recv_from(&mut buffer).await.expect("loopback is there");
        let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert_eq!(from, us);
        assert!(value(&invite, "Via").starts_with(&format!("SIP/2.0/UDP {us};")), "{invite}");
        let response = format!(
            "SIP/2.0 486 Busy\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=far\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
            value(&invite, "Via"),
            value(&invite, "From"),
            value(&invite, "To"),
            value(&invite, "Call-ID"),
            value(&invite, "CSeq"),
        );
        phone.send_to(response.as_bytes(), us).await.expect("loopback is there");
        let (length, _) = phone.recv_from(&mut buffer).await.expect("loopback is there");
        assert!(buffer[..length].starts_with(b"ACK "), "{}", String::from_utf8_lossy(&buffer[..length]));
        assert_eq!(office.event().await, failed(486, "Busy"));
        // A far end that does not know its own address is answered where it is.
        let question = format!(
            "OPTIONS sip:us SIP/2.0\r\nVia: SIP/2.0/UDP far.invalid;branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:far@far.invalid>;tag=1\r\nTo: <sip:us@us>\r\nCall-ID: {us}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        phone.send_to(question.as_bytes(), us).await.expect("loopback is there");
        let heard = tokio::time::timeout(Duration::from_secs(5), phone.recv_from(&mut buffer)).await;
        let (length, _) = heard.expect("an answer").expect("loopback is there");
        assert!(buffer[..length].starts_with(b"SIP/2.0 200 "), "{}", String::from_utf8_lossy(&buffer[..length]));
    }
}

/// A call over `phone`: answered by us, ended by us, all of it on this connection.
async fn called(office: &mut Office, phone: &mut Phone, transport: SipTransport) {
    phone.say(&Words::over(transport.name())).await;
    let leg = office.answer().await;
    let answer = phone.receive("SIP/2.0 200 ").await;
    assert!(value(&answer, "Contact").contains(&format!(";transport={}>", transport.name())), "{answer}");
    let to = value(&answer, "To");
    let tag = &to[to.find(";tag=").expect("a tag")..];
    phone.say(&Words { tag, ..Words::over(transport.name()).with("ACK", 1) }).await;
    assert_eq!(office.event().await, SipEvent::Confirmed { leg, sdp: None });
    office.sip.handle(SipCommand::Bye { leg, reason: None });
    let bye = phone.receive("BYE sip:caller@caller.invalid").await;
    phone.respond(&bye, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { .. }));
}

async fn connect(office: &Office, transport: SipTransport, authority: &Authority, name: Option<&str>) -> Phone {
    let address = office.at(transport);
    let phone = if transport.is_secure() {
        let client = authority.client(name, &rustls::version::TLS13);
        Phone::tls(address, client).await.expect("a greeting").0
    } else {
        Phone::tcp(address).await
    };
    if !is_web(transport) {
        return phone;
    }
    phone.web("sip", "https://desk.example").await.expect("a greeting")
}

fn is_web(transport: SipTransport) -> bool {
    matches!(transport, SipTransport::Ws | SipTransport::Wss)
}

/// Listeners for every stream, with a certificate for `us.example`.
fn secured(authority: &Authority) -> SipOptions {
    let mut options = options(&STREAMS, None);
    options.settings.tls = Some(certified(authority));
    options
}

/// The files of a certificate for `us.example`.
pub(super) fn certified(authority: &Authority) -> TlsSettings {
    authority.install("us.example");
    TlsSettings {
        certificate: authority.folder.join("us.pem"),
        key: authority.folder.join("us.key"),
        authorities: Some(authority.folder.join("authority.pem")),
        allows_1_2: true,
        reload: Duration::from_secs(1),
    }
}
