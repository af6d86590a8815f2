//! One speaking leg's packets in any order → frames on a tick, for audio that is mixed: late enough, never later.
//!
//! The delay follows the measured jitter up at once and down again when the network calms; both, and the drift of two
//! clocks, by whole pitch periods. Unlike `jitter`, whose time axis is the real one, this one may stretch. Allocates
//! only when it is made.

use std::time::Duration;

use crate::Codec;
use crate::codec::{CodecError, Decoder};
use crate::packet::Ssrc;
use crate::sequence::{Sequencer, Verdict};

mod audio;
mod delay;
mod noise;
mod queue;
mod timeline;

#[cfg(test)]
mod tests;

use audio::{Audio, Care};
use delay::Delay;
use noise::Noise;
use queue::{Content, Entry, Queue};
use timeline::Timeline;

/// The limits of one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutSettings {
    /// The delay in a calm network, ms.
    pub delay_ms_min: u32,
    /// The longest delay, ms; packets later than that are lost.
    pub delay_ms_max: u32,
    /// Packets that wait at most; the oldest gives way.
    pub packets_max: usize,
    /// The longest payload that is taken, octets.
    pub payload_octets_max: usize,
}

impl PlayoutSettings {
    /// What suits a codec: 20 to 200 ms, 64 packets of up to 60 ms.
    ///
    /// Opus waits for 40 ms at least: a packet of 20 ms is told of by the one after it, which has to be there up to a
    /// frame before its own time. The redundancy of longer packets comes in time only when jitter has made the delay
    /// longer; without it they are concealed.
    pub const fn of(codec: Codec) -> Self {
        let payload_octets_max = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => 512,
            Codec::L16Narrow => 960,
            Codec::L16Wide => 1_440,
        };
        let delay_ms_min = if matches!(codec, Codec::Opus) { 40 } else { 20 };
        Self { delay_ms_min, delay_ms_max: 200, packets_max: 64, payload_octets_max }
    }
}

/// A packet of the leg, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sends.
    pub ssrc: Ssrc,
    /// Sequence number as on the wire.
    pub sequence: u16,
    /// Timestamp as on the wire, in ticks of the codec's clock.
    pub timestamp: u32,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// What a packet carries, by its payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Audio of the codec.
    Audio(&'a [u8]),
    /// Comfort noise (RFC 3389): the sender falls silent, its room is so many dB below overload.
    ComfortNoise {
        /// -dBov, 0-127.
        level: u8,
    },
    /// Anything else that takes a sequence number, telephone-event among them.
    Other,
}

/// Where the samples of a frame come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Packets.
    Heard,
    /// Partly or all rebuilt: a packet is missing.
    Concealed,
    /// Silence or the sound of the room: nothing has come yet, the sender pauses, or too much is missing.
    Silence,
}

/// The figures of one buffer; counts are since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    /// Audio packets taken.
    pub packets: u64,
    /// Packets seen before.
    pub duplicates: u64,
    /// Packets that came too late to be played, or had to give way so that the delay stays bounded.
    pub late: u64,
    /// Packets that are malformed, too long, or of a source that is not believed.
    pub refused: u64,
    /// Packets missing in the sequence; a late one counts until it comes.
    pub lost: u64,
    /// New sources and jumps of the timestamps.
    pub resyncs: u64,
    /// Samples made in place of something missing.
    pub concealed_samples: u64,
    /// Of these, samples that the packet after a lost one could tell.
    pub recovered_samples: u64,
    /// Samples of silence or noise.
    pub silence_samples: u64,
    /// Samples put in to play later.
    pub inserted_samples: u64,
    /// Samples taken out to play earlier.
    pub removed_samples: u64,
    /// How far all but the latest packets are behind the fastest, ms.
    pub jitter_ms: u32,
    /// The delay that is aimed at, behind the fastest packet, ms.
    pub target_ms: u32,
    /// The delay as it is, behind the fastest packet, ms.
    pub delay_ms: u32,
}

