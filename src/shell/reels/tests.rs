//! Reels as they are written from frames and words: with gaps, pauses, secrets, a key that comes late, and without room.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use media::copy::{CopyFrame, FRAME_SAMPLES};
use nlu::PartyId;
use nlu::masking::{Class, Masker, MaskingLists};
use nlu::recognition::{EngineKind, Transcript, Word};
use routing::CallKey;
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::writing::{Outcome, ReelFigures, Room, Writing};
use crate::control::ReelBeginning;
use crate::metrics::Metrics;
use crate::notice_samples::one_of_each;
use crate::reel::Reel;
use crate::settings::{AudioSettings, KeepSettings, MasterKeySource, StoreSettings, TrailSettings};
use crate::store::Store;
use crate::web::Moment;

const CALLER: LegId = LegId(1);
const SECOND: u64 = 8_000;
const NOTHING: Duration = Duration::ZERO;

#[tokio::test]
async fn a_reel_has_what_was_said_where_it_was_said() {
    let mut place = Place::new(1 << 20);
    let (frames, receiver) = broadcast::channel(1_024);
    let mut writing = place.begin(receiver, false);
    send(&frames, 0..50);
    // Ten frames are missing, then the copy begins anew.
    send(&frames, 60..100);
    assert!(place.written_at(&mut writing, at(102)).is_none());
    send(&frames, 0..25);
    assert!(place.written_at(&mut writing, at(103)).is_none());
    writing.pause();
    let (frames, receiver) = broadcast::channel(1_024);
    writing.go_on(at(110), receiver);
    send(&frames, 0..50);
    writing.secure(at(110), true);
    writing.secure(at(110) + Duration::from_millis(300), false);
    assert!(place.written_at(&mut writing, at(111)).is_none());
    writing.end(at(111));
    assert!(matches!(place.written_at(&mut writing, at(111)), Some(Outcome::Kept)));
    assert_eq!(place.figures, ReelFigures { kept: 165 * 160, dropped: 10 * 160 + SECOND });

    let mut reel = place.reel().await;
    assert_eq!((reel.is_whole, reel.samples), (true, 11 * SECOND));
    for (from, is_heard) in [(0, true), (8_100, false), (10_000, true), (3 * SECOND + 100, true), (5 * SECOND, false)] {
        let piece = reel.piece(from).expect("readable");
        assert_eq!(piece[..80].iter().any(|frame| *frame != [0; 2]), is_heard, "at sample {from}");
    }
    let muted: Vec<_> = reel.muted.iter().cloned().collect();
    assert_eq!(muted, [10 * SECOND - 4_000..10 * SECOND + 2_400 + 4_000]);
}

#[tokio::test]
async fn last_words_are_waited_for_and_muted() {
    let mut place = Place::new(1 << 20);
    let (frames, receiver) = broadcast::channel(1_024);
    let mut writing = place.begin(receiver, true);
    writing.hear(CALLER, at(100));
    send(&frames, 0..200);
    writing.end(at(104));
    assert!(place.written_at(&mut writing, at(104)).is_none());
    // Somebody is still to be listened to.
    assert!(place.written(&mut writing, at(110), Duration::from_secs(1)).is_none());
    writing.said(&number_said(SECOND), at(110));
    assert!(matches!(place.written_at(&mut writing, at(111)), Some(Outcome::Kept)));
    let reel = place.reel().await;
    assert_eq!(reel.muted.iter().cloned().collect::<Vec<_>>(), [SECOND - 4_800..2 * SECOND + 800 + 3_200]);

    let mut place = Place::new(1 << 20);
    let (frames, receiver) = broadcast::channel(1_024);
    let mut writing = place.begin(receiver, true);
    send(&frames, 0..200);
    writing.end(at(104));
    let waited = at(104) + Duration::from_secs(600);
    assert!(matches!(place.written(&mut writing, waited, Duration::from_secs(1)), Some(Outcome::Kept)));
    assert_eq!(place.reel().await.muted.samples(), 4 * SECOND, "nobody knows what was said in it");
}

#[tokio::test]
async fn without_room_audio_is_missing_and_counted_and_what_is_secret_is_noted_all_the_same() {
    let mut place = Place::new(1);
    let (frames, receiver) = broadcast::channel(1_024);
    let mut writing = place.begin(receiver, false);
    send(&frames, 0..250);
    writing.secure(at(101), true);
    assert!(place.written_at(&mut writing, at(105)).is_none());
    assert!(writing.fails());
    place.room.most = 1 << 20;
    send(&frames, 250..500);
    writing.end(at(110));
    assert!(matches!(place.written_at(&mut writing, at(110)), Some(Outcome::Kept)));
    assert_eq!(place.figures, ReelFigures { kept: 250 * 160, dropped: 250 * 160 });
    let reel = place.reel().await;
    assert_eq!(reel.muted.iter().cloned().collect::<Vec<_>>(), [SECOND / 2..10 * SECOND]);
}

