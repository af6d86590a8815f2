//! The token that opens the API, compared in constant time.
//!
//! Read from `Authorization: Bearer` (RFC 6750 §2.1), or, for browsers' WebSockets, which cannot set headers, from
//! the subprotocol `bearer.TOKEN`. Never from the URL, which ends up in logs.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use ring::hmac;
use ring::rand::SystemRandom;

use super::WebError;
use crate::settings::Token;

/// The prefix of the WebSocket subprotocol that carries the token.
pub(super) const PROTOCOL_PREFIX: &str = "bearer.";

/// Recognises the token without holding it.
pub(super) struct Gate {
    key: hmac::Key,
    expected: hmac::Tag,
}

impl Gate {
    /// A gate that opens to `token` only.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new(token: &Token) -> Result<Self, WebError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| WebError::Random)?;
        let expected = hmac::sign(&key, token.reveal().as_bytes());
        Ok(Self { key, expected })
    }

    /// True when the request carries the token.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let presented = bearer(headers).or_else(|| protocol(headers));
        presented.is_some_and(|token| hmac::verify(&self.key, token.as_bytes(), self.expected.as_ref()).is_ok())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn protocol(headers: &HeaderMap) -> Option<&str> {
    let upgrade = headers.get(UPGRADE)?.to_str().ok()?;
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    bearer_protocol(headers)?.strip_prefix(PROTOCOL_PREFIX)
}

/// The offered subprotocol that carries a token, whole.
pub(super) fn bearer_protocol(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|offered| offered.starts_with(PROTOCOL_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn bearer_headers() {
        check(&[("authorization", "Bearer 0123456789abcdef")], true);
        check(&[("authorization", "bearer  0123456789abcdef ")], true);
        check(&[("authorization", "Bearer 0123456789abcdeF")], false);
        check(&[("authorization", "Bearer 0123456789abcdef0")], false);
        check(&[("authorization", "Bearer ")], false);
        check(&[("authorization", "Basic 0123456789abcdef")], false);
        check(&[("authorization", "0123456789abcdef")], false);
        check(&[], false);
    }

    #[test]
    fn subprotocols_only_on_websockets() {
        let offer = ("sec-websocket-protocol", "calmline.v1, bearer.0123456789abcdef");
        check(&[("upgrade", "WebSocket"), offer], true);
        check(&[offer], false);
        check(&[("upgrade", "h2c"), offer], false);
        check(&[("upgrade", "websocket"), ("sec-websocket-protocol", "0123456789abcdef")], false);
    }

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        let gate = Gate::new(&Token::new(TOKEN).expect("a good token")).expect("random numbers");
        assert_eq!(gate.admits(&map), expected, "{headers:?}");
    }
}
