//! Several nodes of one site, where something goes amiss: one is gone, or has its turn when another one asks.

use media::LegId;

use super::forward::{Node, PASSWORD, Users, folder_of, reading_again, until, user};
use super::people::{CONSOLE, cookie, sign_in};
use super::*;
use crate::control::Done;
use crate::notice::What;
use crate::shell::nats::tests::Nats;
use crate::store::NodesOfTests;
use crate::users::Role;

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_at_once_from_a_node_that_is_gone_are_signed_in() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let li = Users::from([("li".to_owned(), user(Role::Supervisor))]);
    let (a, b) = (Node::start_for(&li, "a", &nats, &nodes).await, Node::start_for(&li, "b", &nats, &nodes).await);
    let mut cookies = Vec::new();
    for _ in 0..10 {
        let signed_in = sign_in(&a.wire(), "li", PASSWORD).await;
        assert_eq!(signed_in.status, 200, "{}", signed_in.body);
        cookies.push(cookie(&signed_in));
    }
    let asked = cookies.iter().map(|cookie| b.ask(cookie, "GET", "/v1/session", ""));
    let replies = futures::future::join_all(asked).await;
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200; 10]);
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

/// What a browser offers that only listens.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 109\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 \
    AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99\r\n\
    a=setup:actpass\r\na=rtcp-mux\r\na=recvonly\r\na=rtpmap:109 opus/48000/2\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_in_a_call_of_another_node_is_cut_off_when_its_session_ends() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let users = Users::from(["li", "wang"].map(|name| (name.to_owned(), user(Role::Supervisor))));
    let start = async |name| Node::start_for(&users, name, &nats, &nodes).await;
    let (a, mut b) = (start("a").await, start("b").await);
    b.fixture.bus.publish(&one_of_each()[0]);
    until(|| a.fixture.bus.with_board(|board| board.is_active("call-1"))).await;

    let li = sign_in(&a.wire(), "li", PASSWORD).await;
    connect(&a, &mut b, &cookie(&li), 5).await;
    assert_eq!(a.ask(&cookie(&li), "DELETE", "/v1/session", "").await.status, 204);
    assert_eq!(cut_off(&mut b).await, 5, "signed out");

    // Where b knows them no more either, what is asked in their name is refused there.
    connect(&a, &mut b, &cookie(&sign_in(&a.wire(), "wang", PASSWORD).await), 6).await;
    for node in [&b, &a] {
        node.fixture.handle.exchange(options(node.fixture.handle.addr).live).expect("random numbers");
    }
    assert_eq!(cut_off(&mut b).await, 6, "taken out of the configuration");
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

/// Connects a browser by way of one node to the call of another one, which lets it in by that number.
async fn connect(by: &Node, at: &mut Node, known_by: &str, supervisor: u32) {
    let headers = format!("{known_by}{CONSOLE}Content-Type: application/sdp\r\nContent-Length: {}\r\n", OFFER.len());
    let wire = by.wire();
    let asking = wire.exchange("POST", "/v1/calls/call-1/webrtc", &headers, OFFER);
    let admitting = async {
        let asked = asked_of_control(at).await;
        assert!(matches!(asked.order, Order::AdmitBrowser { .. }), "{:?}", asked.order);
        let receiver = SocketAddr::from(([127, 0, 0, 1], 9));
        let admitted = Done::Browser { supervisor, leg: LegId(supervisor), receiver };
        asked.answer.expect("it waits").send(Ok(admitted)).expect("it waits still");
    };
    let (reply, ()) = tokio::join!(asking, admitting);
    assert_eq!(reply.status, 201, "{}", reply.body);
}

/// The number of the browser that a node is told to cut off, which it does.
async fn cut_off(at: &mut Node) -> u32 {
    let asked = asked_of_control(at).await;
    let Order::EndSupervisor { supervisor, .. } = asked.order else { panic!("{:?}", asked.order) };
    asked.answer.expect("it waits").send(Ok(Done::Accepted)).expect("it waits still");
    supervisor
}

