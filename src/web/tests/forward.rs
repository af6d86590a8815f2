//! Orders about calls of another node: a real NATS server, a real PostgreSQL server, and two APIs.

use super::people::{CONSOLE, cookie, sign_in};
use super::*;
use crate::notice::Notice;
use crate::settings::{NodeSettings, UserSettings};
use crate::shell::nats::Link;
use crate::shell::nats::tests::Nats;
use crate::store::NodesOfTests;
use crate::users::{PasswordDigest, Role};

const PASSWORD: &str = "a long password";

/// A node with its API.
struct Node {
    fixture: Fixture,
    store: Store,
    link: Link,
}

impl Node {
    async fn start(name: &str, nats: &Nats, nodes: &NodesOfTests, users: &[(&str, Role)]) -> Self {
        let (store, bus) = (nodes.store(name), Arc::new(Bus::of_node(name)));
        let address = Some(format!("https://{name}.example"));
        let node = NodeSettings { name: name.to_owned(), site: Some("trial".to_owned()), address };
        let told = (Arc::clone(&bus), Metrics::new());
        let link = Link::start(&nats.settings(), &node, told, format!("run of {name}")).await.expect("it starts");
        let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
        let carried = (Some(store.clone()), Some(link.carrier()));
        let fixture = fixture_on(bus, options.clone(), carried).await.expect("loopback can be bound");
        let user = |(name, role): &(&str, Role)| ((*name).to_owned(), user(*role));
        let users = users.iter().map(user).collect();
        fixture.handle.exchange(LiveOptions { users, ..options.live }).expect("random numbers");
        Self { fixture, store, link }
    }

    fn wire(&self) -> Wire {
        Wire(self.fixture.handle.addr)
    }

    /// What is asked by somebody who is signed in.
    async fn ask(&self, cookie: &str, method: &str, path: &str, body: &str) -> Reply {
        let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        self.wire().exchange(method, path, &format!("{cookie}{CONSOLE}{kind}"), body).await
    }
}

fn user(role: Role) -> UserSettings {
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    UserSettings { role, password, serves: None, totp: None, routes: None, tenant: None }
}

/// Waits until it is so, which it becomes or the test never ends.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_about_a_call_of_another_node_is_carried_there_once_by_whoever_may_at_both() {
    let (Some(mut nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let everywhere = ("li", Role::Supervisor);
    let a =
        Node::start("a", &nats, &nodes, &[everywhere, ("wang", Role::Supervisor), ("zhao", Role::Supervisor)]).await;
    let mut b = Node::start("b", &nats, &nodes, &[everywhere, ("zhao", Role::Auditor)]).await;
    let there = Notice { call: "call-b".to_owned(), ..one_of_each().remove(0) };
    b.fixture.bus.publish(&there);
    until(|| a.fixture.bus.with_board(|board| board.is_active("call-b"))).await;
    b.fixture.bus.publish(&Notice { call: "call-b".to_owned(), ..one_of_each().remove(10) });

    let order = |path: &str| format!("/v1/calls/call-b/{path}");
    let done = a.wire().ask_with_token("POST", &order("hangup")).await;
    assert_eq!(done.status, 202, "{}", done.body);
    let is_hang_up = |order: Option<Order>| matches!(order, Some(Order::HangUp { call }) if call == "call-b");
    assert!(is_hang_up(b.fixture.ordered().await), "b is told");
    assert!(b.fixture.orders.try_recv().is_err(), "once");

    // Somebody who is known at both, somebody who is at one alone, and one whose role there may not.
    let [li, wang, zhao] = {
        let wire = a.wire();
        [
            sign_in(&wire, "li", PASSWORD).await,
            sign_in(&wire, "wang", PASSWORD).await,
            sign_in(&wire, "zhao", PASSWORD).await,
        ]
        .map(|reply| cookie(&reply))
    };
    let told = a.ask(&li, "POST", &order("hangup"), "").await;
    assert_eq!(told.status, 202, "{}", told.body);
    assert!(is_hang_up(b.fixture.ordered().await));
    for (who, why) in [(&wang, "nobody here"), (&zhao, "not as auditor")] {
        let refused = a.ask(who, "POST", &order("hangup"), "").await;
        assert!(refused.status == 403 && refused.body.contains(why), "{} {}", refused.status, refused.body);
    }
    assert!(b.fixture.orders.try_recv().is_err(), "nothing of it");

    // What b says to it comes back as b says it.
    let bad = a.wire().send("POST", &order("supervisors"), r#"{"target":"floor","mode":"shout"}"#).await;
    assert!(bad.status == 400 && bad.body.contains("shout"), "{} {}", bad.status, bad.body);
    let alert = r#"{"alert_ms":10000,"rule":"angry","deed":"acknowledge"}"#;
    let handled = a.ask(&li, "POST", &order("alerts"), alert).await;
    assert!([200, 202, 204].contains(&handled.status), "{} {}", handled.status, handled.body);
    // What is heard is heard there.
    let heard = a.wire().ask_with_token("GET", &order("audio")).await;
    assert_eq!((heard.status, &heard.json()["address"]), (421, &"https://b.example".into()));

    // Both trails say who.
    for node in [&a, &b] {
        let trail = node.wire().ask_with_token("GET", "/v1/audit?who=li&limit=100").await.body;
        assert!(trail.contains("/v1/calls/call-b/hangup"), "{trail}");
    }

    nats.cut();
    until(|| !a.link.is_up()).await;
    let cut = a.wire().ask_with_token("POST", &order("hangup")).await;
    assert!(cut.status == 503 && cut.body.contains("nothing was done"), "{} {}", cut.status, cut.body);
    [&a, &b].map(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_made_at_one_node_signs_in_at_all_and_is_out_everywhere_when_removed() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let a = Node::start("a", &nats, &nodes, &[]).await;
    let b = Node::start("b", &nats, &nodes, &[]).await;
    let made = a.wire().send("POST", "/v1/users", r#"{"name":"li","role":"supervisor"}"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let password = made.json()["secrets"]["password"].as_str().expect("it is shown once").to_owned();
    let signed_in = loop {
        let reply = sign_in(&b.wire(), "li", &password).await;
        if reply.status == 200 {
            break reply;
        }
        assert_eq!(reply.status, 401, "{}", reply.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let li = cookie(&signed_in);
    assert_eq!(b.ask(&li, "GET", "/v1/calls", "").await.status, 200);
    let gone =
        a.wire().ask("DELETE", "/v1/users/li", &format!("Authorization: Bearer {TOKEN}\r\nIf-Match: *\r\n")).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    while b.ask(&li, "GET", "/v1/calls", "").await.status != 401 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    [&a, &b].map(|node| node.store.stop());
}
