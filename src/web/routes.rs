//! What each address of the API does, and who may ask.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use hyper::body::Body as _;
use routing::section::TEXT_BYTES_MAX;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Inside;
use super::accounts::Accounts;
use super::addresses::{closed, open};
use super::elsewhere::{CALLS, call_of, elsewhere};
use super::etag;
use super::forward::{Vouched, forward};
use super::libraries::Replacing;
use super::limits::{Asker, Limits, Peer, address};
use super::live::Live;
use super::moment::Moment;
use super::oidc::SigningIn;
use super::own::FirstShown;
use super::permit::Permissions;
use super::policies::InForce;
use super::problem::{Problem, as_problem};
use super::recordings::{RECORDING_BYTES_MAX, UPLOAD_LIMIT};
use super::scope::{Place, Scope};
use super::seats::Seats;
use super::server;
use super::shared::Shared;
use super::signing::{Ended, Signed, Who};
use crate::notice::Notice;
use crate::shell::told::Told;

/// Largest request body, bytes.
pub(super) const BODY_BYTES_MAX: u64 = 16 << 10;
/// Longest time until an endpoint begins its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The same where the configuration is read again before the answer, with texts that are spoken and models that are loaded.
const FILE_LIMIT: Duration = Duration::from_secs(60);

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
        let Inside { bus, store, outbox, metrics, escalating, .. } = &*self.inside;
        let (bus, store) = (Arc::clone(bus), store.clone());
        escalating.hear(notice, &bus, now);
        Told { bus, store, outbox: outbox.clone(), metrics: metrics.clone() }.tell_of(notice, now, place);
    }

    /// Writes down what somebody does or orders, where there is a trail: what becomes of it stands there by itself.
    pub(super) async fn audit(&self, kind: &str, who: &str, call: &str, what: serde_json::Value) {
        if let Some(store) = &self.store {
            store.audited(kind, who, call, what).await;
        }
    }

    /// Counts a request, where it is known who asks; a refusal when that was too often lately.
    pub(super) fn count(&self, asker: Asker<'_>) -> Result<(), Box<Response>> {
        self.limits.count(asker).map_err(|wait| {
            self.metrics.count_requests_limited(asker.kind());
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
        .layer(middleware::from_fn(bound))
        .with_state(app)
}

/// Lets requests with the token pass, those of people who may, and those that another node has let in.
async fn admit(State(app): State<App>, path: Option<MatchedPath>, mut request: Request, next: Next) -> Response {
    let vouched = request.extensions().get::<Vouched>().map(|Vouched(who)| who.clone());
    let known = vouched.or_else(|| known(&app, request.method(), request.headers()));
    let Some(who) = known else {
        if let Err(refused) = app.count_stranger(request.extensions().get(), request.headers()) {
            return *refused;
        }
        let detail = "send `Authorization: Bearer` with the API token, or sign in";
        return Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    };
    let asker = if matches!(who, Who::Machine) { Asker::Token } else { Asker::Person(who.name()) };
    if let Err(refused) = app.count(asker) {
        return *refused;
    }
    // An address that there is not is for nobody.
    let at = path.as_ref().map_or("", MatchedPath::as_str);
    if let Who::Person { role, .. } = who
        && !app.permissions.may(role, request.method(), at)
    {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let refused = Problem::new(StatusCode::FORBIDDEN, format!("not as {}", role.name())).into_response();
        return recorded(&app, &who, (&method, &path), refused).await;
    }
    if !sees(&app, &Scope::of(Some(&who)), &mut request).await {
        // Whether there is such a call is not for them to know.
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let refused = recorded(&app, &who, (&method, &path), no_such_call().into_response()).await;
        // In pieces, as every answer to a person: a length would tell it from that about a call that there is not.
        return refused.map(|body| Body::from_stream(body.into_data_stream()));
    }
    if let Some(there) = elsewhere(&app, &mut request).await {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = forward(&app, &who, there, request).await;
        return recorded(&app, &who, (&method, &path), response).await;
    }
    answer(&app, who, request, next).await
}

/// Whoever a request shows to be.
fn known(app: &App, method: &Method, headers: &HeaderMap) -> Option<Who> {
    let live = app.live.load();
    let own = live.gate.admits(headers).then_some(Who::Machine);
    own.or_else(|| live.machine(headers)).or_else(|| app.signed.person(app, method, headers))
}

/// Answers a request here.
async fn answer(app: &App, who: Who, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(who.clone());
    let Who::Person { ended, .. } = who.clone() else { return audited(app, &who, request, next).await };
    // What goes on for long ends with the session: here what is a body, by itself what is a WebSocket.
    request.extensions_mut().insert(Ended(ended.clone()));
    let response = audited(app, &who, request, next).await;
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended.cancelled_owned())))
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

/// Answers a request; figures are no business of anybody's.
async fn audited(app: &App, who: &Who, request: Request, next: Next) -> Response {
    if request.uri().path() == "/metrics" {
        return next.run(request).await;
    }
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let response = next.run(request).await;
    recorded(app, who, (&method, &path), response).await
}

/// An answer; where there is an audit trail, only once that has it.
async fn recorded(app: &App, who: &Who, (method, path): (&str, &str), response: Response) -> Response {
    let Some(store) = &app.store else { return response };
    let what = serde_json::json!({ "method": method, "path": path, "status": response.status().as_u16() });
    let of_call = path.strip_prefix("/v1/calls/").or_else(|| path.strip_prefix("/v1/interactions/"));
    let call = of_call.and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
    // Whoever serves looks every other second: each of their calls is told once per session.
    let calls = response.extensions().get::<FirstShown>().map_or_else(|| vec![call], |FirstShown(calls)| calls.clone());
    for call in calls {
        store.audited("access", who.name(), &call, what.clone()).await;
    }
    response
}

/// Bounds what a request may cost and sets the headers every answer carries.
async fn bound(request: Request<Body>, next: Next) -> Response {
    let size = request.body().size_hint();
    // Files are longer than everything else, and few may send them.
    let is_file = ["/v1/libraries/", "/v1/policies/"].iter().any(|place| request.uri().path().starts_with(place));
    let (most, limit) = if request.uri().path() == "/v1/recordings" {
        (RECORDING_BYTES_MAX, UPLOAD_LIMIT)
    } else if is_file {
        (TEXT_BYTES_MAX as u64, FILE_LIMIT)
    } else {
        (BODY_BYTES_MAX, ANSWER_LIMIT)
    };
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

pub(super) fn no_such_call() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such call")
}
