//! A TURN server that other people have made: Debian's coturn, with passwords for some hours made of a shared secret.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use webrtc::peer_connection::RTCIceServer;

/// The program, which runs as long as this lives.
pub struct Relay(Child);

/// A port for it; `None`, said aloud, when it is not installed.
pub fn free_port() -> Option<u16> {
    if Command::new("turnserver").arg("--version").output().is_err() {
        println!("skipped: no TURN server (apt install coturn)");
        return None;
    }
    Some(UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port())
}

impl Relay {
    /// One on loopback that knows `secret`.
    pub fn start(port: u16, secret: &str) -> Self {
        let port = format!("--listening-port={port}");
        let secret = format!("--static-auth-secret={secret}");
        let address = ["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers"];
        let plain = ["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file=stdout", "--pidfile=/dev/null"];
        let child = Command::new("turnserver")
            .args([&port, "--use-auth-secret", &secret, "--realm=calmline"])
            .args(address)
            .args(plain)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("it is installed"))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
