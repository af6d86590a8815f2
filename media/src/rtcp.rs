//! The control side of one leg: reports about what it sends and receives, and what the far end reports (RFC 3550 §6).
//!
//! Knows no socket and no wall clock: its NTP time is the time since start. Encryption and who may send to us are its
//! caller's. Reads and writes without allocating; see docs/decisions/rtcp.md.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use self::read::Item;
use crate::Codec;
use crate::packet::Ssrc;
use crate::quality::{self, LegQuality, Path, Robustness};
use crate::stats::{Account, GAP_PACKETS_MIN, Reception, ratio, ticks};

/// The longest packet that [`Session::write`] makes, octets.
pub const REPORT_BYTES_MAX: usize = 256;

/// The longest canonical name that is kept, octets; what is longer is cut.
pub const NAME_BYTES_MAX: usize = 64;

/// True for RTCP where RTP comes to the same port (RFC 5761 §4, RFC 7983 §7).
pub fn is_control(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, 192..=223, ..])
}

/// Why a datagram is not a control packet that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than a header.
    #[error("shorter than an RTCP header")]
    TooShort,
    /// Longer than one Ethernet frame.
    #[error("longer than one Ethernet frame")]
    TooLong,
    /// Not version 2.
    #[error("not RTCP version 2")]
    Version,
    /// Not of a type that is RTCP.
    #[error("not a type of RTCP")]
    Type,
    /// A packet reaches past the end of the datagram.
    #[error("a packet reaches past the end")]
    Length,
    /// The padding is zero or longer than its packet.
    #[error("padding is zero or longer than its packet")]
    Padding,
    /// A packet is too short for what it says it holds.
    #[error("packet of type {packet_type} is too short for what it says")]
    Body {
        /// Which packet.
        packet_type: u8,
    },
}

/// What a sender says of its stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Who sends.
    pub source: Ssrc,
    /// The sender's clock, seconds in 32.32 bits.
    pub ntp: u64,
    /// The RTP timestamp of that moment.
    pub timestamp: u32,
    /// RTP packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// What a receiver says of a stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountReceived {
    /// Lost since the account before, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the stream began; less than zero when packets came twice.
    pub lost: i32,
    /// The highest sequence number with its count of cycles.
    pub highest: u32,
    /// Interarrival jitter, ticks of the stream's clock.
    pub jitter_ticks: u32,
    /// The middle 32 bits of the newest sender report's NTP time; 0 before the first.
    pub sender_report: u32,
    /// How long ago that report came, in 1/65536 s.
    pub sender_report_age: u32,
}

/// Metrics of a telephone's receiver, fields as in RFC 3611 §4.7; [`UNKNOWN`] where a byte's figure is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The stream that they are about.
    pub source: Ssrc,
    /// Lost packets, in 1/256.
    pub loss_rate: u8,
    /// Discarded packets, in 1/256.
    pub discard_rate: u8,
    /// Lost or discarded packets in bursts, in 1/256.
    pub burst_density: u8,
    /// Lost or discarded packets in gaps, in 1/256.
    pub gap_density: u8,
    /// Mean length of a burst, ms.
    pub burst_ms: u16,
    /// Mean length of a gap, ms.
    pub gap_ms: u16,
    /// Round trip between the RTP ends, ms; 0 when unknown.
    pub round_trip_ms: u16,
    /// Delay inside the reporting end, ms; 0 when unknown.
    pub end_system_ms: u16,
    /// Level of speech, dBm0 as a signed byte.
    pub signal_level: u8,
    /// Level of noise in pauses, dBm0 as a signed byte.
    pub noise_level: u8,
    /// Residual echo return loss, dB.
    pub echo_return_loss: u8,
    /// Received packets in a row that end a burst.
    pub gap_packets_min: u8,
    /// Rating of the call on the RTP side, 0-100.
    pub r_factor: u8,
    /// Rating of what lies beyond the reporting end, 0-100.
    pub r_factor_external: u8,
    /// Mean opinion when listening, tenths.
    pub mos_listening: u8,
    /// Mean opinion in conversation, tenths.
    pub mos_conversational: u8,
    /// Concealment and kind of jitter buffer, bits.
    pub receiver: u8,
    /// Jitter buffer's present delay, ms.
    pub buffer_nominal_ms: u16,
    /// Jitter buffer's present longest delay, ms.
    pub buffer_ms_max: u16,
    /// Longest delay to which the jitter buffer can grow, ms.
    pub buffer_limit_ms: u16,
}

