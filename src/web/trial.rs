//! `POST /v1/policies/{name}/try`: what a draft would have done in the calls of a day that are kept, beside what is in force.
//!
//! Plays nothing itself: that is `routing::backtest`, in simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::ToSpan;
use jiff::civil::Date;
use routing::backtest::{Effect, Interaction};
use routing::{Broken, Policy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::calls::{Detail, store_down};
use super::libraries::{blocking, find, refused};
use super::moment::Moment;
use super::orders::{Body, read};
use super::people::kept;
use super::policies::Texts;
use super::problem::Problem;
use super::routes::App;
use crate::backtest::{Tried, interaction_of};
use crate::libraries::Kind;
use crate::settings::parse_policy;

/// Calls of a day that a draft is tried on, the last ones first.
const CALLS_MAX: usize = 500;
/// Calls of a day that are looked at for them: those that nobody answered tell a policy nothing.
const LOOKED_AT_MAX: usize = 5_000;
/// Calls that are named because they go otherwise.
const DIFFERENCES_MAX: usize = 100;
/// How long a call is taken to wait for an order to a PBX, as `calmline policy test` does.
const ANSWER: Duration = Duration::from_secs(5);

/// A draft, and the day whose calls it is tried on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrialRequest {
    /// TOML, as in docs/POLICIES.md.
    text: String,
    /// `2026-11-26`, of the reports' time zone; yesterday when absent.
    #[schema(format = Date)]
    date: Option<String>,
}

/// What a draft would have done.
#[derive(Serialize, ToSchema)]
pub(super) struct Trial {
    /// The day.
    date: String,
    /// `NAME@VERSION` of the draft.
    label: String,
    /// What it expects of itself.
    expects: usize,
    /// What of that is not so.
    broken: Vec<TrialBroken>,
    /// Calls that it was tried on.
    calls: usize,
    /// Whether there were more: of the last 5,000 calls of the day, the last 500 that were answered were taken.
    more: bool,
    /// What is in force.
    in_force: TrialEffect,
    /// The draft.
    draft: TrialEffect,
    /// Calls that go otherwise, all of them.
    differing: usize,
    /// Some of those.
    differences: Vec<TrialDifference>,
}

/// An expectation that is not met.
#[derive(Serialize, ToSchema)]
pub(super) struct TrialBroken {
    expect: String,
    why: String,
}

/// What policies come to.
#[derive(Serialize, ToSchema)]
pub(super) struct TrialEffect {
    /// The share of callers who are moved to a person, 0-1.
    moved_share: f64,
    /// Alerts per hour of talk.
    alerts_per_hour: f64,
    /// Minutes of persons' work per hundred calls.
    agent_minutes_per_100: f64,
    /// How often the service changes, all together.
    switches: usize,
}

/// A call that goes otherwise.
#[derive(Serialize, ToSchema)]
pub(super) struct TrialDifference {
    call: String,
    /// The rules that fire in force.
    in_force: Vec<String>,
    /// The rules that fire by the draft.
    draft: Vec<String>,
}

impl From<&Effect> for TrialEffect {
    fn from(effect: &Effect) -> Self {
        Self {
            moved_share: effect.moved_share(),
            alerts_per_hour: effect.alerts_per_hour(),
            agent_minutes_per_100: effect.agent_minutes_per_hundred(),
            switches: effect.switches,
        }
    }
}

/// `POST /v1/policies/{name}/try`.
pub(super) async fn run(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Body<TrialRequest>,
) -> Result<Json<Trial>, Problem> {
    let TrialRequest { text, date } = read(body)?;
    kept(&app)?;
    let (libraries, volume, _) = find(&app, Kind::Policies.name(), &name).await?;
    let now = app.in_force.now();
    let policy = blocking(move || {
        libraries.check(&volume, &text, &now)?;
        parse_policy(std::path::Path::new(&volume.name), &text)
    });
    let policy = policy.await?.map_err(refused)?;
    let busy = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "another draft is being tried");
    let turn = Arc::clone(&app.in_force.trial).try_lock_owned().map_err(busy)?;
    let date = day(&app, date)?;
    let (interactions, more) = interactions(&app, date).await?;
    let now = app.in_force.now();
    // Whoever asked may leave: the turn is over when the work is.
    let tried = blocking(move || {
        let tried = compare(&now, (name, policy), &interactions, (date, more));
        drop(turn);
        tried
    });
    Ok(Json(tried.await?))
}

