//! Voices judged by their sound, too: as alone so in a batch, never while work is spared, and nothing of a broken file.

mod crowd;
mod runtime;
mod voice;

use nlu::{AcousticModel, Encoder, Listener, ListenerSettings, Observation, PartyId, Runtime, SoundModel, Source};
use runtime::runtime_or_skip;
use voice::{AGITATED, CALM, speak};

const ENCODER: &[u8] = include_bytes!("../models/encoder.onnx");
const GRAPH: &[u8] = include_bytes!("../models/sound.onnx");
const CARD: &str = include_str!("../models/sound.json");
/// Sums are in another order in a batch, and what is brought to 8 bits may fall to the other side.
const TOLERANCE: f32 = 0.02;

#[test]
fn a_batch_of_parties_sounds_as_each_alone() {
    let Some(runtime) = runtime_or_skip("the sound of a batch") else { return };
    for [got, expected] in crowd::heard(|| hearing(&runtime)) {
        check_same(&got, &expected);
    }
}

#[test]
fn chunks_do_not_matter_to_the_sound() {
    let Some(runtime) = runtime_or_skip("the sound in chunks") else { return };
    let mut samples = speak(CALM, 5.0);
    samples.extend(vec![0.0; 4 * 8_000]);
    samples.extend(speak(AGITATED, 4.0));
    let expected = listen(&mut hearing(&runtime), &samples, 160);
    for chunk in [333, 12_345, 36_000] {
        check_same(&listen(&mut hearing(&runtime), &samples, chunk), &expected);
    }
}

#[test]
fn the_sound_says_something_and_nothing_while_work_is_spared() {
    let Some(runtime) = runtime_or_skip("the sound is spared") else { return };
    let samples = speak(AGITATED, 8.0);
    let numbers = || {
        let model = AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
        Listener::new(Some(model), ListenerSettings::default())
    };
    let (with, without) = (listen(&mut hearing(&runtime), &samples, 160), listen(&mut numbers(), &samples, 160));
    assert_eq!(with.len(), without.len());
    assert!(with.iter().zip(&without).all(|(a, b)| a.probabilities != b.probabilities && a.evidence == b.evidence));
    let spared = |mut listener: Listener| {
        listener.spare(true);
        listen(&mut listener, &samples, 160)
    };
    assert_eq!(spared(hearing(&runtime)), spared(numbers()));
    // So it is from the moment on at which sparing begins, and the sound is back behind it.
    let spared_later = |mut listener: Listener| {
        let mut found = listen(&mut listener, &samples[..32_000], 160);
        for (piece, spared) in [(&samples[32_000..48_000], true), (&samples[48_000..], false)] {
            listener.spare(spared);
            for packet in piece.chunks(160) {
                listener.push(PartyId(7), packet);
                listener.run(&mut found);
            }
        }
        found.into_iter().map(|observation| (observation.position, observation.probabilities)).collect::<Vec<_>>()
    };
    let (with, without) = (spared_later(hearing(&runtime)), spared_later(numbers()));
    let differ = |from: u64, to: u64| {
        let both = with.iter().zip(&without).filter(move |((at, _), _)| (from..to).contains(at));
        both.map(|(a, b)| a != b).collect::<Vec<_>>()
    };
    assert!(differ(0, 32_000).iter().all(|differs| *differs) && !differ(0, 32_000).is_empty());
    assert!(differ(34_000, 48_000).iter().all(|differs| !differs) && !differ(34_000, 48_000).is_empty());
    assert!(differ(56_000, 64_001).iter().all(|differs| *differs) && !differ(56_000, 64_001).is_empty());
}

#[test]
fn what_is_heard_is_of_one_party_alone() {
    let Some(runtime) = runtime_or_skip("the sound of one party") else { return };
    let mut listener = hearing(&runtime);
    let expected = listen(&mut listener, &speak(CALM, 6.0), 160);
    listen(&mut listener, &speak(AGITATED, 6.0), 160);
    // The same party starts again: nothing of the one before is left.
    check_same(&listen(&mut listener, &speak(CALM, 6.0), 160), &expected);
}

