//! `/v1/wall`: what happens in all calls, over a WebSocket, for many who watch: events of a fifth of a second together, written
//! once for everybody who sees the same calls.
//!
//! Whoever cannot follow loses the oldest and is told so; nobody else waits for them. There is no coming back to a number:
//! the list of calls is read again.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::bus::{Bus, EventBody, Together};
use super::events::{INCOMING_BYTES_MAX, Told, lagged_json, serve_socket, spoken};
use super::problem::Problem;
use super::routes::App;
use super::scope::Scope;
use super::seats::Seat;
use super::signing::{Ended, Who};

/// How often walls are told what has happened.
const TICK: Duration = Duration::from_millis(200);
/// Most walls at the same time; further ones get 503, as does whoever has as many as are left.
pub const WALLS_MAX: usize = 512;

/// What a wall is told at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = WallEvents)]
pub(super) struct WallBody<'a> {
    /// `events`; `lagged` in a message without events: some were lost, and what is known has to be read again.
    r#type: &'static str,
    /// What has happened since the last time, in order. Of several steps of a party's timeline the latest alone, with what a
    /// wall shows of it; of what is being said likewise.
    events: Vec<EventBody<'a>>,
}

/// One who watches; the seat is free again when this is dropped.
struct Watcher {
    told: broadcast::Receiver<Arc<Together>>,
    scope: Scope,
    closing: CancellationToken,
    ended: Ended,
    _seat: Seat,
}

/// Tells all walls, again and again, until the API closes.
pub(super) async fn tell(bus: Arc<Bus>, closing: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => bus.tell_together(),
        }
    }
}

/// `GET /v1/wall`.
pub(super) async fn wall(
    State(app): State<App>,
    headers: HeaderMap,
    who: Option<Extension<Who>>,
    ended: Option<Extension<Ended>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let watcher = Watcher {
        _seat: app.walls.of(who.as_deref())?,
        told: app.bus.subscribe_together(),
        scope: Scope::of(who.as_deref()),
        closing: app.closing,
        ended: ended.map_or_else(Ended::default, |Extension(ended)| ended),
    };
    let upgrade = upgrade.protocols(spoken(&headers));
    let upgrade = upgrade.max_message_size(INCOMING_BYTES_MAX).max_frame_size(INCOMING_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| serve_socket(socket, watcher)))
}

impl Told for Watcher {
    async fn next_text(&mut self) -> Option<Utf8Bytes> {
        loop {
            let told = tokio::select! {
                () = self.closing.cancelled() => return None,
                () = self.ended.0.cancelled() => return None,
                told = self.told.recv() => told,
            };
            match told {
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(lagged_json(None).into()),
                Err(broadcast::error::RecvError::Closed) => return None,
                // What is lost with the others comes again with the list that is read.
                Ok(told) if told.is_lost() => return Some(lagged_json(None).into()),
                Ok(told) => {
                    if let Some(text) = told.text(&self.scope) {
                        return Some(text);
                    }
                }
            }
        }
    }
}
