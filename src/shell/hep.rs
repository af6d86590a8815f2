//! Tells a collector, such as Homer, of SIP messages and of how legs sounded: over UDP, and without waiting for anything.
//!
//! A message is held back for a moment until it is known to which call it belongs. What finds no room is counted.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::clock::since_1970;
use super::sip::SipTransport;
use super::sip::trace::{Message, Trace};
use crate::hep::{Agent, Content, Told, quality_of};
use crate::metrics::Metrics;
use crate::notice::LegReport;

/// Quality reports that may wait.
const REPORTS_MAX: usize = 1_024;
/// Messages that may wait to be known by their call; the oldest are told without beyond it.
const UNKNOWN_MAX: usize = 4_096;
/// For how long they wait: call control names a leg as soon as it has anything to say to it.
const UNKNOWN_FOR: Duration = Duration::from_millis(500);
/// How often those are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a collector is told with.
pub struct HepOptions {
    /// Its socket.
    pub collector: SocketAddr,
    /// As whom.
    pub agent: Agent,
    /// Who follows messages.
    pub trace: Arc<Trace>,
    /// Our address in reports, which are about RTP and no message.
    pub near: SocketAddr,
    /// Where is counted.
    pub metrics: Metrics,
}

/// The way to a collector. It is told no more once this is dropped.
#[derive(Debug)]
pub struct Hep {
    reports: mpsc::Sender<Report>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Report {
    at: Duration,
    call: String,
    leg: LegReport,
}

impl Hep {
    /// Begins to tell. Runs on the current tokio runtime.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn start(options: HepOptions) -> io::Result<Self> {
        let any = match options.collector {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        // Of the system's own: what it does not take at once is let go of, and nobody waits until it would.
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        info!(collector = %options.collector, "HEP");
        let (reports, inlet) = mpsc::channel(REPORTS_MAX);
        let metrics = options.metrics.clone();
        let messages = options.trace.follow();
        let teller = Teller { options, socket, waiting: VecDeque::new(), is_heard: true };
        tokio::spawn(teller.run(messages, inlet));
        Ok(Self { reports, metrics })
    }

