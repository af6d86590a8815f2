//! The fields of control packets as they come: framing checked, then item by item to whoever asked.
//!
//! Keeps nothing and decides nothing. Reduced-size packets (RFC 5506) are taken too: any type may come first.

use super::{AccountReceived, Malformed, SenderReport, VoipMetrics};
use crate::packet::{PACKET_BYTES_MAX, Ssrc};

pub(super) const SENDER_REPORT: u8 = 200;
pub(super) const RECEIVER_REPORT: u8 = 201;
pub(super) const SOURCE_DESCRIPTION: u8 = 202;
pub(super) const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
pub(super) const EXTENDED_REPORT: u8 = 207;

/// The only item of a source description that is read (RFC 3550 §6.5.1).
pub(super) const CANONICAL_NAME: u8 = 1;
/// The block of VoIP metrics and its length in words (RFC 3611 §4.7).
pub(super) const VOIP_METRICS: u8 = 7;
pub(super) const VOIP_METRICS_WORDS: u16 = 8;

/// One thing said in a control packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    Sender(SenderReport),
    Account { about: Ssrc, account: AccountReceived },
    Name { of: Ssrc, name: &'a [u8] },
    Goodbye(Ssrc),
    Voip(VoipMetrics),
    Feedback,
    Unknown,
}

/// Reads a datagram from front to back.
pub(super) fn read<'a>(bytes: &'a [u8], visit: &mut dyn FnMut(Item<'a>)) -> Result<(), Malformed> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let mut rest = bytes;
    loop {
        let Some((&[first, packet_type, high, low], _)) = rest.split_first_chunk::<4>() else {
            return Err(Malformed::TooShort);
        };
        if first >> 6 != 2 {
            return Err(Malformed::Version);
        }
        if !(192..=223).contains(&packet_type) {
            return Err(Malformed::Type);
        }
        let length = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        let Some((packet, after)) = rest.split_at_checked(length) else {
            return Err(Malformed::Length);
        };
        let body = unpadded(packet, first)?;
        read_packet(packet_type, first & 0x1f, body, visit).ok_or(Malformed::Body { packet_type })?;
        if after.is_empty() {
            return Ok(());
        }
        rest = after;
    }
}

/// What follows the first four octets, without padding.
///
/// Only the last packet should have any, of whole words (RFC 3550 §6.4.1); others are seen, and do no harm.
fn unpadded(packet: &[u8], first: u8) -> Result<&[u8], Malformed> {
    let body = &packet[4..];
    if first & 0x20 == 0 {
        return Ok(body);
    }
    let padding = body.last().copied().map_or(0, usize::from);
    let kept = body.len().checked_sub(padding).filter(|_| padding > 0).ok_or(Malformed::Padding)?;
    Ok(&body[..kept])
}

/// `None` when the body is too short for what it says.
fn read_packet<'a>(packet_type: u8, count: u8, body: &'a [u8], visit: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    let mut body = Fields(body);
    match packet_type {
        SENDER_REPORT => {
            visit(Item::Sender(body.sender_report()?));
            read_accounts(count, &mut body, visit)
        }
        RECEIVER_REPORT => {
            body.word()?;
            read_accounts(count, &mut body, visit)
        }
        SOURCE_DESCRIPTION => (0..count).try_for_each(|_| read_chunk(&mut body, visit)),
        GOODBYE => (0..count).try_for_each(|_| body.word().map(|source| visit(Item::Goodbye(Ssrc(source))))),
        EXTENDED_REPORT => read_blocks(&mut body, visit),
        TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK => {
            visit(Item::Feedback);
            Some(())
        }
        _ => {
            visit(Item::Unknown);
            Some(())
        }
    }
}

fn read_accounts<'a>(count: u8, body: &mut Fields<'a>, visit: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    for _ in 0..count {
        let about = Ssrc(body.word()?);
        let losses = body.word()?;
        let account = AccountReceived {
            fraction_lost: (losses >> 24) as u8,
            // The lower 24 bits are signed.
            lost: (losses << 8) as i32 >> 8,
            highest: body.word()?,
            jitter_ticks: body.word()?,
            sender_report: body.word()?,
            sender_report_age: body.word()?,
        };
        visit(Item::Account { about, account });
    }
    Some(())
}

/// One source of a source description: items up to a zero, then zeros up to a whole word.
fn read_chunk<'a>(body: &mut Fields<'a>, visit: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    let before = body.0.len();
    let of = Ssrc(body.word()?);
    loop {
        let kind = body.octet()?;
        if kind == 0 {
            let used = before - body.0.len();
            body.take(used.next_multiple_of(4) - used)?;
            return Some(());
        }
        let length = usize::from(body.octet()?);
        let name = body.take(length)?;
        if kind == CANONICAL_NAME {
            visit(Item::Name { of, name });
        }
    }
}

fn read_blocks<'a>(body: &mut Fields<'a>, visit: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    body.word()?;
    while !body.0.is_empty() {
        let kind = body.octet()?;
        body.octet()?;
        let words = body.short()?;
        let mut block = Fields(body.take(4 * usize::from(words))?);
        match (kind, words) {
            (VOIP_METRICS, VOIP_METRICS_WORDS) => visit(Item::Voip(block.voip_metrics()?)),
            (VOIP_METRICS, _) => return None,
            (_, _) => visit(Item::Unknown),
        }
    }
    Some(())
}

/// What is still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn sender_report(&mut self) -> Option<SenderReport> {
        Some(SenderReport {
            source: Ssrc(self.word()?),
            ntp: u64::from(self.word()?) << 32 | u64::from(self.word()?),
            timestamp: self.word()?,
            packets: self.word()?,
            octets: self.word()?,
        })
    }

    fn voip_metrics(&mut self) -> Option<VoipMetrics> {
        let source = Ssrc(self.word()?);
        let [loss_rate, discard_rate, burst_density, gap_density] = self.word()?.to_be_bytes();
        let (burst_ms, gap_ms) = (self.short()?, self.short()?);
        let (round_trip_ms, end_system_ms) = (self.short()?, self.short()?);
        let [signal_level, noise_level, echo_return_loss, gap_packets_min] = self.word()?.to_be_bytes();
        let [r_factor, r_factor_external, mos_listening, mos_conversational] = self.word()?.to_be_bytes();
        let [receiver, _] = self.short()?.to_be_bytes();
        Some(VoipMetrics {
            source,
            loss_rate,
            discard_rate,
            burst_density,
            gap_density,
            burst_ms,
            gap_ms,
            round_trip_ms,
            end_system_ms,
            signal_level,
            noise_level,
            echo_return_loss,
            gap_packets_min,
            r_factor,
            r_factor_external,
            mos_listening,
            mos_conversational,
            receiver,
            buffer_nominal_ms: self.short()?,
            buffer_ms_max: self.short()?,
            buffer_limit_ms: self.short()?,
        })
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    fn short(&mut self) -> Option<u16> {
        let (&octets, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(octets))
    }

    fn word(&mut self) -> Option<u32> {
        let (&octets, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(octets))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
