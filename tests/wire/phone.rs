//! A far end by hand: a SIP socket, a pair of media sockets, and the server it talks to.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use calmline::demo::server::{self, Plan, Server};
use serde_json::Value;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_calmline");
/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server that takes calls for a bot and listens to nobody.
pub fn server(name: &str) -> (Server, SocketAddr) {
    server_with(name, "")
}

/// The same with more lines of `[media]`.
pub fn server_with(name: &str, media: &str) -> (Server, SocketAddr) {
    server_limited(name, media, "")
}

/// The same with more lines of `[limits]`.
pub fn server_limited(name: &str, media: &str, limits: &str) -> (Server, SocketAddr) {
    server_routing(name, media, limits, "")
}

/// The same with more lines of its `[[route]]`.
pub fn server_routing(name: &str, media: &str, limits: &str, route: &str) -> (Server, SocketAddr) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("wire-{name}"));
    let mut plan = Plan::for_loopback().expect("free ports");
    plan.configuration = plan.configuration.replace("enabled = true", "enabled = false");
    if limits.contains("[limits.overload]") {
        plan.configuration = plan.configuration.replacen("[limits.overload]\nenabled = false\n", "", 1);
    }
    plan.configuration = plan.configuration.replace("[media]\n", &format!("[media]\n{media}"));
    plan.configuration = plan.configuration.replacen("[web]", &format!("[limits]\n{limits}\n\n[web]"), 1);
    plan.configuration = plan.configuration.replacen("[[route]]\n", &format!("[[route]]\n{route}"), 1);
    let server = Server::start(Path::new(PROGRAM), &folder, &plan, &[]).expect("a server");
    (server, plan.addresses.bot)
}

