//! A TURN server that other people have made: Debian's coturn, with passwords for some hours made of a shared secret.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use webrtc::peer_connection::RTCIceServer;

use crate::interop::program::{self, Program};

/// A port for it; `None`, said aloud, when it is not installed.
pub fn free_port() -> Option<u16> {
    let is_there = program::is_there("turnserver", "--version", "coturn");
    is_there.then(|| UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port())
}

/// One on loopback that knows `secret`; what it prints goes to a file of `folder`.
pub fn start(port: u16, secret: &str, folder: &Path) -> Program {
    let port = format!("--listening-port={port}");
    let secret = format!("--static-auth-secret={secret}");
    let address = ["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers"];
    let plain = ["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file=stdout", "--pidfile=/dev/null"];
    let mut command = Command::new("turnserver");
    command.args([&port, "--use-auth-secret", &secret, "--realm=calmline"]).args(address).args(plain);
    Program::start(command.stdin(Stdio::null()), &folder.join("turn.log"))
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
