//! Media and control packets, protected and uncovered where they lie (RFC 3711, RFC 7714).
//!
//! Allocates nothing per packet. A packet that is refused changes nothing but its own octets.

use std::fmt;

use super::cipher::{Cipher, Purpose, TAG_BYTES_MAX};
use super::streams::Streams;
use super::{MasterKey, Suite};
use crate::packet::{HEADER_BYTES, payload_start};

/// Protects what we send to one far end.
pub struct Sender {
    suite: Suite,
    pub(super) packets: Cipher,
    pub(super) control: Cipher,
    streams: Streams,
    /// The index of the next control packet; one count for all streams.
    pub(super) control_index: u64,
}

/// Uncovers what one far end sends.
pub struct Receiver {
    suite: Suite,
    pub(super) packets: Cipher,
    pub(super) control: Cipher,
    streams: Streams,
    control_streams: Streams,
}

/// Why a packet was not protected or not uncovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Not the header of an RTP or RTCP packet, or too short for what protection adds.
    #[error("not a protected packet")]
    Malformed,
    /// Less than [`TRAILER_BYTES_MAX`] octets behind the packet.
    #[error("no room behind the packet")]
    NoRoom,
    /// The tag does not fit: noise, a forgery, or other keys than ours.
    #[error("the packet is not authentic")]
    Forged,
    /// Seen before, or so old that nobody knows.
    #[error("the packet was seen before or is too old")]
    Replayed,
    /// A control packet that says of itself that it is not encrypted, which we never agree to.
    #[error("the control packet is not encrypted")]
    Unencrypted,
    /// The sequence number was sent before under this key; sending it twice would uncover both packets.
    #[error("the sequence number was used before")]
    Reused,
    /// The key has protected all the packets it may (RFC 3711 §9.2).
    #[error("the key is used up")]
    Exhausted,
    /// More streams than are kept apart; forgetting one could use its numbers twice.
    #[error("too many streams under one key")]
    TooManyStreams,
}

/// The most that protection adds to a packet, octets: the GCM tag, and the index of a control packet.
pub const TRAILER_BYTES_MAX: usize = TAG_BYTES_MAX + INDEX_BYTES;

/// The flag and the index behind a control packet (RFC 3711 §3.4).
const INDEX_BYTES: usize = 4;
/// What stays readable of a control packet: the first header and the sender's SSRC.
const CONTROL_HEADER_BYTES: usize = 8;
const ENCRYPTED: u32 = 1 << 31;

impl Sender {
    /// Begins with the keys of our direction.
    pub fn new(key: &MasterKey) -> Self {
        Self {
            suite: key.suite(),
            packets: Cipher::new(key, Purpose::Packets),
            control: Cipher::new(key, Purpose::Control),
            streams: Streams::default(),
            control_index: 0,
        }
    }

    /// Protects the media packet in the first `length` octets and gives its new length.
    ///
    /// # Errors
    /// When it is no RTP packet, when there is no room behind it, or when its number must not be used (again).
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..length).ok_or(SrtpError::NoRoom)?;
        let Header { ssrc, sequence, payload_start } = Header::parse(packet)?;
        let protected = length + self.packets.tag_bytes();
        let packet = buffer.get_mut(..protected).ok_or(SrtpError::NoRoom)?;
        let index = self.next_index(ssrc, sequence)?;

        let (packet, tag) = packet.split_at_mut(length);
        match &self.packets {
            Cipher::Counter(counter) => {
                counter.apply(ssrc, index, &mut packet[payload_start..]);
                counter.sign(packet, &rollovers(index), tag);
            }
            Cipher::Gcm(gcm) => {
                let (header, payload) = packet.split_at_mut(payload_start);
                gcm.seal((ssrc, index), header, payload, tag)?;
            }
        }
        self.streams.take(ssrc, index);
        Ok(protected)
    }

    /// Protects the (compound) control packet in the first `length` octets and gives its new length.
    ///
    /// # Errors
    /// When it is no RTCP packet, when there is no room behind it, or when the key is used up.
    pub fn protect_control(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..length).ok_or(SrtpError::NoRoom)?;
        let ssrc = control_ssrc(packet)?;
        let protected = length + self.control.tag_bytes() + INDEX_BYTES;
        let packet = buffer.get_mut(..protected).ok_or(SrtpError::NoRoom)?;
        let index = self.control_index;
        let word = u32::try_from(index).ok().filter(|index| index & ENCRYPTED == 0).ok_or(SrtpError::Exhausted)?;
        let word = (word | ENCRYPTED).to_be_bytes();

        let (header, rest) = packet.split_at_mut(CONTROL_HEADER_BYTES);
        let (payload, trailer) = rest.split_at_mut(length - CONTROL_HEADER_BYTES);
        match &self.control {
            Cipher::Counter(counter) => {
                counter.apply(ssrc, index, payload);
                trailer[..INDEX_BYTES].copy_from_slice(&word);
                let (signed, tag) = packet.split_at_mut(length + INDEX_BYTES);
                counter.sign(signed, &[], tag);
            }
            Cipher::Gcm(gcm) => {
                let (tag, index_word) = trailer.split_at_mut(TAG_BYTES_MAX);
                gcm.seal((ssrc, index), &control_clear(header, word), payload, tag)?;
                index_word.copy_from_slice(&word);
            }
        }
        self.control_index += 1;
        Ok(protected)
    }

    fn next_index(&self, ssrc: u32, sequence: u16) -> Result<u64, SrtpError> {
        if !self.streams.has_room(ssrc) {
            return Err(SrtpError::TooManyStreams);
        }
        let index = self.streams.index(ssrc, sequence).ok_or(SrtpError::Exhausted)?;
        if self.streams.is_fresh(ssrc, index) { Ok(index) } else { Err(SrtpError::Reused) }
    }
}

