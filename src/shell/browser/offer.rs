//! What a browser offers (RFC 8829): one bundle of one audio stream with Opus, protected by DTLS-SRTP, and nothing else.
//!
//! Candidates of the offer are places that we would send packets to: only those are left in it that can be the browser's.
//! They are judged as the library that sends reads them: what we answer is written anew from what was read.

use std::io::Cursor;
use std::net::IpAddr;

use rtc::ice::candidate::unmarshal_candidate;
use rtc::sdp::description::common::Attribute;
use rtc::sdp::{MediaDescription, SessionDescription};
use webrtc::peer_connection::RTCSessionDescription;

use super::ours::Ours;

/// Candidates of one browser; more are no browser's.
pub(super) const CANDIDATES_MAX: usize = 32;

/// A browser's offer, looked at.
#[derive(Debug)]
pub(super) struct Offer {
    /// It, with the candidates that are left.
    pub(super) description: RTCSessionDescription,
    /// The payload type that it gives Opus.
    pub(super) opus: u8,
    /// Whether the browser may send audio.
    pub(super) speaks: bool,
}

/// Reads an offer that comes to us.
///
/// # Errors
/// What was expected, and what was found instead.
pub(super) fn read(text: &str, ours: &Ours) -> Result<Offer, String> {
    let unreadable = |error| format!("no session description (RFC 8866): {error}");
    let mut session = SessionDescription::unmarshal(&mut Cursor::new(text)).map_err(unreadable)?;
    keep_sound_candidates(&mut session, ours)?;
    let description = RTCSessionDescription::offer(session.marshal()).map_err(unreadable)?;
    let [audio] = session.media_descriptions.as_slice() else {
        let found = session.media_descriptions.len();
        return Err(format!("expected one m= section, for audio, and found {found}"));
    };
    let name = &audio.media_name;
    if name.media != "audio" {
        return Err(format!("expected m=audio, and found m={}", shortened(&name.media)));
    }
    if name.protos != ["UDP", "TLS", "RTP", "SAVPF"] {
        let found = shortened(&name.protos.join("/")).to_owned();
        return Err(format!("expected UDP/TLS/RTP/SAVPF (RFC 5764), and found {found}"));
    }
    let opus = opus(audio).ok_or("expected opus/48000 (RFC 7587) in the offer, and found none")?;
    for key in ["ice-ufrag", "ice-pwd"] {
        if session.attribute(key).is_none() && audio.attribute(key).flatten().is_none() {
            return Err(format!("expected ICE: a={key} is missing"));
        }
    }
    check_fingerprints(&session, audio)?;
    if !audio.has_attribute("rtcp-mux") {
        return Err("expected a=rtcp-mux (RFC 5761): it is missing".to_owned());
    }
    let speaks = speaks(&session, audio)?;
    Ok(Offer { description, opus, speaks })
}

/// The payload type of Opus.
fn opus(audio: &MediaDescription) -> Option<u8> {
    let codecs = audio.codecs();
    let offered = audio.media_name.formats.iter().filter_map(|format| format.parse::<u8>().ok());
    offered.into_iter().find(|number| {
        codecs.get(number).is_some_and(|codec| codec.name.eq_ignore_ascii_case("opus") && codec.clock_rate == 48_000)
    })
}

/// Whether the browser may send; it has to hear.
fn speaks(session: &SessionDescription, audio: &MediaDescription) -> Result<bool, String> {
    let says = |key: &str| audio.has_attribute(key) || session.attributes.iter().any(|each| each.key == key);
    match (says("sendonly"), says("inactive"), says("recvonly")) {
        (false, false, recvonly) => Ok(!recvonly),
        _ => Err("expected a=sendrecv or a=recvonly: whoever speaks hears, too".to_owned()),
    }
}

/// Refuses certificates that nobody is known by, or by an old digest (RFC 8122 §5 asks for SHA-256).
fn check_fingerprints(session: &SessionDescription, audio: &MediaDescription) -> Result<(), String> {
    let all = session.attributes.iter().chain(&audio.attributes).filter(|each| each.key == "fingerprint");
    let digests: Vec<&str> = all.map(|each| digest(each.value.as_deref().unwrap_or_default())).collect();
    match digests.iter().find(|digest| !digest.eq_ignore_ascii_case("sha-256")) {
        Some(other) => Err(format!("expected a=fingerprint:sha-256, and found {}", shortened(other))),
        None if digests.is_empty() => Err("expected a certificate's a=fingerprint:sha-256: it is missing".to_owned()),
        None => Ok(()),
    }
}

/// The name of a fingerprint's digest.
fn digest(fingerprint: &str) -> &str {
    fingerprint.split(' ').next().unwrap_or_default()
}

