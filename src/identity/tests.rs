//! Tokens that are good, and every way in which one is not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;

/// What a provider signs by (ES256).
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    name: String,
}

impl SigningKey {
    pub(crate) fn new(name: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self { pair: pair.expect("just made"), name: name.to_owned() }
    }

    /// The public one, as providers publish it.
    pub(crate) fn published(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name, "x": x, "y": y })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": "ES256", "kid": self.name }), claims)
    }

    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("random numbers");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) fn settings() -> OidcSettings {
    let roles =
        [("leads".to_owned(), Role::Supervisor), ("desk".to_owned(), Role::Agent), ("it".to_owned(), Role::Operator)];
    OidcSettings {
        issuer: "https://id.example".to_owned(),
        client_id: "calmline".to_owned(),
        secret: None,
        redirect: "https://calmline.example/v1/session/oidc/done".to_owned(),
        scopes: vec!["profile".to_owned()],
        name_claim: "preferred_username".to_owned(),
        role_claim: "groups".to_owned(),
        roles: roles.into(),
        serves_claim: Some("extension".to_owned()),
        routes_claim: Some("queues".to_owned()),
        tenant_claim: None,
        authorities: None,
    }
}

fn now_s() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "calmline", "sub": "4711", "exp": now_s() + 300, "iat": now_s(), "nonce": "n-1",
        "preferred_username": "li", "groups": ["staff", "leads"], "queues": ["sales"], "extension": "1001"
    })
}

/// Our claims with others in their place; a claim of null is none.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().expect("claims") {
        let all = claims.as_object_mut().expect("claims");
        if value.is_null() {
            all.remove(name)
        } else {
            all.insert(name.clone(), value.clone())
        };
    }
    claims
}

fn keys(of: &[&SigningKey]) -> JwkSet {
    let published = json!({ "keys": of.iter().map(|key| key.published()).collect::<Vec<_>>() });
    serde_json::from_value(published).expect("keys")
}

#[test]
fn a_person_is_who_the_provider_says() {
    let key = SigningKey::new("a");
    let read = |changes: &Value| identify(&key.sign(&with(changes)), &keys(&[&key]), "n-1", &settings());
    let Identity { name, settings } = read(&json!({})).expect("good");
    assert_eq!((name.as_str(), settings.role, settings.serves), ("li", Role::Supervisor, None));
    assert_eq!(settings.routes, Some(["sales".to_owned()].into()));
    assert!(!settings.password.is_of(""));
    assert_eq!(settings.password, PasswordDigest::of_subject("https://id.example", "4711"));
    let nothing_seen = read(&json!({ "queues": null })).expect("good").settings.routes;
    assert_eq!(nothing_seen, Some(BTreeSet::new()), "a claim that is missing opens nothing");
    let agent = read(&json!({ "groups": "desk" })).expect("good").settings;
    assert_eq!((agent.role, agent.serves.as_deref(), agent.routes), (Role::Agent, Some("1001"), None));
    let both = read(&json!({ "groups": ["desk", "it", "leads"] })).expect("good").settings;
    assert_eq!(both.role, Role::Supervisor, "the most of what they are");
    assert!(read(&json!({ "aud": ["calmline"] })).is_ok());
    assert!(read(&json!({ "aud": ["other", "calmline"], "azp": "calmline" })).is_ok());
}

#[test]
fn a_supervisor_of_a_tenant_is_of_the_one_that_the_provider_names_or_of_none() {
    let (key, settings) = (SigningKey::new("a"), OidcSettings { tenant_claim: Some("org".to_owned()), ..settings() });
    for (changes, expected) in [
        (json!({ "org": "acme" }), Some("acme")),
        (json!({ "org": ["acme"] }), Some("")),
        (json!({}), Some("")),
        (json!({ "org": "acme", "groups": "desk" }), None),
    ] {
        let read = identify(&key.sign(&with(&changes)), &keys(&[&key]), "n-1", &settings).expect("good");
        assert_eq!(read.settings.tenant.as_deref(), expected, "{changes}");
    }
}

