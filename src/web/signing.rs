//! `/v1/session`: people sign in with a password, and are known by a cookie from then on.
//!
//! Other sites cannot use the cookie: it goes with requests of our own pages only (`SameSite=Strict`), what changes anything
//! asks for a header that no form can send, and WebSockets for our own origin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{COOKIE, HOST, ORIGIN, RETRY_AFTER, SET_COOKIE, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use super::permit::{Area, areas};
use super::problem::Problem;
use super::routes::App;
use super::sessions::{AGE_MAX, IDLE_MAX, Sessions};
use crate::settings::UserSettings;
use crate::store::AuditEntry;
use crate::users::{PasswordDigest, Role};

const COOKIE_NAME: &str = "calmline_session";
/// Stands in every request of the console that changes anything.
const CONSOLE_HEADER: &str = "x-calmline-console";
/// Passwords that are checked at the same time: each takes a processor and 19 MiB.
const CHECKS_MAX: usize = 2;
/// The longest name and password that are looked at, bytes.
const FIELD_BYTES_MAX: usize = 256;

/// Who is signed in.
#[derive(Clone)]
pub(super) struct Signed {
    sessions: Arc<Mutex<Sessions>>,
    checks: Arc<Semaphore>,
    started: Instant,
    /// What a password is compared with whose user there is none of, so that it takes as long.
    nobody: Arc<PasswordDigest>,
}

/// Whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// A machine with the token.
    Machine,
    /// A person.
    Person {
        /// Their name.
        user: String,
        /// What they are.
        role: Role,
    },
}

impl Who {
    /// As the audit trail names it.
    pub(super) fn name(&self) -> &str {
        match self {
            Who::Machine => "api",
            Who::Person { user, .. } => user,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

#[derive(Serialize)]
pub(super) struct SessionBody {
    user: String,
    role: &'static str,
    may: Vec<Area>,
    idle_s: u64,
}

impl SessionBody {
    fn new(user: String, role: Role) -> Self {
        Self { user, role: role.name(), may: areas(role), idle_s: IDLE_MAX.as_secs() }
    }
}

impl Signed {
    /// Nobody is.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self {
            sessions: Arc::default(),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            started: Instant::now(),
            nobody: Arc::new(PasswordDigest::of("nobody has this password")?),
        })
    }

    /// The person whose session's cookie comes with a request, where the request is one of our own pages.
    pub(super) fn person(&self, app: &App, method: &Method, headers: &HeaderMap) -> Option<Who> {
        let number = cookie(headers)?;
        if !is_own(method, headers) {
            return None;
        }
        let live = app.live.load();
        let now = self.started.elapsed();
        let found = self.sessions().user(number, |name| live.users.get(name), now);
        found.map(|(user, settings)| Who::Person { user, role: settings.role })
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user's entry, when the password is right; how long they are locked out, when they are.
    async fn check(&self, app: &App, given: &Credentials) -> Result<UserSettings, Option<Duration>> {
        if let Some(left) = self.sessions().locked(&given.user, self.started.elapsed()) {
            return Err(Some(left));
        }
        let Ok(_turn) = self.checks.acquire().await else { return Err(None) };
        let known = app.live.load().users.get(&given.user).cloned();
        let digest = known.as_ref().map_or_else(|| PasswordDigest::clone(&self.nobody), |known| known.password.clone());
        let password = given.password.clone();
        let is_right = tokio::task::spawn_blocking(move || digest.is_of(&password)).await.unwrap_or(false);
        match known.filter(|_| is_right) {
            Some(known) => Ok(known),
            None => {
                self.sessions().wrong(&given.user, self.started.elapsed());
                Err(None)
            }
        }
    }
}

/// `POST /v1/session`.
pub(super) async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    given: Result<Json<Credentials>, JsonRejection>,
) -> Response {
    let given = match given {
        Ok(Json(given)) if given.user.len().max(given.password.len()) <= FIELD_BYTES_MAX => given,
        Ok(_) => return Problem::new(StatusCode::BAD_REQUEST, "a name or password is too long").into_response(),
        Err(error) => return Problem::new(StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    if !is_own(&Method::POST, &headers) {
        return strange().into_response();
    }
    let checked = app.signed.check(&app, &given).await;
    // A name that is none may be a password that was typed in its place.
    let who = if app.live.load().users.contains_key(&given.user) { given.user.as_str() } else { "somebody unknown" };
    let settings = match checked {
        Ok(settings) => settings,
        Err(locked) => {
            audit(&app, "sign_in_refused", who, json!({ "locked_s": locked.map(|left| left.as_secs()) })).await;
            return refused(locked);
        }
    };
    let role = settings.role;
    let begun = app.signed.sessions().begin(&given.user, settings, app.signed.started.elapsed());
    let number = match begun {
        Ok(number) => number,
        Err(why) => return Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    };
    audit(&app, "signed_in", who, json!({ "role": role.name() })).await;
    let cookie = set_cookie(&headers, &number, AGE_MAX);
    ([(SET_COOKIE, cookie)], Json(SessionBody::new(given.user, role))).into_response()
}

/// `GET /v1/session`.
pub(super) async fn session(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.signed.person(&app, &Method::GET, &headers) {
        Some(Who::Person { user, role }) => Json(SessionBody::new(user, role)).into_response(),
        _ => Problem::new(StatusCode::UNAUTHORIZED, "nobody is signed in").into_response(),
    }
}

/// `DELETE /v1/session`.
pub(super) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    if !is_own(&Method::DELETE, &headers) {
        return strange().into_response();
    }
    if let Some(who) = app.signed.person(&app, &Method::DELETE, &headers) {
        audit(&app, "signed_out", who.name(), json!({})).await;
    }
    if let Some(number) = cookie(&headers) {
        app.signed.sessions().end(number);
    }
    (StatusCode::NO_CONTENT, [(SET_COOKIE, set_cookie(&headers, "", Duration::ZERO))]).into_response()
}

fn refused(locked: Option<Duration>) -> Response {
    let Some(left) = locked else {
        return Problem::new(StatusCode::UNAUTHORIZED, "the name or the password is wrong").into_response();
    };
    let detail = "too many wrong passwords: wait before the next one";
    let wait = HeaderValue::from(left.as_secs().max(1));
    ([(RETRY_AFTER, wait)], Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)).into_response()
}

fn strange() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, format!("expected a request of the console, with `{CONSOLE_HEADER}`"))
}

async fn audit(app: &App, kind: &str, who: &str, what: serde_json::Value) {
    if let Some(store) = &app.store {
        let entry = AuditEntry { kind: kind.to_owned(), who: who.to_owned(), call: String::new(), what };
        store.journal().committed(entry).await;
    }
}

/// Whether a request comes from one of our own pages: what changes anything has the header, a WebSocket our origin.
fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    if headers.contains_key(UPGRADE) {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let origin = text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        return origin.is_some() && origin == text(HOST);
    }
    *method == Method::GET || *method == Method::HEAD || headers.contains_key(CONSOLE_HEADER)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, number)| number)
}

/// The cookie: for this site's requests alone, not for scripts, and beyond this machine for TLS alone.
fn set_cookie(headers: &HeaderMap, number: &str, lasts: Duration) -> String {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let is_here = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let secure = if is_here { "" } else { "; Secure" };
    format!("{COOKIE_NAME}={number}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", lasts.as_secs())
}
