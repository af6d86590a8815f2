//! `/v1/own/calls`: to a person who serves customers, the calls that they serve now: the customer's mood, what was suggested to
//! say, and what rules said of it; `feed` tells the same whenever it changes. No address, nothing that was said, and nobody else's
//! calls.

mod feed;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::bus::kind;
use super::moment::Moment;
use super::problem::Problem;
use super::record::{Alert, CallRecord, Reply, ServiceSwitch, State as Stands, Step};
use super::routes::App;
use super::sessions::Shown;
use super::signing::Who;
use crate::notice::{AnswerFound, What};
use crate::settings::{host_in, uri_of};
pub(super) use feed::follow;

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
    emotion: Option<Mood>,
    /// What could be written to the customer, the latest last.
    replies: Vec<Reply>,
    /// What the library has to say to the customer's last words, best first.
    answers: Vec<AnswerFound>,
    /// How the customer is to be served, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceSwitch>,
    /// What to speak by, as the service asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Script>,
    /// What supervisors were told.
    alerts: Vec<Alert>,
    /// What whoever serves should mind, the latest last.
    warnings: Vec<Warning>,
    /// What the customer's phrases mean.
    said: BTreeSet<String>,
}

/// What to speak by.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnScript)]
struct Script {
    /// The id of the policy's script, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    script: Option<String>,
    /// Headers of the INVITE stand in braces.
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    language: Option<String>,
}

/// What whoever serves should mind.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnWarning)]
struct Warning {
    /// The type of the event that it comes from.
    kind: &'static str,
    /// Milliseconds since the INVITE arrived.
    call_ms: u64,
    /// What stands behind it, in words of rules and lists.
    what: Vec<String>,
}

/// How the customer is; none of the words that say so.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnMood)]
struct Mood {
    emotion: String,
    level: String,
    anger: f32,
    trend_per_s: f32,
}

/// What the audit trail is to tell of an answer: the calls in it that its agent was not shown by the one before.
#[derive(Clone)]
pub(super) struct FirstShown(pub(super) Vec<String>);

/// Whose calls are an agent's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// Those at a target of that name, and with it at that address.
    Target(String, Option<Party>),
    /// Those at an extension.
    Extension(Party),
}

/// Who an address stands for: a user, or a telephone number, where one is named of that host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Party {
    user: String,
    host: Option<String>,
}

/// `GET /v1/own/calls`.
pub(super) async fn calls(
    State(app): State<App>,
    who: Option<Extension<Who>>,
) -> Result<(Extension<FirstShown>, Json<OwnCalls>), Problem> {
    let (user, shown) = agent(who)?;
    let own = OwnCalls::of(&app, &user, None).ok_or_else(nobody)?;
    let first = shown.first(own.ids().collect());
    Ok((Extension(FirstShown(first)), Json(own)))
}

/// Whoever asks, where that is a person.
fn agent(who: Option<Extension<Who>>) -> Result<(String, Shown), Problem> {
    match who {
        Some(Extension(Who::Person { user, shown, .. })) => Ok((user, shown)),
        _ => Err(nobody()),
    }
}

fn nobody() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "only as an agent: it shows the calls that one serves")
}

impl OwnCalls {
    /// Those of a person now, all of them or those among some; nothing of somebody who serves none.
    fn of(app: &App, user: &str, among: Option<&BTreeSet<String>>) -> Option<OwnCalls> {
        let live = app.live.load();
        let claim = live.claims.get(user)?;
        let is_own = |record: &&CallRecord| claim.is_for(record, &live.desks);
        let calls = app.bus.with_board(|board| match among {
            None => board.active().filter(is_own).take(CALLS_MAX).map(OwnCall::from).collect(),
            Some(among) => {
                let up = among.iter().filter(|call| board.is_active(call)).filter_map(|call| board.call(call));
                up.filter(is_own).take(CALLS_MAX).map(OwnCall::from).collect()
            }
        });
        Some(OwnCalls { calls })
    }

    fn ids(&self) -> impl Iterator<Item = String> {
        self.calls.iter().map(|call| call.id.clone())
    }
}

impl Claim {
    /// What `serves` means: a target where there is one of that name, or else an extension, perhaps of a host (`1001@HOST`).
    pub(super) fn of(serves: &str, targets: &BTreeMap<String, String>) -> Claim {
        if let Some(address) = targets.get(serves) {
            return Claim::Target(serves.to_owned(), Party::of(address));
        }
        let (user, host) = serves.split_once('@').map_or((serves, None), |(user, host)| (user, Some(host.to_owned())));
        Claim::Extension(Party { user: user.to_owned(), host })
    }

