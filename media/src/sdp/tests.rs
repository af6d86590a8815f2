//! Descriptions as real systems send them, and what must hold for any input.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::ControlPort;

mod far_ends;
mod protected;

const BOTH: &[Codec] = &[Codec::Pcmu, Codec::Pcma];
const ASTERISK: &str = include_str!("../../fuzz/corpus/sdp/asterisk_opus.sdp");
const FREESWITCH: &str = include_str!("../../fuzz/corpus/sdp/freeswitch.sdp");
const SIPP: &str = include_str!("../../fuzz/corpus/sdp/sipp.sdp");
const CARRIER: &str = include_str!("../../fuzz/corpus/sdp/carrier_sbc.sdp");
const OLD_HOLD: &str = include_str!("../../fuzz/corpus/sdp/old_hold.sdp");
const IPV6: &str = include_str!("../../fuzz/corpus/sdp/ipv6_lf.sdp");
const NO_AUDIO: &str = include_str!("../../fuzz/corpus/sdp/no_audio.sdp");

#[test]
fn asterisk_with_two_event_clocks() {
    check(
        ASTERISK,
        BOTH,
        &StreamSettings {
            control: ControlPort::Shared,
            packet_ms_max: Some(60),
            ..settings("192.0.2.10:16404", Codec::Pcmu, 0, Some(101))
        },
        &[
            "m=audio 20000 RTP/AVP 0 101",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
        ],
    );
}

#[test]
fn freeswitch_with_video_and_the_wide_event_first() {
    check(
        FREESWITCH,
        BOTH,
        &settings("198.51.100.20:27644", Codec::Pcma, 8, Some(101)),
        &["m=audio 20000 RTP/AVP 8 101", "a=fmtp:101 0-15", "m=video 0 RTP/AVP 98"],
    );
}

#[test]
fn the_answerer_limits_the_codecs() {
    let expected = settings("198.51.100.20:27644", Codec::Pcmu, 0, Some(101));
    check(FREESWITCH, &[Codec::Pcmu], &expected, &["m=audio 20000 RTP/AVP 0 101"]);
}

#[test]
fn sipp_without_events() {
    check(
        SIPP,
        BOTH,
        &settings("127.0.0.1:6000", Codec::Pcmu, 0, None),
        &["m=audio 20000 RTP/AVP 0\r\n", "a=sendrecv"],
    );
}

#[test]
fn carrier_with_fax_secure_audio_and_a_broken_origin() {
    let mut expected = settings("203.0.113.77:40002", Codec::Pcma, 8, Some(96));
    expected.direction = Direction::RecvOnly;
    expected.packet_ms_max = Some(40);
    let lines = &[
        "m=image 0 udptl t38",
        "m=audio 20000 RTP/AVP 8 96",
        "a=fmtp:96 0-15,32-35",
        "a=recvonly",
        "m=audio 0 RTP/SAVP 8",
    ];
    check(CARRIER, BOTH, &expected, lines);
}

#[test]
fn hold_by_address() {
    let mut expected = settings("192.0.2.4:5004", Codec::Pcma, 8, None);
    expected.remote = None;
    expected.direction = Direction::RecvOnly;
    check(OLD_HOLD, BOTH, &expected, &["a=recvonly"]);
}

#[test]
fn ipv6_with_bare_line_feeds_and_feedback_profile() {
    let mut expected = settings("[2001:db8::5]:5004", Codec::Pcmu, 0, Some(97));
    expected.direction = Direction::Inactive;
    check(IPV6, BOTH, &expected, &["m=audio 20000 RTP/AVPF 0 97", "a=inactive"]);
}

#[test]
fn every_direction_is_mirrored() {
    for (offered, ours, word) in [
        ("sendrecv", Direction::SendRecv, "a=sendrecv"),
        ("sendonly", Direction::RecvOnly, "a=recvonly"),
        ("recvonly", Direction::SendOnly, "a=sendonly"),
        ("inactive", Direction::Inactive, "a=inactive"),
    ] {
        let mut expected = settings("127.0.0.1:6000", Codec::Pcmu, 0, None);
        expected.direction = ours;
        check(&format!("{SIPP}a={offered}\r\n"), BOTH, &expected, &[word]);
    }
}

#[test]
fn packet_time() {
    for (lines, ms) in [
        ("a=ptime:30\r\n", 30),
        ("a=ptime:20.0\r\n", 20),
        ("a=ptime:7\r\n", 20),
        ("a=ptime:x\r\n", 20),
        ("a=maxptime:10\r\n", 10),
        ("a=ptime:60\r\na=maxptime:40\r\n", 20),
    ] {
        let (text, settings) = answered(&format!("{SIPP}{lines}"), BOTH).expect("usable");
        assert_eq!(settings.ptime_ms, ms, "{lines}");
        assert!(text.contains(&format!("a=ptime:{ms}\r\n")), "{text}");
    }
}

