//! Control packets as octets, appended to a buffer that others own.
//!
//! Knows the layout and nothing of when or why (RFC 3550 §6.4-6.6, RFC 3611 §4.7).

use super::read::{
    CANONICAL_NAME, EXTENDED_REPORT, GOODBYE, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION, VOIP_METRICS,
    VOIP_METRICS_WORDS,
};
use super::{AccountReceived, SenderReport, VoipMetrics};
use crate::packet::Ssrc;

/// A sender report, or a receiver report from `source` where there is none to give.
pub(super) fn report(
    source: Ssrc,
    sender: Option<SenderReport>,
    account: Option<(Ssrc, AccountReceived)>,
    packet: &mut Vec<u8>,
) {
    let kind = if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    let start = begin(kind, u8::from(account.is_some()), packet);
    put(packet, &[source.0]);
    if let Some(sender) = sender {
        let (ntp_high, ntp_low) = ((sender.ntp >> 32) as u32, sender.ntp as u32);
        put(packet, &[ntp_high, ntp_low, sender.timestamp, sender.packets, sender.octets]);
    }
    if let Some((about, account)) = account {
        let lost = account.lost.clamp(LOST_MIN, LOST_MAX) as u32 & 0x00ff_ffff;
        put(packet, &[about.0, u32::from(account.fraction_lost) << 24 | lost, account.highest, account.jitter_ticks]);
        put(packet, &[account.sender_report, account.sender_report_age]);
    }
    end(start, packet);
}

/// A source description that holds the canonical name only.
pub(super) fn canonical_name(source: Ssrc, name: &[u8], packet: &mut Vec<u8>) {
    let start = begin(SOURCE_DESCRIPTION, 1, packet);
    put(packet, &[source.0]);
    let length = u8::try_from(name.len()).expect("a name is bounded when it is made");
    packet.extend_from_slice(&[CANONICAL_NAME, length]);
    packet.extend_from_slice(name);
    // At least one zero ends the items.
    packet.push(0);
    let used = packet.len() - start;
    packet.resize(start + used.next_multiple_of(4), 0);
    end(start, packet);
}

/// An extended report that holds one block of VoIP metrics.
pub(super) fn voip_metrics(source: Ssrc, metrics: &VoipMetrics, packet: &mut Vec<u8>) {
    let start = begin(EXTENDED_REPORT, 0, packet);
    put(packet, &[source.0]);
    packet.extend_from_slice(&[VOIP_METRICS, 0]);
    put_short(packet, &[VOIP_METRICS_WORDS]);
    put(packet, &[metrics.source.0]);
    packet.extend_from_slice(&[metrics.loss_rate, metrics.discard_rate, metrics.burst_density, metrics.gap_density]);
    put_short(packet, &[metrics.burst_ms, metrics.gap_ms, metrics.round_trip_ms, metrics.end_system_ms]);
    packet.extend_from_slice(&[metrics.signal_level, metrics.noise_level]);
    packet.extend_from_slice(&[metrics.echo_return_loss, metrics.gap_packets_min]);
    packet.extend_from_slice(&[metrics.r_factor, metrics.r_factor_external]);
    packet.extend_from_slice(&[metrics.mos_listening, metrics.mos_conversational, metrics.receiver, 0]);
    put_short(packet, &[metrics.buffer_nominal_ms, metrics.buffer_ms_max, metrics.buffer_limit_ms]);
    end(start, packet);
}

/// A goodbye of one source, without a reason.
pub(super) fn goodbye(source: Ssrc, packet: &mut Vec<u8>) {
    let start = begin(GOODBYE, 1, packet);
    put(packet, &[source.0]);
    end(start, packet);
}

/// The cumulative count of losses has 24 signed bits.
const LOST_MIN: i32 = -(1 << 23);
const LOST_MAX: i32 = (1 << 23) - 1;

fn begin(kind: u8, count: u8, packet: &mut Vec<u8>) -> usize {
    packet.extend_from_slice(&[2 << 6 | count, kind, 0, 0]);
    packet.len() - 4
}

/// Writes the length of the packet that began at `start`: words after the first.
fn end(start: usize, packet: &mut [u8]) {
    let words = ((packet.len() - start) / 4 - 1) as u16;
    packet[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn put(packet: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| packet.extend_from_slice(&word.to_be_bytes()));
}

fn put_short(packet: &mut Vec<u8>, shorts: &[u16]) {
    shorts.iter().for_each(|short| packet.extend_from_slice(&short.to_be_bytes()));
}
