//! `POST /v1/keys/rotate`: another data key, and all keys wrapped by the master key that the configuration names now.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::json;

use super::calls::store_down;
use super::people::{audit, audit_done, kept};
use super::problem::Problem;
use super::routes::App;
use super::signing::Who;
use crate::store::Rotated;

/// `POST /v1/keys/rotate`.
pub(super) async fn rotate(State(app): State<App>, Extension(who): Extension<Who>) -> Result<Json<Rotated>, Problem> {
    let store = kept(&app)?.clone();
    let source = app.live.load().master_key.clone();
    let source = source.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the configuration has no [store]"))?;
    audit(&store, &who, "key_rotation_asked", json!({})).await?;
    // On its own: whoever asks may go before it is done, and it is told to the trail all the same.
    let deed = tokio::spawn(async move {
        let keys = store.clone();
        let rotated = tokio::task::spawn_blocking(move || keys.rotate_keys(&source)).await;
        let rotated = rotated.map_err(|error| store_down(error.to_string()))?;
        let rotated = rotated.map_err(|why| Problem::new(StatusCode::CONFLICT, why.to_string()))?;
        audit_done(&store, &who, "keys_rotated", serde_json::to_value(rotated).expect("numbers")).await;
        Ok(Json(rotated))
    });
    deed.await.unwrap_or_else(|error| Err(store_down(error.to_string())))
}
