//! Nodes of one site: orders about each other's calls, users and libraries, by a real NATS server, a real PostgreSQL server, and
//! two APIs.

use media::{Codec, Command, LegId, StreamSettings};
use tokio::io::AsyncReadExt;

use super::people::{CONSOLE, cookie, sign_in};
use super::*;
use crate::control::Done;
use crate::notice::{Notice, What};
use crate::settings::{NodeSettings, UserSettings};
use crate::shell::nats::Link;
use crate::shell::nats::tests::Nats;
use crate::store::NodesOfTests;
use crate::users::{PasswordDigest, Role};

pub(super) const PASSWORD: &str = "a long password";

/// A node with its API.
pub(super) struct Node {
    pub(super) fixture: Fixture,
    pub(super) store: Store,
    link: Link,
}

impl Node {
    /// Starts one at which these people may sign in; of a site they are the same ones at all nodes, their passwords' digests too.
    pub(super) async fn start_for(users: &Users, name: &str, nats: &Nats, nodes: &NodesOfTests) -> Node {
        let node = Node::start(name, nats, nodes, &[]).await;
        let live = LiveOptions { users: users.clone(), ..options(node.fixture.handle.addr).live };
        node.fixture.handle.exchange(live).expect("random numbers");
        node
    }

    pub(super) async fn start(name: &str, nats: &Nats, nodes: &NodesOfTests, users: &[(&str, Role)]) -> Self {
        let (store, bus) = (nodes.store(name), Arc::new(Bus::of_node(name)));
        let address = Some(format!("https://{name}.example"));
        let node = NodeSettings { name: name.to_owned(), site: Some("trial".to_owned()), address };
        let escalating = Escalating::default();
        let told = (Arc::clone(&bus), escalating.clone(), Metrics::new());
        let link = Link::start(&nats.settings(), &node, told, format!("run of {name}")).await.expect("it starts");
        let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
        let carried = (Some(store.clone()), Some(link.carrier()));
        let fixture = fixture_on(bus, options.clone(), carried, escalating).await.expect("loopback can be bound");
        let user = |(name, role): &(&str, Role)| ((*name).to_owned(), user(*role));
        let users = users.iter().map(user).collect();
        fixture.handle.exchange(LiveOptions { users, ..options.live }).expect("random numbers");
        Self { fixture, store, link }
    }

    pub(super) fn wire(&self) -> Wire {
        Wire(self.fixture.handle.addr)
    }

    /// What is asked by somebody who is signed in.
    pub(super) async fn ask(&self, cookie: &str, method: &str, path: &str, body: &str) -> Reply {
        let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        self.wire().exchange(method, path, &format!("{cookie}{CONSOLE}{kind}"), body).await
    }
}

/// Who may sign in, by name.
pub(super) type Users = BTreeMap<String, UserSettings>;

pub(super) fn user(role: Role) -> UserSettings {
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    UserSettings { role, password, serves: None, totp: None, routes: None, tenant: None }
}

