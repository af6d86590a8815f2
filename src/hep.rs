//! HEP version 3 (EEP), by which collectors such as Homer are told of messages and quality: packets of chunks, each with a
//! vendor, a type and a length.
//!
//! Writes only, and knows neither socket nor call. <https://github.com/sipcapture/HEP>

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use crate::capture::wide;
use crate::notice::LegReport;

/// The longest payload: what a packet's length of 16 bits has room for beside the other chunks.
pub const PAYLOAD_MAX: usize = 64_000;
/// The longest text of any other chunk, bytes.
const TEXT_MAX: usize = 256;

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A SIP message.
    Sip,
    /// A report of quality, as JSON in the manner of RTCP.
    Quality,
}

/// What is told.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// When, since 1970.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Whether it went by a stream.
    pub by_stream: bool,
    /// What it is.
    pub content: Content,
    /// What all packets of one call have in common.
    pub correlation: &'a str,
    /// What was said.
    pub payload: &'a [u8],
}

/// Who tells it.
#[derive(Debug, Clone)]
pub struct Agent {
    /// By which the collector knows us.
    pub id: u32,
    /// What it asks for, when it asks for anything.
    pub key: Option<String>,
}

impl Agent {
    /// A packet. What is too long is cut.
    pub fn packet(&self, told: &Told<'_>) -> Vec<u8> {
        let Told { at, from, to, by_stream, content, correlation, payload } = *told;
        let payload = &payload[..payload.len().min(PAYLOAD_MAX)];
        let mut packet = Vec::with_capacity(payload.len() + 2 * TEXT_MAX);
        packet.extend_from_slice(b"HEP3\0\0");
        let protocol = if by_stream { TCP } else { UDP };
        match (from.ip().to_canonical(), to.ip().to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                chunk(&mut packet, 0x1, &[AF_INET]);
                chunk(&mut packet, 0x2, &[protocol]);
                chunk(&mut packet, 0x3, &from.octets());
                chunk(&mut packet, 0x4, &to.octets());
            }
            (from, to) => {
                chunk(&mut packet, 0x1, &[AF_INET6]);
                chunk(&mut packet, 0x2, &[protocol]);
                chunk(&mut packet, 0x5, &wide(from));
                chunk(&mut packet, 0x6, &wide(to));
            }
        }
        chunk(&mut packet, 0x7, &from.port().to_be_bytes());
        chunk(&mut packet, 0x8, &to.port().to_be_bytes());
        // Seconds since 1970 in 32 bits, as the format has them: good until 2106.
        chunk(&mut packet, 0x9, &(at.as_secs() as u32).to_be_bytes());
        chunk(&mut packet, 0xa, &at.subsec_micros().to_be_bytes());
        chunk(&mut packet, 0xb, &[content.number()]);
        chunk(&mut packet, 0xc, &self.id.to_be_bytes());
        if let Some(key) = &self.key {
            chunk(&mut packet, 0xe, text(key));
        }
        chunk(&mut packet, 0xf, payload);
        chunk(&mut packet, 0x11, text(correlation));
        let length = packet.len() as u16;
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet
    }
}

impl Content {
    fn number(self) -> u8 {
        match self {
            Content::Sip => 1,
            Content::Quality => 5,
        }
    }
}

/// What a collector is told of a leg that is over: its figures as those of an RTCP report (RFC 3550 §6.4.1), and beside them
/// all that we know.
pub fn quality_of(call: &str, report: &LegReport) -> Value {
    let LegReport { party, name, codec, clock_hz, packets_sent, packets_lost, quality, .. } = report;
    let fraction_lost = quality.loss_received.map_or(0, |loss| (loss * 256.0).clamp(0.0, 255.0) as u8);
    let ticks_per_ms = *clock_hz as f32 / 1_000.0;
    let jitter = quality.jitter_received_ms.map_or(0, |ms| (ms * ticks_per_ms) as u32);
    json!({
        "type": 200,
        "report_count": 1,
        "sender_information": { "packets": packets_sent },
        "report_blocks": [{ "fraction_lost": fraction_lost, "packets_lost": packets_lost, "ia_jitter": jitter }],
        "call": call,
        "party": party,
        "name": name,
        "codec": codec,
        "quality": quality,
    })
}

/// A chunk of no vendor in particular.
fn chunk(packet: &mut Vec<u8>, number: u16, octets: &[u8]) {
    let length = (CHUNK_HEADER + octets.len()) as u16;
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(octets);
}

fn text(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(TEXT_MAX)]
}

