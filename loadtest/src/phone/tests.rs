//! Telephones that call each other over a network of our own, with a clock of our own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::*;

mod speech;

#[test]
fn a_call_and_its_end() {
    let mut world = World::new(Behaviour::answer().after(ms(300)), &[]);
    world.call(None);
    world.run(ms(2_000));
    world.order(0, Order::HangUp(0));
    world.run(ms(3_000));

    let caller = [Event::Ringing { status: 180 }, Event::Answered, Event::RtpFirst, Event::HungUp];
    assert_eq!(world.events(0), caller);
    let callee = [Event::Ringing { status: 180 }, Event::Answered, Event::RtpFirst, Event::Bye { reason: None }];
    assert_eq!(world.events(1), callee);
    for phone in 0..2 {
        let heard = world.phones[phone].heard(0);
        assert!((80..=86).contains(&heard.stats.packets_received), "{:?}", heard.stats);
        assert_eq!((heard.stats.packets_lost, heard.stats.timestamp_jumps), (0, 0));
        assert_eq!(world.phones[phone].calls_open(), 0);
        assert_eq!(world.phones[phone].deadline(), None, "nothing is left to do");
    }
}

#[test]
fn refused_cancelled_and_never_answered() {
    for status in [486, 603, 404] {
        let mut world = World::new(Behaviour::refuse(status), &[]);
        world.call(None);
        world.run(ms(1_000));
        assert_eq!(world.events(0), [Event::Failed { status }]);
        assert_eq!(world.phones[1].deadline(), None, "the ACK ends the repetition");
    }

    let mut world = World::new(Behaviour::ring(), &[]);
    world.call(None);
    world.run(ms(1_000));
    world.order(0, Order::HangUp(0));
    world.run(ms(2_000));
    let cancelled = [Event::Ringing { status: 180 }, Event::Failed { status: 487 }];
    assert_eq!(world.events(0), cancelled);
    assert_eq!(world.events(1), cancelled);
}

#[test]
fn early_media_is_heard_before_the_answer() {
    let mut world = World::new(Behaviour::answer().after(ms(500)).with_early_media(), &[]);
    world.call(None);
    world.run(ms(1_000));
    assert_eq!(world.events(0), [Event::Ringing { status: 183 }, Event::RtpFirst, Event::Answered]);
}

#[test]
fn hold_and_resume() {
    let mut world = World::new(Behaviour::answer(), &[]);
    world.call(None);
    world.run(ms(1_000));
    world.order(0, Order::Offer(0, Direction::Inactive));
    world.run(ms(1_100));
    let held = world.phones[1].heard(0).stats.packets_received;
    world.run(ms(2_000));
    assert_eq!(world.phones[1].heard(0).stats.packets_received, held, "nothing is sent on hold");
    world.order(0, Order::Offer(0, Direction::SendRecv));
    world.run(ms(3_000));
    assert!(world.phones[1].heard(0).stats.packets_received > held + 45);

    let answered = |direction| Event::OfferAnswered { status: 200, direction: Some(direction) };
    assert_eq!(world.events(0)[2..], [answered(Direction::Inactive), answered(Direction::SendRecv)]);
    let reoffered = |direction| Event::Reoffered { method: "INVITE".to_owned(), direction: Some(direction) };
    assert_eq!(world.events(1)[2..], [reoffered(Direction::Inactive), reoffered(Direction::SendRecv)]);
}

