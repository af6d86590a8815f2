//! People who sign in at an OpenID provider: a small one that really signs, and a browser that goes between it and us.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::json;

use super::people::{CONSOLE, PASSWORD, cookie, sign_in};
use super::*;
use crate::identity::tests::{SigningKey, settings as oidc_settings};
use crate::settings::{OidcSettings, SecretSource, UserSettings};
use crate::shell::provider::Provider;
use crate::store::Store;
use crate::users::{PasswordDigest, Role};

/// What the provider knows.
#[derive(Clone)]
struct Known {
    issuer: String,
    key: Arc<SigningKey>,
    /// What codes stand for: a challenge and claims.
    codes: Arc<Mutex<HashMap<String, (String, Value)>>>,
}

/// A provider, an API whose people sign in there, and what the browser is known by there.
struct Scene {
    fixture: Fixture,
    known: Known,
    _secret: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(None).await
    }

    async fn set_with(store: Option<Store>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("bound"));
        let known = Known { issuer: issuer.clone(), key: Arc::new(SigningKey::new("k1")), codes: Arc::default() };
        let provider = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/token", post(token))
            .route(
                "/keys",
                get(async |State(known): State<Known>| json!({ "keys": [known.key.published()] }).to_string()),
            )
            .with_state(known.clone());
        tokio::spawn(async move { axum::serve(listener, provider).await });

        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), "our secret there\n").expect("written");
        let secret = Some(SecretSource::File(folder.path().join("secret")));
        let oidc = OidcSettings { issuer, secret, ..oidc_settings() };
        let fixture = fixture_with(store).await;
        let live = options(fixture.handle.addr).live;
        let password = PasswordDigest::of(PASSWORD).expect("random numbers");
        let wang = UserSettings { role: Role::Auditor, password, serves: None, totp: None, routes: None, tenant: None };
        let oidc = Some(Arc::new(Provider::new(&oidc).expect("its secret is there")));
        let users = [("wang".to_owned(), wang)].into();
        fixture.handle.exchange(LiveOptions { users, oidc, ..live }).expect("random numbers");
        Self { fixture, known, _secret: folder }
    }

    fn wire(&self) -> Wire {
        Wire(self.fixture.handle.addr)
    }

    /// A browser begins: where it is sent, and its cookie.
    async fn begin(&self) -> (Url, String) {
        self.begin_in("").await
    }

    /// The same of a browser that may be in a session.
    async fn begin_in(&self, session: &str) -> (Url, String) {
        let reply = self.wire().ask("GET", "/v1/session/oidc", session).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        let header =
            |name: &str| reply.head.lines().find_map(|line| line.strip_prefix(name)).expect("a header").to_owned();
        let cookie = header("set-cookie: ");
        for wanted in ["HttpOnly", "SameSite=Lax", "Path=/v1/session/oidc", "Secure"] {
            assert!(cookie.contains(wanted), "{cookie}");
        }
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        (Url::parse(&header("location: ")).expect("an address"), format!("Cookie: {pair}\r\n"))
    }

    /// The user signs in at the provider: the code that the browser takes back.
    fn code(&self, at: &Url, claims: &Value) -> String {
        let asked: HashMap<_, _> = at.query_pairs().into_owned().collect();
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", "calmline"));
        assert_eq!((asked["scope"].as_str(), asked["code_challenge_method"].as_str()), ("openid profile", "S256"));
        let in_five_minutes = jsonwebtoken::get_current_timestamp() + 300;
        let mut all = json!({
            "iss": self.known.issuer, "aud": "calmline", "sub": "4711", "exp": in_five_minutes, "nonce": asked["nonce"],
            "preferred_username": "li", "groups": ["leads"], "queues": ["sales"]
        });
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        let code = format!("code-{}", self.codes().len());
        self.codes().insert(code.clone(), (asked["code_challenge"].clone(), all));
        code
    }

    fn codes(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Value)>> {
        self.known.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The browser comes back.
    async fn come_back(&self, at: &Url, cookie: &str, code: &str) -> Reply {
        let state = at.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        self.wire().ask("GET", &format!("/v1/session/oidc/done?code={code}&state={state}"), cookie).await
    }

    /// All of it.
    async fn sign_in(&self, claims: &Value) -> Reply {
        let (at, cookie) = self.begin().await;
        let code = self.code(&at, claims);
        self.come_back(&at, &cookie, &code).await
    }
}

