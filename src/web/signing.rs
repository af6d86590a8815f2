//! `/v1/session`: people sign in with a password, and a code where they have an authenticator app, and are known by a cookie
//! from then on.
//!
//! Other sites cannot use the cookie: it goes with requests of our own pages only (`SameSite=Strict`), what changes anything
//! asks for a header that no form can send, and WebSockets for our own origin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::http::header::{COOKIE, HOST, ORIGIN, RETRY_AFTER, SET_COOKIE, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::adopting;
use super::limits::{Peer, address, network};
use super::live::{Live, TenantToken};
use super::moment::Moment;
use super::oidc;
use super::orders::Body;
use super::permit::{Area, areas};
use super::problem::Problem;
use super::routes::App;
use super::scope::Scope;
use super::seats::Seats;
use super::sessions::{AGE_MAX, IDLE_MAX, Known, News, Now, Sessions, Shown};
use crate::pii::Pii;
use crate::settings::{UserSettings, is_this_machine};
use crate::store::SiteSession;
use crate::users::{PasswordDigest, Role};

pub(super) const COOKIE_NAME: &str = "calmline_session";
/// Stands in every request of the console that changes anything.
pub(super) const CONSOLE_HEADER: &str = "x-calmline-console";
/// How often sessions are looked through for those that ended by themselves.
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// Passwords that are checked at the same time: each takes a processor and 19 MiB, which calls need, too.
const CHECKS_MAX: usize = 1;
/// Sign-ins that wait for their turn; further ones, and those of an address that has as many as are left, are told to come again.
const WAITING_MAX: usize = 32;
/// Questions at a time for sessions that began at another node.
const ASKING_MAX: usize = 4;
/// Those who ask or wait for a turn to; whoever comes besides is not known here.
const ASKING_WAITING_MAX: usize = 512;
/// The longest name and password that are looked at, bytes.
const FIELD_BYTES_MAX: usize = 256;

/// Who is signed in.
#[derive(Clone)]
pub(super) struct Signed {
    sessions: Arc<Mutex<Sessions>>,
    checks: Arc<Semaphore>,
    waiting: Arc<Seats>,
    started: Instant,
    /// Whoever tells the site's database of sessions, one at a time, and whoever asks there for one.
    telling: Arc<tokio::sync::Mutex<()>>,
    asking: Arc<Semaphore>,
    asking_waiting: Arc<Semaphore>,
    /// What a password is compared with whose user there is none of, so that it takes as long.
    nobody: Arc<PasswordDigest>,
}

/// Cancelled when the session ends whose request this was; never for machines.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended(pub(super) CancellationToken);

/// Whoever asks.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// A machine with the server's own token.
    Machine,
    /// A person, or a machine with a tenant's token.
    Person {
        /// Their name.
        user: String,
        /// What they are.
        role: Role,
        /// Cancelled when their session ends.
        ended: CancellationToken,
        /// Of their own calls, those that they were shown last.
        shown: Shown,
        /// The calls that they see.
        scope: Scope,
    },
}

/// Why nobody is let in.
enum Refusal {
    /// Wrong too often; for how long still.
    Locked(Duration),
    /// A wrong password or code, and whether it locks the user out.
    Wrong { locks: bool },
    /// The password is right, and a code is needed besides.
    CodeNeeded,
}

impl Who {
    /// A machine with a tenant's token: it may what a supervisor may, in that tenant's calls.
    pub(super) fn of_tenant(name: &str, token: &TenantToken) -> Self {
        Who::Person {
            // Nobody who signs in is called so.
            user: format!("token:{name}"),
            role: Role::Supervisor,
            ended: token.ended.clone(),
            shown: Shown::default(),
            scope: Scope::new(None, Some(&token.tenant)),
        }
    }

    /// As the audit trail names it.
    pub(super) fn name(&self) -> &str {
        match self {
            Who::Machine => "api",
            Who::Person { user, .. } => user,
        }
    }

    /// As their browser is called in calls.
    pub(super) fn browser(&self) -> String {
        format!("browser:{}", self.name())
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    user: String,
    #[schema(format = Password)]
    password: String,
    /// Six digits of the authenticator app, of whoever has one.
    #[schema(pattern = "^[0-9]{6}$")]
    code: Option<String>,
}

/// Somebody is signed out here.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedOut {
    /// Where their browser goes to sign out of the provider, too, by which they had signed in.
    provider: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionBody {
    user: String,
    role: &'static str,
    may: Vec<Area>,
    idle_s: u64,
}

impl Credentials {
    /// Those of somebody who is known already.
    pub(super) fn of(user: String, password: String, code: Option<String>) -> Self {
        Self { user, password, code }
    }

