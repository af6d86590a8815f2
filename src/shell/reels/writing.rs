//! One reel that is being written: from its call's frames and words to the records of its file.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use media::copy::{CopyFrame, FRAME_SAMPLES};
use media::{Codec, LegId};
use nlu::recognition::Transcript;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError as NoFrame;

use crate::control::ReelBeginning;
use crate::reel::{Chunk, ChunkError, Encoders, FRAMES_MAX, Muting, RATE_HZ, Record, ReelWriter, samples_in, unknown};
use crate::store::{ReelKey, Store};
use crate::web::Moment;

/// How long after a call's end it is waited for its last words, where words are recognised; and how much longer at most while
/// there is audio that nobody has looked at.
const SETTLE: Duration = Duration::from_secs(5);
const SETTLE_MAX: Duration = Duration::from_secs(600);
/// Chunks that wait for the key: a minute.
const CHUNKS_WAITING_MAX: usize = 12;
/// Other records that wait for a disk that takes nothing; a reel that would have more is given up.
const RECORDS_WAITING_MAX: usize = 4_096;
/// What is muted around what is typed in secret, samples: tones are heard a little later than they are told.
const AROUND_KEYS: u64 = RATE_HZ as u64 / 2;

/// How much there may be of reels, octets.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) taken: u64,
    pub(super) most: u64,
}

/// What has become of a reel.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is whole.
    Kept,
    /// It cannot be kept, and why: it is to be forgotten, for nobody knows what in it is to be muted.
    Failed(String),
}

impl Outcome {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Outcome::Kept => "kept",
            Outcome::Failed(_) => "failed",
        }
    }
}

/// Samples that were kept, and that were not, since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReelFigures {
    /// They are in the file.
    pub kept: u64,
    /// They are missing there.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Writing {
    id: String,
    began: Duration,
    words: bool,
    muting: Muting,
    key: Key,
    /// The frames, and where their first one stands in the reel.
    copy: Option<(broadcast::Receiver<Arc<CopyFrame>>, u64)>,
    encoders: Encoders,
    /// Those that take next to no time, for a thread that is late.
    plain: Encoders,
    is_late: bool,
    chunk: Chunk,
    /// Where the next frame is expected.
    next: u64,
    queue: VecDeque<Record>,
    /// What is typed in secret has begun, and not ended.
    is_secret: bool,
    ended: Option<Duration>,
    /// Its end is written, or in the queue.
    is_closed: bool,
    fails: bool,
    figures: ReelFigures,
}

#[derive(Debug)]
enum Key {
    Asked(Receiver<Result<ReelKey, String>>),
    Open(Box<ReelWriter>),
}

impl Writing {
    /// Begins at `now`, and asks for the key.
    ///
    /// # Errors
    /// When there is no encoder.
    pub(super) fn begin(
        now: Duration,
        beginning: ReelBeginning,
        frames: broadcast::Receiver<Arc<CopyFrame>>,
        store: &Store,
    ) -> Result<Self, ChunkError> {
        let ReelBeginning { id, tenant, leg, call_ms, maskers, words, call: _ } = beginning;
        let (encoders, plain) = (Encoders::new(store.audio().codec)?, Encoders::new(Codec::Pcmu)?);
        let begin = Record::Begin { unix_ms: Moment::now().0, call_ms, words };
        Ok(Self {
            key: Key::Asked(store.begin_reel(id.clone(), tenant)),
            id,
            began: now,
            words,
            muting: Muting::new(now, leg, maskers),
            copy: Some((frames, 0)),
            chunk: encoders.chunk(0),
            encoders,
            plain,
            is_late: false,
            next: 0,
            queue: VecDeque::from([begin]),
            is_secret: false,
            ended: None,
            is_closed: false,
            fails: false,
            figures: ReelFigures::default(),
        })
    }

    /// The call's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether the disk has not taken something.
    pub(super) fn fails(&self) -> bool {
        self.fails
    }

    pub(super) fn take_figures(&mut self) -> ReelFigures {
        std::mem::take(&mut self.figures)
    }

