//! Any datagram as a connectivity check: what is answered is well formed STUN, and nobody gets in without the password.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::net::SocketAddr;

use media::IceCredentials;
use media::stun::{Answer, is_stun, respond};

/// Answers `datagram` with the credentials of RFC 5769 and with others.
///
/// # Panics
/// When an answer is wrong.
pub fn check(datagram: &[u8]) {
    let from = SocketAddr::from(([192, 0, 2, 1], 32_853));
    for (password, known) in [("VOkJxbRl1RmTxUk/WvJxBt", true), ("another", false)] {
        let credentials = IceCredentials {
            local_name: "evtj".to_owned(),
            local_password: password.to_owned(),
            remote_name: "h6vY".to_owned(),
        };
        let mut out = Vec::new();
        let answer = respond(datagram, from, &credentials, &mut out);
        assert!(known || !matches!(answer, Answer::Responded { .. }), "answered without the password");
        assert_eq!(out.is_empty(), matches!(answer, Answer::Ignored(_)), "{answer:?}");
        if !out.is_empty() {
            assert!(is_stun(datagram) && is_stun(&out), "{answer:?}");
            assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])) + 20, out.len());
            assert_eq!(out[4..20], datagram[4..20], "cookie and transaction");
            let again = respond(&out, from, &credentials, &mut Vec::new());
            assert!(matches!(again, Answer::Ignored(_)), "an answer is answered: {again:?}");
        }
    }
}
