//! People at the API: who signs in, what each role may, and what other sites cannot make their browsers do.

use tokio::io::AsyncReadExt;

use super::*;
use crate::notice::What;
use crate::settings::UserSettings;
use crate::store::Store;
use crate::totp::TotpSecret;
use crate::users::{PasswordDigest, Role};
use crate::web::addresses::closed;

pub(super) const PASSWORD: &str = "a long password";
pub(super) const CONSOLE: &str = "X-Calmline-Console: 1\r\n";

/// The API with one user of each role, who has the role's name.
pub(super) async fn with_users() -> Fixture {
    with_users_and(None).await
}

pub(super) async fn with_users_and(store: Option<Store>) -> Fixture {
    let fixture = fixture_with(store).await;
    let options = options(fixture.handle.addr).live;
    fixture.handle.exchange(LiveOptions { users: one_of_each_role(), ..options }).expect("random numbers");
    fixture
}

/// Users who have their role's name.
pub(super) fn one_of_each_role() -> BTreeMap<String, UserSettings> {
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    let user = |role: Role| {
        let serves = (role == Role::Agent).then(|| "1001".to_owned());
        (
            role.name().to_owned(),
            UserSettings { role, password: password.clone(), serves, totp: None, routes: None, tenant: None },
        )
    };
    Role::ALL.into_iter().map(user).collect()
}

pub(super) async fn sign_in(wire: &Wire, user: &str, password: &str) -> Reply {
    sign_in_by(wire, &serde_json::json!({ "user": user, "password": password })).await
}

async fn sign_in_by(wire: &Wire, given: &Value) -> Reply {
    let body = given.to_string();
    let headers = format!("{CONSOLE}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    wire.exchange("POST", "/v1/session", &headers, &body).await
}

/// The header by which a browser is known that was let in.
pub(super) fn cookie(reply: &Reply) -> String {
    let line = reply.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    for wanted in ["HttpOnly", "SameSite=Strict", "Path=/", "Secure"] {
        assert!(line.contains(wanted), "{line}");
    }
    format!("Cookie: other=1; {}\r\n", line.split(';').next().expect("a pair"))
}

#[tokio::test]
async fn people_sign_in_and_out() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    for (user, password) in [("supervisor", "a wrong password"), ("nobody", PASSWORD), ("", "")] {
        assert_eq!(sign_in(&wire, user, password).await.status, 401, "{user}");
    }
    let reply = sign_in(&wire, "supervisor", PASSWORD).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let may = ["calls", "orders", "audio", "playback", "knowledge"];
    let expected = serde_json::json!({ "user": "supervisor", "role": "supervisor", "may": may, "idle_s": 1_800 });
    assert_eq!(reply.json(), expected);
    let cookie = cookie(&reply);
    assert_eq!(wire.ask("GET", "/v1/session", &cookie).await.json(), expected);
    assert_eq!(wire.ask("GET", "/v1/calls", &cookie).await.status, 200);
    assert_eq!(wire.ask("DELETE", "/v1/session", &format!("{cookie}{CONSOLE}")).await.status, 204);
    for path in ["/v1/session", "/v1/calls"] {
        assert_eq!(wire.ask("GET", path, &cookie).await.status, 401, "{path}");
    }
    assert_eq!(wire.ask("GET", "/v1/session", "Cookie: calmline_session=x\r\n").await.status, 401);
}

#[tokio::test]
async fn whoever_has_an_authenticator_app_signs_in_with_a_code_which_counts_once() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    // "12345678901234567890", as in RFC 6238.
    let letters = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let secret = TotpSecret::parse(letters).expect("a secret");
    let live = options(fixture.handle.addr).live;
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    let user =
        UserSettings { role: Role::Operator, password, serves: None, totp: Some(secret), routes: None, tenant: None };
    let users = [("li".to_owned(), user)].into();
    fixture.handle.exchange(LiveOptions { users, ..live }).expect("random numbers");
    let given = |code: Option<&str>| serde_json::json!({ "user": "li", "password": PASSWORD, "code": code });

    let asked = sign_in_by(&wire, &given(None)).await;
    problem(&asked, 401);
    assert_eq!(asked.json()["needs"], "code");
    let wrong = sign_in_by(&wire, &serde_json::json!({ "user": "li", "password": "a wrong password" })).await;
    assert_eq!((wrong.status, wrong.json().get("needs").is_some()), (401, false), "not before the password is right");
    let app = totp_rs::Builder::new().with_secret(totp_rs::Secret::try_from_base32(letters).expect("a secret"));
    let code = app.build_noncompliant().generate_current().to_string();
    assert_eq!(sign_in_by(&wire, &given(Some(&code))).await.status, 200);
    let again = sign_in_by(&wire, &given(Some(&code))).await;
    assert_eq!((again.status, again.json().get("needs").is_some()), (401, false), "seen by somebody else");
    for _ in 0..4 {
        assert_eq!(sign_in_by(&wire, &given(Some("000000"))).await.status, 401);
    }
    assert_eq!(sign_in_by(&wire, &given(Some("000000"))).await.status, 429, "guesses of codes lock out, too");
}

