//! Protection as a trunk wants it against what the far end brings, and our own offers with their answers.

use super::far_ends::{agree, answer_under, certificate, credentials, says, suite};
use super::*;
use crate::sdp::{Agreement, Exchange, Formats, Offer, Wanted};
use crate::srtp::{Security, Suite};

const SDES: &str = include_str!("../../../fuzz/corpus/sdp/asterisk_sdes.sdp");
const DTLS: &str = include_str!("../../../fuzz/corpus/sdp/asterisk_dtls.sdp");

#[test]
fn every_policy_meets_every_offer() {
    let optimistic = SDES.replace("RTP/SAVP", "RTP/AVP");
    let unknown = SDES.replace("AES_CM_128_HMAC_SHA1_80", "AES_CM_999");
    for (offer, wanted, exchange, expected) in [
        (ASTERISK, Wanted::Never, Exchange::Any, "plain"),
        (ASTERISK, Wanted::Optional, Exchange::Any, "plain"),
        (ASTERISK, Wanted::Required, Exchange::Any, "488"),
        (SDES, Wanted::Never, Exchange::Any, "488"),
        (SDES, Wanted::Optional, Exchange::Sdes, "keys"),
        (SDES, Wanted::Required, Exchange::Any, "keys"),
        (SDES, Wanted::Required, Exchange::Dtls, "488"),
        (&optimistic, Wanted::Never, Exchange::Any, "plain"),
        (&optimistic, Wanted::Optional, Exchange::Any, "keys"),
        (&optimistic, Wanted::Optional, Exchange::Dtls, "plain"),
        (&unknown, Wanted::Optional, Exchange::Any, "488"),
        (DTLS, Wanted::Never, Exchange::Any, "488"),
        (DTLS, Wanted::Optional, Exchange::Any, "handshake"),
        (DTLS, Wanted::Required, Exchange::Dtls, "handshake"),
        (DTLS, Wanted::Required, Exchange::Sdes, "488"),
    ] {
        let got = match answer_under(offer, BOTH, Protection { wanted, exchange }) {
            Ok((_, agreed)) => security(&agreed),
            Err(error) => {
                assert_eq!(error.status(), 488, "{error}");
                "488"
            }
        };
        assert_eq!(got, expected, "{wanted:?} {exchange:?} against\n{offer}");
    }
}

#[test]
fn without_a_certificate_there_is_no_handshake() {
    let credentials = credentials(None);
    let protection = Protection { wanted: Wanted::Optional, exchange: Exchange::Any };
    let terms = Terms { protection, credentials: Some(&credentials), ..Terms::plain(BOTH) };
    let refused = terms.answer(&parse(DTLS).expect("readable"), &local()).expect_err("not without a certificate");
    assert!(refused.to_string().contains("UDP/TLS/RTP/SAVP with a fingerprint"), "{refused}");
}

#[test]
fn an_unchanged_leg_answers_with_the_same_key_and_a_new_far_key_counts() {
    let (first, before) = agree(SDES, Codec::Pcmu, Wanted::Required);
    let key = SDES.split("inline:").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a key");
    let renewed = SDES.replace(key, &"B".repeat(40));
    let (second, after) = agree(&renewed, Codec::Pcmu, Wanted::Required);
    assert_eq!(first, second, "ours stays");
    let (Security::Keys(before), Security::Keys(after)) = (&before.settings.security, &after.settings.security) else {
        panic!("both are protected");
    };
    assert_eq!(before.send, after.send);
    assert_ne!(before.receive, after.receive);
}

#[test]
fn keys_are_never_printed() {
    let session = parse(SDES).expect("readable");
    let (_, agreed) = agree(SDES, Codec::Pcmu, Wanted::Required);
    let offer = our_offer(Wanted::Required, Exchange::Any);
    let printed = format!("{session:?} {agreed:?} {offer:?}");
    let key = SDES.split("inline:").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a key");
    assert!(!printed.contains(&key[..12]) && !printed.contains("inline"), "{printed}");
    assert!(!printed.contains("[0, 1, 2"), "{printed}");
}

