//! What each address of the API does, and who may ask.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, StreamExt};
use hyper::body::Body as _;
use routing::section::TEXT_BYTES_MAX;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Inside;
use super::accounts::Accounts;
use super::addresses::{closed, open};
use super::adopting::adopted;
use super::denials::Denials;
use super::elsewhere::{CALLS, call_of, elsewhere};
use super::etag;
use super::everywhere::Onward;
use super::forward::{Vouched, forward};
use super::libraries::Replacing;
use super::limits::{Asker, Limits, Peer, address};
use super::live::Live;
use super::moment::Moment;
use super::oidc::SigningIn;
use super::orders::bad;
use super::own::FirstShown;
use super::permit::Permissions;
use super::policies::InForce;
use super::problem::{Problem, as_problem};
use super::recordings::{RECORDING_BYTES_MAX, UPLOAD_LIMIT};
use super::scope::{Place, Scope};
use super::seats::Seats;
use super::server::{self, CLOSE_LIMIT};
use super::shared::Shared;
use super::signing::{Ended, Signed, Who};
use super::whole::kept_elsewhere;
use crate::notice::Notice;
use crate::shell::told::Told;

/// Largest request body, bytes.
pub(super) const BODY_BYTES_MAX: u64 = 16 << 10;
/// Longest time until an endpoint begins its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The same where the configuration is read again before the answer, with texts that are spoken and models that are loaded.
const FILE_LIMIT: Duration = Duration::from_secs(60);
/// The same where calls are read or removed one by one, however many there are.
const LONG_LIMIT: Duration = Duration::from_secs(600);
/// Where recordings are sent.
const RECORDINGS: &str = "/v1/recordings";
/// Where files are sent, which are longer than everything else, by the few who may.
const FILES: [&str; 2] = ["/v1/libraries/", "/v1/policies/"];
/// Where an answer may be long in coming.
const LONG: [&str; 5] = ["/v1/exports/", "/v1/reports/", "/v1/people/erase", "/v1/tenants/erase", "/v1/keys/rotate"];
/// What the audit trail has of a path, and of the call in it, characters: whoever asks writes both, and the trail is for good.
const PATH_CHARACTERS_MAX: usize = 256;
const CALL_CHARACTERS_MAX: usize = 64;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct App {
    pub(super) inside: Arc<Inside>,
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) in_force: Arc<InForce>,
    pub(super) signed: Signed,
    pub(super) signing_in: SigningIn,
    pub(super) limits: Arc<Limits>,
    pub(super) denials: Arc<Denials>,
    pub(super) permissions: Arc<Permissions>,
    pub(super) replacing: Replacing,
    pub(super) shared: Arc<Shared>,
    pub(super) searching: Arc<Semaphore>,
    pub(super) subscribers: Arc<Seats>,
    pub(super) walls: Arc<Seats>,
    pub(super) own_feeds: Arc<Seats>,
    pub(super) listeners: Arc<Seats>,
    pub(super) players: Arc<Seats>,
    pub(super) channels: Arc<Seats>,
    pub(super) uploads: Arc<Semaphore>,
    pub(super) closing: CancellationToken,
    /// What is done to its end, whoever waits for that.
    pub(super) deeds: TaskTracker,
}

impl Deref for App {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.inside
    }
}

impl App {
    /// Tells everybody of what somebody did about a call that is up or over.
    pub(super) fn tell_of(&self, notice: &Notice, now: Moment, place: Option<Place>) {
        self.escalating.hear(notice, &self.bus, now);
        self.told().tell_of(notice, now, place);
    }

    /// Where everybody is told.
    pub(super) fn told(&self) -> Told {
        let Inside { bus, store, outbox, metrics, .. } = &*self.inside;
        Told { bus: Arc::clone(bus), store: store.clone(), outbox: outbox.clone(), metrics: metrics.clone() }
    }

    /// Writes down what somebody does or orders, where there is a trail: what becomes of it stands there by itself.
    pub(super) async fn audit(&self, kind: &str, who: &str, call: &str, what: serde_json::Value) {
        if let Some(store) = &self.store {
            store.audited(kind, who, call, what).await;
        }
    }