/// Orders, decodes, fills and paces what one leg sends.
#[derive(Debug)]
pub struct Playout {
    codec: Codec,
    rate_hz: u32,
    decoder: Decoder,
    sequencer: Sequencer,
    timeline: Timeline,
    delay: Delay,
    queue: Queue,
    audio: Audio,
    noise: Noise,
    /// The position after the last sample that was decoded or given up; `None` before the first.
    next: Option<i64>,
    /// The number of the last packet that was played.
    played: u64,
    /// Samples made since there was something to play.
    filled: usize,
    /// How much of what waits ends with something made in place of a loss; samples.
    concealed: usize,
    /// The sender has said that it pauses.
    is_paused: bool,
    /// How far the output is behind the positions, smoothed; samples.
    offset: f64,
    /// Samples until the length may be changed again.
    rest: usize,
    stats: PlayoutStats,
}

/// How long a loss is concealed; the sound of the room after that.
const CONCEAL_MS_MAX: u32 = 60;
/// Beyond the ceiling by this, a timestamp has jumped.
const JUMP_MS: u32 = 300;
/// Too long by this, audio is taken out; too short by this, it is put in.
const LONG_MS: u32 = 15;
const SHORT_MS: u32 = 2;
/// Too long or too short by this, it is urgent.
const URGENT_MS: u32 = 40;
/// Between two changes of length, when they are not urgent.
const REST_MS: u32 = 60;
/// How far over the ceiling the delay may be, until packets give way.
const OVER_MS: u32 = 20;
/// What joins two pieces when packets had to give way.
const JOIN_MS: u32 = 5;
/// A gap between two packets in sequence that is not worth a pause.
const GAP_MS_MAX: u32 = 10;
/// When nothing comes for so long, there is no room any more.
const ROOM_MS_MAX: u32 = 1_000;
/// The packets after a lost one that may tell of it.
const RECOVERED_MAX: u64 = 8;
/// An Opus payload up to this long is no audio (RFC 6716 §3.1: DTX).
const OPUS_DTX_OCTETS_MAX: usize = 2;

impl Playout {
    /// A buffer whose frames have `rate_hz`: 8,000 or 16,000.
    ///
    /// # Errors
    /// When the codec cannot be decoded at that rate.
    pub fn new(codec: Codec, rate_hz: u32) -> Result<Self, CodecError> {
        Self::with_settings(codec, rate_hz, PlayoutSettings::of(codec))
    }

    /// A buffer with limits of its own.
    ///
    /// # Errors
    /// When the codec cannot be decoded at that rate.
    pub fn with_settings(codec: Codec, rate_hz: u32, settings: PlayoutSettings) -> Result<Self, CodecError> {
        let samples = |milliseconds| i64::from(milliseconds) * i64::from(rate_hz) / 1_000;
        let floor = samples(settings.delay_ms_min);
        let ceiling = samples(settings.delay_ms_max).max(floor);
        Ok(Self {
            codec,
            rate_hz,
            decoder: Decoder::new(codec, rate_hz)?,
            sequencer: Sequencer::default(),
            timeline: Timeline::new(rate_hz, codec.clock_hz()),
            delay: Delay::new(rate_hz, floor, ceiling),
            queue: Queue::new(settings.packets_max.max(2), settings.payload_octets_max),
            audio: Audio::new(rate_hz),
            noise: Noise::new(rate_hz),
            next: None,
            played: 0,
            filled: 0,
            concealed: 0,
            is_paused: true,
            offset: 0.0,
            rest: 0,
            stats: PlayoutStats::default(),
        })
    }

