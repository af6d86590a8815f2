//! Copies of packets on their way to those who listen and record: bounded rings without locks.
//!
//! When one is full, the oldest copy makes room and is counted. A reader that is slow, stalled or dead costs copies,
//! never a packet of the call.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use media::{CapturedPacket, CopiedPacket, TapFrame};

/// The ring between the media threads and the listening side.
pub type TapRing = Ring<TapFrame>;
/// The ring between the media threads and the copying side.
pub type CopyRing = Ring<CopiedPacket>;
/// The ring between the media threads and whoever captures.
pub type CaptureRing = Ring<CapturedPacket>;

/// A ring between the media threads and one reader.
#[derive(Debug)]
pub struct Ring<T> {
    frames: ArrayQueue<T>,
    dropped: AtomicU64,
}

impl<T> Ring<T> {
    /// A ring for `capacity` packets, at least one; each takes three quarters of a kilobyte.
    pub fn new(capacity: usize) -> Self {
        Self { frames: ArrayQueue::new(capacity.max(1)), dropped: AtomicU64::new(0) }
    }

    /// Adds a copy; returns the oldest one when it had to make room.
    pub fn push(&self, frame: T) -> Option<T> {
        let evicted = self.frames.force_push(frame);
        if evicted.is_some() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        evicted
    }

    /// Counts copies that never came to the ring.
    pub fn count_dropped(&self, copies: u64) {
        self.dropped.fetch_add(copies, Ordering::Relaxed);
    }

    /// Takes the oldest copy.
    pub fn pop(&self) -> Option<T> {
        self.frames.pop()
    }

    /// Copies that wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// How full it is, 0-1.
    pub fn fill(&self) -> f64 {
        self.len() as f64 / self.frames.capacity() as f64
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Copies that made room for newer ones since start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use media::LegId;

    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let ring = TapRing::new(2);
        let evicted: Vec<Option<LegId>> = (1..=3).map(|n| ring.push(frame(n)).map(|frame| frame.leg)).collect();
        assert_eq!(evicted, [None, None, Some(LegId(1))]);
        assert_eq!((ring.len(), ring.dropped()), (2, 1));
        assert_eq!(ring.pop().map(|frame| frame.leg), Some(LegId(2)));
    }

    fn frame(leg: u32) -> TapFrame {
        TapFrame::new(LegId(leg), Duration::ZERO, None, &[0; 172]).expect("it fits")
    }
}