#[test]
fn parties_beyond_the_bound_are_judged_by_their_numbers() {
    let Some(runtime) = runtime_or_skip("the sound of too many") else { return };
    let samples = speak(AGITATED, 6.0);
    let model = || AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
    let settings = ListenerSettings { sound_parties_max: 1, ..ListenerSettings::default() };
    let sound = SoundModel::built_in(&runtime).expect("so does what judges the sound");
    let mut listener = Listener::new(Some(model().with_sound(sound)), settings);
    let hear = |listener: &mut Listener, parties: &[u32]| {
        let mut found = Vec::new();
        for piece in samples.chunks(4_000) {
            parties.iter().for_each(|id| listener.push(PartyId(*id), piece));
            listener.run(&mut found);
        }
        parties.iter().map(|id| found.iter().filter(|o| o.party == PartyId(*id)).map(|o| o.anger).collect()).collect()
    };
    [1, 2].into_iter().for_each(|id| listener.add(PartyId(id)));
    let heard: Vec<Vec<f32>> = hear(&mut listener, &[1, 2]);
    let mut numbers = Listener::new(Some(model()), settings);
    numbers.add(PartyId(2));
    let by_numbers: Vec<Vec<f32>> = hear(&mut numbers, &[2]);
    assert_eq!(heard[1], by_numbers[0]);
    assert_ne!(heard[0], heard[1]);
    // When the first has gone, there is room for another one.
    listener.remove(PartyId(1));
    listener.add(PartyId(3));
    let again: Vec<Vec<f32>> = hear(&mut listener, &[3]);
    assert!(again[0].iter().zip(&heard[0]).all(|(now, before)| (now - before).abs() < TOLERANCE));
}

#[test]
fn broken_files_are_refused() {
    let Some(runtime) = runtime_or_skip("broken models of the sound") else { return };
    let refused = |encoder: &[u8], graph: &[u8], card: &str, expected: &str| {
        let sound = Encoder::from_bytes(&runtime, "encoder.onnx", encoder)
            .and_then(|encoder| SoundModel::from_bytes(&runtime, encoder, "sound.onnx", graph, card.as_bytes()));
        let error = sound.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(b"", GRAPH, CARD, "encoder.onnx: graph: expected an ONNX model, found 0 bytes");
    refused(&ENCODER[..ENCODER.len() / 2], GRAPH, CARD, "encoder.onnx: graph: expected an ONNX model");
    refused(
        GRAPH,
        GRAPH,
        CARD,
        "encoder.onnx: input: expected energies [-1, 100, 61], speech [-1, 25], found features",
    );
    refused(ENCODER, ENCODER, CARD, "sound.onnx: input: expected features [-1, 2049], found energies");
    refused(ENCODER, GRAPH, "{}", "sound.onnx: card: expected a JSON object");
    refused(ENCODER, GRAPH, &CARD.replacen("encoder_mean_000", "pitch", 1), "expected encoder_mean_000, found pitch");
    refused(
        ENCODER,
        GRAPH,
        &CARD.replacen("share_of_sound", "share", 1),
        "expected share_of_numbers and share_of_sound",
    );
    refused(
        ENCODER,
        GRAPH,
        &CARD.replacen("\"version\": \"", "\"version\": \"9", 1),
        "version in the graph: expected 9",
    );
}

/// A listener with the models that come with the program.
fn hearing(runtime: &Runtime) -> Listener {
    let numbers = AcousticModel::built_in(runtime).expect("the model that comes with the program loads");
    let sound = SoundModel::built_in(runtime).expect("so does what judges the sound");
    Listener::new(Some(numbers.with_sound(sound)), ListenerSettings::default())
}

fn listen(listener: &mut Listener, samples: &[f32], chunk: usize) -> Vec<Observation> {
    listener.add(PartyId(7));
    let mut found = Vec::new();
    for piece in samples.chunks(chunk) {
        listener.push(PartyId(7), piece);
        listener.run(&mut found);
    }
    assert_eq!(listener.model_failures(), 0, "{:?}", listener.model_failure());
    found
}

#[track_caller]
fn check_same(got: &[Observation], expected: &[Observation]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!((got.position, got.source), (expected.position, Source::Model));
        assert!((got.anger - expected.anger).abs() < TOLERANCE, "{} and {}", got.anger, expected.anger);
    }
}
