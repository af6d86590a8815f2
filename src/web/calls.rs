//! Calls as the API lists and shows them: those on the board, and before them those that are kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::forward::Vouched;
use super::moment::Moment;
use super::problem::Problem;
use super::query::{LIST_MAX, asked, limit_of, page_end};
use super::record::{CallRecord, Step, Summary, TimedNotice};
use super::routes::{App, no_such_call};
use super::scope::Scope;
use super::signing::Who;
use super::trial::started;
use super::whole::{self, Page, together};
use crate::store::Store;

/// How often the store is read for one list.
const READS_MAX: usize = 10;

/// Calls that are listed from the board, by their ids, and when they started.
type Shown = BTreeMap<String, Moment>;

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
    /// What `before` goes on by where there may be older calls, however few are listed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next: Option<Moment>,
    /// Nodes of the site that have not said in time which calls they keep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

impl CallsQuery {
    /// The same for another node, up to how many lines it is asked for.
    fn carried(&self) -> String {
        let before = self.before.map_or_else(String::new, |before| format!("before={before}&"));
        let state = if self.state == Some(StateFilter::Ended) { "state=ended&" } else { "" };
        format!("{before}{state}")
    }
}

/// A line of the list.
#[derive(Serialize)]
#[serde(untagged)]
enum Listed {
    OnBoard(Box<Summary>),
    Kept(Value),
}

impl Listed {
    fn id(&self) -> String {
        match self {
            Listed::OnBoard(line) => line.id.clone(),
            Listed::Kept(line) => line["id"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

pub(super) async fn calls(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    vouched: Option<Extension<Vouched>>,
    query: Result<Query<CallsQuery>, QueryRejection>,
) -> Result<Json<CallList>, Problem> {
    let query = asked(query)?;
    let limit = limit_of(query.limit)?;
    let wants_kept = query.state != Some(StateFilter::Active);
    // Another node asks for what is here.
    let asker = who.as_deref().filter(|_| wants_kept && vouched.is_none());
    let others = async {
        match asker {
            Some(who) => whole::pages(&app, who, &query.carried(), limit).await,
            None => (Vec::new(), Vec::new()),
        }
    };
    let scope = Scope::of(who.as_deref());
    let own = page(&app, &scope, &query, limit);
    let (own, (others, missing)) = tokio::join!(own, others);
    let (active, own) = own?;
    let kept = |page: Page<Value>| {
        let lines = page.lines.into_iter().map(|(started, line)| (started, Listed::Kept(line))).collect();
        Page { lines, next: page.next }
    };
    let Page { lines, next } = together(own, others.into_iter().map(kept).collect(), limit, Listed::id);
    Ok(Json(CallList { active, calls: lines.into_iter().map(|(_, line)| line).collect(), next, missing }))
}

/// A page of what is here, and how many calls are up.
async fn page(app: &App, scope: &Scope, query: &CallsQuery, limit: usize) -> Result<(usize, Page<Listed>), Problem> {
    let OnBoard { active, lines, is_enough } = on_board(app, scope, query, limit);
    let shown: Shown = lines.iter().map(|line| (line.id.clone(), line.started)).collect();
    let listed = |line: Summary| (line.started, Listed::OnBoard(Box::new(line)));
    let mut calls: Vec<(Moment, Listed)> = lines.into_iter().map(listed).collect();
    let mut unseen = None;
    let wants_kept = query.state != Some(StateFilter::Active) && !is_enough;
    if let Some(store) = app.store.as_ref().filter(|_| wants_kept) {
        let before = query.before.unwrap_or(Moment(u64::MAX));
        let (kept, rest) = kept(store, scope, before, &shown, limit).await.map_err(store_down)?;
        calls.extend(kept.into_iter().map(|(started, line)| (started, Listed::Kept(of_node(app, line)))));
        calls.sort_by_key(|(started, _)| Reverse(*started));
        // What lies between these is on the next page, and they with it.
        calls.retain(|(started, _)| rest.is_none_or(|rest| *started >= rest));
        unseen = rest;
    }
    let end = page_end(&calls, limit, |(started, _)| *started);
    let is_more = calls.len() > end;
    calls.truncate(end);
    let next = calls.last().filter(|_| is_more).map(|(started, _)| *started).or(unseen);
    Ok((active, Page { lines: calls, next }))
}

/// Lines of ended calls that are kept, newest first, without those that are shown from the board: as many as make a page with these,
/// and before when nobody has looked, where that is not all.
///
/// Whoever sees few routes is shown what is found among the latest, as reads are bounded.
async fn kept(
    store: &Store,
    scope: &Scope,
    mut before: Moment,
    shown: &Shown,
    limit: usize,
) -> Result<(Vec<(Moment, Value)>, Option<Moment>), String> {
    let mut found = Vec::new();
    let _turn = if scope.is_limited() { Some(store.turn().await) } else { None };
    for _ in 0..READS_MAX {
        let page = if scope.is_limited() { LIST_MAX } else { limit + shown.len().min(LIST_MAX) };
        let lines = store.calls(before, page).await?;
        let is_last = lines.len() < page;
        let Some(oldest) = lines.last().and_then(started) else { return Ok((found, None)) };
        let fresh = lines.into_iter().filter(|line| line["id"].as_str().is_some_and(|id| !shown.contains_key(id)));
        let seen = fresh.filter(|line| scope.sees(line["route"].as_str(), line["tenant"].as_str()));
        found.extend(seen.filter_map(|line| Some((started(&line)?, line))));
        if is_last {
            return Ok((found, None));
        }
        before = oldest;
        let beside = shown.values().filter(|started| **started >= oldest).count();
        if found.len() + beside >= limit {
            break;
        }
    }
    Ok((found, Some(before)))
}

/// A line that is kept here, by the node's name.
fn of_node(app: &App, mut line: Value) -> Value {
    if let (Some(node), Some(fields)) = (app.bus.node(), line.as_object_mut()) {
        fields.insert("node".to_owned(), node.into());
    }
    line
}

/// What the board has of a list.
struct OnBoard {
    /// How many calls are up.
    active: usize,
    /// The lines that are asked for, newest first: a page, and one more where there is one.
    lines: Vec<Summary>,
    /// Whether no call that is kept belongs among them.
    is_enough: bool,
}

fn on_board(app: &App, scope: &Scope, query: &CallsQuery, limit: usize) -> OnBoard {
    app.bus.with_board(|board| {
        let seen = |record: &&CallRecord| scope.sees_call(record);
        let active = if scope.is_limited() { board.active().filter(seen).count() } else { board.active_count() };
        let up = board.active().filter(|_| query.state != Some(StateFilter::Ended));
        let ended = board.ended().filter(|_| query.state != Some(StateFilter::Active));
        let asked = |record: &&CallRecord| query.before.is_none_or(|before| record.started < before);
        let mut records: Vec<&CallRecord> = up.chain(ended).filter(asked).filter(seen).collect();
        records.sort_by_key(|record| Reverse(record.started));
        let end = page_end(&records, limit, |record| record.started);
        // Calls that are kept and were over before that are here no more, and others are.
        let own = board.ended().filter(|record| record.node.as_deref() == app.bus.node());
        let over = own.last().and_then(|record| record.ended);
        let last = records[..end].last().map(|record| record.started).filter(|_| end >= limit);
        let is_enough = last.zip(over).is_some_and(|(last, over)| last > over);
        OnBoard { active, lines: records.into_iter().take(end + 1).map(Summary::from).collect(), is_enough }
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