async fn document(State(Known { issuer, .. }): State<Known>) -> String {
    let [authorize, token, keys, out] = ["authorize", "token", "keys", "out"].map(|name| format!("{issuer}/{name}"));
    json!({ "issuer": issuer, "authorization_endpoint": authorize, "token_endpoint": token, "jwks_uri": keys,
        "end_session_endpoint": out })
    .to_string()
}

/// As RFC 6749 §4.1.3 and RFC 7636 §4.6 have it: a code counts once, for whoever can prove to have asked for it.
async fn token(State(known): State<Known>, Form(asked): Form<HashMap<String, String>>) -> (StatusCode, String) {
    let refused = |why: &str| (StatusCode::BAD_REQUEST, json!({ "error": why }).to_string());
    let is_us = asked["client_id"] == "calmline" && asked["client_secret"] == "our secret there";
    if !is_us || asked["grant_type"] != "authorization_code" || asked["redirect_uri"] != oidc_settings().redirect {
        return refused("invalid_client");
    }
    let found = known.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(&asked["code"]);
    let digest = ring::digest::digest(&ring::digest::SHA256, asked["code_verifier"].as_bytes());
    match found.filter(|(challenge, _)| *challenge == URL_SAFE_NO_PAD.encode(digest)) {
        Some((_, claims)) => {
            (StatusCode::OK, json!({ "token_type": "Bearer", "id_token": known.key.sign(&claims) }).to_string())
        }
        None => refused("invalid_grant"),
    }
}

#[tokio::test]
async fn people_sign_in_at_a_provider_and_are_what_its_claims_say() {
    let scene = Scene::set().await;
    let wire = scene.wire();
    let ways = wire.ask("GET", "/v1/session/ways", "").await.json();
    assert_eq!(ways, json!({ "oidc": scene.known.issuer }));
    let reply = scene.sign_in(&json!({})).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert!(reply.head.contains("location: /\r\n"), "{}", reply.head);
    let li = cookie(&reply);
    let session = wire.ask("GET", "/v1/session", &li).await.json();
    assert_eq!((session["user"].as_str(), session["role"].as_str()), (Some("li"), Some("supervisor")));
    let list = wire.ask("GET", "/v1/calls", &li).await;
    assert_eq!(list.status, 200);
    assert_eq!(wire.ask("GET", "/v1/audit", &li).await.status, 403);
    for password in ["", "a long password", "nobody has this password"] {
        assert_eq!(sign_in(&wire, "li", password).await.status, 401, "there is no password");
    }
    let auditor = cookie(&sign_in(&wire, "wang", PASSWORD).await);
    assert_eq!(wire.ask("GET", "/v1/session", &auditor).await.status, 200, "others sign in as before");

    let out = wire.ask("DELETE", "/v1/session", &format!("{li}{CONSOLE}")).await;
    assert_eq!(out.status, 200, "{}", out.body);
    let out = Url::parse(out.json()["provider"].as_str().expect("an address")).expect("an address");
    let asked: HashMap<_, _> = out.query_pairs().into_owned().collect();
    assert_eq!((out.path(), asked["client_id"].as_str()), ("/out", "calmline"));
    let back = oidc_settings().redirect.replace("/v1/session/oidc/done", "/");
    assert_eq!((&asked["post_logout_redirect_uri"], asked["id_token_hint"].split('.').count()), (&back, 3));
    let auditor_out = wire.ask("DELETE", "/v1/session", &format!("{auditor}{CONSOLE}")).await;
    assert_eq!(auditor_out.status, 204, "nobody there knows them");
    assert_eq!(wire.ask("GET", "/v1/session", &li).await.status, 401);
    let li = cookie(&scene.sign_in(&json!({})).await);
    scene.fixture.handle.exchange(options(scene.fixture.handle.addr).live).expect("random numbers");
    assert_eq!(wire.ask("GET", "/v1/session", &li).await.status, 401, "the provider is none of ours any more");
}

