//! A phone that says exactly what a test tells it to: over TCP, TLS or WebSocket, or in datagrams.
//!
//! Knows nothing of the SIP side: the tests of the whole program share it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// A body that passes for an offer or an answer.
pub(super) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                              m=audio 40000 RTP/AVP 0\r\n";

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What bytes come and go by.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

/// A request of a phone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) transport: &'a str,
    pub(super) method: &'a str,
    pub(super) sequence: u32,
    /// Who is called.
    pub(super) user: &'a str,
    /// Which call it belongs to.
    pub(super) call: u32,
    /// What follows the address in To.
    pub(super) tag: &'a str,
    pub(super) body: &'a str,
}

impl<'a> Words<'a> {
    /// The INVITE of a first call to `4000`.
    pub(super) fn over(transport: &'a str) -> Self {
        Self { transport, method: "INVITE", sequence: 1, user: "4000", call: 1, tag: "", body: SDP }
    }

    /// The same with another method, without a body.
    pub(super) fn with(self, method: &'a str, sequence: u32) -> Self {
        Self { method, sequence, body: "", ..self }
    }
}

/// One end of a connection.
pub(super) enum Phone {
    /// TCP or TLS, with what has come and is not taken.
    Stream(Box<dyn Io>, Vec<u8>),
    /// A WebSocket.
    Web(Box<WebSocketStream<Box<dyn Io>>>),
}

impl Phone {
    /// Connects by TCP.
    pub(super) async fn tcp(to: SocketAddr) -> Self {
        Self::Stream(Box::new(TcpStream::connect(to).await.expect("somebody listens")), Vec::new())
    }

    /// Connects by TLS to whoever shows a certificate for `us.example`, which comes too.
    ///
    /// # Errors
    /// When the greeting comes to nothing.
    pub(super) async fn tls(
        to: SocketAddr,
        client: Arc<ClientConfig>,
    ) -> std::io::Result<(Self, CertificateDer<'static>)> {
        let stream = TcpStream::connect(to).await?;
        let name = ServerName::try_from("us.example").expect("a name");
        let stream = TlsConnector::from(client).connect(name, stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).expect("it has shown one");
        let shown = shown.clone().into_owned();
        Ok((Self::Stream(Box::new(stream), Vec::new()), shown))
    }

    /// Makes a WebSocket of a connection.
    ///
    /// # Errors
    /// The status with which it was turned away.
    pub(super) async fn web(self, protocol: &'static str, origin: &'static str) -> Result<Self, u16> {
        let Self::Stream(stream, _) = self else { panic!("it is one already") };
        let mut request = "ws://us.example/sip".into_client_request().expect("a URL");
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
        request.headers_mut().insert("Origin", HeaderValue::from_static(origin));
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self::Web(Box::new(socket))),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes the next connection of a listener, as a WebSocket or as a stream.
    pub(super) async fn accept(listener: &TcpListener, is_web: bool, tls: Option<Arc<ServerConfig>>) -> Self {
        let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("in time").expect("a stream");
        let stream: Box<dyn Io> = match tls {
            Some(tls) => Box::new(TlsAcceptor::from(tls).accept(stream).await.expect("a greeting")),
            None => Box::new(stream),
        };
        if !is_web {
            return Self::Stream(stream, Vec::new());
        }
        #[expect(clippy::result_large_err, reason = "the crate's own signature")]
        let greet = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "sip");
            response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
            Ok(response)
        };
        Self::Web(Box::new(tokio_tungstenite::accept_hdr_async(stream, greet).await.expect("a greeting")))
    }

    /// Says something.
    pub(super) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// Says something that need not be text.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        match self {
            Self::Stream(stream, _) => {
                stream.write_all(bytes).await.expect("it is taken");
                stream.flush().await.expect("it is taken");
            }
            Self::Web(socket) => socket.send(Message::binary(bytes.to_vec())).await.expect("it is taken"),
        }
    }

    /// The next message that starts with `start`; others are skipped.
    pub(super) async fn receive(&mut self, start: &str) -> String {
        let mut skipped = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, self.any()).await {
                Ok(Some(text)) if text.starts_with(start) => return text,
                Ok(Some(text)) => skipped.push(text),
                Ok(None) => panic!("{start} never came, the connection is closed; {skipped:#?}"),
                Err(_) => panic!("{start} never came, but {skipped:#?}"),
            }
        }
    }

    /// The next message; nothing when the connection is closed.
    pub(super) async fn any(&mut self) -> Option<String> {
        match self {
            Self::Web(socket) => loop {
                match socket.next().await? {
                    Ok(Message::Text(text)) => return Some(text.to_string()),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            },
            Self::Stream(stream, pending) => loop {
                if let Some(message) = cut(pending) {
                    return Some(message);
                }
                let mut buffer = [0; 4_096];
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                if length == 0 {
                    return None;
                }
                pending.extend_from_slice(&buffer[..length]);
            },
        }
    }

    /// Says a request as a caller whom only this connection leads to.
    pub(super) async fn say(&mut self, words: &Words<'_>) {
        let Words { transport, method, sequence, user, call, tag, body } = words;
        let name = transport.to_ascii_uppercase();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "{method} sip:{user}@us.example SIP/2.0\r\n\
             Via: SIP/2.0/{name} caller.invalid;branch=z9hG4bK{call}{method}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:caller@caller.invalid>;tag=far\r\nTo: <sip:{user}@us.example>{tag}\r\n\
             Call-ID: {call}-by-{name}\r\nCSeq: {sequence} {method}\r\n\
             Contact: <sip:caller@caller.invalid;transport={transport}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ))
        .await;
    }

    /// Answers a request.
    pub(super) async fn respond(&mut self, request: &str, code: u16, more: &str, body: &str) {
        let to = value(request, "To");
        let tag = if to.contains("tag=") { "" } else { ";tag=far" };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "SIP/2.0 {code} Said\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}{content}\
             Content-Length: {}\r\n\r\n{body}",
            value(request, "Via"),
            value(request, "From"),
            value(request, "Call-ID"),
            value(request, "CSeq"),
            body.len(),
        ))
        .await;
    }
}

