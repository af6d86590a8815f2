//! The RTP header as bytes: checked when read, written as the plain twelve octets (RFC 3550 §5.1).
//!
//! Does not interpret payloads and keeps no state. What comes in may carry contributing sources, an extension or
//! padding; what goes out never does, because none of that was agreed with the other side.

/// Octets of a header without contributing sources and extension.
pub const HEADER_BYTES: usize = 12;

/// The longest datagram that is looked at, octets; one Ethernet frame.
pub const PACKET_BYTES_MAX: usize = 1500;

/// The name of one stream's sender (RFC 3550 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

/// A checked header: every number in it fits the datagram it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit; for audio, the first packet after a pause (RFC 3551 §4.1).
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number as on the wire.
    pub sequence: u16,
    /// Timestamp as on the wire, in samples.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: Ssrc,
    /// First octet of the payload; at least [`HEADER_BYTES`].
    pub payload_start: usize,
    /// One past the payload's last octet, padding left out.
    pub payload_end: usize,
}

/// Why a datagram is not an RTP packet that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than a header.
    #[error("shorter than an RTP header")]
    TooShort,
    /// Longer than [`PACKET_BYTES_MAX`].
    #[error("longer than one Ethernet frame")]
    TooLong,
    /// Not version 2: STUN, DTLS, noise.
    #[error("not RTP version 2")]
    Version,
    /// RTCP on the RTP port (RFC 5761 §4).
    #[error("RTCP on the RTP port")]
    Rtcp,
    /// The contributing sources reach past the end.
    #[error("contributing sources reach past the end")]
    ContributingSources,
    /// The header extension reaches past the end.
    #[error("header extension reaches past the end")]
    Extension,
    /// The padding is zero or longer than the payload.
    #[error("padding is zero or longer than the payload")]
    Padding,
}

impl RtpHeader {
    /// Reads and checks the header of a datagram.
    ///
    /// # Errors
    /// Says what is wrong with it; nothing in the datagram can make this panic.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some(fixed) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(Malformed::TooShort);
        };
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        if fixed[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        if RTCP_TYPES.contains(&fixed[1]) {
            return Err(Malformed::Rtcp);
        }

        let payload_start = payload_start(bytes, fixed[0])?;
        let payload_end = payload_end(bytes, fixed[0], payload_start)?;
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            payload_start,
            payload_end,
        })
    }

    /// Octets of payload.
    pub fn payload_bytes(&self) -> usize {
        self.payload_end - self.payload_start
    }
}

/// What our own header says; the rest of its octets is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number on the wire.
    pub sequence: u16,
    /// Timestamp on the wire, samples.
    pub timestamp: u32,
    /// Our name on this leg.
    pub ssrc: Ssrc,
}

impl Stamp {
    /// The twelve octets.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 2 << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        bytes
    }
}

/// Second octets that mean RTCP: packet types 192-223 (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

pub(crate) fn payload_start(bytes: &[u8], first: u8) -> Result<usize, Malformed> {
    let after_sources = HEADER_BYTES + 4 * usize::from(first & 0x0f);
    if bytes.len() < after_sources {
        return Err(Malformed::ContributingSources);
    }
    if first & 0x10 == 0 {
        return Ok(after_sources);
    }

    let Some(&[_, _, high, low]) = bytes[after_sources..].first_chunk::<4>() else {
        return Err(Malformed::Extension);
    };
    let start = after_sources + 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    if bytes.len() < start { Err(Malformed::Extension) } else { Ok(start) }
}

fn payload_end(bytes: &[u8], first: u8, payload_start: usize) -> Result<usize, Malformed> {
    if first & 0x20 == 0 {
        return Ok(bytes.len());
    }

    let padding = bytes.last().copied().map_or(0, usize::from);
    if padding == 0 || padding > bytes.len() - payload_start {
        return Err(Malformed::Padding);
    }
    Ok(bytes.len() - padding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain() {
        check(&packet(0x80, 0, &[1, 2, 3]), Ok((12, 15)));
    }

    #[test]
    fn empty_payload_is_allowed() {
        check(&packet(0x80, 0, &[]), Ok((12, 12)));
    }

    #[test]
    fn contributing_sources_are_skipped() {
        check(&packet(0x82, 0, &[0, 0, 0, 1, 0, 0, 0, 2, 9]), Ok((20, 21)));
        check(&packet(0x82, 0, &[0, 0, 0, 1, 0, 0, 0]), Err(Malformed::ContributingSources));
    }

    #[test]
    fn extension_is_skipped() {
        check(&packet(0x90, 0, &[0xbe, 0xde, 0, 1, 5, 5, 5, 5, 9]), Ok((20, 21)));
        check(&packet(0x90, 0, &[0xbe, 0xde, 0]), Err(Malformed::Extension));
        check(&packet(0x90, 0, &[0xbe, 0xde, 0xff, 0xff, 9]), Err(Malformed::Extension));
    }

    #[test]
    fn padding_is_cut() {
        check(&packet(0xa0, 0, &[9, 0, 0, 3]), Ok((12, 13)));
        check(&packet(0xa0, 0, &[9, 9, 0]), Err(Malformed::Padding));
        check(&packet(0xa0, 0, &[9, 9, 4]), Err(Malformed::Padding));
        check(&packet(0xa0, 0, &[]), Err(Malformed::Padding));
    }

    #[test]
    fn others_are_refused() {
        check(&[], Err(Malformed::TooShort));
        check(&packet(0x80, 0, &[])[..11], Err(Malformed::TooShort));
        check(&packet(0x00, 0, &[]), Err(Malformed::Version));
        check(&packet(0x80, 200, &[]), Err(Malformed::Rtcp));
        check(&packet(0x80, 0, &[0; PACKET_BYTES_MAX]), Err(Malformed::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(marker: bool, payload_type in 0_u8..64, sequence: u16, timestamp: u32, ssrc: u32) {
            let stamp = Stamp { marker, payload_type, sequence, timestamp, ssrc: Ssrc(ssrc) };
            let header = RtpHeader::parse(&stamp.to_bytes()).expect("we write what we read");
            prop_assert_eq!(header.marker, marker);
            prop_assert_eq!(header.payload_type, payload_type);
            prop_assert_eq!(header.sequence, sequence);
            prop_assert_eq!(header.timestamp, timestamp);
            prop_assert_eq!(header.ssrc, Ssrc(ssrc));
        }

        #[test]
        fn any_octets_stay_inside(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = RtpHeader::parse(&bytes) {
                prop_assert!(header.payload_start >= HEADER_BYTES);
                prop_assert!(header.payload_start <= header.payload_end);
                prop_assert!(header.payload_end <= bytes.len());
            }
        }
    }

    /// `expected` is where the payload lies.
    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(usize, usize), Malformed>) {
        let got = RtpHeader::parse(bytes).map(|header| (header.payload_start, header.payload_end));
        assert_eq!(got, expected);
    }

    fn packet(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, second, 0, 7, 0, 0, 0, 160, 0, 0, 0, 1];
        bytes.extend_from_slice(rest);
        bytes
    }
}
