//! One direction of a call whose two sides speak different codecs: packets in, packets out, at once.
//!
//! No jitter buffer stands in the way: a packet becomes the next one the moment it arrives. Only behind a gap is one
//! packet held back, for a moment, in case the missing one is merely late. Numbers what it makes like a sender of its
//! own; the stream that the far end hears is [`crate::relay`]'s.

use std::time::Duration;

use crate::Codec;
use crate::codec::{CodecError, Decoder, Encoder, OpusSettings};
use crate::sequence::Place;

/// The longest payload that is transcoded, octets: 60 ms of 16-bit samples at 16 kHz do not fit one packet, 40 ms do.
pub const PAYLOAD_BYTES_MAX: usize = 1_440;

/// What the transcoded side is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its codec.
    pub codec: Codec,
    /// Milliseconds of audio per packet.
    pub ptime_ms: u8,
    /// What it wants of Opus.
    pub opus: OpusSettings,
}

/// A packet of the speaking side.
#[derive(Debug, Clone, Copy)]
pub struct Spoken<'a> {
    /// Where it stands among that side's packets.
    pub place: Place,
    /// Its timestamp on the wire, in ticks of the speaker's clock.
    pub timestamp: u32,
    /// Its audio.
    pub payload: &'a [u8],
}

/// A packet that was made: what its number and time are in the transcoder's own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// Where it stands.
    pub place: Place,
    /// Its timestamp, in ticks of the target's clock.
    pub timestamp: u32,
    /// Ticks of audio in it.
    pub ticks: u32,
    /// It begins a talkspurt.
    pub marker: bool,
}

/// The figures of one transcoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TranscodeStats {
    /// Packets that came after their place had been filled.
    pub late: u64,
    /// Samples that stand in for lost ones.
    pub concealed_samples: u64,
    /// Payloads that the decoder refused.
    pub malformed: u64,
}

/// Turns one codec's packets into another's.
#[derive(Debug)]
pub struct Transcoder {
    source: Codec,
    target: Target,
    rate_hz: u32,
    decoder: Decoder,
    encoder: Encoder,
    /// Decoded, and not yet a whole packet.
    samples: Vec<i16>,
    reached: Option<Reached>,
    held: Held,
    /// The place and time of the next packet.
    place: Place,
    timestamp: u32,
    marker: bool,
    /// Time that passes in silence before the next packet.
    pause: Option<Pause>,
    /// The time of the last packet that was handed through, theirs and ours.
    handed: Option<(u32, u32)>,
    stats: TranscodeStats,
}

/// How far the speaking side has come.
#[derive(Debug, Clone, Copy)]
struct Reached {
    epoch: u32,
    /// The next packet's position and timestamp.
    position: u64,
    timestamp: u32,
    /// Samples in the last packet, which is what a lost one is taken to hold.
    span: usize,
}

/// A silence that the speaker's timestamps tell of.
#[derive(Debug, Clone, Copy)]
struct Pause {
    /// Samples that wait and lie before it: whole packets.
    behind: usize,
    /// Its length in ticks of the target's clock.
    ticks: u32,
}

