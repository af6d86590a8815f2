//! A candidate beside what judges: it moves nothing, what differs is counted, and it is shed when there is no time.

mod runtime;
mod voice;

use nlu::text::{Lexicon, TextReader};
use nlu::{AcousticModel, Candidate, Listener, ListenerSettings, Observation, PartyId, ShadowFigures, Utterance};
use runtime::runtime_or_skip;
use voice::{AGITATED, CALM, speak};

const PARTY: PartyId = PartyId(7);
const SECOND: u64 = 8_000;

#[test]
fn a_candidate_that_reads_otherwise_is_counted_and_moves_nothing() {
    let alone = listen(&mut reading("anger"), true);
    let mut compared = reading("anger");
    compared.compare_with(Some(Candidate { model: None, reader: Some(reader("joy")) }));
    assert_eq!(listen(&mut compared, true), alone, "the candidate moves nothing");
    let figures = compared.shadow_figures().expect("there is a candidate");
    let ShadowFigures { compared: steps, levels_differ, emotions_differ, anger_difference, shed, failures } = figures;
    assert_eq!((steps, shed, failures), (alone.len() as u64, 0, 0));
    assert!(levels_differ > 0 && levels_differ <= steps && emotions_differ > 0, "{figures:?}");
    assert!(anger_difference > 0.2 && anger_difference <= steps as f64, "{figures:?}");
}

#[test]
fn a_candidate_that_reads_alike_does_not_differ() {
    let mut compared = reading("anger");
    compared.compare_with(Some(Candidate { model: None, reader: Some(reader("anger")) }));
    let steps = listen(&mut compared, true).len() as u64;
    assert_eq!(compared.shadow_figures(), Some(ShadowFigures { compared: steps, ..ShadowFigures::default() }));
    // Another party under the same name begins anew, in both.
    compared.add(PARTY);
    let again = listen(&mut compared, true).len() as u64;
    assert_eq!(compared.shadow_figures(), Some(ShadowFigures { compared: steps + again, ..ShadowFigures::default() }));
    compared.compare_with(None);
    assert_eq!(compared.shadow_figures(), None);
}

#[test]
fn what_no_time_is_left_for_is_shed() {
    let mut compared = reading("anger");
    compared.compare_with(Some(Candidate { model: None, reader: Some(reader("joy")) }));
    let steps = listen(&mut compared, false).len() as u64;
    compared.run(&mut Vec::new());
    assert_eq!(compared.shadow_figures(), Some(ShadowFigures { shed: steps, ..ShadowFigures::default() }));
}

#[test]
fn models_are_exchanged_between_two_runs_and_baselines_stay() {
    let Some(runtime) = runtime_or_skip("models are exchanged") else { return };
    let model = || AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
    let mut samples = speak(CALM, 10.0);
    samples.extend(speak(AGITATED, 6.0));
    let observed = |exchange: bool| {
        let mut listener = Listener::new(Some(model()), ListenerSettings::default());
        listener.add(PARTY);
        let mut found = Vec::new();
        for (index, chunk) in samples.chunks(160).enumerate() {
            if exchange && index % 100 == 99 {
                listener.judge_by(Some(model()));
            }
            if exchange && index == 399 {
                listener.compare_with(Some(Candidate { model: Some(model()), reader: None }));
            }
            listener.push(PARTY, chunk);
            listener.run(&mut found);
            listener.run_shadow();
        }
        (found, listener.shadow_figures())
    };
    let (exchanged, figures) = observed(true);
    assert_eq!(exchanged, observed(false).0, "the same model goes on as if nothing had happened");
    let figures = figures.expect("there is a candidate");
    assert_eq!(figures, ShadowFigures { compared: figures.compared, ..ShadowFigures::default() });
    assert!(figures.compared > 10, "{figures:?}");
}

fn reading(category: &str) -> Listener {
    let mut listener = Listener::new(None, ListenerSettings::default()).with_reader(reader(category));
    listener.add(PARTY);
    listener
}

/// Reads one word, and takes it for `category`.
fn reader(category: &str) -> TextReader {
    let lexicon = format!("[[entry]]\ncategory = \"{category}\"\nstrength = 0.95\nwords = [\"太好了\"]");
    TextReader::new(None, vec![Lexicon::parse("small", &lexicon).expect("it is right")])
}

/// Plays a calm voice that says something now and then; the candidate has time for it or not.
fn listen(listener: &mut Listener, has_time: bool) -> Vec<Observation> {
    let mut found = Vec::new();
    for (index, chunk) in speak(CALM, 12.0).chunks(160).enumerate() {
        let position = index as u64 * 160;
        if position > 0 && position.is_multiple_of(4 * SECOND) {
            let text = "太好了，真是太好了".to_owned();
            listener.hear(PARTY, Utterance { text, start: position - SECOND, end: position, confidence: 1.0 });
        }
        listener.push(PARTY, chunk);
        listener.run(&mut found);
        if has_time {
            listener.run_shadow();
        }
    }
    found
}