    fn fits(&self) -> bool {
        let lengths = [self.user.len(), self.password.len(), self.code.as_ref().map_or(0, String::len)];
        lengths.into_iter().all(|length| length <= FIELD_BYTES_MAX)
    }
}

impl SessionBody {
    pub(super) fn new(user: String, role: Role) -> Self {
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
            waiting: Seats::new(WAITING_MAX, "sign-ins"),
            started: Instant::now(),
            telling: Arc::default(),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
            asking_waiting: Arc::new(Semaphore::new(ASKING_WAITING_MAX)),
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
        let found = self.sessions().user(number, |name| live.users.get(name), self.now());
        found.map(|Known { user, settings, ended, shown }| {
            let scope = Scope::of_user(settings);
            Who::Person { user, role: settings.role, ended, shown, scope }
        })
    }

    /// Ends sessions that end by themselves, again and again, until the API closes.
    pub(super) async fn sweep(self, live: Arc<ArcSwap<Live>>, closing: CancellationToken) {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                _ = every.tick() => self.look(&live.load()),
            }
        }
    }

    /// Ends sessions, and what is open in them, that are not what they were any more.
    pub(super) fn look(&self, live: &Live) {
        self.sessions().sweep(|name| live.users.get(name), self.now());
    }

    /// The time by which sessions last. It counts from before the start: a session may have begun earlier at another node.
    pub(super) fn now(&self) -> Duration {
        AGE_MAX + self.started.elapsed()
    }

    /// The same moment by everybody's clock, too.
    pub(super) fn at(&self) -> Now {
        Now { here: self.now(), everywhere: Duration::from_millis(Moment::now().0) }
    }

    /// Begins the session of somebody who was let in, by the token of a provider's or here: its number. Whoever was signed in in
    /// that browser is not any more, and nobody goes on by a number from before.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn begin(
        &self,
        headers: &HeaderMap,
        user: &str,
        settings: UserSettings,
        id_token: Option<String>,
    ) -> Result<String, &'static str> {
        let mut sessions = self.sessions();
        cookie(headers).into_iter().for_each(|before| drop(sessions.end(before)));
        sessions.begin(user, settings, id_token, self.now())
    }

    /// Ends a session; the OpenID provider's word for it, where it began there.
    pub(super) fn end(&self, number: &str) -> Option<Pii<String>> {
        self.sessions().end(number)
    }

    /// Whoever tells other nodes of sessions does so in turn.
    pub(super) fn telling(&self) -> &tokio::sync::Mutex<()> {
        &self.telling
    }

    /// Whoever asks for a session of another node has one of few turns.
    pub(super) fn asking(&self) -> &Semaphore {
        &self.asking
    }

    /// And a seat for as long as they wait for it.
    pub(super) fn asking_waiting(&self) -> &Semaphore {
        &self.asking_waiting
    }

    /// Whether a session of that number is here.
    pub(super) fn knows(&self, number: &str) -> bool {
        self.sessions().knows(number)
    }

    /// Takes in a session that began at another node.
    pub(super) fn adopt(&self, told: &SiteSession, live: &Live) {
        self.sessions().adopt(told, |name| live.users.get(name), self.at());
    }

    /// What other nodes do not know yet.
    pub(super) fn news(&self) -> News {
        self.sessions().news(self.at())
    }

    /// They know it now.
    pub(super) fn told(&self, news: &News) {
        self.sessions().told(news, self.at());
    }

    /// Makes sessions what all nodes had told of them, at `since` or later.
    pub(super) fn hear(&self, all: &[SiteSession], since: Duration) {
        self.sessions().hear(all, since, self.at());
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user's entry, when the password is right.
    async fn check(self, known: Option<UserSettings>, given: Credentials) -> Result<UserSettings, Refusal> {
        let locked = |user: &str| self.sessions().locked(user, self.now()).map(Refusal::Locked);
        if let Some(refusal) = locked(&given.user) {
            return Err(refusal);
        }
        let Ok(turn) = Arc::clone(&self.checks).acquire_owned().await else {
            return Err(Refusal::Wrong { locks: false });
        };
        // Many may have been waiting for their turn.
        if let Some(refusal) = locked(&given.user) {
            return Err(refusal);
        }
        let (known, digest) = self.compared(known);
        let Credentials { user, password, code } = given;
        let checked = tokio::task::spawn_blocking(move || digest.is_of(&password)).await;
        let known = known.filter(|_| checked.unwrap_or(false));
        let settings = self.second(&user, known, code.as_deref());
        // Not before it counts: whoever is next looks at that.
        drop(turn);
        settings
    }
}