    /// Whether somebody speaks to the customer now: at the target that answered, or as the party that a fork names.
    fn is_for(&self, record: &CallRecord, desks: &BTreeMap<String, Party>) -> bool {
        if record.state != Stands::Answered {
            return false;
        }
        if let Some(fork) = &record.fork {
            let mut callees = fork.parties.iter().filter(|party| party.party == "callee").peekable();
            // Where somebody else is named, the address that the copy came to is of whoever records.
            if callees.peek().is_none() {
                return self.is_at(record.to.reveal());
            }
            return callees.flat_map(|party| &party.addresses).any(|address| self.is_at(address));
        }
        match (self, &record.target) {
            (Claim::Target(name, _), Some(target)) => name == target,
            (Claim::Extension(own), Some(target)) => desks.get(target).is_some_and(|desk| own.is(desk)),
            (_, None) => false,
        }
    }

    fn is_at(&self, address: &str) -> bool {
        let (Claim::Target(_, Some(own)) | Claim::Extension(own)) = self else { return false };
        Party::of(address).is_some_and(|party| own.is(&party))
    }
}

impl Party {
    /// Who a SIP address or a telephone number is of (RFC 3261 §19.1, RFC 3966), in a header's value or alone; nobody where no user
    /// is named.
    fn of(address: &str) -> Option<Party> {
        let uri = if address.contains('<') { uri_of(address) } else { address };
        let (scheme, rest) = uri.split_once(':')?;
        let (user, host) = match scheme.to_ascii_lowercase().as_str() {
            "sip" | "sips" => rest.split_once('@').and_then(|(user, host)| Some((user, Some(host_in(host)?))))?,
            "tel" => (rest, None),
            _ => return None,
        };
        let user = user.split([':', ';', '?']).next().filter(|user| !user.is_empty())?;
        Some(Party { user: user.to_owned(), host: host.map(str::to_owned) })
    }

    /// Whether both are the same, as far as both say.
    fn is(&self, other: &Party) -> bool {
        let same_host = |(own, other): (&String, &String)| own.eq_ignore_ascii_case(other);
        self.user == other.user && self.host.as_ref().zip(other.host.as_ref()).is_none_or(same_host)
    }
}

/// Who answers at targets, by their addresses; those that name nobody are left out.
pub(super) fn parties(targets: &BTreeMap<String, String>) -> BTreeMap<String, Party> {
    targets.iter().filter_map(|(name, address)| Some((name.clone(), Party::of(address)?))).collect()
}

impl From<&Step> for Mood {
    fn from(step: &Step) -> Self {
        Self {
            emotion: step.emotion.clone(),
            level: step.level.clone(),
            anger: step.anger,
            trend_per_s: step.trend_per_s,
        }
    }
}

/// The answers that were suggested last.
fn answers(record: &CallRecord) -> impl Iterator<Item = &AnswerFound> {
    let latest = record.events.iter().rev().find_map(|event| match &event.notice.what {
        What::AnswersSuggested(advice) => Some(&advice.answers),
        _ => None,
    });
    latest.into_iter().flatten()
}

/// What to speak by since the service was switched last.
fn script(record: &CallRecord) -> Option<Script> {
    record
        .events
        .iter()
        .rev()
        .find_map(|event| match &event.notice.what {
            What::ServiceSwitched { after, words, language, .. } => Some((after, words.clone(), language.clone())),
            _ => None,
        })
        .and_then(|(after, words, language)| {
            let script = after.as_ref().and_then(|after| after.script.clone());
            words.map(|words| Script { script, words, language })
        })
}

/// What an event warns whoever serves of.
fn warning(call_ms: u64, what: &What) -> Option<Warning> {
    let what_of = match what {
        What::EscalationLikely { evidence, .. } => evidence.clone(),
        What::Interrupted { party, times } if party == "callee" => vec![times.to_string()],
        What::ComplianceBreached(breach) => vec![breach.text.clone()],
        _ => return None,
    };
    Some(Warning { kind: kind(what), call_ms, what: what_of })
}

