//! `/v1/session/oidc`: people sign in at an OpenID provider and come back with a code (OpenID Connect Core 1.0 §3.1, PKCE, RFC 7636).
//!
//! A sign-in belongs to the browser that began it: a cookie names it, its state comes back by the address, its nonce in the token.
//! Each counts once. Whoever is let in has a session like everybody else, with the same limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::accounts::Refused;
use super::limits::Peer;
use super::orders::bad;
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use super::sessions::{AGE_MAX, by_chance};
use super::signing::{self, cookie_named, is_plain_here, set_cookie};
use crate::pii::Pii;
use crate::shell::provider::{Attempt, Failed, Provider, is_refusal_code};

/// Names the sign-in that a browser is in the midst of.
const COOKIE_NAME: &str = "calmline_oidc";
/// How long a sign-in may take, and how many may go on; at the limit the oldest is forgotten.
const LASTS: Duration = Duration::from_secs(600);
const ATTEMPTS_MAX: usize = 1_000;
/// How often the provider is asked at the same time; further sign-ins are told to come again.
const ASKED_MAX: usize = 8;
/// How long all questions of one request may take, which is less than an answer of ours may.
const QUESTIONS_WAIT: Duration = Duration::from_secs(8);
/// The longest code and state that are looked at, bytes.
const FIELD_BYTES_MAX: usize = 4_096;
/// The longest number of a session that is looked at, bytes.
const NUMBER_BYTES_MAX: usize = 64;

/// Sign-ins that go on.
#[derive(Clone)]
pub(super) struct SigningIn {
    attempts: Arc<Mutex<HashMap<String, Begun>>>,
    asking: Arc<Semaphore>,
}

impl Default for SigningIn {
    fn default() -> Self {
        Self { attempts: Arc::default(), asking: Arc::new(Semaphore::new(ASKED_MAX)) }
    }
}

/// One of them.
struct Begun {
    at: Duration,
    attempt: Attempt,
    /// The session that the browser was in. Its cookie does not come back from the provider's page, as it is `Strict`.
    session: Option<String>,
}

/// How people may sign in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInWays)]
pub(super) struct Ways {
    /// The issuer of the provider where they can, besides here; `/v1/session/oidc` leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oidc: Option<String>,
}

/// What a browser brings back from the provider (RFC 6749 §4.1.2, RFC 9207).
#[derive(Deserialize, IntoParams)]
pub(super) struct Returned {
    /// What is exchanged for who it is.
    #[param(nullable = false)]
    code: Option<String>,
    /// What the browser was sent with.
    #[param(nullable = false)]
    state: Option<String>,
    /// Why there is no code.
    #[param(nullable = false)]
    error: Option<String>,
    /// Who answers.
    #[param(nullable = false)]
    iss: Option<String>,
}

impl SigningIn {
    /// Begins one, in a browser that may be in a session: what the browser keeps, and what it is sent with.
    fn begin(&self, session: Option<&str>, now: Duration) -> Result<(String, Attempt), &'static str> {
        let (name, attempt) =
            (by_chance()?, Attempt { state: by_chance()?, nonce: by_chance()?, verifier: by_chance()? });
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, begun| now.saturating_sub(begun.at) < LASTS);
        if attempts.len() >= ATTEMPTS_MAX {
            let oldest = attempts.iter().min_by_key(|(_, begun)| begun.at).map(|(name, _)| name.clone());
            oldest.and_then(|name| attempts.remove(&name));
        }
        let session = session.filter(|number| number.len() <= NUMBER_BYTES_MAX).map(str::to_owned);
        attempts.insert(name.clone(), Begun { at: now, attempt: attempt.clone(), session });
        Ok((name, attempt))
    }

    /// The one that a browser is in the midst of; it counts once.
    fn take(&self, name: &str, now: Duration) -> Option<Begun> {
        let begun = self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(name)?;
        (now.saturating_sub(begun.at) < LASTS).then_some(begun)
    }
}

/// `GET /v1/session/ways`.
pub(super) async fn ways(State(app): State<App>) -> axum::Json<Ways> {
    axum::Json(Ways { oidc: app.live.load().oidc.as_ref().map(|provider| provider.issuer().to_owned()) })
}

