//! The table of weights, as the training recipe writes it: restraints and entries in order of their hash.

/// What may stand behind a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Nothing,
    Comma,
    Stop,
    Question,
}

impl Mark {
    pub(super) const ALL: [Mark; 4] = [Mark::Nothing, Mark::Comma, Mark::Stop, Mark::Question];

    /// Whether a sentence ends with it.
    pub(super) fn ends(self) -> bool {
        self >= Mark::Stop
    }

    /// As it is written, of full width in Chinese.
    pub(super) fn written(self, is_chinese: bool) -> Option<char> {
        let (full, half) = match self {
            Mark::Nothing => return None,
            Mark::Comma => ('，', ','),
            Mark::Stop => ('。', '.'),
            Mark::Question => ('？', '?'),
        };
        Some(if is_chinese { full } else { half })
    }
}

/// `PUN1`, two restraints (Chinese, English), and entries: hash, weights of the four marks; little-endian.
static TABLE: &[u8] = include_bytes!("../../models/punctuation.bin");
const HEAD: usize = 12;
const ENTRY: usize = 8;
/// Weights of one.
pub(super) const SCALE: f32 = 16.0;

/// What is added to the score of no mark.
pub(super) fn restraint(is_chinese: bool) -> f32 {
    let at = if is_chinese { 4 } else { 8 };
    f32::from_le_bytes(TABLE[at..at + 4].try_into().expect("four bytes")) * SCALE
}

/// The weights of a feature, by [`Mark::ALL`].
pub(super) fn weights(hash: u32) -> Option<[i8; 4]> {
    let (entries, _) = TABLE[HEAD..].as_chunks::<ENTRY>();
    let key = |entry: &[u8; ENTRY]| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
    let found = entries.binary_search_by_key(&hash, key).ok()?;
    let [.., nothing, comma, stop, question] = entries[found];
    Some([nothing, comma, stop, question].map(|weight| weight as i8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_in_order() {
        assert_eq!(&TABLE[..4], b"PUN1");
        assert_eq!((TABLE.len() - HEAD) % ENTRY, 0);
        let (entries, _) = TABLE[HEAD..].as_chunks::<ENTRY>();
        assert!(entries.len() > 1_000);
        let hash = |entry: &[u8; ENTRY]| u32::from_le_bytes(entry[..4].try_into().expect("four bytes"));
        assert!(entries.windows(2).all(|pair| hash(&pair[0]) < hash(&pair[1])));
        assert!([true, false].map(restraint).iter().all(|restraint| restraint.abs() <= SCALE));
    }
}
