//! One media thread: it owns its sockets and its engine, and nothing else touches them.
//!
//! In steady state it allocates nothing and takes no lock; it waits only for packets, orders and deadlines.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use media::PACKET_BYTES_MAX;
use media::{Arrival, BUFFER_BYTES, Channel, Command, Datagram, Engine, Event, Input, LegId, LegSlot, Output};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use ring::rand::{SecureRandom, SystemRandom};

use super::counters::{ThreadCounters, add};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::sockets::{Arrival as Received, Sockets, bind};
use super::tap::{CaptureRing, CopyRing, TapRing};
use super::{Clock, MediaOptions, MediaPriority};

pub(super) struct MediaThread {
    inbox: Arc<Inbox>,
    counters: Arc<ThreadCounters>,
    clock: Clock,
    address: IpAddr,
    cpu: Option<usize>,
    priority: MediaPriority,
    engine: Engine,
    sockets: Sockets,
    /// The time of day at the start, when arrivals are stamped by it.
    began: Option<Duration>,
    outbox: Outbox,
    tap: Arc<TapRing>,
    copies: Arc<CopyRing>,
    captures: Arc<CaptureRing>,
    out: Output,
    /// Longer than any packet that is taken, so that what was cut short is refused and what is added has room.
    buffer: [u8; BUFFER_BYTES],
}

