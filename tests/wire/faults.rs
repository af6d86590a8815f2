//! Messages that are lost or come twice, and far ends that fall silent: the call that it happens to ends as it should or
//! goes on, another one beside it does not notice, and nothing is left behind.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use calmline::demo::server::{Server, get};
use serde_json::Value;

use super::phone::{PATIENCE, Phone, description, media_address, packet, server_with, value};

/// 64·T1 (RFC 3261 §13.3.1.4), and what a busy machine takes besides.
const ANSWERS_REPEAT: Duration = Duration::from_secs(50);
/// Silence is noticed after 5 s, and two questions without an answer are given up after 32 s each, half a minute apart.
const ASKED_WITHIN: Duration = Duration::from_secs(130);
/// How long a port rests before its socket is closed, and then some.
const PORTS_BACK: Duration = Duration::from_secs(20);

#[test]
fn a_bye_that_is_lost_is_sent_again() {
    let scene = Scene::set("bye-lost", "");
    let call = scene.call("caller");
    call.caller.request_inside("BYE", 2, &call.answer, "");
    call.caller.hear("SIP/2.0 200 ");
    let lost = scene.bot.hear("BYE ");
    let again = scene.bot.hear("BYE ");
    assert_eq!(lost, again, "the same request, of the same transaction");
    scene.bot.respond(&again, 200, "");
    scene.leaves_nothing();
}

#[test]
fn a_bye_that_nobody_answers_ends_the_leg_all_the_same() {
    let scene = Scene::set("bye-unanswered", "");
    let call = scene.call("caller");
    call.caller.request_inside("BYE", 2, &call.answer, "");
    call.caller.hear("SIP/2.0 200 ");
    scene.bot.hear("BYE ");
    scene.leaves_nothing();
}

#[test]
fn an_answer_without_ack_is_repeated_until_it_has_one() {
    let scene = Scene::set("ack-lost", "");
    let call = scene.call_without_ack("caller");
    assert_eq!(call.caller.hear("SIP/2.0 200 "), call.answer);
    assert_eq!(call.caller.hear("SIP/2.0 200 "), call.answer);
    call.caller.request_inside("ACK", 1, &call.answer, "");
    // The one that was on its way, and no further one.
    let since = Instant::now();
    let mut late = 0;
    while since.elapsed() < Duration::from_secs(5) {
        late += usize::from(call.caller.overhear().is_some_and(|text| text.starts_with("SIP/2.0 200 ")));
    }
    assert!(late <= 1, "{late} answers after the ACK");
    scene.hang_up(&call);
    scene.leaves_nothing();
}

#[test]
fn an_answer_that_never_has_an_ack_ends_in_bye() {
    let scene = Scene::set("ack-never", "");
    let call = scene.call_without_ack("caller");
    let (since, mut repeats) = (Instant::now(), 0);
    let bye = loop {
        assert!(since.elapsed() < ANSWERS_REPEAT, "no BYE, but {repeats} answers");
        match call.caller.overhear() {
            Some(text) if text.starts_with("BYE ") => break text,
            Some(text) => repeats += usize::from(text == call.answer),
            None => {}
        }
    };
    // After 0.5, 1.5, 3.5, 7.5, 11.5, ... 31.5 s.
    assert!((7..=11).contains(&repeats), "{repeats} repetitions");
    call.caller.respond(&bye, 200, "");
    let bye = scene.bot.hear("BYE ");
    scene.bot.respond(&bye, 200, "");
    scene.leaves_nothing();
}

