//! Trunks that have to prove who they are, that ask us to, that know where we are, and that are there or not; and
//! strangers, floods and loops.

use std::net::SocketAddr;
use std::time::Duration;

use media::LegId;

use super::office::Office;
use super::phone::{LEG, SDP, failed, options, value};
use super::wire::{Far, Phone};
use crate::control::{SipCommand, SipEvent};
use crate::settings::{Account, Authentication, PasswordSource, Registration, TrunkSettings, UnknownSources};
use crate::shell::sip::digest::{Challenge, Credentials, Demand, Judgement, Subject, Verifier};
use crate::shell::sip::{Algorithm, Health, SipOptions, SipTransport};

/// A file whose first line is the password of these tests.
const PASSWORD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");

#[tokio::test]
async fn a_trunk_proves_who_it_is() {
    let mut office = Office::open(with(TrunkSettings {
        sources: vec!["127.0.0.1/32".parse().expect("a network")],
        authentication: Some(Authentication {
            realm: "calm".to_owned(),
            account: account("them"),
            algorithms: vec![Algorithm::Sha512_256, Algorithm::Md5],
        }),
        ..TrunkSettings::default()
    }))
    .await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    far.send(us, &request(&far, us, "INVITE", 1, "")).await;
    let refused = answer(&far, 401).await;
    far.send(us, &request(&far, us, "ACK", 1, "")).await;
    let asked: Vec<&str> = refused.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect();
    assert_eq!(asked.len(), 2, "{refused}");
    assert!(asked[0].contains("algorithm=SHA-512-256") && asked[1].contains("algorithm=MD5"), "{asked:?}");

    let uri = format!("sip:4000@{us}");
    let wrong = Credentials { password: "guess".to_owned(), ..credentials("them") };
    let subject = Subject { method: "INVITE", uri: &uri };
    let challenge = Challenge::first(asked.iter().copied()).expect("one that is spoken");
    let header = |who: &Credentials| format!("Authorization: {}\r\n", challenge.answer(who, subject, "cnonce"));
    far.send(us, &request(&far, us, "INVITE", 2, &header(&wrong))).await;
    answer(&far, 401).await;
    far.send(us, &request(&far, us, "ACK", 2, "")).await;
    assert!(office.events.try_recv().is_err(), "nobody was told");

    far.send(us, &request(&far, us, "INVITE", 3, &header(&credentials("them")))).await;
    office.answer().await;
    answer(&far, 200).await;
    // Whoever has listened may not call with it.
    far.send(us, &request(&far, us, "INVITE", 4, &header(&credentials("them")))).await;
    let stale = loop {
        let said = far.hear().await.1;
        if said.contains("CSeq: 4 INVITE") {
            break said;
        }
    };
    assert!(stale.starts_with("SIP/2.0 401 ") && stale.contains(", stale=true"), "{stale}");
    let metrics = office.sip.shared.metrics().render();
    assert!(metrics.contains("calmline_sip_refused_total{reason=\"authentication\"} 1"), "{metrics}");
}

#[tokio::test]
async fn we_prove_who_we_are() {
    let mut office =
        Office::open(with(TrunkSettings { credentials: Some(account("us")), ..TrunkSettings::default() })).await;
    let far = Far::new().await;
    let verifier = &mut Verifier::new(&[3; 32]);
    office.invite(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), Some("carrier"));
    let (us, first) = far.hear().await;
    far.reply(us, &first, 407, &proxy_asks(verifier, 1), "").await;
    let (_, second) = far.hear_other(&first).await;
    assert_eq!(proven(verifier, &second, "Proxy-Authorization"), Judgement::Proven, "{second}");
    assert_eq!((value(&first, "CSeq"), value(&second, "CSeq")), ("1 INVITE", "2 INVITE"));
    assert_eq!(value(&first, "Call-ID"), value(&second, "Call-ID"));
    let contact = format!("Contact: <sip:bot@127.0.0.1:{}>\r\n", far.port());
    far.reply(us, &second, 200, &contact, SDP).await;
    let (_, ack) = far.hear_other(&second).await;
    assert!(ack.starts_with("ACK ") && ack.contains("Proxy-Authorization: Digest "), "{ack}");
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));

    office.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    let (_, bye) = far.hear_other(&ack).await;
    far.reply(us, &bye, 407, &proxy_asks(verifier, 2), "").await;
    let (_, again) = far.hear_other(&bye).await;
    assert_eq!(value(&again, "CSeq"), "4 BYE");
    assert_eq!(proven(verifier, &again, "Proxy-Authorization"), Judgement::Proven, "{again}");
    far.reply(us, &again, 200, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Ended { leg: LEG, .. }));
}

#[tokio::test]
async fn a_password_that_is_wrong_is_tried_once() {
    let mut office =
        Office::open(with(TrunkSettings { credentials: Some(account("us")), ..TrunkSettings::default() })).await;
    let (far, verifier) = (Far::new().await, Verifier::new(&[3; 32]));
    office.invite(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), Some("carrier"));
    let (us, first) = far.hear().await;
    far.reply(us, &first, 407, &proxy_asks(&verifier, 1), "").await;
    let (_, second) = far.hear_other(&first).await;
    far.reply(us, &second, 407, &proxy_asks(&verifier, 2), "").await;
    assert_eq!(office.event().await, failed(407, "Said"));
}