/// The packet behind a gap.
#[derive(Debug)]
struct Held {
    /// Its place, and until when the gap may close; `None` while nothing is held.
    waits: Option<(Place, Duration)>,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Transcoder {
    /// A transcoder from `source` to `target`, at the rate that both can carry.
    ///
    /// # Errors
    /// When a codec cannot be opened.
    pub fn new(source: Codec, target: Target) -> Result<Self, CodecError> {
        let rate_hz = source.audio_rate_hz().min(target.codec.audio_rate_hz());
        Ok(Self {
            source,
            target,
            rate_hz,
            decoder: Decoder::new(source, rate_hz)?,
            encoder: Encoder::new(target.codec, rate_hz, target.opus)?,
            samples: Vec::with_capacity(SAMPLES_MAX),
            reached: None,
            held: Held { waits: None, timestamp: 0, payload: Vec::with_capacity(PAYLOAD_BYTES_MAX) },
            place: Place { epoch: 0, position: 0 },
            timestamp: 0,
            marker: true,
            pause: None,
            handed: None,
            stats: TranscodeStats::default(),
        })
    }

    /// True when this one turns `source` into `target`.
    pub fn fits(&self, source: Codec, target: Target) -> bool {
        (self.source, self.target) == (source, target)
    }

    /// What makes its packets, to be handed on to whoever speaks next.
    pub fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// Takes one packet; call [`Transcoder::next`] afterwards until it gives nothing.
    pub fn take(&mut self, now: Duration, spoken: Spoken<'_>) {
        if spoken.payload.len() > PAYLOAD_BYTES_MAX {
            self.stats.malformed += 1;
            return;
        }
        let Some(reached) = self.reached.filter(|reached| reached.epoch == spoken.place.epoch) else {
            self.begin(spoken.place.epoch, spoken.place.position, spoken.timestamp);
            return self.decode(spoken);
        };
        if spoken.place.position < reached.position {
            self.stats.late += 1;
            return;
        }
        if spoken.place.position > reached.position {
            match self.held.waits {
                None => return self.hold(now, spoken),
                Some((held, _)) if held.position < spoken.place.position => self.release(),
                // It goes before the held one, and the gap before it has had its time.
                Some(_) => {}
            }
            self.cover_gap(spoken);
        }
        self.decode(spoken);
        if self.held.waits.is_some_and(|(place, _)| place.position <= spoken.place.position + 1) {
            self.release();
        }
    }

    /// A packet of the speaking side that is no audio, so that it does not look lost.
    pub fn pass_over(&mut self, place: Place) {
        if let Some(reached) = &mut self.reached
            && reached.epoch == place.epoch
            && place.position >= reached.position
        {
            reached.position = place.position + 1;
        }
    }

    /// What comes next has nothing to do with what was: audio was withheld in between.
    pub fn interrupt(&mut self) {
        self.reached = None;
        self.held.waits = None;
    }

    /// What comes next is another speaker's: nothing of the one before is heard in it.
    pub fn renew(&mut self) {
        self.interrupt();
        self.samples.clear();
        self.pause = None;
        // One that cannot be opened now could be before; then the old one has to do.
        if let Ok(decoder) = Decoder::new(self.source, self.rate_hz) {
            self.decoder = decoder;
        }
    }

    /// When a held packet is given up on, if there is one.
    pub fn deadline(&self) -> Option<Duration> {
        self.held.waits.map(|(_, until)| until)
    }

    /// Stops waiting for a missing packet when its time is over.
    pub fn tick(&mut self, now: Duration) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.release();
        }
    }

    /// Appends the payload of the next whole packet, if there is one.
    ///
    /// `Some(None)` when its time has passed in silence and nothing is sent (Opus DTX).
    pub fn next(&mut self, payload: &mut Vec<u8>) -> Option<Option<Produced>> {
        let length = self.rate_hz as usize / 1_000 * usize::from(self.target.ptime_ms);
        if self.samples.len() < length {
            return None;
        }
        if let Some(pause) = self.pause.take_if(|pause| pause.behind == 0) {
            self.timestamp = self.timestamp.wrapping_add(pause.ticks);
            self.marker = true;
        }
        let before = payload.len();
        let encoded = self.encoder.encode(&self.samples[..length], payload);
        self.samples.drain(..length);
        if let Some(pause) = &mut self.pause {
            pause.behind = pause.behind.saturating_sub(length);
        }

        let ticks = self.ticks(length);
        let timestamp = self.timestamp;
        self.timestamp = self.timestamp.wrapping_add(ticks);
        let silent = self.target.codec == Codec::Opus && payload.len() - before <= DTX_BYTES_MAX;
        if encoded.is_err() || silent {
            payload.truncate(before);
            self.marker = true;
            return Some(None);
        }
        let marker = std::mem::take(&mut self.marker);
        let place = self.place;
        self.place.position += 1;
        Some(Some(Produced { place, timestamp, ticks, marker }))
    }

    /// The place and time of a packet that is handed through beside the audio (telephone-event), whose own clock has
    /// `clock_hz`.
    pub fn hand_through(&mut self, timestamp: u32, clock_hz: u32) -> Produced {
        let place = self.place;
        self.place.position += 1;
        let now = self.timestamp.wrapping_add(self.ticks(self.samples.len()));
        // Only times of the same clock can be compared; the packets of one press are all of one time.
        let same_clock = self.reached.filter(|_| clock_hz == self.source.clock_hz());
        let since = same_clock.map(|reached| timestamp.wrapping_sub(reached.timestamp) as i32);
        let ours = match (since, self.handed) {
            (Some(since), _) => {
                let ratio = f64::from(self.target.codec.clock_hz()) / f64::from(clock_hz);
                now.wrapping_add((f64::from(since) * ratio) as i32 as u32)
            }
            (None, Some((theirs, ours))) if theirs == timestamp => ours,
            // Where no audio comes between two presses, our time stands still; theirs does not.
            (None, Some((_, ours))) if now.wrapping_sub(ours) as i32 <= 0 => {
                ours.wrapping_add(self.target.codec.clock_hz() / PRESSES_PER_S_MAX)
            }
            (None, _) => now,
        };
        self.handed = Some((timestamp, ours));
        Produced { place, timestamp: ours, ticks: 0, marker: false }
    }

    /// The figures so far.
    pub fn stats(&self) -> TranscodeStats {
        self.stats
    }

    /// How much of what it has made stood in for something lost.
    pub fn concealed_ms(&self) -> u64 {
        self.stats.concealed_samples * 1_000 / u64::from(self.rate_hz)
    }

    /// A new source: what was half a packet of the old one is left out.
    fn begin(&mut self, epoch: u32, position: u64, timestamp: u32) {
        self.held.waits = None;
        self.samples.clear();
        self.pause = None;
        self.place.epoch = self.place.epoch.wrapping_add(1);
        self.marker = true;
        self.reached = Some(Reached { epoch, position, timestamp, span: 0 });
    }

    fn hold(&mut self, now: Duration, spoken: Spoken<'_>) {
        self.held.waits = Some((spoken.place, now + HOLD));
        self.held.timestamp = spoken.timestamp;
        self.held.payload.clear();
        self.held.payload.extend_from_slice(spoken.payload);
    }

    /// Covers the gap and goes on with the packet behind it.
    fn release(&mut self) {
        let Some((place, _)) = self.held.waits.take() else {
            return;
        };
        let payload = std::mem::take(&mut self.held.payload);
        let spoken = Spoken { place, timestamp: self.held.timestamp, payload: &payload };
        if self.reached.is_none_or(|reached| place.position >= reached.position) {
            self.cover_gap(spoken);
            self.decode(spoken);
        }
        self.held.payload = payload;
    }

    /// Stands in for the packets that are missing before `spoken`, as far as concealment is worth anything.
    fn cover_gap(&mut self, spoken: Spoken<'_>) {
        let Some(reached) = self.reached else {
            return;
        };
        let missing = usize::try_from(spoken.place.position.saturating_sub(reached.position)).unwrap_or(usize::MAX);
        let span = if reached.span == 0 { self.rate_hz as usize / 50 } else { reached.span };
        let count = missing.saturating_mul(span).min(self.rate_hz as usize / 1_000 * CONCEAL_MS_MAX);
        if count == 0 {
            return;
        }
        let recovered = count.min(span);
        if count > recovered {
            self.decoder.conceal(count - recovered, &mut self.samples);
        }
        self.decoder.recover(spoken.payload, recovered, &mut self.samples);
        self.stats.concealed_samples += count as u64;
        let ticks = (count as u64 * u64::from(self.source.clock_hz()) / u64::from(self.rate_hz)) as u32;
        self.reached = Some(Reached {
            position: spoken.place.position,
            timestamp: reached.timestamp.wrapping_add(ticks),
            ..reached
        });
    }

    fn decode(&mut self, spoken: Spoken<'_>) {
        self.keep_time(spoken.timestamp);
        let decoded = match self.decoder.decode(spoken.payload, &mut self.samples) {
            Ok(count) => count,
            Err(_) => {
                self.stats.malformed += 1;
                0
            }
        };
        // The samples of a packet are worth their time in ticks of the speaker's clock.
        let ticks = (decoded as u64 * u64::from(self.source.clock_hz()) / u64::from(self.rate_hz)) as u32;
        self.reached = Some(Reached {
            epoch: spoken.place.epoch,
            position: spoken.place.position + 1,
            timestamp: spoken.timestamp.wrapping_add(ticks),
            span: decoded,
        });
    }

    /// Lets time pass in silence when the speaker's timestamps say so (a pause of its own, RFC 3550 §5.1).
    fn keep_time(&mut self, timestamp: u32) {
        let Some(reached) = self.reached else {
            return;
        };
        let pause = timestamp.wrapping_sub(reached.timestamp) as i32;
        let pause = u64::try_from(pause).unwrap_or(0) * u64::from(self.rate_hz) / u64::from(self.source.clock_hz());
        if pause == 0 || pause > u64::from(self.rate_hz) * PAUSE_S_MAX {
            return;
        }
        // Half a packet is completed with silence; the rest of the pause is time in which nothing is sent.
        let length = self.rate_hz as usize / 1_000 * usize::from(self.target.ptime_ms);
        let started = self.samples.len() % length;
        let filled = if started == 0 { 0 } else { (pause as usize).min(length - started) };
        self.decoder.conceal(filled, &mut self.samples);
        let ticks = self.ticks(pause as usize - filled);
        if ticks > 0 {
            let before = self.pause.map_or(0, |pause| pause.ticks);
            self.pause = Some(Pause { behind: self.samples.len(), ticks: before.wrapping_add(ticks) });
        }
    }

    /// Samples at our rate in ticks of the target's clock.
    fn ticks(&self, samples: usize) -> u32 {
        (samples as u64 * u64::from(self.target.codec.clock_hz()) / u64::from(self.rate_hz)) as u32
    }
}

/// How long a packet behind a gap waits for the missing one: what reordering in real networks stays below.
const HOLD: Duration = Duration::from_millis(15);
/// The longest loss that is concealed, ms; what is longer is a pause.
const CONCEAL_MS_MAX: usize = 100;
/// Presses that can be told apart: one and its pause last 80 ms at least (ITU-T Q.24).
const PRESSES_PER_S_MAX: u32 = 12;
/// A pause beyond this is a jump of the speaker's clock, s.
const PAUSE_S_MAX: u64 = 30;
/// Samples that wait at most: 400 ms at 16 kHz, more than two packets and their concealment.
const SAMPLES_MAX: usize = 6_400;
/// An Opus packet that says only "nothing" (RFC 7587 §3.1.3).
const DTX_BYTES_MAX: usize = 2;

#[cfg(test)]
mod tests;
