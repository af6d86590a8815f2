//! The library of answers over the wire: searched, listed, read, what is asked wrongly; and files that are replaced while the
//! disk fails.

use super::people::{CONSOLE, PASSWORD, cookie, one_of_each_role, sign_in};
use super::*;
use crate::users::Role;

#[tokio::test]
async fn the_library_answers_in_the_language_of_the_question() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    for (query, entry, language) in [
        (
            "q=%E9%80%80%E6%AC%BE%E4%BB%80%E4%B9%88%E6%97%B6%E5%80%99%E5%88%B0%E8%B4%A6&scenario=ecommerce-returns",
            "refund-when",
            "zh",
        ),
        ("q=when+do+I+get+my+refund&scenario=ecommerce-returns", "refund-when", "en"),
        ("q=I+missed+my+connecting+flight", "missed-connection", "en"),
    ] {
        let found = wire.ask_with_token("GET", &format!("/v1/knowledge?{query}")).await.json();
        let best = &found["found"][0];
        assert_eq!((&best["entry"], &best["language"]), (&entry.into(), &language.into()), "{found}");
        assert_eq!(best["suggested"], true, "{found}");
        assert!(found["found"].as_array().is_some_and(|found| found.len() <= 3), "{found}");
    }
    let listed = wire.ask_with_token("GET", "/v1/knowledge?scenario=itinerary&limit=4").await.json();
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(4), "{listed}");
    let one = wire.ask_with_token("GET", "/v1/knowledge/refund-when").await.json();
    assert_eq!((&one["file"], &one["expired"]), (&"ecommerce".into(), &false.into()), "{one}");
    assert_eq!(one["languages"]["zh"]["questions"][0], "退款什么时候到账", "{one}");
    problem(&wire.ask_with_token("GET", "/v1/knowledge/nothing").await, 404);
    for wrong in ["q=", "q=a&lang=fr", "q=a&limit=0", "q=a&limit=21", "query=a", &format!("q={}", "a".repeat(501))] {
        problem(&wire.ask_with_token("GET", &format!("/v1/knowledge?{wrong}")).await, 400);
    }
}

pub(super) const OWN: &str = "name = \"own\"\nscenarios = [\"any\"]\n[[entry]]\nid = \"hours\"\nen.questions = [\"When?\"]\n\
                   en.answer = \"Nine to five\"\n";

#[tokio::test]
async fn a_disk_that_fails_in_the_midst_is_told_with_what_is_in_force() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let mut fixture = fixture_with(Some(store.clone())).await;
    let folder = root.path().join("knowledge");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("own.toml"), OWN).expect("a file");
    let settings = Settings::parse("[knowledge]\n", &root.path().join("calmline.toml")).expect("a configuration");
    let live = LiveOptions { libraries: Libraries::of(&settings), ..options(fixture.handle.addr).live };
    fixture.handle.exchange(live).expect("random numbers");
    let now = || std::fs::read_to_string(folder.join("own.toml")).expect("a file");

    // What stands where the version before is to be kept gives way to no file.
    std::fs::create_dir_all(folder.join(".own.toml.previous/full")).expect("a folder");
    let longer = OWN.replace("five", "six");
    let good = Reloaded { policies: Vec::new(), needs_restart: Vec::new() };
    let reply = replaced(&mut fixture, &longer, Ok(good), || ()).await;
    assert_eq!((reply.status, now()), (200, longer.clone()), "{}", reply.body);
    assert!(reply.json()["fault"].as_str().is_some_and(|fault| fault.contains("cannot be kept")), "{}", reply.body);

    let fault = Fault { file: "own.toml".into(), key: "id".into(), found: "a".into(), expected: "b".into() };
    let lose = || std::fs::remove_file(folder.join(".own.toml.aside")).expect("it waits there");
    let reply = replaced(&mut fixture, OWN, Err(vec![fault]), lose).await;
    problem(&reply, 500);
    let told = reply.json();
    let detail = told["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("is broken") && detail.contains("cannot be taken back"), "{told}");
    assert_eq!((&told["faults"][0]["key"], now().as_str()), (&"id".into(), OWN), "{told}");

    for kind in ["library_replaced", "library_stuck"] {
        let trail = Wire(fixture.handle.addr).ask_with_token("GET", &format!("/v1/audit?kind={kind}")).await.json();
        assert_eq!(trail["entries"].as_array().map(Vec::len), Some(1), "{kind}: {trail}");
        assert_eq!(trail["entries"][0]["what"]["name"], "own", "{trail}");
    }
    store.stop();
}

/// Replaces a file, where this comes of the reload, and something else happens before it.
async fn replaced(
    fixture: &mut Fixture,
    text: &str,
    outcome: Result<Reloaded, Vec<Fault>>,
    before: impl FnOnce(),
) -> Reply {
    let wire = Wire(fixture.handle.addr);
    let headers = format!("Authorization: Bearer {TOKEN}\r\nIf-Match: *\r\nContent-Length: {}\r\n", text.len());
    let answer = async {
        let asked = fixture.asks.recv().await.expect("somebody asks");
        before();
        asked.waits.send(outcome).expect("it is waited for");
    };
    let (reply, ()) = tokio::join!(wire.exchange("PUT", "/v1/libraries/knowledge/own", &headers, text), answer);
    reply
}

#[tokio::test]
async fn parts_of_the_configuration_are_for_administrators() {
    let root = tempfile::tempdir().expect("a folder");
    let mut fixture = fixture().await;
    std::fs::create_dir(root.path().join("policies")).expect("a folder");
    std::fs::write(root.path().join("site.toml"), "[limits]\ncalls = 7\n").expect("a file");
    let settings = Settings::parse("parts = [\"site.toml\"]\n", &root.path().join("calmline.toml")).expect("good");
    let live = LiveOptions {
        users: one_of_each_role(),
        libraries: Libraries::of(&settings),
        ..options(fixture.handle.addr).live
    };
    fixture.handle.exchange(live).expect("random numbers");
    let wire = Wire(fixture.handle.addr);
    let ask = async |cookie: &str, method: &str, path: &str, body: &str| {
        let length = body.len();
        let headers = format!("{cookie}{CONSOLE}If-Match: *\r\nContent-Length: {length}\r\n");
        wire.exchange(method, path, &headers, body).await
    };
    for (role, sees) in [(Role::Administrator, true), (Role::Operator, false)] {
        let cookie = cookie(&sign_in(&wire, role.name(), PASSWORD).await);
        let listed = ask(&cookie, "GET", "/v1/libraries", "").await;
        assert_eq!((listed.status, listed.body.contains("\"site\"")), (200, sees), "{}", listed.body);
        for (method, path, body) in [
            ("GET", "/v1/libraries/parts/site", ""),
            ("PUT", "/v1/libraries/parts/site?check=true", "[limits]\ncalls = 8\n"),
        ] {
            let reply = ask(&cookie, method, path, body).await;
            assert_eq!(reply.status, if sees { 200 } else { 403 }, "{method} as {}: {}", role.name(), reply.body);
        }
        for (method, path) in [("PUT", "/v1/libraries/parts/site"), ("POST", "/v1/libraries/parts/site/back")] {
            if !sees {
                assert_eq!(ask(&cookie, method, path, "[limits]\n").await.status, 403, "{method} {path}");
            }
        }
    }
    fixture.asks.close();
}
