//! Calls as the API lists and shows them: those on the board, and before them those that are kept.

use std::collections::{BTreeSet, VecDeque};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::moment::Moment;
use super::problem::Problem;
use super::query::{LIST_MAX, asked, limit_of};
use super::record::{CallRecord, Step, Summary, TimedNotice};
use super::routes::{App, no_such_call};
use super::scope::Scope;
use super::signing::Who;
use super::trial::started;
use crate::store::Store;

/// How often the store is read for one list.
const READS_MAX: usize = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsQuery {
    /// Those that are up, or those that have ended; all when absent.
    #[param(inline, nullable = false)]
    state: Option<StateFilter>,
    /// How many at most.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Only calls that started before it, RFC 3339.
    #[param(inline, nullable = false)]
    before: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CallsState)]
enum StateFilter {
    Active,
    Ended,
}

/// Calls, as many as were asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct CallList {
    /// Calls that are up and whoever asks may see, listed or not.
    active: usize,
    #[schema(value_type = Vec<Summary>)]
    calls: Vec<Listed>,
    /// What `before` goes on by where older calls have not been looked at yet, however few are listed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next: Option<Moment>,
}

/// A line of the list.
#[derive(Serialize)]
#[serde(untagged)]
enum Listed {
    OnBoard(Box<Summary>),
    Kept(Value),
}

pub(super) async fn calls(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    query: Result<Query<CallsQuery>, QueryRejection>,
) -> Result<Json<CallList>, Problem> {
    let query = asked(query)?;
    let limit = limit_of(query.limit)?;
    let scope = Scope::of(who.as_deref());
    let (active, lines) = on_board(&app, &scope, &query, limit);
    let known: BTreeSet<String> = lines.iter().map(|line| line.id.clone()).collect();
    // One that started with the oldest, too; what is on the board already is left out.
    let after_board = lines.last().map(|line| Moment(line.started.0 + 1));
    let mut calls: Vec<Listed> = lines.into_iter().map(|line| Listed::OnBoard(Box::new(line))).collect();
    let mut next = None;
    if let Some(store) = app.store.as_ref().filter(|_| query.state != Some(StateFilter::Active)) {
        let before = after_board.or(query.before).unwrap_or(Moment(u64::MAX));
        let (kept, unseen) = kept(store, &scope, before, known, limit - calls.len()).await.map_err(store_down)?;
        calls.extend(kept.into_iter().map(|line| Listed::Kept(of_node(&app, line))));
        next = unseen;
    }
    Ok(Json(CallList { active, calls, next }))
}

/// Lines of ended calls that are kept, newest first, without those that are known.
///
/// Whoever sees few routes is shown what is found among the latest, as reads are bounded, and told before when nobody has looked.
async fn kept(
    store: &Store,
    scope: &Scope,
    mut before: Moment,
    mut known: BTreeSet<String>,
    most: usize,
) -> Result<(Vec<Value>, Option<Moment>), String> {
    let (mut found, mut unseen) = (Vec::new(), None);
    for _ in 0..READS_MAX {
        unseen = None;
        let page = if scope.is_limited() { LIST_MAX } else { most + known.len().min(LIST_MAX) };
        let lines = store.calls(before, page).await?;
        let is_last = lines.len() < page;
        let oldest = lines.last().and_then(started);
        let size = known.len();
        let fresh = lines.into_iter().filter(|line| line["id"].as_str().is_some_and(|id| known.insert(id.to_owned())));
        found.extend(fresh.filter(|line| scope.sees(line["route"].as_str(), line["tenant"].as_str())));
        let Some(Moment(oldest)) = oldest else { break };
        if is_last || found.len() >= most || known.len() == size {
            break;
        }
        // Others may have started in the same millisecond.
        before = Moment(oldest + 1);
        unseen = Some(before);
    }
    found.truncate(most);
    Ok((found, unseen))
}

/// A line that is kept here, by the node's name.
fn of_node(app: &App, mut line: Value) -> Value {
    if let (Some(node), Some(fields)) = (app.bus.node(), line.as_object_mut()) {
        fields.insert("node".to_owned(), node.into());
    }
    line
}

/// How many calls are up, and the lines of those on the board that are asked for, newest first.
fn on_board(app: &App, scope: &Scope, query: &CallsQuery, limit: usize) -> (usize, Vec<Summary>) {
    app.bus.with_board(|board| {
        let seen = |record: &&CallRecord| scope.sees_call(record);
        let count = if scope.is_limited() { board.active().filter(seen).count() } else { board.active_count() };
        let active = board.active().filter(|_| query.state != Some(StateFilter::Ended)).filter(seen);
        let ended = board.ended().filter(|_| query.state != Some(StateFilter::Active)).filter(seen);
        let mut records: Vec<&CallRecord> = active.collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.started));
        let asked = |record: &&CallRecord| query.before.is_none_or(|before| record.started < before);
        let lines = records.into_iter().chain(ended).filter(asked).take(limit).map(Summary::from).collect();
        (count, lines)
    })
}

/// A call with its timeline and events.
#[derive(Serialize, ToSchema)]
#[schema(as = Call)]
pub(super) struct Detail {
    #[serde(flatten)]
    call: CallRecord,
    #[schema(value_type = Vec<Step>)]
    timeline: VecDeque<Step>,
    #[schema(value_type = Vec<TimedNotice>)]
    events: VecDeque<TimedNotice>,
}

pub(super) async fn call(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Detail>, Problem> {
    let on_board = app.bus.with_board(|board| board.call(&id).cloned());
    let record = match (on_board, &app.store) {
        (None, Some(store)) => {
            let kept = store.call(id).await.map_err(store_down)?;
            // What is kept here was this node's call.
            kept.map(|mut record| {
                record.node = app.bus.node().map(str::to_owned);
                record
            })
        }
        (on_board, _) => on_board,
    };
    record.map(|record| Json(Detail::from(record))).ok_or_else(no_such_call)
}

impl From<CallRecord> for Detail {
    fn from(mut call: CallRecord) -> Self {
        let timeline = std::mem::take(&mut call.timeline);
        let events = std::mem::take(&mut call.events);
        Self { call, timeline, events }
    }
}

pub(super) fn store_down(why: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
}