    /// Does something to its end, whoever waits for that; once the API closes, for as long as that may take.
    pub(super) async fn on_its_own(&self, deed: impl Future<Output = Response> + Send + 'static) -> Response {
        let closing = self.closing.clone();
        let deed = self.deeds.spawn(async move {
            let overdue = async {
                closing.cancelled().await;
                tokio::time::sleep(CLOSE_LIMIT).await;
            };
            tokio::select! {
                response = deed => response,
                () = overdue => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server ends").into_response(),
            }
        });
        deed.await.unwrap_or_else(|_| broken_off())
    }

    /// Counts a request, where it is known who asks; a refusal when that was too often lately.
    pub(super) fn count(&self, asker: Asker<'_>) -> Result<(), Box<Response>> {
        self.limits.count(asker).map_err(|wait| {
            self.metrics.count_requests_limited(asker.kind());
            self.denials.note(asker, StatusCode::TOO_MANY_REQUESTS);
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests: ask again a moment later");
            Box::new(([(RETRY_AFTER, seconds)], problem).into_response())
        })
    }

    /// The same for whoever is not known.
    pub(super) fn count_stranger(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Result<(), Box<Response>> {
        peer.map_or(Ok(()), |Peer(peer)| self.count(Asker::Stranger(address(*peer, headers))))
    }

    /// Refuses orders for calls that are not up.
    pub(super) fn check_up(&self, id: &str) -> Result<(), Problem> {
        let (known, active) = self.bus.with_board(|board| (board.call(id).is_some(), board.is_active(id)));
        match (known, active) {
            (false, _) => Err(no_such_call()),
            (true, false) => Err(Problem::new(StatusCode::CONFLICT, "the call has ended")),
            (true, true) => Ok(()),
        }
    }
}

/// All addresses. Everything but health, the console's files and its sign-in asks for the token or for a person who may
/// (`permit`), unknown addresses too.
pub(super) fn router(app: App) -> Router {
    let (open, _) = open().parts();
    let (closed, permissions) = closed().parts();
    let app = App { permissions: Arc::new(permissions), ..app };
    let closed = closed
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no such address"))
        .layer(middleware::from_fn(etag::named))
        .layer(middleware::from_fn(server::known))
        .layer(middleware::from_fn_with_state(app.clone(), admit));
    open.merge(closed)
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .layer(middleware::from_fn_with_state(app.clone(), adopted))
        .layer(middleware::from_fn(bound))
        .with_state(app)
}

/// Lets requests with the token pass, those of people who may, and those that another node has let in.
async fn admit(State(app): State<App>, path: Option<MatchedPath>, mut request: Request, next: Next) -> Response {
    let vouched = request.extensions().get::<Vouched>().map(|Vouched(who)| who.clone());
    let known = vouched.or_else(|| known(&app, request.method(), request.headers()));
    let Some(who) = known else {
        if let Some(Peer(peer)) = request.extensions().get() {
            let stranger = Asker::Stranger(address(*peer, request.headers()));
            if let Err(refused) = app.count(stranger) {
                return *refused;
            }
            app.denials.note(stranger, StatusCode::UNAUTHORIZED);
        }
        let detail = "send `Authorization: Bearer` with the API token, or sign in";
        return Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    };
    let asker = if matches!(who, Who::Machine) { Asker::Token } else { Asker::Person(who.name()) };
    if let Err(refused) = app.count(asker) {
        return *refused;
    }
    let access = Access::of(&who, &mut request).await;
    // An address that there is not is for nobody.
    let at = path.as_ref().map_or("", MatchedPath::as_str);
    if let Who::Person { role, .. } = who
        && !app.permissions.may(role, request.method(), at)
    {
        let refused = Problem::new(StatusCode::FORBIDDEN, format!("not as {}", role.name())).into_response();
        return recorded(&app, &access, refused).await;
    }
    let kept_there = kept_elsewhere(&app, &who, &mut request).await;
    if kept_there.is_none() && !sees(&app, &Scope::of(Some(&who)), &mut request).await {
        // Whether there is such a call is not for them to know.
        let refused = recorded(&app, &access, no_such_call().into_response()).await;
        // In pieces, as every answer to a person: a length would tell it from that about a call that there is not.
        return refused.map(|body| Body::from_stream(body.into_data_stream()));
    }
    let there = match kept_there {
        None => elsewhere(&app, &mut request).await,
        there => there,
    };
    let response = match there {
        Some(there) => {
            let (doing, who) = (app.clone(), who.clone());
            let deed = async move {
                let response = forward(&doing, &who, there, request).await;
                recorded(&doing, &access, response).await
            };
            app.on_its_own(deed).await
        }
        None => answer(&app, who.clone(), access, request, next).await,
    };
    // What goes on for long ends with the session: here what is a body, by itself what is a WebSocket.
    match who {
        Who::Person { ended, .. } => {
            response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended.cancelled_owned())))
        }
        Who::Machine => response,
    }
}