#[tokio::test]
async fn each_role_may_what_the_table_says_and_nothing_else() {
    let mut fixture = with_users().await;
    // Nobody carries out what is asked for, and that is known at once.
    fixture.orders.close();
    fixture.asks.close();
    let wire = Wire(fixture.handle.addr);
    let (_, permissions) = closed().parts();
    for role in Role::ALL {
        let cookie = cookie(&sign_in(&wire, role.name(), PASSWORD).await);
        for (method, path, _) in permissions.table() {
            let at = ["{kind}", "{name}", "{id}", "{prompt}", "{supervisor}", "{date}"]
                .iter()
                .fold(path.to_owned(), |path, name| path.replace(name, "1"));
            let reply = wire.ask(method.as_str(), &at, &format!("{cookie}{CONSOLE}")).await;
            let may = permissions.may(role, method, path);
            assert_eq!(reply.status != 403, may, "{method} {path} as {}: {} {}", role.name(), reply.status, reply.body);
            assert_ne!(reply.status, 401, "{method} {path}");
        }
        assert_eq!(wire.ask("GET", "/no/such/address", &cookie).await.status, 403);
    }
}

#[tokio::test]
async fn an_agent_sees_own_calls_and_nothing_of_others() {
    let fixture = with_users().await;
    let options = options(fixture.handle.addr).live;
    let user = |serves: Option<&str>, role| {
        let password = PasswordDigest::of(PASSWORD).expect("random numbers");
        UserSettings { role, password, serves: serves.map(str::to_owned), totp: None, routes: None, tenant: None }
    };
    let users = [
        ("li".to_owned(), user(Some("1001"), Role::Agent)),
        ("wang".to_owned(), user(Some("1002"), Role::Agent)),
        ("zhao".to_owned(), user(Some("bot"), Role::Agent)),
    ];
    let agents = [("bot".to_owned(), "sip:1001@pbx.example".to_owned())].into();
    fixture.handle.exchange(LiveOptions { users: users.into(), agents, ..options }).expect("random numbers");
    let wire = Wire(fixture.handle.addr);
    let notices = one_of_each();
    fixture.bus.publish(&notices[0]);
    let own = async |name: &str| {
        let cookie = cookie(&sign_in(&wire, name, PASSWORD).await);
        let reply = wire.ask("GET", "/v1/own/calls", &cookie).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(!reply.body.contains("13800138000") && !reply.body.contains("sip:"), "{}", reply.body);
        reply.json_line()["calls"].clone()
    };
    assert_eq!(own("li").await, serde_json::json!([]), "nobody has answered");
    let answered = notices.iter().find(|notice| matches!(notice.what, What::CallAnswered { .. })).expect("one of each");
    fixture.bus.publish(answered);
    for (name, calls) in [("li", 1), ("wang", 0), ("zhao", 1)] {
        assert_eq!(own(name).await.as_array().map(Vec::len), Some(calls), "{name}");
    }
    let observed = notices.iter().find(|notice| matches!(notice.what, What::Observed { words: Some(_), .. }));
    fixture.bus.publish(observed.expect("one of each"));
    let expected = serde_json::json!({ "emotion": "anger", "level": "high", "anger": 0.875, "trend_per_s": 0.25 });
    assert_eq!(own("li").await[0]["emotion"], expected, "a mood without words");
    let reply = wire.ask_with_token("GET", "/v1/own/calls").await;
    assert_eq!(reply.status, 403, "a machine serves nobody: {}", reply.body);
}

