//! `POST /v1/calls/{id}/outcomes`: what has come of a call or chat, as another system says: a complaint, satisfaction, another
//! purchase, whether it is settled. Also of calls that ended long ago, as long as they are kept.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::calls::store_down;
use super::interactions::check_name;
use super::moment::Moment;
use super::orders::{Body, answered, bad, read};
use super::problem::Problem;
use super::record::{Late, OUTCOMES_MAX};
use super::routes::{App, no_such_call};
use crate::control::Done;
use crate::notice::{Notice, Outcome, What};

/// What is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutcomeRequest {
    by: String,
    /// How the system names what it says.
    id: Option<String>,
    complaint: Option<bool>,
    satisfied: Option<u8>,
    repurchased: Option<bool>,
    resolved: Option<bool>,
}

/// `POST /v1/calls/{id}/outcomes`, `POST /v1/interactions/{id}/outcomes`.
pub(super) async fn tell(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<OutcomeRequest>,
) -> Result<Response, Problem> {
    let outcome = outcome_of(read(body)?)?;
    match take(&app, call, outcome).await? {
        Late::Taken => answered(Done::Accepted),
        Late::Known => answered(Done::Dropped("duplicate")),
        Late::Full => {
            let detail = format!("at most {OUTCOMES_MAX} words about what has come of one call");
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Late::NoSuchCall => Err(no_such_call()),
    }
}

fn outcome_of(request: OutcomeRequest) -> Result<Outcome, Problem> {
    let OutcomeRequest { by, id: name, complaint, satisfied, repurchased, resolved } = request;
    check_name("by", Some(&by))?;
    check_name("id", name.as_ref())?;
    if satisfied.is_some_and(|stars| !(1..=5).contains(&stars)) {
        return Err(bad("`satisfied` is 1-5"));
    }
    if complaint.is_none() && satisfied.is_none() && repurchased.is_none() && resolved.is_none() {
        return Err(bad("found no outcome, expected one of `complaint`, `satisfied`, `repurchased`, `resolved`"));
    }
    Ok(Outcome { by, name, complaint, satisfied, repurchased, resolved })
}

/// Keeps it with the call, then tells it: of a call that is up as all that happens to it, of one that has ended on the disk.
async fn take(app: &App, call: String, outcome: Outcome) -> Result<Late, Problem> {
    let now = Moment::now();
    if let Some(late) = app.told().tell_outcome(&call, &outcome, now) {
        return Ok(late);
    }
    let known = app.bus.with_board(|board| board.call(&call).map(|record| (record.refuses(&outcome), record.place())));
    let (refused, place) = known.unzip();
    if let Some(refused) = refused.flatten() {
        return Ok(refused);
    }
    let Some(store) = &app.store else { return Ok(Late::NoSuchCall) };
    let started = match store.tell_late(call.clone(), outcome.clone(), now).await.map_err(store_down)? {
        Ok(started) => started,
        Err(refused) => return Ok(refused),
    };
    let place = match place {
        Some(place) => Some(place),
        // Who sees one of before knows its record.
        None => store.call(call.clone()).await.ok().flatten().map(|record| record.place()),
    };
    let call_ms = now.0.saturating_sub(started.0);
    app.tell_of(&Notice { call, call_ms, what: What::OutcomeTold(outcome) }, now, place);
    Ok(Late::Taken)
}
