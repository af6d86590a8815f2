//! The queue at its bounds, and what the thread makes of what comes through it.

use std::thread;

use super::queue::Queue;
use super::*;
use nlu::PartyId;
use nlu::recognition::{EngineKind, RecognizerFigures, Transcript};

const LEG: LegId = LegId(7);

#[test]
fn too_much_audio_loses_its_oldest_and_nothing_else() {
    let queue = Queue::default();
    queue.push(Piece::Open { leg: LEG, language: Language::Mandarin });
    let second = |position: u64| Piece::Audio { leg: LEG, position, samples: vec![0.0; 8_000].into() };
    (0..601).for_each(|at| queue.push(second(at * 8_000)));
    queue.push(Piece::Close { leg: LEG });
    assert_eq!(queue.samples(), (541 * 8_000, 60 * 8_000));
    let pieces = queue.take(Duration::ZERO).expect("open");
    assert_eq!(pieces.len(), 543);
    assert!(matches!(pieces.front(), Some(Piece::Open { .. })) && matches!(pieces.back(), Some(Piece::Close { .. })));
    assert_eq!(pieces[1], second(60 * 8_000), "the oldest minute is gone");
    assert_eq!(queue.samples().0, 541 * 8_000, "it is being looked at");
    assert_eq!((queue.take(Duration::ZERO), queue.samples().0), (Some(std::collections::VecDeque::new()), 0));
    queue.close();
    queue.push(second(0));
    assert_eq!((queue.take(Duration::ZERO), queue.samples().0), (None, 0));
}

#[test]
fn audio_goes_through_with_its_gaps_and_finals_come_out() {
    let (heard, mut told) = mpsc::channel(4);
    let recognizing = start(|| Ok(Box::new(Echo::default())), heard);
    recognizing.open(LEG, always(Language::Mandarin));
    recognizing.push(LEG, 0, &[0.1; 80]);
    recognizing.push(LEG, 400, &[0.1; 80]);
    recognizing.close(LEG);
    let Some(Heard::Said(transcript)) = told.blocking_recv() else { panic!("nothing was said") };
    assert_eq!((transcript.party, transcript.end), (PartyId(LEG.0), 480), "gaps count");
    assert!(recognizing.is_up());
    recognizing.stop();
    assert_eq!(told.blocking_recv(), None, "the thread ends");
    assert!(!recognizing.is_up());
}

#[test]
fn without_a_recogniser_nothing_waits_until_there_is_one() {
    let (heard, mut told) = mpsc::channel(4);
    let mut tries = 0;
    let load = move || {
        tries += 1;
        if tries == 1 { Err("no model".to_owned()) } else { Ok(Box::new(Echo::default()) as Box<dyn Recognizer>) }
    };
    let recognizing = start(load, heard);
    recognizing.open(LEG, always(Language::Mandarin));
    recognizing.push(LEG, 0, &[0.0; 800]);
    while recognizing.figures().backlog > Duration::ZERO {
        thread::yield_now();
    }
    assert_eq!((recognizing.is_up(), recognizing.figures()), (false, RecognizingFigures::default()));
    recognizing.places().lanes.values().for_each(Lane::renew);
    recognizing.push(LEG, 800, &[0.0; 800]);
    recognizing.close(LEG);
    let Some(Heard::Said(transcript)) = told.blocking_recv() else { panic!("nothing was said") };
    assert_eq!(transcript.end, 1_600, "positions count on");
    assert!(recognizing.is_up());
}

#[test]
fn a_recogniser_that_breaks_is_loaded_again_and_hears_the_parties_where_they_are() {
    let (heard, mut told) = mpsc::channel(4);
    let recognizing = start(|| Ok(Box::new(Echo::default())), heard);
    recognizing.open(LEG, always(Language::Mandarin));
    recognizing.push(LEG, 0, &[0.1; 80]);
    recognizing.push(LEG, 80, &[BREAKS; 80]);
    while recognizing.figures().restarts == 0 {
        thread::yield_now();
    }
    recognizing.push(LEG, 160, &[0.1; 80]);
    while !recognizing.is_up() {
        thread::yield_now();
    }
    recognizing.push(LEG, 240, &[0.1; 80]);
    recognizing.close(LEG);
    let Some(Heard::Said(transcript)) = told.blocking_recv() else { panic!("nothing was said") };
    assert_eq!((transcript.end, recognizing.figures().restarts), (320, 1));
}

