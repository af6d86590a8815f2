//! Ways through a name server on loopback: which place comes first, what is tried next, and what is left when the name
//! server is gone.

use std::net::Ipv4Addr;
use std::time::Duration;

use rsipstack::sip::Uri;
use tokio::net::TcpListener;

use super::dns::Dns;
use super::office::Office;
use super::phone::{LEG, SDP, failed, options, value};
use super::trunks::{until, with};
use super::wire::{Far, Phone};
use crate::control::SipEvent;
use crate::settings::TrunkSettings;
use crate::shell::sip::{Health, SipTransport};

#[tokio::test]
async fn pointers_then_servers_then_addresses() {
    let dns = Dns::start().await;
    dns.naptr("carrier.example", 20, "SIP+D2U", "_sip._udp.carrier.example");
    dns.naptr("carrier.example", 10, "SIPS+D2T", "_sips._tcp.carrier.example");
    dns.srv("_sips._tcp.carrier.example", 1, 5061, "a.carrier.example");
    dns.srv("_sip._udp.carrier.example", 2, 5070, "b.carrier.example");
    dns.srv("_sip._udp.carrier.example", 1, 5060, "a.carrier.example");
    dns.host("a.carrier.example", [192, 0, 2, 1].into());
    dns.host("a.carrier.example", "2001:db8::1".parse().expect("an address"));
    dns.host("b.carrier.example", [192, 0, 2, 2].into());
    dns.srv("_sip._tcp.plain.example", 1, 5080, "a.carrier.example");
    dns.host("bare.example", [192, 0, 2, 3].into());
    let office = office(&dns).await;
    for (uri, expected) in [
        (
            "sip:x@carrier.example",
            &[
                "tls://192.0.2.1:5061",
                "tls://[2001:db8::1]:5061",
                "udp://192.0.2.1:5060",
                "udp://[2001:db8::1]:5060",
                "udp://192.0.2.2:5070",
            ][..],
        ),
        ("sips:x@carrier.example", &["tls://192.0.2.1:5061", "tls://[2001:db8::1]:5061"]),
        ("sip:x@plain.example", &["tcp://192.0.2.1:5080", "tcp://[2001:db8::1]:5080"]),
        ("sip:x@plain.example;transport=tcp", &["tcp://192.0.2.1:5080", "tcp://[2001:db8::1]:5080"]),
        ("sip:x@bare.example", &["udp://192.0.2.3:5060"]),
        ("sip:x@bare.example:5099", &["udp://192.0.2.3:5099"]),
        ("sips:x@bare.example:5099", &["tls://192.0.2.3:5099"]),
        ("sip:x@bare.example;transport=ws", &["ws://192.0.2.3:80"]),
        ("sip:x@192.0.2.9", &["udp://192.0.2.9:5060"]),
        ("sips:x@[2001:db8::9]", &["tls://[2001:db8::9]:5061"]),
    ] {
        let hops = office.sip.shared.router.hops(&Uri::try_from(uri).expect("a URI")).await.expect(uri);
        let shown: Vec<String> = hops.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{uri}");
    }
    for uri in ["sip:x@nowhere.example", "sip:x@caller.invalid", "sips:x@bare.example;transport=udp"] {
        assert!(office.sip.shared.router.hops(&Uri::try_from(uri).expect("a URI")).await.is_err(), "{uri}");
    }
}

#[tokio::test]
async fn a_place_that_refuses_or_says_nothing_is_passed_by() {
    let dns = Dns::start().await;
    let (silent, phone) = (Far::new().await, Far::new().await);
    let refusing = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let refused = refusing.local_addr().expect("it is bound").port();
    drop(refusing);
    dns.naptr("bot.example", 1, "SIP+D2T", "_sip._tcp.bot.example");
    dns.naptr("bot.example", 2, "SIP+D2U", "_sip._udp.bot.example");
    dns.srv("_sip._tcp.bot.example", 1, refused, "host.example");
    dns.srv("_sip._udp.bot.example", 1, silent.port(), "host.example");
    dns.srv("_sip._udp.bot.example", 2, phone.port(), "host.example");
    dns.host("host.example", Ipv4Addr::LOCALHOST.into());
    let mut office = office(&dns).await;
    office.invite(LEG, "sip:bot@bot.example", None);
    let lost = silent.hear().await.1;
    let (us, invite) = phone.hear().await;
    assert_ne!(value(&lost, "Via"), value(&invite, "Via"), "a new transaction");
    assert_eq!(value(&lost, "Call-ID"), value(&invite, "Call-ID"));
    // The first place wakes up after all: it must not ring.
    silent.reply(us, &lost, 180, "", "").await;
    loop {
        let said = silent.hear().await.1;
        if said.starts_with("CANCEL ") {
            assert_eq!(value(&said, "Via"), value(&lost, "Via"));
            break;
        }
    }
    phone.reply(us, &invite, 486, "", "").await;
    assert_eq!(office.event().await, failed(486, "Said"));
    // It answers all the same, when the call is long over: it is hung up.
    let contact = format!("Contact: <sip:bot@127.0.0.1:{}>\r\n", silent.port());
    silent.reply(us, &lost, 200, &contact, SDP).await;
    let bye = loop {
        let said = silent.hear().await.1;
        if said.starts_with("BYE ") {
            break said;
        }
    };
    assert_eq!((value(&bye, "Call-ID"), value(&bye, "CSeq")), (value(&lost, "Call-ID"), "2 BYE"));
    silent.reply(us, &bye, 200, "", "").await;
    assert!(office.sip.shared.metrics().render().contains("calmline_sip_failovers_total 1"));
    // Both are remembered as bad: the next call goes to the good one at once.
    let hops = office.sip.shared.router.hops(&Uri::try_from("sip:bot@bot.example").expect("a URI")).await;
    assert_eq!(hops.expect("places")[0].address.port(), phone.port());
}

