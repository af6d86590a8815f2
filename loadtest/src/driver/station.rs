//! The thread: waits for orders, SIP and deadlines, and hands them to the endpoints.
//!
//! RTP does not wake it: it is collected every millisecond or two with the times at which the kernel received it. A
//! thread that woke for every packet would take the processor from the server that is measured, make it pay for the
//! waking, and count its own delay as the server's.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use media::StreamSettings;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{setsockopt, sockopt};

use super::arrival::Arrivals;
use super::endpoint::{Endpoint, Streams};
use super::loopback;
use crate::audio::Audio;
use crate::latency::Latencies;
use crate::phone::{CallIndex, Input, Order, Output, Phone, PhoneSettings, TimedEvent};
use crate::stream::{Keep, Recording, StreamPlan, StreamStats};

/// Datagrams that are read from one socket before the others have their turn.
const BATCH_MAX: usize = 64;
/// The longest wait, so that a lost wake-up cannot stop the thread.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// The longest that RTP lies uncollected.
const COLLECT_EVERY: Duration = Duration::from_millis(2);
/// How long the calls may take to end when the thread is stopped.
const STOP_MAX: Duration = Duration::from_millis(700);
/// What marks the wake-up among the sockets.
const WAKE: u64 = u64::MAX;

/// What the handles ask of the thread.
pub(super) enum Command {
    Phone { id: usize, settings: Box<PhoneSettings>, sockets: Sockets, events: SyncSender<TimedEvent> },
    Streams { id: usize, audio: Audio, keep: Keep, plan: StreamPlan, seed: u64, sockets: Sockets },
    Configure { id: usize, port: u16, settings: StreamSettings },
    StopStreams { id: usize },
    Order { id: usize, order: Box<dyn FnOnce(CallIndex) -> Order + Send> },
    Heard { id: usize, call: Option<usize>, reply: SyncSender<Recording> },
    TakeLatencies { id: usize, reply: SyncSender<Latencies> },
    Stats { id: usize, reply: SyncSender<Vec<StreamStats>> },
    CallsOpen { id: usize, reply: SyncSender<usize> },
    Stop,
}

/// The sockets of one endpoint, not yet watched.
pub(super) struct Sockets {
    sip: Option<UdpSocket>,
    rtp: Vec<(u16, UdpSocket)>,
    address: SocketAddr,
}

impl Sockets {
    pub(super) fn bind_phone(bind: SocketAddr, lines: usize) -> io::Result<Self> {
        let sip = bound(bind)?;
        let address = sip.local_addr()?;
        Ok(Sockets { sip: Some(sip), rtp: bind_rtp(bind.ip(), lines)?, address })
    }

    pub(super) fn bind_streams(address: IpAddr, count: usize) -> io::Result<Self> {
        Ok(Sockets { sip: None, rtp: bind_rtp(address, count)?, address: SocketAddr::new(address, 0) })
    }

    pub(super) fn sip_address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn rtp_ports(&self) -> Vec<u16> {
        self.rtp.iter().map(|(port, _)| *port).collect()
    }
}

fn bind_rtp(address: IpAddr, count: usize) -> io::Result<Vec<(u16, UdpSocket)>> {
    let one = |_| {
        let socket = bound(SocketAddr::new(address, 0))?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok((socket.local_addr()?.port(), socket))
    };
    (0..count).map(one).collect()
}

