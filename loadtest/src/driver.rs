//! Telephones in real time: one thread, UDP sockets on loopback, and a handle for each telephone.
//!
//! Everything that a telephone decides is in `phone`; here are only the socket, the clock and the thread. Addresses
//! outside loopback are refused, and datagrams to them are dropped.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use media::srtp::Suite;
use media::{Codec, Direction, StreamSettings, dtmf};
use nix::sys::eventfd::{EfdFlags, EventFd};
use ring::rand::{SecureRandom, SystemRandom};

use crate::audio::Audio;
use crate::latency::Latencies;
use crate::message::host_port;
use crate::phone::{
    Behaviour, CallIndex, Event, Order, Outgoing, PAYLOAD_TYPE_FIRST, PhoneSettings, Secret, TimedEvent,
};
use crate::stream::{Keep, Recording, StreamPlan, StreamStats};

mod arrival;
mod endpoint;
mod station;

use station::{Command, Sockets, Station};

/// Orders that wait for the thread at most; more make the caller wait.
const COMMANDS_MAX: usize = 4_096;
/// Events that wait for a reader at most; more are dropped.
const EVENTS_MAX: usize = 65_536;
/// How long the thread may take to answer a question.
const REPLY_MAX: Duration = Duration::from_secs(5);

/// A thread that runs telephones. Dropping it hangs up every call and ends it.
#[derive(Debug)]
pub struct Phones {
    link: Link,
    next: AtomicUsize,
    thread: Option<JoinHandle<()>>,
}

/// The way to the thread.
#[derive(Debug, Clone)]
struct Link {
    commands: SyncSender<Command>,
    wake: Arc<EventFd>,
    epoch: Instant,
}

/// What a telephone is to be; see [`Phones::add`].
#[derive(Debug, Clone)]
pub struct PhonePlan {
    /// Where its SIP socket is; port 0 takes any.
    pub bind: SocketAddr,
    /// The user part of its address.
    pub user: String,
    /// How many calls it can have at a time.
    pub lines: usize,
    /// What it offers and takes, in order.
    pub codecs: Vec<Codec>,
    /// What it does when it is called.
    pub behaviour: Behaviour,
    /// What it says.
    pub audio: Audio,
    /// What is kept of what it hears.
    pub keep: Keep,
    /// What is special about its streams: the packet time, a bad network.
    pub stream: StreamPlan,
    /// The first payload type for codecs without a number of their own, 96 to 120.
    pub payload_type_first: u8,
    /// SRTP with keys in the description and nothing else; otherwise plain RTP and nothing else.
    pub is_secured: bool,
    /// The only suite that it offers; all that there are otherwise.
    pub suite: Option<Suite>,
}

impl PhonePlan {
    /// A silent telephone with two lines that answers at once and keeps ten minutes of what it hears.
    pub fn new(bind: SocketAddr) -> Self {
        PhonePlan {
            bind,
            user: "phone".to_owned(),
            lines: 2,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            behaviour: Behaviour::answer(),
            audio: Audio::Silence,
            keep: Keep { audio_seconds: 600, trace: true },
            stream: StreamPlan::default(),
            payload_type_first: PAYLOAD_TYPE_FIRST,
            is_secured: false,
            suite: None,
        }
    }
}