#[test]
fn nobody_else_is_let_in() {
    let (key, other) = (SigningKey::new("a"), SigningKey::new("a"));
    for (changes, told) in [
        (json!({ "iss": "https://evil.example" }), "InvalidIssuer"),
        (json!({ "aud": "other" }), "InvalidAudience"),
        (json!({ "aud": null }), "Missing required claim: aud"),
        (json!({ "aud": ["other", "calmline"] }), "given to somebody else"),
        (json!({ "aud": ["other", "calmline"], "azp": "other" }), "given to somebody else"),
        (json!({ "azp": "other" }), "given to somebody else"),
        (json!({ "exp": now_s() - 120 }), "ExpiredSignature"),
        (json!({ "exp": null }), "Missing required claim: exp"),
        (json!({ "nbf": now_s() + 600 }), "ImmatureSignature"),
        (json!({ "nonce": "n-2" }), "another sign-in"),
        (json!({ "nonce": null }), "another sign-in"),
        (json!({ "groups": ["staff"] }), "no role"),
        (json!({ "groups": null }), "no role"),
        (json!({ "preferred_username": null }), "`preferred_username`"),
        (json!({ "sub": "" }), "`sub`"),
        (json!({ "sub": "s".repeat(256) }), "`sub`"),
        (json!({ "preferred_username": "policy" }), "audit trail"),
        (json!({ "preferred_username": "li\nroot" }), "a name of"),
        (json!({ "groups": "desk", "extension": null }), "extension"),
    ] {
        let error = identify(&key.sign(&with(&changes)), &keys(&[&key]), "n-1", &settings()).expect_err("nobody");
        assert!(error.to_string().contains(told), "{changes}: {error}");
    }
    let good = key.sign(&claims());
    let refused = |token: &str, keys: &JwkSet| identify(token, keys, "n-1", &settings()).is_err();
    assert!(refused(&other.sign(&claims()), &keys(&[&key])), "another key of that name");
    assert!(refused(&good, &keys(&[&SigningKey::new("b")])) && refused(&good, &keys(&[])), "an unknown key");
    let unnamed = key.sign_with(&json!({ "alg": "ES256" }), &claims());
    assert!(refused(&unnamed, &keys(&[&key, &other])), "which key is not said");
    assert!(!refused(&unnamed, &keys(&[&key])), "there is one");
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    for header in
        [json!({ "alg": "none" }), json!({ "alg": "HS256", "kid": "a" }), json!({ "alg": "RS256", "kid": "a" })]
    {
        assert!(refused(&key.sign_with(&header, &claims()), &keys(&[&key])), "{header}");
    }
    for token in [signed, &format!("{signed}."), "", "a.b.c", &good[1..]] {
        assert!(refused(token, &keys(&[&key])), "{token}");
    }
}

/// The example of RFC 7515, appendix A.2.
#[test]
fn signatures_by_rsa_are_checked() {
    signatures::install();
    let key = json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC\
              gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg66\
              5xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuX\
              poQ",
        "e": "AQAB"
    });
    let key = DecodingKey::from_jwk(&serde_json::from_value(key).expect("a key")).expect("a key of RSA");
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV\
                  lfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9C\
                     UAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcO\
                     Ln6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm\
                     tVrBp0igcN_IoypGlUPQGe77Rw";
    let check =
        |message: &str, by| jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, by).expect("checked");
    assert!(check(signed, jsonwebtoken::Algorithm::RS256));
    assert!(!check(&signed[1..], jsonwebtoken::Algorithm::RS256) && !check(signed, jsonwebtoken::Algorithm::PS256));
    assert!(!check(signed, jsonwebtoken::Algorithm::RS384) && !check(signed, jsonwebtoken::Algorithm::ES256));
}
