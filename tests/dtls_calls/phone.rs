//! A telephone that shakes hands: an ordinary one that knows nothing of it, behind a layer that puts the fingerprint into
//! its descriptions and the protection onto its packets.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calmline::shell::dtls::{Certificate, Endpoint};
use loadtest::audio::Audio;
use loadtest::phone::{Event, Input, Order, Outgoing, Output, Phone, PhoneSettings};
use loadtest::stream::{Keep, Recording};
use media::sdp::Handshake;
use media::srtp::{Receiver, Sender, SessionKeys, TRAILER_BYTES_MAX};
use media::{Codec, Direction};

use crate::agreement::{self, Terms, Theirs};
use crate::openssl::{Identity, OpenSsl};
use crate::stage::{ANY, LONG};

/// What a telephone is to be.
pub struct Plan {
    pub terms: Terms,
    pub hands: Hands,
    pub audio: Audio,
}

/// By what it shakes hands.
pub enum Hands {
    /// By an endpoint of ours.
    Ours(Certificate),
    /// By a process of OpenSSL.
    OpenSsl(Arc<Identity>),
    /// Not at all.
    Nothing,
}

impl Plan {
    /// A telephone that insists on a handshake, begins it when it may, and sings.
    pub fn singing(hz: u16) -> Plan {
        let certificate = Certificate::generate().expect("the system gives randomness");
        Plan {
            terms: Terms {
                transport: "UDP/TLS/RTP/SAVP",
                active: true,
                shares_port: true,
                fingerprint: certificate.fingerprint().clone(),
            },
            hands: Hands::Ours(certificate),
            audio: Audio::tone(hz, 0.3),
        }
    }

    /// The same that waits for the other end to begin.
    pub fn passive(mut self) -> Plan {
        self.terms.active = false;
        self
    }

    /// The same by OpenSSL.
    pub fn by_openssl(mut self, identity: &Arc<Identity>) -> Plan {
        self.terms.fingerprint = identity.fingerprint.clone();
        self.hands = Hands::OpenSsl(Arc::clone(identity));
        self
    }
}

/// What was seen on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Handshakes that have brought keys, on either port.
    pub handshakes: u32,
    /// Audio packets that our keys have opened.
    pub audio: u64,
    /// Control packets that our keys have opened.
    pub reports: u64,
    /// Audio packets that are not protected, by their length.
    pub plain: u64,
}