impl Signed {
    /// The entry of somebody who has a password, and the hash that is compared: nobody's for everybody else, among them those
    /// who sign in at a provider.
    fn compared(&self, known: Option<UserSettings>) -> (Option<UserSettings>, PasswordDigest) {
        let known = known.filter(|known| known.password.is_hash());
        let nobodys = || PasswordDigest::clone(&self.nobody);
        let digest = known.as_ref().map_or_else(nobodys, |known| known.password.clone());
        (known, digest)
    }

    /// The entry of a user whose password was right, once the code is, too, where one is needed. What is wrong counts.
    fn second(&self, user: &str, known: Option<UserSettings>, code: Option<&str>) -> Result<UserSettings, Refusal> {
        let mut sessions = self.sessions();
        if let Some(known) = known {
            let Some(secret) = &known.totp else { return Ok(known) };
            let Some(code) = code else { return Err(Refusal::CodeNeeded) };
            if secret.step(code, Moment::now().0 / 1_000).is_some_and(|step| sessions.take_code(user, step)) {
                return Ok(known);
            }
        }
        Err(Refusal::Wrong { locks: sessions.wrong(user, self.now()) })
    }
}

/// `POST /v1/session`.
pub(super) async fn sign_in(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    given: Body<Credentials>,
) -> Response {
    if let Err(refused) = app.count_stranger(peer.as_deref(), &headers) {
        return *refused;
    }
    let given = match given {
        Ok(Json(given)) => given,
        Err(error) => return Problem::new(StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    if !is_own(&Method::POST, &headers) {
        return strange().into_response();
    }
    let from = peer.map(|Extension(Peer(peer))| network(address(peer, &headers)).to_string());
    let entering = app.clone();
    // On its own: whoever asks may go before the password is checked, and it counts, and is in the trail, all the same.
    let deed = async move {
        let user = given.user.clone();
        match checked(&entering, from.as_deref(), given).await {
            Ok(settings) => entered(&entering, &headers, user, settings).await,
            Err(refused) => *refused,
        }
    };
    app.on_its_own(deed).await
}

/// Begins the session of somebody who was let in.
async fn entered(app: &App, headers: &HeaderMap, user: String, settings: UserSettings) -> Response {
    let role = settings.role;
    let begun = app.signed.begin(headers, &user, settings, None);
    let number = match begun {
        Ok(number) => number,
        Err(why) => return Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    };
    app.audit("signed_in", &user, "", json!({ "role": role.name() })).await;
    adopting::tell(app).await;
    let cookie = set_cookie(headers, &number, AGE_MAX);
    ([(SET_COOKIE, cookie)], Json(SessionBody::new(user, role))).into_response()
}

/// Checks a password that came `from` somewhere, once it is its turn: the user's entry, or what is answered. What is wrong is on
/// record.
pub(super) async fn checked(app: &App, from: Option<&str>, given: Credentials) -> Result<UserSettings, Box<Response>> {
    let problem = |status, detail| Problem::new(status, detail).into_response();
    if !given.fits() {
        return Err(Box::new(problem(StatusCode::BAD_REQUEST, "a name, password or code is too long")));
    }
    let known = app.live.load().users.get(&given.user).cloned();
    let (user, is_known) = (given.user.clone(), known.is_some());
    let Ok(seat) = app.signed.waiting.take(from) else {
        let detail = "too many sign-ins at a time: try again in a moment";
        let busy = problem(StatusCode::TOO_MANY_REQUESTS, detail);
        return Err(Box::new(([(RETRY_AFTER, "1")], busy).into_response()));
    };
    let checked = app.signed.clone().check(known, given).await;
    drop(seat);
    match checked {
        Ok(settings) => Ok(settings),
        Err(refusal) => {
            // A name that is none may be a password that was typed in its place; and the trail is for good.
            if let Refusal::Wrong { locks } = refusal
                && is_known
            {
                app.audit("sign_in_refused", &user, "", json!({ "locks": locks })).await;
            }
            Err(Box::new(refused(&refusal)))
        }
    }
}

/// `GET /v1/session`.
pub(super) async fn session(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.signed.person(&app, &Method::GET, &headers) {
        Some(Who::Person { user, role, .. }) => Json(SessionBody::new(user, role)).into_response(),
        _ => Problem::new(StatusCode::UNAUTHORIZED, "nobody is signed in").into_response(),
    }
}

/// `DELETE /v1/session`.
pub(super) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    if !is_own(&Method::DELETE, &headers) {
        return strange().into_response();
    }
    if let Some(who) = app.signed.person(&app, &Method::DELETE, &headers) {
        app.audit("signed_out", who.name(), "", json!({})).await;
    }
    let id_token = cookie(&headers).and_then(|number| app.signed.end(number));
    adopting::tell(&app).await;
    let nobody = [(SET_COOKIE, set_cookie(&headers, "", Duration::ZERO))];
    match oidc::way_out(&app, id_token).await {
        Some(provider) => (nobody, Json(SignedOut { provider })).into_response(),
        None => (StatusCode::NO_CONTENT, nobody).into_response(),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let left = match refusal {
        Refusal::Locked(left) => left,
        Refusal::CodeNeeded => {
            let detail = "a code of the authenticator app is needed besides: `code`";
            return Problem { needs: Some("code"), ..Problem::new(StatusCode::UNAUTHORIZED, detail) }.into_response();
        }
        Refusal::Wrong { .. } => {
            let detail = "the name, the password or the code is wrong";
            return Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
        }
    };
    let detail = "too many wrong passwords: wait before the next one";
    let wait = HeaderValue::from(left.as_secs().max(1));
    ([(RETRY_AFTER, wait)], Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)).into_response()
}

pub(super) fn strange() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, format!("expected a request of the console, with `{CONSOLE_HEADER}`"))
}