impl From<&CallRecord> for OwnCall {
    fn from(record: &CallRecord) -> Self {
        let warnings: Vec<Warning> =
            record.events.iter().filter_map(|event| warning(event.notice.call_ms, &event.notice.what)).collect();
        let old = warnings.len().saturating_sub(LINES_MAX);
        let said = record.phrases.iter().filter(|phrase| phrase.party == "caller");
        Self {
            id: record.id.clone(),
            channel: record.came_by().to_owned(),
            scenario: record.scenario.clone(),
            started: record.started,
            answered: record.answered,
            emotion: record.emotion.as_ref().map(Mood::from),
            replies: record.replies.iter().rev().take(LINES_MAX).rev().cloned().collect(),
            answers: answers(record).take(LINES_MAX).cloned().collect(),
            service: record.services.back().cloned(),
            script: script(record),
            warnings: warnings.into_iter().skip(old).collect(),
            alerts: record.alerts.iter().rev().take(LINES_MAX).rev().cloned().collect(),
            said: said.map(|said| said.phrase.intent.clone()).take(LINES_MAX).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{ForkedParty, Notice, What};
    use crate::pii::Pii;

    #[test]
    fn parties_of_addresses() {
        for (address, expected) in [
            ("sip:1001@pbx.example", Some(("1001", Some("pbx.example")))),
            ("\"Li\" <sip:1001@pbx.example:5060;transport=tcp>;tag=1", Some(("1001", Some("pbx.example")))),
            ("\"<sip:1001@pbx.example>\" <sip:1002@pbx.example>", Some(("1002", Some("pbx.example")))),
            ("sips:1001:secret@[2001:db8::1]:5061?Subject=a", Some(("1001", Some("2001:db8::1")))),
            ("SIP:1001;phone-context=a@pbx.example", Some(("1001", Some("pbx.example")))),
            ("<tel:+8613800138000;ext=1>", Some(("+8613800138000", None))),
            ("sip:pbx.example", None),
            ("mailto:1001@pbx.example", None),
            ("sip:@pbx.example", None),
            ("sip:1001@", None),
            ("", None),
        ] {
            let found = Party::of(address);
            let found = found.as_ref().map(|party| (party.user.as_str(), party.host.as_deref()));
            assert_eq!(found, expected, "{address}");
        }
    }

    #[test]
    fn calls_of_targets_and_extensions() {
        let targets: BTreeMap<String, String> = [
            ("bot".to_owned(), "sip:1001@pbx.example".to_owned()),
            ("1003".to_owned(), "sip:9000@pbx.example".to_owned()),
        ]
        .into();
        let answered = |target: &str| record(&[answered_by(target)]);
        for (serves, target, expected) in [
            ("bot", "bot", true),
            ("1001", "bot", true),
            ("1001@PBX.example", "bot", true),
            ("1001@other.example", "bot", false),
            ("1002", "bot", false),
            // A target of that name is no extension.
            ("1003", "1003", true),
            ("9000", "1003", true),
            ("1003", "bot", false),
        ] {
            let claim = Claim::of(serves, &targets);
            assert_eq!(claim.is_for(&answered(target), &parties(&targets)), expected, "{serves} at {target}");
        }
    }

    #[test]
    fn calls_of_forks() {
        let targets = [("desk".to_owned(), "sip:1001@pbx.example".to_owned())].into();
        let own = |serves: &str, callee: Option<&str>| {
            let party = |address: &str| ForkedParty {
                party: "callee".to_owned(),
                addresses: vec![address.to_owned()],
                name: None,
            };
            let forked = What::CallForked {
                source: "siprec".to_owned(),
                again: false,
                pbx_call: None,
                told_by: None,
                parties: callee.into_iter().map(party).collect(),
                details: Pii::new(BTreeMap::new()),
            };
            let answered = answered_by("fork");
            Claim::of(serves, &targets).is_for(&record(&[forked, answered]), &parties(&targets))
        };
        // It came to 4001.
        for (serves, callee, expected) in [
            ("1001", Some("sip:1001@pbx.example"), true),
            ("1001@other.example", Some("sip:1001@pbx.example"), false),
            ("desk", Some("sip:1001@pbx.example"), true),
            ("desk", Some("sip:1001@other.example"), false),
            ("4001", Some("sip:1001@pbx.example"), false),
            ("4001", None, true),
            ("1001", None, false),
        ] {
            assert_eq!(own(serves, callee), expected, "{serves} of {callee:?}");
        }
    }

    fn answered_by(target: &str) -> What {
        What::CallAnswered { target: target.to_owned(), setup_ms: 1, uncalled: false, groups: Vec::new() }
    }

    fn record(whats: &[What]) -> CallRecord {
        let (from, to) = ("<sip:13800138000@pbx.example>".into(), "<sip:4001@calmline.example>".into());
        let mut record = CallRecord::new("call-1", &from, &to, "support", "support", Moment(0));
        for what in whats {
            record.apply(&Notice { call: "call-1".to_owned(), call_ms: 1, what: what.clone() }, Moment(1));
        }
        record
    }
}