#[test]
fn a_language_with_too_much_to_decode_holds_up_no_other() {
    let (heard, mut told) = mpsc::channel(4);
    let (go_on, stuck) = std::sync::mpsc::channel::<()>();
    let stuck = Mutex::new(Some(stuck));
    let recognizing = start_with(
        move |language| match language {
            Language::Mandarin => {
                let mut stuck = stuck.lock().expect("whole").take();
                Box::new(move || Ok(Box::new(Stuck(stuck.take().expect("loaded once"))) as Box<dyn Recognizer>))
            }
            Language::English => Box::new(|| Ok(Box::new(Echo::default()) as Box<dyn Recognizer>)),
        },
        heard,
        Arc::default(),
    );
    recognizing.open(LEG, always(Language::Mandarin));
    recognizing.push(LEG, 0, &[0.1; 80]);
    let other = LegId(8);
    recognizing.open(other, always(Language::English));
    recognizing.push(other, 0, &[0.1; 160]);
    recognizing.close(other);
    let Some(Heard::Said(transcript)) = told.blocking_recv() else { panic!("nothing was said") };
    assert_eq!((transcript.party, transcript.end), (PartyId(other.0), 160));
    // The first one goes on, too, and what it says comes behind.
    recognizing.close(LEG);
    go_on.send(()).expect("it waits");
    let Some(Heard::Said(transcript)) = told.blocking_recv() else { panic!("nothing was said") };
    assert_eq!(transcript.party, PartyId(LEG.0));
    recognizing.stop();
    assert_eq!(told.blocking_recv(), None, "both threads end");
    assert!(recognizing.has_ended());
}

#[test]
fn a_party_that_speaks_another_language_leaves_the_first_one() {
    let (heard, mut told) = mpsc::channel(4);
    let echo = |_| Box::new(|| Ok(Box::new(Echo::default()) as Box<dyn Recognizer>)) as Load;
    let recognizing = start_with(echo, heard, Arc::default());
    recognizing.open(LEG, always(Language::Mandarin));
    recognizing.push(LEG, 0, &[0.1; 80]);
    recognizing.open(LEG, always(Language::English));
    recognizing.push(LEG, 0, &[0.1; 160]);
    recognizing.close(LEG);
    let mut ends: Vec<u64> = (0..2)
        .map(|_| match told.blocking_recv() {
            Some(Heard::Said(transcript)) => transcript.end,
            other => panic!("{other:?}"),
        })
        .collect();
    ends.sort_unstable();
    assert_eq!(ends, [80, 160]);
}

#[test]
fn a_party_that_is_found_to_speak_another_language_is_heard_again_in_it() {
    for (is_sure, heard_in) in [(true, Language::English), (false, Language::Mandarin)] {
        let (heard, mut told) = mpsc::channel(4);
        let echo = |_| Box::new(|| Ok(Box::new(Echo::default()) as Box<dyn Recognizer>)) as Load;
        let recognizing = start_with(echo, heard, Arc::default());
        recognizing.places().lane(Language::English, &recognizing.0).expect("a thread");
        while !recognizing.places().lanes.values().all(Lane::is_up) {
            thread::yield_now();
        }
        recognizing.open(LEG, LanguageChoice { language: Language::Mandarin, by_ear: true });
        recognizing.push(LEG, 0, &[0.1; 160]);
        let found = LanguageFound { language: Language::English, probability: 0.9, is_sure, speech: 24_000 };
        recognizing.places().settle(LEG, found);
        recognizing.push(LEG, 160, &[0.1; 80]);
        assert_eq!(told.blocking_recv(), Some(Heard::Language { leg: LEG, found, heard_in }));
        assert_eq!(recognizing.places().legs[&LEG], heard_in);
        recognizing.close(LEG);
        let Some(Heard::Said(transcript)) = told.blocking_recv() else { panic!("nothing was said") };
        assert_eq!(transcript.end, 240, "from its first sample on");
        recognizing.stop();
        assert_eq!(told.blocking_recv(), None, "it is heard once");
    }
}

