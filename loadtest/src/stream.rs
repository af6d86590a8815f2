//! One telephone's RTP stream: sends its packets in time, listens, and judges what it hears.
//!
//! Knows no socket and no clock. The judgement is strict: it is what tells that a relay keeps one continuous stream.

use std::net::SocketAddr;
use std::time::Duration;

use media::srtp::{self, Security, SessionKeys};
use media::{Codec, Direction, StreamSettings, dtmf};
use rtc_shared::marshal::Unmarshal;

use crate::audio::Audio;
use crate::clicks::Clicks;
use crate::latency::{Latencies, Trace};
use crate::network::{BadNetwork, Shaper};

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use receiver::Receiver;
use sender::Sender;

/// Time between two packets unless something else is agreed.
pub const PACKET_TIME: Duration = Duration::from_millis(20);

/// One direction pair of RTP.
#[derive(Debug)]
pub struct Stream {
    /// The local port, which tells streams apart.
    pub port: u16,
    plan: StreamPlan,
    settings: Option<StreamSettings>,
    sender: Sender,
    receiver: Receiver,
    protection: Option<Protection>,
    outgoing: Option<Shaper>,
    incoming: Option<Shaper>,
    /// Echoes that have not been sent yet.
    echoes: Vec<Vec<u8>>,
    events: Vec<StreamEvent>,
    clicks: Clicks,
    sent: Trace,
    received: Trace,
    keep: Keep,
}

/// What is special about a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StreamPlan {
    /// Milliseconds of audio per packet, whatever the far end would like; `None` does as it likes.
    pub ptime_ms: Option<u8>,
    /// What is wrong with its network.
    pub network: Option<BadNetwork>,
}

/// What is kept of what is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Audio, at most this many seconds. Nothing is decoded for 0.
    pub audio_seconds: u32,
    /// When each packet was sent and received, to be matched with another telephone's.
    pub trace: bool,
}

/// What happened in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEvent {
    /// The first audio packet came.
    First,
    /// The far end pressed a key (RFC 4733).
    Key(dtmf::Key),
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
    /// From each click that was said to its echo.
    pub round_trips: Latencies,
    /// What was received, packet by packet (when asked for).
    pub received: Trace,
    /// What was sent, packet by packet (when asked for).
    pub sent: Trace,
}

/// The figures of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StreamStats {
    /// Packets sent, those that a bad network loses included.
    pub packets_sent: u64,
    /// Packets received, without duplicates.
    pub packets_received: u64,
    /// Packets missing in the sequence.
    pub packets_lost: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that are no RTP, of a payload type that was not agreed, or not authentic.
    pub unexpected: u64,
    /// Control packets (RTCP), which are not looked at.
    pub control_packets: u64,
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
    /// Audio in the packets sent.
    pub audio_sent: Duration,
    /// Audio in the packets received, duplicates not counted.
    pub audio_received: Duration,
    /// Packets that our own bad network lost on the way to the server.
    pub network_lost_sent: u64,
    /// Packets that it lost on the way from the server.
    pub network_lost_received: u64,
    /// Keys that the far end pressed.
    pub keys_received: u64,
    /// Clicks that were said.
    pub clicks_sent: u64,
    /// Clicks that were heard; only counted by a stream that says clicks.
    pub clicks_heard: u64,
}

/// What protects both ways of a stream.
struct Protection {
    keys: SessionKeys,
    sender: srtp::Sender,
    receiver: srtp::Receiver,
    scratch: Vec<u8>,
}

impl Stream {
    /// A stream that waits for its settings. `seed` makes its SSRC and first numbers.
    pub fn new(port: u16, audio: Audio, seed: u64, keep: Keep, plan: StreamPlan) -> Self {
        let shaper = |half: u32| plan.network.map(|bad| Shaper::new(bad.network, bad.seed.rotate_left(half)));
        Stream {
            port,
            settings: None,
            sender: Sender::new(audio, seed, plan.network.map_or(0, |bad| bad.drift_ppm)),
            receiver: Receiver::default(),
            protection: None,
            outgoing: shaper(0),
            incoming: shaper(32),
            echoes: Vec::new(),
            events: Vec::new(),
            clicks: Clicks::default(),
            sent: Trace::default(),
            received: Trace::default(),
            keep,
            plan,
        }
    }