/// Takes the candidates out that nothing is sent to: names, other transports than UDP, addresses that cannot be a browser's,
/// and what the library would not understand.
fn keep_sound_candidates(session: &mut SessionDescription, ours: &Ours) -> Result<(), String> {
    let media = session.media_descriptions.iter_mut().map(|media| &mut media.attributes);
    let mut candidates = 0;
    for attributes in std::iter::once(&mut session.attributes).chain(media) {
        attributes.retain(|each| !each.is_ice_candidate() || is_sound(each, ours));
        candidates += attributes.iter().filter(|each| each.is_ice_candidate()).count();
    }
    if candidates > CANDIDATES_MAX {
        return Err(format!("expected at most {CANDIDATES_MAX} candidates, and found {candidates}"));
    }
    Ok(())
}

/// Whether a candidate (RFC 8839 §5.1) is one for RTP over UDP at an address that can be a browser's.
fn is_sound(candidate: &Attribute, ours: &Ours) -> bool {
    let Some(Ok(candidate)) = candidate.value.as_deref().map(unmarshal_candidate) else { return false };
    let address = candidate.address().parse::<IpAddr>();
    let is_for_rtp = candidate.component() == 1 && candidate.network_type().is_udp() && candidate.port() != 0;
    is_for_rtp && address.is_ok_and(|address| is_a_browsers(address.to_canonical(), ours))
}