    /// Takes one packet as it arrived. Never fails: what cannot be used is counted.
    pub fn push(&mut self, now: Duration, packet: Packet<'_>) {
        let verdict = self.sequencer.place(packet.ssrc, packet.sequence);
        self.stats.lost = self.sequencer.lost();
        let (number, is_newest) = match verdict {
            Verdict::Begins(place) | Verdict::Advances(place) => (place.number(), true),
            Verdict::Fills(place) => (place.number(), false),
            Verdict::Duplicate => {
                self.stats.duplicates += 1;
                return;
            }
            Verdict::Stale | Verdict::Jumped => {
                self.stats.refused += 1;
                return;
            }
        };
        let (content, payload) = match packet.payload {
            Payload::Audio(payload) => {
                let samples = self.decoder.samples_in(payload).filter(|samples| self.takes(payload, *samples));
                let Some(samples) = samples else {
                    self.stats.refused += 1;
                    return;
                };
                (Content::Audio(samples), payload)
            }
            Payload::ComfortNoise { level } => (Content::Pause(amplitude(level)), &[][..]),
            Payload::Other => (Content::Other, &[][..]),
        };
        let arrival = self.position_at(now);
        let Some(position) = self.place(number, is_newest, packet.timestamp, content, arrival) else {
            self.stats.late += 1;
            return;
        };
        if number <= self.played {
            self.stats.late += 1;
            return;
        }
        self.stats.packets += u64::from(matches!(content, Content::Audio(_)));
        self.stats.late += u64::from(self.queue.insert(number, position, content, payload));
    }

    /// Fills one frame, 10 or 20 ms of samples. Call once per tick, whether packets have come or not.
    pub fn pull(&mut self, now: Duration, frame: &mut [i16]) -> FrameKind {
        let now = self.position_at(now);
        let silence_before = self.stats.silence_samples;
        let left = self.audio.ready();
        let length = frame.len().min(self.samples(FRAME_MS_MAX) as usize);
        self.pace(now, length);
        while self.audio.ready() < length {
            self.produce(now, length);
        }
        self.audio.take(frame);

        let is_concealed = self.concealed > 0;
        self.concealed = self.concealed.saturating_sub(length);
        if is_concealed {
            return FrameKind::Concealed;
        }
        let is_silent = left == 0 && self.stats.silence_samples - silence_before >= length as u64;
        if is_silent { FrameKind::Silence } else { FrameKind::Heard }
    }

    /// The figures so far.
    pub fn stats(&self) -> PlayoutStats {
        let fastest = self.delay.fastest().unwrap_or_default();
        let frame = self.samples(20);
        PlayoutStats {
            jitter_ms: self.milliseconds(self.delay.jitter()),
            target_ms: self.milliseconds(self.delay.target(frame)),
            delay_ms: self.milliseconds(self.offset as i64 - fastest),
            ..self.stats
        }
    }