/// The byte for a figure that is not known (RFC 3611 §4.7).
pub const UNKNOWN: u8 = 127;

/// The canonical name of an end (RFC 3550 §6.5.1); may name a person, so that it is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CanonicalName {
    length: u8,
    octets: [u8; NAME_BYTES_MAX],
}

/// What a control packet said that concerns us.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Received {
    /// Of the streams sent to us, the last one reported in this packet.
    pub sender: Option<SenderReport>,
    /// About our stream.
    pub account: Option<AccountReceived>,
    /// To the far end and back, measured by the account.
    pub round_trip: Option<Duration>,
    /// About our stream.
    pub voip: Option<VoipMetrics>,
    /// The far end's name, when it said one.
    pub name: Option<CanonicalName>,
    /// A stream that has ended.
    pub goodbye: Option<Ssrc>,
    /// Another sender uses our SSRC, or our own packets come back (RFC 3550 §8.2).
    pub collision: bool,
    /// Requests for feedback (RFC 4585), which are not answered.
    pub feedback: u16,
    /// Packets and blocks of other types.
    pub unknown: u16,
}

/// What delays and drops speech between our reception and the ear; all zero for a plain relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Playout {
    /// Jitter buffer's present delay, ms.
    pub buffer_nominal_ms: u16,
    /// Jitter buffer's present longest delay, ms.
    pub buffer_ms_max: u16,
    /// Longest delay to which the jitter buffer can grow, ms.
    pub buffer_limit_ms: u16,
}

/// The control session of one leg.
#[derive(Debug)]
pub struct Session {
    source: Ssrc,
    name: CanonicalName,
    codec: Codec,
    sending: Sending,
    senders: Senders,
    their_name: Option<CanonicalName>,
    /// The newest account of our stream, and how many packets we had sent then.
    account: Option<(AccountReceived, u32)>,
    voip: Option<VoipMetrics>,
    round_trip: Option<Duration>,
    pace: Pace,
}

/// What we have sent.
#[derive(Debug, Default)]
struct Sending {
    packets: u32,
    octets: u32,
    /// The newest timestamp, and when it was first sent.
    newest: Option<(Duration, u32)>,
    since_report: bool,
}

/// The newest report of each sender, with its arrival; the one heard longest ago makes room.
#[derive(Debug, Default)]
struct Senders([Option<(Duration, SenderReport)>; SENDERS_MAX]);

/// When to report (RFC 3550 §6.2, for two members and its minimum of five seconds).
#[derive(Debug)]
struct Pace {
    due: Option<Duration>,
    random: u64,
}

/// Senders remembered per leg: one, and room for what a mixer or a change of source brings.
const SENDERS_MAX: usize = 4;

const INTERVAL: Duration = Duration::from_secs(5);

/// Our NTP time at the start, seconds: its high bit tells readers that it is no date after 2036.
const NTP_START_SECONDS: u64 = 1 << 31;

/// A longer round trip is a mistake or a lie.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(30);

/// Delay of a far end that does not tell its own: one packet and a jitter buffer of two, ms.
const END_SYSTEM_MS_ASSUMED: f32 = 60.0;

impl Session {
    /// A session whose first report is due after about half an interval; `seed` spreads the reports of many legs.
    pub fn new(now: Duration, source: Ssrc, name: &str, seed: u64) -> Self {
        let mut pace = Pace { due: None, random: seed };
        pace.schedule(now, INTERVAL / 2);
        Self {
            source,
            name: CanonicalName::new(name),
            codec: Codec::Pcmu,
            sending: Sending::default(),
            senders: Senders::default(),
            their_name: None,
            account: None,
            voip: None,
            round_trip: None,
            pace,
        }
    }

    /// The codec that both directions use from now on.
    pub fn set_codec(&mut self, codec: Codec) {
        self.codec = codec;
    }

