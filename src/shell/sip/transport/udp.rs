//! The UDP sockets in front of the stack, one per address family, which sees them as one: what the door or the guard
//! refuses is answered here and never gets further.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::Result;
use rsipstack::platform::net::UdpSocket;

use super::SipTransport;
use crate::shell::sip::door::{self, MESSAGE_BYTES_MAX, Refusal, Verdict};
use crate::shell::sip::guard::{Admission, Guard};

/// Pause after a failed read, so that a broken socket does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// The sockets.
pub(in crate::shell::sip) struct DatagramSocket {
    sockets: Vec<tokio::net::UdpSocket>,
    guard: Arc<Guard>,
}

impl DatagramSocket {
    /// Guards `sockets`: one, or one of each family.
    pub(in crate::shell::sip) fn new(sockets: Vec<tokio::net::UdpSocket>, guard: Arc<Guard>) -> Self {
        Self { sockets, guard }
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
            let verdict = match door::judge(datagram, source) {
                Verdict::Pass(plain) => match self.guard.admit(source, SipTransport::Udp, &plain) {
                    Admission::Take if plain.bytes.len() <= buffer.len() => {
                        buffer[..plain.bytes.len()].copy_from_slice(&plain.bytes);
                        return Ok((plain.bytes.len(), source));
                    }
                    Admission::Take => door::refuse_large(datagram, source),
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
        let fits = |socket: &&tokio::net::UdpSocket| {
            socket.local_addr().is_ok_and(|local| local.is_ipv4() == target.is_ipv4())
        };
        let socket = self.sockets.iter().find(fits).or(self.sockets.first());
        let socket = socket.ok_or_else(|| std::io::Error::other("no UDP socket"))?;
        Ok(socket.send_to(buffer, target).await?)
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
