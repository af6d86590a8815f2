//! STUN and TURN servers as they are asked: with passwords for some hours, made of a secret that the TURN server knows, too
//! (coturn's `use-auth-secret`; draft-uberti-behave-turn-rest-00). So no password for good ever reaches a browser.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde::Serialize;
use utoipa::ToSchema;
use webrtc::peer_connection::RTCIceServer;

use super::Terms;
use crate::settings::Token;

/// Servers that share a user and a password, as browsers are told of them (W3C `RTCIceServer`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IceServer {
    /// Their addresses.
    pub urls: Vec<String>,
    /// Who asks; nobody where no password is needed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential: String,
}

impl Terms {
    /// The servers, for whoever asks them from now on.
    pub(super) fn servers(&self) -> Vec<IceServer> {
        let stun = &self.settings.stun;
        let stun = (!stun.is_empty()).then(|| IceServer {
            urls: stun.clone(),
            username: String::new(),
            credential: String::new(),
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let turn = self.turn_secret.as_ref().map(|secret| {
            let (username, credential) = password(secret, now + self.passwords_for);
            IceServer { urls: self.settings.turn.clone(), username, credential }
        });
        stun.into_iter().chain(turn).collect()
    }
}

/// A user and a password that are good until then.
fn password(secret: &Token, until: Duration) -> (String, String) {
    let user = format!("{}:calmline", until.as_secs());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.reveal().as_bytes());
    let password = BASE64_STANDARD.encode(hmac::sign(&key, user.as_bytes()));
    (user, password)
}

impl From<IceServer> for RTCIceServer {
    fn from(server: IceServer) -> Self {
        let IceServer { urls, username, credential } = server;
        RTCIceServer { urls, username, credential }
    }
}

/// Whether the library goes by a TURN server: by UDP without TLS alone. Browsers go by all.
pub(super) fn is_for_us(server: &str) -> bool {
    server.starts_with("turn:") && !server.ends_with("?transport=tcp")
}

/// How long passwords are good where no call is longer than `call`: an allocation is refreshed with the one that it began
/// with, which a browser may have asked for a while before.
pub(super) fn passwords_for(call: Duration) -> Duration {
    (call + ASKED_BEFORE).max(GOOD_FOR_MIN)
}

const GOOD_FOR_MIN: Duration = Duration::from_secs(6 * 3_600);
/// Between the question for servers and the connection that goes by them; a good deal more than both wait.
const ASKED_BEFORE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_outlive_calls() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        assert_eq!(passwords_for(hours(4)), hours(6));
        assert_eq!(passwords_for(hours(168)), hours(168) + ASKED_BEFORE);
    }

    #[test]
    fn we_go_by_udp_alone() {
        for (server, ours) in [
            ("turn:turn.example.com", true),
            ("turn:turn.example.com:3478?transport=udp", true),
            ("turn:turn.example.com:3478?transport=tcp", false),
            ("turns:turn.example.com:5349", false),
        ] {
            assert_eq!(is_for_us(server), ours, "{server}");
        }
    }

    #[test]
    fn passwords_are_those_that_coturn_expects() {
        let secret = Token::new("north-south-east-west").expect("long enough");
        let (user, password) = password(&secret, Duration::from_secs(1_700_000_000));
        assert_eq!(user, "1700000000:calmline");
        // `printf 1700000000:calmline | openssl dgst -sha1 -hmac north-south-east-west -binary | base64`
        assert_eq!(password, "pWQWDgZkT25lQezfEnr6cpaVkeY=");
    }
}