/// What a node's call control is asked next, but to see browsers out that never came.
async fn asked_of_control(at: &mut Node) -> Asked {
    loop {
        let asked = at.fixture.orders.recv().await.expect("an order");
        if !matches!(asked.order, Order::BrowserGone { .. }) {
            return asked;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_other_nodes_do_not_hear_of_says_so() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let root = tempfile::tempdir().expect("a folder");
    let mut a = Node::start("a", &nats, &nodes, &[]).await;
    let b = Node::start("b", &nats, &nodes, &[]).await;
    let file = folder_of(root.path(), "a").join("own.toml");
    std::fs::write(&file, library::OWN).expect("written");
    let settings = Settings::parse("[knowledge]\n", &root.path().join("a/calmline.toml")).expect("good");
    let live = LiveOptions { libraries: Libraries::of(&settings), ..options(a.fixture.handle.addr).live };
    a.fixture.handle.exchange(live).expect("random numbers");
    let reader = reading_again(&mut a, Ok(Reloaded { policies: Vec::new(), needs_restart: Vec::new() }));
    let (lease, lasts) = (|| "configuration".to_owned(), Duration::from_secs(60));
    assert_eq!(b.store.has_lease(lease(), lasts).await, Ok(true), "b has its turn");
    let alone = a.wire().ask_with_token("POST", "/v1/reload").await;
    let is_said = alone.body.contains("in force at this node alone") && alone.body.contains("changed by another node");
    assert!(alone.status == 503 && is_said, "{} {}", alone.status, alone.body);

    b.store.give_back(lease()).await.expect("it answers");
    let given = a.wire().ask_with_token("POST", "/v1/reload").await;
    assert_eq!(given.status, 200, "{}", given.body);
    // What all have already is kept from nobody.
    assert_eq!(b.store.has_lease(lease(), lasts).await, Ok(true));
    let same = a.wire().ask_with_token("POST", "/v1/reload").await;
    assert_eq!(same.status, 200, "{}", same.body);
    reader.abort();
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_is_erased_at_its_node_is_shown_no_longer_by_any() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let (a, b) = (Node::start("a", &nats, &nodes, &[]).await, Node::start("b", &nats, &nodes, &[]).await);
    until(|| !a.fixture.bus.others().is_empty() && !b.fixture.bus.others().is_empty()).await;
    let samples = one_of_each();
    let mut begun = samples[0].clone();
    let What::CallStarted { from, .. } = &mut begun.what else { panic!("it begins") };
    *from = b.store.pseudonym("13800138000").expect("a person").into();
    for notice in [&begun, samples.last().expect("there are some")] {
        b.fixture.bus.publish(notice);
        b.store.keep(notice, Moment::now());
    }
    let is_shown = || a.fixture.bus.with_board(|board| board.call("call-1").is_some_and(|call| call.ended.is_some()));
    until(is_shown).await;
    let person = r#"{"address":"13800138000","reason":"as asked for"}"#;
    let erased = a.wire().send("POST", "/v1/people/erase", person).await;
    assert_eq!(erased.json()["others"][0]["answer"]["calls"], serde_json::json!(["call-1"]), "{}", erased.body);
    until(|| !is_shown()).await;
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_a_person_at_one_node_is_taken_for_nobody_at_all_of_them() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let (a, b) = (Node::start("a", &nats, &nodes, &[]).await, Node::start("b", &nats, &nodes, &[]).await);
    while a.fixture.bus.others().is_empty() || b.fixture.bus.others().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let person = r#"{"address":"13800138000"}"#;
    let key = async |node: &Node| node.wire().send("POST", "/v1/people/key", person).await.json()["person"].clone();
    let (at_a, at_b) = (key(&a).await, key(&b).await);
    assert_ne!(at_a, at_b, "each node has its own");
    let ask = async |node: &Node, deed: &str, address: &Value| {
        let reason = if ["erase", "hold"].contains(&deed) { r#","reason":"as asked for""# } else { "" };
        let body = format!(r#"{{"address":{address}{reason}}}"#);
        node.wire().send("POST", &format!("/v1/people/{deed}"), &body).await
    };
    for deed in ["calls", "hold", "erase"] {
        let refused = ask(&a, deed, &at_a).await;
        problem(&refused, 400);
        assert!(refused.body.contains("at one node of the site"), "{}", refused.body);
        assert_eq!(ask(&a, deed, &format!("nobody-{deed}@pbx.example").into()).await.status, 200, "an address is not");
    }
    let held = ask(&a, "hold", &"13800138000".into()).await;
    assert_eq!((held.status, &held.json()["others"][0]["status"]), (200, &200.into()), "{}", held.body);
    // A list of holds has nothing else to release one by.
    let released = ask(&a, "release", &at_b).await;
    assert_eq!((released.status, &released.json()["others"][0]["status"]), (404, &200.into()), "{}", released.body);
    let released = ask(&a, "release", &at_a).await;
    assert_eq!((released.status, &released.json()["others"][0]["status"]), (200, &404.into()), "{}", released.body);
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}
