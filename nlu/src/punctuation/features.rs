//! What is looked at behind a unit, hashed; the same as in `nlu/train/punctuation/features.py`.

use super::units::Unit;

/// Units of a clause that are counted, and those that are left of a text.
const DISTANCE_MAX: usize = 15;
const LEFT_MAX: usize = 6;
/// Units back to which somebody may have asked.
const ASKED_MAX: usize = 40;
const NOTHING: &str = "_";
/// Words that make questions wherever they stand.
const ASKING: [&str; 27] = [
    "什么", "怎么", "为何", "谁", "哪", "多少", "几", "是否", "难道", "怎样", "如何", "what", "who", "whom", "whose",
    "which", "where", "when", "why", "how", "isn't", "aren't", "don't", "didn't", "doesn't", "won't", "can't",
];

/// Where a place lies in what has been decided before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// The unit that it is behind.
    pub(super) at: usize,
    /// The first unit of the clause, and of the sentence.
    pub(super) clause: usize,
    pub(super) sentence: usize,
}

/// Calls `sum` with the hash of every feature of a place; `is_chinese` is that of the whole text.
pub(super) fn features(units: &[Unit], place: Place, is_chinese: bool, sum: &mut impl FnMut(u32)) {
    let Place { at, clause, sentence } = place;
    let near = |offset: isize| {
        let index = at.checked_add_signed(offset);
        index.and_then(|index| units.get(index)).map_or(NOTHING, |unit| unit.text.as_str())
    };
    let (b2, b1, t0, t1, t2, t3) = (near(-2), near(-1), near(0), near(1), near(2), near(3));
    let language = if is_chinese { "z" } else { "e" };
    let distance = DIGITS[(at - clause).min(DISTANCE_MAX)];
    let left = units.len() - 1 - at;
    let first = units[sentence].text.as_str();
    let second = if sentence < at { units[sentence + 1].text.as_str() } else { NOTHING };
    let end = if left == 0 { "!" } else { "." };
    let asks = asking(units, sentence, at);
    for parts in [
        &[language][..],
        &["a", t0],
        &["b", b1, "|", t0],
        &["c", b2, "|", b1, "|", t0],
        &["d", t1],
        &["e", t1, "|", t2],
        &["f", t1, "|", t2, "|", t3],
        &["g", t0, "|", t1],
        &["h", b1, "|", t0, "|", t1],
        &["i", t0, "|", t1, "|", t2],
        &["j", b1, "|", t0, "|", t1, "|", t2],
        &["k", language, distance],
        &["l", language, DIGITS[left.min(LEFT_MAX)]],
        &["m", language, distance, "|", t1],
        &["n", distance, "|", t0],
        &["o", end, first],
        &["p", end, first, "|", second],
        &["q", end, language, asks],
    ] {
        sum(hashed(parts));
    }
    if left == 0 {
        [&["r", t0][..], &["s", b1, "|", t0], &["t", first, "|", t0]].into_iter().for_each(|parts| sum(hashed(parts)));
    }
}

/// The last word that asks in the sentence so far, `A` for 是不是 and its like, or nothing.
fn asking(units: &[Unit], start: usize, at: usize) -> &'static str {
    let text = |index: usize| units[index].text.as_str();
    let mut found = NOTHING;
    for index in start.max(at.saturating_sub(ASKED_MAX))..=at {
        let is_pair = |word: &&&str| index < at && word.strip_prefix(text(index)) == Some(text(index + 1));
        if index + 2 <= at && matches!(text(index + 1), "不" | "没") && text(index) == text(index + 2) {
            found = "A";
        } else if let Some(word) =
            ASKING.iter().find(is_pair).or_else(|| ASKING.iter().find(|word| **word == text(index)))
        {
            found = word;
        }
    }
    found
}

/// FNV-1a over the parts in a row, 32 bits.
fn hashed(parts: &[&str]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.bytes());
    bytes.fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

const DIGITS: [&str; DISTANCE_MAX + 1] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
