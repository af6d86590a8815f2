//! Whoever means ill or is broken: sessions that others chose, requests that never come to their end, and too many of them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::people::{CONSOLE, PASSWORD, cookie, sign_in, with_users};
use super::*;
use crate::users::Role;

#[tokio::test]
async fn nobody_signs_in_to_a_session_that_another_chose() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let chosen = "Cookie: calmline_session=chosen-by-somebody-else\r\n";
    let body = serde_json::json!({ "user": "supervisor", "password": PASSWORD }).to_string();
    let headers =
        |cookie: &str| format!("{cookie}{CONSOLE}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let first = cookie(&wire.exchange("POST", "/v1/session", &headers(chosen), &body).await);
    assert!(!first.contains("chosen-by-somebody-else"), "{first}");
    assert_eq!(wire.ask("GET", "/v1/session", chosen).await.status, 401);
    let second = cookie(&wire.exchange("POST", "/v1/session", &headers(&first), &body).await);
    assert_ne!(first, second, "each sign-in has a number of its own");
    assert_eq!(wire.ask("GET", "/v1/session", &first).await.status, 401, "and ends the one before");
    assert_eq!(wire.ask("GET", "/v1/session", &second).await.status, 200);
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_to_wait_and_nobody_else() {
    let fixture = with_users().await;
    let wire = Wire(fixture.handle.addr);
    let cookie_of = async |role: Role| cookie(&sign_in(&wire, role.name(), PASSWORD).await);
    let (often, seldom) = (cookie_of(Role::Supervisor).await, cookie_of(Role::Operator).await);
    let mut refused = None;
    // More than any machine is slow enough to let pass.
    for _ in 0..2_000 {
        let reply = wire.ask("GET", "/v1/calls", &often).await;
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    problem(&refused, 429);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(wire.ask("GET", "/v1/models", &seldom).await.status, 200);
    let metrics = wire.ask_with_token("GET", "/metrics").await;
    assert!(metrics.body.contains("calmline_api_requests_limited_total{by=\"person\"} 1"), "{}", metrics.body);
}

/// Takes as long as the server waits, 15 s.
#[tokio::test]
async fn a_request_that_never_comes_to_its_end_is_given_up() {
    let fixture = fixture().await;
    let with_body = format!(
        "POST /v1/forks HTTP/1.1\r\nHost: calmline\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"via\":"
    );
    let answer = async |begun: &str| {
        let mut stream = TcpStream::connect(fixture.handle.addr).await.expect("the server listens");
        stream.write_all(begun.as_bytes()).await.expect("it is sent");
        let mut answer = Vec::new();
        // Without limits this would never end.
        stream.read_to_end(&mut answer).await.expect("the server ends it");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (head, body) = tokio::join!(answer("GET /healthz HTTP/1.1\r\nHost: calm"), answer(&with_body));
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(body.starts_with("HTTP/1.1 503 "), "{body}");
}
