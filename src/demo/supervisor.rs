//! A supervisor's client: subscribed to the server's events over a WebSocket, as a console would be.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::cli::Failure;
use crate::notice::Notice;

/// Notices that may wait for the demo; it reads faster than calls can speak.
const WAITING_MAX: usize = 4_096;

/// The subscribed client.
pub struct Supervisor {
    notices: Receiver<Notice>,
}

impl Supervisor {
    /// Subscribes to everything.
    ///
    /// # Errors
    /// When the server refuses the connection or the token.
    pub fn subscribe(web: SocketAddr, token: &str) -> Result<Self, Failure> {
        let failed = |error: String| Failure::of("subscribing to the server's events", error);
        let mut request = format!("ws://{web}/v1/events").into_client_request().map_err(|e| failed(e.to_string()))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|e| failed(e.to_string()))?;
        request.headers_mut().insert("Authorization", bearer);

        let stream = TcpStream::connect(web).map_err(|e| failed(e.to_string()))?;
        let (socket, _) = tungstenite::client(request, stream).map_err(|e| failed(e.to_string()))?;
        let (sender, notices) = mpsc::sync_channel(WAITING_MAX);
        thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || read(socket, &sender))
            .map_err(|e| failed(e.to_string()))?;
        Ok(Self { notices })
    }

    /// The next notice, if one comes within `patience`.
    pub fn next(&self, patience: Duration) -> Option<Notice> {
        self.notices.recv_timeout(patience).ok()
    }
}

/// Hands every notice on until the server or the demo goes away.
fn read(mut socket: WebSocket<TcpStream>, notices: &mpsc::SyncSender<Notice>) {
    while let Ok(message) = socket.read() {
        let Message::Text(text) = message else { continue };
        // What is not a notice (a greeting, `lagged`) has no call to show it with.
        let Ok(notice) = serde_json::from_str(&text) else { continue };
        if notices.send(notice).is_err() {
            return;
        }
    }
}
