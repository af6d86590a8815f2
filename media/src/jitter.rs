//! The listening side's jitter buffer: RTP packets of one leg in any order → 8 kHz audio in order, on a true time axis.
//!
//! Position 0 is the arrival of the first packet and positions count real time from there: a gap of the sender, a
//! loss, a jump of its timestamps or a new source never moves later audio away from when it was heard. Not in the
//! way of the call: the relay has long forwarded the packet.

use std::collections::BTreeMap;
use std::time::Duration;

use dasp::Sample;
use rtc_shared::marshal::Unmarshal;

use crate::Codec;
use crate::codec::Decoder;
use crate::packet::Ssrc;
use crate::sequence::{Sequencer, Verdict};

#[cfg(test)]
mod tests;

/// How long a missing packet is waited for, counted from the packet after it.
const WINDOW: u64 = milliseconds(60);
/// How far ahead of real time a packet is given out; more waits for its time.
const LEAD: u64 = milliseconds(40);
/// A packet further ahead than this is a jump of the sender's timestamps.
const EARLY_MAX: u64 = milliseconds(200);
/// How long a stream must be ahead of real time before it is moved back.
const SETTLE: u64 = milliseconds(2_000);
/// How long a loss is concealed; silence after that.
const CONCEAL_MAX: u64 = milliseconds(60);
/// The longest piece of concealment or silence.
const PIECE: u64 = milliseconds(20);
/// Packets that wait at most; more are refused.
const PENDING_MAX: usize = 64;
/// The longest payload that is taken, samples: 100 ms.
const PAYLOAD_MAX: usize = 800;
/// An Opus payload up to this long is no audio (RFC 6716 §3.1: DTX).
const OPUS_DTX_OCTETS_MAX: usize = 2;

/// The sample rate of everything that comes out, Hz.
pub const RATE_HZ: u32 = 8_000;

/// Orders, decodes and fills what one leg sends.
#[derive(Debug)]
pub struct JitterBuffer {
    codec: Codec,
    /// `None` when the codec's library gives none; nothing is heard then.
    decoder: Option<Decoder>,
    payload_type: u8,
    sequencer: Sequencer,
    /// The arrival of the first packet: position 0.
    start: Option<Duration>,
    /// The newest packet's timestamp and position, from which the next one is placed.
    anchor: Option<(u32, u64)>,
    /// What has arrived and was not given out, by position.
    pending: BTreeMap<u64, Waiting>,
    /// The position after the last one given out.
    cursor: u64,
    /// How far the stream has been ahead at least, and since which position that is watched.
    ahead: (u64, u64),
    /// The number of the last packet that was given out, and the samples made since; `None` before the first.
    heard: Option<(u64, u64)>,
    /// The sender has said that it pauses.
    is_paused: bool,
    /// Samples before they are brought to `[-1, 1]`.
    scratch: Vec<i16>,
    stats: JitterStats,
}

/// What `pop` has put into the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Position of the first sample; pieces follow each other without a gap.
    pub position: u64,
    /// Where the samples come from.
    pub kind: PieceKind,
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// A packet.
    Heard,
    /// Made in place of something missing.
    Concealed,
    /// Nothing was there: a longer gap, or the sender is silent.
    Silence,
}

/// The figures of one buffer since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Audio packets taken.
    pub packets: u64,
    /// Packets seen before.
    pub duplicates: u64,
    /// Packets that came after their place had been filled, or lay under newer audio after a jump.
    pub late: u64,
    /// Packets that were no RTP, too long, or too many at once.
    pub refused: u64,
    /// Packets of another payload type, telephone-event among them.
    pub ignored: u64,
    /// Packets missing in the sequence; a late one counts until it comes.
    pub lost: u64,
    /// New sources, timestamp jumps and corrections of the time axis.
    pub resyncs: u64,
    /// Samples made in place of something missing.
    pub concealed_samples: u64,
    /// Samples of silence that were put in.
    pub silence_samples: u64,
}

#[derive(Debug)]
struct Waiting {
    arrival: u64,
    number: u64,
    /// How many samples it will be.
    length: usize,
    sound: Sound,
}

