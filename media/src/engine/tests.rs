//! Two phones and the engine between them, in simulated time.

mod calls;
mod captures;
mod codecs;
mod keys;
mod prompts;
mod properties;
mod protected;
mod supervisors;
mod third_parties;
mod ties;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Arrival, BUFFER_BYTES, CapturedPacket, Channel, CopiedPacket, Datagram, Engine, Input, Output, TapFrame};
use crate::codec::Decoder;
use crate::engine::LegSlot;
use crate::packet::{RtpHeader, Ssrc, Stamp};
use crate::{Codec, Command, Direction, Event, LegId, PlayMode, PromptId, Sides, Sound, StreamSettings, Supervision};

/// The caller's leg and where its phone is.
const CALLER: LegId = LegId(0x8000_0001);
/// The bot's leg.
const BOT: LegId = LegId(1);
/// The agent's leg.
const AGENT: LegId = LegId(2);
const EVENT_TYPE: u8 = 101;

/// An engine with three configured legs and what came out of it.
struct World {
    engine: Engine,
    out: Output,
    now: Duration,
    events: Vec<Event>,
    frames: Vec<TapFrame>,
    copies: Vec<CopiedPacket>,
    captures: Vec<CapturedPacket>,
    heard: Vec<Heard>,
    /// What was sent beside RTP.
    others: Vec<Other>,
    /// RTP packets as they left, to any leg.
    raw: Vec<Vec<u8>>,
    slots: Vec<(LegId, LegSlot)>,
    /// Whom sockets were tied to, and which were cut loose.
    ties: Vec<(LegId, Option<SocketAddr>)>,
}

/// A datagram that is no RTP packet.
#[derive(Debug, Clone)]
struct Other {
    leg: LegId,
    channel: Channel,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// A packet that a phone received.
#[derive(Debug, Clone)]
struct Heard {
    leg: LegId,
    at: Duration,
    to: SocketAddr,
    header: RtpHeader,
    payload: Vec<u8>,
}

impl World {
    /// Three legs with the same codec, the caller bridged to the bot.
    fn new() -> Self {
        let mut world = Self::with(settings(CALLER), settings(BOT));
        world.order(Command::Configure { leg: AGENT, settings: settings(AGENT) });
        world
    }

    /// The caller bridged to the bot; the agent open but not configured.
    fn with(caller: StreamSettings, bot: StreamSettings) -> Self {
        let mut world = Self {
            engine: Engine::new(8, 7),
            out: Output::new(),
            now: Duration::from_secs(100),
            events: Vec::new(),
            frames: Vec::new(),
            copies: Vec::new(),
            captures: Vec::new(),
            heard: Vec::new(),
            others: Vec::new(),
            raw: Vec::new(),
            slots: Vec::new(),
            ties: Vec::new(),
        };
        for leg in [CALLER, BOT, AGENT] {
            world.open(leg);
        }
        world.order(Command::Configure { leg: CALLER, settings: caller });
        world.order(Command::Configure { leg: BOT, settings: bot });
        world.order(Command::Bridge { a: CALLER, b: BOT });
        world
    }

    fn open(&mut self, leg: LegId) {
        self.order(Command::Open { leg, port: 4000, address: None });
        self.slots.extend(self.engine.slot(leg).map(|slot| (leg, slot)));
    }

    fn order(&mut self, command: Command) {
        self.engine.handle(self.now, Input::Command(command), &mut self.out);
        self.collect(&mut []);
    }

    fn play(&mut self, leg: LegId, prompt: u32, samples: Vec<i16>, mode: PlayMode) {
        let sound = Arc::new(Sound { samples });
        self.order(Command::Play { leg, prompt: PromptId(prompt), sound, mode, repeats: false, key_ends: false });
    }

    /// A datagram from the usual place of a leg's phone.
    fn packet(&mut self, leg: LegId, bytes: Vec<u8>) {
        self.packet_from(leg, home(leg), bytes);
    }

    fn packet_from(&mut self, leg: LegId, from: SocketAddr, bytes: Vec<u8>) {
        self.datagram(leg, Channel::Media, from, bytes);
    }

    fn datagram(&mut self, leg: LegId, channel: Channel, from: SocketAddr, mut bytes: Vec<u8>) {
        let slot = self.engine.slot(leg).expect("the leg is open");
        let length = bytes.len();
        bytes.resize(BUFFER_BYTES.max(length), 0xee);
        let arrival = Arrival { slot, channel, from, at: self.now, buffer: 3, bytes: &mut bytes, length };
        self.engine.handle(self.now, Input::Packet(arrival), &mut self.out);
        self.collect(&mut bytes);
    }

    /// Lets time pass, with a tick at every deadline.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((due, _)) = self.engine.deadline()
            && due <= end
        {
            self.now = self.now.max(due);
            self.engine.handle(self.now, Input::Tick, &mut self.out);
            self.collect(&mut []);
        }
        self.now = end;
    }

    /// Lets time pass unseen: the thread was late.
    fn stall(&mut self, span: Duration) {
        self.now += span;
        self.engine.handle(self.now, Input::Tick, &mut self.out);
        self.collect(&mut []);
    }

    /// A phone that sends 20 ms packets for a while.
    fn speak(&mut self, leg: LegId, phone: &mut Phone, packets: usize) {
        for _ in 0..packets {
            let bytes = phone.next();
            self.packet(leg, bytes);
            self.pass(ms(20));
        }
    }

