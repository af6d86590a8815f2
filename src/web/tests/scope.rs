//! People who see the calls of some routes alone: nothing shows that there are others.

use super::people::{CONSOLE, PASSWORD, cookie, sign_in};
use super::*;
use crate::notice::{Notice, What};
use crate::settings::UserSettings;
use crate::users::{PasswordDigest, Role};
use crate::web::addresses::closed;

/// A call of each route: `call-1` of the samples' own, `call-2` of `sales`.
fn begun() -> [Notice; 2] {
    let first = one_of_each().swap_remove(0);
    let mut second = Notice { call: "call-2".to_owned(), ..first.clone() };
    let What::CallStarted { route, .. } = &mut second.what else { panic!("{:?}", second.what) };
    "sales".clone_into(route);
    [first, second]
}

/// An API with two calls, and a supervisor of `sales`: the fixture and the header by which she is known.
async fn with_a_supervisor_of_sales() -> (Fixture, String) {
    let fixture = fixture().await;
    let live = options(fixture.handle.addr).live;
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    let routes = Some(["sales".to_owned()].into());
    let li = UserSettings { role: Role::Supervisor, password, serves: None, totp: None, routes };
    fixture.handle.exchange(LiveOptions { users: [("li".to_owned(), li)].into(), ..live }).expect("random numbers");
    for notice in begun() {
        fixture.bus.publish(&notice);
    }
    let cookie = cookie(&sign_in(&Wire(fixture.handle.addr), "li", PASSWORD).await);
    (fixture, cookie)
}

#[tokio::test]
async fn every_address_of_a_call_of_others_says_that_there_is_none() {
    let (mut fixture, cookie) = with_a_supervisor_of_sales().await;
    fixture.orders.close();
    let wire = Wire(fixture.handle.addr);
    let (_, permissions) = closed().parts();
    let mut walked = 0;
    for (method, path, _) in permissions.table().filter(|(_, path, _)| path.contains("{id}")) {
        if !permissions.may(Role::Supervisor, method, path) || path.starts_with("/v1/knowledge/") {
            continue;
        }
        let of = async |call: &str| {
            let at = path.replace("{id}", call).replace("{prompt}", "1").replace("{supervisor}", "1");
            let (kind, body) = asked_with(method.as_str(), path);
            let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
            let headers = format!("{cookie}{CONSOLE}{kind}Content-Length: {}\r\n", body.len());
            wire.exchange(method.as_str(), &at, &headers, body).await
        };
        let (others, nobodys, own) = (of("call-1").await, of("call-9").await, of("call-2").await);
        assert_eq!(others.status, 404, "{method} {path}: {}", others.body);
        assert_eq!(others.json_line()["detail"], "no such call", "{method} {path}");
        assert_eq!((nobodys.status, &nobodys.body), (others.status, &others.body), "{method} {path}");
        assert!(!own.body.contains("no such call"), "{method} {path}: {}", own.body);
        walked += 1;
    }
    assert!(walked >= 10, "{walked}");
    let encoded = wire.ask("GET", "/v1/calls/call%2D1", &cookie).await;
    assert_eq!(encoded.status, 404, "{}", encoded.body);
}

/// What a request has to say so that nothing is wrong with it: the kind of its body, and the body.
fn asked_with(method: &str, path: &str) -> (&'static str, &'static str) {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "alerts") => ("application/json", r#"{"alert_ms":1,"rule":"r","deed":"end"}"#),
        ("PUT", "priority") => ("application/json", r#"{"queue_priority":1}"#),
        ("POST", "move") => ("application/json", r#"{"target":"human"}"#),
        ("POST", "prompts") => ("application/json", r#"{"tone":"beep","party":"caller","mode":"replace"}"#),
        ("POST", "supervisors") => ("application/json", r#"{"target":"human","mode":"listen"}"#),
        ("PATCH", "{supervisor}") => ("application/json", r#"{"mode":"listen"}"#),
        ("POST", "webrtc") => ("application/sdp", "v=0\r\n"),
        _ => ("", ""),
    }
}

#[tokio::test]
async fn lists_and_events_are_of_own_calls_alone() {
    let (fixture, cookie) = with_a_supervisor_of_sales().await;
    let wire = Wire(fixture.handle.addr);
    for path in ["/v1/calls", "/v1/calls?state=active", "/v1/interactions"] {
        let list = wire.ask("GET", path, &cookie).await.json_line();
        let ids: Vec<_> = list["calls"].as_array().expect("a list").iter().map(|call| call["id"].as_str()).collect();
        assert_eq!((ids, list["active"].as_u64()), (vec![Some("call-2")], Some(1)), "{path}");
    }
    let headers = format!("{cookie}Accept: text/event-stream\r\n");
    let mut events = Stream::open_as(fixture.handle.addr, "?after=0", &headers).await;
    let [first, second] = begun();
    let observed = one_of_each().into_iter().find(|notice| matches!(notice.what, What::Observed { .. }));
    let observed = observed.expect("one of each");
    for call in [&first.call, &second.call] {
        fixture.bus.publish(&Notice { call: call.clone(), ..observed.clone() });
    }
    let got = [events.next().await, events.next().await].map(|sent| (sent.kind, sent.data["call"].clone()));
    assert_eq!(got, ["call_started", "observed"].map(|kind| (kind.to_owned(), Value::from("call-2"))));
}

#[tokio::test]
async fn walls_are_told_together_and_each_what_it_may_see() {
    let (fixture, cookie) = with_a_supervisor_of_sales().await;
    let own = [("cookie", cookie.trim_start_matches("Cookie: ").trim().to_owned()), ("origin", origin(&fixture))];
    let token = [("authorization", format!("Bearer {TOKEN}"))];
    let mut walls = Vec::new();
    for headers in [&own[..], &token[..]] {
        let opened = client::socket_at(fixture.handle.addr, "/v1/wall", headers).await;
        walls.push(opened.expect("admitted").0);
    }
    for notice in begun() {
        fixture.bus.publish(&notice);
    }
    let mut seen = Vec::new();
    for wall in &mut walls {
        let told = client::socket_event(wall).await;
        assert_eq!(told["type"], "events");
        let calls = told["events"].as_array().expect("a list").iter().map(|event| event["call"].clone());
        seen.push(calls.collect::<Vec<_>>());
    }
    assert_eq!(seen, [vec![Value::from("call-2")], vec![Value::from("call-1"), Value::from("call-2")]]);
}

#[tokio::test]
async fn a_slow_wall_is_told_that_it_missed_something_and_nobody_waits_for_it() {
    let fixture = fixture().await;
    let token = [("authorization", format!("Bearer {TOKEN}"))];
    let mut slow = client::socket_at(fixture.handle.addr, "/v1/wall", &token).await.expect("admitted").0;
    let alert = one_of_each().into_iter().find(|notice| matches!(notice.what, What::Alert { .. })).expect("one");
    // The wall has no turn meanwhile.
    for _ in 0..64 {
        fixture.bus.publish(&alert);
        fixture.bus.tell_together();
    }
    let told = loop {
        let told = client::socket_event(&mut slow).await;
        if told["type"] == "lagged" {
            break told;
        }
    };
    assert_eq!(told, serde_json::json!({ "type": "lagged", "missed": null }));
}

fn origin(fixture: &Fixture) -> String {
    format!("http://{}", fixture.handle.addr)
}