/// `GET /v1/session/oidc`.
pub(super) async fn begin(State(app): State<App>, peer: Option<Extension<Peer>>, headers: HeaderMap) -> Response {
    if let Err(refused) = app.count_stranger(peer.as_deref(), &headers) {
        return *refused;
    }
    led_away(&app, &headers).await.unwrap_or_else(|problem| told(&headers, problem))
}

async fn led_away(app: &App, headers: &HeaderMap) -> Result<Response, Problem> {
    let (provider, _turn) = provider(app)?;
    let begun = app.signing_in.begin(signing::cookie(headers), app.signed.now());
    let (name, attempt) = begun.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    let address = in_time(provider.address(&attempt)).await.map_err(|failed| problem(&failed))?;
    // It comes back by a link on another site's page, which `Strict` would keep it from.
    let secure = if is_plain_here(headers) { "" } else { "; Secure" };
    let lasts = LASTS.as_secs();
    let cookie =
        format!("{COOKIE_NAME}={name}; Path=/v1/session/oidc; HttpOnly; SameSite=Lax; Max-Age={lasts}{secure}");
    Ok((StatusCode::SEE_OTHER, [(LOCATION, address), (SET_COOKIE, cookie)]).into_response())
}

/// `GET /v1/session/oidc/done`.
pub(super) async fn done(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    query: Result<Query<Returned>, QueryRejection>,
) -> Response {
    if let Err(refused) = app.count_stranger(peer.as_deref(), &headers) {
        return *refused;
    }
    let done = match asked(query) {
        Ok(returned) => let_in(&app, &headers, returned).await,
        Err(problem) => Err(problem),
    };
    done.unwrap_or_else(|problem| told(&headers, problem))
}

async fn let_in(app: &App, headers: &HeaderMap, returned: Returned) -> Result<Response, Problem> {
    let (provider, _turn) = provider(app)?;
    let by = provider.issuer();
    let (Begun { attempt, session, .. }, code) = match returned_to(app, headers, returned, by) {
        Ok(both) => both,
        Err(problem) => {
            if problem.status == StatusCode::FORBIDDEN {
                app.audit("sign_in_refused", "", "", json!({ "by": by, "why": problem.detail })).await;
            }
            return Err(problem);
        }
    };
    let (identity, id_token) = match in_time(provider.identity(&code, &attempt)).await {
        Ok(identified) => identified,
        Err(failed) => {
            tracing::warn!(issuer = by, %failed, "a sign-in at the provider leads nowhere");
            app.audit("sign_in_refused", "", "", json!({ "by": by, "why": failed.to_string() })).await;
            return Err(problem(&failed));
        }
    };
    let (user, settings) = (identity.name, identity.settings);
    if let Err(refused) = app.accounts.let_in(&user, settings.clone(), app.store.is_some(), app.signed.now()) {
        let (status, why) = match refused {
            Refused::Taken(why) => (StatusCode::FORBIDDEN, why),
            Refused::NotYet(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        app.audit("sign_in_refused", &user, "", json!({ "by": by, "why": why })).await;
        return Err(Problem::new(status, why));
    }
    let role = settings.role.name();
    let number = app.signed.begin(headers, &user, settings, Some(id_token));
    let number = number.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    // Whoever was signed in in that browser is not any more.
    session.iter().for_each(|before| drop(app.signed.end(before)));
    app.audit("signed_in", &user, "", json!({ "role": role, "by": by })).await;
    let cookie = set_cookie(headers, &number, AGE_MAX);
    let over = format!("{COOKIE_NAME}=; Path=/v1/session/oidc; HttpOnly; SameSite=Lax; Max-Age=0");
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response();
    response.headers_mut().append(SET_COOKIE, over.try_into().expect("letters and digits"));
    Ok(response)
}

/// Where a browser goes to sign out of the provider, too, whose word its session began by; nothing where there is no such place,
/// or nobody answers: whoever signs out is signed out here in any case.
pub(super) async fn way_out(app: &App, id_token: Option<Pii<String>>) -> Option<String> {
    let (id_token, provider) = (id_token?, app.live.load().oidc.clone()?);
    in_time(provider.way_out(id_token.reveal())).await.ok()?
}

/// The sign-in that a browser comes back from, and its code.
fn returned_to(app: &App, headers: &HeaderMap, returned: Returned, by: &str) -> Result<(Begun, String), Problem> {
    let begun = cookie_named(headers, COOKIE_NAME).and_then(|name| app.signing_in.take(name, app.signed.now()));
    let begun = begun.filter(|begun| returned.state.as_deref() == Some(begun.attempt.state.as_str()));
    let begun = begun.ok_or_else(|| bad("this browser began no such sign-in: begin again"))?;
    if returned.iss.as_deref().is_some_and(|issuer| issuer != by) {
        return Err(bad("another provider answers than was asked"));
    }
    match (returned.code, returned.error) {
        (Some(code), None) if code.len() <= FIELD_BYTES_MAX => Ok((begun, code)),
        (_, error) => {
            let why = error.filter(|error| is_refusal_code(error)).unwrap_or_else(|| "it sends no code".to_owned());
            Err(Problem::new(StatusCode::FORBIDDEN, format!("the provider lets nobody in: {why}")))
        }
    }
}

/// The provider, and a turn to ask it.
fn provider(app: &App) -> Result<(Arc<Provider>, tokio::sync::OwnedSemaphorePermit), Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "nobody signs in elsewhere: there is no [web.oidc]");
    let provider = app.live.load().oidc.clone().ok_or_else(none)?;
    let busy = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many sign-ins at a time: try again in a moment");
    Ok((provider, Arc::clone(&app.signing_in.asking).try_acquire_owned().map_err(busy)?))
}

