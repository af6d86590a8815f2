//! How calls come about, do not come about, and end when one side has silently gone.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use calmline::demo::server::{Addresses, Plan, Server};
use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::load::{self, CallsPlan};
use loadtest::message::Message;
use loadtest::phone::{Behaviour, Event, Input, Order, Outgoing, Output, Phone, PhoneSettings};
use media::Codec;

use crate::stage::{ANY, CALLER_HZ, LONG, PROGRAM, RATE, Setup, Stage, eventually, expect, folder, strength};

const BOTH: (&str, &str) = ("targets = [\"bot\"]", "targets = [\"bot\", \"human\"]");

/// What `loadtest/setup` measures: every answer of the callee is found again at its caller.
#[test]
fn every_answer_is_told_from_the_others() {
    let plan = Plan::for_loopback().expect("free ports");
    let server = Server::start(Path::new(PROGRAM), &folder("answers"), &plan, &[]).expect("a server");
    let Addresses { sip, bot, .. } = server.addresses;
    let run = CallsPlan {
        server: load::Server::Sip { server: sip, to: format!("sip:support@{sip}"), callee: bot },
        pid: Some(server.pid()),
        rate: 20.0,
        seconds: 1,
        hold: Duration::ZERO,
    };
    let report = load::calls(&run).expect("loopback is there");
    println!("{report}");
    assert_eq!((report.answered, report.passing_on.count), (20, 20));
    assert!(report.passing_on.max_ms < report.setup.max_ms, "our part is a part of the whole");
    server.stop().expect("the server ends as it should");
}

#[test]
fn a_busy_bot_hands_on_to_the_second_target() {
    let mut setup = Setup::named("second");
    setup.edits = &[BOTH];
    setup.bot.0 = Behaviour::refuse(486);
    let stage = Stage::set(setup);
    let caller = stage.call(Audio::tone(CALLER_HZ, 0.3));
    stage.until("the answer", |what| matches!(what, What::CallAnswered { target, .. } if target == "human"));
    eventually("audio", || stage.human.heard().samples.len() > RATE);
    assert!(strength(&stage.human.heard().samples, CALLER_HZ) > 0.2);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

#[test]
fn when_all_are_busy_so_is_the_call() {
    let mut setup = Setup::named("all-busy");
    setup.edits = &[BOTH];
    setup.bot.0 = Behaviour::refuse(486);
    setup.human.0 = Behaviour::refuse(486);
    let stage = Stage::set(setup);
    let caller = stage.dial(Audio::Silence);
    let failed = expect(&caller, "a refusal", |event| matches!(event, Event::Failed { .. }));
    assert_eq!(failed.event, Event::Failed { status: 486 });
    stage.is_empty();
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut setup = Setup::named("cancel");
    setup.bot.0 = Behaviour::ring();
    let stage = Stage::set(setup);
    let caller = stage.dial(Audio::Silence);
    expect(&caller, "ringing", |event| matches!(event, Event::Ringing { .. }));
    caller.hang_up().expect("an order");
    expect(&caller, "487", |event| matches!(event, Event::Failed { status: 487 }));
    expect(&stage.bot, "the end of ringing", |event| matches!(event, Event::Failed { status: 487 }));
    assert_eq!(stage.bot.calls_open(), 0);
    stage.is_empty();
}

#[test]
fn one_call_too_many_is_told_when_to_try_again() {
    let mut setup = Setup::named("limit");
    setup.edits = &[("[web]", "[limits]\ncalls = 1\nretry_after_s = 7\n\n[web]")];
    let stage = Stage::set(setup);
    let caller = stage.call(Audio::Silence);
    let mut second = LonePhone::dial(&stage);
    let refusal = second.run(LONG, |_, message| message.status().is_some_and(|status| status >= 200));
    let refusal = refusal.expect("an answer");
    assert_eq!((refusal.status(), refusal.header("Retry-After")), (Some(503), Some("7")));
    caller.hang_up().expect("an order");
    stage.is_empty();
    stage.call(Audio::Silence);
}

#[test]
fn a_caller_who_silently_dies_leaves_nothing_behind() {
    let mut setup = Setup::named("silence");
    setup.edits = &[("[web]", "silence_s = 5\nsilence_limit_s = 10\n\n[web]")];
    let stage = Stage::set(setup);
    {
        let mut caller = LonePhone::dial(&stage);
        caller.run(LONG, |phone, _| phone.answered).expect("an answer");
    }
    // Five seconds of silence, and then twice as long as a request may go unanswered (RFC 3261 §17.1.2.2), half a minute apart.
    let bye = stage.bot.wait_for(4 * LONG, |event| matches!(event, Event::Bye { .. }));
    assert!(bye.is_some(), "the bot's BYE did not come");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    println!("{:?} {} ms after its INVITE", ended.what, ended.call_ms);
    stage.is_empty();
}

/// A telephone that lives only while it is run: dropped, it is a machine that lost its power.
struct LonePhone {
    socket: UdpSocket,
    _rtp: UdpSocket,
    phone: Phone,
    began: Instant,
    answered: bool,
}

impl LonePhone {
    fn dial(stage: &Stage) -> Self {
        let (socket, rtp) = (UdpSocket::bind(ANY).expect("a port"), UdpSocket::bind(ANY).expect("a port"));
        socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a timeout");
        let phone = Phone::new(PhoneSettings {
            user: "lone".to_owned(),
            codecs: vec![Codec::Pcma],
            seed: 7,
            ..PhoneSettings::new(socket.local_addr().expect("bound"), vec![rtp.local_addr().expect("bound").port()])
        });
        let mut lone = Self { socket, _rtp: rtp, phone, began: Instant::now(), answered: false };
        let server = stage.server.addresses.sip;
        let target = format!("sip:support@{server}");
        lone.step(Input::Order(Order::Call(Outgoing {
            target,
            server,
            name: None,
            headers: Vec::new(),
            hang_up_after: None,
        })));
        lone
    }

    /// Runs until a message makes `done` true; returns that message.
    fn run(&mut self, patience: Duration, done: impl Fn(&Self, &Message) -> bool) -> Option<Message> {
        let mut bytes = [0; 4_096];
        let since = Instant::now();
        while since.elapsed() < patience {
            self.step(Input::Tick);
            let Ok((length, from)) = self.socket.recv_from(&mut bytes) else { continue };
            self.step(Input::Sip { from, bytes: &bytes[..length] });
            if let Ok(message) = Message::parse(&bytes[..length])
                && done(self, &message)
            {
                return Some(message);
            }
        }
        None
    }

    fn step(&mut self, input: Input<'_>) {
        let mut out = Output::default();
        self.phone.handle(self.began.elapsed(), input, &mut out);
        for (to, bytes) in out.sip {
            self.socket.send_to(&bytes, to).expect("loopback takes everything");
        }
        self.answered |= out.events.iter().any(|event| event.event == Event::Answered);
    }
}
