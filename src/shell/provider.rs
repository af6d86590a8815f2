//! An OpenID provider over HTTP: where it is asked, a code exchanged for an ID token, and its keys.
//!
//! Everything is asked for anew at every sign-in, which are few: keys that a provider has changed are never old ones.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::pbx::{client, in_words};
use super::sip::client_by;
use crate::identity::{Identity, Stranger, identify};
use crate::pbx::Secret;
use crate::settings::OidcSettings;

/// How long the provider may take to answer one question.
const ANSWER_WAIT: Duration = Duration::from_secs(4);
/// The longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// What the address ends in where browsers come back to.
const RETURN_PATH: &str = "/v1/session/oidc/done";
/// How much of what it says is repeated, characters: on pages, in the log, and for good in the audit trail.
const REPEATED_CHARACTERS_MAX: usize = 200;

/// A provider that can be asked.
pub struct Provider {
    settings: OidcSettings,
    secret: Option<Secret>,
    client: reqwest::Client,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.settings.issuer)
    }
}

/// What one sign-in goes by; none of it is known to anybody but its browser and us.
#[derive(Clone)]
pub struct Attempt {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the token.
    pub nonce: String,
    /// Proves that whoever exchanges the code is who asked for it (RFC 7636).
    pub verifier: String,
}

/// Why nobody is identified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The provider is not there, or answers what it may not.
    #[error("the provider cannot be asked: {0}")]
    Provider(String),
    /// It says who it is, and that is nobody here.
    #[error(transparent)]
    Stranger(#[from] Stranger),
}

/// What we need of the provider's document (OpenID Connect Discovery 1.0 §3).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    /// Where people sign out (OpenID Connect RP-Initiated Logout 1.0 §2.1).
    end_session_endpoint: Option<String>,
}

/// What we need of its answer to a code (OpenID Connect Core 1.0 §3.1.3.3).
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    /// Fetches our secret there, and who is trusted.
    ///
    /// # Errors
    /// What is not to be had.
    pub fn new(settings: &OidcSettings) -> Result<Self, String> {
        let secret = settings.secret.as_ref().map(|secret| secret.fetch()).transpose()?;
        let by = client_by(settings.authorities.as_deref()).map_err(|error| error.to_string())?;
        Ok(Self { secret, client: client(&by)?, settings: settings.clone() })
    }

    /// Where it is, by name.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Whether it is asked as another one is.
    pub fn is_as(&self, other: &Provider) -> bool {
        self.settings == other.settings
    }

    /// Where a browser is sent so that its user signs in.
    ///
    /// # Errors
    /// When the provider cannot be asked where that is.
    pub async fn address(&self, attempt: &Attempt) -> Result<String, Failed> {
        let document = self.document().await?;
        let mut url = self.checked(&document.authorization_endpoint)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, attempt.verifier.as_bytes());
        let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
        let scopes: Vec<&str> =
            std::iter::once("openid").chain(self.settings.scopes.iter().map(String::as_str)).collect();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who signed in, by the code that the browser came back with, and the token that says so.
    ///
    /// # Errors
    /// When the provider cannot be asked, or whoever it names is nobody here.
    pub async fn identity(&self, code: &str, attempt: &Attempt) -> Result<(Identity, String), Failed> {
        let document = self.document().await?;
        let (at, keys_at) = (self.checked(&document.token_endpoint)?, self.checked(&document.jwks_uri)?);
        let mut form = reqwest::Url::parse("form:").expect("a constant");
        form.query_pairs_mut()
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.settings.redirect)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("code_verifier", &attempt.verifier);
        if let Some(secret) = &self.secret {
            form.query_pairs_mut().append_pair("client_secret", secret.reveal());
        }
        let body = form.query().unwrap_or_default().to_owned();
        let kind = "application/x-www-form-urlencoded";
        let Tokens { id_token } = asked(self.client.post(at).header("Content-Type", kind).body(body)).await?;
        let keys: JwkSet = asked(self.client.get(keys_at)).await?;
        Ok((identify(&id_token, &keys, &attempt.nonce, &self.settings)?, id_token))
    }

    /// Where a browser is sent so that its user signs out there, too, who signed in by that token; nothing where the provider has
    /// no such place. It is sent back to the console from there.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    pub async fn way_out(&self, id_token: &str) -> Result<Option<String>, Failed> {
        let Some(at) = self.document().await?.end_session_endpoint else { return Ok(None) };
        let mut url = self.checked(&at)?;
        let back = self.settings.redirect.strip_suffix(RETURN_PATH).unwrap_or(&self.settings.redirect);
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", &format!("{back}/"));
        Ok(Some(url.into()))
    }

    async fn document(&self) -> Result<Document, Failed> {
        let at = format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'));
        let document: Document = asked(self.client.get(self.checked(&at)?)).await?;
        if document.issuer != self.settings.issuer {
            let (found, expected) = (repeated(&document.issuer), &self.settings.issuer);
            return Err(Failed::Provider(format!("it calls itself {found}, expected {expected}")));
        }
        Ok(document)
    }

    /// An address of the provider's: as well secured as the one that we know it by.
    fn checked(&self, address: &str) -> Result<reqwest::Url, Failed> {
        let url = reqwest::Url::parse(address).ok();
        let is_plain_here = self.settings.issuer.starts_with("http://");
        url.filter(|url| url.scheme() == "https" || url.scheme() == "http" && is_plain_here)
            .ok_or_else(|| Failed::Provider(format!("found the address {}, expected https://", repeated(address))))
    }
}

/// What the provider answers; never what was asked, which has secrets in it.
async fn asked<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, Failed> {
    let failed = |error: reqwest::Error| Failed::Provider(repeated(&in_words(&error)));
    let request = request.header("Accept", "application/json").timeout(ANSWER_WAIT);
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(Failed::Provider(format!("found an answer of more than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    if !status.is_success() {
        return Err(Failed::Provider(format!("it answers {status}{}", refusal(&body))));
    }
    let something_else = |error: serde_json::Error| {
        Failed::Provider(format!("it answers something else: {}", repeated(&error.to_string())))
    };
    serde_json::from_slice(&body).map_err(something_else)
}

/// As much of a text of the provider's as is repeated.
fn repeated(text: &str) -> String {
    text.chars().take(REPEATED_CHARACTERS_MAX).collect()
}

/// Whether a text can be the code of a refusal (RFC 6749 §4.1.2.1, §5.2), and so be repeated.
pub fn is_refusal_code(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The code of a refusal, where there is one.
fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let refusal = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
    refusal.filter(|code| is_refusal_code(code)).map_or_else(String::new, |code| format!(", {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_of_what_a_provider_says_is_repeated() {
        assert_eq!(repeated("https://id.example"), "https://id.example");
        assert_eq!(repeated(&"说".repeat(100_000)), "说".repeat(REPEATED_CHARACTERS_MAX));
    }
}
