//! A server that is restarted under fire, with sockets that outlive it: whoever asks meanwhile is answered.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use calmline::demo::server::{Plan, Server};

use super::phone::{PATIENCE, PROGRAM};

/// Starts the program as systemd would: its sockets are the descriptors from 3 on.
const LAUNCHER: &str = "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"";
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// A question without an answer is asked again (RFC 3261, T1).
const AGAIN: Duration = Duration::from_millis(500);

#[test]
fn a_restart_refuses_nobody() {
    let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (sip_at, web_at) = (sip.local_addr().expect("it is bound"), web.local_addr().expect("it is bound"));
    let mut plan = Plan::for_loopback().expect("free ports");
    for (planned, given) in [(plan.addresses.sip, sip_at), (plan.addresses.web, web_at)] {
        plan.configuration = plan.configuration.replace(&planned.to_string(), &given.to_string());
    }
    plan.configuration = plan.configuration.replace("enabled = true", "enabled = false");
    (plan.addresses.sip, plan.addresses.web) = (sip_at, web_at);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wire-restart");
    let start = || {
        let mut command = Command::new("sh");
        command.arg("-c").arg(LAUNCHER).arg(PROGRAM);
        command.stdin(OwnedFd::from(sip.try_clone().expect("a descriptor")));
        command.stdout(OwnedFd::from(web.try_clone().expect("a descriptor")));
        Server::start_by(command, &folder, &plan, &[]).expect("a server")
    };

    let mut first = start();
    let is_over = Arc::new(AtomicBool::new(false));
    let asking = std::thread::spawn({
        let is_over = is_over.clone();
        move || ask(sip_at, &is_over)
    });
    std::thread::sleep(Duration::from_millis(500));
    first.signal();
    assert_eq!(first.wait().expect("it ends").code(), Some(0));
    // Nobody is there, and nobody is refused.
    let mut waiting = TcpStream::connect(web_at).expect("the socket is open");
    waiting.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("a request");
    std::thread::sleep(Duration::from_millis(500));
    let second = start();
    let mut health = String::new();
    waiting.read_to_string(&mut health).expect("an answer");
    assert!(health.ends_with("ok\n"), "{health}");
    std::thread::sleep(Duration::from_millis(500));
    is_over.store(true, Ordering::Relaxed);

    let Asked { asked, unanswered, refused } = asking.join().expect("the asker lives");
    assert!(asked > 50, "asked only {asked} times");
    assert_eq!((unanswered.len(), refused), (0, 0), "of {asked}");
    second.stop().expect("it ends");
}

/// What came of the questions.
struct Asked {
    asked: u32,
    unanswered: BTreeSet<u32>,
    refused: u32,
}

/// Asks by OPTIONS until it is over and all have been answered, or for as long as is sensible.
fn ask(server: SocketAddr, is_over: &AtomicBool) -> Asked {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    // A connected socket is told when nobody takes what it sends.
    socket.connect(server).expect("loopback");
    socket.set_nonblocking(true).expect("a socket");
    let mut heard = Asked { asked: 0, unanswered: BTreeSet::new(), refused: 0 };
    let (mut last_repeat, mut end) = (Instant::now(), None);
    loop {
        let now = Instant::now();
        if is_over.load(Ordering::Relaxed) {
            if heard.unanswered.is_empty() || now > *end.get_or_insert(now + PATIENCE) {
                return heard;
            }
        } else {
            heard.asked += 1;
            heard.unanswered.insert(heard.asked);
            let number = heard.asked;
            say(&socket, number, &mut heard.refused);
        }
        if now > last_repeat + AGAIN {
            last_repeat = now;
            for &number in &heard.unanswered {
                say(&socket, number, &mut heard.refused);
            }
        }
        std::thread::sleep(PAUSE);
        heard.listen(&socket);
    }
}

impl Asked {
    /// Takes the answers that have come.
    fn listen(&mut self, socket: &UdpSocket) {
        let mut buffer = [0; 4_096];
        loop {
            let length = match socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.refused += 1;
                    continue;
                }
                Err(_) => return,
            };
            let text = String::from_utf8_lossy(&buffer[..length]);
            let number = text.lines().find_map(|line| line.strip_prefix("CSeq: ")?.split(' ').next()?.parse().ok());
            if let Some(number) = number.filter(|_| text.starts_with("SIP/2.0 200 ")) {
                self.unanswered.remove(&number);
            }
        }
    }
}

fn say(socket: &UdpSocket, number: u32, refused: &mut u32) {
    let at = socket.local_addr().expect("it is bound");
    let text = format!(
        "OPTIONS sip:server SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKasks{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:asker@{at}>;tag=1\r\nTo: <sip:server>\r\nCall-ID: {number}@asker\r\nCSeq: {number} OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    if let Err(error) = socket.send(text.as_bytes()) {
        *refused += u32::from(error.kind() == ErrorKind::ConnectionRefused);
    }
}
