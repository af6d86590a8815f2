//! Real sockets on loopback around a running media thread. No assertion on time.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use media::{Codec, PlayMode, PromptId, RtpHeader, Sound, Ssrc, Stamp, StreamSettings};

use super::*;

const PACKETS: u16 = 100;
const WAYS: [MediaIo; 2] = [MediaIo::Epoll, MediaIo::IoUring];

#[test]
fn a_hundred_packets_each_way_without_loss() {
    WAYS.into_iter().for_each(a_hundred_packets_by);
}

fn a_hundred_packets_by(io: MediaIo) {
    let mut stage = Stage::new(2, io);
    for number in 0..PACKETS {
        stage.phones[0].send(number);
        stage.phones[1].send(number);
        stage.phones[0].receive();
        stage.phones[1].receive();
    }
    for phone in &stage.phones {
        let first = phone.heard[0];
        let expected: Vec<(u16, u32)> = (0..PACKETS)
            .map(|n| (first.sequence.wrapping_add(n), first.timestamp.wrapping_add(u32::from(n) * 160)))
            .collect();
        let got: Vec<(u16, u32)> = phone.heard.iter().map(|header| (header.sequence, header.timestamp)).collect();
        assert_eq!(got, expected);
        assert_ne!(first.ssrc, Ssrc(7));
    }

    stage.handle.send(Command::Close { leg: LegId(1) }).expect("there is room");
    let stats = stage.wait_for(|event| match event {
        Event::Closed { leg: LegId(1), stats } => Some(*stats),
        _ => None,
    });
    assert_eq!((stats.packets_received, stats.packets_sent, stats.packets_lost), (100, 100, 0));

    assert_eq!(stage.tap.len(), usize::from(PACKETS), "one of the legs is tapped");
    // The event leaves before the thread has written its figures down, and the other thread may not have begun.
    let end = Instant::now() + Duration::from_secs(10);
    let settled = |figures: MediaFigures| figures.legs_open == 1 && figures.threads_alive == 2;
    while !settled(stage.handle.figures()) && Instant::now() < end {
        std::thread::yield_now();
    }
    let figures = stage.handle.figures();
    assert_eq!((figures.packets_received, figures.packets_relayed, figures.legs_open), (200, 200, 1));
    assert_eq!((figures.threads_alive, figures.packets_refused, figures.sends_failed), (2, 0, 0));
    stage.handle.stop();
    assert_eq!(stage.handle.figures().threads_alive, 0);
    assert_eq!(stage.handle.send(Command::Close { leg: LegId(2) }), Err(Refused::Stopped));
}

#[test]
fn a_sound_reaches_the_phone() {
    WAYS.into_iter().for_each(a_sound_by);
}

fn a_sound_by(io: MediaIo) {
    let mut stage = Stage::new(1, io);
    let sound = Arc::new(Sound { samples: vec![1_000; 800] });
    let (leg, prompt) = (LegId(1), PromptId(9));
    stage
        .handle
        .send(Command::Play { leg, prompt, sound, mode: PlayMode::Replace, repeats: false, key_ends: false })
        .expect("there is room");
    for _ in 0..5 {
        stage.phones[0].receive();
    }
    stage.wait_for(|event| (*event == Event::PlayStarted { leg, prompt }).then_some(()));
    stage.wait_for(|event| (*event == Event::PlayEnded { leg, prompt, completed: true }).then_some(()));
    let first = stage.phones[0].heard[0];
    let steps: Vec<u16> =
        stage.phones[0].heard.iter().map(|header| header.sequence.wrapping_sub(first.sequence)).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4]);
    assert_eq!(stage.handle.figures().packets_made, 5);
}