impl MediaThread {
    /// The `number`-th thread's state.
    ///
    /// # Errors
    /// When the system gives nothing to wait with or no randomness.
    pub(super) fn new(
        options: &MediaOptions,
        number: usize,
        inbox: Arc<Inbox>,
        counters: Arc<ThreadCounters>,
    ) -> io::Result<Self> {
        let mut seed = [0; 8];
        SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Self {
            clock: options.clock,
            address: options.address,
            cpu: options.cpus.get(number % options.cpus.len().max(1)).copied(),
            priority: options.priority,
            engine: Engine::new(options.legs_max, u64::from_le_bytes(seed)),
            sockets: Sockets::new(options.io, options.stamps, 2 * options.legs_max, inbox.bell())?,
            began: options.stamps.then(|| options.clock.began()),
            outbox: Outbox::new(options.events.clone()),
            tap: Arc::clone(&options.tap),
            copies: Arc::clone(&options.copies),
            captures: Arc::clone(&options.captures),
            out: Output::new(),
            buffer: [0; BUFFER_BYTES],
            inbox,
            counters,
        })
    }

    /// The loop; ends when the inbox is closed and empty.
    pub(super) fn run(mut self) {
        let _alive = Alive::new(Arc::clone(&self.counters));
        if let Some(cpu) = self.cpu
            && let Err(error) = stay_on(cpu)
        {
            tracing::warn!(cpu, %error, "a media thread cannot be bound to its processor and runs on any");
        }
        if let Err(error) = self.priority.take() {
            tracing::info!(?error, "a media thread may not run in real time and shares the processor like any other");
        }
        if let Err(error) = self.sockets.begin() {
            tracing::error!(%error, "a media thread cannot wait for packets and ends");
            return;
        }
        loop {
            let rang = match self.sockets.wait(self.timeout()) {
                Ok(rang) => rang,
                Err(error) => {
                    tracing::error!(%error, "a media thread can no longer wait for packets and ends");
                    return;
                }
            };
            self.began = self.began.map(|_| self.clock.began());
            let closed = self.inbox.is_closed();
            // Orders first: they were given before the datagrams that are to be treated by them.
            if rang {
                self.take_orders();
            }
            while let Some(arrival) = self.sockets.receive(&mut self.buffer[..=PACKET_BYTES_MAX]) {
                self.relay(arrival);
            }
            self.tick();
            add(&self.counters.sends_failed, self.sockets.failed_since());
            self.outbox.flush();
            if closed {
                self.take_orders();
                return;
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let retry = (!self.outbox.is_empty()).then_some(OUTBOX_RETRY);
        let tick = self.engine.deadline().map(|(due, _)| due.saturating_sub(self.clock.now()));
        retry.into_iter().chain(tick).min()
    }

    fn take_orders(&mut self) {
        // First the bell: an order that comes now rings it again.
        self.inbox.hush();
        while let Some(command) = self.inbox.take() {
            match command {
                Command::Open { leg, port, address } => self.open(leg, port, address),
                Command::Close { leg } => self.close(leg),
                other => self.order(other),
            }
        }
    }

    /// The way of one datagram: receive, rewrite, send.
    fn relay(&mut self, Received { socket, from, bytes: length, stamp }: Received) {
        let (slot, channel) = leg_of(socket);
        let now = self.clock.now();
        let refused_before = self.engine.packets_refused();
        let at = stamp.zip(self.began).map_or(now, |(stamp, began)| stamp.saturating_sub(began).min(now));
        let arrival = Arrival { slot, channel, from, at, buffer: 0, bytes: &mut self.buffer, length };
        self.engine.handle(now, Input::Packet(arrival), &mut self.out);
        add(&self.counters.packets_received, 1);
        add(&self.counters.packets_refused, self.engine.packets_refused() - refused_before);
        self.deliver();
    }

    fn tick(&mut self) {
        let Some((due, _)) = self.engine.deadline() else {
            return;
        };
        let now = self.clock.now();
        if now < due {
            return;
        }
        self.engine.handle(now, Input::Tick, &mut self.out);
        self.counters.count_tick(now - due);
        self.deliver();
    }

    fn order(&mut self, command: Command) {
        self.engine.handle(self.clock.now(), Input::Command(command), &mut self.out);
        self.deliver();
    }

    fn open(&mut self, leg: LegId, port: u16, address: Option<IpAddr>) {
        let local = address.unwrap_or(self.address);
        let socket = match bind(local, port) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(port, %error, "a media port cannot be opened; another program should not have it");
                return self.say(Event::OpenFailed { leg, reason: format!("port {port}: {error}") });
            }
        };
        let was_open = self.engine.slot(leg).is_some();
        self.order(Command::Open { leg, port, address });
        let Some(slot) = self.engine.slot(leg).filter(|_| !was_open) else {
            return;
        };
        match self.sockets.insert(socket_of(slot, Channel::Media), socket) {
            Ok(()) => {
                add(&self.counters.legs_open, 1);
                self.open_control(slot, local, port);
            }
            Err(error) => {
                self.order(Command::Close { leg });
                self.say(Event::OpenFailed { leg, reason: error.to_string() });
            }
        }
    }

    /// Opens the port for control packets. A leg without one only lacks reports: somebody else may hold the port.
    fn open_control(&mut self, slot: LegSlot, local: IpAddr, port: u16) {
        let opened = port.checked_add(1).ok_or_else(|| io::Error::other("no port above it")).and_then(|port| {
            let socket = bind(local, port)?;
            self.sockets.insert(socket_of(slot, Channel::Control), socket)
        });
        if let Err(error) = opened {
            tracing::warn!(port, %error, "a leg has no port for control packets");
        }
    }

    fn close(&mut self, leg: LegId) {
        let slot = self.engine.slot(leg);
        self.order(Command::Close { leg });
        if let Some(slot) = slot {
            self.sockets.remove(socket_of(slot, Channel::Media));
            self.sockets.remove(socket_of(slot, Channel::Control));
            self.counters.legs_open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Sends, copies and tells what the engine brought forth.
    fn deliver(&mut self) {
        for departure in &self.out.packets {
            let (bytes, counter) = match departure.datagram {
                Datagram::Received { start, end, .. } => {
                    (&self.buffer[usize::from(start)..usize::from(end)], &self.counters.packets_relayed)
                }
                Datagram::Made { start, end } => {
                    (&self.out.made[start as usize..end as usize], &self.counters.packets_made)
                }
            };
            let socket = socket_of(departure.slot, departure.channel);
            let sent = self.sockets.send(socket, bytes, departure.to);
            add(if sent { counter } else { &self.counters.sends_failed }, 1);
        }
        for frame in self.out.frames.drain(..) {
            if let Some(evicted) = self.tap.push(frame) {
                self.engine.count_tap_drop(evicted.leg);
            }
        }
        for copy in self.out.copies.drain(..) {
            // The ring counts what had to make room.
            self.copies.push(copy);
        }
        for captured in self.out.captures.drain(..) {
            self.captures.push(captured);
        }
        if self.out.captures_left_out > 0 {
            self.captures.count_dropped(self.out.captures_left_out);
        }
        for tie in &self.out.ties {
            if let Err(error) = self.sockets.tie(socket_of(tie.slot, Channel::Media), tie.to) {
                tracing::debug!(%error, "a leg's socket is not tied to its far end");
            }
        }
        if !self.out.events.is_empty() {
            let now = self.clock.now();
            for event in self.out.events.drain(..) {
                tell(&mut self.outbox, &self.counters, now, event);
            }
        }
        self.out.clear();
    }

    fn say(&mut self, event: Event) {
        tell(&mut self.outbox, &self.counters, self.clock.now(), event);
    }
}

/// The number of the socket behind one of a leg's ports.
fn socket_of(LegSlot(slot): LegSlot, channel: Channel) -> u32 {
    2 * slot + u32::from(channel == Channel::Control)
}

/// The leg and its port behind the number of a socket.
fn leg_of(socket: u32) -> (LegSlot, Channel) {
    (LegSlot(socket / 2), if socket.is_multiple_of(2) { Channel::Media } else { Channel::Control })
}

/// Binds the calling thread to a processor.
fn stay_on(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

fn tell(outbox: &mut Outbox, counters: &ThreadCounters, now: Duration, event: Event) {
    if !outbox.push(now, event) {
        add(&counters.events_dropped, 1);
    }
}

/// Counts the thread as alive until it ends, however it ends.
struct Alive(Arc<ThreadCounters>);

impl Alive {
    fn new(counters: Arc<ThreadCounters>) -> Self {
        add(&counters.alive, 1);
        Self(counters)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}

/// How soon events that did not fit are offered again.
const OUTBOX_RETRY: Duration = Duration::from_millis(5);
