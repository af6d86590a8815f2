//! In steady state the media path asks the allocator for nothing: a hundred bridged legs, sounds playing on some.

mod counting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::codec::{Encoder, OpusSettings};
use media::rtcp::{Playout, REPORT_BYTES_MAX, Session};
use media::srtp::{MASTER_BYTES_MAX, MasterKey, Receiver, Security, Sender, SessionKeys, Suite, TRAILER_BYTES_MAX};
use media::stats::Reception;
use media::{
    Arrival, BUFFER_BYTES, Capturing, Channel, Codec, Command, Depth, Engine, Event, Input, LegId, Output, PlayMode,
    PromptId, RtpHeader, Sequencer, Sides, Sound, Ssrc, Stamp, StreamSettings, Supervision,
};

const LEGS: u32 = 100;
const ROUNDS_WARM: u32 = 10;
const ROUNDS: u32 = 200;

#[test]
fn steady_state_allocates_nothing() {
    let mut stage = Stage::new();
    for round in 0..ROUNDS_WARM {
        stage.round(round);
    }

    let before = counting::calls();
    for round in ROUNDS_WARM..ROUNDS_WARM + ROUNDS {
        stage.round(round);
    }
    assert_eq!(counting::calls() - before, 0, "calls of the allocator");

    let packets = u64::from(LEGS * (ROUNDS + ROUNDS_WARM));
    let sounds = u64::from(LEGS / 10);
    // A sound's frames take the place of relayed packets; its end comes just after a packet that is still muted.
    assert_eq!((stage.sent, stage.copied), (packets - sounds, packets / 2));
    assert_eq!(stage.ended, sounds, "sounds end in steady state too");
}

#[test]
fn transcoding_and_protection_allocate_nothing() {
    let opus = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
    let mut payload = Vec::new();
    Encoder::new(Codec::Opus, 8_000, opus).and_then(|mut e| e.encode(&[500; 160], &mut payload)).expect("it encodes");
    let key = |fill: u8| MasterKey::new(Suite::AeadAes128Gcm, &[fill; 28]).expect("it fits");
    let keys = SessionKeys { send: key(1), receive: key(2) };

    let mut engine = Engine::new(4, 3);
    let mut out = Output::new();
    let mut sealer = Sender::new(&keys.receive);
    let security = Security::Keys(Box::new(keys));
    let protected = StreamSettings { security, ..StreamSettings::plain(Some(home(0)), Codec::Opus, 107) };
    for (leg, settings) in [protected, StreamSettings::plain(Some(home(1)), Codec::Pcmu, 0)].into_iter().enumerate() {
        let leg = LegId(leg as u32);
        engine.handle(Duration::ZERO, Input::Command(Command::Open { leg, port: 4000, address: None }), &mut out);
        engine.handle(Duration::ZERO, Input::Command(Command::Configure { leg, settings }), &mut out);
    }
    engine.handle(Duration::ZERO, Input::Command(Command::Bridge { a: LegId(0), b: LegId(1) }), &mut out);

    let mut sent = 0;
    let mut warm = 0;
    for round in 0..ROUNDS_WARM + ROUNDS {
        if round == ROUNDS_WARM {
            warm = counting::calls();
        }
        let at = Duration::from_millis(20) * round;
        for (leg, payload_type, ticks, payload) in [(0, 107, 960, &payload[..]), (1, 0, 160, &[0x55; 160][..])] {
            // One of ten packets is lost.
            if round % 10 == 9 {
                continue;
            }
            let (sequence, timestamp) = (round as u16, round * ticks);
            let stamp = Stamp { marker: false, payload_type, sequence, timestamp, ssrc: Ssrc(leg) };
            let mut bytes = [0; BUFFER_BYTES];
            bytes[..12].copy_from_slice(&stamp.to_bytes());
            bytes[12..12 + payload.len()].copy_from_slice(payload);
            let mut length = 12 + payload.len();
            if leg == 0 {
                length = sealer.protect(&mut bytes, length).expect("there is room");
            }
            let slot = engine.slot(LegId(leg)).expect("it is open");
            let (channel, from) = (Channel::Media, home(leg));
            let arrival = Arrival { slot, channel, from, at, buffer: 0, bytes: &mut bytes, length };
            engine.handle(at, Input::Packet(arrival), &mut out);
            sent += out.packets.len();
            out.clear();
        }
        engine.handle(at, Input::Tick, &mut out);
        sent += out.packets.len();
        out.clear();
    }
    assert_eq!(counting::calls() - warm, 0, "calls of the allocator");
    assert!(sent > 2 * ROUNDS as usize, "lost packets are made good: {sent}");
}

