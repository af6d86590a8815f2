//! Recordings played as calls that go on at the same time, each in real time: what a recogniser's latency is under load.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use media::wav;
use nlu::PartyId;
use nlu::recognition::{Language, Recognizer, Transcript};

use super::tally::Heard;
use super::{PACKET, Row, of_samples};
use crate::cli::Failure;

/// Silence after a recording, longer than any pause that ends an utterance with words by default: samples (2 s).
const AFTER: usize = 16_000;
/// The calls begin spread over this time, so that their chunks are not complete at the same moment.
const SPREAD: Duration = Duration::from_secs(1);
/// How often packets are looked for; they come every 20 ms.
const TICK: Duration = Duration::from_millis(5);

/// A recording that is about to be played, by its row.
type Loaded = Result<(usize, Vec<f32>), Failure>;

/// A place where one recording is played after the other.
struct Line {
    free_from: Instant,
    call: Option<Call>,
}

struct Call {
    party: PartyId,
    row: usize,
    began: Instant,
    samples: Vec<f32>,
    pushed: usize,
    /// When the audio came whose packets were taken last.
    due: Instant,
    heard: Heard,
}

/// Plays every row once, `calls` at a time, and hands over what was heard of each. `load` reads a recording.
///
/// # Errors
/// When a recording cannot be read, or what `ended` says.
pub(super) fn play(
    recognizer: &mut dyn Recognizer,
    language: Language,
    calls: usize,
    rows: &[Row],
    load: impl Fn(&Row) -> Result<Vec<f32>, Failure> + Send,
    mut ended: impl FnMut(usize, &Heard) -> Result<(), Failure>,
) -> Result<(), Failure> {
    thread::scope(|scope| {
        let (loaded, recordings) = sync_channel::<Loaded>(calls);
        scope.spawn(move || {
            // Whoever has failed takes no more.
            let _ = rows
                .iter()
                .enumerate()
                .try_for_each(|(row, each)| loaded.send(load(each).map(|samples| (row, samples))));
        });
        let began = Instant::now();
        let begins = |line: usize| began + SPREAD.mul_f64(line as f64 / calls as f64);
        let mut lines: Vec<Line> = (0..calls).map(|line| Line { free_from: begins(line), call: None }).collect();
        let mut parties = 0;
        loop {
            let is_over = begin(&mut lines, &recordings, &mut parties, recognizer, language)?;
            let now = Instant::now();
            let active = lines.iter_mut().filter_map(|line| line.call.as_mut());
            active.for_each(|call| call.push(now, recognizer));
            let mut out = Vec::new();
            recognizer.run(&mut out);
            tell(out, &mut lines);
            for line in &mut lines {
                if let Some(call) = line.call.take_if(|call| call.pushed == call.samples.len()) {
                    line.free_from = call.began + of_samples(call.samples.len() as u64);
                    let (row, heard) = call.end(recognizer);
                    ended(row, &heard)?;
                }
            }
            if is_over && lines.iter().all(|line| line.call.is_none()) {
                return Ok(());
            }
            thread::sleep(TICK.saturating_sub(now.elapsed()));
        }
    })
}

/// Begins the next recordings on the lines that are free; whether there are no more.
fn begin(
    lines: &mut [Line],
    recordings: &Receiver<Loaded>,
    parties: &mut u32,
    recognizer: &mut dyn Recognizer,
    language: Language,
) -> Result<bool, Failure> {
    let now = Instant::now();
    for line in lines.iter_mut().filter(|line| line.call.is_none() && line.free_from <= now) {
        let (row, mut samples) = match recordings.try_recv() {
            Ok(loaded) => loaded?,
            Err(TryRecvError::Empty) => return Ok(false),
            Err(TryRecvError::Disconnected) => return Ok(true),
        };
        let heard = Heard { samples: samples.len() as u64, ..Heard::default() };
        samples.resize(samples.len() + AFTER, 0.0);
        *parties += 1;
        let party = PartyId(*parties);
        recognizer.open(party, language);
        line.call = Some(Call { party, row, began: now, samples, pushed: 0, due: now, heard });
    }
    Ok(false)
}

