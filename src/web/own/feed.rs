//! `/v1/own/events`: an agent's own calls, whole, whenever something of them changes.
//!
//! Told as often as five times a second. Events of others' calls lead to no more than a look at whose that call is; whose all calls
//! are is looked at now and then.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, StreamExt};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{FirstShown, OwnCalls, agent, nobody};
use crate::web::bus::{Delivery, Event, Subscription};
use crate::web::events::{KEEP_ALIVE, RETRY, accepts_event_stream};
use crate::web::problem::Problem;
use crate::web::routes::App;
use crate::web::seats::Seat;
use crate::web::sessions::Shown;
use crate::web::signing::{Ended, Who};

/// How far apart what is told is at least.
const APART: Duration = Duration::from_millis(200);
/// How often all calls are looked at: other nodes' come without events of their own, and whose calls are whose may change.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Events by which a call may become somebody's own.
const MOVING: [&str; 3] = ["call_answered", "call_forked", "rerouted"];

/// One agent's way through what happens.
struct Follower {
    app: App,
    user: String,
    shown: Shown,
    ended: CancellationToken,
    subscription: Subscription,
    /// What was told last.
    told: Option<String>,
    /// The calls that it was of, and such as may be theirs since.
    calls: BTreeSet<String>,
    /// Whether others may be, too, and when all calls were looked at last.
    is_unsure: bool,
    looked: Instant,
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
    OwnCalls::of(&app, &user, Some(&BTreeSet::new())).ok_or_else(nobody)?;
    if !accepts_event_stream(&headers) {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "ask with `Accept: text/event-stream`"));
    }
    let seat = app.own_feeds.take(Some(&user))?;
    let subscription = app.bus.subscribe(None);
    let ended = ended.map_or_else(CancellationToken::new, |Extension(Ended(ended))| ended);
    let (calls, is_unsure, looked) = (BTreeSet::new(), true, Instant::now());
    let follower =
        Follower { app, user, shown, ended, subscription, told: None, calls, is_unsure, looked, _seat: seat };
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
                // What came meanwhile is told with it.
                while let Some(Some(delivery)) = self.subscription.next().now_or_never() {
                    self.takes_up(&delivery);
                }
            }
            let own = OwnCalls::of(&self.app, &self.user, (!self.is_unsure).then_some(&self.calls))?;
            if std::mem::take(&mut self.is_unsure) {
                self.looked = Instant::now();
            }
            self.calls = own.ids().collect();
            let body = serde_json::to_string(&own).expect("strings and numbers");
            if self.told.as_ref() != Some(&body) {
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
                () = tokio::time::sleep_until(self.looked + LOOK_EVERY) => {
                    self.is_unsure = true;
                    return Some(());
                }
                delivery = self.subscription.next() => delivery?,
            };
            if self.takes_up(&delivery) {
                return Some(());
            }
        }
    }

    /// Takes up what has happened; whether what was told may be another now.
    fn takes_up(&mut self, delivery: &Delivery) -> bool {
        let Delivery::Event(event) = delivery else {
            self.is_unsure = true;
            return true;
        };
        let live = self.app.live.load();
        let Some(claim) = live.claims.get(&self.user) else { return true };
        let is_theirs = |call: &str| {
            self.app.bus.with_board(|board| {
                let record = board.call(call).filter(|_| board.is_active(call));
                record.is_some_and(|record| claim.is_for(record, &live.desks))
            })
        };
        let is_news = is_news(event, &self.calls, is_theirs);
        if is_news {
            self.calls.insert(event.call.clone());
        }
        is_news
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

/// Whether an event may change what somebody is told: it is of one of their calls, or makes one theirs.
fn is_news(event: &Event, calls: &BTreeSet<String>, is_theirs: impl FnOnce(&str) -> bool) -> bool {
    calls.contains(&event.call) || (MOVING.contains(&event.kind) && is_theirs(&event.call))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::What;
    use crate::notice_samples::one_of_each;
    use crate::web::{Bus, Moment};

    #[test]
    fn calls_of_others_are_no_news_whatever_becomes_of_them() {
        let bus = Bus::new();
        let mut watch = bus.subscribe(None);
        for notice in one_of_each() {
            let what = &notice.what;
            if matches!(what, What::CallStarted { .. } | What::CallAnswered { .. } | What::CallEnded { .. }) {
                bus.publish_at(&notice, Moment(0));
            }
        }
        let mut news = [Vec::new(), Vec::new(), Vec::new()];
        while let Some(Some(Delivery::Event(event))) = watch.next().now_or_never() {
            let own = BTreeSet::from([event.call.clone()]);
            news[0].push(is_news(&event, &own, |_| panic!("it is known whose it is")));
            news[1].push(is_news(&event, &BTreeSet::new(), |_| false));
            news[2].push(is_news(&event, &BTreeSet::new(), |_| true));
        }
        assert_eq!(news, [vec![true; 3], vec![false; 3], vec![false, true, false]]);
    }
}
