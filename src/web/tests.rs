//! The API over real loopback connections, spoken by hand so that nothing between hides what is on the wire.

mod age;
mod alerts;
mod answers;
mod audit;
mod client;
mod elsewhere;
mod forward;
mod frames;
mod hostile;
mod library;
mod oidc;
mod orders;
mod pages;
mod people;
mod playback;
mod reload;
mod scope;
mod site;
mod tenants;
mod tls;
mod users;

use std::collections::BTreeMap;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio_tungstenite::tungstenite;

use super::*;
use crate::control::Order;
use crate::judges::JudgeFiles;
use crate::knowledge::{Knowledge, Shelf};
use crate::libraries::Libraries;
use crate::log::Log;
use crate::notice_samples::one_of_each;
use crate::settings::{Fault, ForkSettings, KnowledgeSettings, Settings, Token, Zone};
use crate::shell::clock::Clock;
use crate::shell::copy::CopyOptions;
use crate::shell::listen::Parties;
use crate::shell::media::CopyRing;
use crate::shell::reels::ReelOptions;
use crate::shell::told::Told;
use client::{Reply, Stream, TOKEN, Wire, web_socket};

const CLOSED: &[(&str, &str)] = &[
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("GET", "/v1/knowledge"),
    ("GET", "/v1/libraries"),
    ("GET", "/v1/sources"),
    ("PUT", "/v1/libraries/policies/own"),
    ("GET", "/v1/knowledge/refund-when"),
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/call-1"),
    ("GET", "/v1/alerts"),
    ("POST", "/v1/calls/call-1/hangup"),
    ("GET", "/v1/calls/call-1/audio"),
    ("GET", "/v1/calls/call-1/playback"),
    ("GET", "/v1/calls/call-1/playback.wav"),
    ("POST", "/v1/calls/call-1/supervisors"),
    ("PATCH", "/v1/calls/call-1/supervisors/1"),
    ("DELETE", "/v1/calls/call-1/supervisors/1"),
    ("POST", "/v1/calls/call-1/webrtc"),
    ("GET", "/v1/webrtc"),
    ("POST", "/v1/calls/call-1/prompts"),
    ("DELETE", "/v1/calls/call-1/prompts/1"),
    ("POST", "/v1/drain"),
    ("POST", "/v1/reload"),
    ("GET", "/v1/log"),
    ("PUT", "/v1/log"),
    ("POST", "/v1/forks"),
    ("GET", "/v1/events"),
    ("GET", "/v1/audit"),
    ("POST", "/v1/audit/verify"),
    ("GET", "/v1/own/calls"),
    ("GET", "/v1/own/events"),
    ("GET", "/v1/targets"),
    ("GET", "/v1/node"),
    ("GET", "/v1/calls/call-1/assignees"),
    ("POST", "/v1/calls/call-1/move"),
    ("PUT", "/v1/calls/call-1/priority"),
    ("GET", "/v1/users"),
    ("POST", "/v1/users"),
    ("PATCH", "/v1/users/li"),
    ("GET", "/no/such/address"),
];

/// A served API and the other ends of what it holds.
struct Fixture {
    handle: WebHandle,
    bus: Arc<Bus>,
    readiness: Arc<Readiness>,
    escalating: Escalating,
    orders: mpsc::Receiver<Asked>,
    asks: mpsc::Receiver<ReloadAsked>,
    parties: Arc<Parties>,
    copies: Copies,
}

/// Whoever holds the streams of forked calls; nobody takes any.
async fn forks() -> ForkSide {
    let (events, _) = mpsc::channel(1);
    ForkSide::start(ForkSettings::default(), Clock::start(), Metrics::new(), events).await.expect("no socket is opened")
}

async fn fixture() -> Fixture {
    fixture_with(None).await
}

/// One that keeps what is told, where there is a store.
async fn fixture_with(store: Option<Store>) -> Fixture {
    try_fixture(options(SocketAddr::from(([127, 0, 0, 1], 0))), store).await.expect("loopback can be bound")
}