fn day(app: &App, asked: Option<String>) -> Result<Date, Problem> {
    let zone = app.live.load().zone.clone();
    let yesterday = || zone.today().checked_sub(1.day());
    let day = asked.map_or_else(yesterday, |date| date.parse());
    day.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("`date`: expected a day like 2026-11-26: {error}"))
    })
}

/// The answered calls of a day, the last ones first, and whether there were more.
async fn interactions(app: &App, date: Date) -> Result<(Vec<Interaction>, bool), Problem> {
    let (store, zone) = (kept(app)?, app.live.load().zone.clone());
    let missing =
        || Problem::new(StatusCode::BAD_REQUEST, format!("found {date}, expected a day that {} has", zone.name()));
    let (from, mut before) = zone.day(date).ok_or_else(missing)?;
    let (mut interactions, mut looked_at) = (Vec::new(), 0);
    loop {
        let lines = store.calls(before, CALLS_MAX).await.map_err(store_down)?;
        let Some(last) = lines.last().and_then(started) else { return Ok((interactions, false)) };
        for line in &lines {
            if started(line).is_none_or(|at| at < from) {
                return Ok((interactions, false));
            }
            if interactions.len() == CALLS_MAX || looked_at == LOOKED_AT_MAX {
                return Ok((interactions, true));
            }
            looked_at += 1;
            if line["answered"].is_null() {
                continue;
            }
            let id = line["id"].as_str().unwrap_or_default().to_owned();
            if let Some(record) = store.call(id).await.map_err(store_down)? {
                let record = serde_json::to_value(Detail::from(record)).expect("strings and numbers");
                interactions.extend(interaction_of(&record, Some(&zone)));
            }
        }
        before = last;
    }
}

pub(super) fn started(line: &serde_json::Value) -> Option<Moment> {
    serde_json::from_value(line["started"].clone()).ok()
}

/// What the draft makes of the calls, beside what is in force.
fn compare(
    now: &Texts,
    (name, draft): (String, Policy),
    interactions: &[Interaction],
    (date, more): (Date, bool),
) -> Trial {
    let parsed = |(name, text): (&String, &String)| Policy::parse(text).ok().map(|policy| (name.clone(), policy));
    let mut named: BTreeMap<String, Policy> = now.iter().filter_map(parsed).collect();
    let in_force: Arc<[Policy]> = named.values().cloned().collect();
    let (label, expects) = (draft.label(), draft.expects.len());
    let broken = routing::check_expects(&draft).into_iter();
    let broken = broken.map(|Broken { expect, why, .. }| TrialBroken { expect, why }).collect();
    named.insert(name, draft);
    let drafted: Arc<[Policy]> = named.into_values().collect();
    let before = Tried::new(&in_force, interactions, ANSWER);
    let after = Tried::new(&drafted, interactions, ANSWER);
    let rules = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let pairs = before.outcomes.iter().zip(&after.outcomes).zip(interactions);
    let differing: Vec<TrialDifference> = pairs
        .filter(|((before, after), _)| before.rules() != after.rules())
        .map(|((before, after), interaction)| TrialDifference {
            call: interaction.name.clone(),
            in_force: rules(before.rules()),
            draft: rules(after.rules()),
        })
        .collect();
    Trial {
        date: date.to_string(),
        label,
        expects,
        broken,
        calls: interactions.len(),
        more,
        in_force: (&before.effect).into(),
        draft: (&after.effect).into(),
        differing: differing.len(),
        differences: differing.into_iter().take(DIFFERENCES_MAX).collect(),
    }
}
