//! One leg: what its far end sends is checked and counted here, what it hears is numbered here.
//!
//! Knows nothing of other legs; who hears whom is the engine's.

mod capture;
mod partner;
mod protection;
mod reports;
mod sending;
mod tie;

pub(crate) use capture::{Capture, Captures};
pub(crate) use sending::rescale_duration;

use std::net::SocketAddr;
use std::time::Duration;

use self::partner::Partner;
use self::protection::Protection;
use self::tie::Tie;
use crate::codec::CodecError;
use crate::engine::{Arrival, Channel};
use crate::latch::{Admission, Latch};
use crate::packet::{PACKET_BYTES_MAX, RtpHeader};
use crate::relay::Outgoing;
use crate::sdp::Formats;
use crate::sequence::{Place, Sequencer, Verdict};
use crate::srtp::SessionKeys;
use crate::stats::Reception as Counts;
use crate::transcode::{Target, Transcoder};
use crate::voice::Voice;
use crate::{Codec, ControlPort, Direction, Event, LegId, LegStats, Sides, StreamSettings, Supervision, dtmf, rtcp};

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
    /// Turns the other side's codec into ours, when they differ, and its packets into shorter ones.
    pub(crate) transcoder: Option<Box<Transcoder>>,
    /// The other side's packets hold more than this far end takes.
    pub(crate) repacks: bool,
    /// The leg that this one supervises, and how.
    pub(crate) supervises: Option<Supervised>,
    /// Somebody supervises this leg's call.
    pub(crate) supervised: bool,
    pub(crate) tapped: bool,
    pub(crate) copied: bool,
    pub(crate) capture: Capture,
    pub(crate) secure: bool,
    pub(crate) tap_dropped: u64,
    packets_sent: u64,
    settings: Option<StreamSettings>,
    spoken: Spoken,
    protection: Protection,
    latch: Latch,
    tie: Tie,
    /// Where control packets come from, when that is not the audio's source.
    control_source: Option<SocketAddr>,
    sequencer: Sequencer,
    counts: Counts,
    key_receiver: dtmf::Receiver,
    presses: Vec<dtmf::Press>,
    partner: Partner,
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
    /// Ticks per second of durations of key presses.
    pub(crate) event_clock_hz: u32,
}

/// The codec that the far end speaks, by its packets.
#[derive(Debug, Default)]
struct Spoken {
    /// `None` before anything was agreed.
    codec: Option<Codec>,
    /// When its packets last changed to another codec.
    changed: Option<Duration>,
}

/// Figures of transcoders and voices that this leg no longer has.
#[derive(Debug, Default)]
struct Gone {
    concealed_ms: u64,
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
    /// `sequencer` has received nothing; `seed` spreads the times of its reports.
    pub(crate) fn new(now: Duration, id: LegId, outgoing: Outgoing, sequencer: Sequencer, seed: u64) -> Self {
        Self {
            id,
            peer: None,
            bridged_said: false,
            voice: None,
            spare: None,
            transcoder: None,
            repacks: false,
            supervises: None,
            supervised: false,
            tapped: false,
            copied: false,
            capture: Capture::default(),
            secure: false,
            tap_dropped: 0,
            packets_sent: 0,
            settings: None,
            spoken: Spoken::default(),
            protection: Protection::new(),
            latch: Latch::default(),
            tie: Tie::default(),
            control_source: None,
            sequencer,
            counts: Counts::default(),
            key_receiver: dtmf::Receiver::new(8_000),
            presses: Vec::with_capacity(PRESSES_MAX),
            session: rtcp::Session::new(now, outgoing.ssrc(), &format!("{seed:016x}@calmline"), seed),
            outgoing,
            partner: Partner::default(),
            refused: 0,
            unauthentic: 0,
            gone: Gone::default(),
            silence: Silence::default(),
        }
    }

    /// Takes what offer/answer agreed.
    pub(crate) fn configure(&mut self, now: Duration, settings: StreamSettings) {
        let expected_before = self.may_receive();
        let remote_before = self.settings.as_ref().and_then(|before| before.remote);
        if let (Some(old), Some(new)) = (remote_before, settings.remote)
            && old != new
        {
            self.partner.leave(old, new);
        }
        self.latch.signal(now, settings.remote);
        self.protection.configure(&settings.security, settings.control != ControlPort::Shared);
        self.outgoing.set_clock(settings.codec.clock_hz());
        self.session.set_codec(settings.codec);
        // What is spoken now goes on until the far end takes another: packets are on their way still.
        let goes_on = |codec| settings.also_received.payload_type(codec).is_some();
        let spoken = self.spoken.codec.filter(|&codec| goes_on(codec)).unwrap_or(settings.codec);
        self.spoken.codec = Some(spoken);
        self.counts.set_clock(spoken.clock_hz());
        self.repacks = false;
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
        let StreamSettings { codec, event_clock_hz, .. } = *settings;
        may_send.then_some(Passage { to, payload_type, codec, event_clock_hz })
    }

