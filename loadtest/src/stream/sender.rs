//! The sending half: one packet of voice, key or echo at a time, each when it is due.

use std::time::Duration;

use media::dtmf::{self, EventPacket, Key};
use media::{Codec, StreamSettings};
use rtc_shared::marshal::Marshal;

use super::HEADER_BYTES;
use crate::audio::Audio;
use crate::clicks::Clicks;
use crate::voice::Voice;

/// A sender that is further behind than this leaves packets out.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);
/// How long a key is pressed, and the pause after it, ms.
const KEY_MS: u32 = 100;
/// Keys leave on a tick of their own (RFC 4733 §2.5.1), ms.
const KEY_TICK_MS: u8 = 20;

#[derive(Debug)]
pub(super) struct Sender {
    voice: Voice,
    /// Where the audio stands, samples at 8 kHz.
    pub(super) position: u64,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    next_at: Option<Duration>,
    /// Something may be sent, though an echo waits for what it hears.
    is_sending: bool,
    marker: bool,
    keys: Option<(Codec, dtmf::Sender)>,
    codec: Codec,
    drift_ppm: i32,
    /// From the timestamps that are heard to those of their echoes.
    echo_offset: Option<u32>,
    pub(super) count: u64,
    /// Audio in what was sent.
    pub(super) audio: Duration,
}

impl Sender {
    pub(super) fn new(audio: Audio, seed: u64, drift_ppm: i32) -> Self {
        let [a, b, c, d, e, f, g, h] = seed.to_be_bytes();
        Sender {
            voice: Voice::new(audio),
            position: 0,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]),
            timestamp: u32::from_be_bytes([g, h, a, c]),
            next_at: None,
            is_sending: false,
            marker: true,
            keys: None,
            codec: Codec::Pcmu,
            drift_ppm,
            echo_offset: None,
            count: 0,
            audio: Duration::ZERO,
        }
    }

    pub(super) fn configure(&mut self, now: Duration, settings: &StreamSettings, is_sending: bool) {
        self.codec = settings.codec;
        self.is_sending = is_sending;
        self.begin_or_end(now);
    }

    pub(super) fn say(&mut self, now: Duration, audio: Audio) {
        self.voice.say(audio);
        self.position = 0;
        self.begin_or_end(now);
    }

    pub(super) fn says_clicks(&self) -> bool {
        self.voice.audio().has_clicks()
    }

    pub(super) fn stop(&mut self) {
        self.is_sending = false;
        self.next_at = None;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.next_at
    }

    pub(super) fn press(&mut self, keys: &[Key]) {
        if self.keys.as_ref().is_none_or(|(codec, _)| *codec != self.codec) {
            self.keys = Some((self.codec, dtmf::Sender::new(self.codec.clock_hz())));
        }
        if let Some((_, sender)) = &mut self.keys {
            // All or none are taken.
            let _ = sender.press(keys.iter().copied(), KEY_MS, KEY_MS);
        }
    }

    /// The next packet that is due.
    pub(super) fn next(&mut self, now: Duration, settings: &StreamSettings, clicks: &mut Clicks) -> Option<Vec<u8>> {
        let mut due = self.next_at.filter(|due| *due <= now)?;
        while now - due > CATCH_UP_MAX {
            due += self.advance(settings.ptime_ms);
            self.marker = true;
        }

        let is_idle = self.keys.as_ref().is_none_or(|(_, keys)| keys.is_idle());
        let key = self.keys.as_mut().and_then(|(_, keys)| keys.tick());
        let ms = if is_idle { settings.ptime_ms } else { KEY_TICK_MS };
        let packet = match key.zip(settings.event_payload_type) {
            Some((key, payload_type)) => self.key_packet(key, payload_type),
            None => self.audio_packet(now, settings, ms, clicks),
        };
        let passed = self.advance(ms);
        self.next_at = Some(due + passed);
        packet
    }

    /// The packet that says again what was heard; `None` when nobody asked for an echo.
    pub(super) fn echo(&mut self, settings: &StreamSettings, heard: &rtp::Packet) -> Option<Vec<u8>> {
        if !self.is_sending || !matches!(self.voice.audio(), Audio::Echo) {
            return None;
        }
        let offset = *self.echo_offset.get_or_insert(self.timestamp.wrapping_sub(heard.header.timestamp));
        let timestamp = heard.header.timestamp.wrapping_add(offset);
        self.timestamp = timestamp;
        let mut packet = self.header(settings.payload_type, timestamp)?;
        packet.extend_from_slice(&heard.payload);
        self.sent(settings.codec, &heard.payload);
        Some(packet)
    }

    fn audio_packet(
        &mut self,
        now: Duration,
        settings: &StreamSettings,
        ms: u8,
        clicks: &mut Clicks,
    ) -> Option<Vec<u8>> {
        let mut packet = self.header(settings.payload_type, self.timestamp)?;
        self.voice.packet(settings.codec, ms, self.position, now, &mut packet);
        self.sent(settings.codec, &packet[HEADER_BYTES..]);
        if let Audio::Clip(clip) = self.voice.audio()
            && clip.has_clicks()
        {
            clicks.sent(now, self.position, 8 * u64::from(ms), clip.click_delay(settings.codec, ms));
        }
        Some(packet)
    }

    fn key_packet(&mut self, key: EventPacket, payload_type: u8) -> Option<Vec<u8>> {
        self.marker = key.marker;
        let mut packet = self.header(payload_type, self.timestamp.wrapping_sub(key.timestamp_back))?;
        packet.extend_from_slice(&key.payload);
        self.count += 1;
        Some(packet)
    }

    fn header(&mut self, payload_type: u8, timestamp: u32) -> Option<Vec<u8>> {
        let header = rtp::Header {
            version: 2,
            marker: std::mem::take(&mut self.marker),
            payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..rtp::Header::default()
        };
        let mut packet = vec![0; HEADER_BYTES];
        // A plain header always fits its twelve bytes.
        header.marshal_to(&mut packet).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        Some(packet)
    }

    fn sent(&mut self, codec: Codec, payload: &[u8]) {
        self.count += 1;
        self.audio += audio_time(codec, codec.ticks_in(payload));
    }

    /// One packet's time passes; says how long that is by our own clock.
    fn advance(&mut self, ms: u8) -> Duration {
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_hz() / 1_000 * u32::from(ms));
        self.position += 8 * u64::from(ms);
        // A clock that is too fast by so many parts in a million has its packets ready that much too early.
        let nanoseconds =
            u64::from(ms) * 1_000_000 * 1_000_000 / 1_000_000_u64.saturating_add_signed(self.drift_ppm.into());
        Duration::from_nanos(nanoseconds)
    }

    /// Begins within one packet time, each source at a moment of its own: real calls do not send in step.
    fn begin_or_end(&mut self, now: Duration) {
        let speaks = self.is_sending && !matches!(self.voice.audio(), Audio::Echo);
        if speaks && self.next_at.is_none() {
            let phase = u64::from(self.ssrc) % super::PACKET_TIME.as_micros() as u64;
            self.next_at = Some(now + Duration::from_micros(phase));
            self.marker = true;
        } else if !speaks {
            self.next_at = None;
        }
    }
}

/// How long so many ticks of a codec's RTP clock are.
pub(super) fn audio_time(codec: Codec, ticks: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(codec.clock_hz()))
}