impl Phones {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let epoch = Instant::now();
        let (commands, inbox) = mpsc::sync_channel(COMMANDS_MAX);
        let wake = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let station = Station::new(epoch, inbox, Arc::clone(&wake))?;
        let thread = std::thread::Builder::new().name("phones".to_owned()).spawn(move || station.run())?;
        Ok(Phones { link: Link { commands, wake, epoch }, next: AtomicUsize::new(0), thread: Some(thread) })
    }

    /// The time that events carry.
    pub fn now(&self) -> Duration {
        self.link.epoch.elapsed()
    }

    /// Adds a telephone.
    ///
    /// # Errors
    /// When the address is not loopback or in use.
    pub fn add(&self, plan: PhonePlan) -> io::Result<PhoneHandle> {
        let sockets = Sockets::bind_phone(plan.bind, plan.lines)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let settings = PhoneSettings {
            user: plan.user,
            sip: sockets.sip_address(),
            rtp_ports: sockets.rtp_ports(),
            codecs: plan.codecs,
            behaviour: plan.behaviour,
            audio: plan.audio,
            keep: plan.keep,
            seed: seed(sockets.sip_address(), id),
            stream: plan.stream,
            payload_type_first: plan.payload_type_first,
            secret: if plan.is_secured { Some(secret()?) } else { None },
            suite: plan.suite,
        };
        let uri = format!("sip:{}@{}", settings.user, settings.sip);
        let (events, inbox) = mpsc::sync_channel(EVENTS_MAX);
        let address = settings.sip;
        self.link.send(Command::Phone { id, settings: Box::new(settings), sockets, events })?;
        Ok(PhoneHandle { id, address, uri, link: self.link.clone(), events: inbox })
    }

    /// A telephone that waits for calls.
    pub fn answering(&self, bind: SocketAddr, behaviour: Behaviour, audio: Audio) -> io::Result<PhoneHandle> {
        self.add(PhonePlan { behaviour, audio, user: "callee".to_owned(), ..PhonePlan::new(bind) })
    }

    /// A telephone that calls `target` at once; the target's host must be a loopback address.
    pub fn calling(
        &self,
        bind: SocketAddr,
        target: &str,
        audio: Audio,
        headers: &[(&str, &str)],
    ) -> io::Result<PhoneHandle> {
        let phone = self.add(PhonePlan { audio, user: "caller".to_owned(), ..PhonePlan::new(bind) })?;
        phone.call(target, headers)?;
        Ok(phone)
    }

    /// RTP streams without SIP, for media servers with a control protocol of their own.
    pub fn streams(
        &self,
        address: IpAddr,
        count: usize,
        audio: Audio,
        keep: Keep,
        plan: StreamPlan,
    ) -> io::Result<StreamsHandle> {
        let sockets = Sockets::bind_streams(address, count)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let ports = sockets.rtp_ports();
        let seed = seed(SocketAddr::new(address, 0), id);
        self.link.send(Command::Streams { id, audio, keep, plan, seed, sockets })?;
        Ok(StreamsHandle { id, ports, link: self.link.clone() })
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        // When the thread has gone already there is nothing to stop.
        let _ = self.link.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One telephone that runs.
#[derive(Debug)]
pub struct PhoneHandle {
    id: usize,
    address: SocketAddr,
    uri: String,
    link: Link,
    events: Receiver<TimedEvent>,
}

impl PhoneHandle {
    /// Where its SIP socket is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What happens, in order.
    pub fn events(&self) -> &Receiver<TimedEvent> {
        &self.events
    }

    /// Waits for the first event that `wanted` takes; earlier ones are passed over. `None` when it does not come.
    pub fn wait_for(&self, timeout: Duration, wanted: impl Fn(&Event) -> bool) -> Option<TimedEvent> {
        let end = Instant::now() + timeout;
        loop {
            let event = self.events.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            if wanted(&event.event) {
                return Some(event);
            }
        }
    }

    /// Calls `target`, sending the INVITE to the target's own host, which must be a loopback address.
    pub fn call(&self, target: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let server = host_port(target).and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, port)));
        let Some(server) = server else {
            return Err(invalid(format!("expected sip:user@address:port, found {target:?}")));
        };
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.call_with(Outgoing { target: target.to_owned(), server, name: None, headers, hang_up_after: None })
    }

    /// Calls with all details.
    pub fn call_with(&self, outgoing: Outgoing) -> io::Result<()> {
        loopback(outgoing.server.ip())?;
        self.order(|_| Order::Call(outgoing))
    }

    /// Ends the latest call in whatever state it is.
    pub fn hang_up(&self) -> io::Result<()> {
        self.order(Order::HangUp)
    }

    /// Ends one of the calls.
    pub fn hang_up_call(&self, call: CallIndex) -> io::Result<()> {
        self.order(move |_| Order::HangUp(call))
    }

    /// Holds the latest call: a re-INVITE with `sendonly`.
    pub fn hold(&self) -> io::Result<()> {
        self.order(|call| Order::Offer(call, Direction::SendOnly))
    }

    /// Resumes the latest call: a re-INVITE with `sendrecv`.
    pub fn resume(&self) -> io::Result<()> {
        self.order(|call| Order::Offer(call, Direction::SendRecv))
    }

    /// Sends a re-INVITE with this direction on one of the calls: `SendOnly` holds, `SendRecv` resumes.
    pub fn offer_on(&self, call: CallIndex, direction: Direction) -> io::Result<()> {
        self.order(move |_| Order::Offer(call, direction))
    }

    /// Says something else on the latest call from now on.
    pub fn say(&self, audio: Audio) -> io::Result<()> {
        self.order(|call| Order::Say(call, audio))
    }

    /// Presses keys on the latest call: digits, `*`, `#`, `A` to `D`.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn press(&self, keys: &str) -> io::Result<()> {
        let keys: Result<Vec<dtmf::Key>, _> = keys.chars().map(dtmf::Key::try_from).collect();
        let keys = keys.map_err(|error| invalid(error.to_string()))?;
        self.order(|call| Order::Press(call, keys))
    }

    /// Presses keys on one of the calls.
    pub fn press_on(&self, call: CallIndex, keys: Vec<dtmf::Key>) -> io::Result<()> {
        self.order(move |_| Order::Press(call, keys))
    }

    /// Everything heard on the latest call so far.
    pub fn heard(&self) -> Recording {
        self.ask(|reply| Command::Heard { id: self.id, call: None, reply }).unwrap_or_default()
    }

    /// Everything heard on one of the calls so far.
    pub fn heard_on(&self, call: CallIndex) -> Recording {
        self.ask(|reply| Command::Heard { id: self.id, call: Some(call), reply }).unwrap_or_default()
    }

    /// The one-way times of all its calls since this was asked last.
    pub fn take_latencies(&self) -> Latencies {
        self.ask(|reply| Command::TakeLatencies { id: self.id, reply }).unwrap_or_default()
    }

    /// The figures of every call's stream.
    pub fn stats(&self) -> Vec<StreamStats> {
        self.ask(|reply| Command::Stats { id: self.id, reply }).unwrap_or_default()
    }

    /// How many calls are not over.
    pub fn calls_open(&self) -> usize {
        self.ask(|reply| Command::CallsOpen { id: self.id, reply }).unwrap_or_default()
    }

    /// Sends an order; `order` is given the index of the latest call.
    fn order(&self, order: impl FnOnce(CallIndex) -> Order + Send + 'static) -> io::Result<()> {
        self.link.send(Command::Order { id: self.id, order: Box::new(order) })
    }

    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Option<T> {
        self.link.ask(command)
    }
}

