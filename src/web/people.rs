//! What a person may ask of us, and the law: their calls shown, erased, held. By address, which stands in bodies only:
//! paths are audited.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::bus::Bus;
use super::calls::{Detail, store_down};
use super::moment::Moment;
use super::orders::{Body, bad, read};
use super::problem::Problem;
use super::query::{PageQuery, page};
use super::routes::App;
use super::signing::Who;
use crate::hexadecimal::hexadecimal;
use crate::pii::Pii;
use crate::store::{Erased, ErasedTenant, Held, Hold, Receipt, Store, is_pseudonym, names_somebody};

/// Calls shown at once.
const CALLS_MAX: usize = 100;
/// Ids of calls in one entry of the audit trail.
const IDS_MAX: usize = 100;
/// The longest reason, characters.
const REASON_CHARACTERS_MAX: usize = 300;

/// Who is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonRequest {
    /// As calls have it: `sip:13800138000@pbx.example`, or the number alone.
    address: Pii<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PersonCallsRequest)]
pub(super) struct CallsRequest {
    address: Pii<String>,
    /// Only calls that started before it, RFC 3339.
    before: Option<Moment>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonRequest {
    address: Pii<String>,
    /// Why: it stays in the audit trail, so it names nobody.
    reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantRequest {
    /// As routes have it.
    tenant: String,
    /// Why: it stays in the audit trail.
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PersonCalls)]
pub(super) struct Calls {
    calls: Vec<Detail>,
    /// Those of them whose audio is kept: `/v1/calls/{id}/playback.wav` has it.
    playback: Vec<String>,
    /// Whether there may be more, from before the last of these.
    more: bool,
}

/// What was erased, with a receipt.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasedWithReceipt)]
pub(super) struct Gone {
    #[serde(flatten)]
    erased: Erased,
    receipt: Receipt,
    /// Stores of calls that could not be read and were set aside (`calls.broken-…`): nothing is erased in them.
    set_aside: usize,
}

/// What was erased of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasedTenantNow)]
pub(super) struct GoneTenant {
    #[serde(flatten)]
    erased: ErasedTenant,
    /// As where a person is erased.
    set_aside: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PersonKey)]
