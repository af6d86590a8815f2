//! What people do about alerts, told to everybody who watches, also when the call is over.

use super::people::{CONSOLE, cookie, sign_in, with_users};
use super::*;
use crate::notice::{AlertDeed, Notice, What};

#[tokio::test]
async fn what_is_done_about_an_alert_is_told_to_everybody_and_shown_with_it() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let mut alert = Value::Null;
    for notice in one_of_each() {
        if let What::Alert { rule, .. } = &notice.what {
            alert = serde_json::json!({ "alert_ms": notice.call_ms, "rule": rule });
        }
        if !matches!(notice.what, What::AlertHandled(_) | What::CallEnded { .. }) {
            fixture.bus.publish(&notice);
        }
    }
    let cookie = cookie(&sign_in(&wire, "supervisor", super::people::PASSWORD).await);
    let mut events = Stream::open(fixture.handle.addr, "?type=alert_handled", "").await;
    let order = async |more: &Value| {
        let mut body = alert.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let (body, kind) = (body.to_string(), "Content-Type: application/json");
        let headers = format!("{cookie}{CONSOLE}{kind}\r\nContent-Length: {}\r\n", body.len());
        wire.exchange("POST", "/v1/calls/call-1/alerts", &headers, &body).await.status
    };
    let shown = async || wire.ask_with_token("GET", "/v1/calls/call-1").await.json()["alerts"][0]["handled"].clone();

    assert_eq!(shown().await, Value::Null);
    for (asked, deed, field, said) in [
        (serde_json::json!({ "deed": "acknowledge" }), "acknowledged", "by", Value::from("supervisor")),
        (serde_json::json!({ "deed": "assign" }), "assigned", "to", Value::from("supervisor")),
        (serde_json::json!({ "deed": "assign", "to": "administrator" }), "assigned", "to", "administrator".into()),
        (serde_json::json!({ "deed": "snooze" }), "snoozed", "snooze_s", 300.into()),
        (serde_json::json!({ "deed": "snooze", "snooze_s": 60 }), "snoozed", "snooze_s", 60.into()),
    ] {
        assert_eq!(order(&asked).await, 202, "{asked}");
        let told = events.next().await.data;
        let handled = shown().await;
        for found in [&told, &handled] {
            assert_eq!((&found["deed"], &found[field]), (&Value::from(deed), &said), "{found}");
        }
    }
    let assignees = wire.ask_with_token("GET", "/v1/calls/call-1/assignees").await.json();
    assert_eq!(assignees, serde_json::json!({ "users": ["administrator", "supervisor"] }));
    problem(&wire.ask_with_token("GET", "/v1/calls/call-2/assignees").await, 404);
    for (asked, expected) in [
        (serde_json::json!({ "deed": "forgive" }), 422),
        (serde_json::json!({ "deed": "assign", "to": "agent" }), 400),
        (serde_json::json!({ "deed": "end", "to": "supervisor" }), 400),
        (serde_json::json!({ "deed": "snooze", "snooze_s": 0 }), 400),
        (serde_json::json!({ "deed": "end", "rule": "another" }), 404),
    ] {
        assert_eq!(order(&asked).await, expected, "{asked}");
    }
    let ended = one_of_each().into_iter().find(|notice| matches!(notice.what, What::CallEnded { .. }));
    fixture.bus.publish(&ended.expect("one of each"));
    assert_eq!(order(&serde_json::json!({ "deed": "end" })).await, 202, "the call is over, the alert was not");
    assert_eq!(shown().await["deed"], "ended");
}

#[tokio::test]
async fn alerts_are_listed_and_one_from_before_a_restart_can_be_handled() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let list = async |query: &str| wire.ask_with_token("GET", &format!("/v1/alerts{query}")).await;
    assert_eq!(list("").await.json(), serde_json::json!({ "alerts": [] }));

    // Nobody has told the board of its call.
    let notices = one_of_each();
    let alert = notices.iter().find(|notice| matches!(notice.what, What::Alert { .. })).expect("one of each");
    fixture.escalating.hear(alert, &fixture.bus, Moment(1_700_000_000_000));
    let before = list("").await.json()["alerts"][0].clone();
    assert_eq!((&before["call"], &before["from"]), (&Value::from("call-1"), &Value::Null), "{before}");

    fixture.bus.publish(&notices[0]);
    fixture.bus.publish(alert);
    let listed = list("?state=open&limit=1").await.json();
    assert_eq!(listed["alerts"].as_array().map(Vec::len), Some(1), "each once: {listed}");
    assert_eq!(listed["alerts"][0]["route"], "after-sales");
    assert_eq!(list("?before=2020-01-01T00:00:00Z").await.json()["alerts"], serde_json::json!([]));
    problem(&list("?limit=0").await, 400);
    problem(&list("?state=loud").await, 400);

    problem(&wire.ask_with_token("GET", "/v1/calls/call-of-before/assignees").await, 404);
    let other = Notice { call: "call-of-before".to_owned(), ..alert.clone() };
    let before = Bus::new();
    before.publish(&Notice { call: "call-of-before".to_owned(), ..notices[0].clone() });
    fixture.escalating.hear(&other, &before, Moment(1_700_000_000_000));
    let What::Alert { rule, .. } = &alert.what else { unreachable!("just found") };
    let (deed, by) = ("snoozed".to_owned(), "li".to_owned());
    assert_eq!(wire.ask_with_token("GET", "/v1/calls/call-of-before/assignees").await.status, 200);
    let put_off = AlertDeed { alert_ms: alert.call_ms, rule: rule.clone(), deed, by, to: None, snooze_s: Some(60) };
    let put_off = Notice { what: What::AlertHandled(put_off), ..other.clone() };
    fixture.escalating.hear(&put_off, &before, Moment(1_700_000_000_000));
    let shown = list("").await.json()["alerts"][1].clone();
    let handled = (&shown["call"], &shown["handled"]["deed"], &shown["handled"]["by"]);
    assert_eq!(handled, (&"call-of-before".into(), &"snoozed".into(), &"li".into()), "{shown}");
    let body = serde_json::json!({ "alert_ms": alert.call_ms, "rule": rule, "deed": "acknowledge" }).to_string();
    let cookie = cookie(&sign_in(&wire, "supervisor", super::people::PASSWORD).await);
    let headers = format!("{cookie}{CONSOLE}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let mut events = Stream::open(fixture.handle.addr, "?type=alert_handled", "").await;
    let post = async || wire.exchange("POST", "/v1/calls/call-of-before/alerts", &headers, &body).await.status;
    let mut watch = fixture.bus.subscribe(None);
    assert_eq!(post().await, 202);
    let Some(Delivery::Event(event)) = watch.next().await else { panic!("it goes on") };
    let place = (event.route.as_deref(), event.tenant.as_deref());
    assert_eq!(place, (Some("after-sales"), Some("shop")), "whoever sees the call is told");
    assert_eq!(events.next().await.data["call"], "call-of-before");
    assert_eq!(post().await, 404, "it waits no longer");
}
