//! Sockets on loopback, in both ways of waiting for them. Where the kernel refuses io_uring, epoll is tested twice.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn datagrams_come_and_go() {
    each_way(|mut stage| {
        let phone = phone();
        let here = stage.open(0, LOOPBACK);
        let there = phone.local_addr().expect("it is bound");
        for number in 0..600 {
            let bytes = vec![number as u8; 100 + number];
            phone.send_to(&bytes, here).expect("loopback takes it");
            let (arrival, received) = stage.next();
            assert_eq!((arrival.socket, arrival.from, received), (0, there, bytes.clone()));
            assert!(stage.sockets.send(0, &bytes, there));
            assert!(!stage.sockets.wait(Some(Duration::ZERO)).expect("it can wait"));
            let mut buffer = [0; 2_000];
            assert_eq!(phone.recv(&mut buffer).expect("it comes"), bytes.len());
        }
        assert_eq!(stage.sockets.failed_since(), 0);
    });
}

#[test]
fn what_is_too_long_is_cut() {
    each_way(|mut stage| {
        let here = stage.open(0, LOOPBACK);
        phone().send_to(&[7; 9_000], here).expect("loopback takes it");
        assert_eq!(stage.next().0.bytes, BUFFER_BYTES);
        phone().send_to(&[], here).expect("loopback takes it");
        assert_eq!(stage.next().0.bytes, 0);
    });
}

#[test]
fn a_wait_ends_with_its_time_or_with_the_bell() {
    each_way(|mut stage| {
        let start = Instant::now();
        assert!(!stage.sockets.wait(Some(Duration::from_millis(20))).expect("it can wait"));
        assert!(start.elapsed() >= Duration::from_millis(20));
        for _ in 0..3 {
            stage.bell.write(1).expect("it can ring");
            assert!(stage.sockets.wait(None).expect("it can wait"));
            stage.bell.read().expect("it rang");
        }
        assert!(!stage.sockets.wait(Some(Duration::from_millis(1))).expect("it can wait"));
    });
}

#[test]
fn what_came_while_a_socket_closed_ends_the_next_wait() {
    each_way(|mut stage| {
        let here = stage.open(1, LOOPBACK);
        for rings in [true, false] {
            stage.open(0, LOOPBACK);
            stage.sockets.wait(Some(Duration::ZERO)).expect("it can wait");
            if rings {
                stage.bell.write(1).expect("it can ring");
            } else {
                phone().send_to(&[1; 172], here).expect("loopback takes it");
            }
            stage.sockets.remove(0);

            let start = Instant::now();
            assert_eq!(stage.sockets.wait(Some(Duration::from_secs(10))).expect("it can wait"), rings);
            assert!(start.elapsed() < Duration::from_secs(5), "the wait took all its time");
            if rings {
                stage.bell.read().expect("it rang");
            } else {
                assert_eq!(stage.next().0.socket, 1);
            }
        }
    });
}

#[test]
fn a_flood_does_not_starve_others() {
    each_way(|mut stage| {
        let (flooded, quiet) = (stage.open(0, LOOPBACK), stage.open(1, LOOPBACK));
        let phone = phone();
        for _ in 0..250 {
            phone.send_to(&[1; 172], flooded).expect("loopback takes it");
        }
        phone.send_to(&[2; 172], quiet).expect("loopback takes it");
        let before = (0..100).position(|_| stage.next().0.socket == 1);
        assert!(before.is_some(), "more than a hundred datagrams were taken first");
    });
}

#[test]
fn more_than_all_buffers_hold() {
    each_way(|mut stage| {
        let here: Vec<SocketAddr> = (0..12).map(|number| stage.open(number, LOOPBACK)).collect();
        let phone = phone();
        for _ in 0..100 {
            for to in &here {
                phone.send_to(&[1; 172], to).expect("loopback takes it");
            }
        }
        let mut heard = [0; 12];
        (0..1_200).for_each(|_| heard[stage.next().0.socket as usize] += 1);
        assert_eq!(heard, [100; 12]);
    });
}

#[test]
fn a_closed_socket_is_silent_and_its_port_free() {
    each_way(|mut stage| {
        let other = stage.open(1, LOOPBACK);
        let phone = phone();
        for round in 0..20 {
            let here = stage.open(0, LOOPBACK);
            for _ in 0..10 {
                phone.send_to(&[round; 172], here).expect("loopback takes it");
                phone.send_to(&[round; 100], other).expect("loopback takes it");
            }
            // Some have been seen by the kernel's side already, the others have not.
            stage.next();
            stage.sockets.remove(0);
            assert!(!stage.sockets.send(0, &[0; 172], other));
            drop(bind(LOOPBACK, here.port()).expect("the port is free at once"));
            let mut heard = 0;
            while heard < 9 {
                let (arrival, bytes) = stage.next();
                assert_eq!((arrival.socket, bytes), (1, vec![round; 100]));
                heard += 1;
            }
            stage.drain();
        }
    });
}

#[test]
fn one_socket_takes_both_families() {
    each_way(|mut stage| {
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let port = stage.open(0, any).port();
        for local in [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let phone = UdpSocket::bind((local, 0)).expect("loopback has ports");
            phone.set_read_timeout(Some(Duration::from_secs(10))).expect("a span above zero");
            phone.send_to(&[1; 20], (local, port)).expect("loopback takes it");
            let (arrival, _) = stage.next();
            assert_eq!(arrival.from, phone.local_addr().expect("it is bound"));
            assert!(stage.sockets.send(0, &[2; 30], arrival.from));
            stage.sockets.wait(Some(Duration::ZERO)).expect("it can wait");
            let (length, from) = phone.recv_from(&mut [0; 100]).expect("it comes");
            assert_eq!((length, from), (30, SocketAddr::new(local, port)));
        }
    });
}