#[tokio::test]
async fn a_place_that_wakes_up_when_another_one_has_the_call_does_not_ring() {
    let dns = Dns::start().await;
    let (silent, phone) = two_servers(&dns).await;
    let mut office = office(&dns).await;
    office.invite(LEG, "sip:bot@bot.example", None);
    let lost = silent.hear().await.1;
    let (us, invite) = phone.hear().await;
    phone.reply(us, &invite, 200, &format!("Contact: <sip:bot@127.0.0.1:{}>\r\n", phone.port()), SDP).await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    silent.reply(us, &lost, 180, "", "").await;
    loop {
        let said = silent.hear().await.1;
        if said.starts_with("CANCEL ") {
            assert_eq!(value(&said, "Via"), value(&lost, "Via"));
            break;
        }
    }
}

#[tokio::test]
async fn a_trunk_is_up_while_one_of_its_servers_is() {
    let dns = Dns::start().await;
    let (_silent, living) = two_servers(&dns).await;
    let health = Some(Duration::from_millis(200));
    let mut options =
        with(TrunkSettings { uri: Some("sip:bot.example".to_owned()), health, ..TrunkSettings::default() });
    options.settings.dns = vec![dns.address];
    let mut office = Office::open(options).await;
    let answers = async {
        loop {
            let (us, said) = living.hear().await;
            match said.split(' ').next() {
                Some("OPTIONS") => living.reply(us, &said, 200, "", "").await,
                Some("INVITE") => living.reply(us, &said, 486, "", "").await,
                _ => {}
            }
        }
    };
    let calls = async {
        until(&office, Health::Up).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        office.invite(LEG, "sip:bot@bot.example", Some("carrier"));
        assert_eq!(office.event().await, failed(486, "Said"));
    };
    tokio::select! {
        () = answers => {}
        () = calls => {}
    }
}

#[tokio::test]
async fn what_was_known_is_used_while_the_dns_is_gone() {
    let dns = Dns::start().await;
    let phone = Far::new().await;
    dns.srv("_sip._udp.bot.example", 1, phone.port(), "host.example");
    dns.host("host.example", Ipv4Addr::LOCALHOST.into());
    let mut office = office(&dns).await;
    let mut call = async |leg| {
        office.invite(leg, "sip:bot@bot.example", None);
        let (us, invite) = phone.hear().await;
        phone.reply(us, &invite, 486, "", "").await;
        phone.hear().await;
        assert!(matches!(office.event().await, SipEvent::Failed { code: 486, .. }));
    };
    call(media::LegId(1)).await;
    dns.set_gone(true);
    let asked = dns.asked();
    call(media::LegId(2)).await;
    assert!(dns.asked() > asked, "it was asked");
    call(media::LegId(3)).await;
    office.invite(LEG, "sip:bot@unheard.example", None);
    let event = office.event().await;
    assert!(
        matches!(&event, SipEvent::Failed { code: 503, reason, .. } if reason.contains("unheard.example")),
        "{event:?}"
    );
    let metrics = office.sip.shared.metrics().render();
    assert!(metrics.contains("calmline_dns_troubles_total{outcome=\"remembered\"}"), "{metrics}");
}

#[tokio::test]
async fn servers_are_asked_for_where_no_question_for_pointers_gets_through() {
    let dns = Dns::start().await;
    dns.drop_pointers();
    dns.srv("_sip._udp.bot.example", 1, 5070, "host.example");
    dns.host("host.example", [192, 0, 2, 1].into());
    let office = office(&dns).await;
    let hops = office.sip.shared.router.hops(&Uri::try_from("sip:bot@bot.example").expect("a URI")).await;
    let shown: Vec<String> = hops.expect("a place").iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["udp://192.0.2.1:5070"]);
}

#[tokio::test]
async fn a_target_of_tls_has_to_bear_the_name_that_was_asked_for() {
    let authority = super::authority::Authority::new("names");
    let dns = Dns::start().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    dns.srv(
        "_sips._tcp.carrier.example",
        1,
        listener.local_addr().expect("it is bound").port(),
        "host.elsewhere.example",
    );
    dns.host("host.elsewhere.example", Ipv4Addr::LOCALHOST.into());
    let mut options = options(&[SipTransport::Udp], None);
    options.settings.dns = vec![dns.address];
    options.settings.tls = Some(super::carrying::certified(&authority));
    let office = Office::open(options).await;
    office.invite(LEG, "sips:bot@carrier.example", None);
    let mut phone = Phone::accept(&listener, false, Some(authority.server("carrier.example"))).await;
    phone.receive("INVITE sips:bot@carrier.example").await;
}

/// `bot.example` has two: the first one says nothing as long as the test does not have it say something.
async fn two_servers(dns: &Dns) -> (Far, Far) {
    let servers = (Far::new().await, Far::new().await);
    dns.srv("_sip._udp.bot.example", 1, servers.0.port(), "host.example");
    dns.srv("_sip._udp.bot.example", 2, servers.1.port(), "host.example");
    dns.host("host.example", Ipv4Addr::LOCALHOST.into());
    servers
}

async fn office(dns: &Dns) -> Office {
    let mut options = options(&[SipTransport::Udp], None);
    options.settings.dns = vec![dns.address];
    Office::open(options).await
}
