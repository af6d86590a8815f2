//! `/v1/deliveries`: what systems outside are still to be told of, and what they would not take.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::orders::{answered, bad};
use super::problem::Problem;
use super::query::{LIST_MAX, asked, limit_of, page};
use super::routes::App;
use crate::control::Done;
use crate::shell::crm::{Deed, Listed, Outbox};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Those that are to be told, or those that were set aside; all when absent.
    #[param(inline, nullable = false)]
    state: Option<StateFilter>,
    /// How many at most.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<usize>,
    /// Where the page before ended: its `next`.
    #[param(nullable = false)]
    after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryState)]
enum StateFilter {
    Waiting,
    SetAside,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Deliveries {
    deliveries: Vec<Listed>,
    /// What `after` goes on by, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<u64>,
}

/// `GET /v1/deliveries`.
pub(super) async fn list(
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Deliveries>, Problem> {
    let ListQuery { state, limit, after } = asked(query)?;
    if after.is_some_and(|after| i64::try_from(after).is_err()) {
        return Err(bad(format!("`after` is at most {}", i64::MAX)));
    }
    let limit = limit_of(Some(limit.unwrap_or(LIST_MAX)))?;
    let aside = state.map(|state| state == StateFilter::SetAside);
    let found = outbox(&app)?.list(aside, after, limit + 1).await.ok_or_else(down)?;
    let (deliveries, next) = page(found.into_iter(), limit, |delivery| delivery.id);
    Ok(Json(Deliveries { deliveries, next }))
}

/// `POST /v1/deliveries/{id}/retry`.
pub(super) async fn retry(State(app): State<App>, id: Result<Path<u64>, PathRejection>) -> Result<Response, Problem> {
    act(&app, Deed::Retry, id).await
}

/// `DELETE /v1/deliveries/{id}`.
pub(super) async fn remove(State(app): State<App>, id: Result<Path<u64>, PathRejection>) -> Result<Response, Problem> {
    act(&app, Deed::Drop, id).await
}

async fn act(app: &App, deed: Deed, id: Result<Path<u64>, PathRejection>) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    match outbox(app)?.act(deed, id).await {
        Some(true) => answered(Done::Accepted),
        Some(false) => Err(Problem::new(StatusCode::NOT_FOUND, "no such delivery")),
        None => Err(down()),
    }
}

fn outbox(app: &App) -> Result<&Outbox, Problem> {
    app.outbox.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "nobody is told: there is no [store]"))
}

fn down() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "deliveries have stopped")
}
