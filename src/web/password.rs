//! `POST /v1/me/password`: whoever is signed in gives themselves another password, by the one that counts now.
//!
//! It takes what a sign-in takes: a wrong password counts as one there, and a code is asked for where there is a second factor.
//! All sessions of theirs end, as with any other password; the one that asks begins anew.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::adopting;
use super::libraries::blocking;
use super::limits::Peer;
use super::orders::Body;
use super::problem::Problem;
use super::routes::App;
use super::sessions::AGE_MAX;
use super::signing::{Credentials, SessionBody, Who, checked, is_own, set_cookie, strange};
use super::users::{account, put};
use crate::users::PasswordDigest;

/// The password that counts now, and another one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OtherPassword {
    #[schema(format = Password)]
    password: String,
    /// Six digits of the authenticator app, of whoever has one.
    #[schema(pattern = "^[0-9]{6}$")]
    code: Option<String>,
    /// 10 to 256 bytes.
    #[schema(format = Password)]
    new_password: String,
}

/// `POST /v1/me/password`.
pub(super) async fn change(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    given: Body<OtherPassword>,
) -> Response {
    if let Err(refused) = app.count_stranger(peer.as_deref(), &headers) {
        return *refused;
    }
    if !is_own(&Method::POST, &headers) {
        return strange().into_response();
    }
    let Some(who) = app.signed.person(&app, &Method::POST, &headers) else {
        return Problem::new(StatusCode::UNAUTHORIZED, "nobody is signed in").into_response();
    };
    let doing = app.clone();
    // On its own: whoever asks may go before the password is checked, and it counts all the same.
    let deed = async move { changed(&doing, who, &headers, given).await.unwrap_or_else(|refused| *refused) };
    app.on_its_own(deed).await
}

async fn changed(
    app: &App,
    who: Who,
    headers: &HeaderMap,
    given: Body<OtherPassword>,
) -> Result<Response, Box<Response>> {
    let refused = |problem: Problem| Box::new(problem.into_response());
    let wrong = |detail: String| refused(Problem::new(StatusCode::BAD_REQUEST, detail));
    let Json(OtherPassword { password, code, new_password }) = given.map_err(|error| wrong(error.body_text()))?;
    let name = who.name().to_owned();
    // First: of whoever stands elsewhere no password is looked at.
    account(app, &name).map_err(refused)?;
    if password == new_password {
        return Err(wrong("expected another password, found the same".to_owned()));
    }
    let given = Credentials::of(name.clone(), password, code);
    let known = checked(app, Some(&name), given).await?;

    let digest = blocking(move || PasswordDigest::of(&new_password)).await.map_err(refused)?;
    let digest = digest.map_err(|why| wrong(format!("`new_password`: {why}")))?;
    let _alone = app.accounts.changing.lock().await;
    let mut account = account(app, &name).map_err(refused)?;
    if account.password_hash != known.password.as_str() {
        let detail = "the password was changed meanwhile: sign in with that one";
        return Err(refused(Problem::new(StatusCode::CONFLICT, detail)));
    }
    digest.as_str().clone_into(&mut account.password_hash);
    let (settings, role) = (account.settings(), account.role);
    put(app, &who, "password_changed", &name, Some(account)).await.map_err(refused)?;
    let no_longer = || refused(Problem::new(StatusCode::UNAUTHORIZED, "nobody signs in by that name any more"));
    let number = app.signed.begin(headers, &name, settings.ok_or_else(no_longer)?, None);
    let number = number.map_err(|why| refused(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)))?;
    adopting::tell(app).await;
    let cookie = set_cookie(headers, &number, AGE_MAX);
    Ok(([(SET_COOKIE, cookie)], Json(SessionBody::new(name, role))).into_response())
}
