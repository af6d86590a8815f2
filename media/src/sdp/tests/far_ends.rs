//! Offers in the shape that telephones, browsers and gateways write them, and what is agreed with each.

use super::*;
use crate::codec::OpusSettings;
use crate::sdp::{Credentials, Exchange, Fingerprint, Hash, Wanted};
use crate::srtp::{Security, Suite};

const CHROME: &str = include_str!("../../../fuzz/corpus/sdp/chrome.sdp");
const LINPHONE: &str = include_str!("../../../fuzz/corpus/sdp/linphone.sdp");
const BARESIP: &str = include_str!("../../../fuzz/corpus/sdp/baresip.sdp");
const RTPENGINE: &str = include_str!("../../../fuzz/corpus/sdp/rtpengine.sdp");
const CISCO: &str = include_str!("../../../fuzz/corpus/sdp/cisco_two_lines.sdp");
const ORACLE: &str = include_str!("../../../fuzz/corpus/sdp/oracle_garbage.sdp");
const LINEAR: &str = include_str!("../../../fuzz/corpus/sdp/wide_linear.sdp");
const ASTERISK_DTLS: &str = include_str!("../../../fuzz/corpus/sdp/asterisk_dtls.sdp");

#[test]
fn asterisk_gets_opus_under_its_own_number_with_the_event_of_that_clock() {
    let agreed = agree(ASTERISK, Codec::Opus, Wanted::Never);
    let settings = &agreed.1.settings;
    assert_eq!((settings.payload_type, settings.payload_type_received), (107, 107));
    assert_eq!((settings.event_payload_type, settings.event_payload_type_received), (Some(102), Some(102)));
    assert_eq!(settings.opus, OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() });
    says(
        &agreed.0,
        &[
            "m=audio 20000 RTP/AVP 107 102\r\n",
            "a=rtpmap:107 opus/48000/2\r\n",
            "a=fmtp:107 minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0\r\n",
            "a=rtpmap:102 telephone-event/48000\r\n",
            "a=maxptime:60\r\n",
            "a=rtcp-mux\r\n",
        ],
    );
}

#[test]
fn chrome_gets_a_lite_agent_a_fingerprint_and_its_bundle() {
    let (text, agreed) = agree(CHROME, Codec::Opus, Wanted::Optional);
    let settings = &agreed.settings;
    assert_eq!(settings.remote, None, "checks find the address");
    assert_eq!(settings.direction, Direction::SendRecv, "0.0.0.0 is no hold here");
    assert_eq!((settings.payload_type, settings.event_payload_type), (111, Some(110)));
    assert_eq!((settings.control, &settings.security), (ControlPort::Shared, &Security::Handshake));
    let ice = settings.ice.as_ref().expect("checks are answered");
    assert_eq!((ice.remote_name.as_str(), ice.local_name.len(), ice.local_password.len()), ("4ZcD", 8, 24));
    let handshake = agreed.handshake.expect("a handshake");
    assert_eq!((handshake.active, handshake.fingerprint.hash), (false, Hash::Sha256), "the browser knows where we are");
    says(
        &text,
        &[
            "a=ice-lite\r\n",
            "a=group:BUNDLE 0\r\n",
            "m=audio 20000 UDP/TLS/RTP/SAVPF 111 110\r\n",
            "a=mid:0\r\n",
            "a=rtcp-mux\r\n",
            "a=fingerprint:sha-256 07:07:",
            "a=setup:passive\r\n",
            &format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.local_name, ice.local_password),
            "a=candidate:1 1 UDP 2130706431 192.0.2.1 20000 typ host\r\n",
        ],
    );
    assert!(!text.contains("a=candidate:1 2"), "one port, one component: {text}");
}

#[test]
fn linphone_gets_its_first_suite_and_mono() {
    let (text, agreed) = agree(LINPHONE, Codec::Opus, Wanted::Optional);
    assert_eq!(suite(&agreed), Some(Suite::AeadAes128Gcm));
    assert_eq!(agreed.settings.event_payload_type, Some(101));
    assert_eq!(
        agreed.settings.opus,
        OpusSettings { fec: true, dtx: false, bitrate_max: Some(24_000), ..OpusSettings::default() }
    );
    says(
        &text,
        &["m=audio 20000 RTP/SAVPF 96 101\r\n", ";stereo=0;sprop-stereo=0\r\n", "a=crypto:1 AEAD_AES_128_GCM inline:"],
    );
    assert_eq!(text.matches("a=crypto").count(), 1, "{text}");
}