fn bound(address: SocketAddr) -> io::Result<UdpSocket> {
    loopback(address.ip())?;
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What a socket is for.
#[derive(Clone, Copy)]
enum Use {
    Sip,
    Rtp(u16),
}

struct Member {
    endpoint: Endpoint,
    sip: Option<usize>,
    rtp: BTreeMap<u16, usize>,
    events: Option<SyncSender<TimedEvent>>,
}

pub(super) struct Station {
    epoch: Instant,
    inbox: Receiver<Command>,
    wake: Arc<EventFd>,
    /// What is waited for: orders and SIP.
    epoll: Epoll,
    /// What is collected: RTP.
    collected: Epoll,
    arrivals: Arrivals,
    sockets: Vec<(UdpSocket, usize, Use)>,
    members: BTreeMap<usize, Member>,
    out: Output,
    stopping: Option<Duration>,
}

impl Station {
    pub(super) fn new(epoch: Instant, inbox: Receiver<Command>, wake: Arc<EventFd>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Station {
            epoch,
            inbox,
            wake,
            epoll,
            collected: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            arrivals: Arrivals::new(),
            sockets: Vec::new(),
            members: BTreeMap::new(),
            out: Output::default(),
            stopping: None,
        })
    }

    pub(super) fn run(mut self) {
        let mut ready = [EpollEvent::empty(); 256];
        let mut buffer = vec![0_u8; 65_536];
        while !self.finished() {
            // An interrupted wait is an early wake-up.
            let count = self.epoll.wait(&mut ready, self.timeout()).unwrap_or(0);
            for event in &ready[..count] {
                match event.data() {
                    WAKE => self.obey(),
                    socket => self.receive(socket as usize, &mut buffer),
                }
            }
            self.collect(&mut ready, &mut buffer);
            self.tick();
        }
    }

    /// Reads the RTP that has come since the last time.
    fn collect(&mut self, ready: &mut [EpollEvent], buffer: &mut [u8]) {
        self.arrivals.set_clock(self.epoch.elapsed(), SystemTime::now());
        loop {
            let count = self.collected.wait(ready, EpollTimeout::ZERO).unwrap_or(0);
            for event in &ready[..count] {
                self.receive(event.data() as usize, buffer);
            }
            if count < ready.len() {
                return;
            }
        }
    }

    fn finished(&self) -> bool {
        let quiet = self.members.values().all(|member| member.endpoint.deadline().is_none());
        self.stopping.is_some_and(|end| quiet || self.epoch.elapsed() >= end)
    }

    fn timeout(&self) -> EpollTimeout {
        let next = self.members.values().filter_map(|member| member.endpoint.deadline()).min();
        let longest = if self.members.values().any(|member| !member.rtp.is_empty()) { COLLECT_EVERY } else { WAIT_MAX };
        let wait = next.map_or(longest, |at| at.saturating_sub(self.epoch.elapsed())).min(longest);
        // Rounded up: a wait that ends early would spin.
        EpollTimeout::try_from(wait.as_micros().div_ceil(1_000) as u32).unwrap_or(EpollTimeout::ZERO)
    }

    fn receive(&mut self, socket: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            let Some((udp, id, kind)) = self.sockets.get(socket) else { return };
            let (id, now) = (*id, self.epoch.elapsed());
            // Nothing to read, or an ICMP error of an earlier datagram: either way the next event tells.
            match *kind {
                Use::Sip => {
                    let Ok((length, from)) = udp.recv_from(buffer) else { return };
                    self.handle(id, now, Input::Sip { from, bytes: &buffer[..length] });
                }
                Use::Rtp(port) => {
                    let Some((length, at)) = self.arrivals.receive(udp.as_raw_fd(), buffer) else { return };
                    let at = at.unwrap_or(now).min(now);
                    self.handle(id, at, Input::Rtp { port, bytes: &buffer[..length] });
                }
            }
        }
    }

    /// Lets the endpoints do what is due, one thing after another, so that each packet is stamped when it leaves.
    fn tick(&mut self) {
        loop {
            let now = self.epoch.elapsed();
            let deadlines = self.members.iter().filter_map(|(id, member)| Some((member.endpoint.deadline()?, *id)));
            let Some((_, id)) = deadlines.min().filter(|(at, _)| *at <= now) else { return };
            self.handle(id, now, Input::Tick);
        }
    }

    /// Hands one input to an endpoint and sends what it says.
    fn handle(&mut self, id: usize, now: Duration, input: Input<'_>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.endpoint.handle(now, input, &mut self.out);
        for (port, to, bytes) in self.out.rtp.drain(..) {
            send(&self.sockets, member.rtp.get(&port).copied(), to, &bytes);
        }
        for (to, bytes) in self.out.sip.drain(..) {
            send(&self.sockets, member.sip, to, &bytes);
        }
        for event in self.out.events.drain(..) {
            if let Some(events) = &member.events {
                // Nobody reads, or the handle is gone: the telephone goes on.
                let _ = events.try_send(event);
            }
        }
    }

    fn obey(&mut self) {
        // The value does not matter, only that it is taken.
        let _ = self.wake.read();
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.carry_out(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.stop(),
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        let now = self.epoch.elapsed();
        match command {
            Command::Phone { id, settings, sockets, events } => {
                self.add(id, Endpoint::Phone(Box::new(Phone::new(*settings))), sockets, Some(events));
            }
            Command::Streams { id, audio, keep, plan, seed, sockets } => {
                let streams = Streams::new(&sockets.rtp_ports(), &audio, seed, keep, plan);
                self.add(id, Endpoint::Streams(streams), sockets, None);
            }
            Command::Configure { id, port, settings } => {
                if let Some(Endpoint::Streams(streams)) = self.endpoint(id) {
                    streams.configure(now, port, settings);
                }
            }
            Command::StopStreams { id } => {
                if let Some(Endpoint::Streams(streams)) = self.endpoint(id) {
                    streams.stop();
                }
            }
            Command::Order { id, order } => {
                if let Some(Endpoint::Phone(phone)) = self.endpoint(id) {
                    let latest = phone.calls().saturating_sub(1);
                    self.handle(id, now, Input::Order(order(latest)));
                }
            }
            Command::Heard { id, call, reply } => {
                // Whoever asked may have stopped waiting.
                let _ = reply.try_send(self.endpoint(id).map(|endpoint| endpoint.heard(call)).unwrap_or_default());
            }
            Command::TakeLatencies { id, reply } => {
                let _ = reply.try_send(self.endpoint(id).map(Endpoint::take_latencies).unwrap_or_default());
            }
            Command::Stats { id, reply } => {
                let stats = |phone: &Phone| (0..phone.calls()).map(|call| phone.stats(call)).collect();
                let _ = reply.try_send(self.phone(id).map(stats).unwrap_or_default());
            }
            Command::CallsOpen { id, reply } => {
                let _ = reply.try_send(self.phone(id).map(Phone::calls_open).unwrap_or_default());
            }
            Command::Stop => self.stop(),
        }
    }

    fn add(&mut self, id: usize, endpoint: Endpoint, sockets: Sockets, events: Option<SyncSender<TimedEvent>>) {
        let sip = sockets.sip.and_then(|socket| self.watch(socket, id, Use::Sip));
        let rtp =
            sockets.rtp.into_iter().filter_map(|(port, socket)| Some((port, self.watch(socket, id, Use::Rtp(port))?)));
        let rtp = rtp.collect();
        self.members.insert(id, Member { endpoint, sip, rtp, events });
    }

    /// Watches a socket; `None` when the system cannot watch another one.
    fn watch(&mut self, socket: UdpSocket, id: usize, kind: Use) -> Option<usize> {
        let index = self.sockets.len();
        let epoll = if matches!(kind, Use::Sip) { &self.epoll } else { &self.collected };
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64)).ok()?;
        self.sockets.push((socket, id, kind));
        Some(index)
    }

    fn endpoint(&mut self, id: usize) -> Option<&mut Endpoint> {
        self.members.get_mut(&id).map(|member| &mut member.endpoint)
    }

    fn phone(&self, id: usize) -> Option<&Phone> {
        match &self.members.get(&id)?.endpoint {
            Endpoint::Phone(phone) => Some(phone),
            Endpoint::Streams(_) => None,
        }
    }

    fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(self.epoch.elapsed() + STOP_MAX);
        let ids: Vec<usize> = self.members.keys().copied().collect();
        for id in ids {
            if let Some(Endpoint::Streams(streams)) = self.endpoint(id) {
                streams.stop();
            }
            let calls = self.phone(id).map_or(0, Phone::calls);
            (0..calls).for_each(|call| self.handle(id, self.epoch.elapsed(), Input::Order(Order::HangUp(call))));
        }
    }
}

/// Sends one datagram; what cannot be sent is lost, as on any network.
fn send(sockets: &[(UdpSocket, usize, Use)], socket: Option<usize>, to: SocketAddr, bytes: &[u8]) {
    if let Some((udp, _, _)) = socket.and_then(|socket| sockets.get(socket))
        && to.ip().is_loopback()
    {
        let _ = udp.send_to(bytes, to);
    }
}
