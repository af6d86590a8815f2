//! `POST /v1/calls/{id}/alerts`: what somebody does about an alert, told to everybody who watches. The call may have ended.

mod assignees;
mod list;

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::moment::Moment;
use super::orders::{Body, answered, bad, read};
use super::permit::Area;
use super::problem::Problem;
use super::routes::{App, no_such_call};
use super::scope::Scope;
use super::signing::Who;
use crate::control::Done;
use crate::notice::{AlertDeed, Notice, What};
use crate::settings::UserSettings;

pub(super) use assignees::{Assignees, assignees};
pub(super) use list::{AlertList, AlertsQuery, list};

/// How long an alert is snoozed when nothing is said, and at most.
const SNOOZE_DEFAULT: Duration = Duration::from_secs(5 * 60);
const SNOOZE_MAX: Duration = Duration::from_secs(4 * 3_600);

/// What is done about an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertRequest)]
pub(super) struct DeedRequest {
    /// When the alert was raised, milliseconds since the INVITE: `call_ms` of the alert.
    alert_ms: u64,
    /// The rule that raised it.
    rule: String,
    deed: DeedWord,
    /// Whose it is to be, where it is assigned: a user who sees calls; oneself when nothing is said.
    #[schema(nullable = false)]
    to: Option<String>,
    /// For how long nobody is to be reminded, where it is snoozed: 300 when nothing is said.
    #[schema(nullable = false, minimum = 1, maximum = 14400)]
    snooze_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertDeedWord)]
enum DeedWord {
    /// Somebody has seen it.
    Acknowledge,
    /// It is somebody's.
    Assign,
    /// Nobody is to be reminded of it for a while.
    Snooze,
    /// There is nothing left to do.
    End,
}

/// `POST /v1/calls/{id}/alerts`.
pub(super) async fn handle(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    Path(call): Path<String>,
    body: Body<DeedRequest>,
) -> Result<Response, Problem> {
    let told = told(&who, read(body)?)?;
    let on_board = |record: &super::CallRecord| {
        (record.started, record.place(), record.alert(told.alert_ms, &told.rule).is_some())
    };
    let found = app.bus.with_board(|board| board.call(&call).map(on_board));
    // One from before a restart, which still waits.
    let found = found.or_else(|| {
        let waiting = app.escalating.find(&call, told.alert_ms, &told.rule)?;
        let started = Moment(waiting.raised.0.saturating_sub(told.alert_ms));
        Some((started, (waiting.route, waiting.tenant), true))
    });
    let (started, (route, tenant), has_alert) = found.ok_or_else(no_such_call)?;
    if !Scope::of(Some(&who)).sees(Some(&route), tenant.as_deref()) {
        return Err(no_such_call());
    }
    if !has_alert {
        let detail = format!("no alert of the rule {} at {} ms", told.rule, told.alert_ms);
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    if told.to.as_ref().is_some_and(|to| *to != told.by && !is_seen_by(&app, to, &route, tenant.as_deref())) {
        let detail = format!("`to`: found {:?}, expected a user who sees the call", told.to.unwrap_or_default());
        return Err(bad(detail));
    }
    let now = Moment::now();
    let notice = Notice { call, call_ms: now.0.saturating_sub(started.0), what: What::AlertHandled(told) };
    app.tell_of(&notice, now, Some((route, tenant)));
    answered(Done::Accepted)
}

/// Whether somebody of that name can be given an alert of a call of that route and that tenant.
fn is_seen_by(app: &App, name: &str, route: &str, tenant: Option<&str>) -> bool {
    app.live.load().users.get(name).is_some_and(|user| sees(user, route, tenant))
}

/// Whether a user sees calls of that route and that tenant.
fn sees(user: &UserSettings, route: &str, tenant: Option<&str>) -> bool {
    Area::Calls.is_for(user.role) && Scope::of_user(user).sees(Some(route), tenant)
}

/// What is told of a deed.
fn told(who: &Who, request: DeedRequest) -> Result<AlertDeed, Problem> {
    let DeedRequest { alert_ms, rule, deed, to, snooze_s } = request;
    if to.is_some() && deed != DeedWord::Assign {
        return Err(bad("`to` goes with `assign` alone"));
    }
    if snooze_s.is_some() && deed != DeedWord::Snooze {
        return Err(bad("`snooze_s` goes with `snooze` alone"));
    }
    if snooze_s.is_some_and(|seconds| !(1..=SNOOZE_MAX.as_secs()).contains(&seconds)) {
        return Err(bad(format!("`snooze_s` is 1-{}", SNOOZE_MAX.as_secs())));
    }
    let by = who.name().to_owned();
    let (word, to, snooze_s) = match deed {
        DeedWord::Acknowledge => ("acknowledged", None, None),
        DeedWord::Assign => ("assigned", Some(to.unwrap_or_else(|| by.clone())), None),
        DeedWord::Snooze => ("snoozed", None, Some(snooze_s.unwrap_or(SNOOZE_DEFAULT.as_secs()))),
        DeedWord::End => ("ended", None, None),
    };
    Ok(AlertDeed { alert_ms, rule, deed: word.to_owned(), by, to, snooze_s })
}
