//! Trunks that a reload of the configuration adds, changes and takes out, while calls are up.

use std::collections::BTreeMap;
use std::time::Duration;

use media::LegId;

use super::office::Office;
use super::phone::{LEG, failed, options, value};
use super::trunks::{account, answer, request};
use super::wire::Far;
use crate::control::SipEvent;
use crate::settings::{Registration, SipSettings, TrunkSettings};
use crate::shell::sip::{FreshTrunks, PastTrunks, SipOptions, SipTransport};

#[tokio::test]
async fn a_registration_is_given_back_before_another_one_is_made() {
    let (first, second) = (Far::new().await, Far::new().await);
    let office = Office::open(with(&[("carrier", registering(&first))])).await;
    let made = registered(&first, "").await;
    assert_eq!(value(&made, "Expires"), "60");

    let _past = exchange(&office, &[("other", registering(&second))]);
    let (us, goodbye) = first.hear_other(&made).await;
    assert_eq!(value(&goodbye, "Expires"), "0");
    assert_eq!(value(&goodbye, "Call-ID"), value(&made, "Call-ID"), "RFC 3261 §10.2.2: of the same registration");
    let early = tokio::time::timeout(Duration::from_millis(200), second.hear()).await;
    assert!(early.is_err(), "before the goodbye was taken: {early:?}");
    first.reply(us, &goodbye, 200, "", "").await;
    registered(&second, "").await;
    let names: Vec<String> = office.sip.trunks().into_iter().map(|trunk| trunk.name).collect();
    assert_eq!(names, ["other"]);
}