/// Gives every call what was understood of it.
fn tell(transcripts: Vec<Transcript>, lines: &mut [Line]) {
    let now = Instant::now();
    for transcript in transcripts {
        let mut active = lines.iter_mut().filter_map(|line| line.call.as_mut());
        if let Some(call) = active.find(|call| call.party == transcript.party) {
            let began = call.began;
            let late = |end: u64| now.saturating_duration_since(began + of_samples(end));
            call.heard.take(transcript, late, now.saturating_duration_since(call.due));
        }
    }
}

impl Call {
    /// Pushes the packets that have come by now.
    fn push(&mut self, now: Instant, recognizer: &mut dyn Recognizer) {
        let come = (now - self.began).as_millis() as usize * wav::RATE_HZ as usize / 1_000 / PACKET * PACKET;
        let come = come.min(self.samples.len());
        if come > self.pushed {
            self.due = self.began + of_samples((self.pushed + PACKET).min(come) as u64);
            self.samples[self.pushed..come].chunks(PACKET).for_each(|packet| recognizer.push(self.party, packet));
            self.pushed = come;
        }
    }

    fn end(mut self, recognizer: &mut dyn Recognizer) -> (usize, Heard) {
        let mut out = Vec::new();
        recognizer.close(self.party, &mut out);
        // Here the call ended, and not a phrase: what comes now is no latency.
        self.heard.transcripts.extend(out.into_iter().filter(|transcript| transcript.is_final));
        (self.row, self.heard)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nlu::recognition::{EngineKind, RecognizerFigures};

    use super::*;

    /// Says of every party, once it is asked, how much it has heard; remembers how many there were at a time.
    #[derive(Default)]
    struct Counts {
        heard: BTreeMap<PartyId, u64>,
        most: usize,
        all: u64,
    }

    impl Recognizer for Counts {
        fn open(&mut self, party: PartyId, _: Language) {
            self.heard.insert(party, 0);
            self.most = self.most.max(self.heard.len());
        }

        fn push(&mut self, party: PartyId, samples: &[f32]) {
            *self.heard.get_mut(&party).expect("a party that was opened") += samples.len() as u64;
        }

        fn skip(&mut self, _: PartyId, _: u64) {}

        fn run(&mut self, _: &mut Vec<Transcript>) {}

        fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
            let end = self.heard.remove(&party).expect("a party that was opened");
            self.all += end;
            out.push(Transcript {
                party,
                engine: EngineKind::BuiltIn,
                is_final: true,
                start: 0,
                end,
                words: Vec::new(),
                phrases: Vec::new(),
                text: None,
            });
        }

        fn spare(&mut self, _: bool) {}

        fn languages(&self) -> Vec<Language> {
            vec![Language::Mandarin]
        }

        fn name(&self) -> String {
            "counts".to_owned()
        }

        fn figures(&self) -> RecognizerFigures {
            RecognizerFigures::default()
        }
    }

    fn row(file: &str) -> Row {
        Row { file: file.to_owned(), text: String::new() }
    }

    #[test]
    fn every_recording_is_played_once_to_its_end_and_no_more_at_a_time_than_asked() {
        let rows = [row("800"), row("1000"), row("160")];
        let mut counts = Counts::default();
        let mut ended = BTreeMap::new();
        let load = |row: &Row| Ok(vec![0.1; row.file.parse().expect("a number of samples")]);
        play(&mut counts, Language::Mandarin, 2, &rows, load, |row, heard| {
            assert!(ended.insert(row, (heard.samples, heard.transcripts[0].end)).is_none(), "row {row} twice");
            Ok(())
        })
        .expect("recordings that can be read");
        let whole = |samples: u64| (samples, samples + AFTER as u64);
        assert_eq!(ended, [(0, whole(800)), (1, whole(1_000)), (2, whole(160))].into());
        assert_eq!((counts.most, counts.all), (2, 1_960 + 3 * AFTER as u64));
    }

    #[test]
    fn a_recording_that_cannot_be_read_ends_it() {
        let rows = [row("800"), row("gone"), row("800")];
        let load = |row: &Row| match row.file.parse() {
            Ok(samples) => Ok(vec![0.1; samples]),
            Err(_) => Err(Failure::Failed(format!("{}: not there", row.file))),
        };
        let done = play(&mut Counts::default(), Language::Mandarin, 1, &rows, load, |_, _| Ok(()));
        assert!(done.expect_err("a failure").to_string().contains("gone: not there"));
    }
}