#[test]
fn each_side_is_told_what_the_other_wants_of_packets() {
    for (ptime_ms, ptime_ms_max, ptime, maxptime) in [
        (Some(30), Some(40), "a=ptime:30\r\n", Some("a=maxptime:40\r\n")),
        (None, Some(150), "a=ptime:20\r\n", Some("a=maxptime:60\r\n")),
        (Some(7), None, "a=ptime:20\r\n", None),
    ] {
        let wishes = Wishes { ptime_ms, ptime_ms_max, opus: None };
        let terms = Terms { wishes, ..Terms::plain(BOTH) };
        let (answer, agreed) = terms.answer(&parse(SIPP).expect("readable"), &local()).expect("usable");
        let offer = Offer { wishes, ..Offer::plain(formats(&[(Codec::Pcmu, 0)], None)) }.write(&local());
        for text in [answer, offer] {
            assert!(text.contains(ptime), "{text}");
            assert_eq!(text.lines().find(|line| line.starts_with("a=maxptime")), maxptime.map(str::trim_end), "{text}");
        }
        assert_eq!((agreed.settings.ptime_ms, agreed.settings.packet_ms_max), (20, None), "what SIPp itself wants");
    }
    for (ptime_ms, ptime) in [(30, 20), (50, 20), (40, 40), (60, 60)] {
        let wishes = Wishes { ptime_ms: Some(ptime_ms), ..Wishes::default() };
        let offer = Offer { wishes, ..Offer::plain(formats(&[(Codec::Pcmu, 0), (Codec::Opus, 96)], None)) };
        assert!(offer.write(&local()).contains(&format!("a=ptime:{ptime}\r\n")), "{ptime_ms} ms beside Opus");
    }
    let theirs = parse(&format!("{SIPP}a=ptime:30\r\na=maxptime:62.5\r\n")).expect("readable").wishes();
    assert_eq!(theirs, Wishes { ptime_ms: Some(30), ptime_ms_max: Some(62), opus: None });
}

#[test]
fn payload_types_mean_what_their_mapping_says() {
    for (formats, lines, expected) in [
        ("8", "", Some((Codec::Pcma, 8))),
        ("96", "a=rtpmap:96 pcma/8000/1\r\n", Some((Codec::Pcma, 96))),
        ("96", "a=rtpmap:96 PCMA/16000\r\n", None),
        ("96", "a=rtpmap:96 PCMA/8000/2\r\n", None),
        ("96 200 x 0", "a=rtpmap:96\r\na=rtpmap\r\n", Some((Codec::Pcmu, 0))),
        ("0", "a=rtpmap:0 PCMU/8000 \r\na=rtpmap:0 G729/8000\r\n", Some((Codec::Pcmu, 0))),
    ] {
        let offer = format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP {formats}\r\n{lines}");
        let codecs = parse(&offer).expect("readable").formats(Protection::OFF, false).expect("audio").codecs;
        let codecs: Vec<_> = codecs.into_iter().filter(|(codec, _)| BOTH.contains(codec)).collect();
        assert_eq!(codecs.first().copied(), expected, "{offer}");
    }
}

#[test]
fn what_cannot_be_used_says_so() {
    refused(NO_AUDIO, 488, "image 5006 udptl t38");
    refused("v=0\r\nm=audio 0 RTP/AVP 0\r\n", 488, "audio 0 RTP/AVP 0");
    refused("v=0\r\nm=audio 4000 RTP/SAVP 0\r\n", 488, "RTP/SAVP");
    refused("v=0\r\nm=audio 4000 RTP/AVP 18 9\r\n", 488, "found 18 9");
    refused("", 400, "found nothing");
    refused("hello", 400, "hello");
    refused("o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n", 400, "v=0 first");
    refused("v=0\r\nm=audio 70000 RTP/AVP 0\r\n", 400, "malformed");
    refused(&format!("v=0\r\n{}", "a=x\r\n".repeat(LINES_MAX)), 400, "lines");
    refused(&format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(MEDIA_MAX + 1)), 400, "media lines");
    refused(&format!("v=0\r\na={}", "x".repeat(BYTES_MAX)), 400, "bytes");
}

#[test]
fn unregistered_media_is_declined_under_its_own_name() {
    let offer = format!("{SIPP}m=hologram 7000 RTP/AVP 99\r\n");
    let (text, _) = answered(&offer, BOTH).expect("the audio is fine");
    assert!(text.contains("m=hologram 0 RTP/AVP 99\r\n"), "{text}");
}

