//! Starts SIPp with a scenario of `tests/sipp`, bounded in calls and time.
//!
//! Knows nothing of what it runs against: the tests of the SIP side and those of the whole program share it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::task::JoinHandle;

/// One run of SIPp.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// File name without `.xml`.
    pub(super) scenario: &'static str,
    /// Calls in all.
    pub(super) calls: u32,
    /// Calls per second.
    pub(super) rate: u32,
    /// How long a caller stays, in scenarios that leave it open.
    pub(super) stays_ms: u32,
    /// `u1` for UDP, `t1` for TCP over one connection.
    pub(super) transport: &'static str,
}

/// False, and said aloud, when SIPp is missing.
#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
pub(super) fn is_there() -> bool {
    let found = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: the program `sipp` is missing (Debian package sip-tester)");
    }
    found
}

/// An address on loopback that is free, below the ports that the system gives away by itself.
///
/// Each test process looks in its own corner, so that tests which run at once do not meet.
pub(super) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let corner = corner(PORTS);
    (0..PORTS)
        .map(|_| 10_000 + corner + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok())
        .expect("a port of the corner is free")
}

/// The first of ten media ports that are free: SIPp takes up to four from here on, and gives up when one is taken.
///
/// No two runs of one test process are given the same ones.
fn free_media_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let corner = corner(MEDIA_PORTS);
    let is_free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..100)
        .map(|_| 20_000 + corner + NEXT.fetch_add(10, Ordering::Relaxed) % MEDIA_PORTS)
        .find(|first| (*first..first + 10).all(is_free))
        .expect("one of a hundred blocks of ports is free")
}

/// Where this process's own ports begin, of so many that each process has.
fn corner(size: u16) -> u16 {
    u16::try_from(std::process::id() % CORNERS).unwrap_or(0) * size
}

/// How many test processes have ports of their own, and how many of them: for SIP, and for SIPp's media.
const CORNERS: u32 = 50;
const PORTS: u16 = 160;
const MEDIA_PORTS: u16 = 240;

/// SIPp as a caller of `target`, with more arguments.
pub(super) fn call(target: SocketAddr, run: Run, arguments: Vec<String>) -> JoinHandle<Output> {
    start(move || {
        let mut command = command(run, SocketAddr::new(target.ip(), free_address().port()));
        command.arg(target.to_string()).args(["-s", "bot", "-d", &run.stays_ms.to_string()]).args(&arguments);
        command
    })
}

/// SIPp as a bot that is called at `address`.
pub(super) fn answer(address: SocketAddr, run: Run) -> JoinHandle<Output> {
    start(move || {
        let mut command = command(run, address);
        command.arg("-rtp_echo");
        command
    })
}

/// Waits for SIPp; panics with what it printed unless every call went as the scenario says.
pub(super) async fn finish(name: &str, sipp: JoinHandle<Output>) {
    let output = sipp.await.expect("SIPp's thread does not panic");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{text}\n{errors}", output.status);
}

fn command(run: Run, address: SocketAddr) -> Command {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sipp");
    let media_port = free_media_port();
    let mut command = Command::new("sipp");
    command
        .current_dir(folder)
        .args(["-sf", &format!("{}.xml", run.scenario)])
        .args(["-i", &address.ip().to_string(), "-p", &address.port().to_string()])
        .args(["-mi", &address.ip().to_string(), "-mp", &media_port.to_string()])
        .args(["-t", run.transport])
        .args(["-m", &run.calls.to_string(), "-r", &run.rate.to_string()])
        .args(["-timeout", "40s", "-timeout_error", "-nostdin"])
        .stdin(Stdio::null());
    command
}

/// Starts what `command` makes; once more when somebody took a port between our look at it and SIPp's.
fn start(command: impl Fn() -> Command + Send + 'static) -> JoinHandle<Output> {
    tokio::task::spawn_blocking(move || {
        let once = || command().output().expect("sipp was there a moment ago");
        let lost_a_port = |output: &Output| String::from_utf8_lossy(&output.stderr).contains("Unable to bind");
        Some(once()).filter(|output| !lost_a_port(output)).unwrap_or_else(once)
    })
}