    /// We sent an RTP packet with so many octets of payload.
    pub fn sent(&mut self, now: Duration, timestamp: u32, octets: usize) {
        let sending = &mut self.sending;
        sending.packets = sending.packets.wrapping_add(1);
        sending.octets = sending.octets.wrapping_add(octets as u32);
        sending.since_report = true;
        // Late packets and those of a key press carry times gone by.
        if sending.newest.is_none_or(|(_, newest)| timestamp.wrapping_sub(newest) as i32 > 0) {
            sending.newest = Some((now, timestamp));
        }
    }

    /// Takes a datagram of the far end's, all of it or nothing.
    ///
    /// # Errors
    /// Says what is wrong with it; nothing in the datagram can make this panic.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) -> Result<Received, Malformed> {
        read::read(bytes, &mut |_| {})?;
        let mut received = Received::default();
        read::read(bytes, &mut |item| self.take(now, item, &mut received))?;
        Ok(received)
    }

    /// When the next report is due; `None` after the goodbye.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        self.pace.due.map(|due| (due, "report to the far end"))
    }

    /// Appends a report and arranges the next one; the octets written, at most [`REPORT_BYTES_MAX`].
    pub fn write(&mut self, now: Duration, reception: &mut Reception, playout: Playout, packet: &mut Vec<u8>) -> usize {
        self.pace.schedule(now, INTERVAL);
        let start = packet.len();
        self.write_report(now, reception, playout, packet);
        packet.len() - start
    }

    /// Appends the last report, with a goodbye; nothing when it was said before.
    pub fn write_goodbye(
        &mut self,
        now: Duration,
        reception: &mut Reception,
        playout: Playout,
        packet: &mut Vec<u8>,
    ) -> usize {
        if self.pace.due.take().is_none() {
            return 0;
        }
        let start = packet.len();
        self.write_report(now, reception, playout, packet);
        write::goodbye(self.source, packet);
        packet.len() - start
    }

    /// The far end's name, once it was said.
    pub fn their_name(&self) -> Option<&CanonicalName> {
        self.their_name.as_ref()
    }

    /// The newest report of a sender and when it came: which moment of its clock an RTP timestamp belongs to.
    pub fn sender_report(&self, source: Ssrc) -> Option<(Duration, SenderReport)> {
        self.senders.of(source)
    }

    /// What this leg sounds like by all that is known now.
    pub fn quality(&self, reception: &Reception, playout: Playout) -> LegQuality {
        let heard = reception.received() > 0;
        let codec = Robustness::of(self.codec);
        let loss = ratio(reception.lost(), reception.expected());
        let discarded = ratio(reception.discarded(), reception.expected());
        let delay_ms = self.delay_ms(playout);
        let path = Path {
            loss: loss + discarded,
            burst_ratio: reception.pattern().burst_ratio,
            delay_ms: delay_ms.unwrap_or(0.0),
        };
        let listening = quality::rating_listening(codec, path);
        let conversing = delay_ms.map(|_| quality::rating(codec, path));
        LegQuality {
            rtt_ms: self.round_trip.map(milliseconds),
            loss_received: heard.then_some(loss),
            loss_reported: self.loss_reported(),
            discarded: heard.then_some(discarded),
            discarded_reported: self.voip.map(|voip| f32::from(voip.discard_rate) / 256.0),
            burst_ratio: heard.then_some(path.burst_ratio),
            jitter_received_ms: heard.then(|| reception.jitter_ms()),
            jitter_reported_ms: self.jitter_reported_ms(),
            delay_ms,
            r_factor: heard.then_some(conversing.unwrap_or(listening)),
            mos_listening: heard.then(|| quality::mean_opinion(listening)),
            mos_conversational: conversing.filter(|_| heard).map(quality::mean_opinion),
            mos_reported: self.mos_reported(),
        }
    }

    fn take(&mut self, now: Duration, item: Item<'_>, received: &mut Received) {
        match item {
            Item::Sender(report) if report.source == self.source => received.collision = true,
            Item::Sender(report) => {
                self.senders.remember(now, report);
                received.sender = Some(report);
            }
            Item::Account { about, account } if about == self.source => {
                self.account = Some((account, self.sending.packets));
                received.account = Some(account);
                received.round_trip = round_trip(now, &account);
                self.round_trip = received.round_trip.or(self.round_trip);
            }
            Item::Voip(metrics) if metrics.source == self.source => {
                self.voip = Some(metrics);
                received.voip = Some(metrics);
            }
            Item::Name { of, .. } if of == self.source => received.collision = true,
            Item::Name { name, .. } => {
                self.their_name = Some(CanonicalName::cut(name));
                received.name = self.their_name;
            }
            Item::Goodbye(source) => {
                self.senders.forget(source);
                received.goodbye = Some(source);
            }
            Item::Account { .. } | Item::Voip(_) => {}
            Item::Feedback => received.feedback += 1,
            Item::Unknown => received.unknown += 1,
        }
    }

    fn write_report(&mut self, now: Duration, reception: &mut Reception, playout: Playout, packet: &mut Vec<u8>) {
        let sender = self.take_sender_report(now);
        let account = reception.account();
        let block = account.map(|account| (account.source, self.senders.answer(now, &account)));
        write::report(self.source, sender, block, packet);
        write::canonical_name(self.source, self.name.as_bytes(), packet);
        if let Some(account) = account {
            write::voip_metrics(self.source, &self.voip_metrics(account.source, reception, playout), packet);
        }
    }

    /// `None` when nothing was sent since the report before.
    fn take_sender_report(&mut self, now: Duration) -> Option<SenderReport> {
        let (at, timestamp) = self.sending.newest?;
        if !std::mem::take(&mut self.sending.since_report) {
            return None;
        }
        let since = ticks(now.saturating_sub(at), self.codec.clock_hz()) as u32;
        Some(SenderReport {
            source: self.source,
            ntp: ntp(now),
            timestamp: timestamp.wrapping_add(since),
            packets: self.sending.packets,
            octets: self.sending.octets,
        })
    }

    fn voip_metrics(&self, source: Ssrc, reception: &Reception, playout: Playout) -> VoipMetrics {
        let quality = self.quality(reception, playout);
        let pattern = reception.pattern();
        let packet_ms = reception.packet_ms().unwrap_or(0.0);
        VoipMetrics {
            source,
            loss_rate: in_256(quality.loss_received.unwrap_or(0.0)),
            discard_rate: in_256(quality.discarded.unwrap_or(0.0)),
            burst_density: in_256(pattern.burst_density),
            gap_density: in_256(pattern.gap_density),
            // A cast from float saturates.
            burst_ms: (pattern.burst_packets * packet_ms) as u16,
            gap_ms: (pattern.gap_packets * packet_ms) as u16,
            round_trip_ms: quality.rtt_ms.unwrap_or(0.0) as u16,
            end_system_ms: (packet_ms as u16).saturating_add(playout.buffer_nominal_ms),
            signal_level: UNKNOWN,
            noise_level: UNKNOWN,
            echo_return_loss: UNKNOWN,
            gap_packets_min: GAP_PACKETS_MIN,
            r_factor: quality.r_factor.map_or(UNKNOWN, |rating| rating.round() as u8),
            r_factor_external: UNKNOWN,
            mos_listening: quality.mos_listening.map_or(UNKNOWN, tenths),
            mos_conversational: quality.mos_conversational.map_or(UNKNOWN, tenths),
            receiver: 0,
            buffer_nominal_ms: playout.buffer_nominal_ms,
            buffer_ms_max: playout.buffer_ms_max,
            buffer_limit_ms: playout.buffer_limit_ms,
        }
    }

    fn delay_ms(&self, playout: Playout) -> Option<f32> {
        let theirs = self.voip.map_or(0, |voip| voip.end_system_ms.max(voip.buffer_nominal_ms));
        let theirs = if theirs == 0 { END_SYSTEM_MS_ASSUMED } else { f32::from(theirs) };
        let ours = f32::from(playout.buffer_nominal_ms);
        self.round_trip.map(|round_trip| milliseconds(round_trip) / 2.0 + theirs + ours)
    }

    fn loss_reported(&self) -> Option<f32> {
        let (account, sent) = self.account?;
        let lost = u64::try_from(account.lost).unwrap_or(0);
        Some(ratio(lost, u64::from(sent)).min(1.0))
    }

    fn jitter_reported_ms(&self) -> Option<f32> {
        let (account, _) = self.account?;
        Some(account.jitter_ticks as f32 * 1_000.0 / self.codec.clock_hz() as f32)
    }

    fn mos_reported(&self) -> Option<f32> {
        let told = self.voip.map(|voip| voip.mos_listening).filter(|mos| (10..=50).contains(mos));
        if let Some(mos) = told {
            return Some(f32::from(mos) / 10.0);
        }
        let path = Path { loss: self.loss_reported()?, burst_ratio: 1.0, delay_ms: 0.0 };
        Some(quality::mean_opinion(quality::rating(Robustness::of(self.codec), path)))
    }
}

