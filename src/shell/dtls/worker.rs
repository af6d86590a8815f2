//! The thread that shakes hands for all legs, away from the media threads: a handshake takes milliseconds of work.
//!
//! Carries no datagram itself: they come in as orders, and go out with everything else through a callback.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use media::sdp::Handshake;
use media::srtp::SessionKeys;
use media::{Channel, LegId};

use super::{Certificate, Endpoint};
use crate::control::HandshakeFailure as Failure;
use crate::shell::clock::Clock;

/// Where orders for the thread go in; it ends when the last copy is gone.
#[derive(Debug, Clone)]
pub struct Handshakes {
    orders: SyncSender<Order>,
}

/// What comes of a handshake.
#[derive(Debug)]
pub enum Outcome {
    /// A datagram to send from the leg's socket.
    Send {
        /// The leg.
        leg: LegId,
        /// From which of its ports.
        channel: Channel,
        /// A DTLS datagram.
        datagram: Vec<u8>,
    },
    /// The keys.
    Keys {
        /// The leg.
        leg: LegId,
        /// For what goes through which of its ports.
        channel: Channel,
        /// The keys.
        keys: Box<SessionKeys>,
    },
    /// There will be no keys.
    Failed {
        /// The leg.
        leg: LegId,
        /// For which of its ports.
        channel: Channel,
        /// Why.
        failure: Failure,
    },
}

/// An order was not taken: more wait than fit, or the thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handshakes' thread takes no more orders")]
pub struct Full;

#[derive(Debug)]
enum Order {
    Begin { leg: LegId, agreed: Handshake, forks: bool },
    Datagram { line: Line, datagram: Vec<u8> },
    End { leg: LegId },
}

/// One of a leg's ports.
type Line = (LegId, Channel);

/// Orders that wait at most.
const ORDERS_MAX: usize = 1_024;
/// Handshakes at a time.
pub const HANDSHAKES_MAX: usize = 2_048;
/// Forks of one leg whose keys are remembered, and legs that have any.
const FORKS_MAX: usize = 4;
const FORKED_MAX: usize = 8_192;
/// How long a finished handshake can still repeat its last words for a far end that has missed them.
const LINGER: Duration = Duration::from_secs(10);

impl Handshakes {
    /// Starts the thread. `out` is called on it and must not wait.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        certificate: Certificate,
        clock: Clock,
        out: impl FnMut(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, inbox) = sync_channel(ORDERS_MAX);
        thread::Builder::new()
            .name("dtls".to_owned())
            .spawn(move || run(&inbox, clock, Table::new(certificate, out)))?;
        Ok(Self { orders })
    }

    /// Begins the handshake of a leg, in place of an earlier one; a second one beside it when control packets have a port
    /// of their own. With `forks`, keys that the same far end has brought to this leg before are its keys still.
    ///
    /// # Errors
    /// When the order was not taken.
    pub fn begin(&self, leg: LegId, agreed: Handshake, forks: bool) -> Result<(), Full> {
        self.order(Order::Begin { leg, agreed, forks })
    }

    /// A datagram of the far end; dropped when no handshake is under way there.
    ///
    /// # Errors
    /// When it was dropped because too many wait; the far end will repeat it.
    pub fn datagram(&self, leg: LegId, channel: Channel, datagram: Vec<u8>) -> Result<(), Full> {
        self.order(Order::Datagram { line: (leg, channel), datagram })
    }

    /// The leg is gone.
    ///
    /// # Errors
    /// When the order was not taken; the handshake then ends by itself.
    pub fn end(&self, leg: LegId) -> Result<(), Full> {
        self.order(Order::End { leg })
    }

    fn order(&self, order: Order) -> Result<(), Full> {
        self.orders.try_send(order).map_err(|_| Full)
    }
}

