//! Users over the API: made, changed, shut out and removed, and what the trail says of it.

use super::people::{CONSOLE, cookie, sign_in};
use super::*;
use crate::settings::UserSettings;
use crate::store::Store;
use crate::users::{PasswordDigest, Role};

const ADMINISTRATOR: &str = "zhang";
const PASSWORD: &str = "a long password";

/// An API with a store, and one administrator in the configuration.
async fn with_administrator(store: &Store) -> Fixture {
    let fixture = fixture_with(Some(store.clone())).await;
    let password = PasswordDigest::of(PASSWORD).expect("random numbers");
    let user =
        UserSettings { role: Role::Administrator, password, serves: None, totp: None, routes: None, tenant: None };
    let live = options(fixture.handle.addr).live;
    let users = [(ADMINISTRATOR.to_owned(), user)].into();
    fixture.handle.exchange(LiveOptions { users, ..live }).expect("random numbers");
    fixture
}

/// An administrator at work.
struct Desk {
    wire: Wire,
    cookie: String,
}

impl Desk {
    async fn of(fixture: &Fixture) -> Desk {
        let wire = Wire(fixture.handle.addr);
        let cookie = cookie(&sign_in(&wire, ADMINISTRATOR, PASSWORD).await);
        Desk { wire, cookie }
    }

    async fn ask(&self, method: &str, path: &str, more: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let kind = if length > 0 { "Content-Type: application/json\r\n" } else { "" };
        let headers = format!("{}{CONSOLE}{kind}{more}Content-Length: {length}\r\n", self.cookie);
        let mut reply = self.wire.exchange(method, path, &headers, &body).await;
        // The body comes in pieces, as it would end with the session.
        if let Some(line) = reply.body.lines().find(|line| line.starts_with('{')) {
            reply.body = line.to_owned();
        }
        reply
    }

    async fn changed(&self, name: &str, etag: &str, body: &Value) -> Reply {
        self.ask("PATCH", &format!("/v1/users/{name}"), &format!("If-Match: {etag}\r\n"), body).await
    }
}

fn etag(reply: &Reply) -> String {
    reply.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag").to_owned()
}

#[tokio::test]
async fn users_are_made_changed_shut_out_and_removed() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let fixture = with_administrator(&store).await;
    let desk = Desk::of(&fixture).await;

    let new = serde_json::json!({ "name": "li", "role": "supervisor" });
    let made = desk.ask("POST", "/v1/users", "", &new).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let password = made.json()["secrets"]["password"].as_str().expect("it is shown once").to_owned();
    problem(&desk.ask("POST", "/v1/users", "", &new).await, 409);
    let entered = sign_in(&desk.wire, "li", &password).await;
    assert_eq!(entered.status, 200, "{}", entered.body);
    let li = cookie(&entered);
    assert_eq!(desk.wire.ask("GET", "/v1/calls", &li).await.status, 200);
    assert_eq!(desk.wire.ask("GET", "/v1/users", &li).await.status, 403, "supervisors have nothing to do with users");

    let version = etag(&made);
    problem(&desk.ask("PATCH", "/v1/users/li", "", &serde_json::json!({ "disabled": true })).await, 428);
    let changed = desk.changed("li", &version, &serde_json::json!({ "role": "auditor" })).await;
    assert_eq!((changed.status, &changed.json()["role"]), (200, &Value::from("auditor")), "{}", changed.body);
    problem(&desk.changed("li", &version, &serde_json::json!({ "disabled": true })).await, 412);
    assert_eq!(desk.wire.ask("GET", "/v1/calls", &li).await.status, 403, "a role acts at once");
    let shut = desk.changed("li", &etag(&changed), &serde_json::json!({ "disabled": true })).await;
    assert_eq!(shut.status, 200, "{}", shut.body);
    assert_eq!(desk.wire.ask("GET", "/v1/session", &li).await.status, 401, "nor is anybody there who was");
    assert_eq!(sign_in(&desk.wire, "li", &password).await.status, 401);
    desk.changed("li", &etag(&shut), &serde_json::json!({ "disabled": false })).await;

    let renewed = desk.ask("POST", "/v1/users/li/password", "", &Value::Null).await;
    let other = renewed.json()["secrets"]["password"].as_str().expect("shown once").to_owned();
    assert_eq!(sign_in(&desk.wire, "li", &password).await.status, 401, "the one before");
    assert_eq!(sign_in(&desk.wire, "li", &other).await.status, 200);
    let second = desk.ask("POST", "/v1/users/li/totp", "", &Value::Null).await.json();
    assert!(second["secrets"]["otpauth_url"].as_str().is_some_and(|url| url.starts_with("otpauth://")), "{second}");
    assert_eq!(sign_in(&desk.wire, "li", &other).await.json()["needs"], "code");
    let without = desk.ask("DELETE", "/v1/users/li/totp", "", &Value::Null).await;
    assert_eq!((without.status, &without.json()["second_factor"]), (200, &Value::from(false)));
    assert_eq!(sign_in(&desk.wire, "li", &other).await.status, 200);

    let listed = desk.ask("GET", "/v1/users", "", &Value::Null).await;
    assert!(!listed.body.contains("argon2") && !listed.body.contains(&other), "{}", listed.body);
    let names: Vec<Value> =
        listed.json()["users"].as_array().expect("a list").iter().map(|u| u["name"].clone()).collect();
    assert_eq!(names, ["li", ADMINISTRATOR]);
    drop(fixture);

    let fixture = with_administrator(&store).await;
    let desk = Desk::of(&fixture).await;
    let shown = read_again(&desk).await;
    assert_eq!(sign_in(&desk.wire, "li", &other).await.status, 200, "the store has them after a restart");
    let gone = desk.ask("DELETE", "/v1/users/li", &format!("If-Match: {}\r\n", etag(&shown)), &Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    assert_eq!(sign_in(&desk.wire, "li", &other).await.status, 401);
    problem(&desk.ask("GET", "/v1/users/li", "", &Value::Null).await, 404);

    let trail = desk.wire.ask_with_token("GET", "/v1/audit?who=zhang&limit=1000").await.body;
    for kind in ["user_created", "user_changed", "password_renewed", "second_factor_renewed", "user_removed"] {
        let [asked, done] = [format!("\"{kind}_asked\""), format!("\"{kind}\"")].map(|kind| trail.find(&kind));
        assert!(asked.is_some() && done.is_some(), "no {kind} in {trail}");
    }
    assert!(![password, other].iter().any(|secret| trail.contains(secret)) && !trail.contains("argon2"), "{trail}");
    store.stop();
}