impl CanonicalName {
    /// A name, cut where it is too long.
    pub fn new(name: &str) -> Self {
        Self::cut(&name.as_bytes()[..name.floor_char_boundary(NAME_BYTES_MAX)])
    }

    /// Its octets; UTF-8 by the RFC, which not everybody keeps.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    fn cut(name: &[u8]) -> Self {
        let length = name.len().min(NAME_BYTES_MAX);
        let mut octets = [0; NAME_BYTES_MAX];
        octets[..length].copy_from_slice(&name[..length]);
        Self { length: length as u8, octets }
    }
}

impl std::fmt::Debug for CanonicalName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "CanonicalName({} octets)", self.length)
    }
}

impl Senders {
    fn remember(&mut self, now: Duration, report: SenderReport) {
        let same = self.0.iter().position(|known| known.is_some_and(|(_, known)| known.source == report.source));
        let oldest = || (0..SENDERS_MAX).min_by_key(|&place| self.0[place].map(|(at, _)| at)).unwrap_or(0);
        let place = same.unwrap_or_else(oldest);
        self.0[place] = Some((now, report));
    }

    fn forget(&mut self, source: Ssrc) {
        self.0
            .iter_mut()
            .filter(|known| known.is_some_and(|(_, known)| known.source == source))
            .for_each(|known| *known = None);
    }