    fn collect(&mut self, received: &mut [u8]) {
        for departure in &self.out.packets {
            let bytes = match departure.datagram {
                Datagram::Received { start, end, buffer } => {
                    assert_eq!(buffer, 3);
                    &received[usize::from(start)..usize::from(end)]
                }
                Datagram::Made { start, end } => &self.out.made[start as usize..end as usize],
            };
            // A leg that has just closed says goodbye.
            let leg = self.slots.iter().find(|(_, slot)| *slot == departure.slot).map_or(AGENT, |(leg, _)| *leg);
            let Some(header) = RtpHeader::parse(bytes).ok().filter(|_| departure.channel == Channel::Media) else {
                self.others.push(Other { leg, channel: departure.channel, to: departure.to, bytes: bytes.to_vec() });
                continue;
            };
            self.raw.push(bytes.to_vec());
            assert_eq!((bytes[0], header.payload_start), (0x80, 12), "a plain header");
            self.heard.push(Heard { leg, at: self.now, to: departure.to, header, payload: bytes[12..].to_vec() });
        }
        self.events.append(&mut self.out.events);
        self.frames.append(&mut self.out.frames);
        self.copies.append(&mut self.out.copies);
        self.captures.append(&mut self.out.captures);
        for tie in &self.out.ties {
            self.ties.extend(self.slots.iter().find(|(_, slot)| *slot == tie.slot).map(|(leg, _)| (*leg, tie.to)));
        }
        self.out.clear();
    }

    /// What a leg's phone received.
    fn heard_by(&self, leg: LegId) -> Vec<&Heard> {
        self.heard.iter().filter(|heard| heard.leg == leg).collect()
    }

    /// Sequence numbers and timestamps that a phone received, from the first one's.
    fn numbers(&self, leg: LegId) -> Vec<(u16, u32)> {
        let heard = self.heard_by(leg);
        let Some(first) = heard.first() else {
            return Vec::new();
        };
        heard
            .iter()
            .map(|heard| {
                let sequence = heard.header.sequence.wrapping_sub(first.header.sequence);
                (sequence, heard.header.timestamp.wrapping_sub(first.header.timestamp))
            })
            .collect()
    }

    /// What a phone decodes from the packets it received, put together without regard to time.
    fn sound(&self, leg: LegId, codec: Codec) -> Vec<i16> {
        let mut decoder = Decoder::new(codec, codec.audio_rate_hz()).expect("it can be opened");
        let mut samples = Vec::new();
        for heard in self.heard_by(leg) {
            decoder.decode(&heard.payload, &mut samples).expect("we send what was agreed");
        }
        samples
    }
}

/// The far end of a leg: one RTP stream.
struct Phone {
    stamp: Stamp,
    /// Ticks of its clock in one packet; `None` for as many as there are octets.
    ticks: Option<u32>,
    payload: Box<dyn FnMut() -> Vec<u8>>,
}

impl Phone {
    /// Sends packets of 160 octets of µ-law silence.
    fn new(ssrc: u32) -> Self {
        Self::saying(ssrc, || vec![0xff; 160])
    }

    fn saying(ssrc: u32, payload: impl FnMut() -> Vec<u8> + 'static) -> Self {
        let stamp =
            Stamp { marker: false, payload_type: 0, sequence: 65_000, timestamp: 4_294_960_000, ssrc: Ssrc(ssrc) };
        Self { stamp, ticks: None, payload: Box::new(payload) }
    }

    fn next(&mut self) -> Vec<u8> {
        let payload = (self.payload)();
        let bytes = [&self.stamp.to_bytes()[..], &payload].concat();
        self.skip(self.ticks.unwrap_or(payload.len() as u32));
        bytes
    }

    fn skip(&mut self, samples: u32) {
        self.stamp.sequence = self.stamp.sequence.wrapping_add(1);
        self.stamp.timestamp = self.stamp.timestamp.wrapping_add(samples);
    }
}

fn settings(leg: LegId) -> StreamSettings {
    settings_of(leg, Codec::Pcmu, 0)
}

fn settings_of(leg: LegId, codec: Codec, payload_type: u8) -> StreamSettings {
    StreamSettings::plain(Some(home(leg)), codec, payload_type).with_events(Some(EVENT_TYPE))
}

/// Where a leg's phone is.
fn home(leg: LegId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, (leg.0 & 0xff) as u8 + if leg == CALLER { 100 } else { 0 }], 5004))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A sine at 8 kHz.
fn tone(hz: f32, amplitude: f32, samples: usize) -> Vec<i16> {
    let step = hz * std::f32::consts::TAU / 8_000.0;
    (0..samples).map(|n| (amplitude * (step * n as f32).sin()) as i16).collect()
}

/// The level of one frequency in a signal: the amplitude of the sine that is found there.
fn level(signal: &[i16], hz: f32) -> f32 {
    let mut fft = realfft::RealFftPlanner::<f32>::new();
    let plan = fft.plan_fft_forward(signal.len());
    let mut input: Vec<f32> = signal.iter().map(|&s| f32::from(s)).collect();
    let mut spectrum = plan.make_output_vec();
    plan.process(&mut input, &mut spectrum).expect("the lengths fit");
    let bin = (hz * signal.len() as f32 / 8_000.0).round() as usize;
    2.0 * spectrum[bin].norm() / signal.len() as f32
}
