//! One leg: what its far end sends is checked and counted here, what it hears is numbered here.
//!
//! Knows nothing of other legs; who hears whom is the engine's.

mod protection;
mod reports;
mod sending;

use std::net::SocketAddr;
use std::time::Duration;

use self::protection::Protection;
use crate::codec::CodecError;
use crate::engine::Arrival;
use crate::latch::{Admission, Latch};
use crate::packet::{PACKET_BYTES_MAX, RtpHeader};
use crate::relay::Outgoing;
use crate::sequence::{Place, Sequencer, Verdict};
use crate::srtp::SessionKeys;
use crate::stats::Reception as Counts;
use crate::transcode::{Target, Transcoder};
use crate::voice::Voice;
use crate::{Codec, Direction, Event, LegId, LegStats, Sides, StreamSettings, Supervision, dtmf, rtcp};

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
    /// Audio that is made for this leg on the tick, while there is any.
    pub(crate) voice: Option<Box<Voice>>,
    /// The last voice, for the next time.
    spare: Option<Box<Voice>>,
    /// Turns the other side's codec into ours, when they differ.
    pub(crate) transcoder: Option<Box<Transcoder>>,
    /// The leg that this one supervises, and how.
    pub(crate) supervises: Option<Supervised>,
    /// Somebody supervises this leg's call.
    pub(crate) supervised: bool,
    pub(crate) tapped: bool,
    pub(crate) copied: bool,
    pub(crate) secure: bool,
    pub(crate) tap_dropped: u64,
    packets_sent: u64,
    settings: Option<StreamSettings>,
    protection: Protection,
    latch: Latch,
    /// Where control packets come from, when that is not the audio's source.
    control_source: Option<SocketAddr>,
    sequencer: Sequencer,
    counts: Counts,
    key_receiver: dtmf::Receiver,
    presses: Vec<dtmf::Press>,
    /// Where handshake datagrams come from.
    handshake_source: Option<SocketAddr>,
    handshakes_left: u16,
    session: rtcp::Session,
    refused: u64,
    unauthentic: u64,
    /// Figures of transcoders and voices that are gone.
    gone: Gone,
    silence: Silence,
}

/// What a supervisor's leg has to do with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Supervised {
    /// The slot of the supervised leg.
    pub(crate) target: u32,
    pub(crate) mode: Supervision,
    pub(crate) hears: Sides,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reception {
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
    /// It is the first to tell of a key that went down.
    pub(crate) key_down: bool,
}

/// What a payload type means on the leg where it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    Audio(Codec),
    KeyPress {
        /// Ticks of its timestamps and durations per second.
        clock_hz: u32,
    },
    ComfortNoise,
}

/// How a packet goes out on a leg.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    pub(crate) to: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) codec: Codec,
}

/// Figures of transcoders and voices that this leg no longer has.
#[derive(Debug, Default)]
struct Gone {
    samples_concealed: u64,
    underruns: u64,
}

#[derive(Debug, Default)]
struct Silence {
    /// The last packet, or when packets began to be expected.
    since: Duration,
    /// The span that was said last.
    said: Option<Duration>,
}

impl Leg {
    /// `seed` spreads the times of its reports.
    pub(crate) fn new(now: Duration, id: LegId, outgoing: Outgoing, seed: u64) -> Self {
        Self {
            id,
            peer: None,
            bridged_said: false,
            voice: None,
            spare: None,
            transcoder: None,
            supervises: None,
            supervised: false,
            tapped: false,
            copied: false,
            secure: false,
            tap_dropped: 0,
            packets_sent: 0,
            settings: None,
            protection: Protection::new(),
            latch: Latch::default(),
            control_source: None,
            sequencer: Sequencer::default(),
            counts: Counts::default(),
            key_receiver: dtmf::Receiver::new(8_000),
            presses: Vec::with_capacity(PRESSES_MAX),
            session: rtcp::Session::new(now, outgoing.ssrc(), &format!("{seed:016x}@calmline"), seed),
            outgoing,
            handshake_source: None,
            handshakes_left: reports::HANDSHAKES_MAX,
            refused: 0,
            unauthentic: 0,
            gone: Gone::default(),
            silence: Silence::default(),
        }
    }