    /// Goes on with other frames, after a pause.
    pub(super) fn go_on(&mut self, now: Duration, frames: broadcast::Receiver<Arc<CopyFrame>>) {
        let at = self.place(now).max(self.next);
        (self.copy, self.next) = (Some((frames, at)), at);
        // Nobody tells during a pause that it has ended. Where it has not, that is told next.
        self.secure(now, false);
    }

    pub(super) fn pause(&mut self) {
        self.copy = None;
    }

    pub(super) fn hear(&mut self, leg: LegId, origin: Duration) {
        self.muting.hear(leg, origin);
    }

    pub(super) fn said(&mut self, transcript: &Transcript, now: Duration) {
        let muted = self.muting.said(transcript, now);
        self.queue.extend(muted.into_iter().map(|span| Record::Mute { from: span.start, to: span.end }));
    }

    /// What is typed is secret from now on, or no longer, if it was.
    pub(super) fn secure(&mut self, now: Duration, on: bool) {
        if !std::mem::replace(&mut self.is_secret, on) && !on {
            return;
        }
        let at = self.place(now);
        let at = if on { at.saturating_sub(AROUND_KEYS) } else { at + AROUND_KEYS };
        self.queue.push_back(Record::Secure { at, on });
    }

    /// The call is over.
    pub(super) fn end(&mut self, now: Duration) {
        self.ended.get_or_insert(now);
    }

    /// Whether the thread is late: what comes from now on is kept as it takes least time, which is more room.
    pub(super) fn hurry(&mut self, is_late: bool, unread: Duration) {
        if std::mem::replace(&mut self.is_late, is_late) != is_late {
            self.close_chunk(unread);
        }
    }

    /// Takes the frames that have come.
    pub(super) fn take_frames(&mut self, now: Duration, unread: Duration) {
        while let Some((frames, _)) = &mut self.copy {
            match frames.try_recv() {
                Ok(frame) => self.add(now, &frame, unread),
                // The next one's position tells how many are missing.
                Err(NoFrame::Lagged(_)) => {}
                Err(NoFrame::Empty) => break,
                Err(NoFrame::Closed) => self.copy = None,
            }
        }
        if self.ended.is_some() {
            self.copy = None;
            self.close_chunk(unread);
        }
    }

    fn add(&mut self, now: Duration, frame: &CopyFrame, unread: Duration) {
        let now_at = self.place(now);
        let Some((_, offset)) = &mut self.copy else { return };
        if *offset + frame.position < self.next {
            // The copy began anew: it counts from there.
            *offset = now_at.max(self.next).saturating_sub(frame.position);
        }
        let position = (*offset + frame.position).max(self.next);
        self.figures.dropped += position - self.next;
        if position != self.chunk.position + self.chunk.samples() {
            // Something is missing before it, or there was a pause.
            self.close_chunk(unread);
        }
        if self.chunk.frames() == 0 {
            self.chunk = self.encoders().chunk(position);
        }
        let encoders = if self.is_late { &mut self.plain } else { &mut self.encoders };
        if encoders.add(frame, &mut self.chunk).is_err() {
            self.figures.dropped += FRAME_SAMPLES as u64;
            self.close_chunk(unread);
        }
        self.next = position + FRAME_SAMPLES as u64;
        if self.chunk.frames() >= FRAMES_MAX {
            self.close_chunk(unread);
        }
    }

    /// Has what there is of a chunk written next.
    pub(super) fn close_chunk(&mut self, unread: Duration) {
        if self.chunk.frames() == 0 {
            return;
        }
        let next = self.encoders().chunk(self.next);
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        chunk.unread_ms = u32::try_from(unread.as_millis()).unwrap_or(u32::MAX);
        self.queue.push_back(Record::Audio(chunk));
    }

