//! Any bytes as a remote description: it is read or refused, and our answer to it can be read back.
#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use media::Codec;
use media::sdp::{self, Local};

fuzz_target!(|bytes: &[u8]| {
    let Ok(offer) = sdp::parse(&String::from_utf8_lossy(bytes)) else { return };
    let local = Local { address: Ipv4Addr::LOCALHOST.into(), port: 20_000, session_id: 1, version: 1 };
    if let Ok((text, settings)) = sdp::answer(&offer, &local, &[Codec::Pcmu, Codec::Pcma]) {
        let answer = sdp::parse(&text).expect("our own answer can be read");
        sdp::accept(&answer, &[(settings.codec, settings.payload_type)], settings.event_payload_type)
            .expect("our own answer can be accepted");
    }
});
