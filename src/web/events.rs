//! `/v1/events`: the notices as they happen, as Server-Sent Events or over a WebSocket.
//!
//! Both carry the same JSON objects and resume the same way. What a client sends over the WebSocket is ignored.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::header::UPGRADE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::auth;
use super::bus::{Delivery, Event, KINDS, Subscription};
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use super::scope::Scope;
use super::seats::Seat;
use super::signing::{Ended, Who};

/// Most characters of `call` and of `type`.
const FILTER_CHARS_MAX: usize = 512;
/// A sign of life is sent when nothing else was for this long.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A WebSocket that takes nothing for this long is closed.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// Largest message a client may send, bytes.
pub(super) const INCOMING_BYTES_MAX: usize = 4_096;
/// The subprotocol spoken, offered beside the one that carries the token.
const PROTOCOL: &str = "calmline.v1";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// The number after which events are wanted; from now on when absent.
    #[param(nullable = false)]
    after: Option<u64>,
    /// Of one call alone.
    #[param(nullable = false, max_length = 512)]
    call: Option<String>,
    /// Of these types alone, with commas between.
    #[param(nullable = false, max_length = 512)]
    r#type: Option<String>,
}

/// Which events a subscriber wants; those about its own lag always come.
#[derive(Debug)]
struct Filter {
    call: Option<String>,
    kinds: Option<Vec<String>>,
    scope: Scope,
}

impl Filter {
    fn new(query: EventsQuery, scope: Scope) -> Result<Self, Problem> {
        let EventsQuery { call, r#type, .. } = query;
        let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > FILTER_CHARS_MAX);
        if too_long(&call) || too_long(&r#type) {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "`call` or `type` is too long"));
        }
        let kinds = r#type.map(|list| list.split(',').map(|kind| kind.trim().to_owned()).collect::<Vec<_>>());
        if let Some(unknown) = kinds.iter().flatten().find(|kind| !KINDS.contains(&kind.as_str())) {
            let detail = format!("no event type `{unknown}`; there are: {}", KINDS.join(", "));
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(Self { call, kinds, scope })
    }

    fn wants(&self, event: &Event) -> bool {
        self.call.as_ref().is_none_or(|call| *call == event.call)
            && self.scope.sees(event.route.as_deref(), event.tenant.as_deref())
            && self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == event.kind))
    }
}

/// One subscriber's way through the events; its seat is free again when this is dropped.
pub(super) struct Watch {
    subscription: Subscription,
    filter: Filter,
    closing: CancellationToken,
    /// Of whoever watches.
    ended: Ended,
    _seat: Seat,
}

impl Watch {
    /// Everything from now on about one call, in a seat among the channels of chats.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of_call(app: &App, call: &str, ended: Ended) -> Result<Self, Problem> {
        // Whoever carries chats has as many as there are customers, whoever they are.
        let seat = app.channels.take(None)?;
        let filter = Filter { call: Some(call.to_owned()), kinds: None, scope: Scope::default() };
        Ok(Self { subscription: app.bus.subscribe(None), filter, closing: app.closing.clone(), ended, _seat: seat })
    }

    /// The next wanted delivery; `None` when the server closes.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = tokio::select! {
                () = self.closing.cancelled() => return None,
                () = self.ended.0.cancelled() => return None,
                delivery = self.subscription.next() => delivery?,
            };
            match &delivery {
                Delivery::Event(event) if !self.filter.wants(event) => {}
                _ => return Some(delivery),
            }
        }
    }
}