/// A phone on datagrams that any of our sockets may speak to.
pub(super) struct Far(UdpSocket, Mutex<BTreeSet<String>>);

impl Far {
    /// On a free port of loopback.
    pub(super) async fn new() -> Self {
        Self(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback"), Mutex::default())
    }

    /// Where it is.
    pub(super) fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// What is said to it next, and by whom.
    pub(super) async fn hear(&self) -> (SocketAddr, String) {
        let mut buffer = vec![0; 65_535];
        let received = tokio::time::timeout(PATIENCE, self.0.recv_from(&mut buffer)).await;
        let (length, from) = received.expect("a message in time").expect("loopback is there");
        (from, String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The next request that is no repetition: its number is another than `than`'s.
    pub(super) async fn hear_other(&self, than: &str) -> (SocketAddr, String) {
        loop {
            let (from, said) = self.hear().await;
            if value(&said, "Via") != value(than, "Via") {
                return (from, said);
            }
        }
    }

    /// The next INVITE that is no repetition; what else is said is passed over.
    pub(super) async fn hear_invite(&self) -> (SocketAddr, String) {
        loop {
            let (from, said) = self.hear().await;
            let is_new = || self.1.lock().expect("no test panics here").insert(value(&said, "Via").to_owned());
            if said.starts_with("INVITE ") && is_new() {
                return (from, said);
            }
        }
    }

    /// Answers a request.
    pub(super) async fn reply(&self, us: SocketAddr, request: &str, code: u16, more: &str, body: &str) {
        let to = value(request, "To");
        let tag = if to.contains("tag=") { "" } else { ";tag=far" };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let response = format!(
            "SIP/2.0 {code} Said\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             {more}{content}Content-Length: {}\r\n\r\n{body}",
            value(request, "Via"),
            value(request, "From"),
            value(request, "Call-ID"),
            value(request, "CSeq"),
            body.len(),
        );
        self.send(us, &response).await;
    }

    /// Says something.
    pub(super) async fn send(&self, us: SocketAddr, text: &str) {
        self.0.send_to(text.as_bytes(), us).await.expect("loopback is there");
    }
}

/// The first whole message of what has come.
fn cut(pending: &mut Vec<u8>) -> Option<String> {
    let blank = pending.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    pending.drain(..blank);
    let head = pending.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&pending[..head]).into_owned();
    let body: usize = value(&text, "Content-Length").parse().expect("a length");
    (pending.len() >= head + body).then(|| {
        let rest = pending.split_off(head + body);
        let message = std::mem::replace(pending, rest);
        String::from_utf8(message).expect("text")
    })
}

/// The value of the first header `name` of a message.
pub(super) fn value<'a>(message: &'a str, name: &str) -> &'a str {
    message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
        .unwrap_or_else(|| panic!("no {name} in {message}"))
}
