//! `GET` and `PUT /v1/log`: how much the server logs.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::orders::{Body, bad, read};
use super::people::audit;
use super::problem::Problem;
use super::routes::App;
use super::signing::Who;
use crate::log::LogFilter;

/// How much is logged.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogNow {
    /// The filter in force, as `RUST_LOG` has it.
    filter: String,
    /// The one that the server was started with.
    at_start: String,
}

/// How much is to be logged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogRequest {
    /// Levels, or `TARGET=LEVEL`, with commas between.
    #[schema(min_length = 1, max_length = 512, example = "info,calmline::shell::sip=debug")]
    filter: String,
    /// For how long, seconds; the filter of the start comes back then. Without it: until it is changed again.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    for_s: Option<u32>,
}

/// The longest time of a change, seconds.
const FOR_S_MAX: u32 = 86_400;

/// `GET /v1/log`.
pub(super) async fn now(State(app): State<App>) -> Json<LogNow> {
    let (filter, at_start) = app.log.filters();
    Json(LogNow { filter, at_start })
}

/// `PUT /v1/log`.
pub(super) async fn set(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<LogRequest>,
) -> Result<Json<LogNow>, Problem> {
    let LogRequest { filter: text, for_s } = read(body)?;
    let filter = LogFilter::parse(&text).map_err(|found| bad(format!("filter: found {found}")))?;
    if for_s.is_some_and(|for_s| !(1..=FOR_S_MAX).contains(&for_s)) {
        return Err(bad(format!("for_s: expected 1-{FOR_S_MAX}")));
    }
    // It stands in the trail before it is so.
    if let Some(store) = &app.store {
        audit(store, &who, "log_changed", json!({ "filter": text, "for_s": for_s })).await?;
    }
    let taken = app.log.set(filter, for_s.map(|for_s| Duration::from_secs(for_s.into())));
    taken.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    tracing::info!(filter = text, for_s, "how much is logged was changed");
    Ok(now(State(app)).await)
}
