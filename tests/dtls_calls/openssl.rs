//! OpenSSL as the far end's DTLS: a process of its own shakes hands, and prints the keys that it exports.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use media::sdp::Fingerprint;
use media::srtp::{MasterKey, SessionKeys, Suite};

use crate::stage::ANY;

/// The only profile that it offers and takes.
const PROFILE: &str = "SRTP_AES128_CM_SHA1_80";
const SUITE: Suite = Suite::AesCm128HmacSha1Tag80;

/// A key and a certificate made by OpenSSL.
pub struct Identity {
    folder: PathBuf,
    pub fingerprint: Fingerprint,
}

/// A handshake that OpenSSL makes.
pub struct OpenSsl {
    process: Child,
    lines: Receiver<String>,
    wire: UdpSocket,
    active: bool,
    keys: Option<SessionKeys>,
}

impl Identity {
    /// `None`, said aloud, when OpenSSL is not installed.
    pub fn make(folder: &Path) -> Option<Identity> {
        let folder = folder.join("openssl");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=peer", "-newkey", "ec"]);
        make.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout"]).arg(folder.join("key"));
        if make.arg("-out").arg(folder.join("certificate")).output().is_err() {
            println!("skipped: openssl is not installed");
            return None;
        }
        let mut print = Command::new("openssl");
        print.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(folder.join("certificate"));
        let printed = String::from_utf8(print.output().expect("it is installed").stdout).expect("text");
        let (_, digits) = printed.trim().split_once('=').expect("it prints a fingerprint");
        let fingerprint = Fingerprint::parse(&format!("sha-256 {digits}")).expect("it is one");
        Some(Identity { folder, fingerprint })
    }
}

impl OpenSsl {
    pub fn start(identity: &Identity, active: bool) -> OpenSsl {
        let wire = UdpSocket::bind(ANY).expect("a port");
        wire.set_nonblocking(true).expect("a socket");
        let address = wire.local_addr().expect("bound");
        let mut command = Command::new("openssl");
        command.arg(if active { "s_client" } else { "s_server" });
        command.args(["-dtls1_2", "-use_srtp", PROFILE, "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen"]);
        command.arg((2 * (SUITE.key_bytes() + SUITE.salt_bytes())).to_string());
        command.arg("-cert").arg(identity.folder.join("certificate")).arg("-key").arg(identity.folder.join("key"));
        if active {
            command.args(["-connect", &address.to_string()]);
        } else {
            let port = free_port();
            command.args(["-Verify", "1", "-accept", &port.to_string()]);
            wire.connect(SocketAddr::new(address.ip(), port)).expect("loopback");
        }
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = process.expect("openssl is installed");
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        if !active {
            // It prints nothing when it is ready; what comes too early is said again.
            std::thread::sleep(Duration::from_millis(200));
        }
        OpenSsl { process, lines, wire, active, keys: None }
    }

    pub fn handle(&mut self, datagram: &[u8]) {
        // Before it listens, the system reports that nobody does.
        let _ = self.wire.send(datagram);
    }

    pub fn poll(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2_048];
        let (length, from) = self.wire.recv_from(&mut buffer).ok()?;
        self.wire.connect(from).expect("loopback");
        Some(buffer[..length].to_vec())
    }

    pub fn keys(&mut self) -> Option<&SessionKeys> {
        while self.keys.is_none() {
            let line = self.lines.try_recv().ok()?;
            let Some(digits) = line.trim().strip_prefix("Keying material: ") else { continue };
            let octets: Vec<u8> = (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hexadecimal"))
                .collect();
            let (key, salt) = (SUITE.key_bytes(), SUITE.salt_bytes());
            let direction = |at: usize| {
                let own = [&octets[at * key..][..key], &octets[2 * key + at * salt..][..salt]].concat();
                MasterKey::new(SUITE, &own).expect("as long as the suite asks for")
            };
            let (client, server) = (direction(0), direction(1));
            let (send, receive) = if self.active { (client, server) } else { (server, client) };
            self.keys = Some(SessionKeys { send, receive });
        }
        self.keys.as_ref()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    UdpSocket::bind(ANY).and_then(|socket| socket.local_addr()).expect("a port").port()
}
