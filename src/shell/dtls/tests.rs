//! Two endpoints and the network between them, in simulated time.

use super::*;

#[test]
fn both_ends_have_the_same_keys() {
    let mut wire = Wire::new(Network::default());
    wire.run();
    let keys = wire.keys().expect("nothing is lost");
    assert_eq!(keys.send.suite(), Suite::AeadAes128Gcm);
    assert_eq!(wire.now, Duration::ZERO, "nobody had to wait");
    assert!(keys.send != keys.receive);
}

/// With every fifth datagram lost, all repetitions of some last words are lost now and then.
#[test]
fn a_bad_network_is_survived() {
    let mut failed = Vec::new();
    for seed in 0..1_000 {
        let mut wire = Wire::new(Network { seed, lost: 20, doubled: 10, delayed: 30 });
        wire.run();
        failed.extend(wire.keys().is_none().then_some(seed));
    }
    assert!(failed.len() <= 5, "seeds {failed:?}");
}

#[test]
fn a_stranger_gets_no_keys() {
    for wrong in [0, 1] {
        let mut wire = Wire::new(Network::default());
        let promised = Certificate::generate().expect("the system gives randomness");
        wire.replace(wrong, promised.fingerprint().clone());
        wire.run();
        assert_eq!(wire.ends[wrong].failure(), Some(Failure::WrongCertificate));
        assert!(wire.ends.iter().all(|end| end.keys().is_none()), "neither has keys");
    }
}

#[test]
fn every_hash_vouches() {
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1] {
        let mut wire = Wire::new(Network::default());
        let own = wire.certificates[1].library.certificate[0].to_vec();
        wire.replace(0, fingerprint(hash, &own));
        wire.run();
        assert!(wire.keys().is_some(), "{hash:?}");
    }
}

#[test]
fn our_fingerprint_is_as_descriptions_write_it() {
    let certificate = Certificate::generate().expect("the system gives randomness");
    let written = certificate.fingerprint().to_string();
    assert_eq!(written.len(), "sha-256 ".len() + 32 * 3 - 1);
    assert_eq!(Fingerprint::parse(&written).as_ref(), Some(certificate.fingerprint()));
    assert_eq!(format!("{certificate:?}"), format!("Certificate({written})"));
}

#[test]
fn a_far_end_that_comes_late_is_met() {
    let mut wire = Wire::new(Network::default());
    wire.silent_until = Duration::from_secs(9);
    wire.run();
    assert!(wire.keys().is_some(), "{:?}", wire.ends);
}

/// It had not got our session description when our first word came.
#[test]
fn a_far_end_that_is_ready_a_moment_later_is_greeted_again_at_once() {
    let mut wire = Wire::new(Network::default());
    wire.silent_until = Duration::from_millis(30);
    wire.run();
    assert!(wire.keys().is_some(), "{:?}", wire.ends);
    assert_eq!(wire.now, GREETING);
}

#[test]
fn a_far_end_that_never_comes_is_given_up() {
    let mut wire = Wire::new(Network { lost: 100, ..Network::default() });
    wire.run();
    assert_eq!(wire.ends[0].failure(), Some(Failure::TooSlow));
    assert_eq!(wire.now, HANDSHAKE_TIME_MAX);
    assert!(wire.sent <= 40, "{} datagrams into the void", wire.sent);
    assert_eq!(wire.ends[1].deadline(), None, "a passive end waits without a limit of its own");
}

#[test]
fn lost_last_words_are_repeated() {
    let mut wire = Wire::new(Network::default());
    // The passive end finishes first, and what it says then is lost.
    wire.lose_once_done = true;
    wire.run();
    assert!(wire.keys().is_some(), "{:?}", wire.ends);
    assert!(wire.now > Duration::ZERO, "it took a repetition");
}

/// What is changed on the way brings no keys that differ, and breaks nothing.
#[test]
fn changed_datagrams_do_no_harm() {
    for seed in 0..200 {
        let mut wire = Wire::new(Network { seed, ..Network::default() });
        wire.changed = 30;
        wire.run();
        let [ours, theirs] = wire.ends.each_ref().map(Endpoint::keys);
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            assert!(ours.send == theirs.receive && ours.receive == theirs.send, "seed {seed}");
        }
    }
}

#[test]
fn what_is_taken_is_bounded() {
    let mut wire = Wire::new(Network::default());
    let first = wire.ends[0].poll().expect("the active end begins").to_vec();
    for number in 0..10_000_u32 {
        let mut datagram = first.clone();
        datagram[7..11].copy_from_slice(&number.to_be_bytes());
        wire.ends[1].handle(Duration::ZERO, &datagram);
        while wire.ends[1].poll().is_some() {
            wire.sent += 1;
        }
    }
    assert_eq!(wire.ends[1].datagrams, DATAGRAMS_MAX);
    assert!(wire.sent <= DATAGRAMS_MAX, "{} answers", wire.sent);
}