#[test]
fn our_offer_is_answered_and_the_answer_accepted() {
    let offered = [(Codec::Pcma, 8), (Codec::Pcmu, 0)];
    let text = offer(&local(), &offered, Some(101), Direction::SendRecv);
    assert!(text.starts_with("v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\n"), "{text}");
    assert!(text.contains("m=audio 20000 RTP/AVP 8 0 101\r\n"), "{text}");

    let session = parse(&text).expect("our own offer");
    let written = session.formats(Protection::OFF, false).expect("audio");
    assert_eq!((written.codecs.as_slice(), written.events.as_slice()), (&offered[..], &[(8_000, 101)][..]));
    assert_eq!(session.version(), 1);

    let far = Local { address: Ipv4Addr::new(192, 0, 2, 9).into(), port: 4000, session_id: 1, version: 1 };
    let (text, _) = answer(&session, &far, &[Codec::Pcmu]).expect("common codec");
    let accepted = accept(&parse(&text).expect("an answer"), &offered, Some(101)).expect("accepted");
    assert_eq!(accepted, settings("192.0.2.9:4000", Codec::Pcmu, 0, Some(101)));
}

#[test]
fn answers_that_decline_or_invent() {
    let offered = [(Codec::Pcma, 8)];
    let declined = parse("v=0\r\nm=audio 0 RTP/AVP 8\r\n").expect("readable");
    assert!(matches!(accept(&declined, &offered, None), Err(SdpError::NoAudio { .. })));
    let invented = parse("v=0\r\nm=audio 4000 RTP/AVP 0\r\n").expect("readable");
    assert!(matches!(accept(&invented, &offered, None), Err(SdpError::NoCodec { .. })));
    let events = parse(ASTERISK).expect("readable");
    let accepted = accept(&events, &[(Codec::Pcmu, 0)], None).expect("PCMU");
    assert_eq!(accepted.event_payload_type, None, "events were not offered");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads the committed corpus")]
fn corpus_never_panics() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/sdp");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the committed corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
        let _ = answered(&String::from_utf8_lossy(&bytes), BOTH);
        files += 1;
    }
    assert!(files >= 7, "the corpus has {files} files");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,400}") {
        let _ = answered(&text, BOTH);
    }

    #[test]
    fn any_lines_are_read_or_refused(lines in proptest::collection::vec(line(), 0..40)) {
        let text = format!("v=0\r\n{}", lines.join("\r\n"));
        if let Ok((text, settings)) = answered(&text, BOTH) {
            let again = parse(&text).expect("our own answer can be read");
            let accepted = accept(&again, &[(settings.codec, settings.payload_type)], settings.event_payload_type);
            prop_assert_eq!(accepted.expect("our own answer is acceptable").codec, settings.codec);
        }
    }

    #[test]
    fn damaged_offers_are_read_or_refused(place in 0usize..700, byte in any::<u8>(), cut in 0usize..700) {
        for offer in [ASTERISK, FREESWITCH, CARRIER, IPV6] {
            let mut bytes = offer.as_bytes().to_vec();
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            let _ = answered(&String::from_utf8_lossy(&bytes), BOTH);
        }
    }
}

/// A line that looks like SDP.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]=[ -~]{0,30}",
        "m=(audio|video|image|x) [0-9]{1,5}(/[0-9])? (RTP/AVP|RTP/AVPF|RTP/SAVP|UDP/TLS/RTP/SAVPF|udptl) [0-9 ]{1,12}",
        "a=(rtcp|crypto|fingerprint|setup|ice-ufrag|candidate|mid|group):[ -~]{0,40}",
        "a=rtcp-mux",
        "a=(rtpmap|fmtp|ptime|maxptime):[0-9]{1,3}( [A-Za-z-]{1,16}/[0-9]{1,5})?(/[0-9])?",
        "c=IN IP[46] [0-9.:a-f/]{1,12}",
        "a=(sendonly|recvonly|inactive|sendrecv)",
    ]
}

fn local() -> Local {
    Local { address: Ipv4Addr::new(192, 0, 2, 1).into(), port: 20_000, session_id: 7, version: 1 }
}

fn settings(remote: &str, codec: Codec, payload_type: u8, event_payload_type: Option<u8>) -> StreamSettings {
    let remote = Some(remote.parse().expect("an address"));
    StreamSettings::plain(remote, codec, payload_type).with_events(event_payload_type)
}

fn answered(offer: &str, codecs: &[Codec]) -> Result<(String, StreamSettings), SdpError> {
    answer(&parse(offer)?, &local(), codecs)
}

/// Answers `offer`; `lines` must all stand in the answer, in order.
#[track_caller]
fn check(offer: &str, codecs: &[Codec], expected: &StreamSettings, lines: &[&str]) {
    let (text, settings) = answered(offer, codecs).expect("usable");
    assert_eq!(&settings, expected);
    let mut rest = text.as_str();
    for line in lines {
        let place = rest.find(line).unwrap_or_else(|| panic!("no {line:?} (in order) in\n{text}"));
        rest = &rest[place..];
    }
    let count = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(count(&text), count(offer), "every media line is answered");
}

#[track_caller]
fn refused(offer: &str, status: u16, word: &str) {
    let error = answered(offer, BOTH).expect_err("not usable");
    assert_eq!(error.status(), status, "{error}");
    assert!(error.to_string().contains(word), "{error}");
}