async fn try_fixture(options: WebOptions, store: Option<Store>) -> Result<Fixture, WebError> {
    try_fixture_of(Bus::new(), options, store).await
}

async fn try_fixture_of(bus: Bus, options: WebOptions, store: Option<Store>) -> Result<Fixture, WebError> {
    fixture_on(Arc::new(bus), options, (store, None), Escalating::default()).await
}

/// The same on a bus between nodes.
async fn fixture_on(
    bus: Arc<Bus>,
    options: WebOptions,
    (store, carrier): (Option<Store>, Option<Carrier>),
    escalating: Escalating,
) -> Result<Fixture, WebError> {
    let readiness = Arc::new(Readiness::default());
    let (sender, orders) = mpsc::channel(2);
    let (reloads, asks) = mpsc::channel(1);
    let parties = Arc::new(Parties::default());
    let copies = copies(&parties);
    let inside = Inside {
        bus: Arc::clone(&bus),
        orders: sender,
        reloads,
        copies: copies.clone(),
        captures: None,
        browsers: carrier.as_ref().map_or_else(Browsers::none, |_| browsers()),
        forks: forks().await,
        recordings: recordings(),
        shelf: shelf(),
        customers: Customers::default(),
        escalating: escalating.clone(),
        bench: bench(),
        readiness: Arc::clone(&readiness),
        metrics: Metrics::new(),
        log: Log::unseen(),
        reels: store.clone().map(|store| reels(store, &copies)),
        store,
        outbox: None,
        carrier,
    };
    let handle = serve(options, inside).await?;
    Ok(Fixture { handle, bus, readiness, escalating, orders, asks, parties, copies })
}

/// Whom nobody tells of calls.
fn reels(store: Store, copies: &Copies) -> Reels {
    let (copies, clock, metrics) = (copies.clone(), Clock::start(), Metrics::new());
    Reels::start(ReelOptions { store, copies, clock, recognizing: None, metrics }).expect("a thread")
}

/// Who takes browsers of this machine.
fn browsers() -> Browsers {
    let text = "[web]\ntoken_env = \"T\"\n[webrtc]\naddress = \"127.0.0.1\"\nports = \"30100-30131\"\n";
    let settings = Settings::parse(text, std::path::Path::new("calmline.toml")).expect("good");
    Browsers::new(&settings).expect("no secret is asked for")
}

/// Whom nobody has told what to listen by.
fn recordings() -> Recordings {
    let told = Told { bus: Arc::default(), store: None, outbox: None, metrics: Metrics::new() };
    Recordings::start("test".to_owned(), told).expect("a thread")
}

/// The library that comes with the program.
fn shelf() -> SharedShelf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/knowledge");
    let knowledge = Knowledge::load(&folder).expect("the shipped knowledge");
    let settings = KnowledgeSettings { folder: Some(folder), suggest: true, ..KnowledgeSettings::default() };
    SharedShelf::new(ArcSwap::from_pointee(Shelf { knowledge, settings, zone: Zone::utc() }))
}

fn bench() -> Arc<Bench> {
    Arc::new(Bench::new(JudgeFiles::without_models()))
}

fn copies(parties: &Arc<Parties>) -> Copies {
    let (ring, parties) = (Arc::new(CopyRing::new(16)), Arc::clone(parties));
    let options = CopyOptions { ring, parties, clock: Clock::start(), on_restart: Box::new(|| ()) };
    Copies::start(options).expect("a thread")
}

impl Fixture {
    /// The next order.
    async fn ordered(&mut self) -> Option<Order> {
        self.orders.recv().await.map(|asked| asked.order)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.copies.stop();
    }
}

#[tokio::test]
async fn no_door_opens_without_the_token() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    fixture.bus.publish(&one_of_each()[0]);
    for (method, path) in CLOSED {
        for headers in ["", "Authorization: Bearer 0000000000000000\r\n", "Authorization: Basic dTpw\r\n"] {
            let reply = wire.ask(method, path, headers).await;
            problem(&reply, 401);
            assert!(reply.head.contains("www-authenticate: Bearer"), "{}", reply.head);
        }
        let with_url_token = format!("{path}?token={TOKEN}&access_token={TOKEN}");
        problem(&wire.ask(method, &with_url_token, "").await, 401);
        let method_walk = wire.ask("DELETE", path, "").await;
        assert!([401, 405].contains(&method_walk.status), "{path}: {}", method_walk.status);
    }
    let offered = "Upgrade: websocket\r\nSec-WebSocket-Protocol: bearer.0000000000000000\r\n";
    problem(&wire.ask("GET", "/v1/events", offered).await, 401);
}