    /// Whether a payload of the other side holds more than a packet to this far end may.
    pub(crate) fn is_too_long(&self, codec: Codec, payload: &[u8]) -> bool {
        let longest_ms = self.settings.as_ref().and_then(|settings| settings.packet_ms_max);
        longest_ms.is_some_and(|ms| codec.ticks_in(payload) > codec.clock_hz() / 1_000 * u32::from(ms))
    }

    /// What audio that is made for this leg has to be; `None` before anything was agreed.
    pub(crate) fn target(&self) -> Option<Target> {
        let settings = self.settings.as_ref()?;
        let longest_ms = if settings.codec == Codec::L16Wide { 40 } else { 60 };
        Some(Target { codec: settings.codec, ptime_ms: settings.ptime_ms.clamp(10, longest_ms), opus: settings.opus })
    }

    /// The codec that the far end speaks; `None` before anything was agreed.
    pub(crate) fn spoken(&self) -> Option<Codec> {
        self.spoken.codec
    }

    /// A packet of the far end that was taken came too late to be heard.
    pub(crate) fn discard(&mut self, place: Place) {
        self.counts.discard(place);
    }

    /// The payload type of key presses that this leg may be sent, and their ticks per second.
    pub(crate) fn event(&self) -> Option<(u8, u32)> {
        let settings = self.settings.as_ref()?;
        Some((settings.event_payload_type?, settings.event_clock_hz))
    }

    /// Takes the keys that a handshake has brought for what goes through one of the ports.
    pub(crate) fn take_keys(&mut self, channel: Channel, keys: &SessionKeys) {
        self.protection.take_keys(channel, keys);
    }

