//! Several nodes of one site, where something goes amiss: one is gone, or has its turn when another one asks.

use super::forward::{Node, PASSWORD, folder_of, reading_again, user};
use super::people::{cookie, sign_in};
use super::*;
use crate::settings::UserSettings;
use crate::shell::nats::tests::Nats;
use crate::store::NodesOfTests;
use crate::users::Role;

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_at_once_from_a_node_that_is_gone_are_signed_in() {
    let (Some(nats), Some(nodes)) = (Nats::start(""), NodesOfTests::new()) else { return };
    let li: BTreeMap<String, UserSettings> = [("li".to_owned(), user(Role::Supervisor))].into();
    let mut started = Vec::new();
    for name in ["a", "b"] {
        let node = Node::start(name, &nats, &nodes, &[]).await;
        let live = LiveOptions { users: li.clone(), ..options(node.fixture.handle.addr).live };
        node.fixture.handle.exchange(live).expect("random numbers");
        started.push(node);
    }
    let [a, b] = &started[..] else { unreachable!("there are two") };
    let mut cookies = Vec::new();
    for _ in 0..10 {
        let signed_in = sign_in(&a.wire(), "li", PASSWORD).await;
        assert_eq!(signed_in.status, 200, "{}", signed_in.body);
        cookies.push(cookie(&signed_in));
    }
    let asked = cookies.iter().map(|cookie| b.ask(cookie, "GET", "/v1/session", ""));
    let replies = futures::future::join_all(asked).await;
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200; 10]);
    started.iter().for_each(|node| node.store.stop());
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