#[test]
fn a_tied_socket_hears_its_far_end_alone() {
    each_way(|mut stage| {
        for local in [LOOPBACK, IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            let port = stage.open_by_number(0, local).port();
            let (far, stranger) = (phone(), phone());
            let there = far.local_addr().expect("it is bound");
            let here = SocketAddr::new(LOOPBACK, port);
            stage.sockets.tie(0, Some(there)).expect("loopback can be reached");
            stranger.send_to(&[9; 172], here).expect("loopback takes it");
            far.send_to(&[1; 172], here).expect("loopback takes it");
            let (arrival, bytes) = stage.next();
            assert_eq!((arrival.from, bytes), (there, vec![1; 172]));

            // To send is possible to both.
            for (to, phone) in [(there, &far), (stranger.local_addr().expect("it is bound"), &stranger)] {
                assert!(stage.sockets.send(0, &[2; 30], to));
                stage.sockets.wait(Some(Duration::ZERO)).expect("it can wait");
                assert_eq!(phone.recv(&mut [0; 100]).expect("it comes"), 30);
            }

            stage.sockets.tie(0, None).expect("a tie can be cut");
            stranger.send_to(&[9; 172], here).expect("loopback takes it");
            assert_eq!(stage.next().1, vec![9; 172]);
            stage.sockets.remove(0);
        }
    });
}

#[test]
fn a_far_end_that_closes_its_port_ends_nothing() {
    each_way(|mut stage| {
        let here = stage.open_by_number(0, LOOPBACK);
        let (far, later) = (phone(), phone());
        let there = far.local_addr().expect("it is bound");
        stage.sockets.tie(0, Some(there)).expect("loopback can be reached");
        drop(far);
        // The system tells of the closed port by failing one of the next sends or receives.
        for _ in 0..3 {
            stage.sockets.send(0, &[2; 30], there);
            stage.drain();
        }
        stage.sockets.tie(0, None).expect("a tie can be cut");
        later.send_to(&[3; 172], here).expect("loopback takes it");
        assert_eq!(stage.next().1, vec![3; 172]);
    });
}

#[test]
fn what_cannot_be_sent_is_told() {
    each_way(|mut stage| {
        stage.open(0, LOOPBACK);
        // A loopback socket cannot reach another network.
        let mut failed = u64::from(!stage.sockets.send(0, &[1; 20], SocketAddr::from(([203, 0, 113, 1], 9))));
        stage.sockets.wait(Some(Duration::ZERO)).expect("it can wait");
        failed += stage.sockets.failed_since();
        assert_eq!(failed, 1);
        assert!(!stage.sockets.send(99, &[1; 20], SocketAddr::from((LOOPBACK, 9))), "there is no such socket");
    });
}

struct Stage {
    sockets: Sockets,
    bell: EventFd,
    stamps: bool,
}

fn each_way(test: impl Fn(Stage)) {
    // A ring that ends still interrupts the next wait of its thread: epoll goes first.
    for (io, stamps) in
        [(MediaIo::Epoll, false), (MediaIo::Epoll, true), (MediaIo::IoUring, false), (MediaIo::IoUring, true)]
    {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).expect("an event counter");
        let mut sockets = Sockets::new(io, stamps, 16, bell.as_fd()).expect("something to wait with");
        sockets.begin().expect("it starts");
        test(Stage { sockets, bell, stamps });
    }
}

impl Stage {
    /// Opens a socket on any port.
    fn open(&mut self, number: u32, address: IpAddr) -> SocketAddr {
        let socket = bind(address, 0).expect("loopback has ports");
        let local = socket.local_addr().expect("it is bound");
        self.sockets.insert(number, socket).expect("it can be watched");
        local
    }

    /// Opens a socket on a port by its number, as legs do: one that the system chose is lost when a tie is cut.
    fn open_by_number(&mut self, number: u32, address: IpAddr) -> SocketAddr {
        let free = bind(address, 0).and_then(|socket| socket.local_addr()).expect("loopback has ports");
        let socket = bind(address, free.port()).expect("the port is free again");
        self.sockets.insert(number, socket).expect("it can be watched");
        free
    }

    /// Waits for the next datagram.
    fn next(&mut self) -> (Arrival, Vec<u8>) {
        let mut buffer = [0; BUFFER_BYTES];
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if let Some(arrival) = self.sockets.receive(&mut buffer) {
                self.check_stamp(arrival.stamp);
                return (arrival, buffer[..arrival.bytes].to_vec());
            }
            self.sockets.wait(Some(Duration::from_millis(100))).expect("it can wait");
        }
        panic!("no datagram came");
    }

    /// A datagram came in the last minute, or nobody says when.
    fn check_stamp(&self, stamp: Option<Duration>) {
        assert_eq!(stamp.is_some(), self.stamps);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        assert!(
            stamp.is_none_or(|stamp| stamp <= now && stamp + Duration::from_secs(60) > now),
            "{stamp:?} at {now:?}"
        );
    }

    /// Takes all that is there.
    fn drain(&mut self) {
        let mut buffer = [0; BUFFER_BYTES];
        for _ in 0..20 {
            self.sockets.wait(Some(Duration::ZERO)).expect("it can wait");
            while self.sockets.receive(&mut buffer).is_some() {}
        }
    }
}

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind((LOOPBACK, 0)).expect("loopback has ports");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a span above zero");
    socket
}

const BUFFER_BYTES: usize = 1_564;