    /// Takes what offer/answer agreed.
    pub(crate) fn configure(&mut self, now: Duration, settings: StreamSettings) {
        let expected_before = self.may_receive();
        self.latch.signal(now, settings.remote);
        self.protection.configure(&settings.security);
        self.outgoing.set_clock(settings.codec.clock_hz());
        self.counts.set_clock(settings.codec.clock_hz());
        self.session.set_codec(settings.codec);
        if self.settings.as_ref().is_none_or(|before| before.codec.clock_hz() != settings.codec.clock_hz()) {
            self.key_receiver = dtmf::Receiver::new(settings.codec.clock_hz());
        }
        self.settings = Some(settings);
        if !expected_before {
            self.silence = Silence { since: now, said: None };
        }
    }

    /// Opens, checks and counts one datagram, which afterwards is `arrival.length` octets of plain RTP.
    pub(crate) fn receive(&mut self, now: Duration, arrival: &mut Arrival<'_>, events: &mut Vec<Event>) -> Reception {
        let reception = self.judge(now, arrival, events);
        if matches!(reception, Reception::Refused) {
            self.refused += 1;
        }
        reception
    }

    /// How a packet of this kind goes out here; `None` when it must not or cannot.
    pub(crate) fn passage(&self, kind: PayloadKind) -> Option<Passage> {
        let settings = self.settings.as_ref()?;
        let may_send = matches!(settings.direction, Direction::SendRecv | Direction::SendOnly);
        let payload_type = match kind {
            PayloadKind::Audio(_) => settings.payload_type,
            PayloadKind::KeyPress { .. } => settings.event_payload_type?,
            // Its number is tied to the 8 kHz clock (RFC 3389 §6).
            PayloadKind::ComfortNoise => (settings.codec.clock_hz() == 8_000).then_some(COMFORT_NOISE)?,
        };
        let to = self.latch.target()?;
        may_send.then_some(Passage { to, payload_type, codec: settings.codec })
    }

    /// What audio that is made for this leg has to be; `None` before anything was agreed.
    pub(crate) fn target(&self) -> Option<Target> {
        let settings = self.settings.as_ref()?;
        let longest_ms = if settings.codec == Codec::L16Wide { 40 } else { 60 };
        Some(Target { codec: settings.codec, ptime_ms: settings.ptime_ms.clamp(10, longest_ms), opus: settings.opus })
    }

    /// The payload type of key presses that this leg may be sent.
    pub(crate) fn event_payload_type(&self) -> Option<u8> {
        self.settings.as_ref()?.event_payload_type
    }

    /// Takes the keys that a handshake has brought.
    pub(crate) fn take_keys(&mut self, keys: &SessionKeys) {
        self.protection.take_keys(keys);
    }

    /// Whether what this leg sends is copied to the listening side.
    pub(crate) fn is_tapped(&self) -> bool {
        self.tapped && !self.secure
    }

    /// What comes next from the other side follows what was sent: audio was withheld in between.
    pub(crate) fn interrupt(&mut self) {
        self.outgoing.interrupt();
        if let Some(transcoder) = &mut self.transcoder {
            transcoder.interrupt();
        }
    }

    /// What is made on the tick, begun if there is nothing yet.
    ///
    /// # Errors
    /// When the codec cannot be opened.
    pub(crate) fn raise_voice(&mut self, now: Duration, target: Target) -> Result<&mut Voice, CodecError> {
        if self.voice.is_none() {
            let mut voice = match self.spare.take() {
                Some(voice) => voice,
                None => Box::new(Voice::new(target, now)?),
            };
            voice.begin(now);
            self.voice = Some(voice);
        }
        Ok(self.voice.as_mut().expect("it was just put there"))
    }

