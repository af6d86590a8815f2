//! What the media threads count, for metrics.
//!
//! Each thread writes its own block; readers add the blocks up. No number waits for another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Ticks are counted by how late they are: at least so many microseconds, and less than the next number.
pub const TICK_LATE_US: [u64; 16] = [
    0, 500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000,
];

/// Sums over all media threads since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaFigures {
    /// Media threads that run.
    pub threads_alive: u64,
    /// Media threads that broke down and began again.
    pub restarts: u64,
    /// Legs that are open.
    pub legs_open: u64,
    /// Datagrams received on RTP sockets.
    pub packets_received: u64,
    /// Packets relayed from one leg to another.
    pub packets_relayed: u64,
    /// Packets of sounds that we made.
    pub packets_made: u64,
    /// Datagrams refused: malformed, from strangers, of unknown type, seen before.
    pub packets_refused: u64,
    /// Datagrams that the system did not take.
    pub sends_failed: u64,
    /// Copies that the listening side did not get because its ring was full.
    pub tap_dropped: u64,
    /// Events that call control did not get because its channel was full.
    pub events_dropped: u64,
    /// Ticks carried out.
    pub ticks: u64,
    /// The latest any tick was, microseconds.
    pub tick_late_us_max: u64,
    /// Sum over all ticks of how late they were, microseconds.
    pub tick_late_us_sum: u64,
    /// Ticks by how late they were, as in [`TICK_LATE_US`].
    pub ticks_late: [u64; TICK_LATE_US.len()],
}

/// One thread's block.
#[derive(Debug, Default)]
pub(super) struct ThreadCounters {
    pub(super) alive: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) legs_open: AtomicU64,
    pub(super) packets_received: AtomicU64,
    pub(super) packets_relayed: AtomicU64,
    pub(super) packets_made: AtomicU64,
    pub(super) packets_refused: AtomicU64,
    pub(super) sends_failed: AtomicU64,
    pub(super) events_dropped: AtomicU64,
    ticks: AtomicU64,
    tick_late_us_max: AtomicU64,
    tick_late_us_sum: AtomicU64,
    ticks_late: [AtomicU64; TICK_LATE_US.len()],
}

impl ThreadCounters {
    pub(super) fn count_tick(&self, late: Duration) {
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.ticks.fetch_add(1, Ordering::Relaxed);
        self.tick_late_us_max.fetch_max(late_us, Ordering::Relaxed);
        self.tick_late_us_sum.fetch_add(late_us, Ordering::Relaxed);
        let above = TICK_LATE_US.partition_point(|least_us| *least_us <= late_us);
        add(&self.ticks_late[above.saturating_sub(1)], 1);
    }

    pub(super) fn add_to(&self, figures: &mut MediaFigures) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        figures.threads_alive += read(&self.alive);
        figures.restarts += read(&self.restarts);
        figures.legs_open += read(&self.legs_open);
        figures.packets_received += read(&self.packets_received);
        figures.packets_relayed += read(&self.packets_relayed);
        figures.packets_made += read(&self.packets_made);
        figures.packets_refused += read(&self.packets_refused);
        figures.sends_failed += read(&self.sends_failed);
        figures.events_dropped += read(&self.events_dropped);
        figures.ticks += read(&self.ticks);
        figures.tick_late_us_max = figures.tick_late_us_max.max(read(&self.tick_late_us_max));
        figures.tick_late_us_sum += read(&self.tick_late_us_sum);
        for (sum, counter) in figures.ticks_late.iter_mut().zip(&self.ticks_late) {
            *sum += read(counter);
        }
    }
}

/// Adds to a counter that only one thread writes.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}