/// Whether a request comes from one of our own pages: what changes anything has the header, a WebSocket our origin.
pub(super) fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    if headers.contains_key(UPGRADE) {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let origin = text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        return origin.is_some() && origin == text(HOST);
    }
    *method == Method::GET || *method == Method::HEAD || headers.contains_key(CONSOLE_HEADER)
}

/// The number of the session that a browser is in.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE_NAME)
}

/// The value of a cookie.
pub(super) fn cookie_named<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// The cookie: for this site's requests alone, not for scripts, and beyond this machine for TLS alone.
pub(super) fn set_cookie(headers: &HeaderMap, number: &str, lasts: Duration) -> String {
    let secure = if is_plain_here(headers) { "" } else { "; Secure" };
    format!("{COOKIE_NAME}={number}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", lasts.as_secs())
}

/// Whether a browser on this machine asks, without TLS: a proxy says what it was asked by, and a page where it is from.
pub(super) fn is_plain_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let forwarded = HeaderName::from_static("x-forwarded-proto");
    if text(forwarded).eq_ignore_ascii_case("https") || text(ORIGIN).starts_with("https://") {
        return false;
    }
    let host = text(HOST);
    is_this_machine(host.rsplit_once(':').map_or(host, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_signs_in_at_a_provider_is_compared_with_nobody_and_let_in_by_no_password() {
        let signed = Signed::new().expect("random numbers");
        let password = PasswordDigest::of_subject("https://id.example", "4711");
        let guest =
            UserSettings { role: Role::Supervisor, password, serves: None, totp: None, routes: None, tenant: None };
        let (known, digest) = signed.compared(Some(guest.clone()));
        assert!(known.is_none() && digest == *signed.nobody);
        let (user, password) = ("li".to_owned(), "nobody has this password".to_owned());
        let checked = signed.clone().check(Some(guest), Credentials { user, password, code: None }).await;
        assert!(matches!(checked, Err(Refusal::Wrong { locks: false })));

        let password = PasswordDigest::of("a long password").expect("random numbers");
        let user = UserSettings {
            role: Role::Supervisor,
            password: password.clone(),
            serves: None,
            totp: None,
            routes: None,
            tenant: None,
        };
        let (known, digest) = signed.compared(Some(user));
        assert!(known.is_some() && digest == password);
    }
}
