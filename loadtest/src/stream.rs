//! One telephone's RTP stream: sends a packet every 20 ms, listens, and judges what it hears.
//!
//! Knows no socket and no clock. The judgement is strict: it is what tells that a relay keeps one continuous stream.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Codec, Direction, StreamSettings, g711};
use rtc_shared::marshal::{Marshal, Unmarshal};

use crate::audio::{Audio, PACKET_SAMPLES, stamp_of};
use crate::latency::{Latencies, Trace};

/// Time between two packets.
pub const PACKET_TIME: Duration = Duration::from_millis(20);
/// A sender that is further behind than this leaves packets out.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);

/// One direction pair of RTP.
#[derive(Debug)]
pub struct Stream {
    /// The local port, which tells streams apart.
    pub port: u16,
    settings: Option<StreamSettings>,
    sender: Sender,
    receiver: Receiver,
    sent: Trace,
    received: Trace,
    keep: Keep,
}

/// What is kept of what is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Audio, at most this many seconds.
    pub audio_seconds: u32,
    /// When each packet was sent and received, to be matched with another telephone's.
    pub trace: bool,
}

/// What was heard, and how well.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Samples at 8 kHz from the first packet on, gaps as zeros.
    pub samples: Vec<i16>,
    /// When the first packet came, since the driver's start.
    pub started: Option<Duration>,
    /// How well it came.
    pub stats: StreamStats,
    /// One-way times of stamped packets.
    pub latencies: Latencies,
    /// What was received, packet by packet (when asked for).
    pub received: Trace,
    /// What was sent, packet by packet (when asked for).
    pub sent: Trace,
}

/// The figures of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StreamStats {
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received, without duplicates.
    pub packets_received: u64,
    /// Packets missing in the sequence.
    pub packets_lost: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that are no RTP or of a payload type that was not agreed.
    pub unexpected: u64,
    /// How often the source changed.
    pub ssrc_changes: u64,
    /// Packets whose timestamp lies before that of an earlier one.
    pub timestamp_steps_back: u64,
    /// Packets whose timestamp is not where sequence and packet time put it.
    pub timestamp_jumps: u64,
    /// Interarrival jitter, ms (RFC 3550 §A.8).
    pub jitter_ms: f64,
    /// The longest time between two packets, ms.
    pub gap_ms_max: f64,
    /// When the last packet came, since the driver's start.
    pub last_at: Option<Duration>,
}

impl Stream {
    /// A stream that waits for its settings. `seed` makes its SSRC and first numbers.
    pub fn new(port: u16, audio: Audio, seed: u64, keep: Keep) -> Self {
        Stream {
            port,
            settings: None,
            sender: Sender::new(audio, seed),
            receiver: Receiver::default(),
            sent: Trace::default(),
            received: Trace::default(),
            keep,
        }
    }

    /// Says what offer/answer agreed; sending starts, changes or pauses from `now` on.
    pub fn configure(&mut self, now: Duration, settings: StreamSettings) {
        let sends = matches!(settings.direction, Direction::SendRecv | Direction::SendOnly);
        match (sends && settings.remote.is_some(), self.sender.next_at) {
            (true, None) => self.sender.resume(now),
            (false, _) => self.sender.next_at = None,
            (true, Some(_)) => {}
        }
        self.settings = Some(settings);
    }

    /// Ends sending; what was heard is kept.
    pub fn stop(&mut self) {
        self.sender.next_at = None;
    }

    /// The agreed settings.
    pub fn settings(&self) -> Option<&StreamSettings> {
        self.settings.as_ref()
    }

    /// Where the audio stands, samples; another stream can go on from there.
    pub fn audio_position(&self) -> u64 {
        self.sender.position
    }

    /// Goes on with the audio from this sample.
    pub fn set_audio_position(&mut self, position: u64) {
        self.sender.position = position;
    }

    /// Says something else from now on, from its beginning.
    pub fn set_audio(&mut self, audio: Audio) {
        self.sender.audio = audio;
        self.sender.position = 0;
    }

    /// When the next packet leaves; `None` when nothing is sent.
    pub fn deadline(&self) -> Option<Duration> {
        self.sender.next_at
    }

    /// Sends the packets that are due.
    pub fn send_due(&mut self, now: Duration, mut send: impl FnMut(SocketAddr, Vec<u8>)) {
        let Some(settings) = &self.settings else { return };
        let Some(remote) = settings.remote else { return };
        while let Some(packet) = self.sender.next(now, settings) {
            if self.keep.trace {
                self.sent.note(&packet[HEADER_BYTES..], now);
            }
            send(remote, packet);
        }
    }

