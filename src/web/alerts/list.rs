//! `GET /v1/alerts`: the alerts of calls that are up or ended lately, and those from before a restart that nobody reacted to.

use std::collections::BTreeSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Alert;
use super::super::moment::Moment;
use super::super::problem::Problem;
use super::super::routes::App;
use super::super::scope::Scope;
use super::super::signing::Who;
use crate::escalation::WaitingAlert;
use crate::pii::Pii;

/// Alerts listed when the client does not say how many, and most at once.
const LIST_DEFAULT: usize = 100;
const LIST_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct AlertsQuery {
    /// Those alone about which nobody has done anything, or only put them off; or all.
    #[param(inline, nullable = false)]
    state: Option<StateFilter>,
    /// How many at most.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Only alerts that were raised before it, RFC 3339.
    #[param(inline, nullable = false)]
    before: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertsState)]
enum StateFilter {
    Open,
    All,
}

/// Alerts, as many as were asked for.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct AlertList {
    alerts: Vec<AlertLine>,
}

/// An alert with its call.
#[derive(Serialize, ToSchema)]
struct AlertLine {
    /// The call's id.
    call: String,
    /// From header's value of the call, where the call is known.
    #[schema(required)]
    from: Option<Pii<String>>,
    /// The call's route.
    route: String,
    /// When it was raised.
    raised: Moment,
    #[serde(flatten)]
    alert: Alert,
}

impl AlertLine {
    /// Whether somebody still has to react.
    fn is_open(&self) -> bool {
        self.alert.handled.as_ref().is_none_or(|handled| handled.deed == "snoozed")
    }
}

impl From<WaitingAlert> for AlertLine {
    fn from(waiting: WaitingAlert) -> Self {
        let WaitingAlert { call, call_ms, rule, route, severity, text, raised, .. } = waiting;
        let alert = Alert { call_ms, severity, text, rule, handled: None, escalated: None };
        Self { call, from: None, route, raised, alert }
    }
}

/// `GET /v1/alerts`.
pub(in crate::web) async fn list(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    query: Result<Query<AlertsQuery>, QueryRejection>,
) -> Result<Json<AlertList>, Problem> {
    let Query(query) = query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let limit = query.limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("`limit` is 1 to {LIST_MAX}")));
    }
    let scope = Scope::of(who.as_deref());
    let mut lines = on_board(&app, &scope);
    let known: BTreeSet<String> = lines.iter().map(|line| line.call.clone()).collect();
    let before = app.escalating.waiting().into_iter().filter(|waiting| {
        !known.contains(&waiting.call) && scope.sees(Some(&waiting.route), waiting.tenant.as_deref())
    });
    lines.extend(before.map(AlertLine::from));
    lines.retain(|line| {
        let is_wanted = query.state == Some(StateFilter::All) || line.is_open();
        is_wanted && query.before.is_none_or(|before| line.raised < before)
    });
    lines.sort_by_key(|line| std::cmp::Reverse(line.raised));
    lines.truncate(limit);
    Ok(Json(AlertList { alerts: lines }))
}

/// Those of calls on the board.
fn on_board(app: &App, scope: &Scope) -> Vec<AlertLine> {
    app.bus.with_board(|board| {
        let records = board.active().chain(board.ended()).filter(|record| scope.sees_call(record));
        let lines = records.flat_map(|record| {
            record.alerts.iter().map(|alert| AlertLine {
                call: record.id.clone(),
                from: Some(record.from.clone()),
                route: record.route.clone(),
                raised: Moment(record.started.0 + alert.call_ms),
                alert: alert.clone(),
            })
        });
        lines.collect()
    })
}