#[tokio::test]
async fn health_is_open_and_readiness_tells_the_parts() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    assert_eq!(wire.ask("GET", "/healthz", "").await.status, 200);

    ready(&wire, 503, "down").await;
    fixture.readiness.set(Component::Sip, true);
    ready(&wire, 503, "down").await;
    fixture.readiness.set(Component::Media, true);
    ready(&wire, 200, "degraded").await;
    for part in [Component::Listening, Component::Model, Component::Policy] {
        fixture.readiness.set(part, true);
    }
    let report = ready(&wire, 200, "ready").await;
    assert_eq!(report["components"]["listening"], "up");
    fixture.readiness.set(Component::Listening, false);
    let report = ready(&wire, 200, "degraded").await;
    assert_eq!(report["components"]["listening"], "down");
}

async fn ready(wire: &Wire, status: u16, word: &str) -> Value {
    let reply = wire.ask("GET", "/readyz", "").await;
    let report = reply.json();
    assert_eq!((reply.status, report["status"].as_str()), (status, Some(word)));
    report
}

#[tokio::test]
async fn calls_are_listed_and_told() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let all = one_of_each();
    for notice in &all[..all.len() - 1] {
        fixture.bus.publish(notice);
    }
    let list = wire.ask_with_token("GET", "/v1/calls").await.json();
    assert_eq!(list["active"], 1);
    assert_eq!(list["calls"][0]["id"], "call-1");
    assert_eq!(list["calls"][0]["state"], "answered");
    assert_eq!(list["calls"][0]["emotion"]["level"], "high");

    let call = wire.ask_with_token("GET", "/v1/calls/call-1").await.json();
    assert_eq!(call["from"], "\"Li\" <sip:13800138000@pbx.example>");
    assert_eq!(call["decisions"][0]["because"]["lasted_ms"], 1_500);
    assert_eq!(call["reroutes"][0]["gap_ms"], 18);
    assert_eq!(call["prompts"][0]["outcome"], "completed");
    assert_eq!(
        (&call["legs"][0]["name"], &call["legs"][0]["quality"]["mos_listening"]),
        (&"caller".into(), &4.375.into())
    );
    assert_eq!(call["timeline"].as_array().map(Vec::len), Some(1));
    assert_eq!(call["events"][0]["type"], "call_started");

    fixture.bus.publish(&all[all.len() - 1]);
    let active = wire.ask_with_token("GET", "/v1/calls?state=active").await.json();
    assert_eq!(active["calls"].as_array().map(Vec::len), Some(0));
    let ended = wire.ask_with_token("GET", "/v1/calls?state=ended&limit=5").await.json();
    assert_eq!(ended["calls"][0]["state"], "ended");

    problem(&wire.ask_with_token("GET", "/v1/calls/nobody").await, 404);
    problem(&wire.ask_with_token("GET", "/v1/calls?limit=0").await, 400);
    problem(&wire.ask_with_token("GET", "/v1/calls?state=sideways").await, 400);
    problem(&wire.ask_with_token("GET", "/v1/calls?sate=ended").await, 400);
    problem(&wire.ask_with_token("DELETE", "/v1/calls").await, 405);
    problem(&wire.ask_with_token("GET", "/nowhere").await, 404);
}

