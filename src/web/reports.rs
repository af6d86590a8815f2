//! `/v1/reports/DATE`: what the calls of a day add up to; longer times are sums of days, which whoever asks can add up.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::civil::Date;

use super::calls::store_down;
use super::people::kept;
use super::problem::Problem;
use super::routes::App;
use crate::report::Report;

/// `GET /v1/reports/{date}`.
pub(super) async fn day(State(app): State<App>, Path(date): Path<String>) -> Result<Json<Report>, Problem> {
    let wrong =
        |error: jiff::Error| Problem::new(StatusCode::BAD_REQUEST, format!("expected a day like 2026-11-26: {error}"));
    let date: Date = date.parse().map_err(wrong)?;
    let zone = app.live.load().zone.clone();
    let missing =
        || Problem::new(StatusCode::BAD_REQUEST, format!("found {date}, expected a day that {} has", zone.name()));
    zone.day(date).ok_or_else(missing)?;
    Ok(Json(kept(&app)?.report(date, zone).await.map_err(store_down)?))
}
