//! A browser that came into a call of another node by way of this one: it is cut off there when its session ends here.
//!
//! Its node knows of no session. While this node is closed nobody would tell it, so the browser is cut off then, too, as those in
//! calls of a closing node's own are.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use super::carry;
use crate::web::elsewhere::Whereabouts;
use crate::web::record::{CallRecord, SupervisorState};
use crate::web::routes::App;
use crate::web::signing::Who;

/// What a browser is connected by: the end of the address.
const CONNECTED_BY: &str = "/webrtc";
/// How often it is looked whether it has left by itself, and when a node that does not answer is told again.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often a node is told that does not answer.
const TELL_MAX: u32 = 120;

/// A supervisor in a call of another node.
struct There {
    node: Whereabouts,
    call: String,
    supervisor: u32,
    place: Uri,
}

/// Whose session lets them take part in a call from a browser, where that is what a request asks for.
pub(super) fn session_of(who: &Who, request: &Request) -> Option<CancellationToken> {
    let connects = request.method() == Method::POST && request.uri().path().ends_with(CONNECTED_BY);
    match who {
        Who::Person { ended, .. } if connects => Some(ended.clone()),
        _ => None,
    }
}

/// Has a browser cut off that was let in there, once its session ends.
pub(super) fn with_session(app: &App, session: CancellationToken, node: &Whereabouts, answer: &Response) {
    if answer.status() != StatusCode::CREATED {
        return;
    }
    match There::of(node, answer) {
        Some(there) => drop(app.deeds.spawn(cut_off(app.clone(), there, session))),
        None => tracing::warn!(node = node.node, "it is not said where a browser was let in: nobody can cut it off"),
    }
}

async fn cut_off(app: App, there: There, session: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = session.cancelled() => break,
            () = app.closing.cancelled() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if there.is_over(&app) {
            return;
        }
    }
    for _ in 0..TELL_MAX {
        if there.tell(&app).await || app.closing.is_cancelled() || there.is_over(&app) {
            return;
        }
        tokio::select! {
            () = app.closing.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    tracing::warn!(node = there.node.node, call = there.call, "a browser is not cut off: its node does not answer");
}

impl There {
    fn of(node: &Whereabouts, answer: &Response) -> Option<Self> {
        let place = answer.headers().get(LOCATION)?.to_str().ok()?;
        let (call, supervisor) = place.strip_prefix("/v1/calls/")?.split_once("/supervisors/")?;
        let (call, supervisor) = (call.to_owned(), supervisor.parse().ok()?);
        Some(Self { node: node.clone(), call, supervisor, place: place.parse().ok()? })
    }

    /// Whether it takes part no longer, as far as is known here. Of a call whose node is gone nothing is.
    fn is_over(&self, app: &App) -> bool {
        let has_left = |record: &CallRecord| {
            let supervisor = record.supervisors.iter().rev().find(|each| each.supervisor == self.supervisor);
            let is_gone = |state| matches!(state, SupervisorState::Left | SupervisorState::Failed);
            record.ended.is_some() || supervisor.is_some_and(|supervisor| is_gone(supervisor.state))
        };
        let known = app.bus.with_board(|board| board.call(&self.call).map(has_left));
        known.unwrap_or_else(|| app.bus.others().iter().any(|other| other.node == self.node.node))
    }

    /// Tells its node, which may know the person no more, or by a role that may not; whether that has answered.
    async fn tell(&self, app: &App) -> bool {
        let (Some(carrier), Some(store)) = (&app.carrier, &app.store) else { return true };
        let mut leaves = Request::new(Body::empty());
        (*leaves.method_mut(), *leaves.uri_mut()) = (Method::DELETE, self.place.clone());
        let answered = carry(app, (carrier, store), &Who::Machine, &self.node, leaves).await;
        // One that has left meanwhile is known there no more; a node that is too busy is told again.
        answered.is_ok_and(|answer| {
            let status = answer.status();
            !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
        })
    }
}
