//! What an OpenID provider says of a person: whether an ID token is its own, for us, and now, and what the claims make of them.
//!
//! Pure but for the clock that `jsonwebtoken` reads for `exp`. Signatures are checked by `ring` (RSA and ECDSA; no shared secrets, and
//! never "none"). OpenID Connect Core 1.0 §3.1.3.7.

mod signatures;

use std::collections::BTreeSet;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::settings::{OidcSettings, UserSettings, check_user_name};
use crate::users::{PasswordDigest, Role};
use signatures::ALGORITHMS;

/// How far apart the clocks of both may be, seconds.
const LEEWAY_S: u64 = 60;
/// Values of a claim that are looked at.
const VALUES_MAX: usize = 1_000;
/// How much of an error is repeated, characters.
const QUOTED_CHARACTERS_MAX: usize = 200;
/// The longest subject, bytes (OpenID Connect Core 1.0 §2).
const SUBJECT_BYTES_MAX: usize = 255;

/// Who somebody is.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Their name.
    pub name: String,
    /// What they may do here.
    pub settings: UserSettings,
}

/// Why somebody is nobody here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The token is not the provider's, not for us, or not of now.
    #[error("the provider's answer cannot be trusted: {0}")]
    Untrusted(String),
    /// The provider says too little.
    #[error("the provider does not say {0}")]
    Unsaid(String),
    /// No value of the claim makes them anything.
    #[error("you have no role here: ask whoever looks after it")]
    NoRole,
}

/// Reads an ID token that was asked for with `nonce`.
///
/// # Errors
/// Why whoever brings it is nobody here.
pub fn identify(token: &str, keys: &JwkSet, nonce: &str, settings: &OidcSettings) -> Result<Identity, Stranger> {
    let claims = claims(token, keys, nonce, settings)?;
    let said = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let name = said(&settings.name_claim).ok_or_else(|| Stranger::Unsaid(format!("`{}`", settings.name_claim)))?;
    check_user_name(name).map_err(|expected| {
        Stranger::Unsaid(format!("a name that can be taken, in `{}`: expected {expected}", settings.name_claim))
    })?;
    // Names may be given to others in time, subjects are not.
    let subject = said("sub").filter(|subject| !subject.is_empty() && subject.len() <= SUBJECT_BYTES_MAX);
    let subject = subject.ok_or_else(|| Stranger::Unsaid("`sub`".to_owned()))?;
    let values = texts(claims.get(&settings.role_claim));
    // Who is several things is the most that they are.
    let role = Role::ALL.into_iter().find(|role| values.iter().any(|value| settings.roles.get(*value) == Some(role)));
    let role = role.ok_or(Stranger::NoRole)?;
    let serves = settings.serves_claim.as_deref().filter(|_| role == Role::Agent).and_then(said);
    if role == Role::Agent && serves.is_none_or(|serves| serves.is_empty() || serves.len() > 64) {
        return Err(Stranger::Unsaid("which extension you answer at".to_owned()));
    }
    let routes = settings.routes_claim.as_ref().filter(|_| role == Role::Supervisor);
    let routes = routes.map(|claim| texts(claims.get(claim)).into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    // Of whom it says no tenant, sees the calls of none.
    let tenant = settings.tenant_claim.as_ref().filter(|_| role == Role::Supervisor);
    let tenant = tenant.map(|claim| said(claim).unwrap_or_default().to_owned());
    let (serves, password) = (serves.map(str::to_owned), PasswordDigest::of_subject(&settings.issuer, subject));
    let settings = UserSettings { role, password, serves, totp: None, routes, tenant };
    Ok(Identity { name: name.to_owned(), settings })
}

/// The claims of a token that is the provider's, for us, for this sign-in, and of now.
fn claims(token: &str, keys: &JwkSet, nonce: &str, settings: &OidcSettings) -> Result<Map<String, Value>, Stranger> {
    signatures::install();
    // An error may quote the token at any length.
    let untrusted = |error: jsonwebtoken::errors::Error| {
        Stranger::Untrusted(error.to_string().chars().take(QUOTED_CHARACTERS_MAX).collect())
    };
    let header = decode_header(token).map_err(untrusted)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Stranger::Untrusted(format!("it is signed by {:?}", header.alg)));
    }
    let key = key(keys, header.kid.as_deref()).ok_or_else(|| Stranger::Untrusted("its key is unknown".to_owned()))?;
    let key = DecodingKey::from_jwk(key).map_err(untrusted)?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_audience(&[&settings.client_id]);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims: Map<String, Value> = decode(token, &key, &validation).map_err(untrusted)?.claims;
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err(Stranger::Untrusted("it is of another sign-in".to_owned()));
    }
    let is_for_many = claims.get("aud").and_then(Value::as_array).is_some_and(|many| many.len() > 1);
    let by = claims.get("azp").and_then(Value::as_str);
    if by.map_or(is_for_many, |by| by != settings.client_id) {
        return Err(Stranger::Untrusted("it was given to somebody else".to_owned()));
    }
    Ok(claims)
}

/// The key of that name; the only one there is, where none is named.
fn key<'a>(keys: &'a JwkSet, named: Option<&str>) -> Option<&'a Jwk> {
    match (named, keys.keys.as_slice()) {
        (Some(named), _) => keys.find(named),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// A text, or a list of texts.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().take(VALUES_MAX).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