/// Whoever a request shows to be.
fn known(app: &App, method: &Method, headers: &HeaderMap) -> Option<Who> {
    let live = app.live.load();
    let own = live.gate.admits(headers).then_some(Who::Machine);
    own.or_else(|| live.machine(headers)).or_else(|| app.signed.person(app, method, headers))
}

/// Answers a request here; where all nodes of a site are asked, the others after that.
async fn answer(app: &App, who: Who, access: Access, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(who.clone());
    if let Who::Person { ended, .. } = &who {
        request.extensions_mut().insert(Ended(ended.clone()));
    }
    match Onward::of(app, request).await {
        Ok((request, None)) => answered(app, access, request, next).await,
        Ok((request, Some(onward))) => {
            let doing = app.clone();
            let deed = async move {
                let here = answered(&doing, access, request, next).await;
                onward.join(&doing, &who, here).await
            };
            app.on_its_own(deed).await
        }
        Err(problem) => recorded(app, &access, problem.into_response()).await,
    }
}

/// Whether the call that a request is about, if it is about one, is somebody's to see. One that nobody knows is so of those alone who
/// see all: others would be told by what is wrong with their request that it is nobody else's. One whose alert still waits may be
/// known by that alone.
async fn sees(app: &App, scope: &Scope, request: &mut Request) -> bool {
    if !scope.is_limited() {
        return true;
    }
    let at = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if !CALLS.iter().any(|place| at.starts_with(place)) {
        return true;
    }
    let Some(call) = call_of(request).await else { return false };
    let on_board = app.bus.with_board(|board| board.call(&call).map(|record| scope.sees_call(record)));
    let known = match (on_board, &app.store) {
        (None, Some(store)) => match store.call(call.clone()).await {
            Ok(record) => record.map(|record| scope.sees_call(&record)),
            // Whose it is cannot be known; an answer of its own would tell it from calls of others on the board.
            Err(_) => Some(false),
        },
        (on_board, _) => on_board,
    };
    known.unwrap_or_else(|| {
        let waiting = app.escalating.waiting();
        let mut alerts = waiting.iter().filter(|alert| alert.call == call);
        alerts.any(|alert| scope.sees(Some(&alert.route), alert.tenant.as_deref()))
    })
}

/// A request, as the audit trail has it.
struct Access {
    who: String,
    method: Method,
    path: String,
    /// The call that it is about, where it is about one.
    call: String,
}

impl Access {
    async fn of(who: &Who, request: &mut Request) -> Self {
        // As it is called, however its address spells it.
        let call = call_of(request).await.unwrap_or_default();
        let call = shortened(&call, CALL_CHARACTERS_MAX);
        let path = shortened(request.uri().path(), PATH_CHARACTERS_MAX);
        Self { who: who.name().to_owned(), method: request.method().clone(), path, call }
    }
}

/// A text at the length that the trail takes; what is left out is counted.
fn shortened(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…+{}", &text[..end], text[end..].chars().count()),
    }
}

