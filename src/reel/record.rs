//! What stands in a reel, record by record, before it is sealed: numbers in network byte order.

use media::Codec;
use media::copy::FRAME_SAMPLES;

/// One record of a reel. Positions are samples since its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The first one.
    Begin {
        /// When, milliseconds since 1970.
        unix_ms: u64,
        /// The same since the call began.
        call_ms: u64,
        /// Whether words are recognised in it: then its end is not to be heard unless it is known what was said there.
        words: bool,
    },
    /// Some seconds of both channels.
    Audio(Chunk),
    /// Nobody is to hear what is between these.
    Mute {
        /// The first sample.
        from: u64,
        /// The first one that may be heard again.
        to: u64,
    },
    /// The caller types in secret from here on, or no longer.
    Secure {
        /// Where.
        at: u64,
        /// Whether it begins.
        on: bool,
    },
    /// The last one: all that is to be muted is known.
    End {
        /// Samples of the whole reel.
        samples: u64,
    },
}

/// Packets of both channels, as many of each: one for every 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins.
    pub position: u64,
    /// What the packets are of: Opus or PCMU.
    pub codec: Codec,
    /// Audio whose words were not recognised yet when it was written, milliseconds, of all calls together.
    pub unread_ms: u32,
    /// What the caller says.
    pub said: Vec<Box<[u8]>>,
    /// What the caller hears.
    pub heard: Vec<Box<[u8]>>,
}

/// What there is to know of a chunk without its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkHead {
    pub(super) position: u64,
    codec: Codec,
    pub(super) unread_ms: u32,
    frames: u16,
}

const BEGIN: u8 = 1;
const AUDIO: u8 = 2;
const MUTE: u8 = 3;
const SECURE: u8 = 4;
const END: u8 = 5;
const OPUS: u8 = 1;
const PCMU: u8 = 2;

impl Record {
    /// As it is sealed.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        match self {
            Record::Begin { unix_ms, call_ms, words } => {
                octets.push(BEGIN);
                octets.extend(unix_ms.to_be_bytes());
                octets.extend(call_ms.to_be_bytes());
                octets.push(u8::from(*words));
            }
            Record::Audio(chunk) => chunk.write(&mut octets),
            Record::Mute { from, to } => {
                octets.push(MUTE);
                octets.extend(from.to_be_bytes());
                octets.extend(to.to_be_bytes());
            }
            Record::Secure { at, on } => {
                octets.push(SECURE);
                octets.extend(at.to_be_bytes());
                octets.push(u8::from(*on));
            }
            Record::End { samples } => {
                octets.push(END);
                octets.extend(samples.to_be_bytes());
            }
        }
        octets
    }

    /// What `octets` gave; nothing of anything else.
    pub fn of(octets: &[u8]) -> Option<Self> {
        let mut rest = Rest(octets);
        let record = match rest.octet()? {
            BEGIN => Record::Begin { unix_ms: rest.long()?, call_ms: rest.long()?, words: rest.octet()? == 1 },
            AUDIO => Record::Audio(Chunk::read(&mut rest)?),
            MUTE => Record::Mute { from: rest.long()?, to: rest.long()? },
            SECURE => Record::Secure { at: rest.long()?, on: rest.octet()? == 1 },
            END => Record::End { samples: rest.long()? },
            _ => return None,
        };
        rest.0.is_empty().then_some(record)
    }
}

impl Chunk {
    /// Pairs of packets in it.
    pub fn frames(&self) -> usize {
        self.said.len()
    }

    /// Samples of each channel in it.
    pub fn samples(&self) -> u64 {
        (self.frames() * FRAME_SAMPLES) as u64
    }

    fn write(&self, octets: &mut Vec<u8>) {
        octets.push(AUDIO);
        octets.extend(self.position.to_be_bytes());
        octets.push(if self.codec == Codec::Opus { OPUS } else { PCMU });
        octets.extend(self.unread_ms.to_be_bytes());
        octets.extend((self.frames() as u16).to_be_bytes());
        for packet in self.said.iter().chain(&self.heard) {
            octets.extend((packet.len() as u16).to_be_bytes());
            octets.extend(&packet[..]);
        }
    }

    fn read(rest: &mut Rest<'_>) -> Option<Self> {
        let ChunkHead { position, codec, unread_ms, frames } = ChunkHead::read(rest)?;
        let mut packets = || (0..frames).map(|_| rest.packet().map(Box::from)).collect::<Option<Vec<Box<[u8]>>>>();
        Some(Chunk { position, codec, unread_ms, said: packets()?, heard: packets()? })
    }
}

impl ChunkHead {
    /// That of the chunk that gave `octets`, where they are one from end to end; nothing of anything else.
    pub(super) fn of(octets: &[u8]) -> Option<Self> {
        let mut rest = Rest(octets);
        if rest.octet()? != AUDIO {
            return None;
        }
        let head = Self::read(&mut rest)?;
        for _ in 0..2 * u32::from(head.frames) {
            rest.packet()?;
        }
        rest.0.is_empty().then_some(head)
    }

    pub(super) fn samples(&self) -> u64 {
        u64::from(self.frames) * FRAME_SAMPLES as u64
    }

    fn read(rest: &mut Rest<'_>) -> Option<Self> {
        let position = rest.long()?;
        let codec = match rest.octet()? {
            OPUS => Codec::Opus,
            PCMU => Codec::Pcmu,
            _ => return None,
        };
        let unread_ms = u32::from_be_bytes(rest.some()?);
        Some(Self { position, codec, unread_ms, frames: u16::from_be_bytes(rest.some()?) })
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn some<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (some, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*some)
    }

    fn octet(&mut self) -> Option<u8> {
        self.some().map(|[octet]| octet)
    }

    fn long(&mut self) -> Option<u64> {
        self.some().map(u64::from_be_bytes)
    }

    fn packet(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.some()?);
        let (packet, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let packets = |octet: u8| vec![Box::from([octet; 3]), Box::from([])];
        let chunk = |codec| Chunk { position: 7, codec, unread_ms: 9, said: packets(1), heard: packets(2) };
        for record in [
            Record::Begin { unix_ms: 1, call_ms: 2, words: true },
            Record::Audio(chunk(Codec::Opus)),
            Record::Audio(chunk(Codec::Pcmu)),
            Record::Mute { from: 3, to: u64::MAX },
            Record::Secure { at: 4, on: false },
            Record::End { samples: 5 },
        ] {
            let octets = record.octets();
            assert_eq!(Record::of(&octets).as_ref(), Some(&record));
            (0..=octets.len()).for_each(|length| check_head(&octets[..length]));
            assert!((0..octets.len()).all(|length| Record::of(&octets[..length]).is_none()), "{record:?}, cut short");
            assert_eq!(Record::of(&[&octets[..], &[0]].concat()), None, "{record:?} and something more");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            check_head(&octets);
            if let Some(record) = Record::of(&octets) {
                prop_assert_eq!(Record::of(&record.octets()), Some(record));
            }
        }
    }

    /// A head is read of whatever is read as a chunk, and of nothing else, and says the same.
    #[track_caller]
    fn check_head(octets: &[u8]) {
        let said = match Record::of(octets) {
            Some(Record::Audio(chunk)) => Some((chunk.position, chunk.unread_ms, chunk.samples())),
            _ => None,
        };
        let head = ChunkHead::of(octets).map(|head| (head.position, head.unread_ms, head.samples()));
        assert_eq!(head, said);
    }
}