    /// What was sent since the last packet went elsewhere.
    pub(crate) fn renew(&mut self) {
        self.sequencer.renew();
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

    /// What comes next is another far end's, whatever its numbers.
    pub(crate) fn hear_another(&mut self) {
        self.outgoing.interrupt();
        if let Some(transcoder) = &mut self.transcoder {
            transcoder.renew();
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
            if let Some(transcoder) = &mut self.transcoder {
                transcoder.interrupt();
                voice.encoder().go_on_from(transcoder.encoder());
            }
            self.voice = Some(voice);
        }
        Ok(self.voice.as_mut().expect("it was just put there"))
    }

    /// Ends what is made on the tick; it is kept for the next time, so that nothing is freed on the tick.
    pub(crate) fn drop_voice(&mut self) {
        let Some(mut voice) = self.voice.take() else { return };
        self.gone.underruns += voice.take_underruns();
        if let Some(transcoder) = &mut self.transcoder {
            transcoder.interrupt();
            transcoder.encoder().go_on_from(voice.encoder());
        }
        self.spare = Some(voice);
    }

    /// Begins the transcoding to this leg.
    ///
    /// # Errors
    /// When a codec cannot be opened.
    pub(crate) fn raise_transcoder(&mut self, spoken: Codec, target: Target) -> Result<(), CodecError> {
        let mut transcoder = Box::new(Transcoder::new(spoken, target)?);
        if let Some(before) = &mut self.transcoder {
            transcoder.encoder().go_on_from(before.encoder());
        } else if let Some(voice) = &mut self.spare {
            transcoder.encoder().go_on_from(voice.encoder());
        }
        self.drop_transcoder();
        self.transcoder = Some(transcoder);
        Ok(())
    }

    /// Ends the transcoding to this leg.
    pub(crate) fn drop_transcoder(&mut self) {
        if let Some(transcoder) = self.transcoder.take() {
            self.gone.concealed_ms += transcoder.concealed_ms();
            // The next one counts anew; its packets go on where the stream is.
            self.outgoing.interrupt();
        }
    }

    /// What to change about the tie of this leg's media socket to its far end, if anything.
    pub(crate) fn judge_tie(&mut self, now: Duration) -> Option<Option<SocketAddr>> {
        // Connectivity checks come from addresses that no audio comes from.
        let ice = self.settings.as_ref().is_none_or(|settings| settings.ice.is_some());
        self.tie.judge(now, self.latch.source().filter(|_| !ice))
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
        let concealed_ms = self.transcoder.as_ref().map_or(0, |transcoder| transcoder.concealed_ms());
        LegStats {
            packets_received: self.counts.received(),
            packets_sent: self.packets_sent,
            bytes_received: self.counts.bytes(),
            packets_lost: self.counts.lost(),
            jitter_ms: self.counts.jitter_ms(),
            packets_refused: self.refused,
            tap_dropped: self.tap_dropped,
            packets_unauthentic: self.unauthentic,
            concealed_ms: self.gone.concealed_ms + concealed_ms,
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

        if let PayloadKind::Audio(codec) = kind
            && !self.follow(now, codec)
        {
            return Reception::Refused;
        }
        let verdict = self.sequencer.place(header.ssrc, header.sequence);
        let audio = matches!(kind, PayloadKind::Audio(_));
        self.counts.count(arrival.at, verdict, &header, audio);
        let place = match verdict {
            Verdict::Begins(place) | Verdict::Advances(place) | Verdict::Fills(place) => place,
            Verdict::Duplicate | Verdict::Stale | Verdict::Jumped => return Reception::Refused,
        };
        if matches!(verdict, Verdict::Begins(_)) {
            // Another source has times of its own.
            self.key_receiver = dtmf::Receiver::new(self.key_receiver.clock_hz());
        }
        if !self.may_receive() {
            return Reception::Withheld;
        }
        let mut key_down = false;
        if let PayloadKind::KeyPress { clock_hz } = kind {
            let payload = &arrival.bytes[header.payload_start..header.payload_end];
            key_down = self.hear_key(now, clock_hz, &header, payload, events);
        }
        Reception::Taken(Received { header, place, kind, key_down })
    }

    /// Follows the far end to another codec that it may speak; false when it changes too often to be followed.
    fn follow(&mut self, now: Duration, codec: Codec) -> bool {
        if self.spoken.codec == Some(codec) {
            return true;
        }
        // Packets of the old codec that are late must not change it back and forth.
        if self.spoken.changed.is_some_and(|changed| now < changed + CODEC_STAYS) {
            return false;
        }
        self.spoken = Spoken { codec: Some(codec), changed: Some(now) };
        self.counts.set_clock(codec.clock_hz());
        true
    }

    fn recognise(&self, bytes: &[u8]) -> Option<(RtpHeader, PayloadKind)> {
        let settings = self.settings.as_ref()?;
        let header = RtpHeader::parse(bytes).ok()?;
        let kind = match header.payload_type {
            agreed if agreed == settings.payload_type_received => PayloadKind::Audio(settings.codec),
            event if Some(event) == settings.event_payload_type_received => {
                PayloadKind::KeyPress { clock_hz: settings.event_clock_hz }
            }
            COMFORT_NOISE => PayloadKind::ComfortNoise,
            // An answerer may send what its own answer says although we offered another number.
            other if other == settings.payload_type => PayloadKind::Audio(settings.codec),
            other if Some(other) == settings.event_payload_type => {
                PayloadKind::KeyPress { clock_hz: settings.event_clock_hz }
            }
            other => settings.also_received.kind_of(other)?,
        };
        Some((header, kind))
    }

    fn may_receive(&self) -> bool {
        let direction = self.settings.as_ref().map(|settings| settings.direction);
        matches!(direction, Some(Direction::SendRecv | Direction::RecvOnly))
    }
}

impl Formats {
    /// What packets of a payload type are.
    fn kind_of(&self, payload_type: u8) -> Option<PayloadKind> {
        let audio = self.codecs.iter().find(|(_, number)| *number == payload_type);
        let event = || self.events.iter().find(|(_, number)| *number == payload_type);
        let audio = audio.map(|&(codec, _)| PayloadKind::Audio(codec));
        audio.or_else(|| event().map(|&(clock_hz, _)| PayloadKind::KeyPress { clock_hz }))
    }
}

impl Silence {
    /// Remembers a packet; true when silence had been said.
    fn end(&mut self, now: Duration) -> bool {
        self.since = now;
        self.said.take().is_some()
    }
}

/// How long a codec is spoken at least: a sender that changes more often would have us open decoders all the time.
const CODEC_STAYS: Duration = Duration::from_millis(200);
/// Presses that one telephone-event packet brings at most.
const PRESSES_MAX: usize = 4;