#[tokio::test]
async fn a_call_that_the_store_does_not_know_has_no_reel() {
    let mut place = Place::new(1 << 20);
    let (_frames, receiver) = broadcast::channel(8);
    let beginning = ReelBeginning { id: "another".to_owned(), ..beginning(false) };
    let mut writing = Writing::begin(at(100), beginning, receiver, &place.store).expect("an encoder");
    place.wait();
    let outcome = place.written_at(&mut writing, at(101));
    assert!(matches!(&outcome, Some(Outcome::Failed(why)) if why.contains("not kept")), "{outcome:?}");
}

struct Place {
    _root: TempDir,
    folder: PathBuf,
    store: Store,
    room: Room,
    figures: ReelFigures,
}

impl Place {
    fn new(room: u64) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let keep = KeepSettings { calls: Duration::MAX, words: Duration::MAX, timeline: Duration::MAX };
        let (folder, backups) = (root.path().join("data"), root.path().join("backups"));
        let audio = AudioSettings { codec: media::Codec::Pcmu, ..AudioSettings::beside(&folder, keep.calls) };
        let (master_key, trail) = (MasterKeySource::Beside, TrailSettings::default());
        let settings =
            StoreSettings { folder, backups, database: None, master_key, previous_key: None, keep, audio, trail };
        let store = Store::start(&settings, &Metrics::new()).expect("a store");
        store.keep(&one_of_each()[0], Moment::now());
        let folder = settings.audio.folder;
        std::fs::create_dir_all(&folder).expect("a folder");
        Self { _root: root, folder, store, room: Room { taken: 0, most: room }, figures: ReelFigures::default() }
    }

    /// A reel that begins at 100 s, once its key is there.
    fn begin(&self, frames: broadcast::Receiver<Arc<CopyFrame>>, words: bool) -> Writing {
        let writing = Writing::begin(at(100), beginning(words), frames, &self.store).expect("an encoder");
        self.wait();
        writing
    }

    /// Until the store has done what it was asked.
    fn wait(&self) {
        let asked = self.store.begin_reel("nobody".to_owned(), None);
        assert!(asked.recv().expect("an answer").is_err());
    }

    fn written_at(&mut self, writing: &mut Writing, now: Duration) -> Option<Outcome> {
        self.written(writing, now, NOTHING)
    }

    fn written(&mut self, writing: &mut Writing, now: Duration, unread: Duration) -> Option<Outcome> {
        writing.take_frames(now, unread);
        let outcome = writing.write(now, unread, (&self.folder, &mut self.room));
        let ReelFigures { kept, dropped } = writing.take_figures();
        (self.figures.kept, self.figures.dropped) = (self.figures.kept + kept, self.figures.dropped + dropped);
        outcome
    }

    async fn reel(&self) -> Reel {
        let key = self.store.reel("call-1".to_owned()).await.expect("readable").flatten().expect("a key");
        Reel::open(&self.folder, key).expect("a reel")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.store.stop();
    }
}

fn beginning(words: bool) -> ReelBeginning {
    let masker = Masker::new(Arc::new(MaskingLists::built_in()), Class::usual());
    ReelBeginning {
        call: CallKey(1),
        id: "call-1".to_owned(),
        tenant: None,
        leg: CALLER,
        call_ms: 0,
        maskers: (masker.clone(), masker),
        words,
    }
}

fn send(frames: &broadcast::Sender<Arc<CopyFrame>>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let position = number * FRAME_SAMPLES as u64;
        let _read = frames.send(Arc::new(CopyFrame { position, left: [1_000; 160], right: [2_000; 160] }));
    }
}

/// A telephone number, a tenth of a second a digit.
fn number_said(start: u64) -> Transcript {
    let word = |(at, digit): (u64, char)| Word {
        text: digit.to_string(),
        start: start + at * 800,
        end: start + (at + 1) * 800,
        confidence: 1.0,
    };
    let digits = "一三八零零一三八零零零";
    Transcript {
        party: PartyId(CALLER.0),
        engine: EngineKind::SherpaOnnx,
        is_final: true,
        start,
        end: start + 11 * 800,
        words: (0..).zip(digits.chars()).map(word).collect(),
        phrases: Vec::new(),
        text: Some(digits.to_owned()),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
