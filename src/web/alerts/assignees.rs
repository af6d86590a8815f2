//! `GET /v1/calls/{id}/assignees`: whom an alert of a call can be given.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::problem::Problem;
use super::super::query::{PageQuery, page};
use super::super::routes::{App, no_such_call};
use super::super::scope::{Place, Scope};
use super::super::signing::Who;
use super::sees;

/// Users who see a call.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Assignees {
    /// Their names.
    users: Vec<String>,
    /// What `after` goes on by, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// `GET /v1/calls/{id}/assignees`.
pub(in crate::web) async fn assignees(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(call): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Assignees>, Problem> {
    let (limit, after) = PageQuery::asked(query)?;
    let (route, tenant) = place(&app, &call).ok_or_else(no_such_call)?;
    if !Scope::of(Some(&who)).sees(Some(&route), tenant.as_deref()) {
        return Err(no_such_call());
    }
    let live = app.live.load();
    let users = live.users.iter().filter(|(_, user)| sees(user, &route, tenant.as_deref()));
    let names = users.map(|(name, _)| name.clone()).filter(|name| after.as_ref().is_none_or(|after| name > after));
    let (users, next) = page(names, limit, String::clone);
    Ok(Json(Assignees { users, next }))
}

/// Where a call on the board belongs, or one from before a restart of which an alert still waits.
fn place(app: &App, call: &str) -> Option<Place> {
    let on_board = app.bus.with_board(|board| board.call(call).map(super::super::CallRecord::place));
    on_board.or_else(|| {
        let waiting = app.escalating.waiting().into_iter().find(|waiting| waiting.call == call)?;
        Some((waiting.route, waiting.tenant))
    })
}