    /// A leg of a call is over.
    pub fn leg_ended(&self, call: &str, leg: &LegReport) {
        let report = Report { at: since_1970(), call: call.to_owned(), leg: leg.clone() };
        if self.reports.try_send(report).is_err() {
            self.metrics.count_hep("dropped", 1);
        }
    }
}

struct Teller {
    options: HepOptions,
    socket: UdpSocket,
    /// Messages whose call is not known yet, oldest first, and until when they wait.
    waiting: VecDeque<(Instant, Arc<Message>)>,
    /// Whether the socket took the last packet, so that the log says once that it takes none.
    is_heard: bool,
}

impl Teller {
    async fn run(mut self, mut messages: Receiver<Arc<Message>>, mut reports: mpsc::Receiver<Report>) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Ok(message) => self.take(message),
                    Err(RecvError::Lagged(missed)) => self.options.metrics.count_hep("dropped", missed),
                    Err(RecvError::Closed) => return,
                },
                report = reports.recv() => match report {
                    Some(report) => self.tell_report(&report),
                    None => return self.look(Instant::now() + UNKNOWN_FOR),
                },
                _ = look.tick() => self.look(Instant::now()),
            }
        }
    }

    fn take(&mut self, message: Arc<Message>) {
        match self.options.trace.call_of(&message.call_id) {
            Ok(call) => self.tell_message(&message, &call),
            Err(_) => {
                self.waiting.push_back((Instant::now() + UNKNOWN_FOR, message));
                if self.waiting.len() > UNKNOWN_MAX {
                    self.tell_oldest();
                }
            }
        }
    }

    /// Tells of messages whose call is known by now, and of those that have waited long enough.
    fn look(&mut self, now: Instant) {
        for (until, message) in std::mem::take(&mut self.waiting) {
            match self.options.trace.call_of(&message.call_id) {
                Ok(call) => self.tell_message(&message, &call),
                // A call that came to nothing is known by its Call-ID alone.
                Err(_) if until <= now => self.tell_message(&message, &message.call_id),
                Err(_) => self.waiting.push_back((until, message)),
            }
        }
    }

    fn tell_oldest(&mut self) {
        let Some((_, message)) = self.waiting.pop_front() else { return };
        // A call that came to nothing is known by its Call-ID alone.
        let call = self.options.trace.call_of(&message.call_id).unwrap_or_else(|_| message.call_id.clone());
        self.tell_message(&message, &call);
    }

    fn tell_message(&mut self, message: &Message, call: &str) {
        let Message { at, transport, from, to, ref octets, .. } = *message;
        let by_stream = transport != SipTransport::Udp;
        self.send(&Told { at, from, to, by_stream, content: Content::Sip, correlation: call, payload: octets });
    }

    fn tell_report(&mut self, Report { at, call, leg }: &Report) {
        let (near, payload) = (self.options.near, quality_of(call, leg).to_string());
        self.send(&Told {
            at: *at,
            from: near,
            to: near,
            by_stream: false,
            content: Content::Quality,
            correlation: call,
            payload: payload.as_bytes(),
        });
    }

    fn send(&mut self, told: &Told<'_>) {
        let packet = self.options.agent.packet(told);
        let sent = self.socket.send_to(&packet, self.options.collector);
        self.options.metrics.count_hep(if sent.is_ok() { "sent" } else { "failed" }, 1);
        let was_heard = std::mem::replace(&mut self.is_heard, sent.is_ok());
        if let (Err(error), true) = (sent, was_heard) {
            warn!(%error, collector = %self.options.collector, "the collector is told nothing");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hep::tests::chunks;
    use crate::settings::SipSettings;
    use media::LegId;

    #[tokio::test]
    async fn messages_are_told_by_their_calls_and_legs_by_their_quality() {
        let collector = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let trace = Arc::new(Trace::new(SipSettings::default(), 0));
        let options = HepOptions {
            collector: collector.local_addr().expect("bound"),
            agent: Agent { id: 7, key: None },
            trace: Arc::clone(&trace),
            near: "192.0.2.9:5060".parse().expect("an address"),
            metrics: Metrics::new(),
        };
        let hep = Hep::start(options).expect("a socket");
        say(&trace, "INVITE", "one");
        trace.took(LegId(1), "one");
        trace.name(LegId(1), "boot-1");
        say(&trace, "BYE", "one");
        say(&trace, "INVITE", "nobody's");
        let leg = crate::notice::LegReport {
            party: "caller".to_owned(),
            name: "caller".to_owned(),
            codec: "PCMA".to_owned(),
            clock_hz: 8_000,
            packets_received: 1,
            packets_sent: 1,
            packets_lost: 0,
            concealed_ms: 0,
            underruns: 0,
            unauthentic: 0,
            quality: crate::notice::LegQuality::default(),
        };
        hep.leg_ended("boot-1", &leg);

        let mut told = Vec::new();
        for _ in 0..4 {
            let mut packet = vec![0; 65_535];
            let received = collector.recv(&mut packet);
            let length = tokio::time::timeout(Duration::from_secs(30), received).await.expect("in time").expect("one");
            let chunks = chunks(&packet[..length]).expect("a packet");
            let text = |number: u16| String::from_utf8_lossy(&chunks[&number]).into_owned();
            let beginning = text(0xf).split(' ').next().unwrap_or_default().to_owned();
            told.push(format!(
                "{} {} {}",
                chunks[&0xb][0],
                text(0x11),
                if chunks[&0xb][0] == 1 { &beginning } else { "" }
            ));
        }
        told.sort();
        assert_eq!(told, ["1 boot-1 BYE", "1 boot-1 INVITE", "1 nobody's INVITE", "5 boot-1 "]);
    }

    fn say(trace: &Trace, method: &str, call_id: &str) {
        let message = format!("{method} sip:bot@192.0.2.9 SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n");
        let peer = "192.0.2.7:5060".parse().expect("an address");
        trace.came(SipTransport::Udp, peer, "192.0.2.9:5060".parse().expect("an address"), message.as_bytes());
    }
}