const CHUNK_HEADER: usize = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const TCP: u8 = 6;
const UDP: u8 = 17;

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The chunks of a packet by number; what is wrong with it, when it is none.
    pub(crate) fn chunks(packet: &[u8]) -> Result<BTreeMap<u16, Vec<u8>>, String> {
        let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
        if packet.get(..4) != Some(b"HEP3") || word(4).map(usize::from) != Some(packet.len()) {
            return Err(format!("no HEP3 of {} octets", packet.len()));
        }
        let (mut chunks, mut at) = (BTreeMap::new(), 6);
        while at < packet.len() {
            let (vendor, number, length) = (word(at), word(at + 2), word(at + 4).map(usize::from));
            let (Some(0), Some(number), Some(length @ 6..)) = (vendor, number, length) else {
                return Err(format!("no chunk at {at}"));
            };
            let octets = packet.get(at + 6..at + length).ok_or_else(|| format!("chunk {number} is cut"))?;
            chunks.insert(number, octets.to_vec());
            at += length;
        }
        Ok(chunks)
    }

    #[test]
    fn a_message_in_chunks() {
        let agent = Agent { id: 2_001, key: Some("secret".to_owned()) };
        let told = Told {
            at: Duration::new(1_700_000_000, 5_000),
            from: "192.0.2.1:5060".parse().expect("an address"),
            to: "192.0.2.2:5080".parse().expect("an address"),
            by_stream: false,
            content: Content::Sip,
            correlation: "boot-1",
            payload: b"BYE sip:a SIP/2.0\r\n\r\n",
        };
        let packet = agent.packet(&told);
        // The bytes themselves, as the document has them: family, protocol, addresses, ports.
        let expected = [
            &b"HEP3"[..],
            &(packet.len() as u16).to_be_bytes(),
            &[0, 0, 0, 1, 0, 7, 2, 0, 0, 0, 2, 0, 7, 17],
            &[0, 0, 0, 3, 0, 10, 192, 0, 2, 1, 0, 0, 0, 4, 0, 10, 192, 0, 2, 2],
            &[0, 0, 0, 7, 0, 8, 0x13, 0xc4, 0, 0, 0, 8, 0, 8, 0x13, 0xd8],
        ]
        .concat();
        assert_eq!(packet[..expected.len()], expected);
        let chunks = chunks(&packet).expect("a packet");
        assert_eq!(chunks[&0x9], 1_700_000_000_u32.to_be_bytes());
        assert_eq!((&chunks[&0xa][..], &chunks[&0xb][..]), (&5_u32.to_be_bytes()[..], &[1][..]));
        assert_eq!(chunks[&0xc], 2_001_u32.to_be_bytes());
        assert_eq!((&chunks[&0xe][..], &chunks[&0x11][..]), (&b"secret"[..], &b"boot-1"[..]));
        assert_eq!(chunks[&0xf], told.payload);
    }

    #[test]
    fn quality_as_a_report() {
        let quality = crate::notice::LegQuality {
            loss_received: Some(0.25),
            jitter_received_ms: Some(2.5),
            mos_listening: Some(4.1),
            ..Default::default()
        };
        let report = LegReport {
            party: "caller".to_owned(),
            name: "caller".to_owned(),
            codec: "opus".to_owned(),
            clock_hz: 48_000,
            packets_received: 75,
            packets_sent: 100,
            packets_lost: 25,
            concealed_ms: 0,
            underruns: 0,
            unauthentic: 0,
            quality,
        };
        let told = quality_of("boot-1", &report);
        let block = &told["report_blocks"][0];
        assert_eq!(
            (&block["fraction_lost"], &block["packets_lost"], &block["ia_jitter"]),
            (&json!(64), &json!(25), &json!(120))
        );
        assert_eq!((&told["call"], &told["sender_information"]["packets"]), (&json!("boot-1"), &json!(100)));
    }

    proptest! {
        #[test]
        fn whatever_is_told_can_be_read(
            at in 0_u64..u64::from(u32::MAX),
            from: SocketAddr,
            to: SocketAddr,
            by_stream: bool,
            correlation in ".{0,300}",
            key in proptest::option::of(".{0,300}"),
            payload in prop::collection::vec(any::<u8>(), 0..200),
            repeats in 1_usize..400,
        ) {
            let payload = payload.repeat(repeats);
            let at = Duration::from_secs(at);
            let agent = Agent { id: 1, key };
            let content = Content::Quality;
            let told = Told { at, from, to, by_stream, content, correlation: &correlation, payload: &payload };
            let chunks = chunks(&agent.packet(&told)).expect("a packet");
            prop_assert_eq!(&chunks[&0xf][..], &payload[..payload.len().min(PAYLOAD_MAX)]);
            prop_assert!(correlation.as_bytes().starts_with(&chunks[&0x11]));
            prop_assert_eq!(&chunks[&0x2][..], &[if by_stream { 6 } else { 17 }]);
            prop_assert_eq!(chunks.contains_key(&0xe), agent.key.is_some());
        }
    }
}
