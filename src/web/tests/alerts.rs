//! What people do about alerts, told to everybody who watches, also when the call is over.

use super::people::{CONSOLE, cookie, sign_in, with_users};
use super::*;
use crate::notice::What;

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
