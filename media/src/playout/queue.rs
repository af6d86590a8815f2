//! The packets that wait to be played: payloads in slots made once, in the order of their numbers.
//!
//! Knows no time. When all slots are taken, the oldest packet gives way.

/// Payloads of one leg.
#[derive(Debug)]
pub(super) struct Queue {
    /// By number.
    entries: Vec<Entry>,
    /// Slots that hold nothing.
    free: Vec<usize>,
    octets: Vec<u8>,
    slot_octets: usize,
}

/// One packet that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its widened sequence number.
    pub(super) number: u64,
    /// Where its first sample belongs.
    pub(super) position: i64,
    /// What it is.
    pub(super) content: Content,
    slot: usize,
    length: usize,
}

/// What a packet that waits is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Content {
    /// Audio of so many samples.
    Audio(usize),
    /// The sender falls silent; its noise as an amplitude.
    Pause(f32),
    /// It only takes a number.
    Other,
}

impl Queue {
    pub(super) fn new(slots: usize, slot_octets: usize) -> Self {
        Self {
            entries: Vec::with_capacity(slots),
            free: (0..slots).collect(),
            octets: vec![0; slots * slot_octets],
            slot_octets,
        }
    }

    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() <= self.slot_octets
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The oldest packet.
    pub(super) fn first(&self) -> Option<Entry> {
        self.entries.first().copied()
    }

    pub(super) fn payload(&self, entry: &Entry) -> &[u8] {
        let from = entry.slot * self.slot_octets;
        &self.octets[from..from + entry.length]
    }

    /// Takes a packet whose payload fits and whose number is not here; true when the oldest had to give way.
    pub(super) fn insert(&mut self, number: u64, position: i64, content: Content, payload: &[u8]) -> bool {
        let is_full = self.free.is_empty();
        if is_full {
            self.drop_first();
        }
        let Some(slot) = self.free.pop() else { return is_full };
        let from = slot * self.slot_octets;
        self.octets[from..from + payload.len()].copy_from_slice(payload);
        let at = self.entries.partition_point(|entry| entry.number < number);
        self.entries.insert(at, Entry { number, position, content, slot, length: payload.len() });
        is_full
    }

    /// Forgets the oldest packet.
    pub(super) fn drop_first(&mut self) {
        if !self.entries.is_empty() {
            self.free.push(self.entries.remove(0).slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_comes_out_by_number() {
        let mut queue = Queue::new(4, 2);
        for number in [7, 5, 8, 6] {
            assert!(!queue.insert(number, 0, Content::Audio(1), &[number as u8]));
        }
        assert_eq!(drain(&mut queue), [5, 6, 7, 8]);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut queue = Queue::new(2, 2);
        assert!(!queue.insert(1, 0, Content::Audio(1), &[1]));
        assert!(!queue.insert(2, 0, Content::Audio(1), &[2]));
        assert!(queue.insert(3, 0, Content::Audio(1), &[3, 3]));
        assert!(!queue.fits(&[0; 3]));
        assert_eq!(drain(&mut queue), [2, 3]);
    }

    fn drain(queue: &mut Queue) -> Vec<u8> {
        let mut first = Vec::new();
        while let Some(entry) = queue.first() {
            first.push(queue.payload(&entry)[0]);
            queue.drop_first();
        }
        first
    }
}