/// An API with a store, and li, an agent who serves as `bot` and is signed in by the cookie.
async fn with_an_agent(store: &Store) -> (Fixture, Wire, String) {
    let fixture = with_users_and(Some(store.clone())).await;
    let live = options(fixture.handle.addr).live;
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    let li = UserSettings {
        role: Role::Agent,
        password,
        serves: Some("bot".to_owned()),
        totp: None,
        routes: None,
        tenant: None,
    };
    let agents = [("bot".to_owned(), "sip:1001@pbx.example".to_owned())].into();
    let users = [("li".to_owned(), li)].into();
    fixture.handle.exchange(LiveOptions { users, agents, ..live }).expect("random numbers");
    let wire = Wire(fixture.handle.addr);
    let cookie = cookie(&sign_in(&wire, "li", PASSWORD).await);
    (fixture, wire, cookie)
}

#[tokio::test]
async fn an_agent_is_told_of_own_calls_as_they_change_and_of_no_others() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let (fixture, wire, cookie) = with_an_agent(&store).await;
    assert_eq!(wire.ask("GET", "/v1/own/events", &cookie).await.status, 406, "it is a stream");
    let accepted = format!("{cookie}Accept: text/event-stream\r\n");
    let (status, reader) = client::open(fixture.handle.addr, "/v1/own/events", &accepted).await;
    assert_eq!(status, 200);
    let mut told = Stream::of(reader);
    assert_eq!(told.next().await.data, serde_json::json!({ "calls": [] }));
    let notices = one_of_each();
    let first =
        |fits: fn(&What) -> bool| notices.iter().find(|notice| fits(&notice.what)).expect("one of each").clone();
    fixture.bus.publish(&first(|what| matches!(what, What::CallStarted { .. })));
    fixture.bus.publish(&first(|what| matches!(what, What::CallAnswered { .. })));
    let sent = told.next().await;
    assert_eq!((sent.kind.as_str(), &sent.data["calls"][0]["id"]), ("own_calls", &Value::from("call-1")));
    // Somebody else's call changes nothing, so the next that is told is of the mood.
    let mut other = first(|what| matches!(what, What::CallStarted { .. }));
    other.call = "call-2".to_owned();
    fixture.bus.publish(&other);
    fixture.bus.publish(&first(|what| matches!(what, What::Observed { words: Some(_), .. })));
    let mood = told.next().await.data;
    assert_eq!(mood["calls"][0]["emotion"]["level"], "high", "{mood}");
    assert!(mood["calls"].as_array().map(Vec::len) == Some(1) && !mood.to_string().contains("sip:"), "{mood}");
    fixture.bus.publish(&first(|what| matches!(what, What::EscalationLikely { .. })));
    let warned = told.next().await.data;
    assert_eq!(warned["calls"][0]["warnings"][0]["kind"], "escalation_likely", "{warned}");
    let trail = wire.ask_with_token("GET", "/v1/audit?who=li&kind=access&call=call-1").await.json();
    assert_eq!(trail["entries"].as_array().map(Vec::len), Some(1), "once per call: {trail}");
    store.stop();
}

#[tokio::test]
async fn whoever_looks_at_own_calls_again_and_again_is_in_the_trail_once_per_call() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let (fixture, wire, cookie) = with_an_agent(&store).await;
    let look = async || assert_eq!(wire.ask("GET", "/v1/own/calls", &cookie).await.status, 200);
    let told = async || {
        let trail = wire.ask_with_token("GET", "/v1/audit?who=li&kind=access").await.json();
        let entries = trail["entries"].as_array().expect("a list").clone();
        entries.iter().map(|entry| entry["call"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    look().await;
    look().await;
    assert_eq!(told().await, [""], "that nothing was there to be seen is told once");
    for notice in one_of_each() {
        if matches!(notice.what, What::CallStarted { .. } | What::CallAnswered { .. }) {
            fixture.bus.publish(&notice);
        }
    }
    for _ in 0..3 {
        look().await;
    }
    assert_eq!(told().await, ["call-1", ""]);
    store.stop();
}

#[tokio::test]
async fn other_sites_can_do_nothing_with_somebodys_cookie() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let body = serde_json::json!({ "user": "supervisor", "password": PASSWORD }).to_string();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    assert_eq!(wire.exchange("POST", "/v1/session", &headers, &body).await.status, 403, "nor sign anybody in");
    let cookie = cookie(&sign_in(&wire, "supervisor", PASSWORD).await);
    assert_eq!(wire.ask("POST", "/v1/calls/1/hangup", &cookie).await.status, 401);
    assert_eq!(wire.ask("DELETE", "/v1/session", &cookie).await.status, 403);
    assert_eq!(wire.ask("GET", "/v1/session", &cookie).await.status, 200, "still signed in");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (origin, expected) in
        [("Origin: https://evil.example\r\n", 401), ("", 401), ("Origin: https://calmline\r\n", 101)]
    {
        for path in ["/v1/events", "/v1/wall"] {
            let (status, _) = client::open(fixture.handle.addr, path, &format!("{cookie}{upgrade}{origin}")).await;
            assert_eq!(status, expected, "{path} {origin}");
        }
    }
}

#[tokio::test]
async fn what_goes_on_for_long_ends_with_the_session() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let cookie = cookie(&sign_in(&wire, "supervisor", PASSWORD).await);
    let stream = format!("{cookie}Connection: close\r\nAccept: text/event-stream\r\n");
    let socket = format!(
        "{cookie}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://calmline\r\n"
    );
    let mut open = Vec::new();
    for (path, headers, expected) in
        [("/v1/events", &stream, 200), ("/v1/events", &socket, 101), ("/v1/wall", &socket, 101)]
    {
        let (status, events) = client::open(fixture.handle.addr, path, headers).await;
        assert_eq!(status, expected);
        open.push(events);
    }
    assert_eq!(wire.ask("DELETE", "/v1/session", &format!("{cookie}{CONSOLE}")).await.status, 204);
    for mut events in open {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), events.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it goes on");
    }
}

