//! People and machines that see the calls of some routes, or of a tenant, alone: nothing shows that there are others.

use super::people::{CONSOLE, PASSWORD, cookie, sign_in};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::notice::{Notice, What};
use crate::settings::UserSettings;
use crate::users::{PasswordDigest, Role};
use crate::web::TenantToken;
use crate::web::addresses::closed;

/// A call of each route and tenant: `call-1` of the samples' own route and `other`, `call-2` of `sales` and `acme`.
fn begun() -> [Notice; 2] {
    let mut first = one_of_each().swap_remove(0);
    let mut second = Notice { call: "call-2".to_owned(), ..first.clone() };
    for (notice, own_route, own_tenant) in [(&mut first, None, "other"), (&mut second, Some("sales"), "acme")] {
        let What::CallStarted { route, tags, .. } = &mut notice.what else { panic!("{:?}", notice.what) };
        own_route.into_iter().for_each(|own: &str| own.clone_into(route));
        tags.tenant = Some(own_tenant.to_owned());
    }
    [first, second]
}

/// What a machine of `acme` says.
const ACME_TOKEN: &str = "token-of-acme-0123456789";

/// An API with two calls, and those who see the second one alone: a supervisor of `sales`, one of `acme`, and a machine of `acme`;
/// the fixture and the headers by which they are known.
async fn with_some_who_see_one() -> (Fixture, [String; 3]) {
    let fixture = fixture().await;
    let live = options(fixture.handle.addr).live;
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    let user = |routes: Option<&str>, tenant: Option<&str>| UserSettings {
        role: Role::Supervisor,
        password: password.clone(),
        serves: None,
        totp: None,
        routes: routes.map(|route| [route.to_owned()].into()),
        tenant: tenant.map(str::to_owned),
    };
    let users = [("li".to_owned(), user(Some("sales"), None)), ("wu".to_owned(), user(None, Some("acme")))].into();
    let tokens = [("crm".to_owned(), token_of("acme", ACME_TOKEN))].into();
    fixture.handle.exchange(LiveOptions { users, tokens, ..live }).expect("random numbers");
    for notice in begun() {
        fixture.bus.publish(&notice);
    }
    let mut headers = [String::new(), String::new(), format!("Authorization: Bearer {ACME_TOKEN}\r\n")];
    for (at, name) in ["li", "wu"].into_iter().enumerate() {
        headers[at] = cookie(&sign_in(&Wire(fixture.handle.addr), name, PASSWORD).await);
    }
    (fixture, headers)
}

fn token_of(tenant: &str, token: &str) -> TenantToken {
    let token = Token::new(token).expect("a good token");
    TenantToken { tenant: tenant.to_owned(), token, ended: CancellationToken::new() }
}

#[tokio::test]
async fn every_address_of_a_call_of_others_says_that_there_is_none() {
    let (mut fixture, all) = with_some_who_see_one().await;
    fixture.orders.close();
    let wire = Wire(fixture.handle.addr);
    let (_, permissions) = closed().parts();
    for known_by in all {
        let mut walked = 0;
        for (method, path, _) in permissions.table().filter(|(_, path, _)| path.contains("{id}")) {
            if !permissions.may(Role::Supervisor, method, path) || path.starts_with("/v1/knowledge/") {
                continue;
            }
            let of = async |call: &str, is_good: bool| {
                let number = if is_good { "1" } else { "x" };
                let at = path.replace("{id}", call).replace("{prompt}", number).replace("{supervisor}", number);
                let at = if is_good { at } else { format!("{at}?limit=0&layout=x&nothing=1") };
                let (kind, body) = if is_good { asked_with(method.as_str(), path) } else { ("application/json", "x") };
                let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
                let headers = format!("{known_by}{CONSOLE}{kind}Content-Length: {}\r\n", body.len());
                wire.exchange(method.as_str(), &at, &headers, body).await
            };
            for is_good in [true, false] {
                let (others, nobodys) = (of("call-1", is_good).await, of("call-9", is_good).await);
                assert_eq!(others.status, 404, "{method} {path}: {}", others.body);
                assert_eq!(others.json_line()["detail"], "no such call", "{method} {path}");
                assert_eq!((nobodys.status, &nobodys.body), (others.status, &others.body), "{method} {path} {is_good}");
            }
            let own = of("call-2", true).await;
            assert!(!own.body.contains("no such call"), "{method} {path}: {}", own.body);
            walked += 1;
        }
        assert!(walked >= 10, "{walked}");
        let encoded = wire.ask("GET", "/v1/calls/call%2D1", &known_by).await;
        assert_eq!(encoded.status, 404, "{}", encoded.body);
    }
}

/// A call that is neither on the board nor kept may still have an alert that waits.
#[tokio::test]
async fn an_alert_of_before_a_restart_is_for_those_who_see_its_call() {
    let (fixture, all) = with_some_who_see_one().await;
    let wire = Wire(fixture.handle.addr);
    let alert = one_of_each().into_iter().find(|notice| matches!(notice.what, What::Alert { .. })).expect("one");
    let before = Bus::new();
    for (notice, call) in begun().into_iter().zip(["others-of-before", "own-of-before"]) {
        before.publish(&Notice { call: call.to_owned(), ..notice });
        fixture.escalating.hear(&Notice { call: call.to_owned(), ..alert.clone() }, &before, Moment::now());
    }
    for known_by in all {
        for (call, expected) in [("others-of-before", 404), ("own-of-before", 200)] {
            let reply = wire.ask("GET", &format!("/v1/calls/{call}/assignees"), &known_by).await;
            assert_eq!(reply.status, expected, "{call}: {}", reply.body);
        }
    }
}