    /// Says what offer/answer agreed; sending starts, changes or pauses from `now` on.
    pub fn configure(&mut self, now: Duration, settings: StreamSettings) {
        let settings = StreamSettings { ptime_ms: self.plan.ptime_ms.unwrap_or(settings.ptime_ms), ..settings };
        self.protect(&settings.security);
        let sends = matches!(settings.direction, Direction::SendRecv | Direction::SendOnly);
        self.sender.configure(now, &settings, sends && settings.remote.is_some());
        self.receiver.configure(&settings, self.keep.audio_seconds > 0 || self.sender.says_clicks());
        self.settings = Some(settings);
    }

    /// Ends sending; what was heard is kept.
    pub fn stop(&mut self) {
        self.sender.stop();
        self.echoes.clear();
    }

    /// The agreed settings.
    pub fn settings(&self) -> Option<&StreamSettings> {
        self.settings.as_ref()
    }

    /// Where the audio stands, samples at 8 kHz; another stream can go on from there.
    pub fn audio_position(&self) -> u64 {
        self.sender.position
    }

    /// Goes on with the audio from this sample.
    pub fn set_audio_position(&mut self, position: u64) {
        self.sender.position = position;
    }

    /// Says something else from now on, from its beginning.
    pub fn set_audio(&mut self, now: Duration, audio: Audio) {
        self.sender.say(now, audio);
    }

    /// Presses keys for 100 ms each, in the place of audio; none when telephone-event was not agreed or too many wait.
    pub fn press(&mut self, keys: &[dtmf::Key]) {
        let is_agreed = self.settings.as_ref().is_some_and(|settings| settings.event_payload_type.is_some());
        if is_agreed {
            self.sender.press(keys);
        }
    }

    /// When the next packet leaves or arrives; `None` when nothing is under way.
    pub fn deadline(&self) -> Option<Duration> {
        let shapers = [&self.outgoing, &self.incoming];
        let under_way = shapers.into_iter().flatten().filter_map(Shaper::deadline).min();
        self.sender.deadline().into_iter().chain(under_way).min()
    }

    /// What has happened since this was asked last.
    pub fn take_events(&mut self) -> impl Iterator<Item = StreamEvent> {
        self.events.drain(..)
    }

    /// Sends what is due, and hears what a bad network has held back until now.
    pub fn tick(&mut self, now: Duration, mut send: impl FnMut(SocketAddr, Vec<u8>)) {
        while let Some((at, datagram)) = self.incoming.as_mut().and_then(|incoming| incoming.arrived(now)) {
            self.hear(at, &datagram);
        }
        let Some(settings) = &self.settings else { return };
        let Some(remote) = settings.remote else { return };
        let due = self.echoes.drain(..).chain(std::iter::from_fn(|| self.sender.next(now, settings, &mut self.clicks)));
        for mut packet in due {
            if self.keep.trace {
                self.sent.note(&packet[HEADER_BYTES..], now);
            }
            if let Some(protection) = &mut self.protection {
                protection.seal(&mut packet);
            }
            match &mut self.outgoing {
                Some(outgoing) => outgoing.send(now, &packet),
                None => send(remote, packet),
            }
        }
        while let Some((_, packet)) = self.outgoing.as_mut().and_then(|outgoing| outgoing.arrived(now)) {
            send(remote, packet);
        }
    }

    /// Takes one datagram; a tick must follow, for it may have to be answered by an echo.
    pub fn receive(&mut self, now: Duration, datagram: &[u8]) {
        match &mut self.incoming {
            Some(incoming) => incoming.send(now, datagram),
            None => self.hear(now, datagram),
        }
    }

