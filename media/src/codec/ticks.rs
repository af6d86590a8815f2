//! How much time a payload holds, told without decoding it.

use crate::Codec;

impl Codec {
    /// Ticks of the RTP clock that a payload lasts; 0 for one that is malformed.
    pub fn ticks_in(self, payload: &[u8]) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => payload.len() as u32,
            Codec::L16Narrow | Codec::L16Wide => payload.len() as u32 / 2,
            Codec::Opus => opus_ticks(payload).unwrap_or(0),
        }
    }
}

/// The length of an Opus packet at 48 kHz, from its first octets (RFC 6716 §3.1).
fn opus_ticks(payload: &[u8]) -> Option<u32> {
    let first = *payload.first()?;
    let frame = match first >> 3 {
        silk @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(silk & 3)],
        hybrid @ 12..=15 => [480, 960][usize::from(hybrid & 1)],
        celt => [120, 240, 480, 960][usize::from(celt & 3)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 0x3f),
    };
    let ticks = frame * frames;
    (ticks <= OPUS_TICKS_MAX).then_some(ticks)
}

/// 120 ms, the longest that the format allows.
const OPUS_TICKS_MAX: u32 = 5_760;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_octets_tell_the_time() {
        check(Codec::Pcmu, &[0; 160], 160);
        check(Codec::G722, &[0; 160], 160);
        check(Codec::L16Wide, &[0; 640], 320);
        // RFC 6716 table 2: narrow-band SILK of 10 and 60 ms, hybrid of 20 ms, CELT of 2.5 and 20 ms.
        check(Codec::Opus, &[0], 480);
        check(Codec::Opus, &[3 << 3], 2_880);
        check(Codec::Opus, &[13 << 3], 960);
        check(Codec::Opus, &[16 << 3], 120);
        check(Codec::Opus, &[31 << 3], 960);
        check(Codec::Opus, &[31 << 3 | 1], 1_920);
        check(Codec::Opus, &[31 << 3 | 3, 3], 2_880);
        check(Codec::Opus, &[31 << 3 | 3, 63], 0);
        check(Codec::Opus, &[31 << 3 | 3], 0);
        check(Codec::Opus, &[], 0);
    }

    #[track_caller]
    fn check(codec: Codec, payload: &[u8], ticks: u32) {
        assert_eq!(codec.ticks_in(payload), ticks);
    }
}