#[test]
fn an_answer_that_comes_again_is_acknowledged_again_and_told_once() {
    let scene = Scene::set("answer-again", "");
    let caller = scene.phone("caller");
    caller.invite(&description(caller.port(), "8", ""));
    let invite = scene.bot.hear("INVITE ");
    let sdp = description(scene.bot.port(), "8", "");
    let mut acks = BTreeSet::new();
    for _ in 0..3 {
        scene.bot.respond(&invite, 200, &sdp);
        acks.insert(value(&scene.bot.hear("ACK "), "CSeq").to_owned());
    }
    assert_eq!(acks, BTreeSet::from(["1 ACK".to_owned()]));
    let answer = caller.hear("SIP/2.0 200 ");
    caller.request_inside("ACK", 1, &answer, "");
    let call = Call { caller, answer, invite };
    while let Some(text) = call.caller.overhear() {
        assert!(!text.starts_with("INVITE "), "the caller is told more than once: {text}");
    }
    scene.hang_up(&call);
    scene.leaves_nothing();
}

#[test]
fn a_far_end_that_falls_silent_is_asked_and_given_up_when_both_are_silent() {
    let scene = Scene::set("silent", "silence_s = 5\nsilence_limit_s = 10\n");
    let call = scene.call("caller");
    scene.say(&call, 0);
    // The bot's telephone says that it is there; the caller speaks all the time.
    let (since, mut number, mut asked) = (Instant::now(), 0, None);
    while asked.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(4)) {
        assert!(since.elapsed() < PATIENCE, "the bot's telephone is not asked");
        number += 1;
        call.caller.media.send_to(&packet(8, number, 9, 0xd5), media_address(&call.answer)).expect("loopback takes it");
        if scene.is_asked(&call, number).is_some() {
            asked = Some(Instant::now());
        }
    }
    assert_eq!(scene.active(), 2, "a silent telephone that is there keeps its call");
    // Nobody speaks any more.
    let (since, mut byes) = (Instant::now(), 0);
    while byes < 2 {
        assert!(since.elapsed() < PATIENCE, "the call is never ended");
        number += 1;
        byes += scene.is_asked(&call, number).unwrap_or_default();
    }
    scene.leaves_nothing();
}

#[test]
fn a_far_end_that_is_gone_ends_its_call() {
    let scene = Scene::set("gone", "silence_s = 5\n");
    let call = scene.call("caller");
    scene.say(&call, 0);
    let (since, mut number) = (Instant::now(), 0);
    let bye = loop {
        assert!(since.elapsed() < ASKED_WITHIN, "the call is never ended");
        number += 1;
        call.caller.media.send_to(&packet(8, number, 9, 0xd5), media_address(&call.answer)).expect("loopback takes it");
        scene.keep_bystander(number);
        match call.caller.overhear() {
            Some(text) if text.starts_with("BYE ") => break text,
            Some(text) if text.starts_with("OPTIONS ") => call.caller.respond(&text, 200, ""),
            _ => {}
        }
    };
    call.caller.respond(&bye, 200, "");
    scene.leaves_nothing();
}

/// A server, its bot, and a call between others that must not notice anything.
struct Scene {
    server: Server,
    bot: Phone,
    bystander: Call,
    /// Open files of the server before there were calls.
    files: usize,
}

/// A call that is up.
struct Call {
    caller: Phone,
    /// The answer that the caller got.
    answer: String,
    /// The INVITE that the bot got.
    invite: String,
}

impl Call {
    fn acknowledge(&self) {
        self.caller.request_inside("ACK", 1, &self.answer, "");
    }
}

impl Scene {
    /// `media` are more lines of that section.
    fn set(name: &str, media: &str) -> Scene {
        let (server, bot_at) = server_with(name, media);
        let bot = Phone::at(bot_at, server.addresses.sip, "bot");
        let files = open_files(&server);
        let caller = Phone::anywhere(server.addresses.sip, "bystander");
        let bystander = connect(caller, &bot);
        bystander.acknowledge();
        Scene { server, bot, bystander, files }
    }

    fn phone(&self, name: &'static str) -> Phone {
        Phone::anywhere(self.server.addresses.sip, name)
    }

    /// A call that is answered and has no ACK of its caller.
    fn call_without_ack(&self, name: &'static str) -> Call {
        connect(self.phone(name), &self.bot)
    }

    fn call(&self, name: &'static str) -> Call {
        let call = self.call_without_ack(name);
        call.acknowledge();
        call
    }