    fn hear(&mut self, now: Duration, datagram: &[u8]) {
        // RFC 5761 §4: what lies where the payload types of control packets do.
        if datagram.get(1).is_some_and(|kind| (192..224).contains(kind)) {
            self.receiver.stats.control_packets += 1;
            return;
        }
        let uncovered = match &mut self.protection {
            Some(protection) => protection.open(datagram),
            None => Some(datagram),
        };
        let packet = uncovered.and_then(|mut datagram| rtp::Packet::unmarshal(&mut datagram).ok());
        let Some(packet) = packet.filter(|packet| packet.header.version == 2) else {
            self.receiver.stats.unexpected += 1;
            return;
        };

        let settings = self.settings.as_ref();
        let kind = packet.header.payload_type;
        if settings.is_some_and(|agreed| agreed.event_payload_type_received == Some(kind)) {
            self.events.extend(self.receiver.take_event(now, &packet).map(StreamEvent::Key));
            return;
        }
        if settings.is_some_and(|agreed| agreed.payload_type_received != kind) {
            self.receiver.stats.unexpected += 1;
            return;
        }
        if self.keep.trace {
            self.received.note(&packet.payload, now);
        }
        let codec = settings.map_or(Codec::Pcmu, |agreed| agreed.codec);
        let clicks = self.sender.says_clicks().then_some(&mut self.clicks);
        if self.receiver.take(now, &packet, codec, self.keep.audio_seconds, clicks) {
            self.events.push(StreamEvent::First);
        }
        if let Some(settings) = settings
            && let Some(echo) = self.sender.echo(settings, &packet)
            && self.echoes.len() < ECHOES_MAX
        {
            self.echoes.push(echo);
        }
    }

    /// Begins anew only with new keys: a counter that began again would use its numbers twice.
    fn protect(&mut self, security: &Security) {
        let Security::Keys(keys) = security else {
            self.protection = None;
            return;
        };
        if self.protection.as_ref().is_none_or(|protection| protection.keys != **keys) {
            let (sender, receiver) = (srtp::Sender::new(&keys.send), srtp::Receiver::new(&keys.receive));
            self.protection = Some(Protection { keys: (**keys).clone(), sender, receiver, scratch: Vec::new() });
        }
    }

    /// The figures so far.
    pub fn stats(&self) -> StreamStats {
        let lost = |shaper: &Option<Shaper>| shaper.as_ref().map_or(0, Shaper::lost);
        let (clicks_sent, clicks_heard) = self.clicks.counts();
        StreamStats {
            packets_sent: self.sender.count,
            packets_lost: self.receiver.lost(),
            audio_sent: self.sender.audio,
            network_lost_sent: lost(&self.outgoing),
            network_lost_received: lost(&self.incoming),
            clicks_sent,
            clicks_heard,
            ..self.receiver.stats
        }
    }

    /// One-way times of stamped packets so far.
    pub fn latencies(&self) -> &Latencies {
        &self.receiver.latencies
    }

    /// The one-way times since this was asked last; a recording has only those after that.
    pub fn take_latencies(&mut self) -> Latencies {
        std::mem::take(&mut self.receiver.latencies)
    }

    /// Everything that was heard.
    pub fn recording(&self) -> Recording {
        Recording {
            samples: self.receiver.samples.clone(),
            started: self.receiver.started,
            stats: self.stats(),
            latencies: self.receiver.latencies.clone(),
            round_trips: self.clicks.round_trips(),
            received: self.received.clone(),
            sent: self.sent.clone(),
        }
    }
}

impl Protection {
    fn seal(&mut self, packet: &mut Vec<u8>) {
        let length = packet.len();
        packet.resize(length + srtp::TRAILER_BYTES_MAX, 0);
        // What cannot be protected leaves empty, and is no packet for anybody.
        let sealed = self.sender.protect(packet, length).unwrap_or(0);
        packet.truncate(sealed);
    }

    fn open(&mut self, datagram: &[u8]) -> Option<&[u8]> {
        self.scratch.clear();
        self.scratch.extend_from_slice(datagram);
        let length = self.receiver.unprotect(&mut self.scratch).ok()?;
        self.scratch.get(..length)
    }
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Protection(…)")
    }
}

const HEADER_BYTES: usize = 12;
/// Echoes that wait for the next tick at most.
const ECHOES_MAX: usize = 256;
