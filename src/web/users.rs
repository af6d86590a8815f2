//! `/v1/users`: who may sign in, for administrators. Those of the configuration are shown; those in the store are made, changed and
//! removed here. Passwords and second factors are made by the server and shown once.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::WebError;
use super::calls::store_down;
use super::libraries::blocking;
use super::orders::{Body, bad, read};
use super::people::{audit, audit_done, kept};
use super::problem::Problem;
use super::query::{PageQuery, page};
use super::routes::App;
use super::signing::Who;
use crate::accounts::{ACCOUNTS_MAX, Account, Secrets};
use crate::libraries::Version;
use crate::settings::{TENANT, UserSettings, check_user_name, is_tenant};
use crate::store::Store;
use crate::users::Role;

/// The longest target or extension of an agent, characters.
const SERVES_CHARACTERS_MAX: usize = 64;
/// Whoever of a site changes users, and for how long that may take.
const LEASE: &str = "users";
const LEASE_LASTS: Duration = Duration::from_secs(3);

/// Everybody who may sign in.
#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<User>,
    /// What `after` goes on by, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// Somebody who may sign in.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    name: String,
    role: Role,
    /// Of an agent: the target, or else the extension, whose calls are their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    serves: Option<String>,
    /// Of a supervisor: the tenant whose calls they see, when it is not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tenant: Option<String>,
    /// Whether they may not sign in for the time being.
    disabled: bool,
    /// Whether a code is asked for besides the password.
    second_factor: bool,
    /// Whether they stand in the configuration, where alone they can be changed.
    configured: bool,
    /// What is shown once, where it was made just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secrets: Option<Secrets>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: String,
    role: Role,
    #[schema(nullable = false)]
    serves: Option<String>,
    /// Of a supervisor: the tenant whose calls they see; all, without it.
    #[schema(nullable = false)]
    tenant: Option<String>,
    /// Whether a second factor is made, too.
    #[serde(default)]
    second_factor: bool,
}

/// What is to change; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    #[schema(nullable = false)]
    role: Option<Role>,
    #[schema(nullable = false)]
    serves: Option<String>,
    /// Of a supervisor: the tenant whose calls they see; an empty one for all.
    #[schema(nullable = false)]
    tenant: Option<String>,
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// `GET /v1/users`.
pub(super) async fn list(
    State(app): State<App>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Users>, Problem> {
    let (limit, after) = PageQuery::asked(query)?;
    let user = |(name, settings): (&String, &UserSettings)| {
        let user = User {
            name: name.clone(),
            role: settings.role,
            serves: settings.serves.clone(),
            tenant: settings.tenant.clone(),
            disabled: false,
            second_factor: settings.totp.is_some(),
            configured: true,
            secrets: None,
        };
        (name.clone(), user)
    };
    let stored = app.accounts.kept().unwrap_or_default();
    let stored = stored.iter().map(|(name, account)| (name.clone(), shown(name, account, None)));
    let mut users: BTreeMap<String, User> = stored.collect();
    // Of one name, that of the configuration counts.
    users.extend(app.accounts.configured(|users| users.iter().map(user).collect::<Vec<_>>()));
    let users = users.into_values().filter(|user| after.as_ref().is_none_or(|after| user.name > *after));
    let (users, next) = page(users, limit, |user| user.name.clone());
    Ok(Json(Users { users, next }))
}

/// `POST /v1/users`.
pub(super) async fn create(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<NewUser>,
) -> Result<Response, Problem> {
    let NewUser { name, role, serves, tenant, second_factor } = read(body)?;
    let wrong = |expected: &str| bad(format!("found the name {name:?}, expected {expected}"));
    check_user_name(&name).map_err(wrong)?;
    let _alone = alone(&app).await?;
    let known = known(&app)?;
    if app.accounts.is_configured(&name) || known.contains_key(&name) {
        return Err(Problem::new(StatusCode::CONFLICT, format!("there is a user {name}")));
    }
    if known.len() >= ACCOUNTS_MAX {
        return Err(Problem::new(StatusCode::CONFLICT, format!("there are {ACCOUNTS_MAX} users already")));
    }
    let (serves, tenant) = (checked(role, serves)?, checked_tenant(role, tenant)?);
    let account = Account { role, serves, tenant, disabled: false, password_hash: String::new(), totp: None };
    let (account, secrets) = renewed(&name, account, true, second_factor).await?;
    put(&app, &who, "user_created", &name, Some(account.clone())).await?;
    Ok((StatusCode::CREATED, answer(&name, &account, Some(secrets))).into_response())
}

/// `GET /v1/users/{name}`.
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let account = account(&app, &name)?;
    Ok(answer(&name, &account, None).into_response())
}