pub(super) struct Key {
    person: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Holds {
    holds: Vec<Hold>,
    /// What `after` goes on by, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// `POST /v1/people/calls`.
pub(super) async fn calls(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<CallsRequest>,
) -> Result<Json<Calls>, Problem> {
    let CallsRequest { address, before } = read(body)?;
    let (store, address) = (kept(&app)?, of_somebody_everywhere(&app, &address)?);
    let before = before.unwrap_or(Moment(u64::MAX));
    let records = store.calls_of(address, before, CALLS_MAX).await.map_err(store_down)?;
    let more = records.len() >= CALLS_MAX;
    let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    audit(store, &who, "exported", json!({ "calls": ids })).await?;
    let playback = store.with_reels(ids).await.map_err(store_down)?;
    Ok(Json(Calls { calls: records.into_iter().map(Detail::from).collect(), playback, more }))
}

/// `POST /v1/people/key`: what stands for a person in place of an address.
pub(super) async fn key(State(app): State<App>, body: Body<PersonRequest>) -> Result<Json<Key>, Problem> {
    let PersonRequest { address } = read(body)?;
    Ok(Json(Key { person: pseudonym(kept(&app)?, &address)? }))
}

/// What stands for a person.
///
/// # Errors
/// When the address names nobody.
fn pseudonym(store: &Store, address: &Pii<String>) -> Result<String, Problem> {
    let nobody = || bad("expected an address or a key of a person");
    store.pseudonym(address.reveal()).ok_or_else(nobody)
}

/// The customer as records have them: an address never stays in one; where nothing is kept, nobody has to be found again.
///
/// # Errors
/// When the address names nobody.
pub(super) fn customer_of(app: &App, address: Option<&Pii<String>>) -> Result<String, Problem> {
    let known = app.store.as_ref().zip(address);
    known.map_or_else(|| Ok(String::new()), |(store, address)| pseudonym(store, address))
}

/// `POST /v1/people/erase`.
pub(super) async fn erase(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<ReasonRequest>,
) -> Result<Json<Gone>, Problem> {
    let ReasonRequest { address, reason } = read(body)?;
    let (store, reason, address) = (kept(&app)?, checked(reason)?, of_somebody_everywhere(&app, &address)?);
    // First: what is erased must be asked for on record, even when the program ends in the midst of it.
    audit(store, &who, "erasure_asked", json!({ "reason": reason })).await?;
    // On its own: whoever asks may go before it is done, and it is forgotten everywhere all the same.
    let (store, bus, outbox) = (store.clone(), Arc::clone(&app.bus), app.outbox.clone());
    let (customers, recordings, person) = (app.customers.clone(), app.recordings.clone(), store.pseudonym(&address));
    let (escalating, carrier) = (app.escalating.clone(), app.carrier.clone());
    let deed = tokio::spawn(async move {
        match store.erase(address).await.map_err(store_down)? {
            Ok(erased) => {
                // What other nodes have told of the person is theirs to erase, and not to be shown here, nor delivered, any more.
                let elsewhere = person.as_ref().map(|person| ended_elsewhere(&bus, &store, person));
                let calls = [erased.calls.clone(), elsewhere.unwrap_or_default()].concat();
                bus.forget(&calls);
                escalating.forget(&calls, &store).await;
                // They know a customer of chats by no address.
                if let Some(carrier) = carrier {
                    carrier.tell_gone(&erased.calls).await;
                }
                person.iter().for_each(|person| customers.forget(person));
                person.iter().for_each(|person| recordings.erase(person));
                if let Some(outbox) = outbox {
                    outbox.forget(calls).await;
                }
                for what in entries_of(&erased, &reason) {
                    audit_done(&store, &who, "erased", what).await;
                }
                let receipt = store.sign(statement_of(&erased, Moment::now(), store.journal().last_seq()));
                Ok(Json(Gone { erased, receipt, set_aside: store.set_aside() }))
            }
            Err(held) => Err(held_already(&held)),
        }
    });
    deed.await.unwrap_or_else(|error| Err(store_down(error.to_string())))
}

/// The ended calls of other nodes in which a person takes part.
fn ended_elsewhere(bus: &Bus, store: &Store, person: &str) -> Vec<String> {
    let is_them = |address: &Pii<String>| store.pseudonym(address.reveal()).as_deref() == Some(person);
    let theirs = bus.ended_elsewhere().into_iter().filter(|(_, parties)| parties.iter().any(is_them));
    theirs.map(|(call, _)| call).collect()
}

/// `POST /v1/tenants/erase`.
pub(super) async fn erase_tenant(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<TenantRequest>,
) -> Result<Json<GoneTenant>, Problem> {
    let TenantRequest { tenant, reason } = read(body)?;
    let (store, reason) = (kept(&app)?, checked(reason)?);
    audit(store, &who, "tenant_erasure_asked", json!({ "tenant": tenant, "reason": reason })).await?;
    let (store, bus, outbox) = (store.clone(), Arc::clone(&app.bus), app.outbox.clone());
    let escalating = app.escalating.clone();
    let deed = tokio::spawn(async move {
        let erased = store.erase_tenant(tenant).await.map_err(store_down)?.map_err(|held| held_already(&held))?;
        let mut calls = bus.forget_tenant(&erased.tenant);
        calls.extend(erased.waiting.iter().cloned());
        escalating.forget(&calls, &store).await;
        escalating.forget_tenant(&erased.tenant, &store).await;
        if let Some(outbox) = outbox {
            outbox.forget(calls).await;
        }
        let ErasedTenant { tenant, calls, up, .. } = &erased;
        let what = json!({ "tenant": tenant, "calls": calls, "up": up, "reason": reason });
        audit_done(&store, &who, "tenant_erased", what).await;
        Ok(Json(GoneTenant { erased, set_aside: store.set_aside() }))
    });
    deed.await.unwrap_or_else(|error| Err(store_down(error.to_string())))
}

/// `POST /v1/people/hold`.
pub(super) async fn hold(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<ReasonRequest>,
) -> Result<Json<Hold>, Problem> {
    let ReasonRequest { address, reason } = read(body)?;
    let (store, reason, address) = (kept(&app)?, checked(reason)?, of_somebody_everywhere(&app, &address)?);
    // First, as what is erased: it counts for good.
    let what = json!({ "person": store.pseudonym(&address), "reason": reason });
    audit(store, &who, "hold_asked", what).await?;
    let hold = store.hold(address, Held { reason, since: Moment::now() }).await.map_err(store_down)?;
    let hold = hold.map_err(|held| held_already(&held))?;
    audit_done(store, &who, "held", serde_json::to_value(&hold).expect("strings")).await;
    Ok(Json(hold))
}

/// `POST /v1/people/release`.
pub(super) async fn release(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    body: Body<PersonRequest>,
) -> Result<Json<Hold>, Problem> {
    let PersonRequest { address } = read(body)?;
    let (store, address) = (kept(&app)?, of_somebody(&address)?);
    audit(store, &who, "release_asked", json!({ "person": store.pseudonym(&address) })).await?;
    let released = store.release(address).await.map_err(store_down)?;
    let hold = released.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "this person is not held"))?;
    audit_done(store, &who, "released", serde_json::to_value(&hold).expect("strings")).await;
    Ok(Json(hold))
}

