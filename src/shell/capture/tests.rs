//! What the media loop is told for captures, and who gets which packet.

use std::net::SocketAddr;

use media::{Channel, Input, Output, StreamSettings};

use super::*;
use crate::settings::SipSettings;

const CALLER: LegId = LegId(1);
const BOT: LegId = LegId(2);
const AGENT: LegId = LegId(3);

#[tokio::test]
async fn legs_are_captured_as_they_come_and_let_go_of_at_the_end() {
    let captures = captures(16);
    assert_eq!(told(&captures, &[CALLER, BOT]), "", "nobody asked for it");
    let capture = captures.begin("boot-1", Depth::Headers).expect("there is room");
    assert_eq!(told(&captures, &[CALLER, BOT]), "1 on, 2 on");
    assert_eq!(told(&captures, &[CALLER, BOT]), "");
    assert_eq!(told(&captures, &[CALLER, BOT, AGENT]), "3 on", "the caller is being moved");
    assert_eq!(told(&captures, &[CALLER, AGENT]), "");
    drop(capture);
    assert_eq!(told(&captures, &[CALLER, AGENT]), "1 off, 3 off");
    assert_eq!(told(&captures, &[CALLER, AGENT]), "");
}

#[tokio::test]
async fn audio_is_captured_only_while_it_may_be_kept() {
    let captures = captures(16);
    let _capture = captures.begin("boot-1", Depth::Whole).expect("there is room");
    let near = SocketAddr::from(([127, 0, 0, 1], 4_000));
    let told = |keeps_words| said_of(&captures, &Capturable { legs: vec![(CALLER, near)], keeps_words });
    assert_eq!(told(false), "1 on");
    assert_eq!(told(true), "1 whole", "the caller has agreed");
    assert_eq!(told(true), "");
    assert_eq!(told(false), "1 on", "the caller has taken it back");
}

#[tokio::test]
async fn one_of_a_call_and_four_in_all() {
    let captures = captures(16);
    let kept: Vec<Capture> =
        (0..CAPTURES_MAX).map(|n| captures.begin(&format!("boot-{n}"), Depth::Whole).expect("there is room")).collect();
    assert_eq!(captures.begin("boot-2", Depth::Whole).err(), Some(Refused::Taken));
    assert_eq!(captures.begin("boot-9", Depth::Whole).err(), Some(Refused::Full));
    drop(kept);
    assert!(captures.begin("boot-9", Depth::Whole).is_ok());
}

#[tokio::test]
async fn who_is_too_slow_is_told_what_is_missing() {
    let captures = captures(2 * PACKETS_MAX);
    let mut capture = captures.begin("boot-1", Depth::Whole).expect("there is room");
    let ring = Arc::clone(&captures.shared.ring);
    for packet in packets(capture.number, PACKETS_MAX + 7).into_iter().chain(packets(99, 3)) {
        ring.push(packet);
    }
    while capture.dropped() < 7 {
        tokio::time::sleep(ROUND).await;
    }
    let mut got = 0;
    while capture.packets.try_recv().is_ok() {
        got += 1;
    }
    assert_eq!((got, capture.dropped()), (PACKETS_MAX, 7));
}

/// Packets as the media path captures them.
fn packets(number: u32, count: usize) -> Vec<CapturedPacket> {
    let (mut engine, mut out) = (media::Engine::new(1, 1), Output::new());
    let far = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let settings = StreamSettings::plain(Some(far), media::Codec::Pcmu, 0);
    let capture = Some(Capturing { number, near: far, depth: Depth::Whole });
    for command in [
        Command::Open { leg: CALLER, port: 4_000, address: None },
        Command::Configure { leg: CALLER, settings },
        Command::Capture { leg: CALLER, capture },
    ] {
        engine.handle(Duration::ZERO, Input::Command(command), &mut out);
    }
    let slot = engine.slot(CALLER).expect("it is open");
    let mut packets = Vec::new();
    for sequence in 0..count as u16 {
        let mut bytes = [0; media::BUFFER_BYTES];
        bytes[0] = 0x80;
        bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
        let arrival = media::Arrival {
            slot,
            channel: Channel::Media,
            from: far,
            at: Duration::ZERO,
            buffer: 0,
            bytes: &mut bytes,
            length: 172,
        };
        engine.handle(Duration::ZERO, Input::Packet(arrival), &mut out);
        packets.append(&mut out.captures.drain(..).collect());
        out.clear();
    }
    packets
}

fn captures(room: usize) -> Captures {
    let settings = CaptureSettings {
        payloads: true,
        longest: Duration::from_secs(60),
        bytes_max: 1 << 20,
        history_bytes: 1 << 20,
    };
    let trace = Arc::new(Trace::new(SipSettings::default(), 1 << 20));
    Captures::start(settings, trace, Arc::new(CaptureRing::new(room)), Clock::start())
}

/// The orders while the call has those legs.
fn told(captures: &Captures, legs: &[LegId]) -> String {
    let near = SocketAddr::from(([127, 0, 0, 1], 4_000));
    said_of(captures, &Capturable { legs: legs.iter().map(|leg| (*leg, near)).collect(), keeps_words: true })
}

fn said_of(captures: &Captures, capturable: &Capturable) -> String {
    let orders = captures.orders(|_| capturable.clone());
    let words = orders.iter().map(|order| match order {
        Command::Capture { leg, capture } => match capture {
            Some(Capturing { depth: Depth::Whole, .. }) => format!("{} whole", leg.0),
            Some(_) => format!("{} on", leg.0),
            None => format!("{} off", leg.0),
        },
        other => format!("{other:?}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