    /// Ends what is made on the tick; it is kept for the next time, so that nothing is freed on the tick.
    pub(crate) fn drop_voice(&mut self) {
        let Some(mut voice) = self.voice.take() else { return };
        self.gone.underruns += voice.take_underruns();
        self.spare = Some(voice);
        if let Some(transcoder) = &mut self.transcoder {
            transcoder.interrupt();
        }
    }

    /// Ends the transcoding to this leg.
    pub(crate) fn drop_transcoder(&mut self) {
        if let Some(transcoder) = self.transcoder.take() {
            self.gone.samples_concealed += transcoder.stats().concealed_samples;
        }
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
        let underruns = self.voice.as_ref().map_or(0, |voice| voice.underruns());
        let concealed = self.transcoder.as_ref().map_or(0, |transcoder| transcoder.stats().concealed_samples);
        LegStats {
            packets_received: self.counts.received(),
            packets_sent: self.packets_sent,
            bytes_received: self.counts.bytes(),
            packets_lost: self.counts.lost(),
            jitter_ms: self.counts.jitter_ms(),
            packets_refused: self.refused,
            tap_dropped: self.tap_dropped,
            packets_unauthentic: self.unauthentic,
            samples_concealed: self.gone.samples_concealed + concealed,
            underruns: self.gone.underruns + underruns,
            quality: self.quality(),
        }
    }

    fn judge(&mut self, now: Duration, arrival: &mut Arrival<'_>, events: &mut Vec<Event>) -> Reception {
        if arrival.length > PACKET_BYTES_MAX {
            return Reception::Refused;
        }
        let Some(length) = self.protection.open(&mut arrival.bytes[..arrival.length]) else {
            self.unauthentic += 1;
            return Reception::Refused;
        };
        arrival.length = length;
        let datagram = &arrival.bytes[..length];
        let Some((header, kind)) = self.recognise(datagram) else {
            return Reception::Refused;
        };
        match self.latch.admit(now, arrival.from, header.ssrc) {
            Admission::Known => {}
            Admission::Latched => events.push(Event::Latched { leg: self.id, source: arrival.from }),
            Admission::Stranger => return Reception::Refused,
        }
        if self.silence.end(now) {
            events.push(Event::Heard { leg: self.id });
        }

        let verdict = self.sequencer.place(header.ssrc, header.sequence);
        let audio = matches!(kind, PayloadKind::Audio(_));
        self.counts.count(arrival.at, verdict, &header, audio);
        let place = match verdict {
            Verdict::Begins(place) | Verdict::Advances(place) | Verdict::Fills(place) => place,
            Verdict::Stale | Verdict::Jumped => return Reception::Refused,
        };
        if !self.may_receive() {
            return Reception::Withheld;
        }
        let mut key_down = false;
        if let PayloadKind::KeyPress { .. } = kind {
            let payload = &arrival.bytes[header.payload_start..header.payload_end];
            key_down = self.hear_key(now, &header, payload, events);
        }
        Reception::Taken(Received { header, place, kind, key_down })
    }

    fn recognise(&self, bytes: &[u8]) -> Option<(RtpHeader, PayloadKind)> {
        let settings = self.settings.as_ref()?;
        let header = RtpHeader::parse(bytes).ok()?;
        let kind = match header.payload_type {
            agreed if agreed == settings.payload_type_received => PayloadKind::Audio(settings.codec),
            event if Some(event) == settings.event_payload_type_received => {
                PayloadKind::KeyPress { clock_hz: settings.codec.clock_hz() }
            }
            COMFORT_NOISE => PayloadKind::ComfortNoise,
            // An answerer may send what its own answer says although we offered another number.
            other if other == settings.payload_type => PayloadKind::Audio(settings.codec),
            other if Some(other) == settings.event_payload_type => {
                PayloadKind::KeyPress { clock_hz: settings.codec.clock_hz() }
            }
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

/// Presses that one telephone-event packet brings at most.
const PRESSES_MAX: usize = 4;