/// `GET /v1/people/holds`.
pub(super) async fn holds(
    State(app): State<App>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Holds>, Problem> {
    let (limit, after) = PageQuery::asked(query)?;
    let found = kept(&app)?.holds(after.unwrap_or_default(), limit + 1).await.map_err(store_down)?;
    let (holds, next) = page(found.into_iter(), limit, |hold| hold.person.clone());
    Ok(Json(Holds { holds, next }))
}

/// The address of a request, which has to name somebody.
fn of_somebody(address: &Pii<String>) -> Result<String, Problem> {
    let detail =
        "`address`: found nobody's, expected a person's, e.g. `sip:13800138000@pbx.example` or the number alone";
    let is_somebody = names_somebody(address.reveal());
    is_somebody.then(|| address.reveal().clone()).ok_or_else(|| bad(detail))
}

/// The same where all nodes of a site are asked: what stands for a person at one of them stands for nobody at the others, which would
/// find nothing, and say that all is well. A hold may be released by it: those say that they have none.
fn of_somebody_everywhere(app: &App, address: &Pii<String>) -> Result<String, Problem> {
    let somebody = of_somebody(address)?;
    let detail = "`address`: found what stands for a person at one node of the site, expected an address, e.g. \
                  `sip:13800138000@pbx.example`: every other node knows the person by another name";
    let is_one_nodes = app.store.as_ref().is_some_and(Store::has_site) && is_pseudonym(&somebody);
    if is_one_nodes { Err(bad(detail)) } else { Ok(somebody) }
}

/// What is signed of an erasure: whose, by hash, what, when, and up to which entry the audit trail has it.
fn statement_of(erased: &Erased, now: Moment, trail: u64) -> String {
    let Erased { person, calls, still_up } = erased;
    let statement = json!({
        "calmline_erasure": 1,
        "person": person,
        "calls": calls.len(),
        "ids_sha256": digest_of(calls),
        "still_up": still_up,
        "time": now,
        "audit_entry": trail,
    });
    statement.to_string()
}

fn digest_of(calls: &[String]) -> String {
    hexadecimal(ring::digest::digest(&ring::digest::SHA256, calls.join("\n").as_bytes()).as_ref())
}

/// What the audit trail is told of an erasure: how many calls, a digest of all their ids, and the ids, so many in an entry.
fn entries_of(erased: &Erased, reason: &str) -> Vec<serde_json::Value> {
    let Erased { person, calls, .. } = erased;
    let (first, rest) = calls.split_at(calls.len().min(IDS_MAX));
    let whole = json!({ "person": person, "count": calls.len(), "ids_sha256": digest_of(calls), "calls": first, "reason": reason });
    let more = |(at, ids): (usize, &[String])| json!({ "person": person, "from": (at + 1) * IDS_MAX, "calls": ids });
    std::iter::once(whole).chain(rest.chunks(IDS_MAX).enumerate().map(more)).collect()
}

fn held_already(Held { reason, since }: &Held) -> Problem {
    Problem::new(StatusCode::CONFLICT, format!("held since {since}: {reason}"))
}

pub(super) fn kept(app: &App) -> Result<&Store, Problem> {
    app.store.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "nothing is kept: there is no [store]"))
}