    /// The codec it was made for.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    fn takes(&self, payload: &[u8], samples: usize) -> bool {
        samples > 0 && samples as i64 <= self.samples(PACKET_MS_MAX) && self.queue.fits(payload)
    }

    /// Where a packet belongs, and what its arrival tells; `None` when it is too old to be placed.
    fn place(&mut self, number: u64, is_newest: bool, timestamp: u32, content: Content, arrival: i64) -> Option<i64> {
        // The timestamp of a key press is that of its beginning: it says nothing of now.
        let Content::Audio(samples) = content else {
            return Some(arrival);
        };
        let real = arrival - self.delay.fastest().unwrap_or_default();
        let jump = self.delay.ceiling() + self.samples(JUMP_MS);
        let position = if is_newest {
            let plausible = real - jump..=real + jump;
            let placement = self.timeline.newest(number, timestamp, samples, (plausible, real));
            self.stats.resyncs += u64::from(placement.is_moved);
            placement.position
        } else {
            self.timeline.older(number, timestamp)?
        };
        self.delay.heard(arrival, arrival - position);
        Some(position)
    }

    /// Makes what waits shorter or longer when the delay is far from its target.
    fn pace(&mut self, now: i64, length: usize) {
        let Some(next) = self.next.filter(|_| self.filled == 0) else { return };
        let offset = (now + self.audio.ready() as i64 - next) as f64;
        self.offset += (offset - self.offset) / 8.0;
        if self.rest > 0 {
            self.rest = self.rest.saturating_sub(length);
            return;
        }
        let excess = self.offset as i64 - self.due(length);
        if (-self.samples(SHORT_MS)..=self.samples(LONG_MS)).contains(&excess) {
            return;
        }
        let needed = if excess > 0 { self.audio.needed_to_shorten() } else { self.audio.needed_to_lengthen() };
        while self.audio.ready() < needed {
            match self.queue.first() {
                Some(entry) if self.follows(&entry) => self.play(&entry),
                _ => return,
            }
        }
        let is_urgent = excess.abs() > self.samples(URGENT_MS);
        let likeness_min = if is_urgent { 0.4 } else { 0.8 };
        let care = Care { likeness_min, silence_max: self.noise.silence_max() };
        if excess > 0 {
            let removed = self.audio.shorten(care);
            self.stats.removed_samples += removed as u64;
            self.offset -= removed as f64;
            let rest_ms = if is_urgent { REST_MS / 2 } else { REST_MS };
            self.rest = if removed > 0 { self.samples(rest_ms) as usize } else { 0 };
        } else {
            let inserted = self.audio.lengthen(care);
            self.stats.inserted_samples += inserted as u64;
            self.offset += inserted as f64;
            let is_done = inserted > 0 && !is_urgent;
            self.rest = if is_done { self.samples(REST_MS) as usize } else { 0 };
        }
    }

    /// Appends the next packet, or what stands in for it.
    fn produce(&mut self, now: i64, length: usize) {
        let at = now + self.audio.ready() as i64;
        let missing = length - self.audio.ready();
        self.give_way(at);
        let Some(entry) = self.queue.first() else {
            self.fill(missing, None);
            return;
        };
        let Content::Audio(_) = entry.content else {
            // Behind a gap it waits a little: the packet before it may still come.
            let follows = entry.number == self.played + 1 || self.filled as i64 >= self.samples(20);
            if follows {
                self.note(&entry);
            } else {
                self.fill(missing, None);
            }
            return;
        };
        let wait = self.wait(&entry, at, length);
        if wait == 0 {
            if self.filled > 0 {
                self.offset = (at - entry.position) as f64;
                self.filled = 0;
                self.rest = 0;
            }
            self.play(&entry);
        } else {
            self.fill(wait.min(missing), Some((&entry, wait)));
        }
    }

    /// Drops what can no more be played in time.
    fn give_way(&mut self, at: i64) {
        let latest = at - self.delay.fastest().unwrap_or_default();
        let mut bound = self.delay.ceiling() + self.samples(OVER_MS);
        while let Some(entry) = self.queue.first() {
            let Content::Audio(samples) = entry.content else { return };
            let is_covered = self.next.is_some_and(|next| entry.position + samples as i64 <= next);
            if !is_covered && latest - entry.position <= bound {
                return;
            }
            if !is_covered {
                // What is heard and what follows are joined by a moment of concealment.
                bound = self.delay.ceiling();
                let join = if self.filled == 0 { self.samples(JOIN_MS) } else { 0 };
                let end = entry.position + samples as i64 - join;
                self.next = self.next.map(|next| next.max(end));
            }
            self.stats.late += 1;
            self.queue.drop_first();
        }
    }

    /// How many samples must be made before a packet is played.
    fn wait(&self, entry: &Entry, at: i64, length: usize) -> usize {
        let until_due = entry.position + self.due(length) - at;
        let Some(next) = self.next else { return until_due.max(0) as usize };
        if self.filled == 0 && self.follows(entry) {
            return 0;
        }
        // A short gap keeps its length; in a long one nobody hears when it ends.
        let gap = (entry.position - next).clamp(0, self.samples(CONCEAL_MS_MAX));
        until_due.max(gap - self.filled as i64).max(0) as usize
    }

    /// A packet that can be played behind what was; a sender's small gap is none.
    fn follows(&self, entry: &Entry) -> bool {
        let is_sequel = entry.number == self.played + 1;
        let gap_max = if is_sequel { self.samples(GAP_MS_MAX) } else { 0 };
        matches!(entry.content, Content::Audio(_)) && self.next.is_some_and(|next| entry.position <= next + gap_max)
    }

    /// Decodes a packet behind what waits.
    fn play(&mut self, entry: &Entry) {
        let from = self.audio.ready();
        let decoded = self.decoder.decode(self.queue.payload(entry), self.audio.tail());
        self.is_paused = self.codec == Codec::Opus && self.queue.payload(entry).len() <= OPUS_DTX_OCTETS_MAX;
        self.queue.drop_first();
        self.played = entry.number;
        let Ok(count) = decoded else {
            self.stats.refused += 1;
            return;
        };
        let end = entry.position + count as i64;
        let covered = self.next.map_or(0, |next| (next - entry.position).max(0) as usize);
        self.audio.cut(count, covered);
        self.noise.learn(self.audio.newest(self.audio.ready() - from));
        self.next = Some(end.max(self.next.unwrap_or(end)));
    }

    /// Takes notice of a packet without audio.
    fn note(&mut self, entry: &Entry) {
        if let Content::Pause(level) = entry.content {
            self.noise.set(level);
        }
        self.is_paused = true;
        self.played = entry.number;
        self.queue.drop_first();
    }

    /// Appends about `count` samples in place of what is missing before a packet, which has to wait for so many.
    fn fill(&mut self, count: usize, before: Option<(&Entry, usize)>) {
        if self.filled == 0 && before.is_some_and(|(entry, _)| entry.number == self.played + 1) {
            // Nothing is lost: the sender itself made the gap.
            self.is_paused = true;
        }
        let is_long = self.filled as i64 >= self.samples(CONCEAL_MS_MAX);
        let is_over = self.filled as i64 >= self.samples(ROOM_MS_MAX);
        let from = self.audio.ready();
        let is_silence = if self.next.is_none() || (is_over && !self.is_paused) {
            let end = self.audio.tail().len() + count;
            self.audio.tail().resize(end, 0);
            true
        } else if self.is_paused && self.codec == Codec::Opus {
            // libopus goes on with the sound of the room.
            self.decoder.conceal(self.whole(count), self.audio.tail());
            true
        } else if self.is_paused || is_long {
            self.noise.make(count, self.audio.tail());
            true
        } else {
            self.conceal(count, before);
            self.concealed = self.audio.ready();
            false
        };
        let made = self.audio.ready() - from;
        self.filled += made;
        let counted = if is_silence { &mut self.stats.silence_samples } else { &mut self.stats.concealed_samples };
        *counted += made as u64;
    }

    fn conceal(&mut self, count: usize, before: Option<(&Entry, usize)>) {
        let mut count = self.whole(count);
        if self.codec == Codec::Opus
            && let Some((entry, wait)) = before
            && let Content::Audio(samples) = entry.content
            && (2..=RECOVERED_MAX).contains(&(entry.number - self.played))
        {
            if wait == samples {
                self.decoder.recover(self.queue.payload(entry), samples, self.audio.tail());
                self.stats.recovered_samples += samples as u64;
                return;
            }
            if wait > samples {
                count = count.min(wait - samples);
            }
        }
        self.decoder.conceal(count, self.audio.tail());
    }

    /// Decoders conceal in steps of 2.5 ms.
    fn whole(&self, count: usize) -> usize {
        count.next_multiple_of(self.rate_hz as usize / 400)
    }

    /// How far behind its position a sample is to be played.
    fn due(&self, length: usize) -> i64 {
        self.delay.fastest().unwrap_or_default() + self.delay.target(length as i64)
    }

    fn position_at(&self, moment: Duration) -> i64 {
        (moment.as_nanos() * u128::from(self.rate_hz) / 1_000_000_000) as i64
    }

    fn samples(&self, milliseconds: u32) -> i64 {
        i64::from(milliseconds) * i64::from(self.rate_hz) / 1_000
    }

    fn milliseconds(&self, samples: i64) -> u32 {
        u32::try_from(samples * 1_000 / i64::from(self.rate_hz)).unwrap_or_default()
    }
}

/// The longest packet that is taken, ms (RFC 7587 §4.2).
const PACKET_MS_MAX: u32 = 120;
/// The longest frame; the rest of a longer one is silence.
const FRAME_MS_MAX: u32 = 60;

/// The amplitude (root mean square) of a level in -dBov.
fn amplitude(level: u8) -> f32 {
    32_768.0 * 10_f32.powf(-f32::from(level.min(127)) / 20.0)
}
