//! Packets of a call as a file that Wireshark and tcpdump read: pcapng, with IP and UDP around what was said.
//!
//! Knows no call. SIP over TCP, TLS and WebSocket stands there as datagrams, too: it is what was said, not how it was carried.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use etherparse::PacketBuilder;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};

/// What the file is called on the web.
pub const CONTENT_TYPE: &str = "application/x-pcapng";
/// Octets of a datagram that are kept at most: what IPv4 and IPv6 have room for beside their headers.
const DATAGRAM_MAX: usize = 65_000;
/// Times are nanoseconds: 10^-9 s.
const RESOLUTION: u8 = 9;
/// The flags of packets that came in, and of those that left.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// One datagram.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// When, since 1970.
    pub at: Duration,
    /// Whether it came to us.
    pub is_inbound: bool,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Its octets, as far as they are kept.
    pub octets: &'a [u8],
    /// How many it has; the rest is left out.
    pub length: usize,
}

/// A file that is being written.
pub struct CaptureFile {
    writer: PcapNgWriter<Vec<u8>>,
    taken: u64,
    packets: u64,
}

impl CaptureFile {
    /// A file that says of itself what `comment` says.
    pub fn new(comment: &str) -> Self {
        let application = concat!("calmline ", env!("CARGO_PKG_VERSION"));
        let options = vec![
            SectionHeaderOption::Comment(comment.to_owned().into()),
            SectionHeaderOption::UserApplication(application.into()),
        ];
        let section = SectionHeaderBlock { options, ..SectionHeaderBlock::default() };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section).expect(TAKES_ALL);
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::RAW,
            snaplen: u32::from(u16::MAX),
            options: vec![
                InterfaceDescriptionOption::IfName("calmline".into()),
                InterfaceDescriptionOption::IfTsResol(RESOLUTION),
            ],
        };
        writer.write_pcapng_block(interface).expect(TAKES_ALL);
        Self { writer, taken: 0, packets: 0 }
    }

    /// Adds a datagram.
    pub fn add(&mut self, captured: &Captured<'_>) {
        let Captured { at, is_inbound, from, to, octets, length } = *captured;
        let kept = octets.len().min(DATAGRAM_MAX);
        let length = length.clamp(kept, DATAGRAM_MAX);
        // What is left out counts in all lengths: the packet is cut, not shorter.
        let whole = [&octets[..kept], &vec![0; length - kept][..]].concat();
        let mut packet = Vec::with_capacity(length + HEADERS_MAX);
        let head = match (from.ip().to_canonical(), to.ip().to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
            (from, to) => PacketBuilder::ipv6(wide(from), wide(to), HOPS),
        };
        let head = head.udp(from.port(), to.port());
        head.write(&mut packet, &whole).expect("it is no longer than a datagram may be");
        let original_len = packet.len() as u32;
        packet.truncate(packet.len() - (length - kept));
        let flags = if is_inbound { INBOUND } else { OUTBOUND };
        let options = vec![EnhancedPacketOption::Flags(flags)];
        let block = EnhancedPacketBlock { interface_id: 0, timestamp: at, original_len, data: packet.into(), options };
        self.writer.write_pcapng_block(block).expect(TAKES_ALL);
        self.packets += 1;
    }

    /// Ends the file at `at` since 1970, and says how many packets are missing for want of room.
    pub fn finish(&mut self, at: Duration, dropped: u64) {
        let options = vec![
            InterfaceStatisticsOption::IsbIfRecv(self.packets + dropped),
            InterfaceStatisticsOption::IsbIfDrop(dropped),
        ];
        // High and low half are swapped by nobody: the block has one number of 64 bits in two words, high word first.
        let nanoseconds = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let timestamp = if cfg!(target_endian = "little") { nanoseconds.rotate_left(32) } else { nanoseconds };
        self.writer
            .write_pcapng_block(InterfaceStatisticsBlock { interface_id: 0, timestamp, options })
            .expect(TAKES_ALL);
    }

    /// What has been written since this was last asked.
    pub fn take(&mut self) -> Bytes {
        let written = std::mem::take(self.writer.get_mut());
        self.taken += written.len() as u64;
        written.into()
    }

    /// Octets so far.
    pub fn octets(&self) -> u64 {
        self.taken + self.writer.get_ref().len() as u64
    }

    /// Packets so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }
}

/// An address as one of IPv6.
pub(crate) fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

const TAKES_ALL: &str = "a vector takes everything, and the interface is there";
/// IPv6 and UDP.
const HEADERS_MAX: usize = 48;
const HOPS: u8 = 64;

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    #[test]
    fn datagrams_come_back_as_they_went_in() {
        let v4 = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let v6 = |port| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port));
        let cases = [
            (v4(5060), v4(5080), &b"INVITE sip:a SIP/2.0\r\n\r\n"[..], 24),
            (v6(4000), v4(4002), &[0x80; 12], 172),
            (v6(4000), v6(4002), &[], 0),
        ];
        let mut file = CaptureFile::new("call boot-1, headers");
        let mut octets = file.take().to_vec();
        for (number, (from, to, kept, length)) in cases.into_iter().enumerate() {
            let at = Duration::new(1_700_000_000, number as u32);
            file.add(&Captured { at, is_inbound: number == 0, from, to, octets: kept, length });
        }
        file.finish(Duration::from_secs(1_700_000_001), 5);
        octets.extend(file.take());
        assert_eq!((file.octets(), file.packets()), (octets.len() as u64, 3));

        let mut reader = PcapNgReader::new(&octets[..]).expect("it is one");
        let said = reader.section().options.first().cloned();
        assert_eq!(said, Some(SectionHeaderOption::Comment("call boot-1, headers".into())));
        let mut read = Vec::new();
        let mut dropped = None;
        while let Some(block) = reader.next_block() {
            match block.expect("a whole block") {
                Block::EnhancedPacket(packet) => read.push(packet.into_owned()),
                Block::InterfaceStatistics(figures) => {
                    dropped = figures.options.last().cloned().map(|o| o.into_owned());
                }
                _ => {}
            }
        }
        assert_eq!(dropped, Some(InterfaceStatisticsOption::IsbIfDrop(5)));
        assert_eq!(read.len(), cases.len());
        for (number, (packet, (from, to, kept, length))) in read.iter().zip(cases).enumerate() {
            assert_eq!(packet.timestamp, Duration::new(1_700_000_000, number as u32));
            let headers = if from.is_ipv4() { 28 } else { 48 };
            assert_eq!(packet.original_len as usize, headers + length);
            assert_eq!(packet.data.len(), headers + kept.len());
            assert_eq!(&packet.data[headers..], kept);
            // What was cut is no whole packet; what was not is read by the crate that others read with.
            if kept.len() == length {
                let sliced = SlicedPacket::from_ip(&packet.data).expect("IP and UDP");
                assert!(matches!(sliced.net, Some(NetSlice::Ipv4(_) | NetSlice::Ipv6(_))));
                let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP") };
                assert_eq!((udp.source_port(), udp.destination_port()), (from.port(), to.port()));
            }
        }
    }
}
