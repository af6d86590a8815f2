//! What the engine wants done: datagrams to send, copies for those who listen and record, events for call control.
//!
//! Lists with room reserved once; the owner empties them after every call of `handle`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::srtp::TRAILER_BYTES_MAX;
use crate::{Codec, Event, LegId};

/// The longest packet that is tapped, octets: 60 ms of G.711, or 20 ms of linear samples at 16 kHz, and a header with
/// room for an extension.
pub const TAP_BYTES_MAX: usize = 704;

/// The number of a leg inside one engine; used again after the leg is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegSlot(pub u32);

/// One of a leg's two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The RTP port.
    Media,
    /// The port above it, for control packets of those who do not put them on the RTP port.
    Control,
}

/// A datagram to send from a leg's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Whose socket sends it.
    pub slot: LegSlot,
    /// From which of its ports.
    pub channel: Channel,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its octets.
    pub datagram: Datagram,
}

/// A change of whom a leg's media socket is tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// Whose socket.
    pub slot: LegSlot,
    /// The only one it hears from now on; `None` when it is to hear everybody again.
    pub to: Option<SocketAddr>,
}

/// Where a datagram's octets lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// In the buffer that was just handed in, rewritten in place.
    Received {
        /// The owner's number of the buffer, as handed in.
        buffer: u16,
        /// First octet.
        start: u16,
        /// One past the last octet.
        end: u16,
    },
    /// In [`Output::made`].
    Made {
        /// First octet.
        start: u32,
        /// One past the last octet.
        end: u32,
    },
}

/// A copy of one packet as its sender sent it, for the listening side.
#[derive(Debug, Clone, Copy)]
pub struct TapFrame {
    /// Who is heard.
    pub leg: LegId,
    /// When it arrived, since start.
    pub arrival: Duration,
    /// The codec of its audio; `None` for anything else, such as key presses.
    pub codec: Option<Codec>,
    length: u16,
    bytes: [u8; TAP_BYTES_MAX],
}

impl TapFrame {
    /// A copy of a packet; `None` when it is longer than [`TAP_BYTES_MAX`].
    pub fn new(leg: LegId, arrival: Duration, codec: Option<Codec>, packet: &[u8]) -> Option<Self> {
        let mut bytes = [0; TAP_BYTES_MAX];
        bytes.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(Self { leg, arrival, codec, length: packet.len() as u16, bytes })
    }

    /// Its payload type.
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// The RTP packet, header and all.
    pub fn packet(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A copy of one packet of a leg's call, for whoever records.
#[derive(Debug, Clone, Copy)]
pub struct CopiedPacket {
    /// Whether the party says it or hears it.
    pub way: Way,
    /// The packet: as the party sent it, or as it leaves for the party before it is protected.
    pub frame: TapFrame,
}

/// How much of a leg's packets is captured, and under which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capturing {
    /// Whoever asked for it knows its packets by this.
    pub number: u32,
    /// Our address on the leg, as its packets are to show it.
    pub near: SocketAddr,
    /// How much of each packet.
    pub depth: Depth,
}

/// How much of a packet is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The RTP header alone; reports (RTCP) whole.
    Headers,
    /// Everything, as it is without protection; while something of the call is secret, the header alone.
    Whole,
}

/// A packet as it stands on the wire of a leg, but for protection, which is taken off.
#[derive(Debug, Clone, Copy)]
pub struct CapturedPacket {
    /// For whom.
    pub number: u32,
    /// Whether it came in or leaves.
    pub way: Way,
    /// By which of our ports.
    pub channel: Channel,
    /// Our address, with the RTP port.
    pub near: SocketAddr,
    /// Where it comes from or goes to.
    pub far: SocketAddr,
    /// When it arrived or left, since start.
    pub at: Duration,
    /// Octets that it has; more than are kept when the rest was left out.
    pub length: u16,
    kept: u16,
    bytes: [u8; TAP_BYTES_MAX],
}

impl CapturedPacket {
    /// The first `octets_max` of a packet; what is longer than [`TAP_BYTES_MAX`] is left out in any case.
    pub(crate) fn new(
        Capturing { number, near, .. }: Capturing,
        (way, channel, far): (Way, Channel, SocketAddr),
        at: Duration,
        packet: &[u8],
        octets_max: usize,
    ) -> Self {
        let kept = packet.len().min(octets_max).min(TAP_BYTES_MAX);
        let mut bytes = [0; TAP_BYTES_MAX];
        bytes[..kept].copy_from_slice(&packet[..kept]);
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        Self { number, way, channel, near, far, at, length, kept: kept as u16, bytes }
    }

    /// What is kept of it.
    pub fn octets(&self) -> &[u8] {
        &self.bytes[..usize::from(self.kept)]
    }
}

/// The two directions of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What the party says.
    Said,
    /// What the party hears.
    Heard,
}

/// What one or more calls of `handle` brought forth.
#[derive(Debug)]
pub struct Output {
    /// To be sent, in this order.
    pub packets: Vec<Departure>,
    /// For the listening side.
    pub frames: Vec<TapFrame>,
    /// For whoever records.
    pub copies: Vec<CopiedPacket>,
    /// For whoever captures.
    pub captures: Vec<CapturedPacket>,
    /// Packets that were to be captured and for which that list had no room.
    pub captures_left_out: u64,
    /// For the sockets; nothing is lost when they are not carried out.
    pub ties: Vec<Tie>,
    /// For call control.
    pub events: Vec<Event>,
    /// The octets of datagrams that the engine made itself.
    pub made: Vec<u8>,
}

impl Output {
    /// Empty lists with room for all that one call can bring forth.
    pub fn new() -> Self {
        Self {
            packets: Vec::with_capacity(PACKETS_MAX),
            frames: Vec::with_capacity(FRAMES_MAX),
            copies: Vec::with_capacity(FRAMES_MAX),
            captures: Vec::with_capacity(FRAMES_MAX),
            captures_left_out: 0,
            ties: Vec::with_capacity(TIES_MAX),
            events: Vec::with_capacity(EVENTS_MAX),
            made: Vec::with_capacity(PACKETS_MAX * MADE_BYTES_MAX),
        }
    }

    /// Empties the lists and keeps their room.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.frames.clear();
        self.copies.clear();
        self.captures.clear();
        self.captures_left_out = 0;
        self.ties.clear();
        self.events.clear();
        self.made.clear();
    }

    /// True when the engine should stop until the lists were emptied.
    pub(crate) fn is_full(&self) -> bool {
        self.packets.len() >= PACKETS_MAX
            || self.ties.len() >= TIES_MAX
            || self.events.len() + EVENTS_RESERVE >= EVENTS_MAX
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

const PACKETS_MAX: usize = 256;
const FRAMES_MAX: usize = 64;
const TIES_MAX: usize = 64;
const EVENTS_MAX: usize = 256;

/// The most events that one packet, order or frame brings forth.
const EVENTS_RESERVE: usize = 4;

/// A header, 60 ms of linear samples at 8 kHz, and what protection adds.
const MADE_BYTES_MAX: usize = 12 + 960 + TRAILER_BYTES_MAX;
