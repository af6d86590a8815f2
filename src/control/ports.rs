//! The pool of local RTP ports. A port that comes back rests for a while, and behind all free ones, before it is used
//! again, so that late packets of an old call do not reach a new one.
//!
//! Opens nothing: it only says which numbers are free.

use std::collections::VecDeque;
use std::time::Duration;

/// The free ports, longest rested first.
#[derive(Debug)]
pub(super) struct PortPool {
    /// With the moment from which each may be used.
    free: VecDeque<(u16, Duration)>,
    rest: Duration,
}

impl PortPool {
    /// A pool of the given ports, each named once; one that comes back rests at least `rest`.
    pub(super) fn new(ports: impl Iterator<Item = u16>, rest: Duration) -> PortPool {
        PortPool { free: ports.map(|port| (port, Duration::ZERO)).collect(), rest }
    }

    /// The port that has rested longest; `None` when all are in use or at rest.
    pub(super) fn take(&mut self, now: Duration) -> Option<u16> {
        let (port, from) = *self.free.front()?;
        if now < from {
            return None;
        }
        self.free.pop_front();
        Some(port)
    }

    /// Takes back a port that `take` gave.
    pub(super) fn give_back(&mut self, now: Duration, port: u16) {
        debug_assert!(self.free.iter().all(|(free, _)| *free != port), "port {port} came back twice");
        self.free.push_back((port, now + self.rest));
    }

    /// How many are in no call, at rest or not.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Whether `count` ports can be taken now.
    pub(super) fn has(&self, now: Duration, count: usize) -> bool {
        // They come back in order, so the ones in front have rested longest.
        count == 0 || self.free.get(count - 1).is_some_and(|(_, from)| *from <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_port_rests_behind_all_others() {
        let mut pool = PortPool::new([10, 12, 14].into_iter(), Duration::ZERO);
        let first = pool.take(SECOND).expect("three are free");
        pool.give_back(SECOND, first);
        let order: Vec<u16> = std::iter::from_fn(|| pool.take(SECOND)).collect();
        assert_eq!(order, [12, 14, 10]);
        assert_eq!(pool.take(SECOND), None);
        assert_eq!(pool.free(), 0);
    }

    #[test]
    fn a_port_rests_its_time() {
        let mut pool = PortPool::new([10, 12].into_iter(), 30 * SECOND);
        assert!(pool.has(SECOND, 2) && !pool.has(SECOND, 3));
        let both = [pool.take(SECOND), pool.take(SECOND)].map(|port| port.expect("two are free"));
        pool.give_back(2 * SECOND, both[0]);
        pool.give_back(5 * SECOND, both[1]);
        assert_eq!(pool.free(), 2);
        assert_eq!(pool.take(31 * SECOND), None);
        assert!(!pool.has(32 * SECOND, 2) && pool.has(32 * SECOND, 1));
        assert_eq!(pool.take(32 * SECOND), Some(both[0]));
        assert_eq!(pool.take(32 * SECOND), None);
        assert_eq!(pool.take(35 * SECOND), Some(both[1]));
    }
}