/// Waits until it is so, which it becomes or the test never ends.
pub(super) async fn until(is_so: impl Fn() -> bool) {
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
    let is_alert = |notice: &Notice| matches!(notice.what, What::Alert { .. });
    let raised = one_of_each().into_iter().find(is_alert).expect("there is one");
    b.fixture.bus.publish(&Notice { call: "call-b".to_owned(), ..raised.clone() });

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
    assert!(bad.status == 422 && bad.body.contains("shout"), "{} {}", bad.status, bad.body);
    let What::Alert { rule, .. } = &raised.what else { unreachable!("it is one") };
    let alert = serde_json::json!({ "alert_ms": raised.call_ms, "rule": rule, "deed": "acknowledge" }).to_string();
    let handled = a.ask(&li, "POST", &order("alerts"), &alert).await;
    assert!([200, 202, 204].contains(&handled.status), "{} {}", handled.status, handled.body);
    // What goes both ways is asked there.
    let (there, bearer) = (order("audio"), format!("Authorization: Bearer {TOKEN}\r\n"));
    let upgrade = a.wire().ask("GET", &there, &format!("{bearer}Upgrade: websocket\r\n")).await;
    assert_eq!((upgrade.status, &upgrade.json()["address"]), (421, &"https://b.example".into()));

    // Both trails say who.
    for node in [&a, &b] {
        let trail = node.wire().ask_with_token("GET", "/v1/audit?who=li&limit=100").await.body;
        assert!(trail.contains("/v1/calls/call-b/hangup"), "{trail}");
    }

    nats.cut();
    until(|| !a.link.is_up()).await;
    let cut = a.wire().ask_with_token("POST", &order("hangup")).await;
    assert!(cut.status == 503 && cut.body.contains("nothing was done"), "{} {}", cut.status, cut.body);
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_another_node_is_heard_from_here_as_long_as_somebody_listens() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let a = Node::start("a", &nats, &nodes, &[]).await;
    let mut b = Node::start("b", &nats, &nodes, &[]).await;
    let leg = LegId(7);
    let settings = StreamSettings::plain(None, Codec::Pcmu, 0);
    b.fixture.parties.observe(&Command::Configure { leg, settings });
    b.fixture.parties.observe(&Command::Copy { leg, on: true });
    b.fixture.bus.publish(&one_of_each()[0]);
    until(|| a.fixture.bus.with_board(|board| board.is_active("call-1"))).await;
    let open = async |b: &mut Node, client: u32| {
        let (addr, headers) =
            (a.fixture.handle.addr, format!("Authorization: Bearer {TOKEN}\r\nConnection: close\r\n"));
        let path = "/v1/calls/call-1/audio?layout=mixed";
        let opening = tokio::spawn(async move { client::open(addr, path, &headers).await });
        let asked = b.fixture.orders.recv().await.expect("an order");
        assert_eq!(asked.order, Order::OpenAudio { call: "call-1".to_owned(), layout: "mixed" });
        asked.answer.expect("it waits").send(Ok(Done::Audio { client, leg })).expect("it waits still");
        opening.await.expect("no panic")
    };
    let closed = |client| Some(Order::CloseAudio { call: "call-1".to_owned(), client });
    let (status, stream) = open(&mut b, 5).await;
    assert_eq!(status, 200);
    drop(stream);
    assert_eq!(b.fixture.ordered().await, closed(5), "whoever goes is seen out");

    let (_, mut stream) = open(&mut b, 6).await;
    // More than may be on its way unsaid.
    let mut bytes = vec![0; 40_000];
    stream.read_exact(&mut bytes).await.expect("audio comes");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("RIFF") && text.contains("WAVEfmt ") && text.contains("data"));
    b.fixture.parties.observe(&Command::Close { leg });
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("it ends").expect("well");
    assert!(rest.ends_with(b"0\r\n\r\n"), "a whole chunked body");
    assert_eq!(b.fixture.ordered().await, closed(6));
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_made_at_one_node_signs_in_at_all_and_is_out_everywhere_when_removed() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let a = Node::start("a", &nats, &nodes, &[]).await;
    let b = Node::start("b", &nats, &nodes, &[]).await;
    let made = a.wire().send("POST", "/v1/users", r#"{"name":"li","role":"supervisor"}"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let password = made.json()["secrets"]["password"].as_str().expect("it is shown once").to_owned();
    until(|| b.fixture.handle.accounts.live().load().users.contains_key("li")).await;
    let signed_in = sign_in(&b.wire(), "li", &password).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    let li = cookie(&signed_in);
    assert_eq!(b.ask(&li, "GET", "/v1/calls", "").await.status, 200);
    let gone =
        a.wire().ask("DELETE", "/v1/users/li", &format!("Authorization: Bearer {TOKEN}\r\nIf-Match: *\r\n")).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    while b.ask(&li, "GET", "/v1/calls", "").await.status != 401 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

/// Where a node's libraries lie.
pub(super) fn folder_of(root: &std::path::Path, name: &str) -> std::path::PathBuf {
    let folder = root.join(name).join("knowledge");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Has a node read again whatever is asked of it, or refuse that.
pub(super) fn reading_again(node: &mut Node, outcome: Result<Reloaded, Vec<Fault>>) -> tokio::task::JoinHandle<()> {
    let (_, unused) = mpsc::channel(1);
    let mut asks = std::mem::replace(&mut node.fixture.asks, unused);
    tokio::spawn(async move {
        while let Some(asked) = asks.recv().await {
            let _ = asked.waits.send(outcome.clone());
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_put_in_force_at_one_node_comes_to_all_and_one_that_cannot_take_it_says_so() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let root = tempfile::tempdir().expect("a folder");
    let mut started = Vec::new();
    for name in ["a", "b", "c"] {
        let node = Node::start(name, &nats, &nodes, &[]).await;
        folder_of(root.path(), name);
        std::fs::write(root.path().join(name).join("site.toml"), "").expect("a file");
        let own = "parts = [\"site.toml\"]\n[knowledge]\n";
        let settings = Settings::parse(own, &root.path().join(name).join("calmline.toml")).expect("good");
        let live = LiveOptions { libraries: Libraries::of(&settings), ..options(node.fixture.handle.addr).live };
        node.fixture.handle.exchange(live).expect("random numbers");
        started.push(node);
    }
    let good = Reloaded { policies: Vec::new(), needs_restart: Vec::new() };
    let fault = Fault { file: "own.toml".into(), key: "id".into(), found: "a".into(), expected: "b".into() };
    let outcomes = [Ok(good.clone()), Ok(good), Err(vec![fault])];
    let readers: Vec<_> = started.iter_mut().zip(outcomes).map(|(node, told)| reading_again(node, told)).collect();
    let put_at = async |node: &Node, path: &str, text: &str| {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nIf-Match: *\r\nContent-Length: {}\r\n", text.len());
        let new = headers.replace("If-Match", "If-None-Match");
        let reply = node.wire().exchange("PUT", path, &new, text).await;
        if reply.status == 412 { node.wire().exchange("PUT", path, &headers, text).await } else { reply }
    };
    let put = async |node: &Node, text: &str| put_at(node, "/v1/libraries/knowledge/own", text).await;
    let now = |name: &str| std::fs::read_to_string(folder_of(root.path(), name).join("own.toml")).ok();
    let [a, b, c] = &started[..] else { unreachable!("there are three") };

    let first = put(a, library::OWN).await;
    assert_eq!((first.status, first.json().get("fault")), (201, None), "{}", first.body);
    until(|| now("b").as_deref() == Some(library::OWN)).await;
    let stands = async |node: &Node| node.wire().ask_with_token("GET", "/v1/node").await.json()["libraries"].clone();
    while stands(b).await != serde_json::json!({ "number": 1, "site": 1 }) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The one that cannot keeps what it had, says why, and gives nothing to others.
    let refused = loop {
        let refused = stands(c).await;
        if refused.get("fault").is_some() {
            break refused;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&refused["number"], &refused["site"], now("c")), (&0.into(), &1.into(), None), "{refused}");
    assert!(refused["fault"].as_str().is_some_and(|fault| fault.contains("found a, expected b")), "{refused}");
    let behind = put(c, library::OWN).await;
    assert!(behind.status == 503 && behind.body.contains("change 0 of 1"), "{} {}", behind.status, behind.body);

    let longer = library::OWN.replace("five", "six");
    let second = put(b, &longer).await;
    assert_eq!(second.status, 200, "{}", second.body);
    until(|| now("a").as_deref() == Some(&*longer)).await;
    // So does a part of the configuration.
    let limits = "[limits]\ncalls = 7\n";
    let third = put_at(a, "/v1/libraries/parts/site", limits).await;
    assert_eq!((third.status, third.json().get("fault")), (200, None), "{}", third.body);
    until(|| std::fs::read_to_string(root.path().join("b/site.toml")).is_ok_and(|text| text == limits)).await;
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    started.iter().for_each(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_signed_in_at_one_node_is_at_all_until_they_sign_out_at_any() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let li = Users::from([("li".to_owned(), user(Role::Supervisor))]);
    let start = async |name| Node::start_for(&li, name, &nats, &nodes).await;
    let (a, b) = (&start("a").await, &start("b").await);
    let is_in = async |node: &Node, cookie: &str| node.ask(cookie, "GET", "/v1/session", "").await.status == 200;
    let signed_in = cookie(&sign_in(&a.wire(), "li", PASSWORD).await);
    assert!(is_in(b, &signed_in).await, "at once");
    assert_eq!(b.ask(&signed_in, "GET", "/v1/calls", "").await.status, 200);
    let made_up = signed_in.replace("calmline_session=", "calmline_session=A");
    assert!(!is_in(b, &made_up).await && !is_in(b, &made_up.replace("=A", "=AB")).await);

    assert_eq!(b.ask(&signed_in, "DELETE", "/v1/session", "").await.status, 204);
    while is_in(a, &signed_in).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!is_in(b, &signed_in).await, "it does not come back");
    // A node that is started anew knows who was signed in before.
    let again = cookie(&sign_in(&b.wire(), "li", PASSWORD).await);
    let c = start("c").await;
    assert!(is_in(&c, &again).await);
    [a, b, &c].into_iter().for_each(|node| node.store.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_lists_and_shows_the_ended_calls_of_all() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let li = [("li", Role::Supervisor)];
    let (a, b) = (Node::start("a", &nats, &nodes, &li).await, Node::start("b", &nats, &nodes, &li).await);
    let samples = one_of_each();
    let (begin, end) = (&samples[0], samples.last().expect("there are some"));
    let mut all = Vec::new();
    for minute in 0..7_u64 {
        let (node, name) = if minute % 2 == 0 { (&a, "a") } else { (&b, "b") };
        let call = format!("call-{name}-{minute}");
        for (notice, after) in [(begin, 0), (end, 30_000)] {
            node.store.keep(&Notice { call: call.clone(), ..notice.clone() }, Moment(BEGAN + minute * 60_000 + after));
        }
        all.insert(0, call);
    }
    for node in [&a, &b] {
        // Once it has done what it was told before.
        node.store.erase("13900000000".to_owned()).await.expect("written").expect("nobody is held");
        while node.fixture.bus.others().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for (node, limit) in [(&a, 1), (&a, 3), (&b, 2), (&b, 100)] {
        let (mut listed, mut before) = (Vec::new(), String::new());
        loop {
            let page = node.wire().ask_with_token("GET", &format!("/v1/calls?limit={limit}{before}")).await.json();
            assert_eq!(page.get("missing"), None, "{page}");
            let calls = page["calls"].as_array().expect("a list");
            listed.extend(calls.iter().map(|call| call["id"].as_str().expect("a name").to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            before = format!("&before={next}");
        }
        assert_eq!(listed, all, "{limit} at a time");
    }

    let shown = a.wire().ask_with_token("GET", "/v1/calls/call-b-3").await;
    assert_eq!((shown.status, &shown.json()["node"]), (200, &"b".into()), "{}", shown.body);
    assert_eq!(a.wire().ask_with_token("GET", "/v1/calls/call-c-3").await.status, 404, "nobody keeps it");
    let cookie = cookie(&sign_in(&b.wire(), "li", PASSWORD).await);
    assert_eq!(b.ask(&cookie, "GET", "/v1/calls/call-a-2", "").await.status, 200);
    let trail = a.wire().ask_with_token("GET", "/v1/audit?who=li&limit=100").await.body;
    assert!(trail.contains("/v1/calls/call-a-2"), "its node has on record who looked: {trail}");
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}

/// When the calls of lists began, milliseconds since 1970.
const BEGAN: u64 = 1_700_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_shown_held_and_erased_at_all_nodes_by_asking_one() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let (a, b) = (Node::start("a", &nats, &nodes, &[]).await, Node::start("b", &nats, &nodes, &[]).await);
    let samples = one_of_each();
    let (begin, end) = (&samples[0], samples.last().expect("there are some"));
    for (node, call) in [(&a, "call-a"), (&b, "call-b")] {
        for (notice, after) in [(begin, 0), (end, 30_000)] {
            node.store.keep(&Notice { call: call.to_owned(), ..notice.clone() }, Moment(BEGAN + after));
        }
        node.store.erase("13900000000".to_owned()).await.expect("written").expect("nobody is held");
        while node.fixture.bus.others().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let person = r#""address":"13800138000""#;
    let ask = async |deed: &str, more: &str| {
        let reply = a.wire().send("POST", &format!("/v1/people/{deed}"), &format!("{{{person}{more}}}")).await;
        let other = reply.json()["others"][0].clone();
        (reply.status, reply.json(), other["status"].clone(), other)
    };
    let (status, own, there, other) = ask("calls", "").await;
    assert_eq!((status, there, &other["node"]), (200, 200.into(), &"b".into()), "{own}");
    assert_eq!((&own["calls"][0]["id"], &other["answer"]["calls"][0]["id"]), (&"call-a".into(), &"call-b".into()));
    let reason = r#","reason":"as asked for""#;
    let (status, own, there, _) = ask("hold", reason).await;
    assert_eq!((status, there), (200, 200.into()), "{own}");
    let (status, own, there, _) = ask("erase", reason).await;
    assert_eq!((status, there), (409, serde_json::Value::Null), "nothing is erased anywhere: {own}");
    let (status, own, there, _) = ask("release", "").await;
    assert_eq!((status, there), (200, 200.into()), "{own}");
    let (status, own, there, other) = ask("erase", reason).await;
    assert_eq!((status, there), (200, 200.into()), "{own}");
    assert_eq!((&own["calls"], &other["answer"]["calls"]), (&["call-a"].into(), &["call-b"].into()), "{other}");
    assert!(other["answer"]["receipt"].is_object(), "{other}");
    let (_, own, _, other) = ask("calls", "").await;
    assert_eq!(
        (own["calls"].as_array().map(Vec::len), other["answer"]["calls"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    [&a, &b].into_iter().for_each(|node| node.store.stop());
}
