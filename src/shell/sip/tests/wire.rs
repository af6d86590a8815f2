//! A phone on a connection: TCP, TLS or WebSocket, and the SIP side that it speaks with.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use media::LegId;
use rsipstack::transaction::endpoint::EndpointOption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::phone::{SDP, value};
use crate::control::{SipCommand, SipEvent};
use crate::shell::sip::leg::Waits;
use crate::shell::sip::{SipOptions, SipSide, SipTransport};

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What bytes come and go by.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

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

    /// Takes the next connection of a listener, in the way of `transport`.
    pub(super) async fn accept(
        listener: &TcpListener,
        transport: SipTransport,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("in time").expect("a stream");
        let stream: Box<dyn Io> = match tls {
            Some(tls) => Box::new(TlsAcceptor::from(tls).accept(stream).await.expect("a greeting")),
            None => Box::new(stream),
        };
        if !matches!(transport, SipTransport::Ws | SipTransport::Wss) {
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
        match self {
            Self::Stream(stream, _) => {
                stream.write_all(text.as_bytes()).await.expect("it is taken");
                stream.flush().await.expect("it is taken");
            }
            Self::Web(socket) => socket.send(Message::text(text)).await.expect("it is taken"),
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

    /// An INVITE, or something that belongs to it, as a caller whom only this connection leads to.
    pub(super) async fn say(&mut self, transport: SipTransport, method: &str, sequence: u32, more: &str, body: &str) {
        let name = transport.name().to_ascii_uppercase();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (to_tag, more) = more.split_once('|').unwrap_or(("", more));
        self.send(&format!(
            "{method} sip:4000@us.example SIP/2.0\r\nVia: SIP/2.0/{name} caller.invalid;branch=z9hG4bK{method}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:caller@caller.invalid>;tag=far\r\nTo: <sip:4000@us.example>{to_tag}\r\n\
             Call-ID: by-{name}\r\nCSeq: {sequence} {method}\r\n\
             Contact: <sip:caller@caller.invalid;transport={}>\r\n{more}{content}Content-Length: {}\r\n\r\n{body}",
            transport.name(),
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
pub(super) struct Far(UdpSocket);

impl Far {
    /// On a free port of loopback.
    pub(super) async fn new() -> Self {
        Self(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback"))
    }

    /// Where it is.
    pub(super) fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// What is said to it next, and by whom.
    pub(super) async fn hear(&self) -> (SocketAddr, String) {
        let mut buffer = vec![0; 8_192];
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

/// A SIP side with the test as call control.
pub(super) struct Office {
    pub(super) sip: SipSide,
    pub(super) events: mpsc::Receiver<SipEvent>,
}

impl Office {
    /// With short timers.
    pub(super) async fn open(options: SipOptions) -> Self {
        let ms = Duration::from_millis;
        let timers = EndpointOption { t1: ms(50), t2: ms(200), t4: ms(100), t1x64: ms(1_000), ..Default::default() };
        let waits = Waits {
            ringing: ms(3_000),
            reply: ms(300),
            cancel: ms(1_000),
            bye: ms(500),
            reinvite: ms(300),
            hop: ms(300),
        };
        let (sender, events) = mpsc::channel(64);
        let sip = SipSide::start_with(options, sender, timers, waits).await.expect("free ports on loopback");
        Self { sip, events }
    }

    /// Where `transport` is listened for.
    pub(super) fn at(&self, transport: SipTransport) -> SocketAddr {
        self.sip.bound().iter().find(|bound| bound.0 == transport).expect("a listener").1
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> SipEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the side is up")
    }

    /// Calls `uri`.
    pub(super) fn invite(&self, leg: LegId, uri: &str, trunk: Option<&str>) {
        self.sip.handle(SipCommand::Invite {
            leg,
            uri: uri.to_owned(),
            proxy: None,
            trunk: trunk.map(str::to_owned),
            hops_left: 42,
            from: "<sip:4711@pbx.example>".to_owned(),
            headers: Vec::new(),
            sdp: SDP.into(),
        });
    }

    /// Answers the call that comes next.
    pub(super) async fn answer(&mut self) -> LegId {
        let event = self.event().await;
        let SipEvent::Incoming { leg, .. } = event else { panic!("{event:?}") };
        self.sip.handle(SipCommand::Answer { leg, sdp: SDP.into(), headers: Vec::new() });
        leg
    }
}
