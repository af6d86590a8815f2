//! A candidate beside what judges: it moves nothing, what differs is counted, and it is shed when there is no time.

mod runtime;
mod voice;

use nlu::text::{Lexicon, TextReader};
use nlu::{
    AcousticModel, Candidate, Listener, ListenerSettings, Observation, PartyId, Shadow, ShadowFigures, Steps, Utterance,
};
use runtime::runtime_or_skip;
use voice::{AGITATED, CALM, speak};

const PARTY: PartyId = PartyId(7);
const SECOND: u64 = 8_000;

#[test]
fn a_candidate_that_reads_otherwise_is_counted_and_moves_nothing() {
    let alone = listen(&mut reading("anger"), |_| {});
    let (mut compared, mut shadow) = (recorded(), beside("joy"));
    assert_eq!(listen(&mut compared, all(&mut shadow)), alone, "the candidate moves nothing");
    let figures = shadow.figures();
    let ShadowFigures { compared: steps, levels_differ, emotions_differ, anger_difference, shed, failures } = figures;
    assert_eq!((steps, shed, failures), (alone.len() as u64, 0, 0));
    assert!(levels_differ > 0 && levels_differ <= steps && emotions_differ > 0, "{figures:?}");
    assert!(anger_difference > 0.2 && anger_difference <= steps as f64, "{figures:?}");
}

#[test]
fn a_candidate_that_reads_alike_does_not_differ() {
    let (mut compared, mut shadow) = (recorded(), beside("anger"));
    let steps = listen(&mut compared, all(&mut shadow)).len() as u64;
    assert_eq!(shadow.figures(), ShadowFigures { compared: steps, ..ShadowFigures::default() });
    // Another party under the same name begins anew, in both.
    compared.add(PARTY);
    let again = listen(&mut compared, all(&mut shadow)).len() as u64;
    assert_eq!(shadow.figures(), ShadowFigures { compared: steps + again, ..ShadowFigures::default() });
    compared.record(false);
    listen(&mut compared, |listener| assert!(listener.take_steps().is_empty()));
}

#[test]
fn steps_may_come_late_and_together() {
    let (mut compared, mut shadow) = (recorded(), beside("anger"));
    let mut late = Steps::default();
    let steps = listen(&mut compared, |listener| late.append(listener.take_steps())).len() as u64;
    shadow.run(late);
    assert_eq!(shadow.figures(), ShadowFigures { compared: steps, ..ShadowFigures::default() });
}

#[test]
fn what_nobody_takes_is_shed() {
    let (mut compared, mut shadow) = (recorded(), beside("joy"));
    let steps = listen(&mut compared, |_| {}).len() as u64;
    compared.run(&mut Vec::new());
    shadow.run(compared.take_steps());
    assert_eq!(shadow.figures(), ShadowFigures { shed: steps, ..ShadowFigures::default() });
}

#[test]
fn models_are_exchanged_between_two_runs_and_baselines_stay() {
    let Some(runtime) = runtime_or_skip("models are exchanged") else { return };
    let model = || AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
    let mut samples = speak(CALM, 10.0);
    samples.extend(speak(AGITATED, 6.0));
    let observed = |exchange: bool| {
        let mut listener = Listener::new(Some(model()), ListenerSettings::default());
        let mut shadow = None;
        listener.add(PARTY);
        let mut found = Vec::new();
        for (index, chunk) in samples.chunks(160).enumerate() {
            if exchange && index % 100 == 99 {
                listener.judge_by(Some(model()));
            }
            if exchange && index == 399 {
                listener.record(true);
                let candidate = Candidate { model: Some(model()), reader: None };
                shadow = Some(Shadow::new(candidate, ListenerSettings::default()));
            }
            listener.push(PARTY, chunk);
            listener.run(&mut found);
            if let Some(shadow) = &mut shadow {
                shadow.run(listener.take_steps());
            }
        }
        (found, shadow.map(|shadow| shadow.figures()))
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

/// A listener whose steps are recorded.
fn recorded() -> Listener {
    let mut listener = reading("anger");
    listener.record(true);
    listener
}

/// A candidate that takes the word for `category`.
fn beside(category: &str) -> Shadow {
    Shadow::new(Candidate { model: None, reader: Some(reader(category)) }, ListenerSettings::default())
}

/// Has the candidate go over every round.
fn all(shadow: &mut Shadow) -> impl FnMut(&mut Listener) {
    |listener| shadow.run(listener.take_steps())
}

/// Reads one word, and takes it for `category`.
fn reader(category: &str) -> TextReader {
    let lexicon = format!("[[entry]]\ncategory = \"{category}\"\nstrength = 0.95\nwords = [\"太好了\"]");
    TextReader::new(None, vec![Lexicon::parse("small", &lexicon).expect("it is right")])
}

/// Plays a calm voice that says something now and then; `after` every round something is done.
fn listen(listener: &mut Listener, mut after: impl FnMut(&mut Listener)) -> Vec<Observation> {
    let mut found = Vec::new();
    for (index, chunk) in speak(CALM, 12.0).chunks(160).enumerate() {
        let position = index as u64 * 160;
        if position > 0 && position.is_multiple_of(4 * SECOND) {
            let text = "太好了，真是太好了".to_owned();
            listener.hear(PARTY, Utterance { text, start: position - SECOND, end: position, confidence: 1.0 });
        }
        listener.push(PARTY, chunk);
        listener.run(&mut found);
        after(listener);
    }
    found
}