/// Answers a request; figures are no business of anybody's. What may change anything is done to its end, and is in the trail,
/// although whoever asks goes before that.
async fn answered(app: &App, access: Access, request: Request, next: Next) -> Response {
    if access.path == "/metrics" {
        return next.run(request).await;
    }
    if [Method::GET, Method::HEAD].contains(&access.method) {
        let response = next.run(request).await;
        return recorded(app, &access, response).await;
    }
    let doing = app.clone();
    if access.path == RECORDINGS {
        // It is written away as it comes, and nothing is done with it before it is there.
        let response = next.run(request).await;
        return app.on_its_own(async move { recorded(&doing, &access, response).await }).await;
    }
    let request = match whole(request).await {
        Ok(request) => request,
        Err(problem) => return recorded(app, &access, problem.into_response()).await,
    };
    let deed = async move {
        let done = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        recorded(&doing, &access, done.unwrap_or_else(|_| broken_off())).await
    };
    app.on_its_own(deed).await
}

/// A request with all of its body, whose length is bounded: it needs whoever sent it no more.
async fn whole(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let broken = |error: axum::Error| bad(format!("the body did not come whole: {error}"));
    let body = to_bytes(body, usize::MAX).await.map_err(broken)?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// An answer, once the audit trail has it, where there is one. Where that cannot be written, or not within a second, answers go on
/// without: what must be on record first, its handler writes down.
async fn recorded(app: &App, access: &Access, response: Response) -> Response {
    let Some(store) = &app.store else { return response };
    let Access { who, method, path, call } = access;
    let what = serde_json::json!({ "method": method.as_str(), "path": path, "status": response.status().as_u16() });
    // Whoever serves looks every other second: each of their calls is told once per session.
    let shown = response.extensions().get::<FirstShown>();
    let calls = shown.map_or_else(|| vec![call.clone()], |FirstShown(calls)| calls.clone());
    for call in calls {
        store.audited("access", who, &call, what.clone()).await;
    }
    response
}

/// Bounds what a request may cost and sets the headers every answer carries.
async fn bound(request: Request<Body>, next: Next) -> Response {
    let size = request.body().size_hint();
    let (most, limit) = bounds(request.uri().path());
    if size.lower() > most || size.upper().is_none() {
        let detail = format!("bodies are at most {most} bytes here, of known length");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    }
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => as_problem(response).await,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time").into_response(),
    };
    let headers = response.headers_mut();
    // The console's files say so themselves.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The largest body that is taken at an address, bytes, and the longest time until its answer begins.
fn bounds(path: &str) -> (u64, Duration) {
    let is_among = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    if path == RECORDINGS {
        (RECORDING_BYTES_MAX, UPLOAD_LIMIT)
    } else if is_among(&FILES) {
        (TEXT_BYTES_MAX as u64, FILE_LIMIT)
    } else if is_among(&LONG) {
        (BODY_BYTES_MAX, LONG_LIMIT)
    } else {
        (BODY_BYTES_MAX, ANSWER_LIMIT)
    }
}

fn broken_off() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the request broke whoever answers it").into_response()
}

pub(super) fn no_such_call() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_has_time_and_only_files_are_large() {
        for (path, expected) in [
            ("/v1/calls", (BODY_BYTES_MAX, 10)),
            ("/v1/people/hold", (BODY_BYTES_MAX, 10)),
            ("/v1/exports/observations", (BODY_BYTES_MAX, 600)),
            ("/v1/reports/2026-11-26", (BODY_BYTES_MAX, 600)),
            ("/v1/people/erase", (BODY_BYTES_MAX, 600)),
            ("/v1/tenants/erase", (BODY_BYTES_MAX, 600)),
            ("/v1/keys/rotate", (BODY_BYTES_MAX, 600)),
            ("/v1/recordings", (RECORDING_BYTES_MAX, 600)),
            ("/v1/recordings/rec-1", (BODY_BYTES_MAX, 10)),
            ("/v1/libraries/policies/own", (TEXT_BYTES_MAX as u64, 60)),
        ] {
            let (most, limit) = bounds(path);
            assert_eq!((most, limit.as_secs()), expected, "{path}");
        }
    }

    #[test]
    fn what_is_longer_than_the_trail_takes_is_counted() {
        for (text, expected) in [("", ""), ("call", "call"), ("calls", "call…+1"), ("来电来电话", "来电来电…+1")]
        {
            assert_eq!(shortened(text, 4), expected);
        }
    }
}
