//! What is said of load in Via (RFC 7339) and by 503 with Retry-After, by us and to us, over real sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use media::LegId;

use super::dns::Dns;
use super::office::Office;
use super::phone::{LEG, SDP, options, value};
use super::trunks::{answer, request, with};
use super::wire::Far;
use crate::control::{SipCommand, SipEvent};
use crate::settings::TrunkSettings;
use crate::shell::sip::SipTransport;
use crate::shell::sip::feedback::{Feedback, OFFER, heard};

#[tokio::test]
async fn a_trunk_that_asks_is_told_in_every_response() {
    let sources = vec!["127.0.0.1/32".parse().expect("a network")];
    let mut office = Office::open(with(TrunkSettings { sources, ..TrunkSettings::default() })).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    let asking = |request: String| request.replace(";branch=", &format!("{OFFER};branch="));
    far.send(us, &request(&far, us, "OPTIONS", 1, "")).await;
    assert_eq!(word(&answer(&far, 200).await), None, "it did not ask");
    far.send(us, &asking(request(&far, us, "OPTIONS", 2, ""))).await;
    let calm = word(&answer(&far, 200).await).expect("it asked");
    assert_eq!((calm.kept_back_percent, calm.validity), (0, Duration::ZERO));

    office.sip.tell_load(100);
    far.send(us, &asking(request(&far, us, "INVITE", 3, ""))).await;
    let trying = far.hear().await.1;
    assert!(trying.starts_with("SIP/2.0 100 "), "{trying}");
    let SipEvent::Incoming { leg, .. } = office.event().await else { panic!("a call") };
    let headers = vec![super::phone::header("Retry-After", "9")];
    office.sip.handle(SipCommand::Reject { leg, code: 503, reason: "Overloaded".to_owned(), headers });
    let refusal = answer(&far, 503).await;
    let (first, last) = (word(&trying).expect("it asked"), word(&refusal).expect("it asked"));
    assert_eq!((first.kept_back_percent, last.kept_back_percent), (100, 100));
    assert!(first.sequence > calm.sequence && last.sequence >= first.sequence);
    assert!(!refusal.contains("Retry-After"), "the share says it all: {refusal}");
    // What else is in Via comes back as it was.
    assert!(value(&refusal, "Via").contains(";branch=z9hG4bKINVITE3"), "{refusal}");
    let metrics = office.sip.shared.metrics().render();
    assert!(metrics.contains("calmline_overload_feedback_ratio 1"), "{metrics}");
}

#[tokio::test]
async fn whoever_is_trusted_but_no_trunk_is_not_told() {
    let office = Office::open(options(&[SipTransport::Udp], None)).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    office.sip.tell_load(100);
    far.send(us, &request(&far, us, "OPTIONS", 1, "").replace(";branch=", &format!("{OFFER};branch="))).await;
    assert_eq!(word(&answer(&far, 200).await), None);
}

