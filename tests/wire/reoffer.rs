//! A bot that changes its codec in the middle of a call: the caller is asked to follow, and nobody loses a packet.

use std::time::{Duration, Instant};

use super::phone::{PATIENCE, Phone, description, line, media_address, packet, record, server};

/// What a phone has received: payload types in order, and whether anything was missing between.
#[derive(Debug, Default)]
struct Heard {
    numbers: Vec<u16>,
    types: Vec<u8>,
    /// Payload octets of the last packet.
    last: Vec<u8>,
}

#[test]
fn a_caller_follows_the_bot_to_another_codec_without_a_gap() {
    let (server, bot_at) = server("reoffer");
    let bot = Phone::at(bot_at, server.addresses.sip, "bot");
    let caller = Phone::anywhere(server.addresses.sip, "caller");
    let g722 = "a=rtpmap:9 G722/8000\r\n";
    caller.invite(&description(caller.port(), "8 9", g722));
    let invite = bot.hear("INVITE ");
    bot.respond(&invite, 200, &description(bot.port(), "8", ""));
    let answer = caller.hear("SIP/2.0 200 ");
    assert!(line(&answer, "m=audio ").ends_with(" 8"), "{answer}");
    caller.request_inside("ACK", 1, &answer, "");
    bot.hear("ACK ");

    let mut call = Call {
        to_server: [media_address(&answer), media_address(&invite)],
        phones: [&caller, &bot],
        speaks: [8, 8],
        sent: [0; 2],
        heard: Default::default(),
    };
    call.pass(25);
    // The bot goes over to G.722: from now on audio is transcoded, until the caller has followed.
    bot.call_back("INVITE", 1, &invite, &description(bot.port(), "9", g722));
    let accepted = call.until(1, "SIP/2.0 200 ");
    assert!(line(&accepted, "m=audio ").ends_with(" 9"), "{accepted}");
    bot.call_back("ACK", 1, &invite, "");
    call.speaks[1] = 9;
    let asked = call.until(0, "INVITE ");
    assert!(line(&asked, "m=audio ").ends_with(" 9 8"), "{asked}");
    call.pass(25);
    assert_eq!((call.heard[0].types.last(), call.heard[1].types.last()), (Some(&8), Some(&9)), "transcoded");

    // Its audio may overtake its answer (RFC 3264 §5.1).
    call.speaks[0] = 9;
    call.pass(2);
    caller.respond(&asked, 200, &description(caller.port(), "9", g722));
    call.until(0, "ACK ");
    call.pass(25);
    let sent: [u16; 2] = call.sent;
    caller.request_inside("BYE", 2, &answer, "");
    caller.hear("SIP/2.0 200 ");
    let bye = bot.hear("BYE ");
    bot.respond(&bye, 200, "");

    for (party, heard) in call.heard.iter().enumerate() {
        // Nothing is missing, nothing comes twice, and the codec changes once.
        assert!(heard.numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{party}: {heard:?}");
        let (expected, got) = (usize::from(sent[1 - party]), heard.numbers.len());
        assert!(got + 2 >= expected && got <= expected, "{party}: {got} of {expected} packets");
        let changes = heard.types.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!((heard.types.first(), heard.types.last(), changes), (Some(&8), Some(&9), 1), "{party}: {heard:?}");
    }
    // As they are: the octets of the other phone.
    assert_eq!((&call.heard[0].last, &call.heard[1].last), (&vec![0xd5; 160], &vec![0x55; 160]));
    let events = record(&server)["events"].clone();
    let asked = events.as_array().and_then(|events| events.iter().find(|event| event["type"] == "codec_asked"));
    assert_eq!(asked.map(|event| &event["outcome"]), Some(&"accepted".into()), "{events}");
    server.stop().expect("it ends");
}

/// Caller and bot, who speak all the time.
struct Call<'a> {
    to_server: [std::net::SocketAddr; 2],
    phones: [&'a Phone; 2],
    /// The payload type that each sends.
    speaks: [u8; 2],
    sent: [u16; 2],
    heard: [Heard; 2],
}

impl Call<'_> {
    /// Lets both speak for so many packets of 20 ms.
    fn pass(&mut self, packets: usize) {
        for _ in 0..packets {
            for party in 0..2 {
                let (ssrc, octet) = if party == 0 { (0x0a0b_0c0d, 0x55) } else { (0x0102_0304, 0xd5) };
                let packet = packet(self.speaks[party], self.sent[party], ssrc, octet);
                self.phones[party].media.send_to(&packet, self.to_server[party]).expect("loopback takes it");
                self.sent[party] += 1;
            }
            std::thread::sleep(Duration::from_millis(20));
            self.listen();
        }
    }

    /// Goes on until a party gets a message that begins so.
    #[track_caller]
    fn until(&mut self, party: usize, start: &str) -> String {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.phones[party].sip.set_read_timeout(Some(Duration::from_millis(1))).expect("a span above zero");
            if let Some(text) = self.phones[party].overhear()
                && text.starts_with(start)
            {
                self.phones[party].sip.set_read_timeout(Some(Duration::from_millis(100))).expect("a span");
                return text;
            }
            self.pass(1);
        }
        panic!("{start} never came");
    }

    fn listen(&mut self) {
        let mut buffer = [0; 2_048];
        for party in 0..2 {
            self.phones[party].media.set_read_timeout(Some(Duration::from_millis(1))).expect("a span above zero");
            while let Ok(length) = self.phones[party].media.recv(&mut buffer) {
                // Control packets share the port when that is offered.
                if (200..=207).contains(&buffer[1]) {
                    continue;
                }
                self.heard[party].numbers.push(u16::from_be_bytes([buffer[2], buffer[3]]));
                self.heard[party].types.push(buffer[1] & 0x7f);
                self.heard[party].last = buffer[12..length].to_vec();
            }
        }
    }
}