/// `PATCH /v1/users/{name}`.
pub(super) async fn change(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body<UserChange>,
) -> Result<Response, Problem> {
    let UserChange { role, serves, tenant, disabled } = read(body)?;
    let _alone = alone(&app).await?;
    let before = account(&app, &name)?;
    check_version(&headers, &before)?;
    check_other(&who, &name)?;
    let role = role.unwrap_or(before.role);
    let serves = checked(role, serves.or(before.serves.clone()).filter(|_| role == Role::Agent))?;
    let kept_tenant = || before.tenant.clone().filter(|_| role == Role::Supervisor);
    let tenant = checked_tenant(role, tenant.or_else(kept_tenant))?;
    let after = Account { role, serves, tenant, disabled: disabled.unwrap_or(before.disabled), ..before };
    put(&app, &who, "user_changed", &name, Some(after.clone())).await?;
    Ok(answer(&name, &after, None).into_response())
}

/// `DELETE /v1/users/{name}`.
pub(super) async fn remove(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let _alone = alone(&app).await?;
    check_version(&headers, &account(&app, &name)?)?;
    check_other(&who, &name)?;
    put(&app, &who, "user_removed", &name, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/users/{name}/password`.
pub(super) async fn renew_password(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let _alone = alone(&app).await?;
    let (account, secrets) = renewed(&name, account(&app, &name)?, true, false).await?;
    put(&app, &who, "password_renewed", &name, Some(account.clone())).await?;
    Ok(answer(&name, &account, Some(secrets)).into_response())
}

/// `POST /v1/users/{name}/totp`.
pub(super) async fn renew_totp(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let _alone = alone(&app).await?;
    let (account, secrets) = renewed(&name, account(&app, &name)?, false, true).await?;
    put(&app, &who, "second_factor_renewed", &name, Some(account.clone())).await?;
    Ok(answer(&name, &account, Some(secrets)).into_response())
}

/// `DELETE /v1/users/{name}/totp`.
pub(super) async fn remove_totp(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let _alone = alone(&app).await?;
    let account = Account { totp: None, ..account(&app, &name)? };
    put(&app, &who, "second_factor_removed", &name, Some(account.clone())).await?;
    Ok(answer(&name, &account, None).into_response())
}

/// What is being changed by nobody else: of a site neither by another node, for a moment at least; and as it is by now.
async fn alone(app: &App) -> Result<tokio::sync::MutexGuard<'_, ()>, Problem> {
    let alone = app.accounts.changing.lock().await;
    let store = kept(app)?;
    if store.has_site() {
        if !store.has_lease(LEASE.to_owned(), LEASE_LASTS).await.map_err(store_down)? {
            let detail = "users are being changed by another node: try again in a moment";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        let now = store.accounts().await.map_err(store_down)?;
        let broken = |error: WebError| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        app.accounts.keep(now).map_err(broken)?;
    }
    Ok(alone)
}

/// Those that are kept.
fn known(app: &App) -> Result<BTreeMap<String, Account>, Problem> {
    kept(app)?;
    app.accounts.kept().ok_or_else(|| store_down("the users have not been read yet".to_owned()))
}

/// One of those that are kept.
pub(super) fn account(app: &App, name: &str) -> Result<Account, Problem> {
    if app.accounts.is_configured(name) {
        let detail = format!("{name} stands in the configuration: change it there, and have it read again");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let no_such = || Problem::new(StatusCode::NOT_FOUND, format!("no user {name}"));
    known(app)?.remove(name).ok_or_else(no_such)
}

/// What an agent serves; nothing for everybody else.
fn checked(role: Role, serves: Option<String>) -> Result<Option<String>, Problem> {
    let is_good = |text: &String| !text.is_empty() && text.chars().count() <= SERVES_CHARACTERS_MAX;
    match (role, serves) {
        (Role::Agent, Some(serves)) if is_good(&serves) => Ok(Some(serves)),
        (Role::Agent, _) => Err(bad(format!(
            "`serves`: expected the target, or else the extension, at which the agent answers, of 1-{SERVES_CHARACTERS_MAX} characters"
        ))),
        (_, None) => Ok(None),
        (_, Some(_)) => Err(bad("`serves` is of agents alone")),
    }
}

/// Whose calls a supervisor sees; an empty name is nobody's, so that all are seen.
fn checked_tenant(role: Role, tenant: Option<String>) -> Result<Option<String>, Problem> {
    let Some(tenant) = tenant.filter(|tenant| !tenant.is_empty()) else { return Ok(None) };
    if role != Role::Supervisor {
        return Err(bad("`tenant` is of supervisors alone"));
    }
    if !is_tenant(&tenant) {
        return Err(bad(format!("`tenant`: found {tenant:?}, expected {TENANT}")));
    }
    Ok(Some(tenant))
}

/// Nobody shuts themselves out.
fn check_other(who: &Who, name: &str) -> Result<(), Problem> {
    let detail = "nobody changes their own role, disables or removes themselves: another administrator does";
    let is_other = !matches!(who, Who::Person { user, .. } if user == name);
    is_other.then_some(()).ok_or_else(|| Problem::new(StatusCode::CONFLICT, detail))
}

fn check_version(headers: &HeaderMap, account: &Account) -> Result<(), Problem> {
    let Some(given) = headers.get(IF_MATCH) else {
        let detail = "send `If-Match` with the ETag that was read";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail));
    };
    let is_same = given == "*" || *given == etag(account);
    let detail = "somebody else has changed it meanwhile: read it again";
    is_same.then_some(()).ok_or_else(|| Problem::new(StatusCode::PRECONDITION_FAILED, detail))
}

/// The account with what is new of it, and what is shown of that once.
async fn renewed(name: &str, mut account: Account, password: bool, totp: bool) -> Result<(Account, Secrets), Problem> {
    let name = name.to_owned();
    let made = blocking(move || {
        let password = password.then(|| account.renew_password()).transpose()?;
        let otpauth_url = totp.then(|| account.renew_totp(&name)).transpose()?;
        Ok::<_, String>((account, Secrets { password, otpauth_url }))
    });
    made.await?.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))
}

/// Writes down who asks for a change of an account, changes it, and writes down that it is done; sessions that it ends, end now.
pub(super) async fn put(app: &App, who: &Who, kind: &str, name: &str, account: Option<Account>) -> Result<(), Problem> {
    let store = kept(app)?;
    let mut all = known(app)?;
    let what = json!({ "user": name, "before": all.get(name).map(told), "after": account.as_ref().map(told) });
    // First: what counts must be asked for on record, even when the program ends in the midst of it.
    audit(store, who, &format!("{kind}_asked"), what.clone()).await?;
    store.keep_account(name.to_owned(), account.clone()).await.map_err(store_down)?;
    match account {
        Some(account) => drop(all.insert(name.to_owned(), account)),
        None => drop(all.remove(name)),
    }
    let broken = |error: WebError| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    app.accounts.keep(all).map_err(broken)?;
    app.signed.look(&app.live.load());
    tell_others(app, store).await;
    // It counts already, and what was made for it is shown this once: that is not held back.
    audit_done(store, who, kind, what).await;
    Ok(())
}

/// Lets other nodes of a site know, and change users themselves.
async fn tell_others(app: &App, store: &Store) {
    if !store.has_site() {
        return;
    }
    // One that cannot be given back lapses.
    let _ = store.give_back(LEASE.to_owned()).await;
    if let Some(carrier) = &app.carrier {
        carrier.tell_changed().await;
    }
}

/// What the audit trail says of an account: nothing that opens anything.
fn told(account: &Account) -> serde_json::Value {
    let Account { role, serves, tenant, disabled, totp, .. } = account;
    json!({ "role": role, "serves": serves, "tenant": tenant, "disabled": disabled, "second_factor": totp.is_some() })
}

fn answer(name: &str, account: &Account, secrets: Option<Secrets>) -> impl IntoResponse + use<> {
    ([(ETAG, etag(account))], Json(shown(name, account, secrets)))
}

fn shown(name: &str, account: &Account, secrets: Option<Secrets>) -> User {
    let Account { role, serves, tenant, disabled, totp, .. } = account;
    let (name, second_factor) = (name.to_owned(), totp.is_some());
    let (serves, tenant) = (serves.clone(), tenant.clone());
    User { name, role: *role, serves, tenant, disabled: *disabled, second_factor, configured: false, secrets }
}

/// What an account is known by: another with every change of it, and nothing can be read in it.
fn etag(account: &Account) -> HeaderValue {
    let text = serde_json::to_string(account).expect("strings");
    HeaderValue::try_from(format!("\"{}\"", Version::of(&text))).expect("hexadecimal digits in quotes")
}
