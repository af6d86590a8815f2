//! Connectivity checks and control packets: answered on the media port and the one above it, and followed.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::phone::{PATIENCE, Phone, description, line, media_address, packet, record, server};
use super::reports::{self, Report};
use super::stun::{self, Response};

const NAME: &str = "h6vY";
const CALLER_SSRC: u32 = 0x0a0b_0c0d;
const BOT_SSRC: u32 = 0x0102_0304;

/// A caller behind a NAT who makes checks, and shares one port or has two.
#[test]
fn a_caller_is_found_by_its_checks_and_reports_on_the_call() {
    for shares_port in [true, false] {
        let (server, bot_at) = server(if shares_port { "checks-one-port" } else { "checks-two-ports" });
        let bot = Phone::at(bot_at, server.addresses.sip, "bot");
        let caller = Phone::anywhere(server.addresses.sip, "caller");
        let mux = if shares_port { "a=rtcp-mux\r\n" } else { "" };
        let wishes = format!("{mux}a=ice-ufrag:{NAME}\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n");
        // Where the audio goes is not known yet: that is for the checks to find (RFC 8839 §4.2.1.3).
        let offer = description(9, "8", &wishes).replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
        caller.invite(&offer);
        let invite = bot.hear("INVITE ");
        bot.respond(&invite, 200, &description(bot.port(), "8", ""));
        let answer = caller.hear("SIP/2.0 200 ");
        caller.request_inside("ACK", 1, &answer, "");
        bot.hear("ACK ");
        line(&answer, "a=ice-lite");

        let media_at = media_address(&answer);
        let control_at = SocketAddr::new(media_at.ip(), media_at.port() + u16::from(!shares_port));
        check(&caller.media, media_at, &answer);
        let control = if shares_port { &caller.media } else { &caller.control };
        if !shares_port {
            assert_eq!(line(&answer, "a=candidate:1 2 ").split(' ').nth(3), Some(&*control_at.port().to_string()));
            check(control, control_at, &answer);
        }
        let sent = talk(&caller, &bot, control, media_at, control_at, media_address(&invite));

        caller.request_inside("BYE", 2, &answer, "");
        caller.hear("SIP/2.0 200 ");
        let bye = bot.hear("BYE ");
        bot.respond(&bye, 200, "");
        let goodbye = until(control, "a goodbye", |report| report.goodbye);
        assert_eq!(goodbye.source, sent.server);
        hold_to_record(&record(&server), &sent);
        server.stop().expect("it ends");
    }
}

/// What was said in a call, to be compared with its record.
struct Sent {
    packets: u64,
    /// The server's SSRC towards the caller.
    server: u32,
}

/// Unsigned, wrongly signed and right requests; the right one nominates.
fn check(socket: &UdpSocket, to: SocketAddr, answer: &str) {
    let (user, password) = (line(answer, "a=ice-ufrag:").to_owned(), line(answer, "a=ice-pwd:").to_owned());
    let (ours, theirs) = (format!("{user}:{NAME}"), format!("{user}:somebody"));
    let home = socket.local_addr().expect("it is bound");
    for (transaction, name, key, expected) in [
        (1, &ours, None, Response::Error(400)),
        (2, &ours, Some("not the password that was agreed"), Response::Error(401)),
        (3, &theirs, Some(&*password), Response::Error(401)),
        (4, &ours, Some(&*password), Response::Success(home)),
    ] {
        let request = stun::request(transaction, name, key, transaction == 4);
        let response = ask(socket, to, &request);
        assert_eq!(stun::response(&response, transaction, &password), expected, "request {transaction}");
    }
}

/// Sends a request until something that looks like STUN comes back.
fn ask(socket: &UdpSocket, to: SocketAddr, request: &[u8]) -> Vec<u8> {
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 2_048];
    while Instant::now() < end {
        socket.send_to(request, to).expect("loopback takes it");
        if let Ok(length) = socket.recv(&mut buffer)
            && buffer[0] < 4
        {
            return buffer[..length].to_vec();
        }
    }
    panic!("no answer to the check {:02x?}", request);
}