fn run<Out: FnMut(Outcome)>(inbox: &Receiver<Order>, clock: Clock, mut table: Table<Out>) {
    loop {
        let order = match table.deadline() {
            Some(deadline) => inbox.recv_timeout(deadline.saturating_sub(clock.now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(order) => table.take(clock.now(), order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        table.tick(clock.now());
    }
}

/// The handshakes under way.
struct Table<Out> {
    certificate: Certificate,
    handshakes: BTreeMap<Line, Entry>,
    /// Keys of handshakes that are over, for forks that are returned to; until the leg ends.
    finished: BTreeMap<Line, Vec<(Handshake, SessionKeys)>>,
    out: Out,
}

struct Entry {
    endpoint: Endpoint,
    /// What was agreed, when the far end is one of several that answer.
    fork: Option<Handshake>,
    /// When it is forgotten; set when it has brought keys.
    forgotten_at: Option<Duration>,
}

impl<Out: FnMut(Outcome)> Table<Out> {
    fn new(certificate: Certificate, out: Out) -> Self {
        Self { certificate, handshakes: BTreeMap::new(), finished: BTreeMap::new(), out }
    }

    fn take(&mut self, now: Duration, order: Order) {
        match order {
            Order::Begin { leg, agreed, forks } => {
                for channel in [Channel::Control, Channel::Media] {
                    self.handshakes.remove(&(leg, channel));
                    if channel == Channel::Media || agreed.separate_control {
                        self.begin(now, (leg, channel), agreed.clone(), forks);
                    }
                }
            }
            Order::Datagram { line, datagram } => self.step(now, line, |endpoint| endpoint.handle(now, &datagram)),
            Order::End { leg } => self.end(leg),
        }
    }

    /// When something is due without an order.
    fn deadline(&self) -> Option<Duration> {
        self.handshakes.values().filter_map(|entry| entry.forgotten_at.or_else(|| entry.endpoint.deadline())).min()
    }

    fn tick(&mut self, now: Duration) {
        self.handshakes.retain(|_, entry| entry.forgotten_at.is_none_or(|at| now < at));
        let is_due = |entry: &Entry| entry.endpoint.deadline().is_some_and(|at| at <= now);
        let due: Vec<Line> = self.handshakes.iter().filter(|(_, entry)| is_due(entry)).map(|(&line, _)| line).collect();
        for line in due {
            self.step(now, line, |endpoint| endpoint.tick(now));
        }
    }

    fn begin(&mut self, now: Duration, line: Line, agreed: Handshake, forks: bool) {
        let known = self.finished.get(&line).filter(|_| forks);
        if let Some((_, keys)) = known.and_then(|known| known.iter().find(|(before, _)| *before == agreed)) {
            let (leg, channel) = line;
            return (self.out)(Outcome::Keys { leg, channel, keys: Box::new(keys.clone()) });
        }
        let begun = match self.handshakes.len() {
            HANDSHAKES_MAX.. => Err(Failure::Busy),
            _ => Endpoint::new(agreed.clone(), &self.certificate, now),
        };
        match begun {
            Ok(endpoint) => {
                let entry = Entry { endpoint, fork: forks.then_some(agreed), forgotten_at: None };
                self.handshakes.insert(line, entry);
                self.step(now, line, |_| ());
            }
            Err(failure) => self.fail(line, failure),
        }
    }

    /// Remembers the keys of a fork.
    fn remember(&mut self, line: Line, fork: Handshake, keys: SessionKeys) {
        if self.finished.len() < FORKED_MAX || self.finished.contains_key(&line) {
            let known = self.finished.entry(line).or_default();
            if known.len() < FORKS_MAX {
                known.push((fork, keys));
            }
        }
    }

    fn end(&mut self, leg: LegId) {
        for channel in [Channel::Media, Channel::Control] {
            self.handshakes.remove(&(leg, channel));
            self.finished.remove(&(leg, channel));
        }
    }

    /// Does one thing to an endpoint and passes on what comes of it. A panic ends this handshake only.
    fn step(&mut self, now: Duration, line: Line, action: impl FnOnce(&mut Endpoint)) {
        let Some(entry) = self.handshakes.get_mut(&line) else { return };
        let (leg, channel) = line;
        let endpoint = &mut entry.endpoint;
        let had_keys = endpoint.keys().is_some();
        let survived = catch_unwind(AssertUnwindSafe(|| {
            action(endpoint);
            std::iter::from_fn(|| endpoint.poll()).collect::<Vec<_>>()
        }));
        let Ok(datagrams) = survived else {
            self.handshakes.remove(&line);
            return self.fail(line, Failure::Broken);
        };
        for datagram in datagrams {
            (self.out)(Outcome::Send { leg, channel, datagram: datagram.to_vec() });
        }

        if let Some(failure) = entry.endpoint.failure() {
            self.handshakes.remove(&line);
            return self.fail(line, failure);
        }
        if let Some(keys) = entry.endpoint.keys().filter(|_| !had_keys).cloned() {
            entry.forgotten_at = Some(now + LINGER);
            if let Some(fork) = entry.fork.take() {
                self.remember(line, fork, keys.clone());
            }
            (self.out)(Outcome::Keys { leg, channel, keys: Box::new(keys) });
        }
    }

    fn fail(&mut self, (leg, channel): Line, failure: Failure) {
        (self.out)(Outcome::Failed { leg, channel, failure });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn two_threads_shake_hands_for_many_legs() {
        let certificates = [certificate(), certificate()];
        let agreed = [1, 0].map(|far| certificates[far].fingerprint().clone());
        let (outcomes, inbox) = mpsc::channel();
        let ends = [0, 1].map(|end| {
            let outcomes = outcomes.clone();
            let out = move |outcome| outcomes.send((end, outcome)).expect("the test listens");
            Handshakes::start(certificates[end].clone(), Clock::start(), out).expect("a thread")
        });
        for leg in (0..20).map(LegId) {
            for (end, fingerprint) in agreed.iter().enumerate() {
                let (fingerprint, separate_control) = (fingerprint.clone(), leg.0 % 2 == 1);
                let agreed = Handshake { fingerprint, active: end == 0, separate_control };
                ends[end].begin(leg, agreed, false).expect("there is room");
            }
        }

        let mut keys: BTreeMap<Line, [Option<Box<SessionKeys>>; 2]> = BTreeMap::new();
        while keys.len() < 30 || keys.values().flatten().any(Option::is_none) {
            let (end, outcome) = inbox.recv_timeout(Duration::from_secs(20)).expect("they go on");
            match outcome {
                Outcome::Send { leg, channel, datagram } => {
                    ends[1 - end].datagram(leg, channel, datagram).expect("there is room");
                }
                Outcome::Keys { leg, channel, keys: brought } => {
                    keys.entry((leg, channel)).or_default()[end] = Some(brought);
                }
                Outcome::Failed { leg, failure, .. } => panic!("{leg:?}: {failure}"),
            }
        }
        for pair in keys.into_values() {
            let [Some(ours), Some(theirs)] = pair else { panic!("one side has no keys") };
            assert!(ours.send == theirs.receive && ours.receive == theirs.send);
        }
    }

    #[test]
    fn a_fork_that_is_returned_to_has_its_keys_until_the_leg_ends() {
        let mut stage = Stage::new();
        let other = Certificate::generate().expect("the system gives randomness");
        stage.passive.take(Duration::ZERO, begin(&stage.certificate, false));
        stage.active.take(Duration::ZERO, begin(&stage.certificate, true));
        stage.carry(Duration::ZERO);
        stage.active.take(Duration::ZERO, begin(&other, true));
        stage.outcomes.try_iter().for_each(drop);
        stage.active.take(LINGER * 3, begin(&stage.certificate, true));
        let again: Vec<Sent> = stage.outcomes.try_iter().collect();
        assert!(matches!(again[..], [(0, Outcome::Keys { .. })]), "no second handshake: {again:?}");
        assert!(stage.active.handshakes.is_empty());

        let fingerprint = stage.certificate.fingerprint().clone();
        let agreed = Handshake { fingerprint, active: true, separate_control: false };
        stage.active.take(LINGER * 3, Order::Begin { leg: LegId(7), agreed, forks: false });
        let again: Vec<Sent> = stage.outcomes.try_iter().collect();
        assert!(matches!(again[..], [(0, Outcome::Send { .. })]), "a new offer asks for a new one: {again:?}");
        stage.active.take(LINGER * 3, Order::End { leg: LegId(7) });
        assert!(stage.active.finished.is_empty() && stage.active.handshakes.is_empty());
    }

    #[test]
    fn finished_handshakes_are_forgotten() {
        let mut stage = Stage::new();
        stage.passive.take(Duration::ZERO, begin(&stage.certificate, false));
        stage.active.take(Duration::ZERO, begin(&stage.certificate, true));
        stage.carry(Duration::ZERO);
        assert_eq!((stage.keys, stage.active.deadline()), (2, Some(LINGER)));
        stage.active.tick(LINGER);
        assert!(stage.active.handshakes.is_empty() && stage.active.deadline().is_none());
    }

    #[test]
    fn what_belongs_to_no_handshake_is_dropped() {
        let mut stage = Stage::new();
        let hello = |leg| Order::Datagram { line: (LegId(leg), Channel::Media), datagram: vec![22; 100] };
        (0..1_000).for_each(|leg| stage.passive.take(Duration::ZERO, hello(leg)));
        assert!(stage.passive.handshakes.is_empty() && stage.outcomes.try_recv().is_err());
    }

    #[test]
    fn one_handshake_too_many_is_told_so_and_a_leg_that_ends_makes_room() {
        let mut stage = Stage::new();
        for leg in 0..=HANDSHAKES_MAX as u32 {
            stage.passive.take(Duration::ZERO, begin_leg(LegId(leg), &stage.certificate, false));
        }
        let refused: Vec<Sent> = stage.outcomes.try_iter().collect();
        let last = LegId(HANDSHAKES_MAX as u32);
        assert!(
            matches!(refused[..], [(1, Outcome::Failed { leg, failure: Failure::Busy, .. })] if leg == last),
            "{refused:?}"
        );
        stage.passive.take(Duration::ZERO, Order::End { leg: LegId(0) });
        stage.passive.take(Duration::ZERO, begin_leg(last, &stage.certificate, false));
        assert!(stage.outcomes.try_recv().is_err() && stage.passive.handshakes.len() == HANDSHAKES_MAX);
    }

    #[test]
    fn a_panic_ends_one_handshake() {
        let mut stage = Stage::new();
        stage.active.take(Duration::ZERO, begin(&stage.certificate, true));
        stage.active.step(Duration::ZERO, (LegId(7), Channel::Media), |_| panic!("on purpose"));
        let last = stage.outcomes.try_iter().last();
        assert!(matches!(last, Some((_, Outcome::Failed { leg: LegId(7), failure: Failure::Broken, .. }))), "{last:?}");
        assert!(stage.active.handshakes.is_empty());
    }

    type Sent = (usize, Outcome);
    type BoxedOut = Box<dyn FnMut(Outcome)>;

    /// Two tables with one certificate, and the wire between them.
    struct Stage {
        certificate: Certificate,
        active: Table<BoxedOut>,
        passive: Table<BoxedOut>,
        outcomes: mpsc::Receiver<Sent>,
        keys: u32,
    }

    impl Stage {
        fn new() -> Self {
            let certificate = certificate();
            let (sender, outcomes) = mpsc::channel();
            let [active, passive] = [0, 1].map(|end| {
                let sender = sender.clone();
                let out: BoxedOut = Box::new(move |outcome| sender.send((end, outcome)).expect("the test listens"));
                Table::new(certificate.clone(), out)
            });
            Self { certificate, active, passive, outcomes, keys: 0 }
        }

        fn carry(&mut self, now: Duration) {
            while let Ok((end, outcome)) = self.outcomes.try_recv() {
                match outcome {
                    Outcome::Send { leg, channel, datagram } => {
                        let far = if end == 0 { &mut self.passive } else { &mut self.active };
                        far.take(now, Order::Datagram { line: (leg, channel), datagram });
                    }
                    Outcome::Keys { .. } => self.keys += 1,
                    Outcome::Failed { leg, failure, .. } => panic!("{leg:?}: {failure}"),
                }
            }
        }
    }

    fn begin(certificate: &Certificate, active: bool) -> Order {
        begin_leg(LegId(7), certificate, active)
    }

    fn begin_leg(leg: LegId, certificate: &Certificate, active: bool) -> Order {
        let fingerprint = certificate.fingerprint().clone();
        Order::Begin { leg, agreed: Handshake { fingerprint, active, separate_control: false }, forks: true }
    }

    fn certificate() -> Certificate {
        Certificate::generate().expect("the system gives randomness")
    }
}