#[tokio::test]
async fn orders_reach_call_control() {
    let mut fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let all = one_of_each();
    fixture.bus.publish(&all[0]);

    assert_eq!(wire.ask_with_token("POST", "/v1/calls/call-1/hangup").await.status, 202);
    assert_eq!(fixture.ordered().await, Some(Order::HangUp { call: "call-1".to_owned() }));
    assert_eq!(wire.ask_with_token("POST", "/v1/drain").await.status, 202);
    assert_eq!(fixture.ordered().await, Some(Order::Drain));
    problem(&wire.ask_with_token("POST", "/v1/calls/call-9/hangup").await, 404);

    fixture.bus.publish(&all[all.len() - 1]);
    problem(&wire.ask_with_token("POST", "/v1/calls/call-1/hangup").await, 409);

    for _ in 0..2 {
        assert_eq!(wire.ask_with_token("POST", "/v1/drain").await.status, 202);
    }
    let full = wire.ask_with_token("POST", "/v1/drain").await;
    problem(&full, 503);
    assert!(full.head.contains("retry-after: 5"), "{}", full.head);
}

#[tokio::test]
async fn metrics_are_served() {
    let fixture = fixture().await;
    let reply = Wire(fixture.handle.addr).ask_with_token("GET", "/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4"), "{}", reply.head);
    assert!(reply.body.contains("calmline_calls_active 0"), "{}", reply.body);
    assert!(!reply.head.contains("access-control-allow-origin"), "{}", reply.head);
    let accepted = format!(
        "authorization: Bearer {TOKEN}\r\naccept: application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5\r\n"
    );
    let reply = Wire(fixture.handle.addr).ask("GET", "/metrics", &accepted).await;
    assert!(reply.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", reply.head);
    assert!(reply.body.ends_with("# EOF\n"), "{}", reply.body);
}

#[tokio::test]
async fn an_alert_arrives_as_a_server_sent_event() {
    let fixture = fixture().await;
    let mut stream = Stream::open(fixture.handle.addr, "?type=alert,decided&call=call-1", "").await;
    for notice in one_of_each() {
        fixture.bus.publish(&notice);
    }
    let decided = stream.next().await;
    assert_eq!((decided.id, decided.kind.as_str()), (Some(5), "decided"));
    let alert = stream.next().await;
    assert_eq!((alert.id, alert.kind.as_str()), (Some(11), "alert"));
    assert_eq!(alert.data["severity"], "critical");
    assert_eq!(alert.data["seq"], 11);
    drop(stream);

    let mut resumed = Stream::open(fixture.handle.addr, "?type=alert,call_ended", "Last-Event-ID: 11\r\n").await;
    assert_eq!(resumed.next().await.kind, "call_ended");
}

#[tokio::test]
async fn an_alert_arrives_over_a_websocket() {
    let fixture = fixture().await;
    let all = one_of_each();
    for headers in [
        vec![("authorization", format!("Bearer {TOKEN}"))],
        vec![("sec-websocket-protocol", format!("calmline.v1, bearer.{TOKEN}"))],
        vec![("sec-websocket-protocol", format!("bearer.{TOKEN}"))],
    ] {
        let (mut socket, response) =
            web_socket(fixture.handle.addr, "?type=alert", &headers).await.expect("the token is right");
        let chosen = response.headers().get("sec-websocket-protocol");
        assert_eq!(chosen.is_some(), headers[0].0 == "sec-websocket-protocol");
        fixture.bus.publish(&all[0]);
        fixture.bus.publish(&all[10]);
        let event = client::socket_event(&mut socket).await;
        assert_eq!(event["type"], "alert");
        assert_eq!(event["text"], "angry caller");
    }
    let (mut resumed, _) =
        web_socket(fixture.handle.addr, "?after=2&type=alert", &[("authorization", format!("Bearer {TOKEN}"))])
            .await
            .expect("the token is right");
    assert_eq!(client::socket_event(&mut resumed).await["seq"], 4);

    let refused = web_socket(fixture.handle.addr, "", &[("authorization", "Bearer wrong-wrong-wrong".into())]).await;
    let Some(tungstenite::Error::Http(response)) = refused.err().map(|error| *error) else { panic!("admitted") };
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn events_ask_for_what_they_can_give() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let auth = format!("Authorization: Bearer {TOKEN}\r\n");
    let stream = format!("{auth}Accept: text/event-stream\r\n");
    problem(&wire.ask("GET", "/v1/events", &auth).await, 406);
    let unknown = wire.ask("GET", "/v1/events?type=alarm", &stream).await;
    problem(&unknown, 400);
    assert!(unknown.body.contains("reroute_failed"), "{}", unknown.body);
    problem(&wire.ask("GET", "/v1/events?after=x", &stream).await, 400);
    problem(&wire.ask("GET", "/v1/events", &format!("{stream}Last-Event-ID: x\r\n")).await, 400);
    problem(
        &wire.ask("GET", "/v1/events", &format!("{auth}Connection: close, upgrade\r\nUpgrade: websocket\r\n")).await,
        400,
    );
}

