//! Reloads over the wire: what is said of good and of broken configurations, and what a new token opens.

use super::*;

#[tokio::test]
async fn what_was_taken_is_told() {
    let mut fixture = fixture().await;
    let reloaded = Reloaded { policies: vec!["after-sales@4".into()], needs_restart: vec!["sip.listen".into()] };
    let reply = asked(&mut fixture, Ok(reloaded)).await;
    let expected = serde_json::json!({ "policies": ["after-sales@4"], "needs_restart": ["sip.listen"] });
    assert_eq!((reply.status, reply.json()), (200, expected));
}

#[tokio::test]
async fn every_fault_is_told() {
    let mut fixture = fixture().await;
    let [file, key] = ["calmline.toml", "media.ports"];
    let (found, expected) = ("\"1-2\"".to_owned(), "two even ports".to_owned());
    let fault = Fault { file: file.into(), key: key.into(), found, expected };
    let reply = asked(&mut fixture, Err(vec![fault])).await;
    problem(&reply, 422);
    let told = serde_json::json!([{ "file": file, "key": key, "found": "\"1-2\"", "expected": "two even ports" }]);
    assert_eq!(reply.json()["faults"], told);
}

#[tokio::test]
async fn one_reload_at_a_time() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let second = async {
        // The first one waits in the only place.
        while fixture.asks.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        wire.ask_with_token("POST", "/v1/reload").await
    };
    tokio::select! {
        first = wire.ask_with_token("POST", "/v1/reload") => panic!("nobody answers: {}", first.body),
        refused = second => problem(&refused, 503),
    }
}

#[tokio::test]
async fn a_new_token_takes_the_place_of_the_old_one() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let other = "fedcba9876543210fedcba";
    let live = options(fixture.handle.addr).live;
    let token = Token::new(other).expect("a good token");
    fixture.handle.exchange(LiveOptions { token, ..live }).expect("random numbers");
    problem(&wire.ask_with_token("GET", "/v1/calls").await, 401);
    let reply = wire.ask("GET", "/v1/calls", &format!("Authorization: Bearer {other}\r\n")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// Asks for a reload of which this is what comes.
async fn asked(fixture: &mut Fixture, outcome: Result<Reloaded, Vec<Fault>>) -> Reply {
    let wire = Wire(fixture.handle.addr);
    let answer = async {
        let asked = fixture.asks.recv().await.expect("somebody asks");
        assert!(asked.policies.is_none(), "all of them are read");
        asked.waits.send(outcome).expect("somebody waits");
    };
    tokio::join!(wire.ask_with_token("POST", "/v1/reload"), answer).0
}