    /// Takes one datagram; true for the first RTP packet of the stream.
    pub fn receive(&mut self, now: Duration, datagram: &[u8]) -> bool {
        let settings = self.settings.as_ref();
        let codec = settings.map_or(Codec::Pcmu, |settings| settings.codec);
        let packet = match rtp::Packet::unmarshal(&mut &*datagram) {
            Ok(packet) if packet.header.version == 2 => packet,
            _ => {
                self.receiver.stats.unexpected += 1;
                return false;
            }
        };
        if settings.is_some_and(|s| s.event_payload_type == Some(packet.header.payload_type)) {
            self.receiver.judge_numbers(&packet.header, None);
            return false;
        }
        if settings.is_some_and(|s| s.payload_type != packet.header.payload_type) {
            self.receiver.stats.unexpected += 1;
            return false;
        }
        if self.keep.trace {
            self.received.note(&packet.payload, now);
        }
        self.receiver.take(now, &packet, codec, self.keep.audio_seconds)
    }

    /// The figures so far.
    pub fn stats(&self) -> StreamStats {
        let lost = self.receiver.lost_before + self.receiver.lost();
        StreamStats { packets_sent: self.sender.count, packets_lost: lost, ..self.receiver.stats }
    }

    /// One-way times of stamped packets so far.
    pub fn latencies(&self) -> &Latencies {
        &self.receiver.latencies
    }

    /// Everything that was heard.
    pub fn recording(&self) -> Recording {
        Recording {
            samples: self.receiver.samples.clone(),
            started: self.receiver.started,
            stats: self.stats(),
            latencies: self.receiver.latencies.clone(),
            received: self.received.clone(),
            sent: self.sent.clone(),
        }
    }
}

const HEADER_BYTES: usize = 12;

#[derive(Debug)]
struct Sender {
    audio: Audio,
    position: u64,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    next_at: Option<Duration>,
    marker: bool,
    count: u64,
}

impl Sender {
    fn new(audio: Audio, seed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = seed.to_be_bytes();
        Sender {
            audio,
            position: 0,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]),
            timestamp: u32::from_be_bytes([g, h, a, c]),
            next_at: None,
            marker: true,
            count: 0,
        }
    }

    /// Begins within one packet time, each source at a moment of its own: real calls do not send in step.
    fn resume(&mut self, now: Duration) {
        let phase = u64::from(self.ssrc) % PACKET_TIME.as_micros() as u64;
        self.next_at = Some(now + Duration::from_micros(phase));
        self.marker = true;
    }

    fn next(&mut self, now: Duration, settings: &StreamSettings) -> Option<Vec<u8>> {
        let mut due = self.next_at.filter(|due| *due <= now)?;
        while now - due > CATCH_UP_MAX {
            due += PACKET_TIME;
            self.advance();
            self.marker = true;
        }

        let header = rtp::Header {
            version: 2,
            marker: std::mem::take(&mut self.marker),
            payload_type: settings.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..rtp::Header::default()
        };
        let mut packet = vec![0; HEADER_BYTES];
        // A plain header always fits its twelve bytes.
        header.marshal_to(&mut packet).ok()?;
        self.audio.packet(settings.codec, self.position, now, &mut packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.count += 1;
        self.advance();
        self.next_at = Some(due + PACKET_TIME);
        Some(packet)
    }

    /// One packet's time passes.
    fn advance(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(PACKET_SAMPLES as u32);
        self.position += PACKET_SAMPLES as u64;
    }
}

#[derive(Debug, Default)]
struct Receiver {
    started: Option<Duration>,
    source: Option<Source>,
    lost_before: u64,
    /// Interarrival jitter in samples, and the last transit.
    jitter: (f64, Option<f64>),
    samples: Vec<i16>,
    latencies: Latencies,
    stats: StreamStats,
}

/// The numbers of the source that is heard.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    /// Bit n: `highest - n` was seen.
    seen: u128,
    timestamp: u32,
    samples: u32,
    /// The sample of `samples` at which `timestamp` stands.
    place: u64,
}

/// How a packet stands to those before it.
enum Numbers {
    Fresh,
    Old,
    Twice,
}