#[tokio::test]
async fn a_slow_subscriber_is_told_and_blocks_nobody() {
    let fixture = fixture().await;
    for _ in 0..RING_MAX + 50 {
        fixture.bus.publish(&one_of_each()[0]);
    }
    let mut late = Stream::open(fixture.handle.addr, "?after=20", "").await;
    let lagged = late.next().await;
    assert_eq!((lagged.id, lagged.kind.as_str()), (None, "lagged"));
    assert_eq!(lagged.data["missed"], 30);
    assert_eq!(late.next().await.id, Some(51));
}

#[tokio::test]
async fn subscribers_are_bounded_and_leave_their_places() {
    let fixture = fixture().await;
    let mut streams = Vec::new();
    for _ in 0..SUBSCRIBERS_MAX {
        streams.push(Stream::open(fixture.handle.addr, "", "").await);
    }
    let headers = format!("Authorization: Bearer {TOKEN}\r\nAccept: text/event-stream\r\n");
    problem(&Wire(fixture.handle.addr).ask("GET", "/v1/events", &headers).await, 503);
    drop(streams);
    for attempt in 0.. {
        let (freed, _) = client::open(fixture.handle.addr, "/v1/events", &headers).await;
        if freed == 200 {
            break;
        }
        assert!(attempt < 100, "no place was freed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let auth = format!("Authorization: Bearer {TOKEN}\r\n");
    problem(&wire.ask("POST", "/v1/drain", &format!("{auth}Content-Length: 17000\r\n")).await, 413);
    problem(&wire.ask("POST", "/v1/drain", &format!("{auth}Transfer-Encoding: chunked\r\n")).await, 413);
    let long = wire.ask("GET", "/healthz", &format!("X-Long: {}\r\n", "x".repeat(20_000))).await;
    assert_eq!(long.status, 431);
    let many = wire.ask("GET", "/healthz", &"X-Many: x\r\n".repeat(100)).await;
    assert_eq!(many.status, 431);
}

#[tokio::test]
async fn closing_ends_streams_and_the_listener() {
    let mut fixture = fixture().await;
    let addr = fixture.handle.addr;
    let mut stream = Stream::open(addr, "", "").await;
    let (mut socket, _) =
        web_socket(addr, "", &[("authorization", format!("Bearer {TOKEN}"))]).await.expect("admitted");
    let Fixture { handle, .. } = &mut fixture;
    handle.finish().await;
    assert!(stream.ended().await);
    assert!(client::socket_closed(&mut socket).await);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let fixture = fixture().await;
    let options = options(fixture.handle.addr);
    assert!(!format!("{options:?}").contains(TOKEN));
    let served = try_fixture(options, None).await;
    let message = served.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.contains("cannot listen on 127.0.0.1"), "{message}");
    assert!(DEFAULT_LISTEN.ip().is_loopback());
}

fn options(listen: SocketAddr) -> WebOptions {
    let prompts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prompts");
    let token = Token::new(TOKEN).expect("a good token");
    let live = LiveOptions { prompts, ..LiveOptions::of(&Settings::default(), token) };
    WebOptions { listen, tls: None, live, policies: BTreeMap::new() }
}

/// Asserts that a reply is a problem document of this status.
#[track_caller]
fn problem(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{} {}", reply.head, reply.body);
    assert!(reply.head.contains("content-type: application/problem+json"), "{}", reply.head);
    let body = reply.json();
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
}
