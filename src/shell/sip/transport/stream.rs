//! One connection: cuts what comes into messages, lets the door and the guard judge them, and writes what is sent.
//!
//! One task per connection, and nobody waits for another's: a far end that does not read, sends half a message, or
//! nothing for too long loses its connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rsipstack::platform::CancellationToken;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{Frame, FrameFault, Framer};
use super::{Line, SipTransport, Transports, incoming};
use crate::shell::sip::door::{self, Plain, Verdict};
use crate::shell::sip::guard::Admission;

/// Messages that wait for a far end that does not read; with more of them it loses its connection.
const OUTGOING_MAX: usize = 1_024;
/// How often is looked at how many they are.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the far end may take to read what we write.
const WRITE_WAIT: Duration = Duration::from_secs(10);
/// How long a message may take from its first byte to its last.
const MESSAGE_WAIT: Duration = Duration::from_secs(10);
/// How much is read at once, bytes.
const READ_BYTES: usize = 8 * 1_024;

/// A certificate that an authority of ours has signed.
pub(in crate::shell::sip) type Certificate = Arc<CertificateDer<'static>>;

/// A connection's place among the others; given back when it is dropped.
pub(super) struct Place {
    transports: Arc<Transports>,
    source: SocketAddr,
}

impl Place {
    /// A place for a connection with `source`; nothing when there are too many.
    pub(super) fn take(transports: &Arc<Transports>, source: SocketAddr) -> Option<Self> {
        let mut lines = transports.lines();
        let of_source = lines.per_source.get(&source.ip()).copied().unwrap_or(0);
        let settings = &transports.settings;
        if lines.count >= settings.connections || of_source >= settings.connections_per_source {
            return None;
        }
        lines.count += 1;
        lines.per_source.insert(source.ip(), of_source + 1);
        Some(Self { transports: transports.clone(), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.transports.lines();
        lines.count = lines.count.saturating_sub(1);
        match lines.per_source.get_mut(&self.source.ip()) {
            Some(of_source) if *of_source > 1 => *of_source -= 1,
            _ => drop(lines.per_source.remove(&self.source.ip())),
        }
    }
}

/// What is known of a connection when it is made.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) transport: SipTransport,
    pub(super) remote: SocketAddr,
    pub(super) certificate: Option<Certificate>,
    pub(super) name: Option<String>,
}

/// A connection while it is served.
pub(super) struct Session {
    facts: Facts,
    place: Place,
    connection: SipConnection,
    incoming: mpsc::UnboundedSender<TransportEvent>,
    /// Without a bound, for whoever sends must not wait: the stack and the door speak with everybody. See `flooded`.
    pub(super) outgoing: mpsc::UnboundedReceiver<TransportEvent>,
    pub(super) closed: CancellationToken,
}

impl Session {
    /// Makes a connection known to the stack; nothing when the stack is gone.
    pub(super) async fn open(place: Place, facts: Facts) -> Option<Self> {
        let transports = place.transports.clone();
        let endpoint = transports.endpoint.get()?.upgrade()?;
        let (incoming, stack_incoming) = mpsc::unbounded_channel();
        let (stack_outgoing, outgoing) = mpsc::unbounded_channel();
        let closed = transports.stop.child_token();
        let address = SipAddr { r#type: Some(facts.transport.into()), ..SipAddr::from(facts.remote) };
        let made = ChannelConnection::create_connection(stack_incoming, stack_outgoing, address, Some(closed.clone()));
        let connection = SipConnection::Channel(made.await.ok()?);
        endpoint.transport_layer.add_connection(connection.clone());
        let line =
            Line { connection: connection.clone(), certificate: facts.certificate.clone(), name: facts.name.clone() };
        transports.lines().by_address.insert((facts.transport, facts.remote), line);
        tracing::debug!(remote = %facts.remote, transport = facts.transport.name(), "connected");
        Some(Self { facts, place, connection, incoming, outgoing, closed })
    }

    /// How the stack calls it.
    pub(super) fn connection(&self) -> SipConnection {
        self.connection.clone()
    }

    /// How long nothing may be said.
    pub(super) fn idle(&self) -> Duration {
        self.place.transports.settings.idle
    }

    /// Runs `write`, which sends something to the far end; the error ends the connection: it failed, took too long, or
    /// too much waits behind it.
    pub(super) async fn write<E>(&self, write: impl Future<Output = Result<(), E>>) -> Result<(), ()> {
        tokio::select! {
            biased;
            written = timeout(WRITE_WAIT, write) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(()),
            },
            () = self.flooded() => Err(()),
        }
    }

    /// Says that nothing is sent any more.
    pub(super) fn end(&mut self) {
        self.closed.cancel();
        self.outgoing.close();
    }

    /// Waits until more is to be sent than a far end that does not read may be owed.
    async fn flooded(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.outgoing.len() > OUTGOING_MAX {
                break;
            }
        }
        tracing::warn!(remote = %self.facts.remote, "a far end does not read: its connection is closed");
    }