impl Receiver {
    fn take(&mut self, now: Duration, packet: &rtp::Packet, codec: Codec, audio_seconds: u32) -> bool {
        let first = self.started.is_none();
        let started = *self.started.get_or_insert(now);
        let last_at = self.stats.last_at.replace(now);
        if let Some(last) = last_at {
            self.stats.gap_ms_max = self.stats.gap_ms_max.max(now.saturating_sub(last).as_secs_f64() * 1e3);
        }
        if let Some(sent) = stamp_of(&packet.payload) {
            self.latencies.add(now.saturating_sub(sent));
        }
        let elapsed = now.saturating_sub(started).as_micros() as u64 * 8 / 1_000;
        if matches!(self.judge_numbers(&packet.header, Some((packet.payload.len(), elapsed))), Numbers::Twice) {
            return first;
        }
        self.judge_jitter(now, packet.header.timestamp);
        self.keep_audio(packet, codec, audio_seconds);
        first
    }

    /// Sequence and timestamp; `audio` is the payload's samples and the time since the first packet, in samples.
    fn judge_numbers(&mut self, header: &rtp::Header, audio: Option<(usize, u64)>) -> Numbers {
        let (samples, elapsed) = audio.unwrap_or((0, 0));
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == header.ssrc) else {
            if let Some(source) = self.source.take() {
                self.stats.ssrc_changes += 1;
                self.lost_before += source.lost();
            }
            self.source = Some(Source::new(header, samples, elapsed));
            self.stats.packets_received += 1;
            return Numbers::Fresh;
        };

        // The signed difference modulo 2^16 is the short way round the circle.
        let step = i64::from(header.sequence_number.wrapping_sub(source.highest as u16) as i16);
        if step <= 0 {
            let bit = 1_u128.checked_shl(step.unsigned_abs() as u32).unwrap_or(0);
            if source.seen & bit != 0 {
                self.stats.duplicates += 1;
                return Numbers::Twice;
            }
            source.seen |= bit;
            source.received += 1;
            source.first = source.first.min(source.highest.saturating_sub(step.unsigned_abs()));
            self.stats.packets_received += 1;
            self.stats.reordered += 1;
            return Numbers::Old;
        }

        source.seen = source.seen.checked_shl(step as u32).unwrap_or(0) | 1;
        source.highest += step as u64;
        source.received += 1;
        self.stats.packets_received += 1;
        if audio.is_some() {
            let passed = header.timestamp.wrapping_sub(source.timestamp);
            if passed as i32 <= 0 {
                self.stats.timestamp_steps_back += 1;
            } else if i64::from(passed) != step * i64::from(source.samples) {
                self.stats.timestamp_jumps += 1;
            }
            source.place = if passed <= 8_000 * 60 { source.place + u64::from(passed) } else { elapsed };
            source.timestamp = header.timestamp;
            source.samples = samples as u32;
        }
        Numbers::Fresh
    }

    fn judge_jitter(&mut self, now: Duration, timestamp: u32) {
        let (jitter, before) = self.jitter;
        let arrival = now.as_secs_f64() * 8_000.0;
        let transit = arrival - f64::from(timestamp);
        let difference = before.map_or(0.0, |before| (transit - before).abs());
        // A rollover or a new source is no jitter.
        let difference = if difference < 8_000.0 { difference } else { 0.0 };
        let jitter = jitter + (difference - jitter) / 16.0;
        self.jitter = (jitter, Some(transit));
        self.stats.jitter_ms = jitter / 8.0;
    }

    fn keep_audio(&mut self, packet: &rtp::Packet, codec: Codec, audio_seconds: u32) {
        let Some(source) = &self.source else { return };
        let back = source.timestamp.wrapping_sub(packet.header.timestamp);
        let place = source.place.saturating_sub(u64::from(back));
        let end = place + packet.payload.len() as u64;
        if end > u64::from(audio_seconds) * 8_000 {
            return;
        }
        let (place, end) = (place as usize, end as usize);
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        let law = codec.law().unwrap_or(g711::Law::Mu);
        for (sample, octet) in self.samples[place..end].iter_mut().zip(&packet.payload) {
            *sample = g711::decode_sample(law, *octet);
        }
    }

    fn lost(&self) -> u64 {
        self.source.as_ref().map_or(0, Source::lost)
    }
}

impl Source {
    fn new(header: &rtp::Header, samples: usize, place: u64) -> Self {
        // One cycle up, so that older packets have a number.
        let first = (1 << 16) + u64::from(header.sequence_number);
        Source {
            ssrc: header.ssrc,
            first,
            highest: first,
            received: 1,
            seen: 1,
            timestamp: header.timestamp,
            samples: samples as u32,
            place,
        }
    }

    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_stream_is_judged_clean() {
        let stats = heard(|packets| packets);
        assert_eq!((stats.packets_received, stats.packets_lost, stats.timestamp_jumps), (100, 0, 0));
        assert_eq!((stats.duplicates, stats.reordered, stats.ssrc_changes), (0, 0, 0));
        assert!(stats.jitter_ms < 0.1 && (stats.gap_ms_max - 20.0).abs() < 0.1);
    }