#[tokio::test]
async fn whoever_guesses_at_many_places_at_once_is_locked_out_all_the_same() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let guesses = (0..30).map(|_| sign_in(&wire, "operator", "a wrong password"));
    let replies = futures::future::join_all(guesses).await;
    let tried = replies.iter().filter(|reply| reply.status == 401).count();
    assert_eq!((tried, replies.len() - tried), (5, 25), "the others found the door locked");
}

#[tokio::test]
async fn whoever_guesses_is_locked_out_and_told_for_how_long() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    for _ in 0..5 {
        assert_eq!(sign_in(&wire, "operator", "a wrong password").await.status, 401);
    }
    let reply = sign_in(&wire, "operator", PASSWORD).await;
    assert_eq!(reply.status, 429, "the right one, too");
    assert!(reply.head.contains("retry-after: "), "{}", reply.head);
    assert_eq!(sign_in(&wire, "supervisor", PASSWORD).await.status, 200, "nobody else");
}

#[tokio::test]
async fn a_user_who_is_taken_out_of_the_configuration_is_out() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let cookie = cookie(&sign_in(&wire, "supervisor", PASSWORD).await);
    assert_eq!(wire.ask("GET", "/v1/calls", &cookie).await.status, 200);
    fixture.handle.exchange(options(fixture.handle.addr).live).expect("random numbers");
    assert_eq!(wire.ask("GET", "/v1/calls", &cookie).await.status, 401);
}

#[tokio::test]
async fn the_consoles_files_come_with_their_headers_or_say_that_they_are_missing() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let page = wire.ask("GET", "/", "").await;
    if page.status == 200 {
        for wanted in
            ["content-security-policy: default-src 'self'", "x-frame-options: DENY", "cache-control: no-cache"]
        {
            assert!(page.head.contains(wanted), "{wanted}: {}", page.head);
        }
        assert!(!page.body.contains("<script>"), "{}", page.body);
    } else {
        assert_eq!(page.status, 404);
        assert!(page.body.contains("scripts/build-console"), "{}", page.body);
    }
    assert_eq!(wire.ask("GET", "/assets/..%2f..%2fCargo.toml", "").await.status, 404);
    assert_eq!(wire.ask("GET", "/assets/none.js", "").await.status, 404);
}

#[tokio::test]
async fn a_persons_order_says_whose_browser_may_be_heard() {
    let mut fixture = with_users().await;
    fixture.bus.publish(&one_of_each()[0]);
    let wire = Wire(fixture.handle.addr);
    let cookie = cookie(&sign_in(&wire, "supervisor", PASSWORD).await);
    let body = r#"{"mode":"barge"}"#;
    let headers = format!("{cookie}{CONSOLE}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let asking = wire.exchange("PATCH", "/v1/calls/call-1/supervisors/3", &headers, body);
    let (_, order) = tokio::join!(asking, fixture.ordered());
    let Some(Order::ChangeSupervisor { by, .. }) = order else { panic!("{order:?}") };
    assert_eq!(by.as_deref(), Some("browser:supervisor"));
}