#[test]
fn baresip_wants_silence_left_out_and_has_events_at_8_khz_only() {
    let (text, agreed) = agree(BARESIP, Codec::Opus, Wanted::Never);
    assert_eq!(
        agreed.settings.opus,
        OpusSettings { fec: true, dtx: true, bitrate_max: None, ..OpusSettings::default() }
    );
    assert_eq!((agreed.settings.event_payload_type, agreed.settings.event_clock_hz), (Some(101), 8_000));
    assert_eq!(agreed.settings.ptime_ms, 20, "minptime wins over ptime");
    says(
        &text,
        &[
            "m=audio 20000 RTP/AVP 96 101\r\n",
            ";stereo=0;sprop-stereo=0;usedtx=1\r\n",
            "a=rtpmap:101 telephone-event/8000\r\n",
            "a=ptime:20\r\n",
        ],
    );
    let (text, agreed) = agree(BARESIP, Codec::G722, Wanted::Never);
    assert_eq!((agreed.settings.event_payload_type, agreed.settings.ptime_ms), (Some(101), 10));
    says(&text, &["m=audio 20000 RTP/AVP 9 101\r\n", "a=rtpmap:9 G722/8000\r\n"]);
}

#[test]
fn rtpengine_brings_keys_and_fingerprint_and_gets_what_is_wanted() {
    let (text, agreed) = agree(RTPENGINE, Codec::Pcma, Wanted::Required);
    assert_eq!(suite(&agreed), Some(Suite::AeadAes256Gcm));
    assert_eq!(agreed.settings.control, ControlPort::Shared);
    assert_eq!(agreed.settings.remote, Some("203.0.113.30:30014".parse().expect("an address")));
    says(&text, &["a=crypto:1 AEAD_AES_256_GCM inline:"]);
    assert!(!text.contains("fingerprint"), "{text}");

    let dtls = Protection { wanted: Wanted::Required, exchange: Exchange::Dtls };
    let (text, agreed) = answer_under(RTPENGINE, &[Codec::Pcma], dtls).expect("a fingerprint is there");
    assert_eq!(agreed.handshake.map(|handshake| handshake.fingerprint.hash), Some(Hash::Sha256), "the better hash");
    assert!(!text.contains("crypto"), "{text}");

    let apart = RTPENGINE.replace("a=rtcp-mux\r\n", "");
    let (text, agreed) = agree(&apart, Codec::Pcma, Wanted::Required);
    assert_eq!(agreed.settings.control, ControlPort::At("203.0.113.31:30020".parse().expect("an address")));
    says(&text, &["192.0.2.1 20000 typ host\r\n", "a=candidate:1 2 UDP 2130706430 192.0.2.1 20001 typ host\r\n"]);
}

#[test]
fn cisco_leaves_the_choice_of_the_line_to_us() {
    for (wanted, remote, lines) in [
        (Wanted::Never, "203.0.113.61:17044", ["m=audio 0 RTP/SAVP 0 19", "m=audio 20000 RTP/AVP 0"]),
        (Wanted::Optional, "203.0.113.60:17042", ["m=audio 20000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0 19"]),
        (Wanted::Required, "203.0.113.60:17042", ["m=audio 20000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0 19"]),
    ] {
        let (text, agreed) = agree(CISCO, Codec::Pcmu, wanted);
        assert_eq!(agreed.settings.remote, Some(remote.parse().expect("an address")));
        assert_eq!(suite(&agreed).is_some(), wanted != Wanted::Never);
        says(&text, &lines);
    }
}

#[test]
fn garbage_between_good_lines_costs_nothing() {
    let (text, agreed) = agree(ORACLE, Codec::Pcma, Wanted::Optional);
    let mut expected = settings("203.0.113.90:20200", Codec::Pcma, 8, Some(101));
    expected.ptime_ms = 20;
    assert_eq!(agreed.settings, expected);
    says(&text, &["m=audio 20000 RTP/AVP 8 101\r\n", "a=fmtp:101 0-15\r\n"]);
}

#[test]
fn linear_samples_at_the_rates_we_know() {
    let formats = parse(LINEAR).expect("readable").formats(Protection::OFF, false).expect("audio");
    assert_eq!(formats.codecs, [(Codec::L16Wide, 97), (Codec::L16Narrow, 98)]);
    let (text, agreed) = agree(LINEAR, Codec::L16Wide, Wanted::Never);
    assert_eq!((agreed.settings.event_payload_type, agreed.settings.ptime_ms), (Some(99), 30));
    says(
        &text,
        &["m=audio 20000 RTP/AVP 97 99\r\n", "a=rtpmap:97 L16/16000\r\n", "a=rtpmap:99 telephone-event/16000\r\n"],
    );
}

