//! Audio that goes past the server and comes back, a server that hands its calls over, and a far end that is gone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::phone::{
    Phone, description, drain, event_of, line, media_address, order, packet, record, server_limited, value,
};

/// Silence is noticed after 5 s, and two questions without an answer are given up after 32 s each, half a minute apart.
const ASKED_WITHIN: Duration = Duration::from_secs(130);

/// The number of a request that comes after every other one of its call.
const LAST: u32 = 99;

/// A call between a caller and a bot, in A-law.
pub struct Call {
    pub caller: Phone,
    pub bot: Phone,
    /// Where the server takes the audio of each.
    pub to_server: [SocketAddr; 2],
    /// The answer that the caller got.
    answer: String,
    sent: u16,
}

impl Call {
    pub fn begin(server_at: SocketAddr, bot_at: SocketAddr) -> Call {
        let (bot, caller) = (Phone::at(bot_at, server_at, "bot"), Phone::anywhere(server_at, "caller"));
        caller.invite(&description(caller.port(), "8", ""));
        let invite = bot.hear("INVITE ");
        bot.respond(&invite, 200, &description(bot.port(), "8", ""));
        let answer = caller.hear("SIP/2.0 200 ");
        caller.request_inside("ACK", 1, &answer, "");
        bot.hear("ACK ");
        let to_server = [media_address(&answer), media_address(&invite)];
        Call { caller, bot, to_server, answer, sent: 0 }
    }

    /// Both are offered what the other receives, or the server's own ports again, and agree.
    #[track_caller]
    pub fn both_agree(&self, ports: [u16; 2]) {
        for (phone, expected) in [&self.caller, &self.bot].into_iter().zip(ports) {
            let invite = phone.hear("INVITE ");
            assert_eq!(media_address(&invite).port(), expected, "{invite}");
            phone.respond(&invite, 200, &description(phone.port(), "8", ""));
            phone.hear("ACK ");
        }
    }

    /// Where each finds the other.
    pub fn directly(&self) -> [SocketAddr; 2] {
        [&self.bot, &self.caller].map(|phone| SocketAddr::from(([127, 0, 0, 1], phone.port())))
    }

    /// Both send ten packets to these addresses; how many reach the other one.
    pub fn speak(&mut self, to: [SocketAddr; 2]) -> [usize; 2] {
        for _ in 0..10 {
            for (phone, to) in [&self.caller, &self.bot].into_iter().zip(to) {
                let packet = packet(8, self.sent, u32::from(phone.port()), 0x55);
                phone.media.send_to(&packet, to).expect("loopback takes it");
            }
            self.sent += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        [&self.bot, &self.caller].map(Phone::heard)
    }

    pub fn hang_up(&self) {
        self.caller.request_inside("BYE", LAST, &self.answer, "");
        self.caller.hear("SIP/2.0 200 ");
        let bye = self.bot.hear("BYE ");
        self.bot.respond(&bye, 200, "");
    }
}

#[test]
fn audio_goes_past_the_server_and_comes_back() {
    let (server, bot_at) = server_limited("bypass", "", "");
    let mut call = Call::begin(server.addresses.sip, bot_at);
    assert_eq!(call.speak(call.to_server), [10, 10], "through the server");
    let id = active(&server);
    let path = format!("/v1/calls/{id}/bypass");

    assert_eq!(order(&server, "POST", &path), 202);
    call.both_agree([call.bot.port(), call.caller.port()]);
    event_of(&server, &id, "bypassed");
    assert_eq!(call.speak(call.directly()), [10, 10], "past the server");
    assert_eq!(order(&server, "POST", &path), 409, "it is past us already");

    assert_eq!(order(&server, "DELETE", &path), 202);
    call.both_agree(call.to_server.map(|to| to.port()));
    event_of(&server, &id, "bypass_ended");
    assert_eq!(call.speak(call.to_server), [10, 10], "through the server again");
    call.hang_up();

    let record = record(&server);
    for leg in record["legs"].as_array().expect("legs") {
        let counted = (&leg["packets_received"], &leg["packets_lost"]);
        assert_eq!(counted, (&20.into(), &0.into()), "what went past is neither: {record}");
    }
    assert_eq!(record["bypassed"], false);
    server.stop().expect("it ends");
}

#[test]
fn a_server_that_stops_leaves_a_call_to_its_two_sides() {
    let (mut server, bot_at) = server_limited("hand-over", "", "drain_s = 1");
    let mut call = Call::begin(server.addresses.sip, bot_at);
    assert_eq!(call.speak(call.to_server), [10, 10], "through the server");
    drain(&server);
    let late = Phone::anywhere(server.addresses.sip, "late");
    late.invite(&description(late.port(), "8", ""));
    let refusal = late.hear("SIP/2.0 503 ");
    assert_eq!(value(&refusal, "Retry-After"), "5");

    call.both_agree([call.bot.port(), call.caller.port()]);
    let status = server.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "no call was cut");
    assert_eq!(call.speak(call.directly()), [10, 10], "without the server");
    for phone in [&call.caller, &call.bot] {
        assert_eq!(phone.overhear(), None, "nobody has hung up");
    }
}

