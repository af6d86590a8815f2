//! The model that comes with the program: what its trainer heard of a clip, calls that do not mix, files that are broken.

use std::panic::AssertUnwindSafe;

use serde::Deserialize;

use super::recognizer::BuiltInFinder;
use super::*;
use crate::observation::PartyId;
use crate::recognition::stretches::{Due, Finder};
use crate::recognition::{Language, PhraseList, Recognizer, Transcript};
use crate::runtime::Runtime;

const GRAPH: &[u8] = include_bytes!("../../../models/words.onnx");
const CARD: &str = include_str!("../../../models/words.json");
const GOLDEN: &str = include_str!("golden.json");
const CALLER: &[u8] = include_bytes!("../../../../fixtures/audio/angry-caller.wav");
const AGENT: &[u8] = include_bytes!("../../../../fixtures/audio/agent.wav");
const PHRASES: &str =
    "language = 'zh'\n[[intent]]\nname = 'complaint'\nphrases = ['我要投诉', '到底有没有人管', '服务态度太差了']\n";

/// What `nlu/train/words/golden.py` has written.
#[derive(Deserialize)]
struct Golden {
    samples: [usize; 2],
    /// Per step, its likeliest tokens and the logarithms of how likely they are.
    likeliest: Vec<Vec<(usize, f32)>>,
}

