//! The telephones beside a foreign client: SIPp from Debian's `sip-tester`. Skipped aloud where it is not installed.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::audio::Audio;
use loadtest::driver::Phones;
use loadtest::phone::{Behaviour, Event};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_secs(30);

#[test]
fn sipp_calls_a_telephone() {
    let phones = Phones::start().expect("a thread");
    let behaviour = Behaviour::answer().after(Duration::from_millis(200));
    let callee = phones.answering(ANY, behaviour, Audio::tone(440, 0.3)).expect("a port");
    let target = callee.address().to_string();
    let Some(sipp) = sipp(&["-sn", "uac", "-d", "500", "-m", "2", "-r", "1", &target]) else { return };
    for _ in 0..2 {
        callee.wait_for(LONG, |event| *event == Event::Answered).expect("SIPp calls");
        callee.wait_for(LONG, |event| matches!(event, Event::Bye { .. })).expect("SIPp hangs up");
    }
    succeeded(sipp);
}

#[test]
fn a_telephone_calls_sipp() {
    let port = UdpSocket::bind(ANY).and_then(|socket| socket.local_addr()).expect("a port").port();
    let Some(sipp) = sipp(&["-sn", "uas", "-m", "1", "-p", &port.to_string()]) else { return };
    let phones = Phones::start().expect("a thread");
    let target = format!("sip:service@127.0.0.1:{port}");
    let caller = phones.calling(ANY, &target, Audio::tone(440, 0.3), &[]).expect("a port");
    caller.wait_for(LONG, |event| matches!(event, Event::Ringing { .. })).expect("SIPp rings");
    caller.wait_for(LONG, |event| *event == Event::Answered).expect("SIPp answers");
    caller.hang_up().expect("an order");
    succeeded(sipp);
}

/// Starts SIPp; `None` where it is not installed.
fn sipp(arguments: &[&str]) -> Option<Child> {
    let common = ["-i", "127.0.0.1", "-nostdin", "-timeout", "25", "-timeout_error"];
    let child = Command::new("sipp")
        .args(common)
        .args(arguments)
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if child.is_err() {
        skipped();
    }
    child.ok()
}

#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
fn skipped() {
    println!("skipped: sipp is not installed");
}

#[track_caller]
fn succeeded(mut sipp: Child) {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        if let Some(status) = sipp.try_wait().expect("our own child") {
            assert!(status.success(), "SIPp says {status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = sipp.kill();
    panic!("SIPp did not end");
}