#[test]
fn a_server_that_stays_tells_one_side_that_the_other_has_hung_up() {
    let (mut server, bot_at) = server_limited("stay", "", "drain_s = 1\nstay_s = 60");
    let mut call = Call::begin(server.addresses.sip, bot_at);
    server.signal();
    call.both_agree([call.bot.port(), call.caller.port()]);
    assert_eq!(call.speak(call.directly()), [10, 10], "past the server");
    let late = Phone::anywhere(server.addresses.sip, "late");
    late.invite(&description(late.port(), "8", ""));
    late.hear("SIP/2.0 503 ");
    call.hang_up();
    assert_eq!(server.wait().expect("it ends").code(), Some(0), "with the last call, and none was cut");
}

/// What calls need of their signalling while the server stays for it: a refreshing re-INVITE and UPDATE leave the audio
/// where it is, a hold brings it back.
#[test]
fn a_server_that_stays_answers_inside_its_calls() {
    let (mut server, bot_at) = server_limited("stay-inside", "", "drain_s = 1\nstay_s = 60");
    let mut call = Call::begin(server.addresses.sip, bot_at);
    server.signal();
    call.both_agree([call.bot.port(), call.caller.port()]);

    let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    for (method, sequence) in [("INVITE", 2), ("UPDATE", 3)] {
        let offer = if method == "INVITE" { description(call.caller.port(), "8", "") } else { String::new() };
        call.caller.request_saying(timer, (method, sequence), &call.answer, &offer);
        let refreshed = call.caller.hear("SIP/2.0 200 ");
        assert_eq!(value(&refreshed, "Session-Expires"), "90;refresher=uac", "{refreshed}");
        if method == "INVITE" {
            assert_eq!(media_address(&refreshed).port(), call.bot.port(), "{refreshed}");
            call.caller.request_inside("ACK", sequence, &call.answer, "");
        }
    }
    assert_eq!(call.speak(call.directly()), [10, 10], "past the server as before");

    call.caller.request_inside("INVITE", 4, &call.answer, &description(call.caller.port(), "8", "a=sendonly\r\n"));
    let held = call.caller.hear("SIP/2.0 200 ");
    assert_eq!((media_address(&held), line(&held, "a=recv")), (call.to_server[0], "only"), "{held}");
    call.caller.request_inside("ACK", 4, &call.answer, "");
    let offer = call.bot.hear("INVITE ");
    assert_eq!(media_address(&offer), call.to_server[1], "{offer}");
    call.bot.respond(&offer, 200, &description(call.bot.port(), "8", ""));
    call.bot.hear("ACK ");
    call.hang_up();
    assert_eq!(server.wait().expect("it ends").code(), Some(0), "with the last call, and none was cut");
}

#[test]
fn a_call_that_cannot_be_handed_over_is_cut_and_counted() {
    let (mut server, bot_at) = server_limited("cut", "", "drain_s = 1");
    let call = Call::begin(server.addresses.sip, bot_at);
    server.signal();
    let offer = call.caller.hear("INVITE ");
    call.caller.respond(&offer, 488, "");
    for phone in [&call.caller, &call.bot] {
        let bye = phone.hear("BYE ");
        assert!(line(&bye, "Reason: ").contains("the server stops"), "{bye}");
        phone.respond(&bye, 200, "");
    }
    let status = server.wait().expect("it ends");
    assert_eq!(status.code(), Some(4), "one call was cut");
}

#[test]
fn the_second_signal_ends_at_once() {
    let (mut server, bot_at) = server_limited("at-once", "", "drain_s = 600");
    let call = Call::begin(server.addresses.sip, bot_at);
    server.signal();
    assert_eq!(call.bot.overhear(), None, "calls have their time");
    server.signal();
    for phone in [&call.caller, &call.bot] {
        let bye = phone.hear("BYE ");
        phone.respond(&bye, 200, "");
    }
    assert_eq!(server.wait().expect("it ends").code(), Some(4));
}

#[test]
fn the_other_side_of_a_far_end_that_has_died_is_released() {
    let (server, bot_at) = server_limited("died", "silence_s = 5\n", "");
    let mut call = Call::begin(server.addresses.sip, bot_at);
    assert_eq!(call.speak(call.to_server), [10, 10], "through the server");
    // No BYE, and nobody at its ports any more.
    drop(call.bot);
    let end = Instant::now() + ASKED_WITHIN;
    let mut released = false;
    while !released && Instant::now() < end {
        let Some(asked) = call.caller.overhear() else { continue };
        released = asked.starts_with("BYE ");
        call.caller.respond(&asked, 200, "");
    }
    assert!(released, "the caller waits for ever");
    let record = record(&server);
    assert_eq!(record["end_reason"], "a far end no longer answers", "{record}");
    server.stop().expect("it ends");
}

/// The id of the only call that is up.
fn active(server: &calmline::demo::server::Server) -> String {
    let calls = super::phone::ask(server, "/v1/calls?state=active");
    calls["calls"][0]["id"].as_str().expect("a call is up").to_owned()
}