#[tokio::test]
async fn people_give_themselves_another_password_by_the_one_that_counts() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let fixture = with_administrator(&store).await;
    let administrator = Desk::of(&fixture).await;
    let new = serde_json::json!({ "name": "li", "role": "auditor" });
    let made = administrator.ask("POST", "/v1/users", "", &new).await;
    let first = made.json()["secrets"]["password"].as_str().expect("it is shown once").to_owned();
    let change = |password: &str, other: &str| serde_json::json!({ "password": password, "new_password": other });
    let wire = Wire(fixture.handle.addr);
    let li = Desk { wire: Wire(fixture.handle.addr), cookie: cookie(&sign_in(&wire, "li", &first).await) };
    let elsewhere = Desk { wire: Wire(fixture.handle.addr), cookie: cookie(&sign_in(&wire, "li", &first).await) };
    let other = "quite another one";
    for (given, status) in [
        (change("a wrong password", other), 401),
        (change(&first, "short"), 400),
        (change(&first, &first), 400),
        (serde_json::json!({ "password": first }), 400),
    ] {
        problem(&li.ask("POST", "/v1/me/password", "", &given).await, status);
    }
    let done = li.ask("POST", "/v1/me/password", "", &change(&first, other)).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let again = Desk { wire: Wire(fixture.handle.addr), cookie: cookie(&done) };
    assert_eq!(again.ask("GET", "/v1/session", "", &Value::Null).await.json()["user"], "li");
    for ended in [&li, &elsewhere] {
        problem(&ended.ask("GET", "/v1/session", "", &Value::Null).await, 401);
    }
    problem(&sign_in(&wire, "li", &first).await, 401);
    assert_eq!(sign_in(&wire, "li", other).await.status, 200);

    // Nobody without a session, no other site's page, no machine, and nobody who stands in the configuration.
    let nobody = Desk { wire: Wire(fixture.handle.addr), cookie: String::new() };
    problem(&nobody.ask("POST", "/v1/me/password", "", &change(other, &first)).await, 401);
    let body = change(other, &first).to_string();
    let headers = format!("{}Content-Type: application/json\r\nContent-Length: {}\r\n", again.cookie, body.len());
    problem(&wire.exchange("POST", "/v1/me/password", &headers, &body).await, 403);
    problem(&administrator.ask("POST", "/v1/me/password", "", &change(PASSWORD, other)).await, 409);
    let trail = administrator.ask("GET", "/v1/audit?kind=password_changed", "", &Value::Null).await;
    assert!(trail.body.contains("\"who\":\"li\"") && !trail.body.contains(other), "{}", trail.body);
    // Whoever guesses is locked out here as at the sign-in.
    let guess = change("a wrong password", &first);
    let mut last = 401;
    for _ in 0..6 {
        last = again.ask("POST", "/v1/me/password", "", &guess).await.status;
    }
    assert_eq!((last, sign_in(&wire, "li", other).await.status), (429, 429));
}

