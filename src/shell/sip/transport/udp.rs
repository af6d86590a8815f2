//! The UDP sockets in front of the stack, one per address family, which sees them as one: what the door or the guard
//! refuses is answered here and never gets further.
//!
//! The stack reads 8 KiB of a datagram. Longer messages (recording clients send them) go to it as those of connections
//! do, by a queue of ours.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::Result;
use rsipstack::platform::net::UdpSocket;
use rsipstack::transport::TransportEvent;
use tokio::sync::mpsc::UnboundedSender;

use super::{SipTransport, Transports, incoming};
use crate::shell::sip::door::{self, MESSAGE_BYTES_MAX, Plain, Refusal, Verdict};
use crate::shell::sip::guard::{Admission, Guard};
use crate::shell::sip::trace::Trace;

/// Pause after a failed read, so that a broken socket does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// The sockets.
pub(in crate::shell::sip) struct DatagramSocket {
    sockets: Vec<tokio::net::UdpSocket>,
    guard: Arc<Guard>,
    /// The longest message that is taken.
    bytes_max: usize,
    long: OnceLock<LongWay>,
    /// Who follows messages, where anybody does.
    trace: Option<Arc<Trace>>,
}

/// Where messages go that are longer than the stack reads.
pub(super) struct LongWay {
    pub(super) transports: Weak<Transports>,
    pub(super) events: UnboundedSender<TransportEvent>,
}

impl DatagramSocket {
    /// Guards `sockets`: one, or one of each family; takes messages of at most `bytes_max`.
    pub(in crate::shell::sip) fn new(
        sockets: Vec<tokio::net::UdpSocket>,
        guard: Arc<Guard>,
        bytes_max: usize,
        trace: Option<Arc<Trace>>,
    ) -> Self {
        Self { sockets, guard, bytes_max, long: OnceLock::new(), trace }
    }

    /// Shows long messages their way, once the stack is there.
    pub(super) fn lead(&self, long: LongWay) {
        // Set twice it would be the same.
        let _ = self.long.set(long);
    }
}

#[async_trait]
impl UdpSocket for DatagramSocket {
    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let mut datagram = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let (length, source) = match self.receive(&mut datagram).await {
                Ok(received) => received,
                Err(error) => {
                    tokio::time::sleep(ERROR_PAUSE).await;
                    return Err(error.into());
                }
            };
            let datagram = &datagram[..length];
            // Keep-alives are the stack's business (RFC 5626 §4.4.1).
            if datagram.iter().all(|byte| b"\r\n".contains(byte)) {
                if !self.guard.knows(source.ip()) {
                    continue;
                }
                let length = length.min(buffer.len());
                buffer[..length].copy_from_slice(&datagram[..length]);
                return Ok((length, source));
            }
            let verdict = match self.judge(datagram, source) {
                Verdict::Pass(plain) => match self.guard.admit(source, SipTransport::Udp, &plain) {
                    Admission::Take => {
                        self.trace_arrival(source, datagram);
                        if plain.bytes.len() <= buffer.len() {
                            buffer[..plain.bytes.len()].copy_from_slice(&plain.bytes);
                            return Ok((plain.bytes.len(), source));
                        }
                        self.hand_on(&plain, source);
                        continue;
                    }
                    Admission::Ignore => continue,
                    Admission::Refuse(code) => {
                        if let Some(refusal) = door::turn_away(datagram, source, code) {
                            self.answer(&refusal).await;
                        }
                        continue;
                    }
                },
                refused => refused,
            };
            self.refuse(verdict, source).await;
        }
    }

    async fn send_to(&self, buffer: &[u8], target: SocketAddr) -> Result<usize> {
        let socket = self.socket_for(target).ok_or_else(|| std::io::Error::other("no UDP socket"))?;
        let sent = socket.send_to(buffer, target).await?;
        if let (Some(trace), Ok(local)) = (&self.trace, socket.local_addr()) {
            trace.went(SipTransport::Udp, local, target, buffer);
        }
        Ok(sent)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        let socket = self.sockets.first().ok_or_else(|| std::io::Error::other("no UDP socket"))?;
        Ok(socket.local_addr()?)
    }
}

impl DatagramSocket {
    async fn receive(&self, datagram: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
        loop {
            match self.sockets.as_slice() {
                [one] => return one.recv_from(datagram).await,
                [one, other, ..] => tokio::select! {
                    ready = one.readable() => ready?,
                    ready = other.readable() => ready?,
                },
                [] => std::future::pending().await,
            }
            for socket in &self.sockets {
                match socket.try_recv_from(datagram) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    received => return received,
                }
            }
        }
    }

    /// The socket of a far end's address family.
    fn socket_for(&self, far: SocketAddr) -> Option<&tokio::net::UdpSocket> {
        let fits =
            |socket: &&tokio::net::UdpSocket| socket.local_addr().is_ok_and(|local| local.is_ipv4() == far.is_ipv4());
        self.sockets.iter().find(fits).or(self.sockets.first())
    }

    fn trace_arrival(&self, source: SocketAddr, datagram: &[u8]) {
        let Some(trace) = &self.trace else { return };
        if let Some(local) = self.socket_for(source).and_then(|socket| socket.local_addr().ok()) {
            trace.came(SipTransport::Udp, source, local, datagram);
        }
    }

    fn judge(&self, datagram: &[u8], source: SocketAddr) -> Verdict {
        match datagram.len() <= self.bytes_max {
            true => door::judge(datagram, source),
            false => door::refuse_large(datagram, source),
        }
    }

    /// Hands a long message to the stack; how many there may be is bounded as all requests are, by the guard.
    fn hand_on(&self, plain: &Plain, source: SocketAddr) {
        let way = self.long.get().and_then(|long| Some((long.transports.upgrade()?.udp()?, &long.events)));
        let event = way.and_then(|(udp, events)| Some((incoming(plain, udp, SipTransport::Udp, source)?, events)));
        if let Some((event, events)) = event {
            // When the stack is gone, so is this socket in a moment.
            let _ = events.send(event);
        }
    }

    async fn refuse(&self, verdict: Verdict, source: SocketAddr) {
        let refusal = match verdict {
            Verdict::Refuse(refusal) => refusal,
            Verdict::Drop(why) => return self.guard.note_malformed(source, SipTransport::Udp, why),
            Verdict::Pass(_) => return,
        };
        if self.guard.may_answer(source, SipTransport::Udp, &refusal) {
            self.answer(&refusal).await;
        }
    }

    async fn answer(&self, refusal: &Refusal) {
        if let Err(error) = self.send_to(&refusal.response, refusal.to).await {
            tracing::debug!(%error, code = refusal.code, "a refusal was not sent");
        }
    }
}