#[test]
fn a_referral_is_followed_and_reported() {
    let mut world = World::new(Behaviour::answer(), &[Behaviour::answer().after(ms(200))]);
    world.call(None);
    world.run(ms(1_000));
    let target = format!("sip:queue@{}", address(2));
    world.refer(1, &format!("<{target}?X-Calmline-Emotion=angry>"));
    world.run(ms(2_000));

    let referred = Event::Referred { target, call: 1 };
    assert!(world.events(0).contains(&referred), "{:?}", world.events(0));
    let invite = world.invite_of(2);
    assert_eq!(invite.header("X-Calmline-Emotion"), Some("angry"));
    assert_eq!(world.notified, ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert!(world.phones[2].heard(0).stats.packets_received > 30, "the voice goes on in the new call");
    assert_eq!(world.phones[0].calls_open(), 2, "whoever referred us ends the old call");
}

#[test]
fn a_refused_referral_keeps_the_call() {
    let mut world = World::new(Behaviour::answer(), &[Behaviour::refuse(486)]);
    world.call(None);
    world.run(ms(1_000));
    world.refer(1, &format!("<sip:queue@{}>", address(2)));
    world.run(ms(2_000));
    assert_eq!(world.notified, ["SIP/2.0 100 Trying", "SIP/2.0 486 Busy Here"]);
    assert_eq!(world.phones[0].calls_open(), 1);
    let heard = world.phones[1].heard(0).stats.packets_received;
    assert!(heard > 90, "{heard} packets");
}

#[test]
fn losses_are_repaired() {
    // Every datagram of SIP is lost with one in three, from ten seeds.
    for seed in 0..10 {
        let mut world = World::new(Behaviour::answer().after(ms(100)).hanging_up_after(ms(60_000)), &[]);
        world.loss = Some(Random::new(seed));
        world.call(None);
        world.run(ms(120_000));
        assert!(world.events(0).contains(&Event::Answered), "seed {seed}: {:?}", world.events(0));
        assert!(world.phones.iter().all(|phone| phone.calls_open() == 0), "seed {seed}");
    }
}

#[test]
fn nobody_there() {
    let mut world = World::new(Behaviour::answer(), &[]);
    world.phones.truncate(1);
    world.call(None);
    world.run(ms(40_000));
    assert_eq!(world.events(0), [Event::Failed { status: 408 }]);
    assert_eq!(world.phones[0].deadline(), None);
}

#[test]
fn no_free_port_is_busy() {
    let mut world = World::new(Behaviour::answer(), &[]);
    for _ in 0..3 {
        world.call(None);
    }
    world.run(ms(1_000));
    assert_eq!(world.phones[0].calls(), 2, "two ports, two calls");
}

#[test]
fn strangers_get_an_answer_and_noise_gets_none() {
    let mut world = World::new(Behaviour::answer(), &[]);
    let mut out = Output::default();
    for (text, expected) in [
        (
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS",
            Some(200),
        ),
        ("BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nCall-ID: 1\r\nCSeq: 1 BYE", Some(481)),
        ("ACK sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 ACK", None),
        ("SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 BYE", None),
        ("noise", None),
    ] {
        world.phones[0].handle(ms(0), Input::Sip { from: address(9), bytes: text.as_bytes() }, &mut out);
        let got = out.sip.pop().and_then(|(_, bytes)| Message::parse(&bytes).ok()?.status());
        assert_eq!(got, expected, "{text}");
    }
}

/// A caller, a callee and others on one lossy or lossless network; datagrams take a millisecond.
struct World {
    phones: Vec<Phone>,
    now: Duration,
    events: Vec<(usize, TimedEvent)>,
    notified: Vec<String>,
    loss: Option<Random>,
    wire: Vec<(Duration, Datagram)>,
}

#[derive(Clone)]
enum Datagram {
    Sip { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Rtp { to: SocketAddr, bytes: Vec<u8> },
}

impl World {
    fn new(callee: Behaviour, others: &[Behaviour]) -> Self {
        Self::with(callee, others, |_, settings| settings)
    }

    /// Telephones that are something special.
    fn with(callee: Behaviour, others: &[Behaviour], special: impl Fn(usize, PhoneSettings) -> PhoneSettings) -> Self {
        let behaviours = [Behaviour::answer(), callee].into_iter().chain(others.iter().cloned());
        let phones = behaviours.enumerate().map(|(n, behaviour)| {
            let settings = PhoneSettings {
                user: format!("phone{n}"),
                behaviour,
                audio: Audio::Loop(Arc::from([1_000_i16, -1_000])),
                keep: Keep { audio_seconds: 10, trace: false },
                seed: n as u64,
                ..PhoneSettings::new(address(n), vec![6_000 + 10 * n as u16, 6_002 + 10 * n as u16])
            };
            Phone::new(special(n, settings))
        });
        World {
            phones: phones.collect(),
            now: ms(0),
            events: Vec::new(),
            notified: Vec::new(),
            loss: None,
            wire: Vec::new(),
        }
    }

    fn call(&mut self, hang_up_after: Option<Duration>) {
        let target = format!("sip:phone1@{}", address(1));
        let outgoing = Outgoing { target, server: address(1), name: None, headers: Vec::new(), hang_up_after };
        self.order(0, Order::Call(outgoing));
    }

    fn order(&mut self, phone: usize, order: Order) {
        self.handle(phone, Input::Order(order));
    }

    /// The callee's side of the first call sends a REFER, as a server would.
    fn refer(&mut self, phone: usize, refer_to: &str) {
        let call = &mut self.phones[phone].calls[0];
        let cseq = call.dialog.next_cseq();
        let (to, mut refer) = call.dialog.request("REFER", cseq, "z9hG4bKrefer", address(phone));
        refer.push("Refer-To", refer_to);
        let datagram = Datagram::Sip { from: address(phone), to, bytes: refer.to_bytes() };
        self.wire.push((self.now, datagram));
    }

    fn run(&mut self, until: Duration) {
        for _ in 0..1_000_000 {
            let arrival = self.wire.iter().map(|(at, _)| *at).min();
            let timers = self.phones.iter().filter_map(Phone::deadline).min();
            let Some(next) = arrival.into_iter().chain(timers).min().filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            let due = self.wire.iter().position(|(at, _)| *at <= self.now);
            match due.map(|at| self.wire.remove(at).1) {
                Some(datagram) => self.deliver(&datagram),
                None => (0..self.phones.len()).for_each(|phone| self.handle(phone, Input::Tick)),
            }
        }
        panic!("a million steps before {until:?}");
    }

    fn deliver(&mut self, datagram: &Datagram) {
        match datagram {
            Datagram::Sip { from, to, bytes } => {
                if let Ok(message) = Message::parse(bytes)
                    && message.method() == "NOTIFY"
                    && message.status().is_none()
                {
                    self.notified.push(message.body.trim().to_owned());
                }
                let phone = usize::from(to.port() - 5_060);
                if phone < self.phones.len() {
                    self.handle(phone, Input::Sip { from: *from, bytes });
                }
            }
            Datagram::Rtp { to, bytes } => {
                let phone = usize::from((to.port() - 6_000) / 10);
                if phone < self.phones.len() {
                    self.handle(phone, Input::Rtp { port: to.port(), bytes });
                }
            }
        }
    }

    fn handle(&mut self, phone: usize, input: Input<'_>) {
        let mut out = Output::default();
        self.phones[phone].handle(self.now, input, &mut out);
        let at = self.now + ms(1);
        for (to, bytes) in out.sip {
            let lost = self.loss.as_mut().is_some_and(|random| random.next() % 3 == 0);
            if !lost {
                self.wire.push((at, Datagram::Sip { from: address(phone), to, bytes }));
            }
        }
        self.wire.extend(out.rtp.into_iter().map(|(_, to, bytes)| (at, Datagram::Rtp { to, bytes })));
        self.events.extend(out.events.into_iter().map(|event| (phone, event)));
    }

    /// What happened on a telephone, without the INVITE itself.
    fn events(&self, phone: usize) -> Vec<Event> {
        let of_phone = self.events.iter().filter(|(of, _)| *of == phone).map(|(_, event)| event.event.clone());
        of_phone.filter(|event| !matches!(event, Event::Incoming { .. })).collect()
    }

    fn invite_of(&self, phone: usize) -> Message {
        let mut invites =
            self.events.iter().filter(|(of, _)| *of == phone).filter_map(|(_, event)| match &event.event {
                Event::Incoming { invite } => Some(invite.as_ref().clone()),
                _ => None,
            });
        invites.next_back().expect("it was called")
    }
}

fn address(phone: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 5_060 + phone as u16))
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