#[test]
fn comfort_noise_is_answered_when_it_is_wanted() {
    for (codec, wanted, formats) in
        [(Codec::Pcmu, true, "0 13 126"), (Codec::Pcmu, false, "0 126"), (Codec::Opus, true, "111 110")]
    {
        let credentials = credentials(Some(certificate()));
        let terms = Terms {
            comfort_noise: wanted,
            protection: Protection { wanted: Wanted::Optional, exchange: Exchange::Any },
            credentials: Some(&credentials),
            ..Terms::plain(std::slice::from_ref(&codec))
        };
        let (text, agreed) = terms.answer(&parse(CHROME).expect("readable"), &local()).expect("usable");
        says(&text, &[&format!("m=audio 20000 UDP/TLS/RTP/SAVPF {formats}\r\n")]);
        assert_eq!(agreed.comfort_noise, formats.contains(" 13 "));
    }
}

#[test]
fn opus_packets_keep_to_what_opus_can() {
    for (lines, ms) in [
        ("a=ptime:30", 30),
        ("a=ptime:50", 50),
        ("a=ptime:60", 60),
        ("a=ptime:120", 20),
        ("a=ptime:40\r\na=maxptime:20", 20),
        ("a=ptime:10", 10),
    ] {
        let offer = ASTERISK.replace("a=ptime:20\r\na=maxptime:60", lines);
        assert_eq!(agree(&offer, Codec::Opus, Wanted::Never).1.settings.ptime_ms, ms, "{lines}");
    }
}

#[test]
fn narrow_playback_needs_few_bits() {
    for (wishes, bitrate_max) in [
        ("maxplaybackrate=8000", Some(12_000)),
        ("maxplaybackrate=48000", None),
        ("maxplaybackrate=4000", None),
        ("maxplaybackrate=8000;maxaveragebitrate=20000", Some(20_000)),
        ("maxaveragebitrate=1", None),
        ("maxaveragebitrate", None),
    ] {
        let offer = ASTERISK.replace("useinbandfec=1", wishes);
        assert_eq!(agree(&offer, Codec::Opus, Wanted::Never).1.settings.opus.bitrate_max, bitrate_max, "{wishes}");
    }
}

#[test]
fn opus_parameters_are_kept_and_passed_on() {
    let wishes =
        "useinbandfec=0; usedtx=1;cbr=1 ;maxaveragebitrate=20000;maxplaybackrate=16000;stereo=1;sprop-stereo=1";
    let offer = ASTERISK.replace("useinbandfec=1", wishes);
    let expected = OpusSettings {
        fec: false,
        dtx: true,
        bitrate_max: Some(20_000),
        constant: true,
        playback_hz_max: Some(16_000),
    };
    let agreed = agree(&offer, Codec::Opus, Wanted::Never).1;
    assert_eq!((agreed.settings.opus, agreed.wishes.opus), (expected, Some(expected)));

    // Whoever will be heard there is told.
    let told =
        "useinbandfec=1;stereo=0;sprop-stereo=0;usedtx=1;cbr=1;maxaveragebitrate=20000;maxplaybackrate=16000\r\n";
    let far = Offer { wishes: agreed.wishes, ..Offer::plain(super::formats(&[(Codec::Opus, 96)], None)) };
    says(&far.write(&local()), &["a=fmtp:96 minptime=10;", told]);
    let terms = Terms { wishes: agreed.wishes, ..Terms::plain(&[Codec::Opus]) };
    let (answer, _) = terms.answer(&parse(ASTERISK).expect("readable"), &local()).expect("usable");
    says(&answer, &["a=fmtp:107 minptime=10;", told]);
}

#[test]
fn events_are_agreed_at_a_clock_that_both_know() {
    let ours = |events: &[(u32, u8)]| {
        Offer::plain(Formats { codecs: vec![(Codec::Opus, 107)], events: events.to_vec(), comfort_noise: false })
    };
    let theirs = parse(&ASTERISK.replace("107 0 8 101 102", "107 101")).expect("readable");
    for (events, agreed) in [
        (&[(48_000, 96), (8_000, 97)][..], (8_000, Some(101), Some(97))),
        (&[(48_000, 96)], (48_000, None, None)),
        (&[], (48_000, None, None)),
    ] {
        let settings = ours(events).accept(&theirs).expect("usable").settings;
        let got = (settings.event_clock_hz, settings.event_payload_type, settings.event_payload_type_received);
        assert_eq!(got, agreed, "{events:?}");
    }
}

