//! Who is believed, how much everybody may ask, and what the log says of the others.

use std::collections::BTreeMap;

use super::super::trunk::FreshTrunks;
use super::*;
use crate::settings::{IpNet, TrunkSettings};

#[test]
fn buckets_fill_and_empty() {
    let mut bucket = Bucket::full(Duration::ZERO, 3);
    let second = Duration::from_secs(1);
    assert_eq!([(); 4].map(|()| bucket.take(Duration::ZERO, 1, 3)), [true, true, true, false]);
    assert!(bucket.take(second, 1, 3) && !bucket.take(second, 1, 3));
    assert_eq!([(); 4].map(|()| bucket.take(100 * second, 1, 3)), [true, true, true, false]);
    // Time that goes back gives nothing.
    assert!(!bucket.take(second, 1, 3));
}

#[test]
fn strangers_are_ignored_and_known_ones_have_their_share() {
    let guard = guard(SipSettings { requests_per_s: 2, ..SipSettings::default() }, &[]);
    let invite = plain(Some("INVITE"));
    assert_eq!(guard.admit(at("192.0.2.9"), SipTransport::Udp, &invite), Admission::Ignore);
    // What belongs to a dialog has to be looked for first, but not without end.
    let inside = [(); 3].map(|()| guard.admit(at("192.0.2.9"), SipTransport::Udp, &plain(None)));
    assert_eq!(inside, [Admission::Take, Admission::Take, Admission::Ignore]);
    let outcomes = [(); 3].map(|()| guard.admit(at("127.0.0.1"), SipTransport::Udp, &invite));
    assert_eq!(outcomes, [Admission::Take, Admission::Take, Admission::Refuse(503)]);
    assert_eq!(guard.admit(at("127.0.0.1"), SipTransport::Udp, &plain(Some("CANCEL"))), Admission::Take);
    let metrics = guard.metrics().render();
    assert!(metrics.contains("calmline_sip_refused_total{reason=\"unknown_source\"} 1"), "{metrics}");
    assert!(metrics.contains("calmline_sip_refused_total{reason=\"rate\"} 1"), "{metrics}");
}

#[test]
fn strangers_may_hear_403_but_not_for_ever() {
    let unknown_sources = UnknownSources::Forbidden;
    let guard = guard(SipSettings { unknown_sources, requests_per_s: 1, ..SipSettings::default() }, &[]);
    let heard = [(); 2].map(|()| guard.admit(at("192.0.2.9"), SipTransport::Udp, &plain(Some("REGISTER"))));
    assert_eq!(heard, [Admission::Refuse(403), Admission::Ignore]);
    assert_eq!(guard.admit(at("192.0.2.10"), SipTransport::Udp, &plain(Some("ACK"))), Admission::Ignore);
}

#[test]
fn the_smallest_network_counts_and_its_trunk_says_more() {
    let trunks = [("wide", "198.51.0.0/16", None), ("narrow", "198.51.100.7", Some(SipTransport::Tls))];
    let guard = guard(SipSettings::default(), &trunks);
    let who = |address: &str, transport| match guard
        .identify(&Peer { address: at(address), transport, certificate: None }, None)
    {
        Who::Known(trunk) => Ok(trunk.map(|trunk| trunk.name.clone())),
        Who::Stranger(why) => Err(why),
    };
    assert_eq!(who("198.51.100.8", SipTransport::Udp), Ok(Some("wide".to_owned())));
    assert_eq!(who("198.51.100.7", SipTransport::Tls), Ok(Some("narrow".to_owned())));
    assert_eq!(who("127.0.0.1", SipTransport::Udp), Ok(None));
    assert_eq!(who("192.0.2.1", SipTransport::Udp), Err(Refused::UnknownSource));
    // The narrow one may not, but the wide one, whose address it is as well, may.
    assert_eq!(who("198.51.100.7", SipTransport::Udp), Ok(Some("wide".to_owned())));
}

#[test]
fn sources_are_remembered_within_bounds() {
    let guard = guard(SipSettings { trusted: vec![net("0.0.0.0/0")], ..SipSettings::default() }, &[]);
    for number in 0..2 * u32::try_from(SOURCES_MAX).expect("a small number") {
        let source = SocketAddr::from((number.to_be_bytes(), 5060));
        assert_eq!(guard.admit(source, SipTransport::Udp, &plain(Some("INVITE"))), Admission::Take);
        guard.note(source, SipTransport::Udp, Refused::Rate, None);
    }
    let state = guard.state();
    assert!(state.asked.len() <= SOURCES_MAX && state.told.len() <= SOURCES_MAX);
}

fn guard(settings: SipSettings, trunks: &[(&str, &str, Option<SipTransport>)]) -> Guard {
    let trunk = |(name, source, transport): &(&str, &str, Option<SipTransport>)| {
        let settings = TrunkSettings {
            sources: vec![net(source)],
            transports: transport.iter().copied().collect(),
            ..TrunkSettings::default()
        };
        ((*name).to_owned(), settings)
    };
    let trunks: BTreeMap<_, _> = trunks.iter().map(trunk).collect();
    let trunks = Trunks::new(FreshTrunks::read(&trunks).expect("no passwords are wanted"));
    Guard::new(settings, Arc::new(trunks), Metrics::new(), &[1; 32])
}

fn plain(begins: Option<&str>) -> Plain {
    let kind = begins.map_or(Kind::Inside, |method| Kind::Begins(method.to_owned()));
    Plain { bytes: Vec::new(), kind }
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), 5060)
}

fn net(text: &str) -> IpNet {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).expect("a network")
}
