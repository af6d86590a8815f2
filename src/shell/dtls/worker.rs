//! The thread that shakes hands for all legs, away from the media threads: a handshake takes milliseconds of work.
//!
//! Carries no datagram itself: they come in as orders, and go out with everything else through a callback.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use media::LegId;
use media::sdp::Handshake;
use media::srtp::SessionKeys;

use super::{Certificate, Endpoint, Failure};
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
        /// A DTLS datagram.
        datagram: Vec<u8>,
    },
    /// The keys.
    Keys {
        /// The leg.
        leg: LegId,
        /// The keys.
        keys: Box<SessionKeys>,
    },
    /// There will be no keys.
    Failed {
        /// The leg.
        leg: LegId,
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
    Begin { leg: LegId, agreed: Handshake },
    Datagram { leg: LegId, datagram: Vec<u8> },
    End { leg: LegId },
}

/// Orders that wait at most.
const ORDERS_MAX: usize = 1_024;
/// Handshakes at a time.
const LEGS_MAX: usize = 2_048;
/// Datagrams kept of legs whose handshake has not begun: the far end may be quicker than the SIP side.
const EARLY_MAX: usize = 64;
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

    /// Begins the handshake of a leg, in place of an earlier one.
    ///
    /// # Errors
    /// When the order was not taken.
    pub fn begin(&self, leg: LegId, agreed: Handshake) -> Result<(), Full> {
        self.order(Order::Begin { leg, agreed })
    }

    /// A datagram of the far end.
    ///
    /// # Errors
    /// When it was dropped; the far end will repeat it.
    pub fn datagram(&self, leg: LegId, datagram: Vec<u8>) -> Result<(), Full> {
        self.order(Order::Datagram { leg, datagram })
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
    legs: BTreeMap<LegId, Leg>,
    early: VecDeque<(LegId, Vec<u8>)>,
    out: Out,
}

struct Leg {
    endpoint: Endpoint,
    /// When it is forgotten; set when it has brought keys.
    forgotten_at: Option<Duration>,
}

impl<Out: FnMut(Outcome)> Table<Out> {
    fn new(certificate: Certificate, out: Out) -> Self {
        Self { certificate, legs: BTreeMap::new(), early: VecDeque::with_capacity(EARLY_MAX), out }
    }

    fn take(&mut self, now: Duration, order: Order) {
        match order {
            Order::Begin { leg, agreed } => self.begin(now, leg, agreed),
            Order::Datagram { leg, datagram } if self.legs.contains_key(&leg) => self.datagram(now, leg, &datagram),
            Order::Datagram { leg, datagram } => {
                if self.early.len() == EARLY_MAX {
                    self.early.pop_front();
                }
                self.early.push_back((leg, datagram));
            }
            Order::End { leg } => {
                self.legs.remove(&leg);
                self.early.retain(|(early, _)| *early != leg);
            }
        }
    }

    /// When something is due without an order.
    fn deadline(&self) -> Option<Duration> {
        self.legs.values().filter_map(|leg| leg.forgotten_at.or_else(|| leg.endpoint.deadline())).min()
    }

    fn tick(&mut self, now: Duration) {
        self.legs.retain(|_, leg| leg.forgotten_at.is_none_or(|at| now < at));
        let is_due = |leg: &Leg| leg.endpoint.deadline().is_some_and(|at| at <= now);
        let due: Vec<LegId> = self.legs.iter().filter(|(_, leg)| is_due(leg)).map(|(&leg, _)| leg).collect();
        for leg in due {
            self.step(now, leg, |endpoint| endpoint.tick(now));
        }
    }

    fn begin(&mut self, now: Duration, leg: LegId, agreed: Handshake) {
        self.legs.remove(&leg);
        let begun = match self.legs.len() {
            LEGS_MAX.. => Err(Failure::Busy),
            _ => Endpoint::new(agreed, &self.certificate, now),
        };
        match begun {
            Ok(endpoint) => self.legs.insert(leg, Leg { endpoint, forgotten_at: None }),
            Err(failure) => return (self.out)(Outcome::Failed { leg, failure }),
        };
        self.step(now, leg, |_| ());

        let (mine, others) = self.early.drain(..).partition(|(early, _)| *early == leg);
        self.early = others;
        let mine: VecDeque<_> = mine;
        for (_, datagram) in mine {
            self.datagram(now, leg, &datagram);
        }
    }

    fn datagram(&mut self, now: Duration, leg: LegId, datagram: &[u8]) {
        self.step(now, leg, |endpoint| endpoint.handle(now, datagram));
    }