fn is_a_browsers(address: IpAddr, ours: &Ours) -> bool {
    if address.is_unspecified() || address.is_multicast() || ours.has(address) {
        return false;
    }
    match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

/// What was found, for whoever reads of it.
fn shortened(found: &str) -> &str {
    found.get(..40).unwrap_or(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 63 109\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=rtcp-mux\r\n\
        a=sendrecv\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:109 opus/48000/2\r\n\
        a=candidate:1 1 udp 2113937151 192.0.2.99 50000 typ host\r\n";

    #[test]
    fn an_offer_of_a_browser_is_taken() {
        let offer = read(OFFER, &here()).expect("an offer");
        assert_eq!((offer.opus, offer.speaks), (109, true));
        let listens = OFFER.replace("sendrecv", "recvonly");
        assert!(!read(&listens, &here()).expect("an offer").speaks);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (was, is, word) in [
            ("v=0", "hello", "session description"),
            ("m=audio 9", "m=video 9", "m=video"),
            ("a=rtpmap:109 opus/48000/2\r\n", "", "opus"),
            ("a=fingerprint:sha-256 AA:BB\r\n", "", "fingerprint"),
            ("a=fingerprint:sha-256", "a=fingerprint:sha-1", "found sha-1"),
            ("a=fingerprint:sha-256 AA:BB", "a=fingerprint", "a=fingerprint:sha-256"),
            ("t=0 0\r\n", "t=0 0\r\na=fingerprint:md5 AA\r\n", "found md5"),
            ("a=ice-pwd:0123456789012345678901234\r\n", "", "ice-pwd"),
            ("a=rtcp-mux\r\n", "", "rtcp-mux"),
            ("a=sendrecv", "a=sendonly", "sendrecv"),
            ("a=sendrecv", "a=inactive", "sendrecv"),
            ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "RTP/AVP"),
        ] {
            let why = read(&OFFER.replace(was, is), &here()).expect_err(word);
            assert!(why.contains(word), "{why}");
        }
        let data = format!("{OFFER}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
        assert!(read(&data, &here()).expect_err("two sections").contains("found 2"));
        let many = format!("{OFFER}{}", "a=candidate:1 1 udp 1 192.0.2.9 5000 typ host\r\n".repeat(CANDIDATES_MAX));
        assert!(read(&many, &here()).expect_err("too many").contains("candidates"));
    }

    #[test]
    fn packets_go_to_browsers_only() {
        for (candidate, there) in [
            ("1 1 udp 1 10.0.0.7 5000 typ host", true),
            ("1 1 UDP 1 2001:db8::7 5000 typ host", true),
            ("1 1 udp 1 198.51.100.9 5000 typ srflx raddr 10.0.0.7 rport 5000", true),
            ("1 1 udp 1 127.0.0.1 25 typ host", false),
            ("1 1 udp 1 ::ffff:127.0.0.1 25 typ host", false),
            ("1 1 udp 1 127.0.0.1 25 typ relay raddr 10.0.0.7 rport 5000", false),
            ("1 1 udp 1 192.0.2.20 5060 typ host", false),
            ("1 1 udp 1 198.51.100.20 5060 typ srflx raddr 10.0.0.7 rport 5000", false),
            ("1 1 udp 1 ::ffff:198.51.100.20 5060 typ host", false),
            ("1 1 udp 1 224.0.0.1 25 typ host", false),
            ("1 1 udp 1 169.254.169.254 80 typ host", false),
            ("1 1 udp 1 fe80::1 80 typ host", false),
            ("1 1 udp 1 0.0.0.0 80 typ host", false),
            ("1 1 tcp 1 10.0.0.7 80 typ host tcptype passive", false),
            ("1 2 udp 1 10.0.0.7 80 typ host", false),
            ("1 1 udp 1 10.0.0.7 0 typ host", false),
            ("1 1 udp 1 4f6a.local 80 typ host", false),
            ("1 1 udp", false),
        ] {
            let left = left(&format!("{OFFER}a=candidate:{candidate}\r\n"), &here());
            assert_eq!(left.len(), 1 + usize::from(there), "{candidate}: {left:?}");
        }
        let itself = Ours::at(IpAddr::from([127, 0, 0, 1]), []);
        assert_eq!(left(&format!("{OFFER}a=candidate:1 1 udp 1 127.0.0.1 5000 typ host\r\n"), &itself).len(), 2);
    }

    #[test]
    fn no_spelling_of_a_candidate_gets_past() {
        for hidden in [
            "a= candidate:1 1 udp 1 127.0.0.1 5060 typ host",
            "\ra=candidate:1 1 udp 1 127.0.0.1 5060 typ host",
            "\r\r\na=candidate:1 1 udp 1 127.0.0.1 5060 typ host",
            "a=candidate:1\u{b}1\u{b}udp\u{b}1\u{b}127.0.0.1\u{b}5060\u{b}typ\u{b}host",
            "a=candidate:1\u{a0}1 udp 1 127.0.0.1 5060 typ host",
            "a=candidate: 1 1 udp 1 127.0.0.1 5060 typ host",
            "a=\u{2003}candidate:1 1 udp 1 127.0.0.1 5060 typ host",
            "a=candidate:1 1 udp 1 192.0.2.99 5060 x host typ 127.0.0.1\ra=candidate:1 1 udp 1 127.0.0.1 5060 typ host",
        ] {
            let left = left(&format!("{OFFER}{hidden}\r\n"), &here());
            assert_eq!(left[0], IpAddr::from([192, 0, 2, 99]));
            assert!(left.iter().all(|address| !address.is_loopback()), "{hidden:?}: {left:?}");
        }
        let session = OFFER.replace("t=0 0\r\n", "t=0 0\r\na= candidate:1 1 udp 1 127.0.0.1 5060 typ host\r\n");
        assert!(left(&session, &here()).iter().all(|address| !address.is_loopback()));
    }

    /// Anything, or a candidate of ours behind white space of many kinds.
    const LINE: &str = concat!(
        r"(?s:.{0,40})|",
        r"[\r\n]{0,2}a=\s?candidate:\s?1\s1\sudp\s1\s(127\.0\.0\.1|10\.0\.0\.7)\s5060\styp\shost",
    );

    proptest! {
        /// Whatever comes is taken or refused in words; an offer with lines lost, doubled or garbled, too. What is left of
        /// it sends nothing to us.
        #[test]
        fn anything_is_answered(
            garbage in ".{0,300}",
            changes in prop::collection::vec((0_usize..20, 0_usize..3, LINE), 0..6),
        ) {
            let _ = read(&garbage, &here());
            let mut lines: Vec<String> = OFFER.lines().map(str::to_owned).collect();
            for (at, how, text) in changes {
                let at = at % lines.len();
                match how {
                    0 if lines.len() > 1 => drop(lines.remove(at)),
                    1 => lines.insert(at, text),
                    _ => lines[at].push_str(&text),
                }
            }
            if let Ok(offer) = read(&lines.join("\r\n"), &here()) {
                let left = places(&offer.description);
                prop_assert!(left.len() <= CANDIDATES_MAX);
                prop_assert!(left.iter().all(|address| is_a_browsers(*address, &here())), "{left:?}");
            }
        }
    }

    fn here() -> Ours {
        Ours::at(IpAddr::from([192, 0, 2, 20]), [IpAddr::from([198, 51, 100, 20])])
    }

    /// Where packets may go to, as the library reads the offer that it is given.
    #[track_caller]
    fn left(text: &str, ours: &Ours) -> Vec<IpAddr> {
        places(&read(text, ours).expect("an offer").description)
    }

    fn places(description: &RTCSessionDescription) -> Vec<IpAddr> {
        let session = description.unmarshal().expect("it was read before");
        let media = session.media_descriptions.iter().flat_map(|media| &media.attributes);
        let candidates = session.attributes.iter().chain(media).filter(|each| each.is_ice_candidate());
        let address = |each: &Attribute| {
            let candidate = unmarshal_candidate(each.value.as_deref().unwrap_or_default()).expect("a candidate");
            candidate.addr().ip().to_canonical()
        };
        candidates.map(address).collect()
    }
}
