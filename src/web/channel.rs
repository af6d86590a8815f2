//! `/v1/interactions/{id}/channel`: one chat over one WebSocket, both ways. Messages, expressions, outcomes of moves and the end
//! come in; every event of the chat goes out, and an answer to each of the former.

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bus::Delivery;
use super::events::{KEEP_ALIVE, Watch, send, socket_text, spoken};
use super::interactions::{
    EndRequest, ExpressionRequest, MessageRequest, MovedRequest, ended, outcome, shown, written,
};
use super::orders::ask;
use super::problem::Problem;
use super::routes::{App, BODY_BYTES_MAX};
use super::signing::Ended;
use crate::control::{Done, Order};

/// What the channel's software sends; `ref` comes back with the answer.
#[derive(Debug, Deserialize)]
struct Frame {
    r#ref: Option<Value>,
    #[serde(flatten)]
    asks: Asks,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asks {
    Message(MessageRequest),
    Expression(ExpressionRequest),
    Moved(MovedRequest),
    End(EndRequest),
}

pub(super) async fn channel(
    State(app): State<App>,
    Path(call): Path<String>,
    headers: HeaderMap,
    ended: Option<Extension<Ended>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    app.check_up(&call)?;
    let watch = Watch::of_call(&app, &call, ended.map_or_else(Ended::default, |Extension(ended)| ended))?;
    let upgrade = upgrade.protocols(spoken(&headers));
    let upgrade = upgrade.max_message_size(BODY_BYTES_MAX as usize).max_frame_size(BODY_BYTES_MAX as usize);
    Ok(upgrade.on_upgrade(move |socket| serve(app, call, socket, watch)))
}

async fn serve(app: App, call: String, mut socket: WebSocket, mut watch: Watch) {
    let mut ping = tokio::time::interval(KEEP_ALIVE);
    loop {
        let message = tokio::select! {
            delivery = watch.next() => match delivery {
                Some(delivery) => {
                    let is_last = matches!(&delivery, Delivery::Event(event) if event.kind == "call_ended");
                    let sent = send(&mut socket, Message::text(socket_text(&delivery))).await;
                    if is_last || sent.is_err() {
                        break;
                    }
                    continue;
                }
                None => break,
            },
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Text(text))) => Message::text(answer(&app, &call, &text).await.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_))) => Message::text(told(None, Err(no_json("found octets"))).to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        if send(&mut socket, message).await.is_err() {
            return;
        }
    }
    // The chat is over, or the server closes: a polite word, and no matter if it does not arrive.
    let _ = send(&mut socket, Message::Close(None)).await;
}

/// Carries out what one frame asks for, and says what came of it.
async fn answer(app: &App, call: &str, text: &str) -> Value {
    let (name, order) = read(call, text);
    let done = match order {
        Ok(order) => ask(app, order).await,
        Err(problem) => Err(problem),
    };
    told(name, done)
}

/// What one frame asks for.
///
/// # Errors
/// What was found, and what was expected.
pub fn order_in(call: &str, frame: &str) -> Result<Order, String> {
    read(call, frame).1.map_err(|problem| problem.detail)
}

/// What comes back with the answer to a frame, and what the frame asks for.
fn read(call: &str, text: &str) -> (Option<Value>, Result<Order, Problem>) {
    match serde_json::from_str(text) {
        Ok(Frame { r#ref: name, asks }) => (name, order_of(call.to_owned(), asks)),
        Err(error) => (None, Err(no_json(&error.to_string()))),
    }
}

fn order_of(call: String, asks: Asks) -> Result<Order, Problem> {
    match asks {
        Asks::Message(request) => written(call, request),
        Asks::Expression(request) => shown(call, request),
        Asks::Moved(request) => outcome(call, request),
        Asks::End(request) => ended(call, request),
    }
}

fn told(name: Option<Value>, done: Result<Done, Problem>) -> Value {
    let mut answer = match done {
        Ok(Done::Dropped(why)) => json!({ "accepted": false, "dropped": why }),
        Ok(_) => json!({ "accepted": true }),
        Err(problem) => json!({ "accepted": false, "status": problem.status.as_u16(), "detail": problem.detail }),
    };
    answer["type"] = "answer".into();
    if let Some(name) = name {
        answer["ref"] = name;
    }
    answer
}

fn no_json(found: &str) -> Problem {
    let expected = "expected JSON with one of `message`, `expression`, `moved`, `end`";
    Problem::new(StatusCode::BAD_REQUEST, format!("{found}; {expected}"))
}
