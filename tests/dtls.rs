//! Key handshakes with OpenSSL over loopback, as either end: the exported keys are the same.
//!
//! Says so and passes where the `openssl` command is not installed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use calmline::shell::dtls::{Certificate, Endpoint};
use media::sdp::{Fingerprint, Handshake};
use media::srtp::{SessionKeys, Suite};

/// What OpenSSL offers or takes, and what comes of it: its own order counts at either end.
const PROFILES: [(&str, Suite); 5] = [
    ("SRTP_AES128_CM_SHA1_80", Suite::AesCm128HmacSha1Tag80),
    ("SRTP_AEAD_AES_128_GCM", Suite::AeadAes128Gcm),
    ("SRTP_AEAD_AES_256_GCM", Suite::AeadAes256Gcm),
    ("SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", Suite::AesCm128HmacSha1Tag80),
    ("SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80", Suite::AeadAes128Gcm),
];

#[test]
fn openssl_answers_us() {
    for (profiles, suite) in PROFILES {
        let Some(peer) = Peer::new("answers", "ec") else { return };
        let port = free_port();
        let mut server = peer.command("s_server", profiles, suite);
        server.args(["-accept", &port.to_string(), "-Verify", "1"]);
        peer.compare(server, suite, true, Some(port));
    }
}

#[test]
fn openssl_calls_us() {
    for (profiles, suite) in PROFILES {
        let Some(peer) = Peer::new("calls", "ec") else { return };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("it is bound").port();
        let mut client = peer.command("s_client", profiles, suite);
        client.args(["-connect", &format!("127.0.0.1:{port}")]);
        peer.compare_on(&socket, client, suite, false, None);
    }
}

/// Old far ends have RSA certificates, which take several datagrams.
#[test]
fn openssl_may_have_an_rsa_certificate() {
    let (profiles, suite) = PROFILES[0];
    let Some(peer) = Peer::new("rsa", "rsa:4096") else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("it is bound").port();
    let mut client = peer.command("s_client", profiles, suite);
    client.args(["-connect", &format!("127.0.0.1:{port}")]);
    peer.compare_on(&socket, client, suite, false, None);
}

/// OpenSSL's certificate in a folder of its own.
struct Peer {
    folder: PathBuf,
    fingerprint: Fingerprint,
}

impl Peer {
    #[expect(clippy::print_stderr, reason = "whoever reads the log should know that nothing was tried")]
    fn new(name: &str, key: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("calmline-dtls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=peer", "-newkey", key]);
        if key == "ec" {
            make.args(["-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        make.arg("-keyout").arg(folder.join("key")).arg("-out").arg(folder.join("certificate"));
        if make.output().is_err() {
            eprintln!("openssl is not installed: nothing was tried");
            return None;
        }
        let fingerprint = fingerprint(&folder.join("certificate"));
        Some(Self { folder, fingerprint })
    }

    fn command(&self, role: &str, profiles: &str, suite: Suite) -> Command {
        let mut command = Command::new("openssl");
        let length = 2 * (suite.key_bytes() + suite.salt_bytes());
        command.args([role, "-dtls1_2", "-use_srtp", profiles, "-keymatexport", "EXTRACTOR-dtls_srtp"]);
        command.args(["-keymatexportlen", &length.to_string()]);
        command.arg("-cert").arg(self.folder.join("certificate")).arg("-key").arg(self.folder.join("key"));
        command
    }

    fn compare(&self, command: Command, suite: Suite, active: bool, port: Option<u16>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        self.compare_on(&socket, command, suite, active, port);
    }

    /// Shakes hands on `socket` with the process and compares what both have exported.
    fn compare_on(&self, socket: &UdpSocket, mut command: Command, suite: Suite, active: bool, port: Option<u16>) {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut process = Process(process.expect("openssl is installed"));
        let lines = process.lines();
        if let Some(port) = port {
            socket.connect(("127.0.0.1", port)).expect("a loopback address");
            // It prints nothing when it is ready; what comes too early is said again.
            thread::sleep(Duration::from_millis(200));
        }
        let keys = shake(socket, &self.fingerprint, active);
        assert_eq!(keys.send.suite(), suite);

        let exported = std::iter::from_fn(|| lines.recv_timeout(Duration::from_secs(10)).ok())
            .find_map(|line| line.trim().strip_prefix("Keying material: ").map(str::to_owned))
            .expect("openssl prints what it has exported");
        let (client, server) = if active { (keys.send, keys.receive) } else { (keys.receive, keys.send) };
        let ours = [client.key(), server.key(), client.salt(), server.salt()].concat();
        let ours: String = ours.iter().map(|octet| format!("{octet:02X}")).collect();
        assert!(exported == ours, "the keys differ");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process that ends with the test.
struct Process(Child);

impl Process {
    /// What it prints, as it prints it.
    fn lines(&mut self) -> mpsc::Receiver<String> {
        let (sender, lines) = mpsc::channel();
        let stdout = self.0.stdout.take().expect("it is piped");
        let stderr = self.0.stderr.take().expect("it is piped");
        let readers: [Box<dyn BufRead + Send>; 2] =
            [Box::new(BufReader::new(stdout)), Box::new(BufReader::new(stderr))];
        for reader in readers {
            let sender = sender.clone();
            thread::spawn(move || reader.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        }
        lines
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shake(socket: &UdpSocket, expected: &Fingerprint, active: bool) -> SessionKeys {
    let certificate = Certificate::generate().expect("the system gives randomness");
    let start = Instant::now();
    let agreed = Handshake { fingerprint: expected.clone(), active, separate_control: false };
    let mut endpoint = Endpoint::new(agreed, &certificate, Duration::ZERO).expect("the certificate is ours");
    let mut buffer = [0; 2048];
    loop {
        while let Some(datagram) = endpoint.poll() {
            // Before it listens, the system reports that nobody does.
            let _ = socket.send(&datagram);
        }
        if let Some(keys) = endpoint.keys() {
            return keys.clone();
        }
        assert_eq!(endpoint.failure(), None);
        assert!(start.elapsed() < Duration::from_secs(15), "nothing comes");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            socket.connect(from).expect("a loopback address");
            endpoint.handle(start.elapsed(), &buffer[..length]);
        }
        if endpoint.deadline().is_some_and(|deadline| deadline <= start.elapsed()) {
            endpoint.tick(start.elapsed());
        }
    }
}

fn fingerprint(certificate: &Path) -> Fingerprint {
    let printed = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .expect("openssl is installed");
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let (_, digits) = printed.trim().split_once('=').expect("it prints a fingerprint");
    Fingerprint::parse(&format!("sha-256 {digits}")).expect("it is one")
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("it is bound").port()
}
