//! Calls of another node: shown here, ordered and heard there.

use super::*;
use crate::notice::{Notice, What};

#[tokio::test]
async fn a_call_of_another_node_is_shown_and_whatever_is_to_be_done_with_it_is_asked_there() {
    let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut fixture = try_fixture_of(Bus::of_node("a"), options, None).await.expect("loopback can be bound");
    let samples = one_of_each();
    let own = Notice { call: "own".to_owned(), ..samples[0].clone() };
    fixture.bus.publish(&own);
    assert!(fixture.bus.publish_from("b", &samples[0], Moment::now()));
    assert!(fixture.bus.publish_from("b", &samples[10], Moment::now()));
    fixture.bus.set_addresses([("b".to_owned(), Some("https://b.example".to_owned()))].into());
    let wire = Wire(fixture.handle.addr);
    let list = wire.ask_with_token("GET", "/v1/calls").await.json();
    let mut nodes: Vec<_> = list["calls"].as_array().expect("a list").iter().map(|call| &call["node"]).collect();
    nodes.sort_by_key(|node| node.to_string());
    assert_eq!(nodes, ["a", "b"]);
    assert_eq!(wire.ask_with_token("GET", "/v1/calls/call-1").await.json()["node"], "b");
    let alerts = wire.ask_with_token("GET", "/v1/alerts").await.json();
    assert_eq!((&alerts["alerts"][0]["node"], &alerts["alerts"][0]["call"]), (&"b".into(), &"call-1".into()));
    for (method, path, body) in [
        ("POST", "/v1/calls/call-1/hangup", ""),
        ("POST", "/v1/calls/call-1/supervisors", r#"{"target":"floor","mode":"listen"}"#),
        ("GET", "/v1/calls/call-1/audio", ""),
        ("POST", "/v1/calls/call-1/alerts", r#"{"alert_ms":10000,"rule":"angry","deed":"acknowledge"}"#),
        ("DELETE", "/v1/calls/call-1/bypass", ""),
    ] {
        let reply = wire.send(method, path, body).await;
        let problem = reply.json();
        assert_eq!((reply.status, &problem["node"]), (421, &"b".into()), "{method} {path}: {}", reply.body);
        assert_eq!(problem["address"], "https://b.example");
    }
    assert_eq!(wire.ask_with_token("POST", "/v1/calls/own/hangup").await.status, 202);
    assert!(fixture.ordered().await.is_some(), "its own are not");
    assert_eq!(wire.ask_with_token("POST", "/v1/calls/nobodys/hangup").await.status, 404);
}

#[tokio::test]
async fn an_alert_of_a_node_that_is_gone_is_handled_where_that_is_asked() {
    let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
    let fixture = try_fixture_of(Bus::of_node("a"), options, None).await.expect("loopback can be bound");
    let samples = one_of_each();
    let alert = &samples[10];
    for notice in [&samples[0], alert, samples.last().expect("there are some")] {
        assert!(fixture.bus.publish_from("b", notice, Moment::now()));
    }
    let wire = Wire(fixture.handle.addr);
    let What::Alert { rule, .. } = &alert.what else { panic!("it is one") };
    let deed = serde_json::json!({ "alert_ms": alert.call_ms, "rule": rule, "deed": "acknowledge" }).to_string();
    let ask = async |path: &str| wire.send("POST", &format!("/v1/calls/call-1/{path}"), &deed).await.status;
    fixture.bus.set_addresses([("b".to_owned(), None)].into());
    assert_eq!(ask("alerts").await, 421, "it is there");
    fixture.bus.set_addresses(BTreeMap::new());
    assert_eq!(ask("alerts").await, 202, "nobody else hears of it");
    let handled = |board: &Board| board.call("call-1").and_then(|call| call.alerts[0].handled.clone());
    let by = fixture.bus.with_board(handled).map(|handled| (handled.deed, handled.by));
    assert_eq!(by, Some(("acknowledged".to_owned(), "api".to_owned())));
    assert_eq!(ask("hangup").await, 421, "an order is for its node alone");
}

#[tokio::test]
async fn whoever_is_sent_to_another_node_is_in_the_trail() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
    let fixture = try_fixture_of(Bus::of_node("a"), options, Some(store.clone())).await.expect("loopback can be bound");
    assert!(fixture.bus.publish_from("b", &one_of_each()[0], Moment::now()));
    let wire = Wire(fixture.handle.addr);
    assert_eq!(wire.ask_with_token("POST", "/v1/calls/call-1/hangup").await.status, 421);
    let trail = wire.ask_with_token("GET", "/v1/audit?kind=access&call=call-1").await.json();
    assert_eq!(trail["entries"][0]["what"]["status"], 421, "{trail}");
    store.stop();
}

#[tokio::test]
async fn whoever_is_erased_is_shown_no_longer_in_what_other_nodes_have_told() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
    let fixture = try_fixture_of(Bus::of_node("a"), options, Some(store.clone())).await.expect("loopback can be bound");
    let samples = one_of_each();
    let mut stranger = samples[0].clone();
    stranger.call = "call-2".to_owned();
    let What::CallStarted { from, .. } = &mut stranger.what else { panic!("it begins") };
    *from = "sip:13700137000@pbx.example".to_owned().into();
    let ended = samples.last().expect("there are some");
    let of_stranger = Notice { call: stranger.call.clone(), ..ended.clone() };
    let alert = &samples[10];
    for notice in [&samples[0], alert, ended, &stranger, &of_stranger] {
        assert!(fixture.bus.publish_from("b", notice, Moment::now()));
    }
    // One that was taken over.
    fixture.escalating.hear(alert, &fixture.bus, Moment::now());
    assert_eq!(fixture.escalating.waiting().len(), 1);
    let wire = Wire(fixture.handle.addr);
    assert_eq!(wire.ask_with_token("GET", "/v1/calls/call-1").await.status, 200);
    let person = r#"{"address":"13800138000","reason":"as asked for"}"#;
    let erased = wire.send("POST", "/v1/people/erase", person).await;
    let expected = serde_json::json!([]);
    assert_eq!((erased.status, &erased.json()["calls"]), (200, &expected), "this node keeps none: {}", erased.body);
    assert_eq!(wire.ask_with_token("GET", "/v1/calls/call-1").await.status, 404);
    let list = wire.ask_with_token("GET", "/v1/calls").await.json();
    let listed: Vec<_> = list["calls"].as_array().expect("a list").iter().map(|call| call["id"].clone()).collect();
    assert_eq!(listed, ["call-2"], "of nobody else");
    assert_eq!(fixture.escalating.waiting(), []);
    store.stop();
}
