//! The audit trail over the API.

use super::people::{CONSOLE, with_users_and};
use super::*;
use crate::control::Done;
use crate::settings::{MasterKeySource, StoreSettings};
use crate::store::Store;
use crate::store::audit::AuditWanted;

#[tokio::test]
async fn the_trail_is_searched_verified_and_has_both() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    store.audit("configuration", serde_json::json!({ "rules": 3 }));
    let fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    let read = async |query: &str| {
        let reply = wire.ask_with_token("GET", &format!("/v1/audit{query}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    };
    assert_eq!(wire.ask_with_token("GET", "/v1/calls/call-1").await.status, 404);
    let all = read("").await;
    let kinds: Vec<&str> =
        all["entries"].as_array().expect("a list").iter().filter_map(|e| e["kind"].as_str()).collect();
    assert_eq!(kinds, ["access", "configuration"], "{all}");
    assert_eq!((&all["entries"][0]["call"], &all["entries"][0]["who"]), (&Value::from("call-1"), &Value::from("api")));
    let searched = read("?kind=audit_read&who=api").await;
    assert_eq!(searched["entries"][0]["what"]["found"], 2, "who has looked, and for what, is in it: {searched}");
    let first = read("?limit=1&from=2020-01-01T00:00:00Z&call=call-1").await;
    assert_eq!(first["entries"].as_array().map(Vec::len), Some(1), "{first}");
    let rest = read(&format!("?limit=1&below={}", first["next"])).await;
    assert!(rest["entries"][0]["seq"].as_u64() < first["entries"][0]["seq"].as_u64(), "{rest}");
    for wrong in ["?limit=0", "?limit=1001", "?from=yesterday", "?what=1"] {
        problem(&wire.ask_with_token("GET", &format!("/v1/audit{wrong}")).await, 400);
    }

    assert_eq!(wire.ask_with_token("GET", "/v1/audit/verify").await.json()["state"], "none");
    assert_eq!(wire.ask_with_token("POST", "/v1/audit/verify").await.status, 202);
    let found = verified(&wire).await;
    assert_eq!((&found["is_whole"], &found["findings"]), (&Value::from(true), &serde_json::json!([])), "{found}");
    assert!(found["entries"].as_u64() >= Some(8), "{found}");
    alter_first_entry(&root.path().join("data/audit"));
    assert_eq!(wire.ask_with_token("POST", "/v1/audit/verify").await.status, 202);
    let found = verified(&wire).await;
    assert_eq!(found["is_whole"], false, "{found}");
    assert!(found["findings"][0].as_str().is_some_and(|what| what.contains("entry 1 was altered")), "{found}");
    store.stop();
}

#[tokio::test]
async fn those_who_look_through_much_have_their_turns() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let (first, _second) = (store.turn().await, store.turn().await);
    let mut search = std::pin::pin!(store.search_audit(AuditWanted { max: 1, ..AuditWanted::default() }));
    assert!(futures::poll!(search.as_mut()).is_pending(), "two others look already");
    drop(first);
    assert!(futures::FutureExt::now_or_never(store.turn()).is_none(), "the search is next");
    search.await.expect("readable");
    assert!(futures::FutureExt::now_or_never(store.turn()).is_some(), "and done");
    store.stop();
}

#[tokio::test]
async fn calls_are_exported_as_rows_and_that_is_in_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    for notice in crate::notice_samples::one_of_each() {
        store.keep(&notice, crate::web::Moment(1_700_000_000_000 + notice.call_ms));
    }
    // Once it has done what it was told before.
    store.erase("13900000000".to_owned()).await.expect("written").expect("nobody is held");
    let fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    let time = "from=2023-11-14T00:00:00Z&before=2023-11-15T00:00:00Z";
    let rows = wire.ask_with_token("GET", &format!("/v1/exports/calls?{time}&format=json")).await;
    assert_eq!(rows.status, 200, "{}", rows.body);
    assert_eq!((&rows.json()["call"], &rows.json()["route"]), (&"call-1".into(), &"after-sales".into()));
    let csv = wire.ask_with_token("GET", &format!("/v1/exports/decisions?{time}&format=csv")).await;
    assert!(csv.body.starts_with("call,time,call_ms,rule,"), "{}", csv.body);
    let none = "from=2023-11-13T00:00:00Z&before=2023-11-14T00:00:00Z&format=json";
    assert_eq!(wire.ask_with_token("GET", &format!("/v1/exports/calls?{none}")).await.body, "");
    problem(&wire.ask_with_token("GET", &format!("/v1/exports/words?{time}")).await, 404);
    for wrong in ["", "?from=yesterday", &format!("?{time}&format=avro")] {
        problem(&wire.ask_with_token("GET", &format!("/v1/exports/calls{wrong}")).await, 400);
    }
    let told = wire.ask_with_token("GET", "/v1/audit?kind=exported").await.json();
    assert_eq!(told["entries"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(told["entries"][1]["what"]["table"], "decisions", "{told}");
    store.stop();
}

#[tokio::test]
async fn keys_are_rotated_and_that_is_in_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    // The configuration names no store yet.
    problem(&wire.ask_with_token("POST", "/v1/keys/rotate").await, 404);
    let key = root.path().join("new.key");
    crate::store::MasterKey::make(&key).expect("a key");
    let live = options(fixture.handle.addr).live;
    let master_key = Some(MasterKeySource::File(key));
    fixture.handle.exchange(LiveOptions { master_key, ..live.clone() }).expect("random numbers");
    for (data_key, changed) in [(5, true), (6, false)] {
        let rotated = wire.ask_with_token("POST", "/v1/keys/rotate").await.json();
        assert_eq!(rotated, serde_json::json!({ "keys": data_key, "data_key": data_key, "master_changed": changed }));
    }
    let master_key = Some(MasterKeySource::File(root.path().join("none.key")));
    fixture.handle.exchange(LiveOptions { master_key, ..live }).expect("random numbers");
    problem(&wire.ask_with_token("POST", "/v1/keys/rotate").await, 409);
    let found = wire.ask_with_token("GET", "/v1/audit?kind=keys_rotated").await.json();
    assert_eq!(found["entries"].as_array().map(Vec::len), Some(2), "{found}");
    store.stop();
}

#[tokio::test]
async fn a_call_is_found_however_its_address_spells_it_and_no_address_fills_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    for call in ["call%2D1", &"A".repeat(5_000)] {
        assert_eq!(wire.ask_with_token("GET", &format!("/v1/calls/{call}")).await.status, 404);
    }
    let spelt = wire.ask_with_token("GET", "/v1/audit?kind=access&call=call-1").await.json();
    assert_eq!(spelt["entries"][0]["what"]["path"], "/v1/calls/call%2D1", "{spelt}");
    let all = wire.ask_with_token("GET", "/v1/audit?kind=access").await.json();
    let is_long = |entry: &&Value| entry["call"].as_str().is_some_and(|call| call.starts_with('A'));
    let long = all["entries"].as_array().expect("a list").iter().find(is_long).expect("it is in the trail");
    assert_eq!(long["call"], format!("{}…+4936", "A".repeat(64)));
    assert_eq!(long["what"]["path"], format!("/v1/calls/{}…+4754", "A".repeat(246)));
    store.stop();
}

