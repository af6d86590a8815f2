//! One media thread: it owns its sockets and its engine, and nothing else touches them.
//!
//! In steady state it allocates nothing and takes no lock; it waits only for packets, orders and deadlines.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use media::PACKET_BYTES_MAX;
use media::{Arrival, BUFFER_BYTES, Channel, Command, Datagram, Engine, Event, Input, LegId, LegSlot, Output};
use nix::sys::epoll::EpollTimeout;
use ring::rand::{SecureRandom, SystemRandom};

use super::counters::{ThreadCounters, add};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::sockets::{Ready, Sockets};
use super::tap::TapRing;
use super::{Clock, MediaOptions};

pub(super) struct MediaThread {
    inbox: Arc<Inbox>,
    counters: Arc<ThreadCounters>,
    clock: Clock,
    engine: Engine,
    sockets: Sockets,
    outbox: Outbox,
    tap: Arc<TapRing>,
    out: Output,
    buffer: [u8; BUFFER_BYTES],
}

impl MediaThread {
    pub(super) fn new(options: &MediaOptions, inbox: Arc<Inbox>, counters: Arc<ThreadCounters>) -> io::Result<Self> {
        let mut seed = [0; 8];
        SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Self {
            clock: options.clock,
            engine: Engine::new(options.legs_max, u64::from_le_bytes(seed)),
            sockets: Sockets::new(options.address, options.legs_max, inbox.bell())?,
            outbox: Outbox::new(options.events.clone()),
            tap: Arc::clone(&options.tap),
            out: Output::new(),
            buffer: [0; BUFFER_BYTES],
            inbox,
            counters,
        })
    }

    /// The loop; ends when the inbox is closed and empty.
    pub(super) fn run(mut self) {
        let _alive = Alive::new(Arc::clone(&self.counters));
        loop {
            let ready = match self.sockets.wait(self.timeout()) {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "a media thread can no longer wait for packets and ends");
                    return;
                }
            };
            let closed = self.inbox.is_closed();
            for index in 0..ready {
                match self.sockets.ready(index) {
                    Some(Ready::Leg(slot)) => self.relay(slot),
                    Some(Ready::Bell) => self.take_orders(),
                    None => {}
                }
            }
            self.tick();
            self.outbox.flush();
            if closed {
                self.take_orders();
                return;
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let retry = (!self.outbox.is_empty()).then_some(OUTBOX_RETRY);
        let tick = self.engine.deadline().map(|(due, _)| due.saturating_sub(self.clock.now()));
        let Some(wait) = retry.into_iter().chain(tick).min() else {
            return EpollTimeout::NONE;
        };
        // Rounded up: waking early would only mean waking twice.
        let wait_ms = wait.as_micros().div_ceil(1_000);
        EpollTimeout::from(u16::try_from(wait_ms).unwrap_or(u16::MAX))
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
    fn relay(&mut self, slot: LegSlot) {
        let Some((length, from)) = self.sockets.receive(slot, &mut self.buffer[..=PACKET_BYTES_MAX]) else {
            return;
        };
        let refused_before = self.engine.packets_refused();
        let now = self.clock.now();
        let bytes = &mut self.buffer;
        let arrival = Arrival { slot, channel: Channel::Media, from, at: now, buffer: 0, bytes, length };
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
        let socket = match self.sockets.bind(address, port) {
            Ok(socket) => socket,
            Err(error) => return self.say(Event::OpenFailed { leg, reason: format!("port {port}: {error}") }),
        };
        let was_open = self.engine.slot(leg).is_some();
        self.order(Command::Open { leg, port, address });
        let Some(slot) = self.engine.slot(leg).filter(|_| !was_open) else {
            return;
        };
        match self.sockets.insert(slot, socket) {
            Ok(()) => add(&self.counters.legs_open, 1),
            Err(error) => {
                self.order(Command::Close { leg });
                self.say(Event::OpenFailed { leg, reason: error.to_string() });
            }
        }
    }

    fn close(&mut self, leg: LegId) {
        let slot = self.engine.slot(leg);
        self.order(Command::Close { leg });
        if let Some(slot) = slot {
            self.sockets.remove(slot);
            self.counters.legs_open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Sends, copies and tells what the engine brought forth.
    fn deliver(&mut self) {
        for departure in self.out.packets.iter().filter(|departure| departure.channel == Channel::Media) {
            let (bytes, counter) = match departure.datagram {
                Datagram::Received { start, end, .. } => {
                    (&self.buffer[usize::from(start)..usize::from(end)], &self.counters.packets_relayed)
                }
                Datagram::Made { start, end } => {
                    (&self.out.made[start as usize..end as usize], &self.counters.packets_made)
                }
            };
            let sent = self.sockets.send(departure.slot, bytes, departure.to);
            add(if sent { counter } else { &self.counters.sends_failed }, 1);
        }
        for frame in self.out.frames.drain(..) {
            if let Some(evicted) = self.tap.push(frame) {
                self.engine.count_tap_drop(evicted.leg);
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
