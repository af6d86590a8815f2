//! `GET /v1/alerts`: the alerts of calls that are up or ended lately, and those from before a restart that nobody reacted to.

use std::collections::BTreeSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Alert;
use super::super::moment::Moment;
use super::super::problem::Problem;
use super::super::query::{asked, limit_of, page_end};
use super::super::routes::App;
use super::super::scope::Scope;
use super::super::signing::Who;
use crate::escalation::WaitingAlert;
use crate::pii::Pii;

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

impl AlertsQuery {
    fn wants(&self, alert: &Alert, raised: Moment) -> bool {
        let is_wanted = self.state == Some(StateFilter::All) || is_open(alert);
        is_wanted && self.before.is_none_or(|before| raised < before)
    }
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
    /// The node whose call it is, or that has taken the alert over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    node: Option<String>,
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
    /// One that waits at that node.
    fn waiting(node: Option<&str>, waiting: WaitingAlert) -> Self {
        let WaitingAlert { call, call_ms, rule, route, severity, text, raised, handled, escalated, .. } = waiting;
        let alert = Alert { call_ms, severity, text, rule, handled, escalated };
        Self { call, node: node.map(str::to_owned), from: None, route, raised, alert }
    }
}

/// `GET /v1/alerts`.
pub(in crate::web) async fn list(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    query: Result<Query<AlertsQuery>, QueryRejection>,
) -> Result<Json<AlertList>, Problem> {
    let query = asked(query)?;
    let limit = limit_of(query.limit)?;
    let scope = Scope::of(who.as_deref());
    let (mut lines, known) = on_board(&app, &scope, &query);
    let before = app.escalating.waiting().into_iter().filter(|waiting| {
        !known.contains(&waiting.call) && scope.sees(Some(&waiting.route), waiting.tenant.as_deref())
    });
    lines.extend(
        before
            .map(|waiting| AlertLine::waiting(app.bus.node(), waiting))
            .filter(|line| query.wants(&line.alert, line.raised)),
    );
    lines.sort_by_key(|line| std::cmp::Reverse(line.raised));
    lines.truncate(page_end(&lines, limit, |line| line.raised));
    Ok(Json(AlertList { alerts: lines }))
}

/// Whether somebody still has to react.
fn is_open(alert: &Alert) -> bool {
    alert.handled.as_ref().is_none_or(|handled| handled.deed == "snoozed")
}

/// Those of calls on the board that are asked for, and all calls there that have any.
fn on_board(app: &App, scope: &Scope, query: &AlertsQuery) -> (Vec<AlertLine>, BTreeSet<String>) {
    app.bus.with_board(|board| {
        let (mut lines, mut known) = (Vec::new(), BTreeSet::new());
        let records = board.active().chain(board.ended()).filter(|record| scope.sees_call(record));
        for record in records.filter(|record| !record.alerts.is_empty()) {
            known.insert(record.id.clone());
            let raised = |alert: &Alert| Moment(record.started.0 + alert.call_ms);
            let wanted = record.alerts.iter().filter(|alert| query.wants(alert, raised(alert)));
            lines.extend(wanted.map(|alert| AlertLine {
                call: record.id.clone(),
                node: record.node.clone(),
                from: Some(record.from.clone()),
                route: record.route.clone(),
                raised: raised(alert),
                alert: alert.clone(),
            }));
        }
        (lines, known)
    })
}