impl Receiver {
    /// Begins with the keys of the far end's direction.
    pub fn new(key: &MasterKey) -> Self {
        Self {
            suite: key.suite(),
            packets: Cipher::new(key, Purpose::Packets),
            control: Cipher::new(key, Purpose::Control),
            streams: Streams::default(),
            control_streams: Streams::default(),
        }
    }

    /// Uncovers a media packet and gives its length without the tag.
    ///
    /// # Errors
    /// When it is not an authentic packet that comes for the first time. Its octets are then of no use any more.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let length = packet.len().checked_sub(self.packets.tag_bytes()).ok_or(SrtpError::Malformed)?;
        let Header { ssrc, sequence, payload_start } = Header::parse(&packet[..length])?;
        let index = self.streams.index(ssrc, sequence).ok_or(SrtpError::Replayed)?;
        if !self.streams.is_fresh(ssrc, index) {
            return Err(SrtpError::Replayed);
        }

        let (packet, tag) = packet.split_at_mut(length);
        match &self.packets {
            Cipher::Counter(counter) => {
                counter.verify(packet, &rollovers(index), tag)?;
                counter.apply(ssrc, index, &mut packet[payload_start..]);
            }
            Cipher::Gcm(gcm) => {
                let (header, payload) = packet.split_at_mut(payload_start);
                gcm.open((ssrc, index), header, payload, tag)?;
            }
        }
        self.streams.take(ssrc, index);
        Ok(length)
    }

    /// Uncovers a (compound) control packet and gives its length without index and tag.
    ///
    /// # Errors
    /// When it is not an authentic, encrypted packet that comes for the first time. Its octets are then of no use.
    pub fn unprotect_control(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let length = packet.len().checked_sub(self.control.tag_bytes() + INDEX_BYTES).ok_or(SrtpError::Malformed)?;
        let ssrc = control_ssrc(&packet[..length])?;
        // With HMAC-SHA1 the index stands before the tag, with GCM behind it.
        let index_start = match &self.control {
            Cipher::Counter(_) => length,
            Cipher::Gcm(_) => length + TAG_BYTES_MAX,
        };
        let word = *packet[index_start..].first_chunk::<INDEX_BYTES>().ok_or(SrtpError::Malformed)?;
        let flag_and_index = u32::from_be_bytes(word);
        if flag_and_index & ENCRYPTED == 0 {
            return Err(SrtpError::Unencrypted);
        }
        let index = u64::from(flag_and_index & !ENCRYPTED);
        if !self.control_streams.is_fresh(ssrc, index) {
            return Err(SrtpError::Replayed);
        }

        match &self.control {
            Cipher::Counter(counter) => {
                let (signed, tag) = packet.split_at_mut(length + INDEX_BYTES);
                counter.verify(signed, &[], tag)?;
                counter.apply(ssrc, index, &mut packet[CONTROL_HEADER_BYTES..length]);
            }
            Cipher::Gcm(gcm) => {
                let (header, rest) = packet.split_at_mut(CONTROL_HEADER_BYTES);
                let (payload, trailer) = rest.split_at_mut(length - CONTROL_HEADER_BYTES);
                gcm.open((ssrc, index), &control_clear(header, word), payload, &trailer[..TAG_BYTES_MAX])?;
            }
        }
        self.control_streams.take(ssrc, index);
        Ok(length)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.suite)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.suite)
    }
}

/// What protection needs of an RTP header. Padding lies inside the hidden part and is not looked at.
struct Header {
    ssrc: u32,
    sequence: u16,
    payload_start: usize,
}

impl Header {
    fn parse(packet: &[u8]) -> Result<Self, SrtpError> {
        let fixed = packet.first_chunk::<HEADER_BYTES>().ok_or(SrtpError::Malformed)?;
        if fixed[0] >> 6 != 2 {
            return Err(SrtpError::Malformed);
        }
        Ok(Self {
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            payload_start: payload_start(packet, fixed[0]).map_err(|_| SrtpError::Malformed)?,
        })
    }
}

/// Who sends a control packet.
fn control_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    match packet.first_chunk::<CONTROL_HEADER_BYTES>() {
        Some(&[first, _, _, _, a, b, c, d]) if first >> 6 == 2 => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(SrtpError::Malformed),
    }
}

/// The readable octets of a control packet as GCM authenticates them: the header, then flag and index (RFC 7714 §9.2).
fn control_clear(header: &[u8], word: [u8; INDEX_BYTES]) -> [u8; CONTROL_HEADER_BYTES + INDEX_BYTES] {
    let mut clear = [0; CONTROL_HEADER_BYTES + INDEX_BYTES];
    clear[..CONTROL_HEADER_BYTES].copy_from_slice(header);
    clear[CONTROL_HEADER_BYTES..].copy_from_slice(&word);
    clear
}

/// The rollover counter of an index as HMAC-SHA1 covers it, behind the packet (RFC 3711 §4.2).
fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
