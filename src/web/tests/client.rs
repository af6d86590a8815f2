//! A small HTTP, SSE and WebSocket client for the tests.
//!
//! Every wait ends after a few seconds, so that a broken server fails a test instead of hanging it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub(super) const TOKEN: &str = "test-token-0123456789";
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One answered request.
pub(super) struct Reply {
    pub(super) status: u16,
    /// Status line and headers, names in lower case as the server writes them.
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    /// The line that is JSON, of a body that comes in pieces, as it would end with the session.
    #[track_caller]
    pub(super) fn json_line(&self) -> Value {
        let line = self.body.lines().find(|line| line.starts_with('{')).expect("a JSON object");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks one question per connection.
pub(super) struct Wire(pub(super) SocketAddr);

impl Wire {
    pub(super) async fn ask_with_token(&self, method: &str, path: &str) -> Reply {
        self.ask(method, path, &format!("Authorization: Bearer {TOKEN}\r\n")).await
    }

    /// Sends a JSON body, with the token.
    pub(super) async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let (kind, length) = ("Content-Type: application/json", body.len());
        let headers = format!("Authorization: Bearer {TOKEN}\r\n{kind}\r\nContent-Length: {length}\r\n");
        self.exchange(method, path, &headers, body).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &str) -> Reply {
        self.exchange(method, path, headers, "").await
    }

    /// Asks, and leaves it to who has the connection whether anybody waits for the answer.
    pub(super) async fn begin(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.0).await.expect("the server listens");
        let close = if headers.contains("Connection:") { "" } else { "Connection: close\r\n" };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: calmline\r\n{close}{headers}\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("the request is sent");
        stream
    }

    pub(super) async fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let mut stream = self.begin(method, path, headers, body).await;
        let mut bytes = Vec::new();
        // A server that refuses a request it has not read to its end may reset after the answer: keep what came.
        let _ = in_time(stream.read_to_end(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Opens an answer without an end; gives its status and the rest.
pub(super) async fn open(addr: SocketAddr, path: &str, headers: &str) -> (u16, BufReader<TcpStream>) {
    let stream = TcpStream::connect(addr).await.expect("the server listens");
    let mut reader = BufReader::new(stream);
    let request = format!("GET {path} HTTP/1.1\r\nHost: calmline\r\n{headers}\r\n");
    reader.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut line = String::new();
    in_time(reader.read_line(&mut line)).await.expect("an answer");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    while line.trim() != "" {
        line.clear();
        in_time(reader.read_line(&mut line)).await.expect("a header");
    }
    (status, reader)
}

/// One server-sent event.
pub(super) struct Sent {
    pub(super) id: Option<u64>,
    pub(super) kind: String,
    pub(super) data: Value,
}

/// A stream of server-sent events.
pub(super) struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens the stream and reads its opening comment, so that later events are sure to come.
    pub(super) async fn open(addr: SocketAddr, query: &str, headers: &str) -> Self {
        let all = format!("Authorization: Bearer {TOKEN}\r\nAccept: text/event-stream\r\n{headers}");
        Self::open_as(addr, query, &all).await
    }

    /// The same for somebody else, with headers that say who and what is wanted.
    pub(super) async fn open_as(addr: SocketAddr, query: &str, headers: &str) -> Self {
        let (status, reader) = open(addr, &format!("/v1/events{query}"), headers).await;
        assert_eq!(status, 200);
        let mut stream = Self(reader);
        while !stream.line().await.starts_with(": open") {}
        stream
    }

    /// One that is open already.
    pub(super) fn of(reader: BufReader<TcpStream>) -> Self {
        Self(reader)
    }

    /// The next event; chunk sizes and comments are passed over.
    pub(super) async fn next(&mut self) -> Sent {
        let mut sent = Sent { id: None, kind: String::new(), data: Value::Null };
        loop {
            let line = self.line().await;
            if let Some(id) = line.strip_prefix("id: ") {
                sent.id = id.parse().ok();
            } else if let Some(kind) = line.strip_prefix("event: ") {
                kind.clone_into(&mut sent.kind);
            } else if let Some(data) = line.strip_prefix("data: ") {
                sent.data = serde_json::from_str(data).expect("data is JSON");
            } else if line.is_empty() && !sent.data.is_null() {
                return sent;
            }
        }
    }

    /// True when the server ends the stream.
    pub(super) async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        in_time(self.0.read_to_end(&mut rest)).await.is_ok()
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = in_time(self.0.read_line(&mut line)).await.expect("a line");
        assert_ne!(read, 0, "the stream ended");
        line.trim_end().to_owned()
    }
}

/// Opens `/v1/events` as a WebSocket.
pub(super) async fn web_socket(
    addr: SocketAddr,
    query: &str,
    headers: &[(&'static str, String)],
) -> Result<(Socket, Response), Box<tungstenite::Error>> {
    socket_at(addr, &format!("/v1/events{query}"), headers).await
}

/// Opens any address as a WebSocket.
pub(super) async fn socket_at(
    addr: SocketAddr,
    path: &str,
    headers: &[(&'static str, String)],
) -> Result<(Socket, Response), Box<tungstenite::Error>> {
    let mut request = format!("ws://{addr}{path}").into_client_request().expect("a request");
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("a header value");
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    in_time(tokio_tungstenite::connect_async(request)).await.map_err(Box::new)
}

/// The next event of a WebSocket.
pub(super) async fn socket_event(socket: &mut Socket) -> Value {
    loop {
        let message = in_time(socket.next()).await.expect("not closed").expect("a message");
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).expect("an event is JSON");
        }
    }
}

/// True when the server closes the WebSocket.
pub(super) async fn socket_closed(socket: &mut Socket) -> bool {
    while let Some(Ok(message)) = in_time(socket.next()).await {
        if message.is_close() {
            return true;
        }
    }
    true
}

async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the server answers in time")
}
