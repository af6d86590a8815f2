//! Which indices of which streams were used: rollover of sequence numbers, and the replay window (RFC 3711 §3.3).
//!
//! Believes every index it is told; whoever tells must have authenticated the packet first.

/// The streams of one direction under one master key.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: [Option<Stream>; STREAMS_MAX],
    /// Counts what was taken, to know the stream that was quiet for longest.
    taken: u64,
}

/// One stream, named by its SSRC.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    highest: u64,
    /// Bit n: the index `highest - n` was used.
    used: u128,
    last_taken: u64,
}

/// Streams that are kept apart at a time. A leg has one; a far end that moves its audio to another device has two.
pub(super) const STREAMS_MAX: usize = 4;
/// Indices behind the highest that can still be taken.
pub(super) const WINDOW: u64 = 128;
/// Rollovers are counted in 32 bits, sequence numbers in 16.
const INDICES: u64 = 1 << 48;

impl Streams {
    /// The index that a sequence number stands for, the one nearest to the highest of its stream (RFC 3711 §3.3.1).
    /// `None` before the first or beyond the last index that a key is good for.
    pub(super) fn index(&self, ssrc: u32, sequence: u16) -> Option<u64> {
        let Some(stream) = self.find(ssrc) else {
            return Some(u64::from(sequence));
        };
        // The signed difference modulo 2^16 is the short way round the circle.
        let step = sequence.wrapping_sub(stream.highest as u16) as i16;
        stream.highest.checked_add_signed(i64::from(step)).filter(|&index| index < INDICES)
    }

    /// Whether an index was never taken, and is not too old to know.
    pub(super) fn is_fresh(&self, ssrc: u32, index: u64) -> bool {
        self.find(ssrc).is_none_or(|stream| stream.is_fresh(index))
    }

    /// Whether a stream can be taken without another one being forgotten.
    pub(super) fn has_room(&self, ssrc: u32) -> bool {
        self.find(ssrc).is_some() || self.slots.iter().any(Option::is_none)
    }

    /// Remembers that an index was used. A new stream takes the place of the one that was quiet for longest.
    pub(super) fn take(&mut self, ssrc: u32, index: u64) {
        self.taken += 1;
        if let Some(stream) = self.slots.iter_mut().flatten().find(|stream| stream.ssrc == ssrc) {
            stream.take(index);
            stream.last_taken = self.taken;
            return;
        }
        // An empty place counts as the quietest.
        let quietest = self.slots.iter_mut().min_by_key(|slot| slot.as_ref().map(|stream| stream.last_taken));
        if let Some(slot) = quietest {
            *slot = Some(Stream { ssrc, highest: index, used: 1, last_taken: self.taken });
        }
    }

    fn find(&self, ssrc: u32) -> Option<&Stream> {
        self.slots.iter().flatten().find(|stream| stream.ssrc == ssrc)
    }
}

impl Stream {
    fn is_fresh(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.used & 1 << behind == 0,
        }
    }

    fn take(&mut self, index: u64) {
        match index.checked_sub(self.highest) {
            None => self.used |= 1u128.checked_shl((self.highest - index) as u32).unwrap_or_default(),
            Some(ahead) => {
                let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.used = self.used.checked_shl(shift).unwrap_or_default() | 1;
                self.highest = index;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollovers_are_counted() {
        check(&[65_534, 65_535, 0, 1], &[Some(65_534), Some(65_535), Some(65_536), Some(65_537)]);
        check(&[65_535, 1, 65_534, 2], &[Some(65_535), Some(65_537), Some(65_534), Some(65_538)]);
        check(&[40_000, 7_231, 7_232], &[Some(40_000), Some(72_767), Some(72_768)]);
    }

    #[test]
    fn before_the_first_index_there_is_none() {
        check(&[1, 65_535, 2], &[Some(1), None, Some(2)]);
    }

    #[test]
    fn behind_the_last_index_there_is_none() {
        let mut streams = Streams::default();
        streams.take(1, INDICES - 1);
        assert_eq!(streams.index(1, u16::MAX - 1), Some(INDICES - 2));
        assert_eq!(streams.index(1, 0), None);
    }

    #[test]
    fn an_index_is_used_once() {
        let mut streams = Streams::default();
        for index in [1_000, 1_001, 1_050, 1_049, 1_200] {
            assert!(streams.is_fresh(1, index), "{index}");
            streams.take(1, index);
            assert!(!streams.is_fresh(1, index), "{index}");
        }
        assert!(!streams.is_fresh(1, 1_200 - WINDOW), "too old to know");
        assert!(streams.is_fresh(1, 1_201 - WINDOW), "just young enough");
        assert!(!streams.is_fresh(1, 1_050 - 1_000), "long ago");
        streams.take(1, 1 << 40);
        assert!(!streams.is_fresh(1, 1_200) && streams.is_fresh(1, (1 << 40) - 1));
    }

    #[test]
    fn the_quietest_stream_is_forgotten() {
        let mut streams = Streams::default();
        (0..4).for_each(|ssrc| streams.take(ssrc, 70_000));
        streams.take(0, 70_001);
        assert!(!streams.has_room(4) && streams.has_room(3));
        streams.take(4, 5);
        assert_eq!(streams.index(1, 9), Some(9), "1 was quiet for longest");
        assert_eq!(streams.index(0, 4_466), Some(70_002), "0 was not");
    }

    #[track_caller]
    fn check(sequences: &[u16], expected: &[Option<u64>]) {
        let mut streams = Streams::default();
        let got: Vec<Option<u64>> = sequences
            .iter()
            .map(|&sequence| {
                let index = streams.index(1, sequence);
                index.into_iter().for_each(|index| streams.take(1, index));
                index
            })
            .collect();
        assert_eq!(got, expected);
    }
}