    /// Writes what is ready; what has become of the reel, once it has come to its end.
    pub(super) fn write(
        &mut self,
        now: Duration,
        unread: Duration,
        (folder, room): (&Path, &mut Room),
    ) -> Option<Outcome> {
        if let Err(why) = self.open(folder) {
            self.drop_audio(0);
            return Some(Outcome::Failed(why));
        }
        let Key::Open(_) = self.key else {
            self.drop_audio(CHUNKS_WAITING_MAX);
            return None;
        };
        let is_settled = self.settle(now, unread);
        while let Some(record) = self.queue.pop_front() {
            if !self.append(&record, room) && !matches!(record, Record::Audio(_)) {
                self.queue.push_front(record);
                self.drop_audio(0);
                break;
            }
        }
        if self.queue.len() > RECORDS_WAITING_MAX {
            return Some(Outcome::Failed("the disk takes nothing".to_owned()));
        }
        if !is_settled {
            return None;
        }
        if self.queue.is_empty() {
            return Some(Outcome::Kept);
        }
        let late = self.ended.is_some_and(|ended| now.saturating_sub(ended) > 2 * SETTLE_MAX);
        late.then(|| Outcome::Failed("the disk takes nothing".to_owned()))
    }

    /// The file, once there is one.
    pub(super) fn into_reel(self) -> Option<Box<ReelWriter>> {
        match self.key {
            Key::Open(reel) => Some(reel),
            Key::Asked(_) => None,
        }
    }

    /// Makes the file as soon as there is a key.
    fn open(&mut self, folder: &Path) -> Result<(), String> {
        let Key::Asked(asked) = &self.key else { return Ok(()) };
        let key = match asked.try_recv() {
            Ok(made) => made?,
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => return Err("the store is down, or has too much to do".to_owned()),
        };
        let writer = ReelWriter::create(folder, key).map_err(|error| format!("{}: {error}", folder.display()))?;
        self.key = Key::Open(Box::new(writer));
        Ok(())
    }

    /// Has the end written once the last words are known, or are waited for no longer; whether it is among what is written now,
    /// or was before.
    fn settle(&mut self, now: Duration, unread: Duration) -> bool {
        let Some(ended) = self.ended else { return false };
        let waited = now.saturating_sub(ended);
        let is_known = !self.words || waited >= SETTLE && unread.is_zero();
        if !is_known && waited < SETTLE_MAX {
            return false;
        }
        if std::mem::take(&mut self.words) && !is_known {
            self.queue.push_back(Record::Mute { from: self.next.saturating_sub(unknown(unread)), to: self.next });
        }
        if !std::mem::replace(&mut self.is_closed, true) {
            self.queue.push_back(Record::End { samples: self.next });
        }
        true
    }

    /// Whether a record is in the file.
    fn append(&mut self, record: &Record, room: &mut Room) -> bool {
        let Key::Open(writer) = &mut self.key else { return false };
        let (samples, has_room) = (samples_of(record), room.taken < room.most);
        // What is to be muted is written as long as there is any disk.
        let written = if has_room || samples == 0 { writer.append(record).ok() } else { None };
        self.fails = written.is_none() || !has_room;
        room.taken += written.unwrap_or_default();
        let figure = if written.is_some() { &mut self.figures.kept } else { &mut self.figures.dropped };
        *figure += samples;
        written.is_some()
    }

    /// Lets go of the oldest audio that waits, but for so many chunks.
    fn drop_audio(&mut self, most: usize) {
        let mut excess = self.queue.iter().filter(|record| samples_of(record) > 0).count().saturating_sub(most);
        let mut dropped = 0;
        self.queue.retain(|record| {
            let goes = excess > 0 && samples_of(record) > 0;
            excess -= usize::from(goes);
            dropped += if goes { samples_of(record) } else { 0 };
            !goes
        });
        self.figures.dropped += dropped;
    }

    fn encoders(&self) -> &Encoders {
        if self.is_late { &self.plain } else { &self.encoders }
    }

    fn place(&self, now: Duration) -> u64 {
        samples_in(now.saturating_sub(self.began))
    }
}

/// The audio in a record.
fn samples_of(record: &Record) -> u64 {
    match record {
        Record::Audio(chunk) => chunk.samples(),
        _ => 0,
    }
}
