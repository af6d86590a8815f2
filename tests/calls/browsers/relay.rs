//! A TURN server that other people have made: Debian's coturn, with passwords for some hours made of a shared secret.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use webrtc::peer_connection::RTCIceServer;

use crate::interop::program::{self, Program};

/// How long it may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// A port for it, which nobody else gets as long as this is kept; `None`, said aloud, when it is not installed.
pub fn free_port() -> Option<UdpSocket> {
    let is_there = program::is_there("turnserver", "--version", "coturn");
    is_there.then(|| UdpSocket::bind("127.0.0.1:0").expect("a port"))
}

/// One on loopback, at the port that was kept for it, that knows `secret` and answers; what it prints goes to a file of `folder`.
pub fn start(kept: UdpSocket, secret: &str, folder: &Path) -> Program {
    let at = kept.local_addr().expect("bound");
    let port = format!("--listening-port={}", at.port());
    let secret = format!("--static-auth-secret={secret}");
    let address = ["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers"];
    let plain = ["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file=stdout", "--pidfile=/dev/null"];
    let mut command = Command::new("turnserver");
    command.args([&port, "--use-auth-secret", &secret, "--realm=calmline"]).args(address).args(plain);
    drop(kept);
    let mut program = Program::start(command.stdin(Stdio::null()), &folder.join("turn.log"));

    let asks = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.connect(at).map(|()| socket)).expect("a socket");
    asks.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    // A Binding request without attributes (RFC 8489 §5).
    let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let end = Instant::now() + BEGINS_WITHIN;
    while asks.send(&request).is_err() || asks.recv(&mut [0; 512]).is_err() {
        assert!(!program.has_ended() && Instant::now() < end, "the TURN server does not answer: see its turn.log");
        thread::sleep(Duration::from_millis(20));
    }
    program
}

/// Servers as the API tells browsers of them.
pub fn servers_of(told: &Value) -> Vec<RTCIceServer> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let server = |server: &Value| RTCIceServer {
        urls: server["urls"].as_array().into_iter().flatten().map(text).collect(),
        username: text(&server["username"]),
        credential: text(&server["credential"]),
    };
    told.as_array().into_iter().flatten().map(server).collect()
}