#[test]
fn the_program_hears_what_its_trainer_heard() {
    let Some(mut model) = model("what its trainer heard") else { return };
    let golden: Golden = serde_json::from_str(GOLDEN).expect("a golden file");
    let heard = hear(&mut model, &[&samples(CALLER)[golden.samples[0]..golden.samples[1]]]).remove(0);
    assert_eq!(heard.steps(), golden.likeliest.len());
    for (step, likeliest) in golden.likeliest.iter().enumerate() {
        for (token, expected) in likeliest {
            let found = heard.values[step * heard.tokens + token];
            // The trainer keeps its spectra in half precision.
            assert!(
                (found - expected).abs() < 0.05 + 0.03 * expected.abs(),
                "step {step}, {token}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn stretches_are_heard_alike_alone_and_together() {
    let Some(mut model) = model("stretches together") else { return };
    let audio = samples(CALLER);
    let stretches = [&audio[24_000..60_000], &audio[..0], &audio[190_000..216_000], &audio[148_000..149_001]];
    let together = hear(&mut model, &stretches);
    for (stretch, together) in stretches.iter().zip(together) {
        let alone = hear(&mut model, &[stretch]).remove(0);
        assert_eq!(alone.values.len(), together.values.len());
        let apart = alone.values.iter().zip(&together.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-3, "{apart} apart, of {} samples", stretch.len());
    }
}

#[test]
fn calls_do_not_mix() {
    let Some(runtime) = runtime("calls do not mix") else { return };
    let audio = [samples(CALLER), samples(AGENT), samples(CALLER)[80_000..].to_vec()];
    let alone: Vec<Vec<Transcript>> = (0..audio.len()).map(|party| play(&runtime, &audio, &[party])).collect();
    let mixed = play(&runtime, &audio, &[0, 1, 2]);
    for (party, alone) in alone.iter().enumerate() {
        let told = |all: &[Transcript]| -> Vec<String> {
            let own = all.iter().filter(|transcript| transcript.party == PartyId(party as u32));
            let phrases =
                |t: &Transcript| t.phrases.iter().map(|p| (p.text.clone(), p.start, p.end)).collect::<Vec<_>>();
            own.map(|t| format!("{} {}-{} {:?}", t.is_final, t.start, t.end, phrases(t))).collect()
        };
        assert_eq!(told(&mixed), told(alone), "party {party}");
    }
    assert!(!alone[0].is_empty(), "the caller of the fixtures says phrases");
}

#[test]
fn a_phrase_has_its_place_and_its_words() {
    let Some(runtime) = runtime("a phrase and its words") else { return };
    let told = play(&runtime, &[samples(CALLER)], &[0]);
    let finals = told.iter().filter(|transcript| transcript.is_final);
    let phrases: Vec<_> = finals.flat_map(|t| t.phrases.iter().map(move |phrase| (t, phrase))).collect();
    // 24.5 s: 我要投诉.
    let (transcript, phrase) = phrases.iter().find(|(_, p)| p.text == "我要投诉").expect("heard");
    assert!((24.3..24.9).contains(&(phrase.start as f32 / 8_000.0)), "{}", phrase.start);
    assert!((24.9..25.8).contains(&(phrase.end as f32 / 8_000.0)), "{}", phrase.end);
    assert_eq!((phrase.intent.as_str(), transcript.engine.name()), ("complaint", "built-in"));
    let words: Vec<&str> = transcript.words.iter().map(|word| word.text.as_str()).collect();
    assert!(words.join("").contains("我要投诉"), "{words:?}");
    assert!(transcript.words.windows(2).all(|pair| pair[0].start < pair[0].end && pair[0].end <= pair[1].start));
}

#[test]
fn a_stretch_that_cannot_be_heard_takes_no_other_with_it() {
    let Some(mut model) = model("a stretch that cannot be heard") else { return };
    let audio = samples(CALLER);
    let (good, bad) = (&audio[24_000..60_000], beyond_numbers());
    model.hear(&[&bad]).expect_err("no numbers");
    let heard = model.hear_each(&[good, &bad, good]).expect("two of them");
    assert_eq!(heard.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    assert!(model.hear_each(&[&bad, &bad]).is_err(), "all of them");
}

#[test]
fn one_that_hears_nothing_at_all_is_broken() {
    let Some(runtime) = runtime("one that hears nothing") else { return };
    let list = PhraseList::from_toml(PHRASES).expect("a list");
    let mut finder = BuiltInFinder::new(&runtime, &[list]).expect("the model that comes with the program");
    let due = [Due::of(Language::Mandarin, beyond_numbers())];
    std::panic::catch_unwind(AssertUnwindSafe(|| finder.find(&due))).expect_err("whoever runs it has to know");
}

/// A second whose energies are infinite.
fn beyond_numbers() -> Vec<f32> {
    (0..8_000).map(|at| 1e25 * (at as f32 * 0.9).sin()).collect()
}

#[test]
fn broken_models_are_refused() {
    refuses(&[], CARD, "words.onnx: graph: expected an ONNX model, found 0 bytes");
    refuses(b"not a model at all", CARD, "found 18 bytes");
    refuses(&GRAPH[..GRAPH.len() / 2], CARD, "graph: expected an ONNX model");
    refuses(GRAPH, "", "words.onnx: card: expected a JSON object");
    refuses(GRAPH, &CARD[..100], "words.onnx: card: expected a JSON object");
    refuses(
        GRAPH,
        &CARD.replacen("\"zuo\": ", "\"zuoo\": ", 1),
        "card: expected readings that are tokens, found \"zuoo\"",
    );
    refuses(GRAPH, &CARD.replacen("\"letters\": ", "\"others\": ", 1), "found none of letters");
    refuses(
        GRAPH,
        &CARD.replacen("  \"zuo\",\n", "", 1).replacen("\"zuo\": ", "\"zun\": ", 1),
        "output: expected likelihoods",
    );
    refuses(GRAPH, &CARD.replacen("\"version\": \"", "\"version\": \"9", 1), "version in the graph: expected 9");
}

#[track_caller]
fn refuses(graph: &[u8], card: &str, expected: &str) {
    let Some(runtime) = runtime(expected) else { return };
    let error = BuiltInModel::from_bytes(&runtime, "words.onnx", graph, card.as_bytes()).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
}

/// Plays some of these calls, a packet of each in turn.
fn play(runtime: &Runtime, audio: &[Vec<f32>], parties: &[usize]) -> Vec<Transcript> {
    let list = PhraseList::from_toml(PHRASES).expect("a list");
    let mut recognizer = BuiltInRecognizer::new(runtime, &[list]).expect("the model that comes with the program");
    parties.iter().for_each(|party| recognizer.open(PartyId(*party as u32), Language::Mandarin));
    let mut out = Vec::new();
    let packets = audio.iter().map(|samples| samples.len().div_ceil(800)).max().unwrap_or(0);
    for packet in 0..packets {
        for party in parties {
            let samples = audio[*party].chunks(800).nth(packet).unwrap_or_default();
            recognizer.push(PartyId(*party as u32), samples);
        }
        recognizer.run(&mut out);
    }
    parties.iter().for_each(|party| recognizer.close(PartyId(*party as u32), &mut out));
    out
}

fn hear(model: &mut BuiltInModel, stretches: &[&[f32]]) -> Vec<Likelihoods> {
    model.hear(stretches).expect("stretches of speech are heard")
}

fn model(test: &str) -> Option<BuiltInModel> {
    runtime(test).map(|runtime| BuiltInModel::built_in(&runtime).expect("the model that comes with the program"))
}

/// The runtime, or a line that says which test goes without.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn runtime(test: &str) -> Option<Runtime> {
    Runtime::find(None).map_err(|error| eprintln!("skipped: {test}: {error}")).ok()
}

fn samples(wav: &[u8]) -> Vec<f32> {
    let reader = hound::WavReader::new(wav).expect("a WAV file");
    reader.into_samples::<i16>().map(|sample| f32::from(sample.expect("16 bits")) / 32_768.0).collect()
}
