//! `/v1/audit`: who did what, when and why, and whether the trail is as it was written. What is asked here is in the trail, too.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::calls::store_down;
use super::moment::Moment;
use super::orders::bad;
use super::people::kept;
use super::problem::Problem;
use super::query::{asked, limit_of};
use super::routes::App;
use super::signing::Who;
use crate::store::audit::{AuditFound, AuditWanted};
use crate::store::{AuditEntry, Checking, NoCheck};

/// What is asked for; all that is named has to hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Whose doing.
    #[param(nullable = false)]
    who: Option<String>,
    /// Of which kind.
    #[param(nullable = false)]
    kind: Option<String>,
    /// In which call.
    #[param(nullable = false)]
    call: Option<String>,
    /// Not before this, RFC 3339.
    #[param(inline, nullable = false)]
    from: Option<Moment>,
    /// Only before this, RFC 3339.
    #[param(inline, nullable = false)]
    before: Option<Moment>,
    /// Where a list ended.
    #[param(nullable = false)]
    below: Option<u64>,
    /// How many at most.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// Entries of the audit trail, the latest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntries)]
pub(super) struct Entries {
    entries: Vec<Entry>,
    /// Where to go on: `below` of the next request; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// One entry.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct Entry {
    seq: u64,
    time: Moment,
    kind: String,
    who: String,
    call: String,
    what: serde_json::Value,
}

/// `GET /v1/audit`.
pub(super) async fn list(
    State(app): State<App>,
    who_asks: Option<Extension<Who>>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Entries>, Problem> {
    let query = asked(query)?;
    let max = limit_of(query.limit)?;
    if query.below.is_some_and(|below| i64::try_from(below).is_err()) {
        return Err(bad(format!("`below` is at most {}", i64::MAX)));
    }
    let AuditQuery { who, kind, call, from, before, below, .. } = query;
    let (from_unix_ms, before_unix_ms) = (from.map_or(0, |from| from.0), before.map(|before| before.0));
    let wanted = AuditWanted { who, kind, call, from_unix_ms, before_unix_ms, below, max };
    let store = kept(&app)?;
    let AuditFound { entries, next } = store.search_audit(wanted.clone()).await.map_err(store_down)?;
    let who_asks = who_asks.map_or(Who::Machine, |Extension(who)| who);
    let AuditWanted { who, kind, call, .. } = wanted;
    let what = serde_json::json!({
        "who": who, "kind": kind, "call": call, "from": from, "before": before, "below": below, "found": entries.len(),
    });
    store.audited("audit_read", who_asks.name(), "", what).await;
    let told = |(seq, unix_ms, entry): (u64, u64, AuditEntry)| {
        let AuditEntry { kind, who, call, what } = entry;
        Entry { seq, time: Moment(unix_ms), kind, who, call, what }
    };
    Ok(Json(Entries { entries: entries.into_iter().map(told).collect(), next }))
}

/// `POST /v1/audit/verify`.
pub(super) async fn begin(State(app): State<App>) -> Result<Response, Problem> {
    let refused = |why: NoCheck| match why {
        NoCheck::Running => Problem::new(StatusCode::CONFLICT, why.to_string()),
        NoCheck::NoThread(_) => store_down(why.to_string()),
    };
    kept(&app)?.begin_check().map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(Checking::Running)).into_response())
}

/// `GET /v1/audit/verify`.
pub(super) async fn state(State(app): State<App>) -> Result<Json<Checking>, Problem> {
    Ok(Json(kept(&app)?.last_check()))
}
