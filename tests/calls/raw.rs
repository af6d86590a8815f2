//! A caller that says exactly what a test tells it to: one call, one SIP socket, the description as written.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use loadtest::message::Message;

use crate::stage::{ANY, LONG};

/// The caller, before and during its only call.
pub struct RawCaller {
    socket: UdpSocket,
    server: SocketAddr,
    /// To with its tag, once the call is answered.
    callee: Option<String>,
    sequence: u32,
}

impl RawCaller {
    /// One that will call `server`.
    pub fn new(server: SocketAddr) -> RawCaller {
        let socket = UdpSocket::bind(ANY).expect("a port");
        socket.connect(server).expect("loopback is there");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        RawCaller { socket, server, callee: None, sequence: 0 }
    }

    /// Offers `description`, in the call or to begin it; the answer's description. Panics unless it is accepted.
    #[track_caller]
    pub fn offer(&mut self, description: &str) -> String {
        self.sequence += 1;
        let invite = self.request("INVITE", description);
        let answer = self.exchange(&invite);
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        self.callee = answer.header("To").map(str::to_owned);
        self.send(&self.request("ACK", ""));
        answer.description().expect("an answer has a description").to_owned()
    }

    /// Ends the call.
    #[track_caller]
    pub fn hang_up(mut self) {
        self.sequence += 1;
        let bye = self.request("BYE", "");
        assert_eq!(self.exchange(&bye).status(), Some(200));
    }

    /// Sends a request until its final response has come.
    #[track_caller]
    fn exchange(&self, request: &str) -> Message {
        let end = Instant::now() + LONG;
        let mut bytes = [0; 8_192];
        let mut sent: Option<Instant> = None;
        while Instant::now() < end {
            if sent.is_none_or(|at| at.elapsed() > Duration::from_millis(500)) {
                self.send(request);
                sent = Some(Instant::now());
            }
            let Ok(length) = self.socket.recv(&mut bytes) else { continue };
            let Ok(message) = Message::parse(&bytes[..length]) else { continue };
            if message.status().is_some_and(|status| status >= 200) && message.cseq() == Some(self.sequence) {
                return message;
            }
        }
        panic!("no answer to {request}");
    }

    fn request(&self, method: &str, body: &str) -> String {
        let Self { server, sequence, .. } = self;
        let own = self.socket.local_addr().expect("bound");
        let to = self.callee.clone().unwrap_or_else(|| format!("<sip:support@{server}>"));
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:support@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:raw@{own}>;tag=raw\r\nTo: {to}\r\nCall-ID: raw-{port}\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:raw@{own}>\r\n{content}Content-Length: {length}\r\n\r\n{body}",
            port = own.port(),
            length = body.len(),
        )
    }

    fn send(&self, text: &str) {
        self.socket.send(text.as_bytes()).expect("loopback takes it");
    }
}

/// The port of the first audio line of a description.
pub fn audio_port(description: &str) -> u16 {
    let line = description.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("an audio line");
    line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
}

/// The same description with another port in its first audio line.
pub fn with_audio_port(description: &str, port: u16) -> String {
    let old = format!("m=audio {} ", audio_port(description));
    description.replacen(&old, &format!("m=audio {port} "), 1)
}