#[tokio::test]
async fn whoever_is_removed_is_out_although_whoever_asked_has_gone() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let mut fixture = with_administrator(&store).await;
    let desk = Desk::of(&fixture).await;
    let new = serde_json::json!({ "name": "li", "role": "supervisor" });
    let made = desk.ask("POST", "/v1/users", "", &new).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let accounts = Arc::clone(&fixture.handle.accounts);
    let may_sign_in = || accounts.live().load().users.contains_key("li");
    assert!(may_sign_in());
    let other_change = accounts.changing.lock().await;
    let headers = format!("{}{CONSOLE}If-Match: *\r\nContent-Length: 0\r\n", desk.cookie);
    let asking = desk.wire.begin("DELETE", "/v1/users/li", &headers, "").await;
    // Once this is answered, it waits for its turn; and then the server has seen that nobody waits for it.
    assert_eq!(desk.wire.ask("GET", "/healthz", "").await.status, 200);
    drop(asking);
    assert_eq!(desk.wire.ask("GET", "/healthz", "").await.status, 200);
    drop(other_change);
    let Fixture { handle, .. } = &mut fixture;
    handle.finish().await;
    assert!(!may_sign_in());
    assert!(store.accounts().await.expect("they are read").is_empty());
    store.stop();
}

#[tokio::test]
async fn who_stands_in_the_configuration_and_oneself_are_left_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let fixture = with_administrator(&store).await;
    let desk = Desk::of(&fixture).await;
    for (name, role, serves, expected) in [
        (ADMINISTRATOR, "operator", None, 409),
        ("api", "operator", None, 400),
        ("no name", "operator", None, 400),
        ("li", "agent", None, 400),
        ("li", "operator", Some("1001"), 400),
        ("li", "king", None, 422),
        ("li", "administrator", None, 201),
        ("wang", "agent", Some("1001"), 201),
    ] {
        let new = serde_json::json!({ "name": name, "role": role, "serves": serves });
        let reply = desk.ask("POST", "/v1/users", "", &new).await;
        assert_eq!(reply.status, expected, "{name} {role}: {}", reply.body);
    }
    problem(&desk.ask("POST", "/v1/users/zhang/password", "", &Value::Null).await, 409);
    let password = desk.ask("POST", "/v1/users/li/password", "", &Value::Null).await.json();
    let password = password["secrets"]["password"].as_str().expect("shown once");
    let li = Desk { wire: Wire(fixture.handle.addr), cookie: cookie(&sign_in(&desk.wire, "li", password).await) };
    let version = etag(&li.ask("GET", "/v1/users/li", "", &Value::Null).await);
    problem(&li.changed("li", &version, &serde_json::json!({ "role": "auditor" })).await, 409);
    problem(&li.ask("DELETE", "/v1/users/li", &format!("If-Match: {version}\r\n"), &Value::Null).await, 409);
    let version = etag(&li.ask("GET", "/v1/users/wang", "", &Value::Null).await);
    let other = li.changed("wang", &version, &serde_json::json!({ "role": "operator" })).await.json();
    assert!(other.get("serves").is_none(), "only agents serve: {other}");
    store.stop();
}

#[tokio::test]
async fn without_a_store_there_are_those_of_the_configuration() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    assert_eq!(wire.ask_with_token("GET", "/v1/users").await.json(), serde_json::json!({ "users": [] }));
    problem(&wire.send("POST", "/v1/users", r#"{ "name": "li", "role": "operator" }"#).await, 404);
}

/// A user as the store has them, once it has been read.
async fn read_again(desk: &Desk) -> Reply {
    for _ in 0..100 {
        let shown = desk.ask("GET", "/v1/users/li", "", &Value::Null).await;
        if shown.status == 200 {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the store is not read");
}
