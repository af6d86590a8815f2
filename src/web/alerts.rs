//! `/v1/alerts` and `/v1/calls/{id}/alerts`: what waits for a supervisor, what becomes of it, and what is escalated since nobody
//! has reacted.
//!
//! What becomes of an alert is told and kept like everything else of its call, so its history stands in the call's events.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::bus::Bus;
use super::live::Live;
use super::moment::Moment;
use super::orders::{Asked, Body, answered, ask, read};
use super::problem::Problem;
use super::record::{Alert, CallRecord};
use super::routes::App;
use super::scope::Scope;
use super::signing::Who;
use crate::control::Order;
use crate::notice::Handling;
use crate::users::Role;

/// Alerts that are listed when nothing is said, and at most.
const LIST_DEFAULT: usize = 100;
const LIST_MAX: usize = 1_000;
/// How long an alert is snoozed at most, minutes.
const SNOOZE_MINUTES_MAX: u64 = 240;
/// How often is looked for what nobody has reacted to.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsQuery {
    /// Those that wait for somebody, of calls that are up; all when absent.
    #[param(inline, nullable = false)]
    state: Option<StateFilter>,
    /// How many at most.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertsState)]
enum StateFilter {
    Open,
}

/// Alerts, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertList {
    alerts: Vec<Listed>,
}

/// An alert and its call.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedAlert)]
struct Listed {
    /// Its call.
    call: String,
    /// The call's route.
    route: String,
    /// When it was told.
    #[schema(value_type = String, format = DateTime)]
    time: Moment,
    /// Whether it waits for somebody.
    open: bool,
    #[serde(flatten)]
    alert: Alert,
}

/// What becomes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertHandling)]
enum Deed {
    Acknowledge,
    Assign,
    Snooze,
}

/// Which alert, and what becomes of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertRequest)]
pub(super) struct HandleRequest {
    /// Its `call_ms`.
    alert_ms: u64,
    /// Its rule.
    rule: String,
    /// What becomes of it.
    action: Deed,
    /// Of `assign`: the supervisor or administrator who takes it.
    #[schema(nullable = false)]
    to: Option<String>,
    /// Of `snooze`: for how many minutes.
    #[schema(nullable = false, minimum = 1, maximum = 240)]
    minutes: Option<u64>,
}

/// `GET /v1/alerts`.
pub(super) async fn list(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    query: Result<Query<AlertsQuery>, QueryRejection>,
) -> Result<Json<AlertList>, Problem> {
    let Query(AlertsQuery { state, limit }) =
        query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let limit = limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("`limit` is 1 to {LIST_MAX}")));
    }
    let (scope, now) = (Scope::of(who.as_deref()), Moment::now());
    let mut alerts: Vec<Listed> = app.bus.with_board(|board| {
        let ended = board.ended().filter(|_| state.is_none());
        let seen = board.active().chain(ended).filter(|record| scope.sees_call(record));
        seen.flat_map(|record| record.alerts.iter().map(|alert| listed(record, alert, now))).collect()
    });
    alerts.retain(|listed| state.is_none() || listed.open);
    alerts.sort_by_key(|listed| std::cmp::Reverse(listed.time));
    alerts.truncate(limit);
    Ok(Json(AlertList { alerts }))
}

fn listed(record: &CallRecord, alert: &Alert, now: Moment) -> Listed {
    let open = record.ended.is_none() && alert.is_open(age_ms(record, now));
    let time = Moment(record.started.0 + alert.call_ms);
    Listed { call: record.id.clone(), route: record.route.clone(), time, open, alert: alert.clone() }
}

fn age_ms(record: &CallRecord, now: Moment) -> u64 {
    now.0.saturating_sub(record.started.0)
}

