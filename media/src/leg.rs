//! One leg: what its far end sends is checked and counted here, what it hears is numbered here.
//!
//! Knows nothing of other legs; who hears whom is the engine's.

use std::net::SocketAddr;
use std::time::Duration;

use crate::latch::{Admission, Latch};
use crate::packet::RtpHeader;
use crate::play::Player;
use crate::relay::Outgoing;
use crate::sequence::{Place, Sequencer, Verdict};
use crate::stats::Reception;
use crate::{Codec, Direction, Event, LegId, LegStats, StreamSettings};

/// Comfort noise (RFC 3389), the same static payload type everywhere.
pub(crate) const COMFORT_NOISE: u8 = 13;

/// What is silent this long is said to be silent; then again each time the span doubles.
pub(crate) const SILENCE_FIRST: Duration = Duration::from_secs(5);

/// A leg of a call.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) outgoing: Outgoing,
    /// The slot of the leg that hears this one and is heard by it.
    pub(crate) peer: Option<u32>,
    /// `Event::Bridged` was said since the last bridge.
    pub(crate) bridged_said: bool,
    pub(crate) player: Option<Player>,
    pub(crate) tapped: bool,
    pub(crate) packets_sent: u64,
    pub(crate) tap_dropped: u64,
    settings: Option<StreamSettings>,
    latch: Latch,
    sequencer: Sequencer,
    reception: Reception,
    refused: u64,
    silence: Silence,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arrival {
    /// Checked and counted; it may go on.
    Taken(Received),
    /// Valid, but this leg's direction lets nothing in.
    Withheld,
    /// Malformed, a stranger's, of an unknown type, or seen before.
    Refused,
}

/// A packet of the far end that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) header: RtpHeader,
    pub(crate) place: Place,
    pub(crate) kind: PayloadKind,
}

/// What a payload type means on the leg where it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    Audio(Codec),
    KeyPress,
    ComfortNoise,
}

/// How a packet goes out on a leg.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    pub(crate) to: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) codec: Codec,
}

#[derive(Debug, Default)]
struct Silence {
    /// The last packet, or when packets began to be expected.
    since: Duration,
    /// The span that was said last.
    said: Option<Duration>,
}

impl Leg {
    pub(crate) fn new(id: LegId, outgoing: Outgoing) -> Self {
        Self {
            id,
            outgoing,
            peer: None,
            bridged_said: false,
            player: None,
            tapped: false,
            packets_sent: 0,
            tap_dropped: 0,
            settings: None,
            latch: Latch::default(),
            sequencer: Sequencer::default(),
            reception: Reception::default(),
            refused: 0,
            silence: Silence::default(),
        }
    }

    /// Takes what offer/answer agreed.
    pub(crate) fn configure(&mut self, now: Duration, settings: StreamSettings) {
        let expected_before = self.may_receive();
        self.latch.signal(now, settings.remote);
        self.settings = Some(settings);
        if !expected_before {
            self.silence = Silence { since: now, said: None };
        }
    }

    /// Checks and counts one datagram.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        events: &mut Vec<Event>,
    ) -> Arrival {
        let arrival = self.judge(now, from, bytes, events);
        if matches!(arrival, Arrival::Refused) {
            self.refused += 1;
        }
        arrival
    }

    /// How a packet of this kind goes out here; `None` when it must not or cannot.
    pub(crate) fn passage(&self, kind: PayloadKind) -> Option<Passage> {
        let settings = self.settings.as_ref()?;
        let may_send = matches!(settings.direction, Direction::SendRecv | Direction::SendOnly);
        let payload_type = match kind {
            PayloadKind::Audio(_) => settings.payload_type,
            PayloadKind::KeyPress => settings.event_payload_type?,
            PayloadKind::ComfortNoise => COMFORT_NOISE,
        };
        let to = self.latch.target()?;
        may_send.then_some(Passage { to, payload_type, codec: settings.codec })
    }

    /// How audio that we make goes out here, and samples per packet; `None` when it must not or cannot.
    pub(crate) fn own_passage(&self) -> Option<Passage> {
        let codec = self.settings.as_ref()?.codec;
        self.passage(PayloadKind::Audio(codec))
    }

    /// Samples in a packet that we make: 10 to 60 ms.
    pub(crate) fn frame_samples(&self) -> usize {
        let ptime_ms = self.settings.as_ref().map_or(20, |settings| settings.ptime_ms);
        8 * usize::from(ptime_ms.clamp(10, 60))
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.settings.is_some()
    }

    /// The span of silence that is to be said now, if any.
    pub(crate) fn silence_to_say(&mut self, now: Duration) -> Option<Duration> {
        if !self.may_receive() {
            return None;
        }
        let next = self.silence.said.map_or(SILENCE_FIRST, |said| said * 2);
        let silence = now.saturating_sub(self.silence.since);
        if silence < next {
            return None;
        }
        self.silence.said = Some(next);
        Some(silence)
    }

    pub(crate) fn stats(&self) -> LegStats {
        LegStats {
            packets_received: self.reception.received(),
            packets_sent: self.packets_sent,
            bytes_received: self.reception.bytes(),
            packets_lost: self.reception.lost(),
            jitter_ms: self.reception.jitter_ms(),
            packets_refused: self.refused,
            tap_dropped: self.tap_dropped,
        }
    }

    fn judge(&mut self, now: Duration, from: SocketAddr, bytes: &[u8], events: &mut Vec<Event>) -> Arrival {
        let Some((header, kind)) = self.recognise(bytes) else {
            return Arrival::Refused;
        };
        match self.latch.admit(now, from, header.ssrc) {
            Admission::Known => {}
            Admission::Latched => events.push(Event::Latched { leg: self.id, source: from }),
            Admission::Stranger => return Arrival::Refused,
        }
        if self.silence.end(now) {
            events.push(Event::Heard { leg: self.id });
        }

        let verdict = self.sequencer.place(header.ssrc, header.sequence);
        let audio = matches!(kind, PayloadKind::Audio(_));
        self.reception.count(now, verdict, &header, audio);
        match verdict {
            Verdict::Begins(place) | Verdict::Advances(place) | Verdict::Fills(place) if self.may_receive() => {
                Arrival::Taken(Received { header, place, kind })
            }
            Verdict::Begins(_) | Verdict::Advances(_) | Verdict::Fills(_) => Arrival::Withheld,
            Verdict::Stale | Verdict::Jumped => Arrival::Refused,
        }
    }

    fn recognise(&self, bytes: &[u8]) -> Option<(RtpHeader, PayloadKind)> {
        let settings = self.settings.as_ref()?;
        let header = RtpHeader::parse(bytes).ok()?;
        let kind = match header.payload_type {
            agreed if agreed == settings.payload_type_received => PayloadKind::Audio(settings.codec),
            event if Some(event) == settings.event_payload_type_received => PayloadKind::KeyPress,
            COMFORT_NOISE => PayloadKind::ComfortNoise,
            _ => return None,
        };
        Some((header, kind))
    }

    fn may_receive(&self) -> bool {
        let direction = self.settings.as_ref().map(|settings| settings.direction);
        matches!(direction, Some(Direction::SendRecv | Direction::RecvOnly))
    }
}

impl Silence {
    /// Remembers a packet; true when silence had been said.
    fn end(&mut self, now: Duration) -> bool {
        self.since = now;
        self.said.take().is_some()
    }
}