/// The record of the only call, once it is over.
pub fn record(server: &Server) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let calls = ask(server, "/v1/calls?state=ended");
        if let Some(id) = calls["calls"][0]["id"].as_str() {
            return ask(server, &format!("/v1/calls/{id}"));
        }
        assert!(Instant::now() < end, "the call does not end: {calls}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An answer of the API.
pub fn ask(server: &Server, path: &str) -> Value {
    serde_json::from_str(&server::get(server.addresses.web, path, &server.token).expect("an answer")).expect("JSON")
}

/// Orders something by the API; the status of its answer.
pub fn order(server: &Server, method: &str, path: &str) -> u16 {
    server::ask(server.addresses.web, (method, path), "", &server.token).expect("an answer").0
}

/// Tells the server to stop, and waits until it says that it drains: an INVITE may overtake a signal.
#[track_caller]
pub fn drain(server: &Server) {
    server.signal();
    let end = Instant::now() + PATIENCE;
    while order(server, "GET", "/readyz") != 503 {
        assert!(Instant::now() < end, "it does not drain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for an event of a call that is up.
#[track_caller]
pub fn event_of(server: &Server, call: &str, kind: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let record = ask(server, &format!("/v1/calls/{call}"));
        if record["events"].as_array().is_some_and(|events| events.iter().any(|event| event["type"] == kind)) {
            return;
        }
        assert!(Instant::now() < end, "no {kind} in {record}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One far end.
pub struct Phone {
    pub sip: UdpSocket,
    /// RTP.
    pub media: UdpSocket,
    /// RTCP, one port higher.
    pub control: UdpSocket,
    server: SocketAddr,
    name: &'static str,
    /// What its Via says besides.
    parameters: &'static str,
}

impl Phone {
    pub fn at(address: SocketAddr, server: SocketAddr, name: &'static str) -> Phone {
        let sip = UdpSocket::bind(address).expect("a free port");
        sip.set_read_timeout(Some(Duration::from_millis(100))).expect("a span above zero");
        let (media, control) = pair();
        Phone { sip, media, control, server, name, parameters: "" }
    }

    pub fn anywhere(server: SocketAddr, name: &'static str) -> Phone {
        Phone::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), server, name)
    }

    /// A phone that wants to hear of the server's load (RFC 7339).
    pub fn asking(self) -> Phone {
        Phone { parameters: ";oc;oc-algo=\"loss,rate\"", ..self }
    }

    /// Calls the bot.
    pub fn invite(&self, sdp: &str) {
        let target = format!("sip:support@{}", self.server);
        self.request(("INVITE", 1), &target, (&format!("<{target}>"), ""), sdp);
    }

    /// A request of the caller inside its dialog, which `answer` made.
    pub fn request_inside(&self, method: &str, sequence: u32, answer: &str, sdp: &str) {
        self.request_saying("", (method, sequence), answer, sdp);
    }

    /// The same with more header lines.
    pub fn request_saying(&self, headers: &str, (method, sequence): (&str, u32), answer: &str, sdp: &str) {
        let contact = value(answer, "Contact").trim_matches(['<', '>']).to_owned();
        self.request((method, sequence), &contact, (value(answer, "To"), headers), sdp);
    }

    fn request(&self, (method, sequence): (&str, u32), target: &str, (to, headers): (&str, &str), sdp: &str) {
        let at = self.sip.local_addr().expect("it is bound");
        let Phone { name, parameters, .. } = self;
        self.say(&format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{name}{method}{sequence}{parameters}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{name}@{at}>;tag={name}\r\nTo: {to}\r\nCall-ID: {name}-{at}\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:{name}@{at}>\r\n{headers}{}",
            content(sdp)
        ));
    }

    /// A request of the callee inside the dialog that `invite` has begun.
    pub fn call_back(&self, method: &str, sequence: u32, invite: &str, sdp: &str) {
        let at = self.sip.local_addr().expect("it is bound");
        let (name, target) = (self.name, value(invite, "Contact").trim_matches(['<', '>']).to_owned());
        self.say(&format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{name}{method}{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: {};tag={name}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {sequence} {method}\r\n\
             Contact: <sip:{name}@{at}>\r\n{}",
            value(invite, "To"),
            value(invite, "From"),
            value(invite, "Call-ID"),
            content(sdp)
        ));
    }

    /// Answers a request.
    pub fn respond(&self, request: &str, code: u16, sdp: &str) {
        let at = self.sip.local_addr().expect("it is bound");
        let (name, to) = (self.name, value(request, "To"));
        let tag = if to.contains("tag=") { String::new() } else { format!(";tag={name}") };
        self.say(&format!(
            "SIP/2.0 {code} Said\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:{name}@{at}>\r\n{}",
            value(request, "Via"),
            value(request, "From"),
            value(request, "Call-ID"),
            value(request, "CSeq"),
            content(sdp)
        ));
    }

    fn say(&self, text: &str) {
        self.sip.send_to(text.as_bytes(), self.server).expect("loopback takes it");
    }

    /// The next message that begins so; others are skipped.
    #[track_caller]
    pub fn hear(&self, start: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut skipped = Vec::new();
        while Instant::now() < end {
            match self.overhear() {
                Some(text) if text.starts_with(start) => return text,
                other => skipped.extend(other),
            }
        }
        panic!("{start} never came, but {skipped:#?}");
    }

    /// The next message, if one comes soon.
    pub fn overhear(&self) -> Option<String> {
        let mut buffer = [0; 8_192];
        let length = self.sip.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// How many packets of audio have come since this was asked last.
    pub fn heard(&self) -> usize {
        let mut buffer = [0; 2_048];
        let packets = std::iter::from_fn(|| self.media.recv(&mut buffer).ok().map(|_| buffer[1] & 0x7f));
        packets.filter(|kind| *kind == 8).count()
    }

    /// The port of our RTP socket.
    pub fn port(&self) -> u16 {
        self.media.local_addr().expect("it is bound").port()
    }
}

/// An even port and the next one.
fn pair() -> (UdpSocket, UdpSocket) {
    for _ in 0..1_000 {
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = media.local_addr().expect("it is bound").port();
        if port.is_multiple_of(2)
            && let Ok(control) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1))
        {
            for socket in [&media, &control] {
                socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a span above zero");
            }
            return (media, control);
        }
    }
    panic!("no pair of ports is free");
}

fn content(sdp: &str) -> String {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}

/// The value of the first header of that name.
#[track_caller]
pub fn value<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(str::trim).unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// The value of the first attribute or line of a description that begins so.
#[track_caller]
pub fn line<'a>(message: &'a str, start: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no {start} in {message}"))
}

/// Where the description in a message says that RTP goes.
pub fn media_address(message: &str) -> SocketAddr {
    let port = line(message, "m=audio ").split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A description of plain RTP.
pub fn description(port: u16, formats: &str, more: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n{more}"
    )
}

/// An RTP packet of 20 ms at 8 kHz.
pub fn packet(payload_type: u8, number: u16, ssrc: u32, octet: u8) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(number.to_be_bytes());
    bytes.extend((u32::from(number) * 160).to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([octet; 160]);
    bytes
}