pub(super) async fn events(
    State(app): State<App>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
    who: Option<Extension<Who>>,
    ended: Option<Extension<Ended>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let query = asked(query)?;
    let after = last_event_id(&headers)?.or(query.after);
    let filter = Filter::new(query, Scope::of(who.as_deref()))?;
    let upgrade = match upgrade {
        Ok(upgrade) => Some(upgrade),
        Err(error) if headers.contains_key(UPGRADE) => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, error.body_text()));
        }
        Err(_) if accepts_event_stream(&headers) => None,
        Err(_) => {
            let detail = "ask with `Accept: text/event-stream`, or upgrade to a WebSocket";
            return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail));
        }
    };
    let seat = app.subscribers.of(who.as_deref())?;
    let subscription = app.bus.subscribe(after);
    let watch = Watch {
        subscription,
        filter,
        closing: app.closing,
        ended: ended.map_or_else(Ended::default, |Extension(ended)| ended),
        _seat: seat,
    };
    Ok(match upgrade {
        Some(upgrade) => web_socket(upgrade, &headers, watch),
        None => event_stream(watch),
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "Last-Event-ID is not an event's number"))
}

pub(super) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.split(',').any(|range| range.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

fn event_stream(watch: Watch) -> Response {
    let deliveries = futures::stream::unfold(watch, async |mut watch| {
        let delivery = watch.next().await?;
        Some((Ok::<_, Infallible>(sse_event(&delivery)), watch))
    });
    let opening = futures::stream::once(async { Ok(SseEvent::default().comment("open").retry(RETRY)) });
    Sse::new(opening.chain(deliveries)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// When a client that was cut off comes back.
pub(super) const RETRY: Duration = Duration::from_secs(2);

fn sse_event(delivery: &Delivery) -> SseEvent {
    match delivery {
        Delivery::Event(event) => {
            SseEvent::default().id(event.seq.to_string()).event(event.kind).data(event.json.as_str())
        }
        Delivery::Lagged { missed } => SseEvent::default().event("lagged").data(lagged_json(*missed)),
    }
}

pub(super) fn lagged_json(missed: Option<u64>) -> String {
    serde_json::json!({ "type": "lagged", "missed": missed }).to_string()
}

/// The subprotocols that one may be chosen of. Browsers insist that one is; the one with the token only if there is no other.
pub(super) fn spoken(headers: &HeaderMap) -> Vec<String> {
    let mut spoken = vec![PROTOCOL.to_owned()];
    spoken.extend(auth::bearer_protocol(headers).map(str::to_owned));
    spoken
}

fn web_socket(upgrade: WebSocketUpgrade, headers: &HeaderMap, watch: Watch) -> Response {
    upgrade
        .protocols(spoken(headers))
        .max_message_size(INCOMING_BYTES_MAX)
        .max_frame_size(INCOMING_BYTES_MAX)
        .on_upgrade(move |socket| serve_socket(socket, watch))
}

/// Somebody who is told things over a WebSocket.
pub(super) trait Told {
    /// What is to be told next; `None` when the server closes or the session ends. Cancel safe.
    async fn next_text(&mut self) -> Option<Utf8Bytes>;
}

impl Told for Watch {
    async fn next_text(&mut self) -> Option<Utf8Bytes> {
        self.next().await.map(|delivery| socket_text(&delivery))
    }
}

/// Tells somebody until either side closes; what they say is ignored.
pub(super) async fn serve_socket(mut socket: WebSocket, mut told: impl Told) {
    let mut ping = tokio::time::interval(KEEP_ALIVE);
    loop {
        let message = tokio::select! {
            text = told.next_text() => match text {
                Some(text) => Message::Text(text),
                None => break,
            },
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        if send(&mut socket, message).await.is_err() {
            return;
        }
    }
    // The server closes, or the session ends: a polite word, and no matter if it does not arrive.
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(Message::Close(None))).await;
}

/// Sends one message.
///
/// # Errors
/// When the client has gone, or takes nothing.
pub(super) async fn send(socket: &mut WebSocket, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(SEND_LIMIT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}

pub(super) fn socket_text(delivery: &Delivery) -> Utf8Bytes {
    match delivery {
        Delivery::Event(event) => event.json.clone(),
        Delivery::Lagged { missed } => lagged_json(*missed).into(),
    }
}