/// `POST /v1/calls/{id}/alerts`.
pub(super) async fn handle(
    State(app): State<App>,
    Path(call): Path<String>,
    Extension(who): Extension<Who>,
    body: Body<HandleRequest>,
) -> Result<Response, Problem> {
    let HandleRequest { alert_ms, rule, action, to, minutes } = read(body)?;
    let wrong = |detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    match (action, &to, minutes) {
        (Deed::Acknowledge, None, None) | (Deed::Assign, Some(_), None) => {}
        (Deed::Snooze, None, Some(minutes)) if (1..=SNOOZE_MINUTES_MAX).contains(&minutes) => {}
        (Deed::Snooze, None, _) => return wrong("`minutes` says for how long, 1 to 240"),
        _ => return wrong("`to` stands beside `assign`, and `minutes` beside `snooze`"),
    }
    app.check_up(&call)?;
    let found = app.bus.with_board(|board| {
        let record = board.call(&call)?;
        let is_there = record.alerts.iter().any(|alert| alert.call_ms == alert_ms && alert.rule == rule);
        is_there.then(|| (age_ms(record, Moment::now()), record.route.clone()))
    });
    let Some((now_ms, route)) = found else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "the call has no such alert"));
    };
    if let Some(to) = &to {
        may_take(&app, to, &route)?;
    }
    let (state, by) = (action.state().to_owned(), who.name().to_owned());
    let until_ms = minutes.map(|minutes| now_ms + minutes * 60_000);
    let handling = Handling { alert_ms, rule, state, by, to, until_ms };
    answered(ask(&app, Order::HandleAlert { call, handling }).await?)
}

/// Whether somebody can be given an alert of that route.
fn may_take(app: &App, name: &str, route: &str) -> Result<(), Problem> {
    let live = app.live.load();
    let user = live.users.get(name).filter(|user| matches!(user.role, Role::Supervisor | Role::Administrator));
    let sees = user.is_some_and(|user| Scope::new(user.routes.as_ref()).sees(Some(route)));
    let nobody =
        || Problem::new(StatusCode::BAD_REQUEST, "`to` names no supervisor or administrator who sees the call");
    sees.then_some(()).ok_or_else(nobody)
}

impl Deed {
    fn state(self) -> &'static str {
        match self {
            Deed::Acknowledge => "acknowledged",
            Deed::Assign => "assigned",
            Deed::Snooze => "snoozed",
        }
    }
}

/// Has alerts escalated that nobody reacts to, again and again, until the API closes.
pub(super) async fn escalate(
    bus: Arc<Bus>,
    live: Arc<ArcSwap<Live>>,
    orders: mpsc::Sender<Asked>,
    closing: CancellationToken,
) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = every.tick() => {}
        }
        for order in due(&bus, live.load().escalate_after, Moment::now()) {
            // When call control is that busy, the next look finds it again.
            let _ = orders.try_send(Asked { order, answer: None });
        }
    }
}

/// What is to be escalated now.
fn due(bus: &Bus, after: Duration, now: Moment) -> Vec<Order> {
    let patience_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let escalated = |record: &CallRecord, alert: &Alert| {
        let (state, by, rule) = ("escalated".to_owned(), "server".to_owned(), alert.rule.clone());
        let handling = Handling { alert_ms: alert.call_ms, rule, state, by, to: None, until_ms: None };
        Order::HandleAlert { call: record.id.clone(), handling }
    };
    bus.with_board(|board| {
        let of = |record| {
            let due = CallRecord::alerts_due(record, age_ms(record, now), patience_ms);
            due.map(|alert| escalated(record, alert)).collect::<Vec<_>>()
        };
        board.active().flat_map(of).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{Notice, What};
    use crate::notice_samples::one_of_each;

    #[test]
    fn what_nobody_reacts_to_is_escalated_once() {
        let bus = Bus::new();
        let samples = one_of_each();
        let alert = samples.iter().find(|notice| matches!(notice.what, What::Alert { .. })).expect("one of each");
        bus.publish_at(&samples[0], Moment(1_000_000));
        bus.publish_at(alert, Moment(1_000_000 + alert.call_ms));
        let at = |ms: u64| due(&bus, Duration::from_secs(60), Moment(1_000_000 + alert.call_ms + ms));
        assert_eq!(at(59_999), []);
        let orders = at(60_000);
        let [Order::HandleAlert { call, handling }] = orders.as_slice() else { panic!("{orders:?}") };
        assert_eq!((handling.state.as_str(), handling.by.as_str()), ("escalated", "server"));
        let told =
            Notice { call: call.clone(), call_ms: alert.call_ms + 60_000, what: What::AlertHandled(handling.clone()) };
        bus.publish_at(&told, Moment(0));
        assert_eq!(at(90_000), [], "once");
    }
}