    /// The caller says goodbye, and the bot takes it.
    fn hang_up(&self, call: &Call) {
        call.caller.request_inside("BYE", 2, &call.answer, "");
        call.caller.hear("SIP/2.0 200 ");
        let bye = self.bot.hear("BYE ");
        self.bot.respond(&bye, 200, "");
    }

    /// Both sides of a call speak once.
    fn say(&self, call: &Call, number: u16) {
        let Call { caller, answer, invite } = call;
        caller.media.send_to(&packet(8, number, 11, 0xd5), media_address(answer)).expect("loopback takes it");
        self.bot.media.send_to(&packet(8, number, 13, 0xd5), media_address(invite)).expect("loopback takes it");
    }

    /// The bystanders speak.
    fn keep_bystander(&self, number: u16) {
        self.say(&self.bystander, number);
    }

    /// Answers what the server asks of both sides of a call: how many of these requests were BYE, when there were any.
    fn is_asked(&self, call: &Call, number: u16) -> Option<usize> {
        self.keep_bystander(number);
        let mut byes = None;
        for phone in [&self.bot, &call.caller] {
            let Some(text) = phone.overhear().filter(|text| !text.starts_with("SIP/2.0 ")) else { continue };
            phone.respond(&text, 200, "");
            byes = Some(byes.unwrap_or_default() + usize::from(text.starts_with("BYE ")));
        }
        byes
    }

    /// A packet of the bystanders' reaches the other side.
    fn bystander_is_heard(&self, number: u16) -> bool {
        self.keep_bystander(number);
        let mut buffer = [0; 400];
        let caller = &self.bystander.caller.media;
        caller.recv(&mut buffer).is_ok_and(|length| buffer[..length].ends_with(&[0xd5; 160]))
    }

    /// The call is over while the bystanders still talk; then theirs is, and nothing is left.
    fn leaves_nothing(self) {
        self.until("one call is left", || self.active() == 1 && self.metric("calmline_calls_active") == 1.0);
        let mut numbers = 20_000..;
        self.until("audio of the bystanders", || self.bystander_is_heard(numbers.next().unwrap_or_default()));
        self.hang_up(&self.bystander);
        self.until("no call is left", || self.active() == 0 && self.metric("calmline_calls_active") == 0.0);
        for name in ["started", "ended"] {
            assert_eq!(self.metric(&format!("calmline_calls_{name}_total")), 2.0, "calls {name}");
        }
        let since = Instant::now();
        while open_files(&self.server) > self.files {
            assert!(since.elapsed() < PORTS_BACK, "{} files, {} before", open_files(&self.server), self.files);
            std::thread::sleep(Duration::from_millis(200));
        }
        self.server.stop().expect("it ends");
    }

    #[track_caller]
    fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let since = Instant::now();
        while !so() {
            assert!(since.elapsed() < ANSWERS_REPEAT, "not so in time: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn get(&self, path: &str) -> String {
        get(self.server.addresses.web, path, &self.server.token).expect("an answer")
    }

    /// Calls that the API lists.
    fn active(&self) -> usize {
        let answer: Value = serde_json::from_str(&self.get("/v1/calls?state=active")).expect("JSON");
        answer["calls"].as_array().expect("a list").len()
    }

    fn metric(&self, prefix: &str) -> f64 {
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        self.get("/metrics").lines().filter(|line| line.starts_with(prefix)).filter_map(value).sum()
    }
}

/// A call up to the answer.
fn connect(caller: Phone, bot: &Phone) -> Call {
    caller.invite(&description(caller.port(), "8", ""));
    let invite = bot.hear("INVITE ");
    bot.respond(&invite, 200, &description(bot.port(), "8", ""));
    bot.hear("ACK ");
    let answer = caller.hear("SIP/2.0 200 ");
    Call { caller, answer, invite }
}

/// Files that the server has open, its sockets among them.
fn open_files(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).map_or(0, Iterator::count)
}
