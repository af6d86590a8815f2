//! `PUT /v1/calls/{id}/consent`: what the caller has said elsewhere of words being kept.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::orders::{Body, answered, ask, read};
use super::problem::Problem;
use super::routes::App;
use crate::control::Order;

/// How it stands from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentRequest {
    consent: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ConsentSaid)]
enum Said {
    Given,
    Refused,
}

/// `PUT /v1/calls/{id}/consent`.
pub(super) async fn tell(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<ConsentRequest>,
) -> Result<Response, Problem> {
    let ConsentRequest { consent } = read(body)?;
    app.check_up(&call)?;
    answered(ask(&app, Order::Consent { call, given: consent == Said::Given }).await?)
}