    fn of(&self, source: Ssrc) -> Option<(Duration, SenderReport)> {
        self.0.iter().flatten().find(|(_, report)| report.source == source).copied()
    }

    /// The block that lets the sender measure its round trip.
    fn answer(&self, now: Duration, account: &Account) -> AccountReceived {
        let (sender_report, sender_report_age) = self.of(account.source).map_or((0, 0), |(at, report)| {
            let age = ticks(now.saturating_sub(at), 1 << 16);
            ((report.ntp >> 16) as u32, u32::try_from(age).unwrap_or(u32::MAX))
        });
        AccountReceived {
            fraction_lost: account.fraction_lost,
            lost: account.lost,
            highest: account.highest,
            jitter_ticks: account.jitter_ticks,
            sender_report,
            sender_report_age,
        }
    }
}

impl Pace {
    /// Half to one and a half times the interval from now.
    fn schedule(&mut self, now: Duration, interval: Duration) {
        self.due = Some(now + interval.mul_f64(0.5 + self.share()));
    }

    /// Equally likely anywhere in 0-1 (splitmix64).
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Our time as NTP writes it: seconds in 32.32 bits.
fn ntp(now: Duration) -> u64 {
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (NTP_START_SECONDS + now.as_secs()) << 32 | fraction
}

/// The time that passed since our report, less what it spent at the far end (RFC 3550 §6.4.1).
fn round_trip(now: Duration, account: &AccountReceived) -> Option<Duration> {
    if account.sender_report == 0 {
        return None;
    }
    let passed = ((ntp(now) >> 16) as u32).wrapping_sub(account.sender_report);
    let under_way = passed.wrapping_sub(account.sender_report_age) as i32;
    // On a short way their rounding may tell a little more time than has passed.
    let shortest = -(1 << 16) / 100;
    let round_trip = Duration::from_secs_f64(f64::from(under_way.max(0)) / f64::from(1 << 16));
    (under_way >= shortest && round_trip <= ROUND_TRIP_MAX).then_some(round_trip)
}

fn milliseconds(span: Duration) -> f32 {
    span.as_secs_f32() * 1_000.0
}

/// A share in 1/256; all of it is 255.
fn in_256(share: f32) -> u8 {
    (share * 256.0) as u8
}

fn tenths(opinion: f32) -> u8 {
    (opinion * 10.0).round() as u8
}