#[tokio::test]
async fn the_session_that_a_browser_was_in_ends_when_somebody_is_let_in() {
    let scene = Scene::set().await;
    let wire = scene.wire();
    let before = cookie(&sign_in(&wire, "wang", PASSWORD).await);
    let (at, attempt) = scene.begin_in(&before).await;
    assert_eq!(wire.ask("GET", "/v1/session", &before).await.status, 200, "nobody else is let in yet");
    // The session's cookie does not come along: it is a page of another site's that leads here.
    let reply = scene.come_back(&at, &attempt, &scene.code(&at, &json!({}))).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert_eq!(wire.ask("GET", "/v1/session", &before).await.status, 401);
    assert_eq!(wire.ask("GET", "/v1/session", &cookie(&reply)).await.status, 200);
}

#[tokio::test]
async fn of_two_subjects_with_one_name_the_second_is_refused() {
    let scene = Scene::set().await;
    let wire = scene.wire();
    let li = cookie(&scene.sign_in(&json!({})).await);
    let other = scene.sign_in(&json!({ "sub": "4712", "groups": ["it"] })).await;
    problem(&other, 403);
    assert!(other.body.contains("somebody else of that name"), "{}", other.body);
    assert!(!other.head.contains("calmline_session="), "{}", other.head);
    let session = wire.ask("GET", "/v1/session", &li).await.json();
    assert_eq!(session["role"], "supervisor", "nothing of the other's is theirs");
    let again = scene.sign_in(&json!({})).await;
    assert_eq!(again.status, 303, "the first signs in again: {}", again.body);
}

#[tokio::test]
async fn whoever_gets_a_name_in_the_store_has_it() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let scene = Scene::set_with(Some(store.clone())).await;
    let wire = scene.wire();
    let mut reply = scene.sign_in(&json!({})).await;
    for _ in 0..10 {
        if reply.status == 303 {
            break;
        }
        assert_eq!(reply.status, 503, "the store is not read yet: {}", reply.body);
        tokio::time::sleep(Duration::from_millis(200)).await;
        reply = scene.sign_in(&json!({})).await;
    }
    let li = cookie(&reply);
    assert_eq!(wire.ask("GET", "/v1/session", &li).await.status, 200);
    let made = wire.send("POST", "/v1/users", r#"{ "name": "li", "role": "operator" }"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(wire.ask("GET", "/v1/session", &li).await.status, 401, "the name is another's");
    problem(&scene.sign_in(&json!({})).await, 403);
    store.stop();
}

#[tokio::test]
async fn whoever_the_provider_does_not_make_anything_is_told_so() {
    let scene = Scene::set().await;
    for (claims, status, told) in [
        (json!({ "groups": ["staff"] }), 403, "no role"),
        (json!({ "preferred_username": "wang" }), 403, "somebody of that name"),
        (json!({ "preferred_username": "policy" }), 403, "audit trail"),
        (json!({ "nonce": "of another sign-in" }), 403, "another sign-in"),
        (json!({ "aud": "another" }), 403, "cannot be trusted"),
    ] {
        let reply = scene.sign_in(&claims).await;
        problem(&reply, status);
        assert!(reply.body.contains(told), "{claims}: {}", reply.body);
        assert!(!reply.head.contains("calmline_session="), "{}", reply.head);
    }
    let (at, cookie) = scene.begin().await;
    let reply = scene.come_back(&at, &format!("{cookie}Accept: text/html,*/*\r\n"), "no-such-code").await;
    assert_eq!(reply.status, 502);
    assert!(reply.head.contains("content-type: text/html") && reply.body.contains("invalid_grant"), "{}", reply.body);
}