#[tokio::test]
async fn holds_are_asked_for_on_record_before_they_begin_and_end() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    for (path, body, expected) in [
        ("/v1/people/hold", r#"{"address":"13800138000","reason":"a claim"}"#, 200),
        ("/v1/people/hold", r#"{"address":"13800138000","reason":"a claim"}"#, 409),
        ("/v1/people/release", r#"{"address":"13800138000"}"#, 200),
        ("/v1/people/release", r#"{"address":"13800138000"}"#, 404),
    ] {
        let reply = wire.send("POST", path, body).await;
        assert_eq!(reply.status, expected, "{path}: {}", reply.body);
    }
    let trail = wire.ask_with_token("GET", "/v1/audit").await;
    assert!(!trail.body.contains("13800138000"), "{}", trail.body);
    let trail = trail.json();
    let kinds = trail["entries"].as_array().expect("a list").iter().rev().filter_map(|entry| entry["kind"].as_str());
    let kinds: Vec<&str> = kinds.filter(|kind| *kind != "access").collect();
    assert_eq!(kinds, ["hold_asked", "held", "hold_asked", "release_asked", "released", "release_asked"]);
    store.stop();
}

#[tokio::test]
async fn what_was_ordered_is_in_the_trail_although_whoever_asked_has_gone() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let mut fixture = fixture_with(Some(store.clone())).await;
    fixture.bus.publish(&one_of_each()[0]);
    let wire = Wire(fixture.handle.addr);
    let known = format!("Authorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n");
    let asking = wire.begin("POST", "/v1/calls/call-1/bypass", &known, "").await;
    let asked = fixture.orders.recv().await.expect("an order");
    drop(asking);
    // Once this is answered, the server has seen that nobody waits.
    assert_eq!(wire.ask("GET", "/healthz", "").await.status, 200);
    let answer = asked.answer.expect("an order that is answered");
    assert!(answer.send(Ok(Done::Accepted)).is_ok(), "it is still carried out");
    let Fixture { handle, .. } = &mut fixture;
    handle.finish().await;
    let of_call = AuditWanted { call: Some("call-1".to_owned()), ..wanted("access") };
    let found = store.search_audit(of_call).await.expect("it is read");
    let statuses: Vec<_> = found.entries.iter().map(|(_, _, entry)| entry.what["status"].clone()).collect();
    assert_eq!(statuses, [202]);
    store.stop();
}

#[tokio::test]
async fn a_wrong_password_is_in_the_trail_although_whoever_gave_it_has_gone() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let mut fixture = with_users_and(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    let body = r#"{"user":"operator","password":"a wrong password"}"#;
    let headers = format!("{CONSOLE}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let asking = wire.begin("POST", "/v1/session", &headers, body).await;
    // Once this is answered, the password is being checked; and then the server has seen that nobody waits.
    assert_eq!(wire.ask("GET", "/healthz", "").await.status, 200);
    drop(asking);
    assert_eq!(wire.ask("GET", "/healthz", "").await.status, 200);
    let Fixture { handle, .. } = &mut fixture;
    handle.finish().await;
    let found = store.search_audit(wanted("sign_in_refused")).await.expect("it is read");
    let whose: Vec<&str> = found.entries.iter().map(|(_, _, entry)| entry.who.as_str()).collect();
    assert_eq!(whose, ["operator"]);
    store.stop();
}

#[tokio::test]
async fn whoever_does_not_show_who_they_are_is_in_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(root.path());
    let mut fixture = fixture_with(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    for token in ["Authorization: Bearer another-token-than-that\r\n", "", ""] {
        problem(&wire.ask("GET", "/v1/calls", token).await, 401);
    }
    let Fixture { handle, .. } = &mut fixture;
    handle.finish().await;
    let mut counts = Vec::new();
    for _ in 0..500 {
        let found = store.search_audit(wanted("access_denied")).await.expect("it is read").entries;
        counts = found.iter().map(|(_, _, entry)| entry.what.clone()).collect();
        if counts.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = |count| serde_json::json!({ "from": "127.0.0.1", "status": 401, "count": count });
    assert_eq!(counts, [told(2), told(1)]);
    store.stop();
}

#[tokio::test]
async fn without_a_store_there_is_no_trail() {
    let fixture = fixture().await;
    problem(&Wire(fixture.handle.addr).ask_with_token("GET", "/v1/audit").await, 404);
}

pub(super) fn store(root: &std::path::Path) -> Store {
    Store::start(&StoreSettings::within(root, Duration::MAX), &Metrics::new()).expect("a store")
}

fn wanted(kind: &str) -> AuditWanted {
    AuditWanted { kind: Some(kind.to_owned()), max: 10, ..AuditWanted::default() }
}

async fn verified(wire: &Wire) -> Value {
    for _ in 0..500 {
        let state = wire.ask_with_token("GET", "/v1/audit/verify").await.json();
        if state["state"] != "running" {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is read for ever");
}

fn alter_first_entry(trail: &std::path::Path) {
    let file = std::fs::read_dir(trail).expect("a folder").map(|entry| entry.expect("an entry").path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "log")).expect("a file");
    let text = std::fs::read_to_string(&file).expect("text");
    let at = text.find("\"body\":\"").expect("an entry") + 40;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    let altered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
    // In place: the server has it open.
    use std::os::unix::fs::FileExt as _;
    let open = std::fs::OpenOptions::new().write(true).open(&file).expect("a file");
    open.write_all_at(altered.as_bytes(), 0).expect("written");
}
