//! A bad network in simulated time: which packets arrive, when, and how often; one seed, one history.
//!
//! For tests and load drivers. Carries no packets itself: the caller keeps them.

use std::time::Duration;

/// What is wrong with the way of the packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// Of a thousand packets, lost one by one.
    pub loss_per_mille: u32,
    /// Losses in bursts.
    pub bursts: Option<Bursts>,
    /// Of a thousand packets, sent twice by the network.
    pub duplicate_per_mille: u32,
    /// Of a thousand packets, late by up to three times 20 ms more than the others.
    pub reorder_per_mille: u32,
    /// What every packet takes at least.
    pub delay: Duration,
    /// What it takes more, at random, at most.
    pub jitter_max: Duration,
    /// A packet does not overtake another through jitter.
    pub keeps_order: bool,
}

/// The two states of Gilbert and Elliott: good, where all arrives, and bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bursts {
    /// Of a thousand packets in the good state, those that begin the bad one.
    pub begin_per_mille: u32,
    /// Of a thousand packets in the bad state, those that end it.
    pub end_per_mille: u32,
    /// Of a thousand packets in the bad state, lost.
    pub loss_per_mille: u32,
}

/// When a packet arrives: never, once or twice.
pub type Arrivals = [Option<Duration>; 2];

/// One way through a network.
#[derive(Debug)]
pub struct Way {
    random: Random,
    is_bad: bool,
    latest: Duration,
}

/// Numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Network {
    /// Nothing is wrong: 10 ms, always.
    pub const PERFECT: Self = Self {
        loss_per_mille: 0,
        bursts: None,
        duplicate_per_mille: 0,
        reorder_per_mille: 0,
        delay: Duration::from_millis(10),
        jitter_max: Duration::ZERO,
        keeps_order: false,
    };
}

impl Way {
    /// A way whose accidents follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), is_bad: false, latest: Duration::ZERO }
    }

    /// Sends one packet at a moment through a network, which may be another one every time.
    pub fn send(&mut self, sent: Duration, network: &Network) -> Arrivals {
        let is_lost = self.is_lost(network);
        let jitter = self.random.below(network.jitter_max.as_micros() as u64 + 1);
        let mut arrival = sent + network.delay + Duration::from_micros(jitter);
        if self.random.happens(network.reorder_per_mille) {
            arrival += Duration::from_millis(20 + self.random.below(40));
        } else if network.keeps_order {
            arrival = arrival.max(self.latest);
            self.latest = arrival;
        }
        let again = self.random.happens(network.duplicate_per_mille);
        let after = Duration::from_millis(self.random.below(30));
        if is_lost { [None, None] } else { [Some(arrival), again.then(|| arrival + after)] }
    }

    fn is_lost(&mut self, network: &Network) -> bool {
        let mut is_lost = self.random.happens(network.loss_per_mille);
        if let Some(bursts) = network.bursts {
            let turns = if self.is_bad { bursts.end_per_mille } else { bursts.begin_per_mille };
            self.is_bad ^= self.random.happens(turns);
            is_lost |= self.is_bad && self.random.happens(bursts.loss_per_mille);
        }
        is_lost
    }
}

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`; zero when that is zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a thousand times.
    pub fn happens(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_bad_as_it_says_and_the_same_every_time() {
        let bursts = Bursts { begin_per_mille: 20, end_per_mille: 200, loss_per_mille: 800 };
        let network = Network {
            loss_per_mille: 100,
            bursts: Some(bursts),
            duplicate_per_mille: 50,
            jitter_max: Duration::from_millis(60),
            ..Network::PERFECT
        };
        let history = |seed| {
            let mut way = Way::new(seed);
            (0..20_000).map(|n| way.send(Duration::from_millis(20 * n), &network)).collect::<Vec<Arrivals>>()
        };
        let sent = history(3);
        assert_eq!(sent, history(3));
        let share = |wanted: fn(&Arrivals) -> bool| sent.iter().filter(|a| wanted(a)).count() as f64 / 20_000.0;
        // One by one 10 %; in bursts 20 / (20 + 200) of the time, 80 % of it.
        let lost = share(|arrivals| arrivals[0].is_none());
        assert!((0.15..0.18).contains(&lost), "{lost}");
        let twice = share(|arrivals| arrivals[1].is_some());
        assert!((0.03..0.05).contains(&twice), "{twice}");
    }

    #[test]
    fn order_is_kept_when_it_says_so() {
        let network = Network { jitter_max: Duration::from_millis(200), keeps_order: true, ..Network::PERFECT };
        let mut way = Way::new(1);
        let arrivals: Vec<Arrivals> = (0..500).map(|n| way.send(Duration::from_millis(20 * n), &network)).collect();
        assert!(arrivals.is_sorted());
    }
}
