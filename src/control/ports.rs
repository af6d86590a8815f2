//! The pool of local RTP ports. A port that comes back rests behind all free ones before it is used again,
//! so that late packets of an old call do not reach a new one.
//!
//! Opens nothing: it only says which numbers are free.

use std::collections::VecDeque;

/// The free ports, longest rested first.
#[derive(Debug)]
pub(super) struct PortPool {
    free: VecDeque<u16>,
}

impl PortPool {
    /// A pool of the given ports, each named once.
    pub(super) fn new(ports: impl Iterator<Item = u16>) -> PortPool {
        PortPool { free: ports.collect() }
    }

    /// The port that has rested longest; `None` when all are in use.
    pub(super) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Takes back a port that `take` gave.
    pub(super) fn give_back(&mut self, port: u16) {
        debug_assert!(!self.free.contains(&port), "port {port} came back twice");
        self.free.push_back(port);
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_rests_behind_all_others() {
        let mut pool = PortPool::new([10, 12, 14].into_iter());
        let first = pool.take().expect("three are free");
        pool.give_back(first);
        let order: Vec<u16> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(order, [12, 14, 10]);
        assert_eq!(pool.take(), None);
        assert_eq!(pool.free(), 0);
    }
}