    #[test]
    fn faults_are_seen() {
        let lost = heard(|mut packets| {
            packets.remove(50);
            packets
        });
        assert_eq!((lost.packets_lost, lost.packets_received, lost.timestamp_jumps), (1, 99, 0));

        let twice = heard(|mut packets| {
            packets.insert(51, packets[50].clone());
            packets
        });
        assert_eq!((twice.duplicates, twice.packets_received), (1, 100));

        let swapped = heard(|mut packets| {
            packets.swap(50, 51);
            packets
        });
        assert_eq!((swapped.reordered, swapped.packets_lost), (1, 0));

        let jumped = heard(|mut packets| {
            packets.iter_mut().skip(50).for_each(|(_, packet)| packet[5] ^= 1);
            packets
        });
        assert_eq!(jumped.timestamp_jumps + jumped.timestamp_steps_back, 1);

        let changed = heard(|mut packets| {
            packets.iter_mut().skip(50).for_each(|(_, packet)| packet[8] ^= 1);
            packets
        });
        assert_eq!(changed.ssrc_changes, 1);
    }

    #[test]
    fn what_is_said_is_heard() {
        let (mut speaker, mut listener) = pair(Audio::tone(400, 0.5));
        let packets = sent(&mut speaker);
        for (at, packet) in packets {
            listener.receive(at, &packet);
        }
        let recording = listener.recording();
        assert_eq!(recording.samples.len(), 16_000);
        // 400 Hz at 8 kHz repeats after 20 samples; quantisation is far below a tenth.
        let repeats = recording.samples.windows(21).all(|w| (i32::from(w[0]) - i32::from(w[20])).abs() < 600);
        let peak = recording.samples.iter().map(|s| s.unsigned_abs()).max();
        assert!(repeats && peak > Some(15_000), "{peak:?}");
        assert_eq!(recording.received.since(&speaker.recording().sent).percentiles().max_ms, 0.0);
    }

    #[test]
    fn stamps_tell_the_way() {
        let (mut speaker, mut listener) = pair(Audio::Stamped);
        for (at, packet) in sent(&mut speaker) {
            listener.receive(at + Duration::from_millis(3), &packet);
        }
        let percentiles = listener.latencies().percentiles();
        assert_eq!((percentiles.count, percentiles.p50_ms, percentiles.p99_ms), (100, 3.0, 3.0));
    }

    #[test]
    fn a_late_sender_leaves_packets_out_and_keeps_time() {
        let (mut speaker, _) = pair(Audio::Silence);
        let mut count = 0;
        speaker.send_due(Duration::ZERO, |_, _| count += 1);
        speaker.send_due(Duration::from_secs(2), |_, _| count += 1);
        assert!(count <= 12, "{count} packets at once");
        assert_eq!(speaker.deadline(), Some(Duration::from_millis(2_020)));
        assert_eq!(speaker.audio_position(), 101 * 160);
    }

    fn heard(change: impl FnOnce(Vec<(Duration, Vec<u8>)>) -> Vec<(Duration, Vec<u8>)>) -> StreamStats {
        let (mut speaker, mut listener) = pair(Audio::tone(400, 0.5));
        for (at, packet) in change(sent(&mut speaker)) {
            listener.receive(at, &packet);
        }
        listener.stats()
    }

    fn sent(speaker: &mut Stream) -> Vec<(Duration, Vec<u8>)> {
        let mut packets = Vec::new();
        for n in 0..100 {
            let now = PACKET_TIME * n;
            speaker.send_due(now, |_, packet| packets.push((now, packet)));
        }
        packets
    }

    fn pair(audio: Audio) -> (Stream, Stream) {
        let keep = Keep { audio_seconds: 10, trace: true };
        let settings = StreamSettings::plain(Some(([127, 0, 0, 1], 4_000).into()), Codec::Pcma, 8);
        let mut speaker = Stream::new(1, audio, 0x0000_4e20_fff0_0000, keep);
        let mut listener = Stream::new(2, Audio::Silence, 1, keep);
        speaker.configure(Duration::ZERO, settings.clone());
        listener.configure(Duration::ZERO, settings);
        (speaker, listener)
    }
}
