//! What the engine itself takes per packet, without sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use media::{
    Arrival, BUFFER_BYTES, Channel, Codec, Command, Engine, Input, LegId, LegSlot, Output, PlayMode, PromptId,
    RtpHeader, Sound, Ssrc, Stamp, StreamSettings,
};

fn main() {
    divan::main();
}

#[divan::bench]
fn parse_header(bencher: Bencher<'_, '_>) {
    let packet = packet(1);
    bencher.bench(|| RtpHeader::parse(black_box(&packet)));
}

#[divan::bench]
fn relay_same_codec(bencher: Bencher<'_, '_>) {
    relay(bencher, Codec::Pcmu, &[]);
}

#[divan::bench]
fn relay_other_law(bencher: Bencher<'_, '_>) {
    relay(bencher, Codec::Pcma, &[]);
}

#[divan::bench]
fn relay_tapped(bencher: Bencher<'_, '_>) {
    relay(bencher, Codec::Pcmu, &[Command::Tap { leg: LegId(0), on: true }]);
}

#[divan::bench]
fn frame_of_a_sound(bencher: Bencher<'_, '_>) {
    let mut engine = engine(Codec::Pcmu);
    let mut out = Output::new();
    let sound = Arc::new(Sound { samples: vec![1_000; 8_000 * 3_600] });
    let play = Command::Play {
        leg: LegId(1),
        prompt: PromptId(1),
        sound,
        mode: PlayMode::Replace,
        repeats: false,
        key_ends: false,
    };
    engine.handle(Duration::ZERO, Input::Command(play), &mut out);
    let mut now = Duration::ZERO;
    bencher.bench_local(|| {
        engine.handle(now, Input::Tick, &mut out);
        out.clear();
        now += Duration::from_millis(20);
    });
}

fn relay(bencher: Bencher<'_, '_>, hearer: Codec, orders: &[Command]) {
    let mut engine = engine(hearer);
    let mut out = Output::new();
    for order in orders {
        engine.handle(Duration::ZERO, Input::Command(order.clone()), &mut out);
    }
    let slot = engine.slot(LegId(0)).unwrap_or(LegSlot(0));
    let mut number = 0_u32;
    bencher.bench_local(|| {
        let mut bytes = packet(number);
        let now = Duration::from_millis(20) * number;
        let (channel, from) = (Channel::Media, home(0));
        let arrival = Arrival { slot, channel, from, at: now, buffer: 0, bytes: &mut bytes, length: 172 };
        let input = Input::Packet(arrival);
        engine.handle(now, input, &mut out);
        let sent = out.packets.len();
        out.clear();
        number += 1;
        sent
    });
}

/// A thousand legs, bridged in pairs.
fn engine(hearer: Codec) -> Engine {
    let mut engine = Engine::new(1_000, 1);
    let mut out = Output::new();
    for leg in 0..1_000 {
        let (codec, payload_type) = match hearer {
            Codec::Pcma if leg % 2 == 1 => (Codec::Pcma, 8),
            _ => (Codec::Pcmu, 0),
        };
        let settings = StreamSettings::plain(Some(home(leg)), codec, payload_type);
        let mut orders = vec![
            Command::Open { leg: LegId(leg), port: 4000, address: None },
            Command::Configure { leg: LegId(leg), settings },
        ];
        if leg % 2 == 1 {
            orders.push(Command::Bridge { a: LegId(leg - 1), b: LegId(leg) });
        }
        for order in orders {
            engine.handle(Duration::ZERO, Input::Command(order), &mut out);
        }
        out.clear();
    }
    engine
}

fn packet(number: u32) -> [u8; BUFFER_BYTES] {
    let (sequence, timestamp) = (number as u16, number.wrapping_mul(160));
    let stamp = Stamp { marker: false, payload_type: 0, sequence, timestamp, ssrc: Ssrc(7) };
    let mut bytes = [0x55; BUFFER_BYTES];
    bytes[..12].copy_from_slice(&stamp.to_bytes());
    bytes
}

fn home(leg: u32) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000 + leg as u16))
}