/// The library follows a chain of fragments by recursion; test threads have the stack that the worker has.
#[test]
fn a_long_chain_of_fragments_fits_the_stack() {
    let mut wire = Wire::new(Network::default());
    let length = FRAGMENTS_MAX as u16 + 1;
    for start in (0..FRAGMENTS_MAX as u16).step_by(50) {
        let records = (start..start + 50).flat_map(|at| {
            let (whole, at, record) = (length.to_be_bytes(), at.to_be_bytes(), at.to_be_bytes());
            let header = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, record[0], record[1], 0, 13];
            let fragment = [1, 0, whole[0], whole[1], 0, 0, 0, at[0], at[1], 0, 0, 1, 7];
            [header, fragment].concat()
        });
        wire.ends[1].handle(Duration::ZERO, &records.collect::<Vec<u8>>());
    }
    assert_eq!((wire.ends[1].fragments, wire.ends[1].failure()), (FRAGMENTS_MAX, None));
}

#[test]
fn what_is_printed_holds_no_key() {
    let mut wire = Wire::new(Network::default());
    wire.run();
    assert_eq!(format!("{:?}", wire.ends[0]), "Endpoint(done)");
}

/// How often, in percent, a datagram has which fate.
#[derive(Debug, Clone, Copy, Default)]
struct Network {
    seed: u64,
    lost: u64,
    doubled: u64,
    delayed: u64,
}

/// The active end, the passive end, and what is under way between them: when it arrives, for whom, what.
struct Wire {
    ends: [Endpoint; 2],
    certificates: [Certificate; 2],
    network: Network,
    /// How often, in percent, one octet is another one on arrival.
    changed: u64,
    /// Until then nothing arrives.
    silent_until: Duration,
    /// Loses the first datagram that the passive end says after it is done.
    lose_once_done: bool,
    under_way: Vec<(Duration, usize, Vec<u8>)>,
    now: Duration,
    sent: u32,
    random: u64,
}

impl Wire {
    fn new(network: Network) -> Self {
        let certificates = [0, 1].map(|_| Certificate::generate().expect("the system gives randomness"));
        let ends = [0, 1].map(|end| endpoint(&certificates[end], certificates[1 - end].fingerprint().clone(), end));
        Self {
            ends,
            certificates,
            network,
            changed: 0,
            silent_until: Duration::ZERO,
            lose_once_done: false,
            under_way: Vec::new(),
            now: Duration::ZERO,
            sent: 0,
            random: network.seed,
        }
    }

    /// Lets one end expect another certificate.
    fn replace(&mut self, end: usize, expected: Fingerprint) {
        self.ends[end] = endpoint(&self.certificates[end], expected, end);
    }

    /// Plays until nothing is under way and nobody waits.
    fn run(&mut self) {
        for _ in 0..10_000 {
            (0..2).for_each(|end| self.collect(end));
            let arrival = self.under_way.iter().map(|&(at, ..)| at).min();
            let due = self.ends.iter().filter_map(Endpoint::deadline).chain(arrival).min();
            let Some(due) = due else { return };
            self.now = self.now.max(due);
            if let Some(place) = self.under_way.iter().position(|&(at, ..)| at <= self.now) {
                let (_, end, datagram) = self.under_way.remove(place);
                self.ends[end].handle(self.now, &datagram);
            } else {
                self.ends.iter_mut().for_each(|end| end.tick(self.now));
            }
        }
        panic!("they go on for ever: {:?}", self.ends);
    }

    fn collect(&mut self, end: usize) {
        while let Some(datagram) = self.ends[end].poll() {
            self.sent += 1;
            let is_last_word = end == 1 && self.ends[1].keys().is_some();
            if self.now < self.silent_until || self.happens(self.network.lost) {
                continue;
            }
            if is_last_word && std::mem::take(&mut self.lose_once_done) {
                continue;
            }
            let mut datagram = datagram.to_vec();
            if self.happens(self.changed) {
                let place = self.below(datagram.len() as u64) as usize;
                datagram[place] ^= 1 << self.below(8);
            }
            let copies = 1 + usize::from(self.happens(self.network.doubled));
            for _ in 0..copies {
                let delay_ms = if self.happens(self.network.delayed) { self.below(700) } else { 0 };
                self.under_way.push((self.now + Duration::from_millis(delay_ms), 1 - end, datagram.clone()));
            }
        }
    }

    /// The active end's keys, when both have the same ones.
    fn keys(&self) -> Option<&SessionKeys> {
        let [ours, theirs] = self.ends.each_ref().map(Endpoint::keys);
        let (ours, theirs) = (ours?, theirs?);
        assert!(ours.send == theirs.receive && ours.receive == theirs.send);
        Some(ours)
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// The same numbers in every run (Knuth's constants).
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }
}

fn endpoint(certificate: &Certificate, expected: Fingerprint, end: usize) -> Endpoint {
    let agreed = Handshake { fingerprint: expected, active: end == 0, separate_control: false };
    Endpoint::new(agreed, certificate, Duration::ZERO).expect("the certificate is ours")
}
