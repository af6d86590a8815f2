//! The media thread under load on loopback: CPU per call-second and added latency of relayed calls.
//!
//! Bounded: `cargo bench --bench media_load -- [CALLS] [SECONDS] [BURST] [epoll|io_uring]`, by default 100 calls for 5
//! seconds, one packet at a time. One thread sends for all phones, one receives; the same packets without a server in
//! between are the base line.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use calmline::shell::clock::Clock;
use calmline::shell::media::{CaptureRing, CopyRing, MediaHandle, MediaIo, MediaOptions, MediaPriority, TapRing};
use media::{Codec, Command, LegId, Ssrc, Stamp, StreamSettings};
use tokio::sync::mpsc;

const CALLS_MAX: usize = 1_000;
const SECONDS_MAX: u64 = 60;
const BURST_MAX: u64 = 1_000;
const PACKETS_PER_SECOND: u32 = 50;
/// Ports below those that the system hands out by itself.
const PORT_FIRST: u16 = 20_000;
const PORT_LAST: u16 = 30_000;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let calls = usize::try_from(numbers.next().unwrap_or(100)).unwrap_or(CALLS_MAX).clamp(1, CALLS_MAX);
    let seconds = numbers.next().unwrap_or(5).clamp(1, SECONDS_MAX);
    let burst = numbers.next().unwrap_or(1).clamp(1, BURST_MAX) as usize;

    let io = match std::env::args().next_back().as_deref() {
        Some("epoll") => MediaIo::Epoll,
        Some("io_uring") => MediaIo::IoUring,
        _ => MediaIo::Auto,
    };

    let phones = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
    let home = phones.local_addr().expect("it is bound");
    let tap = Arc::new(TapRing::new(8_192));
    let direct = exchange(&phones, &vec![home; calls * 2], seconds.min(3), burst, &tap);
    println!("without a server: {direct}");

    let (sender, mut events) = mpsc::channel(10_000);
    let options = MediaOptions {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        threads: 1,
        legs_max: calls * 2,
        cpus: Vec::new(),
        io,
        stamps: false,
        priority: MediaPriority::Realtime,
        tap: Arc::clone(&tap),
        copies: Arc::new(CopyRing::new(64)),
        captures: Arc::new(CaptureRing::new(64)),
        events: sender,
        clock: Clock::start(),
    };
    let handle = MediaHandle::start(options).expect("a thread can be started");
    let servers = open_calls(&handle, calls, home);
    let cpu_before = media_thread_cpu();
    let relayed = exchange(&phones, &servers, seconds, burst, &tap);
    let cpu = media_thread_cpu().saturating_sub(cpu_before);
    println!("through the media thread: {relayed}");

    let call_seconds = calls as f64 * seconds as f64;
    println!("{calls} calls, CPU {:.3} ms per call-second", cpu.as_secs_f64() * 1_000.0 / call_seconds);
    println!("{:?}", handle.figures());
    handle.stop();
    while events.try_recv().is_ok() {}
}

/// Opens, configures, taps and bridges the legs; returns their addresses.
fn open_calls(handle: &MediaHandle, calls: usize, home: SocketAddr) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    let mut port = PORT_FIRST;
    for number in 0..calls as u32 * 2 {
        let leg = LegId(number);
        port = free_pair(port);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        port += 2;
        let settings = StreamSettings::plain(Some(home), Codec::Pcmu, 0);
        let mut orders = vec![Command::Configure { leg, settings }, Command::Tap { leg, on: true }];
        if number % 2 == 1 {
            orders.push(Command::Bridge { a: LegId(number - 1), b: leg });
        }
        handle.open(0, leg, address.port(), None).expect("there is room");
        for order in orders {
            handle.send(order).expect("there is room");
        }
        servers.push(address);
        std::thread::sleep(Duration::from_micros(200));
    }
    servers
}

/// The next even port from `port` on that is free together with the one above it, which takes reports.
fn free_pair(port: u16) -> u16 {
    let free = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (port..PORT_LAST).step_by(2).find(|&port| free(port) && free(port + 1)).expect("loopback has ports")
}

/// Sends 50 packets per second to every target, `burst` at a time, evenly spread, and receives what comes back.
fn exchange(phones: &UdpSocket, targets: &[SocketAddr], seconds: u64, burst: usize, tap: &TapRing) -> Latencies {
    let start = Instant::now();
    let receiver = phones.try_clone().expect("a socket can be shared");
    receiver.set_read_timeout(Some(Duration::from_millis(500))).expect("a span above zero");
    let listening = std::thread::spawn(move || listen(&receiver, start));

    let rounds = PACKETS_PER_SECOND * seconds as u32;
    let gap = Duration::from_secs(1) / PACKETS_PER_SECOND / targets.len() as u32;
    let mut due = Duration::ZERO;
    for round in 0..rounds {
        for (number, target) in targets.iter().enumerate() {
            due += gap;
            if number % burst == 0
                && let Some(wait) = due.checked_sub(start.elapsed())
            {
                while tap.pop().is_some() {}
                std::thread::sleep(wait);
            }
            let packet = packet(number as u32, round, start.elapsed());
            phones.send_to(&packet, target).expect("loopback takes it");
        }
    }
    let sent = rounds as usize * targets.len();
    let mut micros = listening.join().expect("the receiver lives");
    micros.sort_unstable();
    Latencies { sent, micros }
}

/// Latencies in microseconds of all packets that come, until none comes for a while.
fn listen(socket: &UdpSocket, start: Instant) -> Vec<u32> {
    let mut micros = Vec::new();
    let mut buffer = [0; 2_000];
    while let Ok(length) = socket.recv(&mut buffer) {
        let now = start.elapsed().as_nanos() as u64;
        let sent = buffer[..length].get(12..20).and_then(|bytes| bytes.try_into().ok()).map_or(now, u64::from_be_bytes);
        micros.push((now.saturating_sub(sent) / 1_000) as u32);
    }
    micros
}

fn packet(number: u32, round: u32, now: Duration) -> [u8; 172] {
    let (sequence, timestamp) = (round as u16, round * 160);
    let stamp = Stamp { marker: false, payload_type: 0, sequence, timestamp, ssrc: Ssrc(number) };
    let mut bytes = [0x55; 172];
    bytes[..12].copy_from_slice(&stamp.to_bytes());
    bytes[12..20].copy_from_slice(&(now.as_nanos() as u64).to_be_bytes());
    bytes
}

struct Latencies {
    sent: usize,
    /// Sorted.
    micros: Vec<u32>,
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.micros.get((self.micros.len() as f64 * share) as usize).copied().unwrap_or(0);
        let lost = self.sent.saturating_sub(self.micros.len());
        write!(f, "{} sent, {lost} lost, latency p50 {} us, p99 {} us", self.sent, at(0.5), at(0.99))
    }
}

/// CPU time of the thread `media-0` so far, from the scheduler's books.
fn media_thread_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = tasks
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "media-0"))
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|books| books.split_whitespace().next()?.parse::<u64>().ok());
    Duration::from_nanos(nanos.sum())
}