#[derive(Debug)]
enum Sound {
    /// As it came.
    Payload(Vec<u8>),
    /// Decoded, because the codec has changed since.
    Samples(Vec<i16>),
}

impl JitterBuffer {
    /// A buffer for the codec and payload type that were agreed.
    pub fn new(codec: Codec, payload_type: u8) -> Self {
        JitterBuffer {
            codec,
            decoder: Decoder::new(codec, RATE_HZ).ok(),
            payload_type,
            sequencer: Sequencer::default(),
            start: None,
            anchor: None,
            pending: BTreeMap::new(),
            cursor: 0,
            ahead: (u64::MAX, 0),
            heard: None,
            is_paused: false,
            scratch: Vec::with_capacity(PAYLOAD_MAX),
            stats: JitterStats::default(),
        }
    }

    /// What a re-offer agreed; audio that waits is kept.
    pub fn configure(&mut self, codec: Codec, payload_type: u8) {
        self.payload_type = payload_type;
        if self.codec == codec {
            return;
        }
        for waiting in self.pending.values_mut() {
            let mut samples = Vec::with_capacity(waiting.length);
            waiting.decode(self.decoder.as_mut(), &mut samples);
            waiting.sound = Sound::Samples(samples);
        }
        // The old codec's clock says nothing of the new one's.
        self.anchor = None;
        self.codec = codec;
        self.decoder = Decoder::new(codec, RATE_HZ).ok();
    }

    /// The source has sent elsewhere meanwhile: what went there is not missing, and its next packet begins anew.
    pub fn renew(&mut self) {
        self.sequencer.renew();
    }

    /// Takes one datagram as it arrived. Never fails: what cannot be used is counted.
    pub fn push(&mut self, arrival: Duration, datagram: &[u8]) {
        let Ok(packet) = rtp::Packet::unmarshal(&mut &*datagram) else {
            self.stats.refused += 1;
            return;
        };
        if packet.header.version != 2 {
            self.stats.refused += 1;
            return;
        }

        let verdict = self.sequencer.place(Ssrc(packet.header.ssrc), packet.header.sequence_number);
        self.stats.lost = self.sequencer.lost();
        let (place, begins) = match verdict {
            Verdict::Begins(place) => (place, true),
            Verdict::Advances(place) | Verdict::Fills(place) => (place, false),
            Verdict::Duplicate => {
                self.stats.duplicates += 1;
                return;
            }
            Verdict::Stale | Verdict::Jumped => {
                self.stats.late += 1;
                return;
            }
        };
        if packet.header.payload_type != self.payload_type || packet.payload.is_empty() {
            self.stats.ignored += 1;
            if begins {
                self.anchor = None;
            }
            return;
        }
        let length = self.decoder.as_ref().and_then(|decoder| decoder.samples_in(&packet.payload));
        let Some(length) = length.filter(|length| (1..=PAYLOAD_MAX).contains(length)) else {
            self.stats.refused += 1;
            if begins {
                self.anchor = None;
            }
            return;
        };

        let start = *self.start.get_or_insert(arrival);
        let arrival = position_at(start, arrival);
        let timestamp = packet.header.timestamp;
        let position = match verdict {
            Verdict::Begins(_) => self.begin(timestamp, arrival),
            Verdict::Fills(_) => self.by_timestamp(timestamp).unwrap_or(0),
            _ => self.newest(timestamp, arrival),
        };
        let (number, sound) = (place.number(), Sound::Payload(packet.payload.to_vec()));
        self.keep(position, Waiting { arrival, number, length, sound });
    }