#[tokio::test]
async fn the_share_that_a_server_asks_for_is_kept_back() {
    let asking = TrunkSettings { overload_feedback: true, ..TrunkSettings::default() };
    let mut office = Office::open(with(asking)).await;
    let far = Far::new().await;
    let uri = format!("sip:bot@127.0.0.1:{}", far.port());
    // While nothing was asked every call goes out, and says that it may be.
    let first = refuse(&mut office, &far, &uri, ";oc=50;oc-algo=\"loss\";oc-validity=60000;oc-seq=1.1").await;
    assert!(value(&first, "Via").ends_with(OFFER), "{first}");
    let mut sent = 0;
    for number in 0..10 {
        let leg = LegId(100 + number);
        office.invite(leg, &uri, Some("carrier"));
        if number % 2 == 0 {
            let event = office.event().await;
            let SipEvent::Failed { code: 503, reason, retry_after: Some(wait), .. } = &event else {
                panic!("{event:?}")
            };
            assert!(reason.contains("asks for fewer calls") && wait.as_secs() >= 50, "{event:?}");
        } else {
            let (us, invite) = far.hear_invite().await;
            far.reply(us, &invite, 486, "", "").await;
            assert!(matches!(office.event().await, SipEvent::Failed { code: 486, retry_after: None, .. }));
            sent += 1;
        }
    }
    assert_eq!(sent, 5);
    // Whoever comes before others is never kept back; older words change nothing; the newest ends it.
    refuse_pressing(&mut office, &far, &uri, ";oc=100;oc-algo=\"loss\";oc-validity=60000;oc-seq=1.2").await;
    refuse_pressing(&mut office, &far, &uri, ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=1.15").await;
    office.invite(LegId(200), &uri, Some("carrier"));
    assert!(matches!(office.event().await, SipEvent::Failed { code: 503, .. }));
    assert_eq!(office.sip.servers_restrained(), 1);
    refuse_pressing(&mut office, &far, &uri, ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=1.3").await;
    refuse(&mut office, &far, &uri, "").await;
    assert_eq!(office.sip.servers_restrained(), 0);
    let metrics = office.sip.shared.metrics().render();
    assert!(metrics.contains("calmline_sip_invites_kept_back_total{reason=\"feedback\"} 6"), "{metrics}");
}

#[tokio::test]
async fn whoever_was_not_asked_cannot_keep_calls_away() {
    let mut office = Office::open(with(TrunkSettings::default())).await;
    let far = Far::new().await;
    let uri = format!("sip:bot@127.0.0.1:{}", far.port());
    for _ in 0..2 {
        let invite = refuse(&mut office, &far, &uri, ";oc=100;oc-algo=\"loss\";oc-validity=60000;oc-seq=1.1").await;
        assert!(!invite.contains(";oc"), "{invite}");
    }
}

#[tokio::test]
async fn a_request_inside_a_dialog_is_never_kept_back() {
    let asking = TrunkSettings { overload_feedback: true, ..TrunkSettings::default() };
    let mut office = Office::open(with(asking)).await;
    let far = Far::new().await;
    office.invite(LEG, &format!("sip:bot@127.0.0.1:{}", far.port()), Some("carrier"));
    let (us, invite) = far.hear().await;
    let contact = format!("Contact: <sip:bot@127.0.0.1:{}>\r\n", far.port());
    let full = invite.replace(OFFER, ";oc=100;oc-algo=\"loss\";oc-validity=60000;oc-seq=1.1");
    far.reply(us, &full, 200, &contact, SDP).await;
    assert!(matches!(office.event().await, SipEvent::Answered { leg: LEG, .. }));
    assert_eq!(office.sip.servers_restrained(), 1);
    office.sip.handle(SipCommand::Bye { leg: LEG, reason: None });
    loop {
        let (us, said) = far.hear().await;
        if said.starts_with("BYE ") {
            assert!(value(&said, "Via").ends_with(OFFER), "it may be told with every request: {said}");
            break far.reply(us, &said, 200, "", "").await;
        }
    }
    assert!(matches!(office.event().await, SipEvent::Ended { leg: LEG, .. }));
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is_passed_by() {
    let dns = Dns::start().await;
    let (closed, open) = (Far::new().await, Far::new().await);
    dns.srv("_sip._udp.bot.example", 1, closed.port(), "host.example");
    dns.srv("_sip._udp.bot.example", 2, open.port(), "host.example");
    dns.host("host.example", Ipv4Addr::LOCALHOST.into());
    let mut options = options(&[SipTransport::Udp], None);
    options.settings.dns = vec![dns.address];
    let mut office = Office::open(options).await;
    office.invite(LegId(1), "sip:bot@bot.example", None);
    let (us, invite) = closed.hear_invite().await;
    closed.reply(us, &invite, 503, "Retry-After: 3600;duration=5 (maintenance)\r\n", "").await;
    // The same call goes to the other place, and so do all that follow.
    for leg in 1..4 {
        if leg > 1 {
            office.invite(LegId(leg), "sip:bot@bot.example", None);
        }
        let (us, invite) = open.hear_invite().await;
        open.reply(us, &invite, 486, "", "").await;
        assert!(matches!(office.event().await, SipEvent::Failed { code: 486, .. }));
    }
    // To it alone nothing goes at all; whoever waits is told for how long, and that is not for ever.
    let uri = format!("sip:bot@127.0.0.1:{}", closed.port());
    office.invite(LegId(9), &uri, None);
    let event = office.event().await;
    let SipEvent::Failed { code: 503, retry_after: Some(wait), .. } = event else { panic!("{event:?}") };
    assert!((290..=300).contains(&wait.as_secs()), "{wait:?}");
    // An emergency is tried all the same.
    refuse_pressing(&mut office, &closed, &uri, "").await;
}

/// A call that goes out and is refused by 486, with `more` in the Via of that; the INVITE.
async fn refuse(office: &mut Office, far: &Far, uri: &str, more: &str) -> String {
    office.invite(LEG, uri, Some("carrier"));
    refuse_next(office, far, more).await
}

/// The same with a call that comes before others.
async fn refuse_pressing(office: &mut Office, far: &Far, uri: &str, more: &str) -> String {
    let headers = vec![super::phone::header("Resource-Priority", "esnet.0")];
    office.invite_with(LEG, uri, Some("carrier"), headers);
    refuse_next(office, far, more).await
}

async fn refuse_next(office: &mut Office, far: &Far, more: &str) -> String {
    let (us, invite) = far.hear_invite().await;
    let via = value(&invite, "Via").to_owned();
    let told = format!("{}{more}", via.strip_suffix(OFFER).unwrap_or(&via));
    far.reply(us, &invite.replace(&via, &told), 486, "", "").await;
    assert!(matches!(office.event().await, SipEvent::Failed { code: 486, .. }));
    invite
}

fn word(response: &str) -> Option<Feedback> {
    heard(value(response, "Via")).expect("what we say can be read")
}
