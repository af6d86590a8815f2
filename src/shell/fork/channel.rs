//! One voice of a stream: its samples leave as RTP for the media port at the pace of speech, and what is played to it
//! comes back as samples.
//!
//! The RTP stays on this machine: linear samples, as they came.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use forks::audio::Rate;
use forks::pacing::{Figures, Meter, Pacer};
use media::Codec;
use tokio::net::UdpSocket;

/// How much of one voice may wait for its time.
const WAITING_MAX: Duration = Duration::from_secs(20);
/// The payload type of linear samples between us and ourselves.
pub(super) const PAYLOAD_TYPE: u8 = 96;
const HEADER_BYTES: usize = 12;
/// Frames of what is played that may wait for a slow far end.
const PLAYED_MAX: usize = 50;

/// One voice.
pub(super) struct Channel {
    socket: UdpSocket,
    receiver: Option<SocketAddr>,
    pacer: Pacer,
    meter: Meter,
    frame: Vec<i16>,
    packet: Vec<u8>,
    sequence: u16,
    ssrc: u32,
}

impl Channel {
    /// A voice whose samples come at `rate`; `ssrc` is one of its own.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub(super) async fn open(rate: Rate, ssrc: u32) -> io::Result<Channel> {
        Ok(Channel {
            socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?,
            receiver: None,
            pacer: Pacer::new(rate, WAITING_MAX),
            meter: Meter::new(rate),
            frame: Vec::new(),
            packet: Vec::new(),
            sequence: 0,
            ssrc,
        })
    }

    /// Where its packets go from now on.
    pub(super) fn send_to(&mut self, receiver: SocketAddr) {
        self.receiver = Some(receiver);
    }

    /// Takes samples as they come; how many times too fast they come, when that is too fast to be true.
    pub(super) fn push(&mut self, now: Duration, samples: &[i16]) -> Option<f64> {
        self.pacer.push(now, samples);
        self.meter.take(now, samples.len())
    }

    /// Sends what is due, once it is known where to.
    pub(super) fn send_due(&mut self, now: Duration) {
        let Some(receiver) = self.receiver else { return };
        while let Some(due) = self.pacer.pop(now, &mut self.frame) {
            self.packet.clear();
            let marker = if due.begins { 0x80 } else { 0 };
            self.packet.extend([0x80, marker | PAYLOAD_TYPE]);
            self.packet.extend(self.sequence.to_be_bytes());
            // RTP counts modulo 2^32 (RFC 3550 §5.1).
            self.packet.extend((due.position as u32).to_be_bytes());
            self.packet.extend(self.ssrc.to_be_bytes());
            self.packet.extend(self.frame.iter().flat_map(|sample| sample.to_be_bytes()));
            self.sequence = self.sequence.wrapping_add(1);
            // A full socket loses a packet as any network does.
            let _ = self.socket.try_send_to(&self.packet, receiver);
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.receiver.and_then(|_| self.pacer.deadline())
    }

    /// What became of the samples.
    pub(super) fn figures(&self) -> Figures {
        self.pacer.figures()
    }

    /// Appends samples that are played to this voice; waits until there are some.
    ///
    /// # Errors
    /// When the socket is lost.
    pub(super) async fn played(&self, samples: &mut VecDeque<i16>) -> io::Result<()> {
        let mut datagram = [0; 2048];
        loop {
            let (length, from) = self.socket.recv_from(&mut datagram).await?;
            let is_rtp = length > HEADER_BYTES && datagram[0] >> 6 == 2 && datagram[1] & 0x7f == PAYLOAD_TYPE;
            if !is_rtp || Some(from) != self.receiver {
                continue;
            }
            let (pairs, _) = datagram[HEADER_BYTES..length].as_chunks::<2>();
            samples.extend(pairs.iter().map(|&octets| i16::from_be_bytes(octets)));
            let excess = samples.len().saturating_sub(PLAYED_MAX * PLAYED_FRAME);
            samples.drain(..excess);
            return Ok(());
        }
    }
}

/// Samples of 20 ms at 16 kHz.
const PLAYED_FRAME: usize = 320;

/// The codec in which samples travel here.
pub(super) fn codec(rate: Rate) -> Codec {
    rate.codec()
}