    /// Gives out the next piece: clears `samples`, fills them, and says where they stand; `None` when nothing is due.
    ///
    /// Call until `None`. Samples are in `[-1, 1]`, a piece has at most 100 ms.
    pub fn pop(&mut self, now: Duration, samples: &mut Vec<f32>) -> Option<Piece> {
        samples.clear();
        let now = position_at(self.start?, now);
        while let Some(entry) = self.pending.first_entry() {
            let position = *entry.key();
            if position + entry.get().length as u64 <= self.cursor {
                self.stats.late += 1;
                entry.remove();
                continue;
            }
            if position > now + LEAD {
                break;
            }
            if position <= self.cursor {
                let waiting = entry.remove();
                let covered = (self.cursor - position) as usize;
                self.hear(&waiting, covered, samples);
                return Some(self.give(PieceKind::Heard, samples));
            }
            if now >= entry.get().arrival + WINDOW {
                let missing = position - self.cursor;
                return Some(self.give_fill(missing, samples));
            }
            break;
        }

        let limit = self.pending.first_key_value().map_or(u64::MAX, |(position, _)| *position);
        if self.cursor + PIECE + WINDOW > now || self.cursor >= limit {
            return None;
        }
        Some(self.give_fill(limit - self.cursor, samples))
    }

    /// When `pop` will next have something without another packet; `None` before the first one.
    pub fn deadline(&self) -> Option<Duration> {
        let by_time = self.cursor + PIECE + WINDOW;
        let by_packet = self.pending.first_key_value().map(|(position, waiting)| {
            let due = position.saturating_sub(LEAD);
            if *position <= self.cursor { due } else { due.max(waiting.arrival + WINDOW) }
        });
        Some(self.start? + duration_of(by_packet.map_or(by_time, |at| at.min(by_time))))
    }

    /// When the sample at `position` was heard, as a time since the program's start; `None` before the first packet.
    pub fn time_of(&self, position: u64) -> Option<Duration> {
        Some(self.start? + duration_of(position))
    }

    /// The figures so far.
    pub fn stats(&self) -> JitterStats {
        self.stats
    }

    /// A new source begins at the time it is heard, behind what waits of the old one.
    fn begin(&mut self, timestamp: u32, arrival: u64) -> u64 {
        if self.anchor.is_some() {
            self.stats.resyncs += 1;
        }
        let waiting = self.pending.last_key_value().map_or(0, |(position, w)| position + w.length as u64);
        let position = arrival.max(waiting).max(self.cursor);
        self.set_anchor(timestamp, position, arrival);
        position
    }

    /// The newest packet of a source is placed by its timestamp, unless real time says otherwise.
    fn newest(&mut self, timestamp: u32, arrival: u64) -> u64 {
        let Some(position) = self.by_timestamp(timestamp) else {
            return self.begin(timestamp, arrival);
        };
        if position < self.cursor {
            // The wait was too short, or the sender's clock stood still: go on where we are.
            self.set_anchor(timestamp, self.cursor, arrival);
            return self.cursor;
        }
        let ahead = position - arrival.min(position);
        if ahead > EARLY_MAX {
            return self.move_back(timestamp, arrival, arrival);
        }
        self.ahead.0 = self.ahead.0.min(ahead);
        if arrival >= self.ahead.1 + SETTLE {
            let excess = self.ahead.0;
            self.ahead = (u64::MAX, arrival);
            if excess > LEAD {
                return self.move_back(timestamp, position - excess, arrival);
            }
        }
        self.anchor = Some((timestamp, position));
        position
    }

    /// Puts the stream back to `position`; audio that waits beyond it gives way.
    fn move_back(&mut self, timestamp: u32, position: u64, arrival: u64) -> u64 {
        self.stats.resyncs += 1;
        self.stats.late += self.pending.split_off(&position).len() as u64;
        self.set_anchor(timestamp, position, arrival);
        position
    }

    fn set_anchor(&mut self, timestamp: u32, position: u64, arrival: u64) {
        self.anchor = Some((timestamp, position));
        self.ahead = (u64::MAX, arrival);
    }

    fn by_timestamp(&self, timestamp: u32) -> Option<u64> {
        let (anchor, position) = self.anchor?;
        // The signed difference modulo 2^32 is the short way round the circle.
        let step = i64::from(timestamp.wrapping_sub(anchor) as i32);
        let samples = (step * i64::from(RATE_HZ)).div_euclid(i64::from(self.codec.clock_hz()));
        Some(position.saturating_add_signed(samples))
    }

