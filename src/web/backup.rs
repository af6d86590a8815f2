//! `/v1/backup`: has a back-up made, and says what became of the last one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::calls::store_down;
use super::people::kept;
use super::problem::Problem;
use super::routes::App;
use crate::store::{Backup, NoBackup};

/// `POST /v1/backup`.
pub(super) async fn begin(State(app): State<App>) -> Result<Response, Problem> {
    let refused = |why: NoBackup| match why {
        NoBackup::Down | NoBackup::NoThread(_) => store_down(why.to_string()),
        NoBackup::Running(_) => Problem::new(StatusCode::CONFLICT, why.to_string()),
    };
    let folder = kept(&app)?.begin_backup().map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(Backup::Running { folder })).into_response())
}

/// `GET /v1/backup`.
pub(super) async fn state(State(app): State<App>) -> Result<Json<Backup>, Problem> {
    Ok(Json(kept(&app)?.last_backup()))
}