#[test]
fn whoever_can_be_reached_is_called_by_us() {
    let (text, agreed) = agree(ASTERISK_DTLS, Codec::Opus, Wanted::Optional);
    assert!(agreed.handshake.expect("a handshake").active);
    says(&text, &["m=audio 20000 UDP/TLS/RTP/SAVP 107 102\r\n", "a=setup:active\r\n"]);
    for (theirs, ours) in [("active", "passive"), ("passive", "active"), ("holdconn", "passive")] {
        let offer = ASTERISK_DTLS.replace("a=setup:actpass", &format!("a=setup:{theirs}"));
        says(&agree(&offer, Codec::Opus, Wanted::Optional).0, &[&format!("a=setup:{ours}\r\n")]);
    }
    let credentials = credentials(Some(certificate()));
    let terms = Terms {
        protection: Protection { wanted: Wanted::Optional, exchange: Exchange::Any },
        credentials: Some(&credentials),
        active: Some(false),
        ..Terms::plain(&[Codec::Opus])
    };
    let (text, _) = terms.answer(&parse(ASTERISK_DTLS).expect("readable"), &local()).expect("usable");
    says(&text, &["a=setup:passive\r\n"]);
}

/// What is behind an address translation has to come out of it first.
#[test]
fn whoever_shows_a_private_address_to_a_public_one_calls_us() {
    let credentials = credentials(Some(certificate()));
    let protection = Protection { wanted: Wanted::Optional, exchange: Exchange::Any };
    let terms = Terms { protection, credentials: Some(&credentials), ..Terms::plain(&[Codec::Opus]) };
    for (theirs, ours, setup) in [
        ("192.168.1.9", "203.0.113.1", "passive"),
        ("100.64.0.9", "203.0.113.1", "passive"),
        ("192.168.1.9", "10.0.0.1", "active"),
        ("203.0.113.9", "10.0.0.1", "active"),
        ("127.0.0.1", "127.0.0.1", "active"),
    ] {
        let offer = ASTERISK_DTLS.replace("c=IN IP4 192.0.2.10", &format!("c=IN IP4 {theirs}"));
        let shown = Local { address: ours.parse().expect("an address"), ..local() };
        let (text, _) = terms.answer(&parse(&offer).expect("readable"), &shown).expect("usable");
        says(&text, &[&format!("a=setup:{setup}\r\n")]);
    }
}

#[test]
fn fingerprints() {
    let good = Fingerprint { hash: Hash::Sha1, octets: (0..20).collect() };
    assert_eq!(Fingerprint::parse(&good.to_string()).as_ref(), Some(&good));
    for bad in ["", "sha-256", "sha-256 00", "md5 00:11", "sha-1 0:1:2", &good.to_string().replace("0A", "0Z")] {
        assert_eq!(Fingerprint::parse(bad), None, "{bad}");
    }
}

/// The answer with `codec`, with keys or handshake if `wanted`.
#[track_caller]
pub(super) fn agree(offer: &str, codec: Codec, wanted: Wanted) -> (String, Agreement) {
    answer_under(offer, &[codec], Protection { wanted, exchange: Exchange::Any }).expect("usable")
}

pub(super) fn answer_under(
    offer: &str,
    codecs: &[Codec],
    protection: Protection,
) -> Result<(String, Agreement), SdpError> {
    let credentials = credentials(Some(certificate()));
    let terms = Terms { protection, credentials: Some(&credentials), ..Terms::plain(codecs) };
    terms.answer(&parse(offer)?, &local())
}

pub(super) fn credentials(fingerprint: Option<Fingerprint>) -> Credentials {
    Credentials::new(std::array::from_fn(|place| place as u8), fingerprint)
}

pub(super) fn certificate() -> Fingerprint {
    Fingerprint { hash: Hash::Sha256, octets: vec![7; 32] }
}

pub(super) fn suite(agreed: &Agreement) -> Option<Suite> {
    match &agreed.settings.security {
        Security::Keys(keys) => {
            assert_eq!(keys.send.suite(), keys.receive.suite());
            assert_ne!(keys.send, keys.receive);
            Some(keys.send.suite())
        }
        Security::Plain | Security::Handshake => None,
    }
}

/// All of `parts` stand in `text`, in order.
#[track_caller]
pub(super) fn says(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let place = rest.find(part).unwrap_or_else(|| panic!("no {part:?} (in order) in\n{text}"));
        rest = &rest[place + part.len()..];
    }
}