    fn keep(&mut self, position: u64, waiting: Waiting) {
        let covered = position + waiting.length as u64 <= self.cursor;
        // Only an older packet with a false timestamp can be that far ahead: the newest one moves the stream.
        if covered || position > waiting.arrival.max(self.cursor) + EARLY_MAX + PAYLOAD_MAX as u64 {
            self.stats.late += 1;
        } else if self.pending.len() >= PENDING_MAX {
            self.stats.refused += 1;
        } else {
            self.stats.packets += 1;
            if self.pending.insert(position, waiting).is_some() {
                self.stats.late += 1;
            }
        }
    }

    /// Decodes a packet, but for the samples that something else stood in for.
    fn hear(&mut self, waiting: &Waiting, covered: usize, samples: &mut Vec<f32>) {
        self.scratch.clear();
        waiting.decode(self.decoder.as_mut(), &mut self.scratch);
        samples.extend(self.scratch[covered..].iter().map(|sample| sample.to_sample::<f32>()));
        self.heard = Some((waiting.number, 0));
        self.is_paused = self.codec == Codec::Opus && waiting.octets() <= OPUS_DTX_OCTETS_MAX;
    }

    fn give_fill(&mut self, missing: u64, samples: &mut Vec<f32>) -> Piece {
        let kind = self.fill(missing.min(PIECE), missing, samples);
        match kind {
            PieceKind::Concealed => self.stats.concealed_samples += samples.len() as u64,
            _ => self.stats.silence_samples += samples.len() as u64,
        }
        self.give(kind, samples)
    }

    /// Appends at most `length` samples of the `missing` ones before the next packet.
    fn fill(&mut self, length: u64, missing: u64, samples: &mut Vec<f32>) -> PieceKind {
        let next = self.pending.first_key_value().map(|(_, waiting)| waiting);
        let (last, made) = self.heard.unwrap_or((0, CONCEAL_MAX));
        // Nothing is lost between two packets in sequence: the sender itself made the gap.
        self.is_paused |= made == 0 && next.is_some_and(|next| next.number == last + 1);
        let (Some(decoder), false) = (&mut self.decoder, self.is_paused || made >= CONCEAL_MAX) else {
            samples.resize(samples.len() + length as usize, 0.0);
            return PieceKind::Silence;
        };
        let length = length.min(CONCEAL_MAX - made) as usize;
        self.scratch.clear();
        match next.map(|next| (next, &next.sound)) {
            Some((next, Sound::Payload(payload))) if missing == length as u64 && next.length == length => {
                decoder.recover(payload, length, &mut self.scratch);
            }
            _ => decoder.conceal(length, &mut self.scratch),
        }
        samples.extend(self.scratch.iter().map(|sample| sample.to_sample::<f32>()));
        self.heard = Some((last, made + length as u64));
        PieceKind::Concealed
    }

    fn give(&mut self, kind: PieceKind, samples: &[f32]) -> Piece {
        let piece = Piece { position: self.cursor, kind };
        self.cursor += samples.len() as u64;
        piece
    }
}

impl Waiting {
    /// Makes all its samples; silence when the payload turns out to be damaged.
    fn decode(&self, decoder: Option<&mut Decoder>, samples: &mut Vec<i16>) {
        match (&self.sound, decoder) {
            (Sound::Samples(decoded), _) => samples.extend_from_slice(decoded),
            (Sound::Payload(payload), Some(decoder)) => _ = decoder.decode(payload, samples),
            (Sound::Payload(_), None) => {}
        }
        samples.resize(self.length, 0);
    }

    fn octets(&self) -> usize {
        match &self.sound {
            Sound::Payload(payload) => payload.len(),
            Sound::Samples(_) => usize::MAX,
        }
    }
}

const fn milliseconds(count: u64) -> u64 {
    count * RATE_HZ as u64 / 1_000
}

/// The position at a moment; the start itself for anything before it.
fn position_at(start: Duration, moment: Duration) -> u64 {
    let since = moment.saturating_sub(start);
    (since.as_nanos() * u128::from(RATE_HZ) / 1_000_000_000) as u64
}

fn duration_of(position: u64) -> Duration {
    let rate = u64::from(RATE_HZ);
    // Rounded up, so that the position is reached at that moment.
    let nanoseconds = (position % rate * 1_000_000_000).div_ceil(rate);
    Duration::from_secs(position / rate) + Duration::from_nanos(nanoseconds)
}
