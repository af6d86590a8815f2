//! Via parameters as they are written, by us and by others.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::metrics::Metrics;
use crate::settings::{SipSettings, TrunkSettings};
use crate::shell::sip::trunk::Trunks;

const VIA: &str = "SIP/2.0/UDP pbx.example:5060;branch=z9hG4bK1;rport";

fn word(kept_back_percent: u8, validity_ms: u64, sequence: u64) -> Feedback {
    Feedback { kept_back_percent, validity: Duration::from_millis(validity_ms), sequence: Sequence(sequence) }
}

#[test]
fn who_asks_and_who_does_not() {
    for (parameters, expected) in [
        (";oc;oc-algo=\"loss\"", true),
        (";OC;oc-ALGO=\"rate,Loss\"", true),
        (";oc;oc-algo=\"loss, A\"", true),
        (";oc", true),
        // What has been answered once is answered anew when it is repeated.
        (";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=1.1", true),
        (";oc;oc-algo=\"rate\"", false),
        (";oc-algo=\"loss\"", false),
        (";ock", false),
        (";x=\"a;oc;b\"", false),
        (", SIP/2.0/UDP other;branch=z9hG4bK2;oc;oc-algo=\"loss\"", false),
    ] {
        assert_eq!(is_asked(&format!("{VIA}{parameters}")), expected, "{parameters}");
    }
    assert!(is_asked(&format!("{VIA}{OFFER}")));
}

#[test]
fn what_servers_say() {
    for (parameters, expected) in [
        ("", Ok(None)),
        (";oc;oc-algo=\"loss\"", Ok(None)),
        (";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=1282321615.782", Ok(Some(word(20, 500, 128_232_161_578_200)))),
        (";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=7.00002", Ok(Some(word(0, 0, 700_002)))),
        (";oc=100;oc-seq=1.0", Ok(Some(word(100, 500, 100_000)))),
        (";oc=5;oc-algo=loss;oc-validity=999999999;oc-seq=1.0", Ok(Some(word(5, 300_000, 100_000)))),
        (";oc=101;oc-seq=1.0", Err("oc is no share of a hundred")),
        (";oc=-1;oc-seq=1.0", Err("oc is no share of a hundred")),
        (";oc=20;oc-algo=\"rate\";oc-seq=1.0", Err("a scheme that was not offered")),
        (";oc=20;oc-validity=soon;oc-seq=1.0", Err("oc-validity is no number")),
        (";oc=20", Err("no oc-seq")),
        (";oc=20;oc-seq=1", Err("no oc-seq")),
        (";oc=20;oc-seq=1.123456", Err("no oc-seq")),
        (";oc=20;oc-seq=1234567890123.1", Err("no oc-seq")),
    ] {
        assert_eq!(heard(&format!("{VIA}{parameters}")), expected, "{parameters}");
    }
}

#[test]
fn our_word_takes_the_place_of_the_question() {
    let said = ";oc=40;oc-algo=\"loss\";oc-validity=2000;oc-seq=17.00003";
    let ours = word(40, 2_000, 1_700_003);
    for (asked, expected) in [
        (";oc;oc-algo=\"loss,rate\"", format!("{VIA}{said}")),
        (";oc=1;oc-algo=\"loss\";oc-validity=1;oc-seq=1.1;x=\"a;b\"", format!("{VIA};x=\"a;b\"{said}")),
        (";oc, SIP/2.0/TCP b;branch=z9hG4bK2;oc", format!("{VIA}{said}, SIP/2.0/TCP b;branch=z9hG4bK2;oc")),
    ] {
        assert_eq!(answered(&format!("{VIA}{asked}"), &ours), expected);
    }
}

#[test]
fn only_trunks_hear_of_our_load_and_the_newest_word_is_last() {
    let trunk = TrunkSettings { sources: vec!["192.0.2.0/24".parse().expect("a network")], ..Default::default() };
    let trunks = Trunks::new(BTreeMap::from([("carrier".to_owned(), trunk)])).expect("no passwords");
    let guard = Guard::new(SipSettings::default(), Arc::new(trunks), Metrics::new(), &[1; 32]);
    let teller = Teller::new(Arc::new(guard));
    let send = |to: &str| {
        let text = format!(
            "SIP/2.0 503 Overloaded\r\nVia: {VIA}{OFFER}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        );
        let message = SipMessage::try_from(text.as_bytes()).expect("a response");
        let to = SipAddr::from(to.parse::<std::net::SocketAddr>().expect("an address"));
        let text = String::from_utf8(teller.before_send(message, Some(&to)).to_bytes()).expect("text");
        let via = text.lines().find_map(|line| line.strip_prefix("Via: ")).expect("a Via");
        (heard(via).expect("what we write can be read"), text.contains("Retry-After"))
    };
    assert_eq!(send("198.51.100.1:5060"), (None, true));
    let (calm, waits) = send("192.0.2.7:5060");
    assert!(calm.is_some_and(|calm| calm.validity.is_zero() && calm.kept_back_percent == 0) && waits);
    let mut last = Sequence(0);
    for (percent, becomes) in [(60, Some(60)), (70, None), (0, Some(0)), (0, None)] {
        // The clock stands still, or runs backwards.
        assert_eq!(teller.set(percent, Duration::from_secs(5)), becomes);
        let (Some(heard), waits) = send("192.0.2.7:5060") else { panic!("a trunk hears") };
        assert_eq!((heard.kept_back_percent, waits), (percent, percent == 0));
        assert!(heard.sequence > last);
        last = heard.sequence;
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_breaks_it(text in "\\PC{0,80}(;oc(-algo|-seq|-validity)?=\\PC{0,20}){0,4}") {
        let _ = (heard(&text), is_asked(&text), answered(&text, &word(1, 2, 3)));
    }

    #[test]
    fn what_we_say_is_what_is_heard(percent in 0_u8..=100, validity_ms in 0_u64..300_000, sequence in 0..10_u64.pow(17)) {
        let ours = word(percent, validity_ms, sequence);
        let via = answered(&format!("{VIA};oc;oc-algo=\"loss\""), &ours);
        prop_assert_eq!(heard(&via), Ok(Some(ours)));
        prop_assert!(is_asked(&via));
    }
}
