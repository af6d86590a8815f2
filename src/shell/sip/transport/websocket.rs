//! SIP over WebSocket (RFC 7118): one message per WebSocket message, subprotocol `sip`, either side as client.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Hop;
use super::stream::Session;
use crate::shell::sip::door::MESSAGE_BYTES_MAX;

/// How long the far end may take to take our goodbye.
const WRITE_WAIT: Duration = Duration::from_secs(10);
/// The subprotocol that both sides have to name.
const SUBPROTOCOL: &str = "sip";

/// Greets a client; one that does not speak SIP, or comes from a page that is not among `origins`, is turned away.
pub(super) async fn accept<S>(stream: S, origins: &[String]) -> Result<WebSocketStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let origins = origins.to_vec();
    #[expect(clippy::result_large_err, reason = "the crate's own signature")]
    let greet = move |request: &Request, mut response: Response| {
        let turn_away = |status: StatusCode, why: &str| {
            let mut refusal = ErrorResponse::new(Some(why.to_owned()));
            *refusal.status_mut() = status;
            refusal
        };
        if !names(request.headers(), header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
            return Err(turn_away(StatusCode::BAD_REQUEST, "the subprotocol sip is needed (RFC 7118)"));
        }
        let is_listed = |origin: &String| names(request.headers(), header::ORIGIN, origin);
        if !origins.is_empty() && !origins.iter().any(is_listed) {
            return Err(turn_away(StatusCode::FORBIDDEN, "this page may not call"));
        }
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async_with_config(stream, greet, Some(limits())).await
}

/// Greets a server.
pub(super) async fn connect<S>(stream: S, hop: &Hop) -> Result<WebSocketStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let host = hop.name.clone().unwrap_or_else(|| hop.address.to_string());
    let mut request = format!("{}://{host}/", hop.transport.name()).into_client_request()?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let (stream, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(limits())).await?;
    Ok(stream)
}

/// Serves a WebSocket until it ends.
pub(super) async fn serve<S>(mut session: Session, mut socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut patience = Instant::now() + session.idle();
    let closed = session.closed.clone();
    loop {
        let to_send = tokio::select! {
            () = closed.cancelled() => break,
            event = session.outgoing.recv() => {
                let Some(bytes) = event.and_then(|event| session.bytes_of(event)) else { break };
                Some(bytes)
            }
            message = timeout_at(patience, socket.next()) => {
                let Ok(Some(Ok(message))) = message else { break };
                patience = Instant::now() + session.idle();
                match message {
                    Message::Text(text) => take(&session, text.as_bytes()),
                    Message::Binary(bytes) => take(&session, &bytes),
                    Message::Close(_) => break,
                    // The crate answers pings itself.
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
                }
            }
        };
        if let Some(bytes) = to_send
            && session.write(socket.send(frame(bytes))).await.is_err()
        {
            break;
        }
    }
    session.end();
    // A goodbye that is not taken changes nothing.
    let _ = timeout(WRITE_WAIT, socket.close(None)).await;
}

fn take(session: &Session, message: &[u8]) -> Option<Vec<u8>> {
    // Keep-alives of clients that treat a WebSocket as a stream (RFC 5626 §4.4.1).
    match message {
        b"\r\n\r\n" => Some(b"\r\n".to_vec()),
        b"\r\n" | b"" => None,
        _ => session.take(message),
    }
}

/// Text, as browsers expect it, unless the body is none.
fn frame(bytes: Vec<u8>) -> Message {
    match String::from_utf8(bytes) {
        Ok(text) => Message::text(text),
        Err(error) => Message::binary(error.into_bytes()),
    }
}

fn names(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_write_buffer_size(4 * MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
}