/// RTP streams without SIP.
#[derive(Debug)]
pub struct StreamsHandle {
    id: usize,
    /// The local ports, one per stream.
    pub ports: Vec<u16>,
    link: Link,
}

impl StreamsHandle {
    /// Says what was agreed for the stream on a local port; sending starts.
    pub fn configure(&self, port: u16, settings: StreamSettings) -> io::Result<()> {
        self.link.send(Command::Configure { id: self.id, port, settings })
    }

    /// Ends sending on all streams.
    pub fn stop(&self) -> io::Result<()> {
        self.link.send(Command::StopStreams { id: self.id })
    }

    /// The one-way times of all its streams since this was asked last.
    pub fn take_latencies(&self) -> Latencies {
        self.link.ask(|reply| Command::TakeLatencies { id: self.id, reply }).unwrap_or_default()
    }

    /// Everything heard on a stream so far, counted in the order of `ports`.
    pub fn heard(&self, stream: usize) -> Recording {
        self.link.ask(|reply| Command::Heard { id: self.id, call: Some(stream), reply }).unwrap_or_default()
    }
}

impl Link {
    fn send(&self, command: Command) -> io::Result<()> {
        self.commands.send(command).map_err(|_| io::Error::other("the telephones' thread has ended"))?;
        self.wake.write(1)?;
        Ok(())
    }

    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Option<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(command(reply)).ok()?;
        answer.recv_timeout(REPLY_MAX).ok()
    }
}

/// Refuses everything but this machine.
pub(crate) fn loopback(address: IpAddr) -> io::Result<()> {
    if address.is_loopback() { Ok(()) } else { Err(invalid(format!("expected a loopback address, found {address}"))) }
}

pub(crate) fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// What the keys of a telephone's calls are made of.
pub(crate) fn secret() -> io::Result<Secret> {
    let mut octets = [0; 32];
    let filled = SystemRandom::new().fill(&mut octets);
    filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(Secret::new(octets))
}

/// The same telephone at the same address has the same tags and branches, but two runs must not be taken for one.
fn seed(address: SocketAddr, id: usize) -> u64 {
    let run =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    run ^ u64::from(address.port()) << 40 ^ (id as u64) << 24
}