/// Both sides speak; reports go both ways until the server has measured a round trip.
fn talk(
    caller: &Phone,
    bot: &Phone,
    control: &UdpSocket,
    media_at: SocketAddr,
    control_at: SocketAddr,
    bot_media_at: SocketAddr,
) -> Sent {
    let clock = 0x1234_5678;
    control.send_to(&reports::sender_report(CALLER_SSRC, clock), control_at).expect("loopback takes it");
    let (mut heard_by_bot, mut heard_by_caller, mut answered) = (0_u32, 0_u32, None);
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 2_048];
    for number in 0_u16.. {
        assert!(Instant::now() < end, "no report on the caller");
        caller.media.send_to(&packet(8, number, CALLER_SSRC, 0x55), media_at).expect("loopback takes it");
        bot.media.send_to(&packet(8, number, BOT_SSRC, 0xd5), bot_media_at).expect("loopback takes it");
        std::thread::sleep(Duration::from_millis(20));
        while let Ok(length) = bot.media.recv(&mut buffer) {
            heard_by_bot += u32::from(buffer[1] & 0x7f == 8 && length == 172);
        }
        for socket in [&caller.media, &caller.control] {
            while let Ok(length) = socket.recv(&mut buffer) {
                match buffer[1] {
                    200.. => answered = reported(&reports::read(&buffer[..length]), clock).or(answered),
                    other => heard_by_caller += u32::from(other & 0x7f == 8 && buffer[12] == 0xd5),
                }
            }
        }
        let Some((server, server_clock)) = answered else { continue };
        assert!(heard_by_bot > 10 && heard_by_caller > 10, "{heard_by_bot} and {heard_by_caller} packets");
        // As if 10 ms had passed since the server's report came.
        let report = reports::receiver_report(CALLER_SSRC, server, server_clock, 655);
        control.send_to(&report, control_at).expect("loopback takes it");
        std::thread::sleep(Duration::from_millis(200));
        return Sent { packets: u64::from(number) + 1, server };
    }
    unreachable!("the numbers do not end before the patience does");
}

/// Who the server is and its clock, when a report of it says of the caller what it must.
fn reported(report: &Report, clock: u32) -> Option<(u32, u32)> {
    assert!(report.named, "{report:?}");
    let (about, their_clock, ago) = report.about?;
    assert_eq!((about, their_clock), (CALLER_SSRC, clock), "{report:?}");
    assert!(ago > 0 && ago < 30 << 16, "{report:?}");
    let (about, rating, opinion) = report.metrics.expect("VoIP metrics with every block");
    assert_eq!(about, CALLER_SSRC);
    assert!((80..=94).contains(&rating) && (40..=45).contains(&opinion), "{report:?}");
    Some((report.source, report.clock?))
}

#[track_caller]
fn until(control: &UdpSocket, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 2_048];
    while Instant::now() < end {
        if let Ok(length) = control.recv(&mut buffer)
            && (200..=207).contains(&buffer[1])
        {
            let report = reports::read(&buffer[..length]);
            if wanted(&report) {
                return report;
            }
        }
    }
    panic!("{what} does not come");
}

/// The caller's leg stands in the record as it was.
fn hold_to_record(record: &Value, sent: &Sent) {
    let legs = record["legs"].as_array().expect("legs");
    let caller = legs.iter().find(|leg| leg["party"] == "caller").expect("the caller's leg");
    let number = |name: &str| caller["quality"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {caller}"));
    assert_eq!((&caller["codec"], &caller["name"]), (&"PCMA".into(), &"caller".into()));
    assert_eq!(caller["packets_received"], sent.packets);
    // What it told of itself: opinion 3.6, a quarter discarded, 80 ticks of jitter.
    assert!((number("mos_reported") - 3.6).abs() < 0.01, "{caller}");
    assert!((number("discarded_reported") - 0.25).abs() < 0.01, "{caller}");
    assert!((number("jitter_reported_ms") - 10.0).abs() < 0.01, "{caller}");
    assert!(number("loss_reported") > 0.0, "{caller}");
    assert_eq!((number("loss_received"), number("discarded_received"), number("burst_ratio")), (0.0, 0.0, 1.0));
    assert!((0.0..5_000.0).contains(&number("round_trip_ms")) && number("delay_ms") > 0.0, "{caller}");
    assert!(number("mos_listening") > 4.3 && number("r_factor") > 50.0, "{caller}");
}