#[tokio::test]
async fn a_sign_in_is_of_the_browser_that_began_it_and_counts_once() {
    let scene = Scene::set().await;
    let ((own, cookie), (others, others_cookie)) = (scene.begin().await, scene.begin().await);
    let code = scene.code(&own, &json!({}));
    // Whoever lures somebody to an address with a code of theirs gets them nowhere, and takes no code from anybody.
    for (at, cookie) in [(&own, ""), (&own, others_cookie.as_str()), (&others, cookie.as_str())] {
        problem(&scene.come_back(at, cookie, &code).await, 400);
    }
    assert_eq!(scene.codes().len(), 1, "the provider was asked for nothing");
    let (own, cookie) = scene.begin().await;
    let stolen = scene.come_back(&own, &cookie, &code).await;
    assert_eq!(stolen.status, 502, "its verifier is another's: {}", stolen.body);
    let code = scene.code(&own, &json!({}));
    problem(&scene.come_back(&own, &cookie, &code).await, 400);
    let refused = scene.begin().await;
    let state = refused.0.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let wrong =
        scene.wire().ask("GET", &format!("/v1/session/oidc/done?error=access_denied&state={state}"), &refused.1).await;
    problem(&wrong, 403);
    assert!(wrong.body.contains("access_denied"), "{}", wrong.body);
}

#[tokio::test]
async fn without_a_provider_nobody_is_led_anywhere() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    for path in ["/v1/session/oidc", "/v1/session/oidc/done?code=1&state=2"] {
        problem(&wire.ask("GET", path, "").await, 404);
    }
    assert_eq!(wire.ask("GET", "/v1/session/ways", "").await.json(), json!({}));
}

/// A provider that other people have made: `oidc-provider-mock` (PyPI).
struct Theirs(std::process::Child);

impl Theirs {
    /// It, and its issuer; `None`, said aloud, when it is not at hand.
    #[expect(clippy::print_stdout, reason = "tests tell what they skipped")]
    async fn start() -> Option<(Self, String)> {
        let program =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/oidc-provider-mock/bin/oidc-provider-mock");
        if !program.exists() {
            println!("skipped: no OpenID provider (scripts/fetch-pypi oidc-provider-mock)");
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let claims = json!({ "sub": "4711", "preferred_username": "li", "groups": ["leads"] }).to_string();
        let child = std::process::Command::new(program)
            .args(["--port", &free.to_string(), "--user-claims", &claims])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the provider starts");
        let (theirs, issuer) = (Self(child), format!("http://127.0.0.1:{free}"));
        for _ in 0..300 {
            if reqwest::get(format!("{issuer}/jwks")).await.is_ok_and(|answer| answer.status().is_success()) {
                return Some((theirs, issuer));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{issuer} does not answer");
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn people_sign_in_and_out_at_a_provider_that_others_have_made() {
    let Some((_theirs, issuer)) = Theirs::start().await else { return };
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "any will do there\n").expect("written");
    let secret = Some(SecretSource::File(folder.path().join("secret")));
    let oidc = OidcSettings { issuer, secret, ..oidc_settings() };
    let oidc = Some(Arc::new(Provider::new(&oidc).expect("its secret is there")));
    let live = options(fixture.handle.addr).live;
    fixture.handle.exchange(LiveOptions { oidc, ..live }).expect("random numbers");

    let reply = wire.ask("GET", "/v1/session/oidc", "").await;
    let header = |name: &str| reply.head.lines().find_map(|line| line.strip_prefix(name)).expect("a header").to_owned();
    let attempt = header("set-cookie: ").split(';').next().expect("a pair").to_owned();
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a browser");
    let form = browser.get(header("location: ")).send().await.expect("their page").text().await.expect("text");
    assert!(form.contains("name=\"sub\""), "{form}");
    let kind = "application/x-www-form-urlencoded";
    let given = browser.post(header("location: ")).header("Content-Type", kind).body("sub=4711").send();
    let back = given.await.expect("their answer").headers()["location"].to_str().expect("text").to_owned();
    let back = Url::parse(&back).expect("an address");
    let path = format!("{}?{}", back.path(), back.query().expect("a code"));
    let reply = wire.ask("GET", &path, &format!("Cookie: {attempt}\r\n")).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let li = cookie(&reply);
    let session = wire.ask("GET", "/v1/session", &li).await.json();
    assert_eq!((session["user"].as_str(), session["role"].as_str()), (Some("li"), Some("supervisor")));

    let out = wire.ask("DELETE", "/v1/session", &format!("{li}{CONSOLE}")).await.json();
    let page = browser.get(out["provider"].as_str().expect("an address")).send().await.expect("their page");
    assert!(page.status().is_success() || page.status().is_redirection(), "{}", page.status());
    assert_eq!(wire.ask("GET", "/v1/session", &li).await.status, 401);
}
