//! What each address of the API does, and who may ask.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use hyper::body::Body as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::bus::Bus;
use super::forks;
use super::live::Live;
use super::moment::Moment;
use super::orders::{self, Asked};
use super::problem::Problem;
use super::readiness::Readiness;
use super::record::{CallRecord, State as CallState, Step, TimedNotice};
use super::reload::{self, ReloadAsked};
use super::{audio, events};
use crate::metrics::Metrics;
use crate::shell::copy::Copies;
use crate::shell::fork::ForkSide;

/// Largest request body, bytes.
const BODY_BYTES_MAX: u64 = 4_096;
/// Longest time until an endpoint begins its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Calls listed when the client does not say how many.
const LIST_DEFAULT: usize = 100;
/// Most calls listed at once.
const LIST_MAX: usize = 1_000;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct App {
    pub(super) bus: Arc<Bus>,
    pub(super) orders: mpsc::Sender<Asked>,
    pub(super) copies: Copies,
    pub(super) forks: ForkSide,
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Metrics,
    pub(super) reloads: mpsc::Sender<ReloadAsked>,
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) subscribers: Arc<Semaphore>,
    pub(super) audio_places: Arc<Semaphore>,
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
        .route("/v1/calls", get(calls))
        .route("/v1/calls/{id}", get(call))
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
        .route("/v1/forks", post(forks::fork))
        .route("/v1/drain", post(orders::drain))
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
        return next.run(request).await;
    }
    Problem::new(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer` with the API token").into_response()
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsQuery {
    state: Option<StateFilter>,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateFilter {
    Active,
    Ended,
}

#[derive(Serialize)]
struct Calls {
    /// Calls that are up, listed or not.
    active: usize,
    calls: Vec<Summary>,
}

/// A call in the list; the whole record stands at its own address.
#[derive(Serialize)]
struct Summary {
    id: String,
    state: CallState,
    from: crate::pii::Pii<String>,
    to: crate::pii::Pii<String>,
    route: String,
    scenario: String,
    started: Moment,
    answered: Option<Moment>,
    ended: Option<Moment>,
    target: Option<String>,
    emotion: Option<Step>,
    peak: Option<super::record::Peak>,
    decisions: usize,
    alerts: usize,
}

impl From<&CallRecord> for Summary {
    fn from(record: &CallRecord) -> Self {
        Self {
            id: record.id.clone(),
            state: record.state,
            from: record.from.clone(),
            to: record.to.clone(),
            route: record.route.clone(),
            scenario: record.scenario.clone(),
            started: record.started,
            answered: record.answered,
            ended: record.ended,
            target: record.target.clone(),
            emotion: record.emotion.clone(),
            peak: record.peak.clone(),
            decisions: record.decisions.len(),
            alerts: record.alerts.len(),
        }
    }
}

async fn calls(
    State(app): State<App>,
    query: Result<Query<CallsQuery>, QueryRejection>,
) -> Result<Json<Calls>, Problem> {
    let Query(query) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let limit = query.limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("`limit` is 1 to {LIST_MAX}")));
    }
    let answer = app.bus.with_board(|board| {
        let active = board.active().filter(|_| query.state != Some(StateFilter::Ended));
        let ended = board.ended().filter(|_| query.state != Some(StateFilter::Active));
        let mut records: Vec<&CallRecord> = active.collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.started));
        let calls = records.into_iter().chain(ended).take(limit).map(Summary::from).collect();
        Calls { active: board.active_count(), calls }
    });
    Ok(Json(answer))
}

/// A call with its timeline and events.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    call: CallRecord,
    timeline: std::collections::VecDeque<Step>,
    events: std::collections::VecDeque<TimedNotice>,
}

async fn call(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Detail>, Problem> {
    let record = app.bus.with_board(|board| board.call(&id).cloned());
    let mut call = record.ok_or_else(no_such_call)?;
    let timeline = std::mem::take(&mut call.timeline);
    let events = std::mem::take(&mut call.events);
    Ok(Json(Detail { call, timeline, events }))
}

fn no_such_call() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such call")
}