#[test]
fn supervision_copies_and_captures_allocate_nothing() {
    let mut engine = Engine::new(3, 3);
    let mut out = Output::new();
    let codecs = [(Codec::Pcmu, 0), (Codec::Pcma, 8), (Codec::G722, 9)];
    for (leg, (codec, payload_type)) in (0_u32..).zip(codecs) {
        let (id, settings) = (LegId(leg), StreamSettings::plain(Some(home(leg)), codec, payload_type));
        for command in [
            Command::Open { leg: id, port: 4000, address: None },
            Command::Configure { leg: id, settings },
            Command::Copy { leg: id, on: true },
            Command::Capture { leg: id, capture: Some(Capturing { number: 1, near: home(leg), depth: Depth::Whole }) },
        ] {
            engine.handle(Duration::ZERO, Input::Command(command), &mut out);
        }
    }
    let (a, b, supervisor) = (LegId(0), LegId(1), LegId(2));
    let supervise = Command::Supervise { supervisor, leg: a, mode: Supervision::Barge, hears: Sides::Both };
    for command in [Command::Bridge { a, b }, supervise] {
        engine.handle(Duration::ZERO, Input::Command(command), &mut out);
    }
    let (mut sent, mut copied, mut captured, mut warm) = (0, 0, 0, 0);
    for round in 0..ROUNDS_WARM + ROUNDS {
        if round == ROUNDS_WARM {
            warm = counting::calls();
        }
        let at = Duration::from_millis(20) * round;
        for (leg, (_, payload_type)) in (0_u32..).zip(codecs) {
            let (sequence, timestamp) = (round as u16, round * 160);
            let stamp = Stamp { marker: false, payload_type, sequence, timestamp, ssrc: Ssrc(leg) };
            let mut bytes = [0x55; BUFFER_BYTES];
            bytes[..12].copy_from_slice(&stamp.to_bytes());
            let slot = engine.slot(LegId(leg)).expect("it is open");
            let (channel, from) = (Channel::Media, home(leg));
            let arrival = Arrival { slot, channel, from, at, buffer: 0, bytes: &mut bytes, length: 172 };
            engine.handle(at, Input::Packet(arrival), &mut out);
            (sent, copied) = (sent + out.packets.len(), copied + out.copies.len());
            captured += out.captures.len();
            out.clear();
        }
        engine.handle(at, Input::Tick, &mut out);
        (sent, copied) = (sent + out.packets.len(), copied + out.copies.len());
        out.clear();
    }
    assert_eq!(counting::calls() - warm, 0, "calls of the allocator");
    let packets = 3 * (ROUNDS + ROUNDS_WARM) as usize;
    assert!(sent + 30 > packets && copied + 30 > 2 * packets, "{sent} sent, {copied} copied of {packets}");
    assert!(captured >= packets, "{captured} captured of {packets}");
}

#[test]
fn reports_allocate_nothing() {
    let mut ends = [7, 8].map(|ssrc| Session::new(Duration::ZERO, Ssrc(ssrc), "calmline", u64::from(ssrc)));
    let mut receptions = [Reception::default(), Reception::default()];
    let mut sequencer = Sequencer::default();
    let mut packet = Vec::with_capacity(REPORT_BYTES_MAX);
    let mut answered = 0;

    let before = counting::calls();
    for round in 0..ROUNDS {
        let now = Duration::from_millis(20) * round;
        let stamp =
            Stamp { marker: false, payload_type: 0, sequence: round as u16, timestamp: round * 160, ssrc: Ssrc(7) };
        let header = RtpHeader::parse(&stamp.to_bytes()).expect("a plain packet");
        ends[0].sent(now, header.timestamp, 160);
        receptions[1].count(now, sequencer.place(header.ssrc, header.sequence), &header, true);
        for (from, to) in [(0, 1), (1, 0)] {
            packet.clear();
            ends[from].write(now, &mut receptions[from], Playout::default(), &mut packet);
            let received = ends[to].receive(now, &packet).expect("we read what we write");
            answered += u32::from(received.round_trip.is_some());
        }
    }
    assert_eq!(counting::calls() - before, 0, "calls of the allocator");
    assert!(answered > 0, "round trips are measured");
}