    /// Does one thing to a leg's endpoint and passes on what comes of it. A panic ends this handshake only.
    fn step(&mut self, now: Duration, leg: LegId, action: impl FnOnce(&mut Endpoint)) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let endpoint = &mut entry.endpoint;
        let had_keys = endpoint.keys().is_some();
        let survived = catch_unwind(AssertUnwindSafe(|| {
            action(endpoint);
            std::iter::from_fn(|| endpoint.poll()).collect::<Vec<_>>()
        }));
        let Ok(datagrams) = survived else {
            self.legs.remove(&leg);
            return (self.out)(Outcome::Failed { leg, failure: Failure::Broken });
        };
        datagrams.into_iter().for_each(|datagram| (self.out)(Outcome::Send { leg, datagram: datagram.to_vec() }));

        if let Some(keys) = entry.endpoint.keys().filter(|_| !had_keys) {
            (self.out)(Outcome::Keys { leg, keys: Box::new(keys.clone()) });
            entry.forgotten_at = Some(now + LINGER);
        }
        if let Some(failure) = entry.endpoint.failure() {
            self.legs.remove(&leg);
            (self.out)(Outcome::Failed { leg, failure });
        }
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
                let agreed = Handshake { fingerprint: fingerprint.clone(), active: end == 0 };
                ends[end].begin(leg, agreed).expect("there is room");
            }
        }

        let mut keys: BTreeMap<LegId, [Option<Box<SessionKeys>>; 2]> = BTreeMap::new();
        while keys.len() < 20 || keys.values().flatten().any(Option::is_none) {
            let (end, outcome) = inbox.recv_timeout(Duration::from_secs(20)).expect("they go on");
            match outcome {
                Outcome::Send { leg, datagram } => ends[1 - end].datagram(leg, datagram).expect("there is room"),
                Outcome::Keys { leg, keys: brought } => keys.entry(leg).or_default()[end] = Some(brought),
                Outcome::Failed { leg, failure } => panic!("{leg:?}: {failure}"),
            }
        }
        for pair in keys.into_values() {
            let [Some(ours), Some(theirs)] = pair else { panic!("one side has no keys") };
            assert!(ours.send == theirs.receive && ours.receive == theirs.send);
        }
    }

    #[test]
    fn a_far_end_may_be_quicker_than_the_sip_side() {
        let mut stage = Stage::new();
        stage.active.take(Duration::ZERO, begin(&stage.certificate, true));
        stage.carry(Duration::ZERO);
        stage.passive.take(Duration::ZERO, begin(&stage.certificate, false));
        stage.carry(Duration::ZERO);
        assert_eq!(stage.keys, 2, "nobody had to repeat anything");
    }

    #[test]
    fn finished_handshakes_are_forgotten() {
        let mut stage = Stage::new();
        stage.passive.take(Duration::ZERO, begin(&stage.certificate, false));
        stage.active.take(Duration::ZERO, begin(&stage.certificate, true));
        stage.carry(Duration::ZERO);
        assert_eq!((stage.keys, stage.active.deadline()), (2, Some(LINGER)));
        stage.active.tick(LINGER);
        assert!(stage.active.legs.is_empty() && stage.active.deadline().is_none());
    }

    #[test]
    fn what_is_early_is_bounded_and_ends_with_its_leg() {
        let mut stage = Stage::new();
        for leg in 0..1_000 {
            stage.passive.take(Duration::ZERO, Order::Datagram { leg: LegId(leg), datagram: vec![22; 100] });
        }
        assert_eq!(stage.passive.early.len(), EARLY_MAX);
        stage.passive.take(Duration::ZERO, Order::End { leg: LegId(999) });
        assert_eq!(stage.passive.early.len(), EARLY_MAX - 1);
    }

    #[test]
    fn a_panic_ends_one_handshake() {
        let mut stage = Stage::new();
        stage.active.take(Duration::ZERO, begin(&stage.certificate, true));
        stage.active.step(Duration::ZERO, LegId(7), |_| panic!("on purpose"));
        let last = stage.outcomes.try_iter().last();
        assert!(matches!(last, Some((_, Outcome::Failed { leg: LegId(7), failure: Failure::Broken }))), "{last:?}");
        assert!(stage.active.legs.is_empty());
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
                    Outcome::Send { leg, datagram } => {
                        let far = if end == 0 { &mut self.passive } else { &mut self.active };
                        far.take(now, Order::Datagram { leg, datagram });
                    }
                    Outcome::Keys { .. } => self.keys += 1,
                    Outcome::Failed { leg, failure } => panic!("{leg:?}: {failure}"),
                }
            }
        }
    }

    fn begin(certificate: &Certificate, active: bool) -> Order {
        let fingerprint = certificate.fingerprint().clone();
        Order::Begin { leg: LegId(7), agreed: Handshake { fingerprint, active } }
    }

    fn certificate() -> Certificate {
        Certificate::generate().expect("the system gives randomness")
    }
}