    /// Takes one message; what is to be answered at once, without the stack.
    pub(super) fn take(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (guard, facts) = (&self.place.transports.guard, &self.facts);
        let verdict = match door::judge(message, facts.remote) {
            Verdict::Pass(plain) => match guard.admit(facts.remote, facts.transport, &plain) {
                Admission::Take => {
                    if let Some(trace) = &self.place.transports.trace {
                        trace.came(facts.transport, facts.remote, self.near(), message);
                    }
                    self.hand_on(&plain);
                    return None;
                }
                Admission::Ignore => return None,
                Admission::Refuse(code) => {
                    return door::turn_away(message, facts.remote, code).map(|refusal| refusal.response);
                }
            },
            refused => refused,
        };
        self.answer(verdict)
    }

    /// What is to be answered to a message that is none.
    pub(super) fn answer(&self, verdict: Verdict) -> Option<Vec<u8>> {
        let (guard, facts) = (&self.place.transports.guard, &self.facts);
        match verdict {
            Verdict::Refuse(refusal) if guard.may_answer(facts.remote, facts.transport, &refusal) => {
                Some(refusal.response)
            }
            Verdict::Drop(why) => {
                guard.note_malformed(facts.remote, facts.transport, why);
                None
            }
            Verdict::Refuse(_) | Verdict::Pass(_) => None,
        }
    }

    fn hand_on(&self, plain: &Plain) {
        let Facts { remote, transport, .. } = self.facts;
        if let Some(event) = incoming(plain, self.connection.clone(), transport, remote) {
            // When the stack is gone, so is this connection in a moment.
            let _ = self.incoming.send(event);
        }
    }

    /// The bytes of a message that the stack sends.
    pub(super) fn bytes_of(&self, event: TransportEvent) -> Option<Vec<u8>> {
        let bytes = match event {
            TransportEvent::Incoming(message, ..) => message.to_bytes(),
            TransportEvent::New(_) | TransportEvent::Closed(_) => return None,
        };
        if let Some(trace) = &self.place.transports.trace {
            trace.went(self.facts.transport, self.near(), self.facts.remote, &bytes);
        }
        Some(bytes)
    }

    /// Our address, as the far end knows it.
    fn near(&self) -> SocketAddr {
        self.place.transports.shown(self.facts.transport, self.facts.remote)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.closed.cancel();
        let key = (self.facts.transport, self.facts.remote);
        let mut lines = self.place.transports.lines();
        let is_this = |line: &Line| line.connection.cancel_token().is_some_and(|token| token.is_cancelled());
        // A newer connection of the same address keeps its entry.
        if lines.by_address.get(&key).is_some_and(is_this) {
            lines.by_address.remove(&key);
        }
        tracing::debug!(remote = %self.facts.remote, transport = self.facts.transport.name(), "disconnected");
    }
}

/// Serves a stream until it ends.
pub(super) async fn serve<S>(mut session: Session, mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut patience = Instant::now() + session.idle();
    let closed = session.closed.clone();
    loop {
        tokio::select! {
            () = closed.cancelled() => break,
            event = session.outgoing.recv() => {
                let Some(bytes) = event.and_then(|event| session.bytes_of(event)) else { break };
                if write(&session, &mut stream, &bytes).await.is_err() {
                    break;
                }
            }
            read = timeout_at(patience, stream.read(&mut buffer)) => {
                let Ok(Ok(length @ 1..)) = read else { break };
                let was_amid = framer.is_amid();
                framer.push(&buffer[..length]);
                let Ok(count) = take_frames(&session, &mut framer, &mut stream).await else { break };
                if !framer.is_amid() {
                    patience = Instant::now() + session.idle();
                } else if !was_amid || count > 0 {
                    patience = Instant::now() + MESSAGE_WAIT;
                }
            }
        }
    }
    session.end();
    // A goodbye that is not taken changes nothing.
    let _ = timeout(WRITE_WAIT, stream.shutdown()).await;
}

/// Takes every whole frame; how many there were. The error ends the connection.
async fn take_frames<S>(session: &Session, framer: &mut Framer, stream: &mut S) -> Result<usize, ()>
where
    S: AsyncWrite + Unpin,
{
    let mut count = 0;
    loop {
        let answer = match framer.next() {
            Ok(None) => return Ok(count),
            Ok(Some(Frame::Message(message))) => session.take(&message),
            Ok(Some(Frame::Ping)) => Some(b"\r\n".to_vec()),
            Ok(Some(Frame::Pong)) => None,
            Err(fault) => {
                let verdict = match fault {
                    FrameFault::TooLarge(beginning) => door::refuse_large(&beginning, session.facts.remote),
                    FrameFault::NoLength(head) => door::judge(&head, session.facts.remote),
                };
                if let Some(bytes) = session.answer(verdict) {
                    // The connection ends anyway.
                    let _ = write(session, stream, &bytes).await;
                }
                return Err(());
            }
        };
        count += 1;
        if let Some(bytes) = answer {
            write(session, stream, &bytes).await?;
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(session: &Session, stream: &mut S, bytes: &[u8]) -> Result<(), ()> {
    let all = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    session.write(all).await
}