#[tokio::test]
async fn a_trunk_that_changes_in_other_ways_stays_registered() {
    let far = Far::new().await;
    let office = Office::open(with(&[("carrier", registering(&far))])).await;
    let made = registered(&far, "").await;
    until_registered(&office).await;
    // Nothing new: nobody hears of it.
    let _first = exchange(&office, &[("carrier", registering(&far))]);
    let heard = tokio::time::timeout(Duration::from_millis(200), far.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
    // Another rate, and another name: the same registration.
    let changed = TrunkSettings { requests_per_s: Some(7), ..registering(&far) };
    let _second = exchange(&office, &[("carrier", changed.clone())]);
    assert_eq!(office.sip.trunks()[0].registered, Some(true), "it has never been away");
    let again = registered(&far, &made).await;
    assert_eq!(value(&again, "Expires"), "60");
    let _third = exchange(&office, &[("renamed", changed)]);
    let renamed = registered(&far, &again).await;
    assert_eq!(value(&renamed, "Expires"), "60");
}

#[tokio::test]
async fn calls_of_a_trunk_that_was_taken_out_go_on_to_their_end() {
    let mut office = Office::open(with(&[("carrier", from_loopback())])).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    far.send(us, &request(&far, us, "INVITE", 1, "")).await;
    let leg = office.answer().await;
    let ok = answer(&far, 200).await;
    far.send(us, &inside(&request(&far, us, "ACK", 1, ""), &ok)).await;
    assert!(matches!(office.event().await, SipEvent::Confirmed { .. }));
    // One that still rings.
    far.send(us, &request(&far, us, "INVITE", 1, "").replace("from-far", "rings")).await;
    assert!(matches!(office.event().await, SipEvent::Incoming { .. }));

    let past = exchange(&office, &[]);
    far.send(us, &request(&far, us, "INVITE", 1, "").replace("from-far", "new").replace("bKINVITE", "bKnew")).await;
    far.send(us, &request(&far, us, "CANCEL", 1, "").replace("from-far", "rings").replace("bKCANCEL", "bKINVITE"))
        .await;
    let cancelled = office.event().await;
    assert!(matches!(cancelled, SipEvent::Cancelled { .. }), "{cancelled:?}");
    far.send(us, &inside(&request(&far, us, "BYE", 2, ""), &ok)).await;
    loop {
        match office.event().await {
            SipEvent::Ended { leg: ended, .. } if ended == leg => break,
            SipEvent::Incoming { .. } => panic!("a call of a trunk that is none any more"),
            _ => {}
        }
    }

    // What a call that began before is to be moved to is reached by the trunk as it was.
    let uri = format!("sip:bot@127.0.0.1:{}", far.port());
    office.invite(LEG, &uri, Some("carrier"));
    loop {
        let (us, said) = far.hear().await;
        if said.starts_with("INVITE ") {
            far.reply(us, &said, 486, "", "").await;
            break;
        }
    }
    assert_eq!(office.event().await, failed(486, "Said"));
    // When nobody needs it any more, it is gone.
    drop(past);
    office.invite(LegId(8), &uri, Some("carrier"));
    let event = office.event().await;
    assert!(
        matches!(&event, SipEvent::Failed { code: 503, reason, .. } if reason == "there is no trunk carrier"),
        "{event:?}"
    );
}

#[tokio::test]
async fn who_is_believed_can_change() {
    let office = Office::open(with(&[])).await;
    let (far, us) = (Far::new().await, office.sip.local_addr());
    let settings = SipSettings { trusted: vec!["127.0.0.1/32".parse().expect("a network")], ..strict() };
    let asks = |sequence| request(&far, us, "OPTIONS", sequence, "");
    far.send(us, &asks(1)).await;
    let refused = "calmline_sip_refused_total{reason=\"unknown_source\"} 1";
    while !office.sip.shared.metrics().render().contains(refused) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    office.sip.exchange(settings, FreshTrunks::read(&BTreeMap::new()).expect("no passwords"));
    far.send(us, &asks(2)).await;
    let heard = answer(&far, 200).await;
    assert_eq!(value(&heard, "CSeq"), "2 OPTIONS", "the first one was asked by a stranger");
    let _past = exchange(&office, &[("carrier", TrunkSettings { requests_per_s: Some(1), ..from_loopback() })]);
    let mut codes = Vec::new();
    for sequence in 3..6 {
        far.send(us, &asks(sequence)).await;
        codes.push(far.hear().await.1[8..11].to_owned());
    }
    assert!(codes.contains(&"503".to_owned()), "one a second: {codes:?}");
}

/// Takes the next REGISTER that is another one than `than`.
async fn registered(far: &Far, than: &str) -> String {
    let (us, said) = if than.is_empty() { far.hear().await } else { far.hear_other(than).await };
    assert!(said.starts_with("REGISTER "), "{said}");
    far.reply(us, &said, 200, &format!("Contact: {};expires=60\r\n", value(&said, "Contact")), "").await;
    said
}

async fn until_registered(office: &Office) {
    while office.sip.trunks()[0].registered != Some(true) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn exchange(office: &Office, trunks: &[(&str, TrunkSettings)]) -> PastTrunks {
    let trunks = trunks.iter().map(|(name, trunk)| ((*name).to_owned(), trunk.clone())).collect();
    office.sip.exchange(strict(), FreshTrunks::read(&trunks).expect("the passwords are there"))
}

/// Nobody is believed who is no trunk.
fn strict() -> SipSettings {
    SipSettings { trusted: Vec::new(), ..options(&[SipTransport::Udp], None).settings }
}

fn with(trunks: &[(&str, TrunkSettings)]) -> SipOptions {
    let trunks = trunks.iter().map(|(name, trunk)| ((*name).to_owned(), trunk.clone())).collect();
    SipOptions { settings: strict(), trunks, ..options(&[SipTransport::Udp], None) }
}

fn from_loopback() -> TrunkSettings {
    TrunkSettings { sources: vec!["127.0.0.1/32".parse().expect("a network")], ..TrunkSettings::default() }
}

fn registering(far: &Far) -> TrunkSettings {
    TrunkSettings {
        uri: Some(format!("sip:127.0.0.1:{}", far.port())),
        credentials: Some(account("us")),
        register: Some(Registration { address: "sip:us@carrier.example".to_owned(), expires: Duration::from_secs(60) }),
        ..TrunkSettings::default()
    }
}

/// A request of the dialog that `ok` has made.
fn inside(request: &str, ok: &str) -> String {
    request.replacen("To: <sip:4000@us>", &format!("To: {}", value(ok, "To")), 1)
}
