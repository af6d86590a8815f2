//! Whether the program runs, what of it works, and its figures.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::routes::App;
use crate::store::Store;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// `GET /healthz`.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`.
pub(super) async fn readyz(State(app): State<App>) -> Response {
    let status = if app.readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let set_aside = app.store.as_ref().map_or(0, Store::set_aside);
    (status, Json(app.readiness.report(set_aside))).into_response()
}

/// `GET /metrics`: in the format of OpenMetrics, with exemplars, for whoever takes that; otherwise in Prometheus' older one.
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_open = accepts.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with(OPEN_METRICS));
    if is_open {
        let kind = format!("{OPEN_METRICS}; version=1.0.0; charset=utf-8");
        return ([(CONTENT_TYPE, kind)], app.metrics.render_open()).into_response();
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
