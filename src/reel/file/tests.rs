//! Reels that are written and read: whole, torn, altered, with gaps, and muted.

use std::fs;

use media::Codec;
use tempfile::TempDir;

use super::super::Encoders;
use super::super::sound::tests::{frame, strength};
use super::*;
use crate::store::reel_keys;

const SECOND: u64 = 8_000;
const FRAMES_PER_SECOND: u64 = 50;

#[test]
fn what_was_kept_is_heard_but_for_what_is_muted() {
    for codec in [Codec::Opus, Codec::Pcmu] {
        let place = Place::new();
        let mut writer = place.begin(false);
        let mut encoders = Encoders::new(codec).expect("an encoder");
        // Two seconds, one that is missing, two more.
        for second in [0, 1, 3, 4] {
            add_second(&mut writer, &mut encoders, second);
        }
        writer.append(&Record::Mute { from: SECOND, to: SECOND + SECOND / 2 }).expect("written");
        writer.append(&Record::Secure { at: 4 * SECOND, on: true }).expect("written");
        writer.append(&Record::Secure { at: 4 * SECOND + SECOND / 2, on: false }).expect("written");
        writer.append(&Record::End { samples: 5 * SECOND }).expect("written");

        let mut reel = place.open().expect("a reel");
        assert_eq!((reel.unix_ms, reel.call_ms, reel.samples, reel.is_whole), (7, 8, 5 * SECOND, true));
        assert_eq!(reel.muted.samples(), SECOND);
        let all = heard(&mut reel, 0);
        assert_eq!(all.len() as u64, 5 * SECOND);
        // By half seconds: one is muted, two are missing, in one something is typed.
        let heard_halves = [true, true, false, true, false, false, true, true, false, true];
        for (half, is_heard) in heard_halves.into_iter().enumerate() {
            let part = &all[half * 4_000 + 400..half * 4_000 + 3_600];
            let tones = (strength(part, 0, 400.0), strength(part, 1, 1_000.0));
            assert_eq!(part.iter().all(|frame| *frame == [0; 2]), !is_heard, "{codec:?}, half second {half}");
            assert!(!is_heard || tones.0 > 0.2 && tones.1 > 0.2, "{codec:?}, half second {half}: {tones:?}");
        }
        // From wherever it is read, it is the same.
        for from in [1, 79, 4_321, 2 * SECOND, 3 * SECOND + 1, 5 * SECOND - 1, 5 * SECOND] {
            assert_eq!(heard(&mut place.open().expect("a reel"), from), all[from as usize..], "{codec:?} from {from}");
        }
    }
}

#[test]
fn what_is_torn_or_altered_ends_there() {
    let place = Place::new();
    let mut writer = place.begin(false);
    let mut encoders = Encoders::new(Codec::Pcmu).expect("an encoder");
    let mut ends = Vec::new();
    for second in 0..3 {
        add_second(&mut writer, &mut encoders, second);
        ends.push(fs::metadata(place.path()).expect("a file").len());
    }
    let whole = fs::read(place.path()).expect("a file");
    let seconds = |octets: &[u8]| {
        fs::write(place.path(), octets).expect("written");
        place.open().map(|reel| (reel.samples / SECOND, reel.is_whole)).ok()
    };
    assert_eq!(seconds(&whole), Some((3, false)));
    assert_eq!(seconds(&whole[..whole.len() - 1]), Some((2, false)));
    assert_eq!(seconds(&whole[..ends[0] as usize + 3]), Some((1, false)));
    assert_eq!(seconds(&whole[..20]), None);
    assert_eq!(seconds(b"something else, and long enough"), None);
    let mut altered = whole.clone();
    altered[ends[1] as usize - 1] ^= 1;
    assert_eq!(seconds(&altered), Some((1, false)));
    // The second record left out.
    let without = [&whole[..ends[0] as usize], &whole[ends[1] as usize..]].concat();
    assert_eq!(seconds(&without), Some((1, false)));
    assert_eq!(seconds(&[&whole[..], &u32::MAX.to_be_bytes(), b"..."].concat()), Some((3, false)));
}

#[test]
fn the_end_of_what_was_cut_off_is_not_heard_where_words_are_recognised() {
    let length = 3 * UNKNOWN_SECONDS * SECOND;
    let reading = |end: Option<u64>, unread_ms: u64, secure: Option<u64>| {
        let chunks = vec![Kept { span: 0..length, number: 1, at: 0 }];
        Reading { chunks, end, unread_ms, secure, ..Reading::default() }
    };
    let unknown = length - UNKNOWN_SECONDS * SECOND;
    for (mut reading, words, expected) in [
        (reading(None, 0, None), true, vec![unknown..length]),
        (reading(None, 2_000, None), true, vec![unknown - 2 * SECOND..length]),
        (reading(None, 0, None), false, vec![]),
        (reading(Some(length), 0, None), true, vec![]),
        (reading(Some(length), 0, Some(length - 10)), false, vec![length - 10..length]),
    ] {
        let muted: Vec<Range<u64>> = reading.muted(words).iter().cloned().collect();
        assert_eq!(muted, expected, "{reading:?}");
    }
}

#[test]
fn nothing_that_was_said_can_be_read_in_the_file() {
    let place = Place::new();
    let mut writer = place.begin(false);
    let mut chunk = Encoders::new(Codec::Pcmu).expect("an encoder").chunk(0);
    let planted = b"what was said, planted as a packet";
    chunk.said.push(planted.as_slice().into());
    chunk.heard.push(planted.as_slice().into());
    writer.append(&Record::Audio(chunk)).expect("written");
    let octets = fs::read(place.path()).expect("a file");
    assert!(!octets.windows(8).any(|window| window == &planted[..8]));
}

/// A second of both channels, from that second on.
fn add_second(writer: &mut ReelWriter, encoders: &mut Encoders, second: u64) {
    let mut chunk = encoders.chunk(second * SECOND);
    for at in 0..FRAMES_PER_SECOND {
        encoders.add(&frame(second * FRAMES_PER_SECOND + at), &mut chunk).expect("encoded");
    }
    writer.append(&Record::Audio(chunk)).expect("written");
}

fn heard(reel: &mut Reel, from: u64) -> Vec<[i16; 2]> {
    let mut all = Vec::new();
    loop {
        let piece = reel.piece(from + all.len() as u64).expect("readable");
        if piece.is_empty() {
            return all;
        }
        all.extend(piece);
    }
}

struct Place {
    folder: TempDir,
    key: ReelKey,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = reel_keys::fresh(folder.path());
        Self { folder, key }
    }

    fn begin(&self, words: bool) -> ReelWriter {
        let mut writer = ReelWriter::create(self.folder.path(), self.key.clone()).expect("a file");
        writer.append(&Record::Begin { unix_ms: 7, call_ms: 8, words }).expect("written");
        writer
    }

    fn path(&self) -> PathBuf {
        path_of(self.folder.path(), self.key.name())
    }

    fn open(&self) -> Result<Reel, ReelError> {
        Reel::open(self.folder.path(), self.key.clone())
    }
}