pub(super) fn checked(reason: String) -> Result<String, Problem> {
    let length = reason.chars().count();
    if reason.trim().is_empty() || length > REASON_CHARACTERS_MAX {
        let detail = format!("`reason`: found {length} characters, expected 1 to {REASON_CHARACTERS_MAX}");
        return Err(bad(detail));
    }
    Ok(reason)
}

/// Writes a deed down before it is told.
pub(super) async fn audit(store: &Store, who: &Who, kind: &str, what: serde_json::Value) -> Result<(), Problem> {
    let written = store.audited(kind, who.name(), "", what).await;
    written.then_some(()).ok_or_else(|| store_down("the audit trail cannot be written".to_owned()))
}

/// Writes down that a deed is done, which the trail has been asked for already: it counts, and is told whatever becomes of that.
pub(super) async fn audit_done(store: &Store, who: &Who, kind: &str, what: serde_json::Value) {
    if !store.audited(kind, who.name(), "", what).await {
        tracing::warn!(kind, "the audit trail has what was asked for, and not yet that it is done");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_is_audited_in_entries_that_are_bounded_and_name_every_call() {
        for (count, expected) in [(0, 1), (1, 1), (100, 1), (101, 2), (1_000, 10)] {
            let calls: Vec<String> = (0..count).map(|number| format!("call-{number}")).collect();
            let erased = Erased { person: "ab".to_owned(), calls: calls.clone(), still_up: 0 };
            let entries = entries_of(&erased, "as asked for");
            assert_eq!(
                (entries.len(), &entries[0]["count"], &entries[0]["reason"]),
                (expected, &json!(count), &json!("as asked for"))
            );
            let ids = |entry: &serde_json::Value| entry["calls"].as_array().expect("a list").clone();
            assert!(entries.iter().all(|entry| ids(entry).len() <= IDS_MAX && entry["person"] == "ab"));
            assert_eq!(json!(entries.iter().flat_map(ids).collect::<Vec<_>>()), json!(calls));
            assert!(entries.iter().skip(1).enumerate().all(|(at, entry)| entry["from"] == json!((at + 1) * IDS_MAX)));
        }
    }

    #[test]
    fn a_receipt_says_what_was_erased_and_names_nobody() {
        let erased = Erased { person: "ab".to_owned(), calls: vec!["call-1".to_owned()], still_up: 1 };
        let statement: serde_json::Value = serde_json::from_str(&statement_of(&erased, Moment(0), 7)).expect("JSON");
        let digest = digest_of(&erased.calls);
        let expected = json!({ "calmline_erasure": 1, "person": "ab", "calls": 1, "ids_sha256": digest, "still_up": 1, "time": Moment(0), "audit_entry": 7 });
        assert_eq!(statement, expected);
    }

    #[test]
    fn who_is_nobody_is_a_mistake_of_who_asks() {
        let asked = |address: &str| of_somebody(&address.to_owned().into()).is_ok();
        assert!(asked("sip:13800138000@pbx.example") && asked("138-0013-8000"));
        assert!(!asked("sip:anonymous@anonymous.invalid") && !asked(""));
    }
}