/// What the provider is asked, as long as it answers in time.
async fn in_time<T>(asked: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let late = |_| Failed::Provider(format!("it has not answered within {} s", QUESTIONS_WAIT.as_secs()));
    tokio::time::timeout(QUESTIONS_WAIT, asked).await.map_err(late)?
}

fn problem(failed: &Failed) -> Problem {
    let status = match failed {
        Failed::Provider(_) => StatusCode::BAD_GATEWAY,
        Failed::Stranger(_) => StatusCode::FORBIDDEN,
    };
    Problem::new(status, failed.to_string())
}

/// A problem, as a page where a browser asks for one.
fn told(headers: &HeaderMap, problem: Problem) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepted.contains("text/html") {
        return problem.into_response();
    }
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "Calmline" } }
            body {
                h1 { "登录未成功 · Signing in did not succeed" }
                p { (problem.detail) }
                p { a href="/" { "返回 · Back" } }
            }
        }
    };
    let safe = ("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    let headers = [(CONTENT_TYPE.as_str(), "text/html; charset=utf-8"), safe];
    (problem.status, headers, body.into_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_counts_once_and_for_ten_minutes() {
        let signing_in = SigningIn::default();
        let minute = Duration::from_secs(60);
        let (name, attempt) = signing_in.begin(Some("number"), minute).expect("random numbers");
        let Begun { attempt: taken, session, .. } = signing_in.take(&name, 2 * minute).expect("it goes on");
        assert_eq!(session.as_deref(), Some("number"));
        assert_eq!(taken.state, attempt.state);
        assert!(taken.verifier.len() >= 43 && taken.verifier != taken.nonce, "RFC 7636 §4.1");
        assert!(signing_in.take(&name, 2 * minute).is_none(), "it counts once");
        let (late, _) = signing_in.begin(None, minute).expect("random numbers");
        assert!(signing_in.take(&late, 11 * minute).is_none());
        let (first, _) = signing_in.begin(None, minute).expect("random numbers");
        for second in 1..=ATTEMPTS_MAX as u64 {
            signing_in.begin(None, minute + Duration::from_millis(second)).expect("random numbers");
        }
        assert!(signing_in.take(&first, minute).is_none(), "the oldest is forgotten");
        assert!(signing_in.attempts.lock().expect("nobody panics").len() <= ATTEMPTS_MAX);
    }
}
