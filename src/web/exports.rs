//! `/v1/exports/{table}`: ended calls of a time as rows for a warehouse, in a form of choice.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::calls::store_down;
use super::moment::Moment;
use super::orders::bad;
use super::people::{audit, kept};
use super::problem::Problem;
use super::query::asked;
use super::reports::one_of;
use super::routes::App;
use super::signing::Who;
use crate::export::{ExportFormat, ExportTable};
use crate::store::NoExport;

/// Of when, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// Calls that started then or later, RFC 3339.
    from: Moment,
    /// Calls that started before it, RFC 3339.
    before: Moment,
    /// `parquet`, `csv`, or `json`: one object a line.
    #[param(nullable = false, default = "parquet")]
    format: Option<String>,
}

/// `GET /v1/exports/{table}`.
pub(super) async fn of_table(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(table): Path<String>,
    wanted: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let ExportQuery { from, before, format } = asked(wanted)?;
    let names = ExportTable::ALL.map(ExportTable::name).join(", ");
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("expected a table of {names}, found {table:?}"));
    let table = ExportTable::ALL.into_iter().find(|known| known.name() == table).ok_or_else(unknown)?;
    let format = one_of("format", format.as_deref(), ExportFormat::Parquet).map_err(bad)?;
    let store = kept(&app)?;
    // First: what leaves is on record, whatever becomes of it.
    audit(store, &who, "exported", json!({ "table": table.name(), "from": from, "before": before })).await?;
    let refused = |no| match no {
        NoExport::Busy => Problem::new(StatusCode::CONFLICT, "another export is being written".to_owned()),
        NoExport::TooMuch(why) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why),
        NoExport::Down(why) => store_down(why),
    };
    let octets = store.export((table, format), from, before).await.map_err(refused)?;
    let name = format!("attachment; filename=\"{}.{}\"", table.name(), format.name());
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, octets).into_response())
}
