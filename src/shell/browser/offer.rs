//! What a browser offers (RFC 8829): one bundle of one audio stream with Opus, protected by DTLS-SRTP, and nothing else.
//!
//! Candidates of the offer are places that we would send packets to: only those are left in it that can be the browser's.

use std::net::IpAddr;

use rtc::sdp::MediaDescription;
use rtc::sdp::SessionDescription;
use webrtc::peer_connection::RTCSessionDescription;

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

/// Reads an offer that comes to `local`.
///
/// # Errors
/// What was expected, and what was found instead.
pub(super) fn read(text: &str, local: IpAddr) -> Result<Offer, String> {
    let text = with_sound_candidates(text, local)?;
    let description =
        RTCSessionDescription::offer(text).map_err(|error| format!("no session description (RFC 8866): {error}"))?;
    let session = description.unmarshal().map_err(|error| format!("no session description (RFC 8866): {error}"))?;
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
    for (key, what) in [("fingerprint", "a certificate's fingerprint"), ("ice-ufrag", "ICE"), ("ice-pwd", "ICE")] {
        if session.attribute(key).is_none() && audio.attribute(key).flatten().is_none() {
            return Err(format!("expected {what}: a={key} is missing"));
        }
    }
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

/// The text without the candidates that nothing is sent to: names, other transports than UDP, addresses that cannot be a
/// browser's.
fn with_sound_candidates(text: &str, local: IpAddr) -> Result<String, String> {
    let (mut kept, mut candidates) = (String::with_capacity(text.len() + 64), 0);
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if let Some(candidate) = line.strip_prefix("a=candidate:") {
            if !is_sound(candidate, local) {
                continue;
            }
            candidates += 1;
            if candidates > CANDIDATES_MAX {
                return Err(format!("expected at most {CANDIDATES_MAX} candidates, and found more"));
            }
        }
        kept.push_str(line);
        kept.push_str("\r\n");
    }
    Ok(kept)
}

/// Whether a candidate (RFC 8839 §5.1) is one for RTP over UDP at an address that can be a browser's.
fn is_sound(candidate: &str, local: IpAddr) -> bool {
    let mut words = candidate.split_ascii_whitespace().skip(1);
    let (component, transport) = (words.next(), words.next());
    let address = words.nth(1).and_then(|word| word.parse::<IpAddr>().ok());
    let is_udp = transport.is_some_and(|transport| transport.eq_ignore_ascii_case("udp"));
    component == Some("1") && is_udp && address.is_some_and(|address| is_a_browsers(address.to_canonical(), local))
}

fn is_a_browsers(address: IpAddr, local: IpAddr) -> bool {
    if address.is_unspecified() || address.is_multicast() || (address.is_loopback() && !local.is_loopback()) {
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 20));
    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 63 109\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=rtcp-mux\r\n\
        a=sendrecv\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:109 opus/48000/2\r\n\
        a=candidate:1 1 udp 2113937151 192.0.2.99 50000 typ host\r\n";

    #[test]
    fn an_offer_of_a_browser_is_taken() {
        let offer = read(OFFER, HERE).expect("an offer");
        assert_eq!((offer.opus, offer.speaks), (109, true));
        let listens = OFFER.replace("sendrecv", "recvonly");
        assert!(!read(&listens, HERE).expect("an offer").speaks);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (was, is, word) in [
            ("v=0", "hello", "session description"),
            ("m=audio 9", "m=video 9", "m=video"),
            ("a=rtpmap:109 opus/48000/2\r\n", "", "opus"),
            ("a=fingerprint:sha-256 AA:BB\r\n", "", "fingerprint"),
            ("a=ice-pwd:0123456789012345678901234\r\n", "", "ice-pwd"),
            ("a=rtcp-mux\r\n", "", "rtcp-mux"),
            ("a=sendrecv", "a=sendonly", "sendrecv"),
            ("a=sendrecv", "a=inactive", "sendrecv"),
            ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "RTP/AVP"),
        ] {
            let why = read(&OFFER.replace(was, is), HERE).expect_err(word);
            assert!(why.contains(word), "{why}");
        }
        let data = format!("{OFFER}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
        assert!(read(&data, HERE).expect_err("two sections").contains("found 2"));
        let many = format!("{OFFER}{}", "a=candidate:1 1 udp 1 192.0.2.9 5000 typ host\r\n".repeat(CANDIDATES_MAX));
        assert!(read(&many, HERE).expect_err("too many").contains("candidates"));
    }

    #[test]
    fn packets_go_to_browsers_only() {
        let is_left = |candidate: &str, local: IpAddr| {
            let text = format!("{OFFER}a=candidate:{candidate}\r\n");
            read(&text, local).expect("an offer").description.sdp.contains(candidate)
        };
        for (candidate, there) in [
            ("1 1 udp 1 10.0.0.7 5000 typ host", true),
            ("1 1 UDP 1 2001:db8::7 5000 typ host", true),
            ("1 1 udp 1 127.0.0.1 25 typ host", false),
            ("1 1 udp 1 ::ffff:127.0.0.1 25 typ host", false),
            ("1 1 udp 1 224.0.0.1 25 typ host", false),
            ("1 1 udp 1 169.254.169.254 80 typ host", false),
            ("1 1 udp 1 fe80::1 80 typ host", false),
            ("1 1 udp 1 0.0.0.0 80 typ host", false),
            ("1 1 tcp 1 10.0.0.7 80 typ host tcptype passive", false),
            ("1 2 udp 1 10.0.0.7 80 typ host", false),
            ("1 1 udp 1 4f6a.local 80 typ host", false),
            ("1 1 udp", false),
        ] {
            assert_eq!(is_left(candidate, HERE), there, "{candidate}");
        }
        assert!(is_left("1 1 udp 1 127.0.0.1 5000 typ host", IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)));
    }

    proptest! {
        /// Whatever comes is taken or refused in words; an offer with lines lost, doubled or garbled, too.
        #[test]
        fn anything_is_answered(
            garbage in ".{0,300}",
            changes in prop::collection::vec((0_usize..20, 0_usize..3, ".{0,40}"), 0..6),
        ) {
            let _ = read(&garbage, HERE);
            let mut lines: Vec<String> = OFFER.lines().map(str::to_owned).collect();
            for (at, how, text) in changes {
                let at = at % lines.len();
                match how {
                    0 if lines.len() > 1 => drop(lines.remove(at)),
                    1 => lines.insert(at, text),
                    _ => lines[at].push_str(&text),
                }
            }
            if let Ok(offer) = read(&lines.join("\r\n"), HERE) {
                let left = offer.description.sdp.matches("a=candidate:").count();
                prop_assert!(left <= CANDIDATES_MAX);
            }
        }
    }
}
