//! The UDP socket in front of the stack: what the door refuses is answered here and never gets further.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::Result;
use rsipstack::platform::net::UdpSocket;

use crate::shell::sip::Trust;
use crate::shell::sip::door::{self, MESSAGE_BYTES_MAX, Verdict};

/// Pause after a failed read, so that a broken socket does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// The socket.
pub(in crate::shell::sip) struct DatagramSocket {
    socket: tokio::net::UdpSocket,
    trusted: Trust,
}

impl DatagramSocket {
    /// Guards `socket`; strangers get no answer from here.
    pub(in crate::shell::sip) fn new(socket: tokio::net::UdpSocket, trusted: Trust) -> Self {
        Self { socket, trusted }
    }
}

#[async_trait]
impl UdpSocket for DatagramSocket {
    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let mut datagram = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let (length, source) = match self.socket.recv_from(&mut datagram).await {
                Ok(received) => received,
                Err(error) => {
                    tokio::time::sleep(ERROR_PAUSE).await;
                    return Err(error.into());
                }
            };
            let datagram = &datagram[..length];
            // Keep-alives are the stack's business (RFC 5626 §4.4.1).
            if datagram.iter().all(|byte| b"\r\n".contains(byte)) {
                let length = length.min(buffer.len());
                buffer[..length].copy_from_slice(&datagram[..length]);
                return Ok((length, source));
            }
            match door::judge(datagram, source) {
                Verdict::Pass(plain) if plain.len() <= buffer.len() => {
                    buffer[..plain.len()].copy_from_slice(&plain);
                    return Ok((plain.len(), source));
                }
                Verdict::Pass(_) => self.refuse(door::refuse_large(datagram, source), source).await,
                refused => self.refuse(refused, source).await,
            }
        }
    }

    async fn send_to(&self, buffer: &[u8], target: SocketAddr) -> Result<usize> {
        Ok(self.socket.send_to(buffer, target).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

impl DatagramSocket {
    async fn refuse(&self, verdict: Verdict, source: SocketAddr) {
        let Verdict::Refuse(refusal) = verdict else { return };
        if (self.trusted)(source.ip())
            && let Err(error) = self.socket.send_to(&refusal.response, refusal.to).await
        {
            tracing::debug!(%error, code = refusal.code, "a refusal was not sent");
        }
    }
}
