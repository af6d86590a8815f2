//! Reels as they are written from frames and words: with gaps, pauses, secrets, a key that comes late, and without room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use media::LegId;
use media::copy::{CopyFrame, FRAME_SAMPLES};
use nlu::PartyId;
use nlu::masking::{Class, Masker, MaskingLists};
use nlu::recognition::{EngineKind, Transcript, Word};
use routing::CallKey;
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::chores::Chores;
use super::worker::Worker;
use super::writing::{Outcome, ReelFigures, Room, Writing};
use super::{Job, ReelOptions, Reels, Shared};
use crate::control::{ReelBeginning, ReelCommand};
use crate::metrics::Metrics;
use crate::notice_samples::one_of_each;
use crate::reel::Reel;
use crate::settings::StoreSettings;
use crate::shell::clock::Clock;
use crate::shell::copy::{Copies, CopyOptions};
use crate::shell::media::CopyRing;
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
async fn a_thread_that_is_late_keeps_audio_as_it_takes_least_time_and_none_is_missing() {
    let mut place = Place::of(media::Codec::Opus, 1 << 20, Duration::MAX);
    let (frames, receiver) = broadcast::channel(1_024);
    let mut writing = place.begin(receiver, false);
    let mut taken = Vec::new();
    for (second, is_late) in [(0, false), (1, true), (2, false)] {
        writing.hurry(is_late, NOTHING);
        for number in second * 50..(second + 1) * 50 {
            // Opus takes away what does not change.
            let square = |peak: i16| std::array::from_fn(|n| if n % 16 < 8 { peak } else { -peak });
            let position = number * FRAME_SAMPLES as u64;
            let _read = frames.send(Arc::new(CopyFrame { position, left: square(1_000), right: square(2_000) }));
        }
        writing.take_frames(at(101 + second), NOTHING);
        writing.close_chunk(NOTHING);
        assert!(place.written_at(&mut writing, at(101 + second)).is_none());
        taken.push(place.room.taken);
    }
    writing.end(at(103));
    assert!(matches!(place.written_at(&mut writing, at(103)), Some(Outcome::Kept)));
    assert_eq!(place.figures, ReelFigures { kept: 150 * 160, dropped: 0 });
    assert!(taken[1] - taken[0] > 2 * (taken[2] - taken[1]), "only the second one is PCMU: {taken:?}");
    let mut reel = place.reel().await;
    for from in [SECOND / 2, SECOND + SECOND / 2, 2 * SECOND + SECOND / 2] {
        let piece = reel.piece(from).expect("readable");
        assert!(piece[..80].iter().any(|frame| *frame != [0; 2]), "at sample {from}");
    }
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
    writing.secure(at(102), true);
    assert!(place.written_at(&mut writing, at(105)).is_none());
    assert!(writing.fails(), "what is written without room says nothing of it");
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

#[tokio::test]
async fn what_is_typed_in_secret_as_a_pause_begins_and_ends_meanwhile_is_all_that_is_muted() {
    let mut place = Place::new(1 << 20);
    let (frames, receiver) = broadcast::channel(1_024);
    let mut writing = place.begin(receiver, false);
    send(&frames, 0..100);
    writing.secure(at(102), true);
    assert!(place.written_at(&mut writing, at(102)).is_none());
    writing.pause();
    let (frames, receiver) = broadcast::channel(1_024);
    writing.go_on(at(104), receiver);
    writing.secure(at(104), false);
    send(&frames, 0..200);
    assert!(place.written_at(&mut writing, at(108)).is_none());
    writing.end(at(108));
    assert!(matches!(place.written_at(&mut writing, at(108)), Some(Outcome::Kept)));
    let mut reel = place.reel().await;
    assert_eq!(reel.muted.iter().cloned().collect::<Vec<_>>(), [2 * SECOND - 4_000..4 * SECOND + 4_000]);
    for (from, is_heard) in [(SECOND, true), (2 * SECOND, false), (5 * SECOND + 4_000, true), (7 * SECOND, true)] {
        let piece = reel.piece(from).expect("readable");
        assert_eq!(piece[..80].iter().any(|frame| *frame != [0; 2]), is_heard, "at sample {from}");
    }
}

#[test]
fn what_is_told_counts_from_when_it_is_told() {
    let (jobs, inlet) = sync_channel(1);
    let reels = reels(jobs);
    let before = reels.clock.now();
    reels.order(ReelCommand::Pause { call: CallKey(1) });
    let after = reels.clock.now();
    std::thread::sleep(Duration::from_millis(2));
    let told = inlet.recv().expect("a job");
    assert!(matches!(told, Job::Command(_, at, None) if before <= at && at <= after), "{told:?}");
    reels.copies.stop();
}

#[test]
fn frames_wait_for_the_thread_from_when_it_is_told() {
    let (jobs, inlet) = sync_channel(1);
    let reels = reels(jobs);
    reels.order(ReelCommand::Begin(Box::new(beginning(false))));
    let told = inlet.recv().expect("a job");
    assert!(matches!(&told, Job::Command(ReelCommand::Begin(_), _, Some(_))), "{told:?}");
    reels.copies.stop();
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_asked_for_until_it_is_and_played_to_nobody_before() {
    let mut place = Place::new(1 << 20);
    let (_frames, receiver) = broadcast::channel(8);
    let mut writing = place.begin(receiver, false);
    assert!(place.written_at(&mut writing, at(101)).is_none());
    let (jobs, inlet) = sync_channel(1);
    let reels = reels(jobs);
    // As the thread leaves it when it breaks.
    reels.shared.to_drop().insert("call-1".to_owned());
    reels.shared.stopping.store(true, Ordering::Release);
    assert!(reels.is_open("call-1"));
    work_once(&place.store, &reels.shared, &inlet);
    assert!(!reels.is_open("call-1"));
    let key = place.store.reel("call-1".to_owned()).await.expect("readable");
    assert!(key.is_some_and(|key| key.is_none()), "it was there");

    place.store.stop();
    reels.shared.to_drop().insert("call-1".to_owned());
    work_once(&place.store, &reels.shared, &inlet);
    assert!(reels.is_open("call-1"), "nobody has done it");
    reels.copies.stop();
}

#[test]
fn a_file_that_cannot_go_keeps_no_other_from_going() {
    let place = Place::keeping(1, Duration::ZERO);
    let file = |number: u32| place.folder.join(format!("{number:032x}.reel"));
    std::fs::create_dir(file(2)).expect("a folder by the name of a file");
    for path in [file(1), file(3), place.folder.join("another")] {
        std::fs::write(path, b"four").expect("a file");
    }
    std::thread::sleep(Duration::from_millis(20));
    let (removed, octets) = place.store.clean_reels().expect("readable");
    assert!(removed == 2 && octets >= 4, "{removed} removed, {octets} octets");
    assert!(file(2).exists() && place.folder.join("another").exists());
}

/// What a server has of the thread, without the thread.
fn reels(jobs: SyncSender<Job>) -> Reels {
    Reels { jobs, copies: copies(), clock: Clock::start(), shared: Arc::default(), thread: Arc::default() }
}

fn copies() -> Copies {
    let ring = Arc::new(CopyRing::new(8));
    let options = CopyOptions { ring, parties: Arc::default(), clock: Clock::start(), on_restart: Box::new(|| ()) };
    Copies::start(options).expect("a thread")
}

/// One round of the thread, which is to stop.
fn work_once(store: &Store, shared: &Shared, inlet: &Receiver<Job>) {
    let (copies, clock) = (copies(), Clock::start());
    let (store, metrics) = (store.clone(), Metrics::new());
    let chores = Chores::start(store.clone()).expect("a thread");
    let options = ReelOptions { store, copies, clock, recognizing: None, metrics };
    Worker::new(&options, shared, &chores).work(inlet);
    options.copies.stop();
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
        Self::keeping(room, Duration::MAX)
    }

    /// One that keeps audio for so long.
    fn keeping(room: u64, audio: Duration) -> Self {
        Self::of(media::Codec::Pcmu, room, audio)
    }

    fn of(codec: media::Codec, room: u64, audio: Duration) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let mut settings = StoreSettings::within(root.path(), Duration::MAX);
        (settings.audio.codec, settings.audio.keep) = (codec, audio);
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
