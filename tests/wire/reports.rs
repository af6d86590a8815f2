//! Control packets (RFC 3550 §6, RFC 3611), by hand.

/// What a compound packet of the server says.
#[derive(Debug, Default)]
pub struct Report {
    /// Who reports.
    pub source: u32,
    /// The middle 32 bits of its clock, when it sends.
    pub clock: Option<u32>,
    /// Whom it reports on, the middle bits of that one's clock, and how long ago, in 1/65,536 s.
    pub about: Option<(u32, u32, u32)>,
    /// It has a name.
    pub named: bool,
    /// Its VoIP metrics: whom on, R, and mean opinion of one who listens, tenths.
    pub metrics: Option<(u32, u8, u8)>,
    /// It says goodbye.
    pub goodbye: bool,
}

/// Reads a compound packet.
pub fn read(bytes: &[u8]) -> Report {
    let mut report = Report::default();
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let mut at = 0;
    while at < bytes.len() {
        assert_eq!(bytes[at] >> 6, 2, "version 2 at {at} of {bytes:02x?}");
        let (count, end) = (bytes[at] & 0x1f, at + 4 * (1 + usize::from(word(at) as u16)));
        match bytes[at + 1] {
            kind @ (200 | 201) => {
                report.source = word(at + 4);
                report.clock = (kind == 200).then(|| (word(at + 8) << 16) | (word(at + 12) >> 16));
                let block = if kind == 200 { at + 28 } else { at + 8 };
                report.about = (count > 0).then(|| (word(block), word(block + 16), word(block + 20)));
            }
            202 => report.named = count == 1 && bytes[at + 8] == 1 && bytes[at + 9] > 0,
            203 => report.goodbye = true,
            207 if bytes[at + 8] == 7 => report.metrics = Some((word(at + 12), bytes[at + 32], bytes[at + 34])),
            other => panic!("an unexpected packet of type {other}"),
        }
        at = end;
    }
    assert_eq!(at, bytes.len(), "whole packets");
    report
}

/// A sender report with a name, of one who reports on nobody yet.
pub fn sender_report(source: u32, clock: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    for word in [source, clock >> 16, clock << 16, 160, 1, 160] {
        bytes.extend(word.to_be_bytes());
    }
    name(source, &mut bytes);
    bytes
}

/// A receiver report on `about`, whose clock came with its last report, with VoIP metrics.
pub fn receiver_report(source: u32, about: u32, clock: u32, delay: u32) -> Vec<u8> {
    let mut bytes = vec![0x81, 201, 0, 7];
    // A tenth of the packets lost lately, 3 in all; 80 ticks of jitter.
    for word in [source, about, 26 << 24 | 3, 70_000, 80, clock, delay] {
        bytes.extend(word.to_be_bytes());
    }
    name(source, &mut bytes);
    bytes.extend([0x80, 207, 0, 10]);
    bytes.extend(source.to_be_bytes());
    bytes.extend([7, 0, 0, 8]);
    bytes.extend(about.to_be_bytes());
    // Loss and discard rate, densities, durations, delays, levels, Gmin, R, external R, opinions, buffer.
    bytes.extend([
        26, 64, 0, 0, 0, 0, 0, 0, 0, 5, 0, 40, 127, 127, 127, 16, 70, 127, 36, 35, 0, 0, 0, 40, 0, 60, 0, 200,
    ]);
    bytes
}

fn name(source: u32, bytes: &mut Vec<u8>) {
    bytes.extend([0x81, 202, 0, 3]);
    bytes.extend(source.to_be_bytes());
    bytes.extend([1, 4, b'p', b'e', b'e', b'r', 0, 0]);
}
