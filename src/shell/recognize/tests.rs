//! The queue at its bounds, and what the thread makes of what comes through it.

use super::*;
use nlu::PartyId;
use nlu::recognition::{RecognizerFigures, Transcript};

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
    queue.close();
    queue.push(second(0));
    assert_eq!((queue.take(Duration::ZERO), queue.samples().0), (None, 0));
}

#[test]
fn audio_goes_through_with_its_gaps_and_finals_come_out() {
    let (heard, mut told) = mpsc::channel(4);
    let load = || Some(Box::new(Echo::default()) as Box<dyn Recognizer>);
    let recognizing = Recognizing::start_with(load, heard).expect("a thread");
    recognizing.open(LEG, Language::Mandarin);
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
fn without_a_recogniser_nothing_waits() {
    let (heard, mut told) = mpsc::channel(4);
    let recognizing = Recognizing::start_with(|| None, heard).expect("a thread");
    assert_eq!(told.blocking_recv(), None, "the thread ends");
    recognizing.open(LEG, Language::Mandarin);
    recognizing.push(LEG, 0, &[0.0; 800]);
    assert_eq!((recognizing.is_up(), recognizing.figures()), (false, RecognizingFigures::default()));
}

/// Tells at the end how far each party's audio went.
#[derive(Default)]
struct Echo {
    position: u64,
}

impl Recognizer for Echo {
    fn open(&mut self, _: PartyId, _: Language) {}

    fn push(&mut self, _: PartyId, samples: &[f32]) {
        self.position += samples.len() as u64;
    }

    fn skip(&mut self, _: PartyId, samples: u64) {
        self.position += samples;
    }

    fn run(&mut self, _: &mut Vec<Transcript>) {}

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let (words, phrases) = (Vec::new(), Vec::new());
        out.push(Transcript { party, is_final: true, start: 0, end: self.position, words, phrases });
    }

    fn spare(&mut self, _: bool) {}

    fn name(&self) -> String {
        "echo".into()
    }

    fn figures(&self) -> RecognizerFigures {
        RecognizerFigures::default()
    }
}