#[tokio::test]
async fn a_registration_is_made_refreshed_and_taken_back() {
    let (far, verifier) = (Far::new().await, &mut Verifier::new(&[3; 32]));
    let office = Office::open(with(TrunkSettings {
        uri: Some(format!("sip:127.0.0.1:{}", far.port())),
        credentials: Some(account("us")),
        register: Some(Registration { address: "sip:us@carrier.example".to_owned(), expires: Duration::from_secs(60) }),
        ..TrunkSettings::default()
    }))
    .await;
    let registered = |office: &Office| office.sip.trunks()[0].registered;
    let (us, first) = far.hear().await;
    assert!(first.starts_with(&format!("REGISTER sip:127.0.0.1:{} SIP/2.0", far.port())), "{first}");
    assert!(value(&first, "To").starts_with("<sip:us@carrier.example>"), "{first}");
    assert_eq!((value(&first, "Expires"), registered(&office)), ("60", Some(false)));
    far.reply(us, &first, 423, "Min-Expires: 90\r\n", "").await;
    let (_, second) = far.hear_other(&first).await;
    assert_eq!(value(&second, "Expires"), "90");
    let asks = verifier.challenge(Duration::ZERO, demand(&credentials("us")), 1, false);
    far.reply(us, &second, 401, &format!("WWW-Authenticate: {}\r\n", asks[0]), "").await;
    let (_, third) = far.hear_other(&second).await;
    assert_eq!(proven(verifier, &third, "Authorization"), Judgement::Proven, "{third}");
    assert_eq!(value(&third, "Call-ID"), value(&first, "Call-ID"));
    // Less than was asked for, and the least that is believed: 10 s, refreshed after 8.
    let contact = format!("Contact: {};expires=1\r\n", value(&third, "Contact"));
    far.reply(us, &third, 200, &contact, "").await;
    let since = std::time::Instant::now();
    let (_, fourth) = far.hear_other(&third).await;
    assert!(since.elapsed() > Duration::from_secs(6), "{:?}", since.elapsed());
    assert_eq!(registered(&office), Some(true));
    far.reply(us, &fourth, 200, &contact, "").await;
    let goodbye = async {
        let (_, last) = far.hear_other(&fourth).await;
        assert_eq!(value(&last, "Expires"), "0");
        far.reply(us, &last, 200, "", "").await;
    };
    tokio::join!(office.sip.shutdown(), goodbye);
}

