//! In steady state a media thread asks the allocator for nothing, in either way of waiting for packets.
#![expect(unsafe_code, reason = "counting allocations takes a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use calmline::shell::clock::Clock;
use calmline::shell::media::{CaptureRing, CopyRing, MediaHandle, MediaIo, MediaOptions, MediaPriority, TapRing};
use media::{Codec, Command, LegId, Ssrc, Stamp, StreamSettings};
use tokio::sync::mpsc;

const LEGS: u32 = 20;
const ROUNDS_WARM: u16 = 10;
const ROUNDS: u16 = 200;
/// Ports below those that the system hands out by itself.
const PORT_FIRST: u16 = 14_000;
const PORT_LAST: u16 = 20_000;

#[test]
fn steady_state_allocates_nothing() {
    OURS.set(true);
    for io in [MediaIo::Epoll, MediaIo::IoUring] {
        let (sender, mut events) = mpsc::channel(1_000);
        let tap = Arc::new(TapRing::new(64));
        let handle = MediaHandle::start(MediaOptions {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            threads: 1,
            cpus: Vec::new(),
            io,
            stamps: true,
            priority: MediaPriority::Realtime,
            legs_max: LEGS as usize,
            tap: Arc::clone(&tap),
            copies: Arc::new(CopyRing::new(64)),
            captures: Arc::new(CaptureRing::new(64)),
            events: sender,
            clock: Clock::start(),
        })
        .expect("a thread can be started");
        let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
        phone.set_read_timeout(Some(Duration::from_secs(10))).expect("a span above zero");
        let servers = open(&handle, phone.local_addr().expect("it is bound"));

        (0..ROUNDS_WARM).for_each(|round| exchange(&phone, &servers, round));
        let before = COUNT.load(Ordering::SeqCst);
        (ROUNDS_WARM..ROUNDS_WARM + ROUNDS).for_each(|round| exchange(&phone, &servers, round));
        assert_eq!(COUNT.load(Ordering::SeqCst) - before, 0, "calls of the allocator, {io:?}");

        handle.stop();
        assert_eq!(handle.figures().packets_relayed, u64::from(LEGS) * u64::from(ROUNDS + ROUNDS_WARM));
        assert_eq!(tap.len(), 64);
        while events.try_recv().is_ok() {}
    }
}

/// Opens, configures, taps and bridges the legs; returns their addresses.
fn open(handle: &MediaHandle, phone: SocketAddr) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    let mut port = PORT_FIRST;
    for number in 0..LEGS {
        let leg = LegId(number);
        port = free_pair(port);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        port += 2;
        handle.open(0, leg, address.port(), None).expect("there is room");
        let settings = StreamSettings::plain(Some(phone), Codec::Pcmu, 0);
        handle.send(Command::Configure { leg, settings }).expect("there is room");
        handle.send(Command::Tap { leg, on: true }).expect("there is room");
        handle.send(Command::Copy { leg, on: number == 0 }).expect("there is room");
        if number % 2 == 1 {
            handle.send(Command::Bridge { a: LegId(number - 1), b: leg }).expect("there is room");
        }
        servers.push(address);
    }
    let end = Instant::now() + Duration::from_secs(10);
    while handle.figures().legs_open < u64::from(LEGS) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The last orders come behind the last socket.
    std::thread::sleep(Duration::from_millis(50));
    servers
}

/// The next even port from `port` on that is free together with the one above it, which takes reports.
fn free_pair(port: u16) -> u16 {
    let free = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (port..PORT_LAST).step_by(2).find(|&port| free(port) && free(port + 1)).expect("loopback has ports")
}

/// A packet to every leg, and as many back.
fn exchange(phone: &UdpSocket, servers: &[SocketAddr], round: u16) {
    for (number, server) in servers.iter().enumerate() {
        let timestamp = u32::from(round) * 160;
        let ssrc = Ssrc(number as u32);
        let stamp = Stamp { marker: false, payload_type: 0, sequence: round, timestamp, ssrc };
        let mut packet = [0xff; 172];
        packet[..12].copy_from_slice(&stamp.to_bytes());
        phone.send_to(&packet, server).expect("loopback takes it");
    }
    for _ in servers {
        phone.recv(&mut [0; 2_000]).expect("a packet comes");
    }
}

/// The system's allocator, with a count of the calls that the test itself did not make.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches only numbers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count() {
    if !OURS.get() {
        COUNT.fetch_add(1, Ordering::SeqCst);
    }
}

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
