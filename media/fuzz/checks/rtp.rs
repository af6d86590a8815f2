//! Any datagrams at any time through a bridged pair of legs: what leaves is plain RTP with numbers used once.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::sdp::Formats;
use media::{
    Arrival, BUFFER_BYTES, Channel, Codec, Command, Datagram, Engine, Input, LegId, Output, PlayMode, PromptId,
    RtpHeader, Sound, StreamSettings,
};

/// Reads `script` as records: what to do, length of a datagram, the datagram.
///
/// # Panics
/// When something leaves that must not.
pub fn check(script: &[u8]) {
    let mut pair = Pair::new();
    let mut rest = script;
    while let Some((&[what, length], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        pair.take(what, &mut datagram.to_vec());
        rest = after;
    }
}

/// Two bridged legs of different codecs, one of them tapped; both may change to others.
struct Pair {
    engine: Engine,
    out: Output,
    now: Duration,
    numbers: BTreeSet<(u32, u16)>,
    packets: u32,
}

const LEGS: [LegId; 2] = [LegId(1), LegId(2)];

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            engine: Engine::new(2, 1),
            out: Output::new(),
            now: Duration::ZERO,
            numbers: BTreeSet::new(),
            packets: 0,
        };
        for (leg, codec, payload_type) in [(LEGS[0], Codec::Pcmu, 0), (LEGS[1], Codec::Pcma, 8)] {
            let plain = StreamSettings::plain(Some(SocketAddr::from(([192, 0, 2, 1], 5004))), codec, payload_type);
            let also_received = Box::new(Formats {
                codecs: vec![(Codec::G722, 9), (Codec::Opus, 107), (Codec::L16Wide, 97)],
                events: vec![(48_000, 102)],
                comfort_noise: true,
            });
            let settings = StreamSettings { also_received, packet_ms_max: Some(60), ..plain.with_events(Some(101)) };
            pair.order(Command::Open { leg, port: 4000, address: None });
            pair.order(Command::Configure { leg, settings });
        }
        pair.order(Command::Bridge { a: LEGS[0], b: LEGS[1] });
        pair.order(Command::Tap { leg: LEGS[0], on: true });
        pair
    }

    /// Bit 0 of `what` is the leg, 1-2 the sender, 3 a sound that begins, the others time that passes.
    fn take(&mut self, what: u8, datagram: &mut [u8]) {
        let leg = LEGS[usize::from(what & 1)];
        if what & 8 != 0 {
            let mode = if what & 16 == 0 { PlayMode::Replace } else { PlayMode::Duck { attenuation_db: what >> 4 } };
            let sound = Arc::new(Sound { samples: vec![i16::MAX; 1_000] });
            self.order(Command::Play { leg, prompt: PromptId(1), sound, mode, repeats: false, key_ends: false });
        }
        self.now += Duration::from_millis(u64::from(what >> 4) * 7);
        self.engine.handle(self.now, Input::Tick, &mut self.out);
        self.inspect(&[]);

        let slot = self.engine.slot(leg).expect("the leg is open");
        let from = SocketAddr::from(([192, 0, 2, 1], 5000 + u16::from(what >> 1 & 3)));
        let length = datagram.len();
        let mut bytes = datagram.to_vec();
        bytes.resize(BUFFER_BYTES.max(length), 0);
        let (channel, at) = (if what & 0x20 == 0 { Channel::Media } else { Channel::Control }, self.now);
        let arrival = Arrival { slot, channel, from, at, buffer: 0, bytes: &mut bytes, length };
        self.engine.handle(self.now, Input::Packet(arrival), &mut self.out);
        self.inspect(&bytes);
    }

    fn order(&mut self, command: Command) {
        self.engine.handle(self.now, Input::Command(command), &mut self.out);
        self.inspect(&[]);
    }

    fn inspect(&mut self, received: &[u8]) {
        for departure in &self.out.packets {
            let bytes = match departure.datagram {
                Datagram::Received { start, end, .. } => &received[usize::from(start)..usize::from(end)],
                Datagram::Made { start, end } => &self.out.made[start as usize..end as usize],
            };
            // Reports are told from RTP by their type (RFC 5761 §4).
            if departure.channel == Channel::Control {
                assert!(media::rtcp::is_control(bytes), "what leaves the control port is a report");
                continue;
            }
            let header = RtpHeader::parse(bytes).expect("we send RTP");
            assert_eq!(header.payload_start, 12, "a plain header");
            // A script long enough to use all numbers says nothing about numbers used twice.
            self.packets += 1;
            let first_use = self.numbers.insert((departure.slot.0, header.sequence));
            assert!(first_use || self.packets > 10_000, "a sequence number was used twice");
        }
        self.out.clear();
    }
}