#[test]
fn protected_packets_allocate_nothing() {
    for suite in Suite::ALL {
        let key = MasterKey::from_random(suite, &[7; MASTER_BYTES_MAX]);
        let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
        let before = counting::calls();
        for sequence in 0..1_000_u16 {
            let mut buffer = [0x55; 172 + TRAILER_BYTES_MAX];
            let stamp = Stamp { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: Ssrc(1) };
            buffer[..12].copy_from_slice(&stamp.to_bytes());
            let length = sender.protect(&mut buffer, 172).expect("it is a packet");
            assert_eq!(receiver.unprotect(&mut buffer[..length]), Ok(172));
            let length = sender.protect_control(&mut buffer, 172).expect("it has the form of a packet");
            assert_eq!(receiver.unprotect_control(&mut buffer[..length]), Ok(172));
        }
        assert_eq!(counting::calls() - before, 0, "calls of the allocator, {suite:?}");
    }
}

/// Legs bridged in pairs; their phones all send in the same rhythm.
struct Stage {
    engine: Engine,
    out: Output,
    now: Duration,
    sent: u64,
    copied: u64,
    ended: u64,
    /// Kept by whoever loaded it, so that the media path never frees it.
    sound: Arc<Sound>,
}

impl Stage {
    fn new() -> Self {
        let mut stage = Self {
            engine: Engine::new(LEGS as usize, 3),
            out: Output::new(),
            now: Duration::ZERO,
            sent: 0,
            copied: 0,
            ended: 0,
            sound: Arc::new(Sound { samples: vec![500; 160 * (ROUNDS / 2) as usize] }),
        };
        for leg in 0..LEGS {
            let (codec, payload_type) = if leg % 4 == 0 { (Codec::Pcma, 8) } else { (Codec::Pcmu, 0) };
            let settings = StreamSettings::plain(Some(home(leg)), codec, payload_type);
            stage.order(Command::Open { leg: LegId(leg), port: 4000, address: None });
            stage.order(Command::Configure { leg: LegId(leg), settings });
            stage.order(Command::Tap { leg: LegId(leg), on: leg % 2 == 0 });
            if leg % 2 == 1 {
                stage.order(Command::Bridge { a: LegId(leg - 1), b: LegId(leg) });
            }
            if leg % 10 == 0 {
                let mode = if leg % 20 == 0 { PlayMode::Replace } else { PlayMode::Duck { attenuation_db: 12 } };
                let sound = Arc::clone(&stage.sound);
                stage.order(Command::Play {
                    leg: LegId(leg),
                    prompt: PromptId(leg),
                    sound,
                    mode,
                    repeats: false,
                    key_ends: false,
                });
            }
        }
        stage
    }

    fn order(&mut self, command: Command) {
        self.engine.handle(self.now, Input::Command(command), &mut self.out);
        self.out.clear();
    }

    /// One packet from every phone, and one tick.
    fn round(&mut self, round: u32) {
        for leg in 0..LEGS {
            let payload_type = if leg % 4 == 0 { 8 } else { 0 };
            let (sequence, timestamp) = (round as u16, round * 160);
            let stamp = Stamp { marker: false, payload_type, sequence, timestamp, ssrc: Ssrc(leg) };
            let mut bytes = [0x55; BUFFER_BYTES];
            bytes[..12].copy_from_slice(&stamp.to_bytes());
            let slot = self.engine.slot(LegId(leg)).expect("the leg is open");
            let (channel, from) = (Channel::Media, home(leg));
            let arrival = Arrival { slot, channel, from, at: self.now, buffer: 0, bytes: &mut bytes, length: 172 };
            self.engine.handle(self.now, Input::Packet(arrival), &mut self.out);
            self.count();
        }
        self.engine.handle(self.now, Input::Tick, &mut self.out);
        self.count();
        self.now += Duration::from_millis(20);
    }

    fn count(&mut self) {
        // Reports leave from the other port.
        self.sent += self.out.packets.iter().filter(|packet| packet.channel == Channel::Media).count() as u64;
        self.copied += self.out.frames.len() as u64;
        let ended = self.out.events.iter().filter(|event| matches!(event, Event::PlayEnded { completed: true, .. }));
        self.ended += ended.count() as u64;
        self.out.clear();
    }
}

fn home(leg: u32) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, leg as u8], 5004))
}