#[test]
fn a_taken_port_is_told() {
    let mut stage = Stage::new(1, MediaIo::Auto);
    let taken = stage.phones[0].socket.local_addr().expect("it is bound").port();
    stage.handle.open(0, LegId(9), taken, None).expect("there is room");
    let reason = stage.wait_for(|event| match event {
        Event::OpenFailed { leg: LegId(9), reason } => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains(&taken.to_string()), "{reason}");
}

#[test]
fn legs_of_two_threads_cannot_be_bridged() {
    let stage = Stage::new(2, MediaIo::Auto);
    stage.handle.open(1, LegId(9), free_port(), None).expect("there is room");
    assert_eq!(stage.handle.send(Command::Bridge { a: LegId(1), b: LegId(9) }), Err(Refused::Apart));
}

#[test]
fn a_thread_that_breaks_down_begins_again() {
    for io in WAYS {
        let mut stage = Stage::new(2, io);
        let other = Phone::on(&stage.handle, 1, LegId(11));
        stage.handle.break_down(0);
        let mut lost = Vec::new();
        while lost.len() < 2 {
            lost.push(stage.wait_for(|event| match event {
                Event::Closed { leg, .. } => Some(*leg),
                _ => None,
            }));
        }
        assert_eq!(lost, [LegId(1), LegId(2)], "its legs are told to be closed, and no others");
        assert_eq!(stage.handle.send(Command::Close { leg: LegId(1) }), Ok(()), "which nobody minds");

        // The next call of the same thread is carried, and the other thread's has been all the time.
        stage.phones = [21, 22].map(|leg| Phone::new(&stage.handle, LegId(leg)));
        stage.handle.send(Command::Bridge { a: LegId(21), b: LegId(22) }).expect("there is room");
        stage.settle();
        for number in 0..PACKETS {
            stage.phones[0].send(number);
            stage.phones[1].send(number);
            stage.phones[0].receive();
            stage.phones[1].receive();
        }
        other.send(1);
        stage.handle.send(Command::Close { leg: LegId(11) }).expect("there is room");
        let stats = stage.wait_for(|event| match event {
            Event::Closed { leg: LegId(11), stats } => Some(*stats),
            _ => None,
        });
        assert_eq!(stats.packets_received, 1);
        let figures = stage.handle.figures();
        assert_eq!((figures.restarts, figures.threads_alive), (1, 2));
    }
}

#[test]
fn a_leg_closes_while_packets_arrive() {
    for io in WAYS {
        let mut stage = Stage::new(1, io);
        for round in 0..20 {
            let leg = LegId(100 + round);
            let phone = Phone::new(&stage.handle, leg);
            stage.settle();
            (0..PACKETS).for_each(|number| phone.send(number));
            stage.handle.send(Command::Close { leg }).expect("there is room");
            (PACKETS..PACKETS + 10).for_each(|number| phone.send(number));
            let stats = stage.wait_for(|event| match event {
                Event::Closed { leg: closed, stats } if *closed == leg => Some(*stats),
                _ => None,
            });
            assert!(stats.packets_received <= u64::from(PACKETS) + 10);
            // The others go on, on the same thread.
            stage.phones[0].send(round as u16);
            stage.phones[1].receive();
        }
        assert_eq!(stage.phones[1].heard.len(), 20);
    }
}

#[test]
fn three_hundred_legs() {
    for io in WAYS {
        let mut stage = Stage::with_legs(1, io, 310);
        let mut phones: Vec<Phone> = (0..300).map(|number| Phone::new(&stage.handle, LegId(1_000 + number))).collect();
        for number in (0..300).step_by(2) {
            let (a, b) = (LegId(1_000 + number), LegId(1_001 + number));
            stage.handle.send(Command::Bridge { a, b }).expect("there is room");
        }
        stage.settle();
        for number in 0..3 {
            phones.iter().for_each(|phone| phone.send(number));
            phones.iter_mut().for_each(Phone::receive);
        }
        // A packet arrives before the thread has written down that it sent it.
        stage.handle.stop();
        let figures = stage.handle.figures();
        assert_eq!((figures.packets_received, figures.packets_relayed, figures.sends_failed), (900, 900, 0));
    }
}

/// Two phones and a handle; leg 1 and 2 are bridged, leg 2 is tapped.
struct Stage {
    handle: MediaHandle,
    events: mpsc::Receiver<(Duration, Event)>,
    tap: Arc<TapRing>,
    phones: [Phone; 2],
}

impl Stage {
    fn new(threads: usize, io: MediaIo) -> Self {
        Self::with_legs(threads, io, 8)
    }

    fn with_legs(threads: usize, io: MediaIo, legs_max: usize) -> Self {
        let (sender, events) = mpsc::channel(4_096);
        let tap = Arc::new(TapRing::new(1_000));
        let options = MediaOptions {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            threads,
            cpus: vec![0],
            io,
            stamps: false,
            priority: MediaPriority::Realtime,
            legs_max,
            tap: Arc::clone(&tap),
            copies: Arc::new(CopyRing::new(64)),
            captures: Arc::new(CaptureRing::new(64)),
            events: sender,
            clock: Clock::start(),
        };
        let handle = MediaHandle::start(options).expect("threads can be started");
        let phones = [1, 2].map(|leg| Phone::new(&handle, LegId(leg)));
        handle.send(Command::Bridge { a: LegId(1), b: LegId(2) }).expect("there is room");
        handle.send(Command::Tap { leg: LegId(2), on: true }).expect("there is room");
        let mut stage = Self { handle, events, tap, phones };
        stage.settle();
        stage
    }

    /// Waits until the orders so far are carried out: a packet to a port that is not open yet would be lost.
    fn settle(&mut self) {
        let (leg, prompt) = (LegId(99), PromptId(99));
        let sound = Arc::new(Sound { samples: Vec::new() });
        self.handle
            .send(Command::Play { leg, prompt, sound, mode: PlayMode::Replace, repeats: false, key_ends: false })
            .expect("there is room");
        self.wait_for(|event| (*event == Event::PlayEnded { leg, prompt, completed: false }).then_some(()));
    }

    /// Takes events until one fits.
    fn wait_for<T>(&mut self, fits: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let (_, event) = self.events.blocking_recv().expect("the threads live");
            if let Some(found) = fits(&event) {
                return found;
            }
        }
    }
}

struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
    heard: Vec<RtpHeader>,
}

impl Phone {
    /// Opens and configures a leg for a phone on a port of its own.
    fn new(handle: &MediaHandle, leg: LegId) -> Self {
        Self::on(handle, 6, leg)
    }

    /// Likewise, for a phone of another call.
    fn on(handle: &MediaHandle, call_group: u64, leg: LegId) -> Self {
        // Reports go to the port above, which must not be another phone's.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, free_port())).expect("it was free a moment ago");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a span above zero");
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        handle.open(call_group, leg, server.port(), None).expect("there is room");
        let settings = StreamSettings::plain(socket.local_addr().ok(), Codec::Pcmu, 0);
        handle.send(Command::Configure { leg, settings }).expect("there is room");
        Self { socket, server, heard: Vec::new() }
    }

    fn send(&self, number: u16) {
        let timestamp = u32::from(number) * 160;
        let stamp = Stamp { marker: false, payload_type: 0, sequence: number, timestamp, ssrc: Ssrc(7) };
        let packet = [&stamp.to_bytes()[..], &[0xff; 160]].concat();
        self.socket.send_to(&packet, self.server).expect("loopback takes it");
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2_000];
        let length = self.socket.recv(&mut buffer).expect("a packet comes");
        assert_eq!(length, 172);
        self.heard.push(RtpHeader::parse(&buffer[..length]).expect("it is RTP"));
    }
}

/// An even port that no test beside this one is given, below those that the system hands out by itself.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(2, Ordering::Relaxed) + (std::process::id() % 500) as u16 * 2;
        let port = 10_000 + number % 4_000;
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
