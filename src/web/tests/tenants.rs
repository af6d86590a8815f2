//! A tenant's calls, erased over the API.

use super::people::{CONSOLE, PASSWORD, cookie, sign_in, with_users_and};
use super::*;
use crate::notice::{Notice, What};

#[tokio::test]
async fn all_of_a_tenant_is_erased_and_what_was_done_is_in_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let fixture = with_users_and(Some(store.clone())).await;
    let wire = Wire(fixture.handle.addr);
    for notice in one_of_each() {
        fixture.bus.publish(&notice);
        store.keep(&notice, Moment::now());
    }
    // An alert from before a restart, of whose call nobody has told the board.
    let samples = one_of_each();
    let before = Bus::new();
    let other = |notice: &Notice| Notice { call: "call-of-before".to_owned(), ..notice.clone() };
    before.publish(&other(&samples[0]));
    let alert = samples.iter().find(|notice| matches!(notice.what, What::Alert { .. })).expect("one of each");
    fixture.escalating.hear(&other(alert), &before, Moment::now());
    assert_eq!(fixture.escalating.waiting().len(), 1);
    let shown = wire.ask_with_token("GET", "/v1/calls/call-1").await.json();
    assert_eq!(shown["tags"], serde_json::json!({ "tenant": "shop", "purpose": "service-quality", "region": "cn" }));
    let erase = |body: &'static str| wire.send("POST", "/v1/tenants/erase", body);
    problem(&erase(r#"{ "tenant": "shop", "reason": " " }"#).await, 400);
    let erased = erase(r#"{ "tenant": "shop", "reason": "the contract has ended" }"#).await;
    assert_eq!(
        erased.json(),
        serde_json::json!({ "tenant": "shop", "calls": 1, "up": 0, "set_aside": 0 }),
        "{}",
        erased.body
    );
    assert_eq!(wire.ask_with_token("GET", "/v1/calls/call-1").await.status, 404, "neither kept nor on the board");
    assert_eq!(fixture.escalating.waiting(), [], "nobody is reminded of their alerts");
    let trail = wire.ask_with_token("GET", "/v1/audit?kind=tenant_erased").await.json();
    assert_eq!(trail["entries"][0]["what"]["reason"], "the contract has ended", "{trail}");
    assert_eq!(trail["entries"][0]["who"], "api", "{trail}");

    // A person who asks stands there by name.
    let cookie = cookie(&sign_in(&wire, "administrator", PASSWORD).await);
    let body = r#"{ "tenant": "shop", "reason": "once more" }"#;
    let headers = format!("{cookie}{CONSOLE}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let again = wire.exchange("POST", "/v1/tenants/erase", &headers, body).await;
    assert_eq!(again.status, 200, "{}", again.body);
    for kind in ["tenant_erasure_asked", "tenant_erased"] {
        let trail = wire.ask_with_token("GET", &format!("/v1/audit?kind={kind}")).await.json();
        let who = [0_usize, 1].map(|at| trail["entries"][at]["who"].clone());
        assert_eq!(who, ["administrator", "api"], "{trail}");
    }
    store.stop();
}
