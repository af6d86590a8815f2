//! What we write about ourselves into the messages we send: Via with its branch, and Contact.
//!
//! A branch of ours names this run of the program and the request-URI, so that a request of ours that comes back
//! unchanged is known as a loop (RFC 3261 §16.6 step 8).

use ring::hmac;
use rsipstack::sip::{Header as SipHeader, Request};
use rsipstack::transaction::make_tag;

use super::transport::{Link, SipTransport};
use super::{feedback, uri};

use crate::hexadecimal::hexadecimal;

/// Writes Via and Contact.
#[derive(Debug, Clone)]
pub(super) struct Stamper {
    /// Seals branches; nobody else's branch has the same seal.
    seal: hmac::Key,
}

impl Stamper {
    /// With a seal made of `secret`.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { seal: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// Puts Via and Contact for `link` into a request that has none yet; a fresh branch makes a new transaction of it.
    /// `asks`: whether the far end may say in Via how many calls to keep back.
    pub(super) fn stamp(&self, request: &mut Request, link: &Link, asks: bool) {
        let branch = self.branch(&uri::text(&request.uri));
        let transport = rsipstack::sip::Transport::from(link.transport);
        let offer = if asks { feedback::OFFER } else { "" };
        let via = format!("SIP/2.0/{transport} {};branch={branch};rport{offer}", link.shown);
        let contact = contact(link);
        let mut headers = vec![SipHeader::Via(via.into())];
        headers.extend(request.headers.iter().filter(|header| !is_stamp(header)).cloned());
        let at =
            headers.iter().position(|header| matches!(header, SipHeader::CSeq(_))).map_or(headers.len(), |at| at + 1);
        headers.insert(at, SipHeader::Contact(contact.into()));
        request.headers = headers.into();
    }

    /// True when a request has been here before: one of its Vias is ours, for the same request-URI.
    pub(super) fn has_passed(&self, request: &Request) -> bool {
        let uri = uri::text(&request.uri);
        request.headers.iter().any(|header| match header {
            SipHeader::Via(via) => via.value().split(';').any(|parameter| {
                parameter.trim().strip_prefix("branch=").is_some_and(|branch| self.is_ours(branch, &uri))
            }),
            _ => false,
        })
    }

    fn branch(&self, uri: &str) -> String {
        let salt = make_tag().to_string();
        format!("z9hG4bK-{salt}-{}", self.mark(&salt, uri))
    }

    fn is_ours(&self, branch: &str, uri: &str) -> bool {
        // Of several Vias on one line, the branch ends where the next one begins.
        let branch = branch.split([',', ' ']).next().unwrap_or_default();
        let salted = branch.strip_prefix("z9hG4bK-").and_then(|rest| rest.rsplit_once('-'));
        salted.is_some_and(|(salt, mark)| mark == self.mark(salt, uri))
    }

    fn mark(&self, salt: &str, uri: &str) -> String {
        let tag = hmac::sign(&self.seal, format!("{salt} {uri}").as_bytes());
        hexadecimal(&tag.as_ref()[..8])
    }
}

/// The Contact value that far ends at the other end of `link` are shown.
pub(super) fn contact(link: &Link) -> String {
    let parameter = match link.transport {
        SipTransport::Udp => String::new(),
        other => format!(";transport={}", other.name()),
    };
    format!("<sip:calmline@{}{parameter}>", link.shown)
}

fn is_stamp(header: &SipHeader) -> bool {
    matches!(header, SipHeader::Via(_) | SipHeader::Contact(_))
}

#[cfg(test)]
mod tests {
    use rsipstack::sip::{Headers, Method, Version};

    use super::*;

    #[test]
    fn a_request_that_comes_back_is_a_loop_and_one_that_was_sent_on_elsewhere_is_not() {
        let ours = Stamper::new(&[1; 32]);
        let branch = ours.branch("sip:a@b");
        let coming = |uri: &str, via: &str| Request {
            method: Method::Invite,
            uri: uri.try_into().expect("a URI"),
            version: Version::V2,
            headers: Headers::from(vec![
                SipHeader::Via("SIP/2.0/UDP proxy;branch=z9hG4bKother".into()),
                SipHeader::Via(via.into()),
            ]),
            body: Vec::new(),
        };
        let via = format!("SIP/2.0/UDP us;rport;branch={branch}");
        assert!(ours.has_passed(&coming("sip:a@b", &via)));
        assert!(ours.has_passed(&coming("sip:a@b", &format!("{via}, SIP/2.0/UDP older;branch=z9hG4bKx"))));
        assert!(!ours.has_passed(&coming("sip:c@b", &via)), "a spiral: another request-URI");
        assert!(!Stamper::new(&[2; 32]).has_passed(&coming("sip:a@b", &via)));
        assert!(!ours.has_passed(&coming("sip:a@b", "SIP/2.0/UDP us;branch=z9hG4bK-1-2")));
    }
}
