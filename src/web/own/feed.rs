//! `/v1/own/events`: an agent's own calls, whole, whenever something of them changes.
//!
//! Told as often as five times a second. Events of others' calls lead to no more than a look at whose calls there are.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{FirstShown, OwnCalls, agent, nobody};
use crate::web::bus::{Delivery, Subscription};
use crate::web::events::{KEEP_ALIVE, RETRY, accepts_event_stream};
use crate::web::problem::Problem;
use crate::web::routes::App;
use crate::web::seats::Seat;
use crate::web::sessions::Shown;
use crate::web::signing::{Ended, Who};

/// How far apart what is told is at least.
const APART: Duration = Duration::from_millis(200);
/// Events by which a call may become somebody's own, or nobody's.
const MOVING: [&str; 4] = ["call_answered", "call_forked", "rerouted", "call_ended"];

/// One agent's way through what happens.
struct Follower {
    app: App,
    user: String,
    shown: Shown,
    ended: CancellationToken,
    subscription: Subscription,
    /// What was told last, and of which calls.
    told: Option<String>,
    calls: BTreeSet<String>,
    _seat: Seat,
}

/// `GET /v1/own/events`.
pub(in crate::web) async fn follow(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    ended: Option<Extension<Ended>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (user, shown) = agent(who)?;
    OwnCalls::of(&app, &user).ok_or_else(nobody)?;
    if !accepts_event_stream(&headers) {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "ask with `Accept: text/event-stream`"));
    }
    let seat = app.own_feeds.take(Some(&user))?;
    let subscription = app.bus.subscribe(None);
    let ended = ended.map_or_else(CancellationToken::new, |Extension(Ended(ended))| ended);
    let calls = BTreeSet::new();
    let follower = Follower { app, user, shown, ended, subscription, told: None, calls, _seat: seat };
    let told = futures::stream::unfold(follower, async |mut follower| {
        let body = follower.next().await?;
        Some((Ok::<_, Infallible>(SseEvent::default().event("own_calls").retry(RETRY).data(body)), follower))
    });
    let response = Sse::new(told.boxed()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // What is shown is audited as it is shown.
    Ok((Extension(FirstShown(Vec::new())), response).into_response())
}

impl Follower {
    /// What is to be told next; `None` when the session or the server ends, or the person serves no calls any more.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.told.is_some() {
                self.change().await?;
                tokio::time::sleep(APART).await;
            }
            let own = OwnCalls::of(&self.app, &self.user)?;
            let body = serde_json::to_string(&own).expect("strings and numbers");
            if self.told.as_ref() != Some(&body) {
                self.calls = own.ids().collect();
                self.audit().await;
                self.told = Some(body.clone());
                return Some(body);
            }
        }
    }

    /// Waits until what was told may be another now.
    async fn change(&mut self) -> Option<()> {
        loop {
            let delivery = tokio::select! {
                () = self.app.closing.cancelled() => return None,
                () = self.ended.cancelled() => return None,
                delivery = self.subscription.next() => delivery?,
            };
            match delivery {
                Delivery::Event(event) if !self.calls.contains(&event.call) && !MOVING.contains(&event.kind) => {}
                Delivery::Event(_) | Delivery::Lagged { .. } => return Some(()),
            }
        }
    }

    /// Puts calls that come into sight into the audit trail.
    async fn audit(&self) {
        let first = self.shown.first(self.calls.clone());
        let Some(store) = &self.app.store else { return };
        for call in first {
            let what = json!({ "method": "GET", "path": "/v1/own/events", "status": 200 });
            store.audited("access", &self.user, &call, what).await;
        }
    }
}
