//! Calls that come by chance to nodes behind a dispatcher, in simulated time; in the middle a node is lost.
//!
//! Deterministic: one seed, one history. Arrivals are Poisson's, lengths exponential. The dispatcher goes round, and a node
//! that is full passes a call on to the next one, as one does that is answered 503.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use media::network::Random;
use serde::Serialize;

use super::Demand;

/// How long is played, in mean lengths of calls: until the site is full, and then with a node less.
const FILLING: f64 = 5.0;
const MAIMED: f64 = 2.0;

/// Nodes and their room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// How many, those that may be lost included.
    pub nodes: u32,
    /// Calls that each takes.
    pub calls_per_node: u32,
}

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Played {
    /// Calls that came.
    pub begun: u64,
    /// Calls that no node had room for.
    pub refused: u64,
    /// Calls that one node or more had passed on before they found room.
    pub passed_on: u64,
    /// Calls that ended with the node.
    pub lost_with_node: u64,
    /// The most calls at a time.
    pub peak: u64,
    /// The most calls at a time of the fullest node.
    pub peak_of_node: u32,
}

/// Plays a site from empty to full, then loses a node, and goes on.
pub fn play(site: &Site, demand: &Demand, seed: u64) -> Played {
    play_for(site, demand, seed, [FILLING, MAIMED])
}

fn play_for(site: &Site, demand: &Demand, seed: u64, [filling, maimed]: [f64; 2]) -> Played {
    let mut random = Random::new(seed);
    let mut up = vec![0_u32; site.nodes as usize];
    let (mut all, mut lost) = (0, None);
    // When each call ends, ns, and where it is.
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut played = Played::default();
    let between_s = demand.call_seconds / f64::from(demand.calls);
    let (break_s, end_s) = (demand.call_seconds * filling, demand.call_seconds * (filling + maimed));
    let (mut now_s, mut turn) = (0.0, 0);
    loop {
        now_s += exponential(&mut random, between_s);
        if now_s >= end_s {
            return played;
        }
        while let Some(Reverse((_, node))) = ends.peek().copied().filter(|Reverse((at, _))| *at <= nanos(now_s)) {
            ends.pop();
            if lost != Some(node) {
                up[node] -= 1;
                all -= 1;
            }
        }
        if now_s >= break_s && lost.is_none() && site.nodes > 1 {
            lost = Some(0);
            played.lost_with_node = u64::from(std::mem::take(&mut up[0]));
            all -= played.lost_with_node;
        }
        played.begun += 1;
        turn = (turn + 1) % up.len();
        let places = (0..up.len()).map(|step| (turn + step) % up.len()).filter(|node| lost != Some(*node));
        let found = places.enumerate().find(|(_, node)| up[*node] < site.calls_per_node);
        let Some((passed, node)) = found else {
            played.refused += 1;
            continue;
        };
        played.passed_on += u64::from(passed > 0);
        up[node] += 1;
        all += 1;
        ends.push(Reverse((nanos(now_s + exponential(&mut random, demand.call_seconds)), node)));
        played.peak = played.peak.max(all);
        played.peak_of_node = played.peak_of_node.max(up[node]);
    }
}

/// The share of calls that find no room among so many places when `erlangs` are up on average (Erlang's B formula, by its
/// recursion, which has no large numbers).
pub fn erlang_b(places: u64, erlangs: f64) -> f64 {
    (1..=places).fold(1.0, |blocked, place| erlangs * blocked / (place as f64 + erlangs * blocked))
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    /// As fine as a double is.
    const STEPS: u64 = 1 << 53;
    -mean * (((random.below(STEPS) + 1) as f64) / STEPS as f64).ln()
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erlang_by_the_book() {
        for (places, erlangs, expected) in [(1, 1.0, 0.5), (2, 1.0, 0.2), (10, 5.0, 0.018_385), (117, 100.0, 0.009_8)] {
            let found = erlang_b(places, erlangs);
            assert!((found - expected).abs() < 2e-4, "{places} places, {erlangs} erlangs: {found}");
        }
    }

    #[test]
    fn one_node_blocks_as_erlang_says() {
        // Long histories of one node that is never lost: the same share as by the formula, within a fifth.
        let site = Site { nodes: 1, calls_per_node: 110 };
        let (mut begun, mut refused) = (0, 0);
        for seed in 0..4 {
            let played = play_for(&site, &Demand::PLAIN, seed, [250.0, 0.0]);
            (begun, refused) = (begun + played.begun, refused + played.refused);
        }
        let (found, expected) = (refused as f64 / begun as f64, erlang_b(110, 100.0));
        assert!((found / expected - 1.0).abs() < 0.2, "{found} beside {expected}");
    }

    #[test]
    fn the_same_seed_is_the_same_history() {
        let site = Site { nodes: 4, calls_per_node: 30 };
        assert_eq!(play(&site, &Demand::PLAIN, 3), play(&site, &Demand::PLAIN, 3));
        assert_ne!(play(&site, &Demand::PLAIN, 3), play(&site, &Demand::PLAIN, 4));
    }

    #[test]
    fn a_site_without_a_spare_node_refuses_when_one_is_lost() {
        let tight = play(&Site { nodes: 4, calls_per_node: 31 }, &Demand::PLAIN, 5);
        let roomy = play(&Site { nodes: 5, calls_per_node: 31 }, &Demand::PLAIN, 5);
        assert!(tight.refused > 10 && tight.lost_with_node > 10, "{tight:?}");
        assert!(roomy.refused < tight.refused / 10, "{roomy:?}");
        assert!(tight.passed_on > 0 && tight.peak_of_node <= 31, "{tight:?}");
    }
}
