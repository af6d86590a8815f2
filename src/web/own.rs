//! `/v1/own/calls`: to a person who serves customers, the calls that they serve now: the customer's mood, what was suggested to
//! say, and what rules said of it. No address, nothing that was said, and nobody else's calls.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::live::Live;
use super::moment::Moment;
use super::problem::Problem;
use super::record::{Alert, CallRecord, Reply, ServiceSwitch, State as Stands, Step};
use super::routes::App;
use super::signing::Who;
use crate::notice::{AnswerFound, What};

/// Calls that one person serves at a time, and lines of each kind.
const CALLS_MAX: usize = 20;
const LINES_MAX: usize = 10;

/// The calls that whoever asks serves now.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnCalls {
    calls: Vec<OwnCall>,
}

/// A call, as whoever serves it sees it.
#[derive(Serialize, ToSchema)]
struct OwnCall {
    id: String,
    channel: String,
    scenario: String,
    #[schema(value_type = String, format = DateTime)]
    started: Moment,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered: Option<Moment>,
    /// How the customer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    emotion: Option<Step>,
    /// What could be written to the customer, the latest last.
    replies: Vec<Reply>,
    /// What the library has to say to the customer's last words, best first.
    answers: Vec<AnswerFound>,
    /// How the customer is to be served, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceSwitch>,
    /// What supervisors were told.
    alerts: Vec<Alert>,
    /// What the customer's phrases mean.
    said: BTreeSet<String>,
}

/// `GET /v1/own/calls`.
pub(super) async fn calls(State(app): State<App>, who: Option<Extension<Who>>) -> Result<Json<OwnCalls>, Problem> {
    let live = app.live.load();
    let claim = match &who {
        Some(Extension(Who::Person { user, .. })) => live.users.get(user).and_then(|user| user.serves.as_deref()),
        _ => None,
    };
    let nobody = || Problem::new(StatusCode::FORBIDDEN, "only as an agent: it shows the calls that one serves");
    let claim = claim.ok_or_else(nobody)?;
    let calls = app.bus.with_board(|board| {
        let own = board.active().filter(|record| is_served_by(record, claim, &live));
        own.take(CALLS_MAX).map(OwnCall::from).collect()
    });
    Ok(Json(OwnCalls { calls }))
}

/// Whether somebody speaks to the customer now: by the address of the target that answered, or of the party that a fork names.
fn is_served_by(record: &CallRecord, claim: &str, live: &Live) -> bool {
    if record.state != Stands::Answered {
        return false;
    }
    let is_of = |address: &str| user_of(address) == Some(claim);
    if let Some(fork) = &record.fork {
        let told = fork.parties.iter().filter(|party| party.party == "callee").flat_map(|party| &party.addresses);
        return is_of(record.to.reveal()) || told.into_iter().any(|address| is_of(address));
    }
    record
        .target
        .as_ref()
        .is_some_and(|target| target == claim || live.agents.get(target).is_some_and(|uri| is_of(uri)))
}

/// The user of a SIP address, or a telephone number, in a header's value or alone.
fn user_of(address: &str) -> Option<&str> {
    let inner = address.split_once('<').map_or(address, |(_, rest)| rest);
    let inner = inner.split(['>', ';']).next()?;
    let (_, rest) = inner.split_once(':').filter(|(scheme, _)| ["sip", "sips", "tel"].contains(scheme))?;
    rest.split(['@', '?']).next().filter(|user| !user.is_empty())
}

/// The answers that were suggested last.
fn answers(record: &CallRecord) -> impl Iterator<Item = &AnswerFound> {
    let latest = record.events.iter().rev().find_map(|event| match &event.notice.what {
        What::AnswersSuggested(advice) => Some(&advice.answers),
        _ => None,
    });
    latest.into_iter().flatten()
}

impl From<&CallRecord> for OwnCall {
    fn from(record: &CallRecord) -> Self {
        let said = record.phrases.iter().filter(|phrase| phrase.party == "caller");
        Self {
            id: record.id.clone(),
            channel: record.came_by().to_owned(),
            scenario: record.scenario.clone(),
            started: record.started,
            answered: record.answered,
            emotion: record.emotion.clone(),
            replies: record.replies.iter().rev().take(LINES_MAX).rev().cloned().collect(),
            answers: answers(record).take(LINES_MAX).cloned().collect(),
            service: record.services.back().cloned(),
            alerts: record.alerts.iter().rev().take(LINES_MAX).rev().cloned().collect(),
            said: said.map(|said| said.phrase.intent.clone()).take(LINES_MAX).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_addresses() {
        for (address, user) in [
            ("sip:1001@pbx.example", Some("1001")),
            ("\"Li\" <sip:1001@pbx.example;transport=tcp>;tag=1", Some("1001")),
            ("<tel:+8613800138000>", Some("+8613800138000")),
            ("sip:pbx.example", Some("pbx.example")),
            ("mailto:1001@pbx.example", None),
            ("sip:@pbx.example", None),
            ("", None),
        ] {
            assert_eq!(user_of(address), user, "{address}");
        }
    }
}
