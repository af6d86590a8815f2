//! A bad network between a telephone and the server: what passes, when, and in which order; one seed, one history.
//!
//! Holds the datagrams of one way until they are due. What goes wrong is decided by `media::network`.

use std::collections::BTreeMap;
use std::time::Duration;

use media::network::{Bursts, Network, Way};

/// The most datagrams that are on their way at a time; more are lost, as in any router.
const UNDER_WAY_MAX: usize = 1_024;

/// What is wrong with both ways of a telephone's streams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadNetwork {
    /// What happens to packets.
    pub network: Network,
    /// How much too fast the telephone's clock is, parts in a million; negative when too slow.
    pub drift_ppm: i32,
    /// Makes the accidents: the next call of a telephone has the next seed.
    pub seed: u64,
}

impl BadNetwork {
    /// Nothing is wrong, and nothing takes time.
    pub const NONE: Self =
        Self { network: Network { delay: Duration::ZERO, ..Network::PERFECT }, drift_ppm: 0, seed: 0 };

    /// The same with other accidents, for the next call.
    pub(crate) fn next(self) -> Self {
        Self { seed: self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15), ..self }
    }

    /// Loss in bursts of five packets on average, of this share of all packets, of a thousand.
    pub fn bursts(loss_per_mille: u32) -> Bursts {
        // Bad for 1000 / 200 packets at a time, all of them lost.
        let begin_per_mille = 200 * loss_per_mille / 1_000_u32.saturating_sub(loss_per_mille).max(1);
        Bursts { begin_per_mille, end_per_mille: 200, loss_per_mille: 1_000 }
    }
}

/// One way of one stream.
#[derive(Debug)]
pub(crate) struct Shaper {
    way: Way,
    network: Network,
    under_way: BTreeMap<(Duration, u64), Vec<u8>>,
    count: u64,
    lost: u64,
}

impl Shaper {
    pub(crate) fn new(network: Network, seed: u64) -> Self {
        Shaper { way: Way::new(seed), network, under_way: BTreeMap::new(), count: 0, lost: 0 }
    }

    /// A datagram sets out.
    pub(crate) fn send(&mut self, now: Duration, datagram: &[u8]) {
        let arrivals = self.way.send(now, &self.network);
        if arrivals[0].is_none() || self.under_way.len() + 2 > UNDER_WAY_MAX {
            self.lost += 1;
            return;
        }
        for at in arrivals.into_iter().flatten() {
            self.count += 1;
            self.under_way.insert((at, self.count), datagram.to_vec());
        }
    }

    /// The next datagram that has arrived, and when.
    pub(crate) fn arrived(&mut self, now: Duration) -> Option<(Duration, Vec<u8>)> {
        let entry = self.under_way.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), datagram) = entry.remove_entry();
        Some((at, datagram))
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many it has lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_in_their_time_and_the_lost_are_counted() {
        let network = Network {
            loss_per_mille: 100,
            duplicate_per_mille: 100,
            jitter_max: Duration::from_millis(50),
            ..BadNetwork::NONE.network
        };
        let history = |seed| {
            let mut shaper = Shaper::new(network, seed);
            let mut arrived = Vec::new();
            for n in 0..1_000_u32 {
                let now = Duration::from_millis(20) * n;
                shaper.send(now, &n.to_be_bytes());
                arrived.extend(std::iter::from_fn(|| shaper.arrived(now)));
            }
            arrived.extend(std::iter::from_fn(|| shaper.arrived(Duration::MAX)));
            (arrived, shaper.lost())
        };
        let (arrived, lost) = history(5);
        assert!((70..130).contains(&lost), "{lost}");
        assert!(arrived.len() > 1_000 - lost as usize, "some came twice");
        assert!(arrived.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(history(5), (arrived, lost));
    }

    #[test]
    fn bursts_lose_what_was_asked_for() {
        for per_mille in [10, 100, 300] {
            let network = Network { bursts: Some(BadNetwork::bursts(per_mille)), ..BadNetwork::NONE.network };
            let mut shaper = Shaper::new(network, 1);
            for n in 0..50_000 {
                shaper.send(Duration::from_millis(20) * n, &[]);
                while shaper.arrived(Duration::MAX).is_some() {}
            }
            let lost = shaper.lost() / 50;
            assert!(lost.abs_diff(u64::from(per_mille)) <= u64::from(per_mille / 4 + 3), "{lost} of {per_mille}");
        }
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let network = Network { delay: Duration::from_secs(3_600), ..Network::PERFECT };
        let mut shaper = Shaper::new(network, 1);
        (0..2 * UNDER_WAY_MAX).for_each(|_| shaper.send(Duration::ZERO, &[1]));
        assert!(shaper.under_way.len() <= UNDER_WAY_MAX);
        assert!(shaper.lost() >= UNDER_WAY_MAX as u64);
    }
}
