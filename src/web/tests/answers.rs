//! What all answers have in common: what is known is not sent again, lists come page by page, refusals are told alike.

use super::people::{CONSOLE, PASSWORD, cookie, sign_in, with_users};
use super::*;
use crate::control::{Load, Measured};

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let name = |reply: &Reply| reply.head.lines().find_map(|line| line.strip_prefix("etag: ")).map(str::to_owned);
    let ask = async |path: &str, known: &str| {
        wire.ask("GET", path, &format!("Authorization: Bearer {TOKEN}\r\nIf-None-Match: {known}\r\n")).await
    };
    for path in ["/v1/calls", "/v1/targets", "/v1/knowledge/refund-when", "/v1/libraries/lexicons/zh"] {
        let first = wire.ask_with_token("GET", path).await;
        let known = name(&first).unwrap_or_else(|| panic!("{path} has no name: {}", first.head));
        let again = ask(path, &format!("\"another\", W/{known}")).await;
        assert_eq!((again.status, again.body.as_str(), name(&again)), (304, "", Some(known)), "{path}");
        assert_eq!(ask(path, "\"another\"").await.body, first.body, "{path}");
    }
    let known = name(&wire.ask_with_token("GET", "/v1/calls").await).expect("a name");
    fixture.bus.publish(&one_of_each()[0]);
    assert_eq!(ask("/v1/calls", &known).await.status, 200, "there is another call");
    for path in ["/metrics", "/v1/nothing"] {
        assert_eq!(name(&wire.ask_with_token("GET", path).await), None, "{path}");
    }
}

#[tokio::test]
async fn a_list_goes_on_behind_the_page_before() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let page = async |query: &str| wire.ask_with_token("GET", &format!("/v1/users{query}")).await.json();
    let all = page("").await;
    assert!(all.get("next").is_none(), "{all}");
    let (mut read, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = page(&query).await;
        let users = page["users"].as_array().expect("a list").clone();
        assert!(users.len() <= 2, "{page}");
        read.extend(users);
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&after={next}");
    }
    assert_eq!(Some(&read), all["users"].as_array());
    for wrong in ["?limit=0", "?limit=1001", "?before=x"] {
        problem(&wire.ask_with_token("GET", &format!("/v1/users{wrong}")).await, 400);
    }
}

#[tokio::test]
async fn refusals_of_the_framework_are_told_as_all_others() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    for path in ["/v1/calls/%ff", "/v1/libraries/%ff/x", "/v1/interactions/%c0"] {
        problem(&wire.ask_with_token("GET", path).await, 400);
    }
    problem(&wire.ask("GET", "/assets/%ff", "").await, 400);
}

#[tokio::test]
async fn operators_see_how_much_there_is_to_do_and_nobody_else() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let node = async || wire.ask_with_token("GET", "/v1/node").await.json();
    let before = node().await;
    assert_eq!((&before["load"], &before["measured"]), (&Value::from("normal"), &Value::Null), "{before}");
    fixture.bus.publish(&one_of_each()[0]);
    fixture.readiness.set_load(Load::Sparing, Measured::new(|_| 50.0));
    let now = node().await;
    assert_eq!((&now["load"], &now["calls"]), (&Value::from("sparing"), &Value::from(1)), "{now}");
    assert_eq!((&now["measured"]["cpu"], &now["measured"]["lateness_ms"]), (&0.5.into(), &50.0.into()), "{now}");
    assert!(now["memory_bytes"].as_u64() > Some(0) && now.get("disk").is_none(), "{now}");
    for (role, expected) in [("operator", 200), ("administrator", 200), ("supervisor", 403), ("auditor", 403)] {
        let who = cookie(&sign_in(&wire, role, PASSWORD).await);
        assert_eq!(wire.ask("GET", "/v1/node", &format!("{who}{CONSOLE}")).await.status, expected, "{role}");
    }
}
