//! What each address of the API does, and who may ask.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use hyper::body::Body as _;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::bus::Bus;
use super::forks;
use super::live::Live;
use super::orders::{self, Asked};
use super::problem::Problem;
use super::readiness::Readiness;
use super::reload::{self, ReloadAsked};
use super::{
    audio, backup, calls, channel, consent, deliveries, events, facts, interactions, outcomes, people, reports,
};
use crate::metrics::Metrics;
use crate::shell::copy::Copies;
use crate::shell::crm::Outbox;
use crate::shell::fork::ForkSide;
use crate::store::{AuditEntry, Store};

/// Largest request body, bytes.
const BODY_BYTES_MAX: u64 = 4_096;
/// Longest time until an endpoint begins its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What the handlers share.
#[derive(Clone)]
pub(super) struct App {
    pub(super) bus: Arc<Bus>,
    pub(super) orders: mpsc::Sender<Asked>,
    pub(super) copies: Copies,
    pub(super) forks: ForkSide,
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Metrics,
    pub(super) store: Option<Store>,
    pub(super) outbox: Option<Outbox>,
    pub(super) reloads: mpsc::Sender<ReloadAsked>,
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) subscribers: Arc<Semaphore>,
    pub(super) audio_places: Arc<Semaphore>,
    pub(super) channels: Arc<Semaphore>,
    pub(super) closing: CancellationToken,
}

impl App {
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

/// All addresses. Everything but `/healthz` and `/readyz` asks for the token, unknown addresses too.
pub(super) fn router(app: App) -> Router {
    let open = Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz));
    let closed = Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/calls", get(calls::calls))
        .route("/v1/calls/{id}", get(calls::call))
        .route("/v1/calls/{id}/audio", get(audio::audio))
        .route("/v1/calls/{id}/bypass", post(orders::bypass).delete(orders::end_bypass))
        .route("/v1/calls/{id}/hangup", post(orders::hang_up))
        .route("/v1/calls/{id}/prompts", post(orders::play))
        .route("/v1/calls/{id}/prompts/{prompt}", delete(orders::stop))
        .route("/v1/calls/{id}/supervisors", post(orders::supervise))
        .route(
            "/v1/calls/{id}/supervisors/{supervisor}",
            patch(orders::change_supervisor).delete(orders::end_supervisor),
        )
        .route("/v1/calls/{id}/utterances", post(orders::typed))
        .route("/v1/calls/{id}/facts", put(facts::tell))
        .route("/v1/calls/{id}/consent", put(consent::tell))
        .route("/v1/calls/{id}/expressions", post(interactions::show))
        .route("/v1/calls/{id}/outcomes", post(outcomes::tell))
        .route("/v1/interactions/{id}/outcomes", post(outcomes::tell))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", delete(deliveries::remove))
        .route("/v1/deliveries/{id}/retry", post(deliveries::retry))
        .route("/v1/interactions", post(interactions::open).get(calls::calls))
        .route("/v1/interactions/{id}", get(calls::call))
        .route("/v1/interactions/{id}/channel", get(channel::channel))
        .route("/v1/interactions/{id}/consent", put(consent::tell))
        .route("/v1/interactions/{id}/end", post(interactions::end))
        .route("/v1/interactions/{id}/expressions", post(interactions::show))
        .route("/v1/interactions/{id}/facts", put(facts::tell))
        .route("/v1/interactions/{id}/messages", post(interactions::write))
        .route("/v1/interactions/{id}/moved", post(interactions::moved))
        .route("/v1/forks", post(forks::fork))
        .route("/v1/people/calls", post(people::calls))
        .route("/v1/people/erase", post(people::erase))
        .route("/v1/people/key", post(people::key))
        .route("/v1/people/hold", post(people::hold))
        .route("/v1/people/holds", get(people::holds))
        .route("/v1/people/release", post(people::release))
        .route("/v1/backup", get(backup::state).post(backup::begin))
        .route("/v1/reports/{date}", get(reports::day))
        .route("/v1/drain", post(orders::drain))
        .route("/v1/policies/back", post(orders::policies_back))
        .route("/v1/reload", post(reload::reload))
        .route("/v1/events", get(events::events))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no such address"))
        .layer(middleware::from_fn_with_state(app.clone(), admit));
    open.merge(closed)
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .layer(middleware::from_fn(bound))
        .with_state(app)
}

/// Lets requests with the token pass.
async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.live.load().gate.admits(request.headers()) {
        return audited(&app, request, next).await;
    }
    Problem::new(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer` with the API token").into_response()
}

/// Answers a request; where there is an audit trail, only once that has it. Figures are no business of anybody's.
async fn audited(app: &App, request: Request, next: Next) -> Response {
    let Some(store) = app.store.as_ref().filter(|_| request.uri().path() != "/metrics") else {
        return next.run(request).await;
    };
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let what = serde_json::json!({ "method": method, "path": path, "status": response.status().as_u16() });
    let of_call = path.strip_prefix("/v1/calls/").or_else(|| path.strip_prefix("/v1/interactions/"));
    let call = of_call.and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
    store.journal().committed(AuditEntry { kind: "access".to_owned(), who: "api".to_owned(), call, what }).await;
    response
}

/// Bounds what a request may cost and sets the headers every answer carries.
async fn bound(request: Request<Body>, next: Next) -> Response {
    let size = request.body().size_hint();
    if size.lower() > BODY_BYTES_MAX || size.upper().is_none() {
        let detail = format!("bodies are at most {BODY_BYTES_MAX} bytes, of known length");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    }
    let mut response = match tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(app): State<App>) -> Response {
    let status = if app.readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(app.readiness.report())).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}

pub(super) fn no_such_call() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such call")
}