/// The running telephone.
pub struct SecurePhone {
    inner: Arc<Mutex<Inner>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SecurePhone {
    /// One that waits for calls at `bind`.
    pub fn answering(bind: SocketAddr, plan: Plan) -> SecurePhone {
        Self::start(bind, plan)
    }

    /// One that calls `target` at once.
    pub fn calling(server: SocketAddr, target: &str, plan: Plan) -> SecurePhone {
        let phone = Self::start(ANY, plan);
        let outgoing =
            Outgoing { target: target.to_owned(), server, name: None, headers: Vec::new(), hang_up_after: None };
        phone.order(Order::Call(outgoing));
        phone
    }

    fn start(bind: SocketAddr, plan: Plan) -> SecurePhone {
        let sip = UdpSocket::bind(bind).expect("its port is free");
        let (media, control) = port_pair();
        let address = sip.local_addr().expect("bound");
        let phone = Phone::new(PhoneSettings {
            user: "secure".to_owned(),
            codecs: vec![Codec::Pcma],
            audio: plan.audio,
            keep: Keep { audio_seconds: 120, trace: false },
            seed: u64::from(address.port()),
            ..PhoneSettings::new(address, vec![media.local_addr().expect("bound").port()])
        });
        for socket in [&sip, &media, &control] {
            socket.set_nonblocking(true).expect("a socket");
        }
        let line = |socket| Line { socket, shaking: None, keys: None, protection: None };
        let inner = Inner {
            began: Instant::now(),
            sip,
            phone,
            terms: plan.terms,
            hands: plan.hands,
            theirs: None,
            agreed: None,
            media: line(media),
            control: line(control),
            events: Vec::new(),
            seen: Seen::default(),
        };
        let (inner, stop) = (Arc::new(Mutex::new(inner)), Arc::new(AtomicBool::new(false)));
        let (shared, stopped) = (Arc::clone(&inner), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                shared.lock().expect("nobody panicked").turn();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        SecurePhone { inner, stop, thread: Some(thread) }
    }

    pub fn heard(&self) -> Recording {
        self.inner.lock().expect("nobody panicked").phone.heard(0)
    }

    pub fn seen(&self) -> Seen {
        self.inner.lock().expect("nobody panicked").seen
    }

    /// The port that audio comes to.
    pub fn far_media(&self) -> Option<SocketAddr> {
        self.inner.lock().expect("nobody panicked").theirs.as_ref().map(|theirs| theirs.media)
    }

    pub fn order(&self, order: Order) {
        self.inner.lock().expect("nobody panicked").step(Input::Order(order));
    }

    pub fn offer(&self, direction: Direction) {
        self.order(Order::Offer(0, direction));
    }

    /// Shows another certificate from now on; an offer must follow.
    pub fn renew(&self) {
        let certificate = Certificate::generate().expect("the system gives randomness");
        let mut inner = self.inner.lock().expect("nobody panicked");
        inner.terms.fingerprint = certificate.fingerprint().clone();
        inner.hands = Hands::Ours(certificate);
        inner.agreed = None;
    }

    /// Waits for an event.
    #[track_caller]
    pub fn expect(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            let mut inner = self.inner.lock().expect("nobody panicked");
            if let Some(at) = inner.events.iter().position(&wanted) {
                return inner.events.drain(..=at).next_back().expect("it is there");
            }
            drop(inner);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{what} did not come");
    }
}

impl Drop for SecurePhone {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of its thread has been printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Inner {
    began: Instant,
    sip: UdpSocket,
    phone: Phone,
    terms: Terms,
    hands: Hands,
    theirs: Option<Theirs>,
    agreed: Option<Handshake>,
    media: Line,
    control: Line,
    events: Vec<Event>,
    seen: Seen,
}

/// One of its two ports.
struct Line {
    socket: UdpSocket,
    shaking: Option<Shaking>,
    keys: Option<SessionKeys>,
    protection: Option<(Sender, Receiver)>,
}

enum Shaking {
    Ours(Box<Endpoint>),
    OpenSsl(OpenSsl),
}

impl Inner {
    /// Takes what has come and sends what is due.
    fn turn(&mut self) {
        let mut bytes = [0; 4_096];
        while let Ok((length, from)) = self.sip.recv_from(&mut bytes) {
            let plain = self.take_description(&bytes[..length]);
            self.step(Input::Sip { from, bytes: &plain });
        }
        while let Ok((length, _)) = self.media.socket.recv_from(&mut bytes) {
            self.packet(false, &bytes[..length]);
        }
        while let Ok((length, _)) = self.control.socket.recv_from(&mut bytes) {
            self.packet(true, &bytes[..length]);
        }
        self.step(Input::Tick);
        let now = self.began.elapsed();
        let Some(to) = self.theirs.as_ref().map(|theirs| theirs.media) else { return };
        let above = SocketAddr::new(to.ip(), to.port() + 1);
        for (line, to) in [(&mut self.media, to), (&mut self.control, above)] {
            self.seen.handshakes += u32::from(line.shake(now, to));
        }
    }

    fn step(&mut self, input: Input<'_>) {
        let mut out = Output::default();
        self.phone.handle(self.began.elapsed(), input, &mut out);
        self.events.extend(out.events.into_iter().map(|event| event.event));
        for (to, bytes) in out.sip {
            let offers = !bytes.starts_with(b"SIP/2.0");
            let changed = agreement::with_description(&bytes, |text| agreement::protected(text, &self.terms, offers));
            self.sip.send_to(&changed, to).expect("loopback takes everything");
            if !offers && changed != bytes {
                self.agree();
            }
        }
        for (_, to, bytes) in out.rtp {
            self.media.send(to, bytes);
        }
    }

    /// A message of the server as the telephone understands it.
    fn take_description(&mut self, message: &[u8]) -> Vec<u8> {
        let answers = message.starts_with(b"SIP/2.0");
        let mut described = None;
        let plain = agreement::with_description(message, |text| {
            described = Theirs::read(text);
            agreement::plain(text, &self.terms)
        });
        if described.is_some() {
            self.theirs = described;
            if answers {
                self.agree();
            }
        }
        plain
    }

    /// Offer and answer are there: begins a handshake when another one is agreed than before.
    fn agree(&mut self) {
        let Some(agreed) = self.theirs.as_ref().map(|theirs| theirs.with(&self.terms)) else { return };
        if self.agreed.as_ref() == Some(&agreed) {
            return;
        }
        let now = self.began.elapsed();
        let begin = |hands: &Hands| match hands {
            Hands::Ours(certificate) => {
                let endpoint = Endpoint::new(agreed.clone(), certificate, now).expect("the certificate is ours");
                Some(Shaking::Ours(Box::new(endpoint)))
            }
            Hands::OpenSsl(identity) => Some(Shaking::OpenSsl(OpenSsl::start(identity, agreed.active))),
            Hands::Nothing => None,
        };
        self.media.shaking = begin(&self.hands);
        self.control.shaking = agreed.separate_control.then(|| begin(&self.hands)).flatten();
        self.agreed = Some(agreed);
    }

    fn packet(&mut self, is_control: bool, datagram: &[u8]) {
        let now = self.began.elapsed();
        let line = if is_control { &mut self.control } else { &mut self.media };
        if matches!(datagram.first(), Some(20..=63)) {
            match &mut line.shaking {
                Some(Shaking::Ours(endpoint)) => endpoint.handle(now, datagram),
                Some(Shaking::OpenSsl(openssl)) => openssl.handle(datagram),
                None => {}
            }
            return;
        }
        let is_report = datagram.get(1).is_some_and(|kind| (192..224).contains(kind));
        let mut bytes = datagram.to_vec();
        let opened = line.protection.as_mut().and_then(|(_, receiver)| match is_report {
            true => receiver.unprotect_control(&mut bytes).ok(),
            false => receiver.unprotect(&mut bytes).ok(),
        });
        match opened {
            None => self.seen.plain += u64::from(datagram.len() == PLAIN_BYTES),
            Some(_) if is_report => self.seen.reports += 1,
            Some(length) => {
                self.seen.audio += 1;
                let port = self.media.socket.local_addr().expect("bound").port();
                self.step(Input::Rtp { port, bytes: &bytes[..length] });
            }
        }
    }
}

impl Line {
    /// Goes on with the handshake; true when it has just brought keys.
    fn shake(&mut self, now: Duration, to: SocketAddr) -> bool {
        let send = |datagram: &[u8]| drop(self.socket.send_to(datagram, to));
        let keys: Option<SessionKeys> = match &mut self.shaking {
            Some(Shaking::Ours(endpoint)) => {
                if endpoint.deadline().is_some_and(|deadline| deadline <= now) {
                    endpoint.tick(now);
                }
                while let Some(datagram) = endpoint.poll() {
                    send(&datagram);
                }
                endpoint.keys().cloned()
            }
            Some(Shaking::OpenSsl(openssl)) => {
                while let Some(datagram) = openssl.poll() {
                    send(&datagram);
                }
                openssl.keys().cloned()
            }
            None => None,
        };
        let Some(keys) = keys.filter(|keys| !self.has(keys)) else { return false };
        self.protection = Some((Sender::new(&keys.send), Receiver::new(&keys.receive)));
        self.keys = Some(keys);
        true
    }

    fn has(&self, keys: &SessionKeys) -> bool {
        self.keys.as_ref() == Some(keys)
    }

    /// Sends an audio packet, protected; before there are keys it is lost.
    fn send(&mut self, to: SocketAddr, mut packet: Vec<u8>) {
        let Some((sender, _)) = &mut self.protection else { return };
        let length = packet.len();
        packet.resize(length + TRAILER_BYTES_MAX, 0);
        let sealed = sender.protect(&mut packet, length).expect("there is room");
        let _ = self.socket.send_to(&packet[..sealed], to);
    }
}

/// 20 ms of G.711 behind a header; protection adds a tag.
const PLAIN_BYTES: usize = 172;

/// Two ports of which the second is one above the first, which is even.
fn port_pair() -> (UdpSocket, UdpSocket) {
    for _ in 0..1_000 {
        let media = UdpSocket::bind(ANY).expect("a port");
        let address = media.local_addr().expect("bound");
        if address.port().is_multiple_of(2)
            && let Ok(control) = UdpSocket::bind(SocketAddr::new(address.ip(), address.port() + 1))
        {
            return (media, control);
        }
    }
    panic!("loopback has no two ports beside each other");
}