#[tokio::test]
async fn a_trunk_that_is_down_is_passed_over_until_it_is_back() {
    let far = Far::new().await;
    let uri = format!("sip:bot@127.0.0.1:{}", far.port());
    let mut office = Office::open(with(TrunkSettings {
        uri: Some(uri.clone()),
        health: Some(Duration::from_millis(200)),
        ..TrunkSettings::default()
    }))
    .await;
    let (us, question) = far.hear().await;
    assert!(question.starts_with("OPTIONS "), "{question}");
    // It does not know the method, but it is there.
    far.reply(us, &question, 405, "", "").await;
    until(&office, Health::Up).await;
    until(&office, Health::Down).await;
    office.invite(LEG, &uri, Some("carrier"));
    assert_eq!(office.event().await, failed(503, "the trunk carrier is down"));
    // A target that is not reached by the trunk is called all the same.
    office.invite(LegId(9), &uri, None);
    loop {
        let (us, said) = far.hear().await;
        if said.starts_with("INVITE ") {
            far.reply(us, &said, 486, "", "").await;
            break;
        }
    }
    assert!(matches!(office.event().await, SipEvent::Failed { code: 486, .. }));
    let answers = async {
        loop {
            let (us, said) = far.hear().await;
            if said.starts_with("OPTIONS ") {
                far.reply(us, &said, 200, "", "").await;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        () = until(&office, Health::Up) => {}
    }
}

#[tokio::test]
async fn strangers_hear_nothing_also_of_dialogs() {
    let mut options = options(&[SipTransport::Udp, SipTransport::Tcp], None);
    options.settings.trusted = vec!["192.0.2.0/24".parse().expect("a network")];
    let office = Office::open(options).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    for (sequence, method) in (1..).zip(["INVITE", "REGISTER", "OPTIONS", "CANCEL"]) {
        far.send(us, &request(&far, us, method, sequence, "")).await;
    }
    far.send(us, &request(&far, us, "BYE", 9, "").replace("sip:4000@us>", "sip:4000@us>;tag=guess")).await;
    far.send(us, "rubbish\r\n\r\n").await;
    far.send(us, "\r\n\r\n").await;
    let heard = tokio::time::timeout(Duration::from_millis(500), far.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
    let metrics = office.sip.shared.metrics().render();
    assert!(metrics.contains("calmline_sip_refused_total{reason=\"unknown_source\"} 5"), "{metrics}");
    // A connection is closed before it has said anything.
    assert_eq!(Phone::tcp(office.at(SipTransport::Tcp)).await.any().await, None);
}

#[tokio::test]
async fn strangers_may_hear_403() {
    let mut options = options(&[SipTransport::Udp], None);
    options.settings.trusted = Vec::new();
    options.settings.unknown_sources = UnknownSources::Forbidden;
    let office = Office::open(options).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    far.send(us, &request(&far, us, "REGISTER", 1, "")).await;
    answer(&far, 403).await;
}

#[tokio::test]
async fn a_flood_is_told_to_come_back_later() {
    let mut options = options(&[SipTransport::Udp], None);
    options.settings.requests_per_s = 3;
    let office = Office::open(options).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    let mut codes = Vec::new();
    for sequence in 1..=6 {
        far.send(us, &request(&far, us, "OPTIONS", sequence, "")).await;
        codes.push(far.hear().await.1[8..11].to_owned());
    }
    assert_eq!(codes[..4], ["200", "200", "200", "503"], "{codes:?}");
}

#[tokio::test]
async fn a_call_that_comes_back_is_a_loop() {
    let mut office = Office::open(options(&[SipTransport::Udp], None)).await;
    let far = Far::new().await;
    office.invite(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), None);
    let (us, invite) = far.hear().await;
    assert_eq!(value(&invite, "Max-Forwards"), "42");
    // A proxy that sends it back to us puts its Via before ours.
    let via = format!("Via: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bKproxy\r\nVia: ", far.port());
    far.send(us, &invite.replacen("Via: ", &via, 1).replace("Max-Forwards: 42", "Max-Forwards: 41")).await;
    loop {
        let (_, said) = far.hear().await;
        if said.starts_with("SIP/2.0 482 ") {
            break;
        }
        assert!(said.starts_with("INVITE "), "{said}");
    }
    far.reply(us, &invite, 486, "", "").await;
    assert_eq!(office.event().await, failed(486, "Said"));
    // One that may go once more is a call; what is sent on may not.
    let (far, local) = (Far::new().await, office.sip.local_addr());
    far.send(local, &request(&far, local, "INVITE", 1, "").replace("Max-Forwards: 70", "Max-Forwards: 1")).await;
    let event = office.event().await;
    assert!(matches!(&event, SipEvent::Incoming { invite, .. } if invite.hops_left == 0), "{event:?}");
}

/// With one trunk, `carrier`.
pub(super) fn with(trunk: TrunkSettings) -> SipOptions {
    let mut options = options(&[SipTransport::Udp], None);
    options.trunks.insert("carrier".to_owned(), trunk);
    options
}

pub(super) fn account(user: &str) -> Account {
    Account { user: user.to_owned(), password: PasswordSource::File(PASSWORD_FILE.into()) }
}

fn credentials(user: &str) -> Credentials {
    let password = PasswordSource::File(PASSWORD_FILE.into()).fetch().expect("the licence is there");
    Credentials { user: user.to_owned(), password }
}

fn demand(who: &Credentials) -> Demand<'_> {
    Demand { realm: "carrier.example", who, algorithms: &[Algorithm::Sha256] }
}

fn proxy_asks(verifier: &Verifier, salt: u64) -> String {
    let asks = verifier.challenge(Duration::ZERO, demand(&credentials("us")), salt, false);
    format!("Proxy-Authenticate: {}\r\n", asks[0])
}

/// What the credentials in a request of ours are worth.
fn proven(verifier: &mut Verifier, request: &str, header: &str) -> Judgement {
    let method = request.split(' ').next().expect("a method");
    let subject = Subject { method, uri: "" };
    verifier.judge(Duration::ZERO, demand(&credentials("us")), subject, value(request, header))
}

/// A request of `far` outside dialogs.
pub(super) fn request(far: &Far, us: SocketAddr, method: &str, sequence: u32, more: &str) -> String {
    let (port, branch) = (far.port(), if method == "ACK" { "INVITE" } else { method });
    let body = if method == "INVITE" { SDP } else { "" };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:4000@{us} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{branch}{sequence}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:far@127.0.0.1:{port}>;tag=far\r\nTo: <sip:4000@us>\r\nCall-ID: from-far\r\n\
         CSeq: {sequence} {method}\r\nContact: <sip:far@127.0.0.1:{port}>\r\n{more}{content}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The next final response, which has to have this code.
pub(super) async fn answer(far: &Far, code: u16) -> String {
    loop {
        let (_, said) = far.hear().await;
        if said.starts_with(&format!("SIP/2.0 {code} ")) {
            return said;
        }
        assert!(said.starts_with("SIP/2.0 1") || said.starts_with("SIP/2.0 4"), "{said}");
    }
}

pub(super) async fn until(office: &Office, health: Health) {
    for _ in 0..3_000 {
        if office.sip.trunks()[0].health == health {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the trunk is never {health:?}");
}
