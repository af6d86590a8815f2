//! Any bytes as a remote description: it is read or refused, and our answer to it can be read back and accepted.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::net::Ipv4Addr;

use media::sdp::{
    self, Credentials, Exchange, Fingerprint, Formats, Hash, Local, Offer, Protection, Terms, Wanted, Wishes,
};
use media::srtp::Security;
use media::{Codec, Direction};

/// Reads `bytes` as an offer under every policy, and as an answer to offers of ours.
///
/// # Panics
/// When our answer cannot be read back, or says less than was agreed.
pub fn check(bytes: &[u8]) {
    let Ok(far) = sdp::parse(&String::from_utf8_lossy(bytes)) else { return };
    let certificate = Fingerprint { hash: Hash::Sha256, octets: vec![7; 32] };
    let credentials = Credentials::new([9; Credentials::OCTETS], Some(certificate));
    for wanted in [Wanted::Never, Wanted::Optional, Wanted::Required] {
        for exchange in [Exchange::Sdes, Exchange::Dtls, Exchange::Any] {
            let protection = Protection { wanted, exchange };
            answer(&far, protection, &credentials);
            let accepted = our_offer(protection, &credentials).accept(&far);
            let unprotected = accepted.is_ok_and(|agreed| agreed.settings.security == Security::Plain);
            assert!(!(unprotected && wanted == Wanted::Required), "required, and not protected");
        }
    }
}

fn answer(far: &sdp::Session, protection: Protection, credentials: &Credentials) {
    let credentials = Some(credentials);
    let terms =
        Terms { comfort_noise: true, protection, credentials, wishes: far.wishes(), ..Terms::plain(&Codec::ALL) };
    let local = Local { address: Ipv4Addr::LOCALHOST.into(), port: 20_000, session_id: 1, version: 1 };
    let Ok((text, agreed)) = terms.answer(far, &local) else { return };
    let settings = &agreed.settings;
    assert_eq!(agreed.handshake.is_some(), settings.security == Security::Handshake);
    assert!((10..=60).contains(&settings.ptime_ms), "{} ms per packet", settings.ptime_ms);
    assert!(protection.wanted != Wanted::Required || settings.security != Security::Plain);

    let ours = sdp::parse(&text).expect("our own answer can be read");
    let read = ours.formats(Protection { wanted: Wanted::Optional, ..protection }, true).expect("it has audio");
    assert_eq!(read.codecs, [(settings.codec, settings.payload_type)], "{text}");
    assert_eq!(read.event(settings.codec).map(|(_, number)| number), settings.event_payload_type, "{text}");
    assert_eq!(read.comfort_noise, agreed.comfort_noise, "{text}");
}

fn our_offer(protection: Protection, credentials: &Credentials) -> Offer {
    let formats = Formats {
        codecs: vec![(Codec::Opus, 96), (Codec::Pcma, 8), (Codec::Pcmu, 0), (Codec::G722, 9)],
        events: vec![(8_000, 101), (48_000, 102)],
        comfort_noise: true,
    };
    Offer {
        direction: Direction::SendRecv,
        shares_port: true,
        protection,
        credentials: Some(credentials.clone()),
        wishes: Wishes { ptime_ms: Some(30), ptime_ms_max: Some(200), opus: None },
        ..Offer::plain(formats)
    }
}
