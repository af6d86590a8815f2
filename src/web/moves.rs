//! `/v1/targets` and `/v1/calls/{id}/move`: where callers can be moved, and moving one by order.

use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Json};
use routing::Route;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::orders::{Body, answered, ask, bad, read};
use super::problem::Problem;
use super::routes::App;
use super::signing::Who;
use crate::control::{Order, Wish};
use crate::notice::PriorityChange;
use crate::settings::QUEUE_PRIORITY_MAX;

/// Ways of one order.
const WAYS_MAX: usize = 5;
/// The longest name of a way or target, bytes.
const NAME_BYTES_MAX: usize = 64;

/// Where callers can be moved, and whose phones supervisors can be called at.
#[derive(Serialize, ToSchema)]
pub(super) struct Targets {
    /// The names of `[targets.NAME]`.
    targets: Vec<String>,
}

/// Where a caller is to be moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveRequest {
    /// The name of a target.
    target: String,
    /// The ways in the order in which they are tried, as in policies; `bridge` when nothing is said.
    #[serde(default)]
    #[schema(max_items = 5)]
    via: Vec<String>,
    /// Its place in the target's queue, in place of the target's own `queue_priority`.
    #[schema(nullable = false, maximum = 1000000)]
    queue_priority: Option<u32>,
}

/// The caller's place in queues.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PriorityRequest {
    /// More is further ahead; that of targets again for `null`.
    #[schema(required, maximum = 1000000)]
    queue_priority: Option<u32>,
}

/// `PUT /v1/calls/{id}/priority`.
pub(super) async fn prioritise(
    State(app): State<App>,
    Path(call): Path<String>,
    Extension(who): Extension<Who>,
    body: Body<PriorityRequest>,
) -> Result<Response, Problem> {
    let PriorityRequest { queue_priority } = read(body)?;
    check_priority(queue_priority)?;
    app.check_up(&call)?;
    let change = PriorityChange { queue_priority, by: who.name().to_owned() };
    answered(ask(&app, Order::Prioritise { call, change }).await?)
}

/// As far ahead as the configuration may have it, and no further.
fn check_priority(priority: Option<u32>) -> Result<(), Problem> {
    let is_known = priority.is_none_or(|priority| priority <= QUEUE_PRIORITY_MAX);
    is_known.then_some(()).ok_or_else(|| bad(format!("`queue_priority` is 0-{QUEUE_PRIORITY_MAX}")))
}

/// `GET /v1/targets`.
pub(super) async fn targets(State(app): State<App>) -> Json<Targets> {
    Json(Targets { targets: app.live.load().agents.keys().cloned().collect() })
}

/// `POST /v1/calls/{id}/move`.
pub(super) async fn move_caller(
    State(app): State<App>,
    Path(call): Path<String>,
    Extension(who): Extension<Who>,
    body: Body<MoveRequest>,
) -> Result<Response, Problem> {
    let MoveRequest { target, via, queue_priority } = read(body)?;
    let is_name = |name: &String| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    let repeats = via.iter().enumerate().any(|(at, way)| via[..at].contains(way));
    if !is_name(&target) || via.len() > WAYS_MAX || repeats || !via.iter().all(is_name) {
        let detail = format!("expected a target and at most {WAYS_MAX} ways without repetition, by their names");
        return Err(bad(detail));
    }
    check_priority(queue_priority)?;
    let ways = if via.is_empty() { vec![Route::Bridge] } else { via.iter().map(|way| Route::named(way)).collect() };
    app.check_up(&call)?;
    let wish = Wish { target, ways, queue_priority };
    let names: Vec<&str> = wish.ways.iter().map(Route::as_str).collect();
    let what = json!({ "target": wish.target, "ways": names, "queue_priority": queue_priority });
    app.audit("move_ordered", who.name(), &call, what).await;
    answered(ask(&app, Order::Move { call, wish }).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_further_ahead_than_the_configuration_may_have_it() {
        let asked = [None, Some(0), Some(QUEUE_PRIORITY_MAX), Some(QUEUE_PRIORITY_MAX + 1)];
        assert_eq!(asked.map(|priority| check_priority(priority).is_ok()), [true, true, true, false]);
    }
}