/// A tenant's machine may nothing that is about all tenants: their sums, their people, the configuration, the trail.
#[tokio::test]
async fn a_machine_of_a_tenant_may_what_a_supervisor_may_and_nothing_else() {
    let (fixture, [_, _, machine]) = with_some_who_see_one().await;
    let wire = Wire(fixture.handle.addr);
    let (_, permissions) = closed().parts();
    for (method, path, _) in
        permissions.table().filter(|(method, path, _)| !permissions.may(Role::Supervisor, method, path))
    {
        let headers = format!("{machine}Content-Length: 0\r\n");
        let refused = wire.exchange(method.as_str(), &path.replace(['{', '}'], ""), &headers, "").await;
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.body);
    }
    let wrong = wire.ask("GET", "/v1/calls", "Authorization: Bearer token-of-acme-012345678\r\n").await;
    assert_eq!(wrong.status, 401, "{}", wrong.body);
}

/// However many one keeps open, others have some.
#[tokio::test]
async fn nobody_takes_every_place_of_what_goes_on_for_long() {
    let (fixture, [_, supervisor, machine]) = with_some_who_see_one().await;
    let stream = |known_by: &str| format!("{known_by}Accept: text/event-stream\r\n");
    let mut open = Vec::new();
    for _ in 0..SUBSCRIBERS_MAX / 2 {
        open.push(Stream::open_as(fixture.handle.addr, "", &stream(&machine)).await);
    }
    let refused = Wire(fixture.handle.addr).ask("GET", "/v1/events", &stream(&machine)).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    open.push(Stream::open_as(fixture.handle.addr, "", &stream(&supervisor)).await);
    open.push(Stream::open(fixture.handle.addr, "", "").await);
}

/// What goes on for long ends with a token that opens nothing any more, and goes on over another reading of it.
#[tokio::test]
async fn a_token_that_is_taken_out_opens_nothing_and_shows_nothing_any_more() {
    let (fixture, [_, _, machine]) = with_some_who_see_one().await;
    // So that the end of the stream is that of the connection.
    let headers = format!("{machine}Accept: text/event-stream\r\nConnection: close\r\n");
    let mut events = Stream::open_as(fixture.handle.addr, "?after=0", &headers).await;
    let live = options(fixture.handle.addr).live;
    let tokens = [("crm".to_owned(), token_of("acme", ACME_TOKEN))].into();
    fixture.handle.exchange(LiveOptions { tokens, ..live.clone() }).expect("random numbers");
    assert_eq!(events.next().await.data["call"], "call-2");
    fixture.handle.exchange(live).expect("random numbers");
    assert!(events.ended().await, "nothing comes behind");
    let refused = Wire(fixture.handle.addr).ask("GET", "/v1/calls", &machine).await;
    assert_eq!(refused.status, 401, "{}", refused.body);
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
    let (fixture, all) = with_some_who_see_one().await;
    let wire = Wire(fixture.handle.addr);
    for known_by in &all {
        for path in ["/v1/calls", "/v1/calls?state=active", "/v1/interactions"] {
            let list = wire.ask("GET", path, known_by).await.json_line();
            let ids: Vec<_> =
                list["calls"].as_array().expect("a list").iter().map(|call| call["id"].as_str()).collect();
            assert_eq!((ids, list["active"].as_u64()), (vec![Some("call-2")], Some(1)), "{path}");
        }
    }
    let [first, second] = begun();
    let observed = one_of_each().into_iter().find(|notice| matches!(notice.what, What::Observed { .. }));
    let observed = observed.expect("one of each");
    for call in [&first.call, &second.call] {
        fixture.bus.publish(&Notice { call: call.clone(), ..observed.clone() });
    }
    for known_by in all {
        let headers = format!("{known_by}Accept: text/event-stream\r\n");
        let mut events = Stream::open_as(fixture.handle.addr, "?after=0", &headers).await;
        let got = [events.next().await, events.next().await].map(|sent| (sent.kind, sent.data["call"].clone()));
        assert_eq!(got, ["call_started", "observed"].map(|kind| (kind.to_owned(), Value::from("call-2"))));
    }
}

#[tokio::test]
async fn walls_are_told_together_and_each_what_it_may_see() {
    let (fixture, [routes, tenant, machine]) = with_some_who_see_one().await;
    let mut walls = Vec::new();
    for known_by in [routes, tenant] {
        let own = known_by.trim_start_matches("Cookie: ").trim().to_owned();
        let headers = [("cookie", own), ("origin", origin(&fixture))];
        let opened = client::socket_at(fixture.handle.addr, "/v1/wall", &headers).await;
        walls.push(opened.expect("admitted").0);
    }
    let machine = machine.trim_start_matches("Authorization: ").trim().to_owned();
    for token in [machine, format!("Bearer {TOKEN}")] {
        let opened = client::socket_at(fixture.handle.addr, "/v1/wall", &[("authorization", token)]).await;
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
    let own = vec![Value::from("call-2")];
    assert_eq!(seen, [own.clone(), own.clone(), own, vec![Value::from("call-1"), Value::from("call-2")]]);
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