#[test]
fn what_the_other_party_said_is_told_as_such() {
    let (heard, mut told) = mpsc::channel(4);
    let recognizing = start(|| Ok(Box::new(Echo::default())), heard);
    recognizing.begin(LEG, CallKey(1), Duration::ZERO);
    recognizing.echo(LEG, 0..100);
    recognizing.open(LEG, always(Language::Mandarin));
    recognizing.push(LEG, 0, &[0.1; 4_000]);
    recognizing.close(LEG);
    let Some(Heard::Crosstalk(transcript)) = told.blocking_recv() else { panic!("it counts as said") };
    assert_eq!((transcript.party, transcript.end), (PartyId(LEG.0), 4_000));
}

impl Recognizing {
    /// Who is heard.
    pub(in crate::shell) fn heard_of(&self) -> Vec<LegId> {
        self.places().legs.keys().copied().collect()
    }
}

/// The loop with a recogniser of Mandarin and none of any other language.
pub(in crate::shell) fn start_one(load: Load, heard: mpsc::Sender<Heard>, utterances: Arc<Utterances>) -> Recognizing {
    let load = Mutex::new(Some(load));
    let loads = move |language| match language {
        Language::Mandarin => load.lock().expect("whole").take().expect("one thread"),
        Language::English => Box::new(|| Err("none of a test".to_owned())),
    };
    start_with(loads, heard, utterances)
}

fn start_with(
    loads: impl Fn(Language) -> Load + Send + Sync + 'static,
    heard: mpsc::Sender<Heard>,
    utterances: Arc<Utterances>,
) -> Recognizing {
    let files = Arc::new(Mutex::new(Err("made by a test".to_owned())));
    let (standing, places, crosstalk) = (Arc::default(), Mutex::default(), Arc::default());
    let (loads, weak) = (Box::new(loads), heard.downgrade());
    let inner = Inner { loads, files, standing, places, heard: weak, utterances, crosstalk };
    let recognizing = Recognizing(Arc::new(inner));
    recognizing.places().lane(Language::Mandarin, &recognizing.0).expect("a thread");
    // The thread has an end of its own now.
    drop(heard);
    recognizing
}

fn start(
    load: impl FnMut() -> Result<Box<dyn Recognizer>, String> + Send + 'static,
    heard: mpsc::Sender<Heard>,
) -> Recognizing {
    start_one(Box::new(load), heard, Arc::default())
}

fn always(language: Language) -> LanguageChoice {
    LanguageChoice { language, by_ear: false }
}

/// Does nothing until it is told to go on, once.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Recognizer for Stuck {
    fn open(&mut self, _: PartyId, _: Language) {}

    fn push(&mut self, _: PartyId, _: &[f32]) {
        self.0.recv().expect("somebody tells it");
    }

    fn skip(&mut self, _: PartyId, _: u64) {}

    fn run(&mut self, _: &mut Vec<Transcript>) {}

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        Echo::default().close(party, out);
    }

    fn spare(&mut self, _: bool) {}

    fn languages(&self) -> Vec<Language> {
        vec![Language::Mandarin]
    }

    fn name(&self) -> String {
        "stuck".into()
    }

    fn figures(&self) -> RecognizerFigures {
        RecognizerFigures::default()
    }
}

/// A sample that breaks the recogniser below.
const BREAKS: f32 = 0.75;

/// Tells at the end how far each party's audio went.
#[derive(Default)]
struct Echo {
    position: u64,
}

impl Recognizer for Echo {
    fn open(&mut self, _: PartyId, _: Language) {}

    fn push(&mut self, _: PartyId, samples: &[f32]) {
        assert!(!samples.contains(&BREAKS), "broken on purpose");
        self.position += samples.len() as u64;
    }

    fn skip(&mut self, _: PartyId, samples: u64) {
        self.position += samples;
    }

    fn run(&mut self, _: &mut Vec<Transcript>) {}

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let (words, phrases) = (Vec::new(), Vec::new());
        out.push(Transcript {
            party,
            engine: EngineKind::Pocketsphinx,
            is_final: true,
            start: 0,
            end: self.position,
            words,
            phrases,
            text: None,
        });
    }

    fn spare(&mut self, _: bool) {}

    fn languages(&self) -> Vec<Language> {
        Language::ALL.into()
    }

    fn name(&self) -> String {
        "echo".into()
    }

    fn figures(&self) -> RecognizerFigures {
        RecognizerFigures::default()
    }
}