#[test]
fn our_offers_and_their_answers() {
    use Exchange::{Any, Dtls, Sdes};
    use Wanted::{Never, Optional, Required};
    for (wanted, exchange, transport, far, expected) in [
        (Never, Any, "RTP/AVP", (Optional, Any), "plain"),
        (Optional, Sdes, "RTP/AVP", (Never, Any), "plain"),
        (Optional, Sdes, "RTP/AVP", (Optional, Any), "keys"),
        (Optional, Sdes, "RTP/AVP", (Optional, Dtls), "plain"),
        (Optional, Dtls, "RTP/AVP", (Required, Any), "handshake"),
        (Optional, Dtls, "RTP/AVP", (Never, Any), "plain"),
        (Optional, Any, "RTP/AVP", (Never, Any), "plain"),
        (Optional, Any, "RTP/AVP", (Optional, Sdes), "keys"),
        (Optional, Any, "RTP/AVP", (Optional, Dtls), "handshake"),
        (Optional, Any, "RTP/AVP", (Optional, Any), "keys"),
        (Required, Sdes, "RTP/SAVP", (Required, Any), "keys"),
        (Required, Dtls, "UDP/TLS/RTP/SAVP", (Optional, Any), "handshake"),
        (Required, Any, "RTP/SAVP", (Optional, Sdes), "keys"),
        (Required, Any, "RTP/SAVP", (Required, Dtls), "handshake"),
    ] {
        let offer = our_offer(wanted, exchange);
        let text = offer.write(&local());
        says(
            &text,
            &[&format!("m=audio 20000 {transport} 107 8 101 102\r\n"), "a=rtpmap:101 telephone-event/8000\r\n"],
        );
        says(&text, &["a=rtpmap:102 telephone-event/48000\r\n", "a=rtcp-mux\r\n"]);

        assert_eq!(
            text.matches("a=crypto:").count(),
            if wanted != Never && exchange != Dtls { 4 } else { 0 },
            "{text}"
        );
        let setups = usize::from(wanted != Never && exchange != Sdes);
        assert_eq!((text.matches("a=setup:actpass").count(), text.matches("a=fingerprint:").count()), (setups, setups));

        let far = Protection { wanted: far.0, exchange: far.1 };
        let (answer, theirs) = far_answer(&text, far).expect("answered");
        let ours = offer.accept(&parse(&answer).expect("readable")).expect("accepted");
        assert_eq!((security(&ours), security(&theirs)), (expected, expected), "{text}\n{answer}");
        assert_eq!(ours.settings.control, ControlPort::Shared);
        if let (Security::Keys(ours), Security::Keys(theirs)) = (&ours.settings.security, &theirs.settings.security) {
            assert_eq!((&ours.send, &ours.receive), (&theirs.receive, &theirs.send));
        }
        if let (Some(ours), Some(theirs)) = (ours.handshake, theirs.handshake) {
            assert_ne!(ours.active, theirs.active, "one side begins");
            assert!(!ours.separate_control && !theirs.separate_control, "control packets share the port");
        }
    }
}

#[test]
fn a_required_offer_takes_no_plain_answer() {
    let offer = our_offer(Wanted::Required, Exchange::Sdes);
    for (answer, word) in [
        ("m=audio 4000 RTP/AVP 8\r\n", "RTP/AVP with no usable keys"),
        (
            "m=audio 4000 RTP/SAVP 8\r\na=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
            "tag 9",
        ),
    ] {
        let answer = parse(&format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{answer}")).expect("readable");
        let error = offer.accept(&answer).expect_err("not protected as offered");
        assert_eq!(error.status(), 488);
        assert!(error.to_string().contains(word), "{error}");
    }
    let answer = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/SAVP 8\r\na=setup:active\r\na=fingerprint:sha-256 ";
    let answer = parse(&format!("{answer}{}\r\n", ["4A"; 32].join(":"))).expect("readable");
    assert!(matches!(offer.accept(&answer), Err(SdpError::NoSecurity { .. })), "nobody offered a handshake");
    let without = Offer { credentials: Some(credentials(None)), ..our_offer(Wanted::Required, Exchange::Dtls) };
    let answer = parse("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 8\r\n").expect("readable");
    assert!(matches!(without.accept(&answer), Err(SdpError::NoSecurity { .. })), "no certificate is no excuse");
}

#[test]
fn the_numbers_of_both_sides_may_differ() {
    let offer = our_offer(Wanted::Never, Exchange::Any);
    let answer = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 111 110\r\na=rtpmap:111 opus/48000/2\r\n\
                  a=rtpmap:110 telephone-event/48000\r\n";
    let settings = offer.accept(&parse(answer).expect("readable")).expect("accepted").settings;
    assert_eq!((settings.payload_type, settings.payload_type_received), (111, 107));
    assert_eq!((settings.event_payload_type, settings.event_payload_type_received), (Some(110), Some(102)));
}

#[test]
fn every_suite_has_its_own_key() {
    let text = our_offer(Wanted::Optional, Exchange::Sdes).write(&local());
    let mut keys: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("inline:")).map(|(_, key)| &key[..16]).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "{text}");
    let far = Protection { wanted: Wanted::Optional, exchange: Exchange::Any };
    let (_, agreed) = far_answer(&text, far).expect("answered");
    assert_eq!(suite(&agreed), Some(Suite::AesCm128HmacSha1Tag80), "what everybody knows comes first");
}

fn our_offer(wanted: Wanted, exchange: Exchange) -> Offer {
    Offer {
        shares_port: true,
        protection: Protection { wanted, exchange },
        credentials: Some(credentials(Some(certificate()))),
        ..Offer::plain(Formats {
            codecs: vec![(Codec::Opus, 107), (Codec::Pcma, 8)],
            events: vec![(8_000, 101), (48_000, 102)],
            comfort_noise: false,
        })
    }
}

/// What a far end with other keys answers.
fn far_answer(offer: &str, protection: Protection) -> Result<(String, Agreement), SdpError> {
    let far = Credentials::new(std::array::from_fn(|place| 255 - place as u8), Some(certificate()));
    let terms = Terms { protection, credentials: Some(&far), ..Terms::plain(&[Codec::Opus]) };
    terms.answer(&parse(offer)?, &Local { port: 4_000, ..local() })
}

fn security(agreed: &Agreement) -> &'static str {
    assert_eq!(agreed.handshake.is_some(), agreed.settings.security == Security::Handshake);
    match agreed.settings.security {
        Security::Plain => "plain",
        Security::Keys(_) => "keys",
        Security::Handshake => "handshake",
    }
}
