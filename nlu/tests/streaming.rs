//! Streaming models as their users see them: what sherpa-onnx says of the same audio, calls that do not mix, bad files.
//!
//! The models are those of `nlu/train/streaming/export.py --size tiny`: all that goes into them changes what they say, which
//! means nothing.

mod runtime;
mod voice;

use std::collections::BTreeMap;

use nlu::recognition::streaming::{EndpointRules, ModelFile, Search, Stream, StreamingFiles};
use nlu::recognition::streaming::{StreamingModel, StreamingOptions, StreamingRecognizer};
use nlu::recognition::{Language, PhraseList, Recognizer, Transcript};
use nlu::{Device, PartyId, Runtime};
use proptest::prelude::*;
use runtime::runtime_or_skip;
use voice::{AGITATED, CALM, speak};

macro_rules! other {
    ($folder:literal) => {
        (
            $folder,
            [
                include_bytes!(concat!("streaming/", $folder, "/encoder.onnx")),
                include_bytes!(concat!("streaming/", $folder, "/decoder.onnx")),
                include_bytes!(concat!("streaming/", $folder, "/joiner.onnx")),
            ],
            include_str!(concat!("streaming/", $folder, "/greedy.json")),
        )
    };
}

const ENCODER: &[u8] = include_bytes!("streaming/transducer/encoder.onnx");
const DECODER: &[u8] = include_bytes!("streaming/transducer/decoder.onnx");
const JOINER: &[u8] = include_bytes!("streaming/transducer/joiner.onnx");
/// Encoder, decoder and joiner of other architectures, and what sherpa-onnx says by them.
const OTHERS: [(&str, [&[u8]; 3], &str); 3] = [other!("zipformer"), other!("conformer"), other!("lstm")];
const TOKENS: &[u8] = include_bytes!("streaming/transducer/tokens.txt");
const CTC: &[u8] = include_bytes!("streaming/ctc/model.onnx");
/// As NeMo and WeNet export them, and what sherpa-onnx says by them.
const OTHER_CTC: [(&str, &[u8], &str); 2] = [
    ("NeMo's", include_bytes!("streaming/nemo/model.onnx"), include_str!("streaming/nemo/greedy.json")),
    ("WeNet's", include_bytes!("streaming/wenet/model.onnx"), include_str!("streaming/wenet/greedy.json")),
];
const PARAFORMER: [&[u8]; 3] = [
    include_bytes!("streaming/paraformer/encoder.onnx"),
    include_bytes!("streaming/paraformer/decoder.onnx"),
    include_bytes!("streaming/paraformer/tokens.txt"),
];
/// Silence after a recording, samples at 16 kHz.
const AFTER: usize = 10_560;
/// Silence between two recordings, samples at 16 kHz (3 s).
const PAUSE: usize = 48_000;

#[test]
fn greedy_search_says_what_sherpa_onnx_says() {
    let golden = include_str!("streaming/transducer/greedy.json");
    check_golden("greedy search", golden, |runtime| transducer(runtime, Search::Greedy));
}

#[test]
fn a_ctc_model_says_what_sherpa_onnx_says() {
    check_golden("a CTC model", include_str!("streaming/ctc/greedy.json"), ctc);
    for (whose, graph, golden) in OTHER_CTC {
        check_golden(whose, golden, |runtime| {
            load(runtime, graph, &[], TOKENS, Search::Greedy).expect("a model of the tests")
        });
    }
}

#[test]
fn other_architectures_say_what_sherpa_onnx_says() {
    for (name, [encoder, decoder, joiner], golden) in OTHERS {
        check_golden(name, golden, |runtime| {
            load(runtime, encoder, &[decoder, joiner], TOKENS, Search::Greedy).expect("a model of the tests")
        });
    }
}

#[test]
fn a_paraformer_says_what_sherpa_onnx_says() {
    check_golden("a Paraformer", include_str!("streaming/paraformer/greedy.json"), paraformer);
}

#[test]
fn beam_search_says_what_sherpa_onnx_says() {
    let golden = include_str!("streaming/transducer/beam.json");
    check_golden("beam search", golden, |runtime| transducer(runtime, Search::Beam(4)));
}

#[test]
fn a_call_is_heard_alike_alone_and_among_others() {
    let Some(runtime) = runtime_or_skip("interleaved calls") else { return };
    let audio: Vec<Vec<f32>> =
        [(CALM, 5.0), (AGITATED, 7.3), (CALM, 3.1)].map(|(manner, seconds)| speak(manner, seconds)).into();
    let greedy: fn(&Runtime) -> StreamingModel = |runtime| transducer(runtime, Search::Greedy);
    let conformer: fn(&Runtime) -> StreamingModel = |runtime| {
        let [encoder, decoder, joiner] = OTHERS[1].1;
        load(runtime, encoder, &[decoder, joiner], TOKENS, Search::Greedy).expect("a model of the tests")
    };
    let nemo: fn(&Runtime) -> StreamingModel =
        |runtime| load(runtime, OTHER_CTC[0].1, &[], TOKENS, Search::Greedy).expect("a model of the tests");
    let wenet: fn(&Runtime) -> StreamingModel =
        |runtime| load(runtime, OTHER_CTC[1].1, &[], TOKENS, Search::Greedy).expect("a model of the tests");
    for make in [greedy, ctc, conformer, nemo, wenet, paraformer, |runtime| transducer(runtime, Search::Beam(3))] {
        let alone: Vec<Vec<Transcript>> =
            (0..audio.len()).map(|call| hear(vec![make(&runtime)], &[(&audio[call], 0, 160)]).remove(0)).collect();
        assert!(alone.iter().all(|said| said.iter().any(|transcript| transcript.is_final)), "something is said");
        // Each begins at another moment, and comes in pieces of another length.
        let plan: Vec<(&Vec<f32>, usize, usize)> =
            audio.iter().zip([(0, 160), (37, 160), (11, 240)]).map(|(audio, (at, piece))| (audio, at, piece)).collect();
        // One model for all, and two that share the calls.
        for copies in [1, 2] {
            let together = hear((0..copies).map(|_| make(&runtime)).collect(), &plan);
            for (alone, together) in alone.iter().zip(&together) {
                assert_eq!(finals(alone), finals(together), "{copies} copies");
            }
        }
    }
}

#[test]
fn what_is_told_hangs_together() {
    let Some(runtime) = runtime_or_skip("what a streaming recogniser tells") else { return };
    let audio = speak(AGITATED, 8.0);
    let said = hear(vec![transducer(&runtime, Search::Greedy)], &[(&audio, 0, 160)]).remove(0);
    let last = said.last().expect("something is said");
    assert!(last.is_final && said.len() > 3 && !said[0].is_final, "{said:?}");
    for transcript in &said {
        assert!(transcript.start < transcript.end && transcript.end <= audio.len() as u64 + 8_000, "{transcript:?}");
        assert!(transcript.words.windows(2).all(|pair| pair[0].start < pair[1].start), "{transcript:?}");
        assert!(transcript.words.iter().all(|word| (0.0..=1.0).contains(&word.confidence)), "{transcript:?}");
        assert!(transcript.text.as_ref().is_some_and(|text| !text.is_empty()), "{transcript:?}");
    }
    // A phrase of the list is found in it, with its meaning.
    let listed: String = last.words.iter().take(2).map(|word| format!("{} ", word.text)).collect();
    let list = format!("language = 'zh'\n[[intent]]\nname = 'complaint'\nphrases = ['{}']\n", listed.trim());
    let lists = [PhraseList::from_toml(&list).expect("a list")];
    let mut recognizer = StreamingRecognizer::new(
        vec![(Language::Mandarin, transducer(&runtime, Search::Greedy))],
        &lists,
        EndpointRules::default(),
    );
    recognizer.open(PartyId(1), Language::Mandarin);
    recognizer.push(PartyId(1), &audio);
    let mut out = Vec::new();
    recognizer.close(PartyId(1), &mut out);
    let sure = last.words.iter().take(2).map(|word| word.confidence).sum::<f32>() / 2.0 >= 0.5;
    let found = out.iter().flat_map(|transcript| &transcript.phrases).any(|phrase| phrase.intent == "complaint");
    assert_eq!(found, sure, "{out:?}");
}

#[test]
fn preferred_phrases_are_heard_more_often_by_a_beam_search() {
    let Some(runtime) = runtime_or_skip("preferred phrases") else { return };
    let audio = speak(AGITATED, 8.0);
    let times = |model: &mut StreamingModel| {
        let mut stream = model.stream(0);
        stream.push(&audio);
        while model.is_ready(&stream) {
            model.decode(&mut [&mut stream]).expect("decoded");
        }
        model.tokens().text(stream.tokens().into_iter().map(|(token, _)| token)).matches("三七").count()
    };
    let mut model = transducer(&runtime, Search::Beam(32));
    let before = times(&mut model);
    assert_eq!(model.prefer(&[("三七", 10.0), ("三♞", 10.0)]), ["三♞"], "what the tokens cannot write");
    let after = times(&mut model);
    assert!(after > before, "{before} times without, {after} times with a boost");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let Some(runtime) = runtime_or_skip("devices") else { return };
    let file = |name, bytes| ModelFile { name, bytes };
    let files = StreamingFiles {
        encoder: file("model.onnx", CTC),
        others: &[],
        tokens: file("tokens.txt", TOKENS),
        pieces: None,
    };
    // No machine of tests has so many.
    let options = StreamingOptions { device: Device::Cuda(63), ..StreamingOptions::default() };
    let error = StreamingModel::new(&runtime, &files, &options).expect_err("refused").to_string();
    assert!(error.starts_with("cuda:63: expected ") && error.contains("CUDAExecutionProvider"), "{error}");
}

#[test]
fn a_gap_ends_what_was_said_and_positions_go_on() {
    let Some(runtime) = runtime_or_skip("gaps") else { return };
    let models = vec![(Language::Mandarin, transducer(&runtime, Search::Greedy))];
    let mut recognizer = StreamingRecognizer::new(models, &[], EndpointRules::default());
    let party = PartyId(9);
    recognizer.open(party, Language::Mandarin);
    recognizer.push(party, &speak(AGITATED, 4.0));
    recognizer.skip(party, 80_000);
    recognizer.push(party, &speak(AGITATED, 4.0));
    let mut out = Vec::new();
    recognizer.run(&mut out);
    recognizer.close(party, &mut out);
    let finals: Vec<&Transcript> = out.iter().filter(|transcript| transcript.is_final).collect();
    assert!(finals.len() >= 2 && finals[0].end <= 40_000, "{finals:?}");
    assert!(finals[finals.len() - 1].start >= 112_000, "{finals:?}");
    let before = finals.iter().filter(|transcript| transcript.start < 112_000);
    assert!(before.into_iter().all(|transcript| transcript.end <= 40_000), "{finals:?}");
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let Some(runtime) = runtime_or_skip("bad files") else { return };
    let check = |encoder: &[u8], others: &[&[u8]], tokens: &[u8], expected: [&str; 2]| {
        let error = load(&runtime, encoder, others, tokens, Search::Greedy).expect_err("refused").to_string();
        assert!(error.starts_with(expected[0]) && error.contains(expected[1]), "{error}");
    };
    let both: &[&[u8]] = &[DECODER, JOINER];
    check(
        &ENCODER[..ENCODER.len() / 2],
        both,
        TOKENS,
        ["encoder.onnx: graph: expected an ONNX model, found ", "refuses"],
    );
    check(b"", both, TOKENS, ["encoder.onnx: graph", "found 0 bytes"]);
    check(JOINER, both, TOKENS, ["encoder.onnx: metadata: expected model_type", "found no such key"]);
    check(ENCODER, &[JOINER, DECODER], TOKENS, ["decoder.onnx: metadata: expected context_size", "no such key"]);
    check(ENCODER, &[DECODER, DECODER], TOKENS, ["joiner.onnx: input: expected [N, 16], [N, 16]", "found y ["]);
    check(
        ENCODER,
        both,
        b"<blk> 0\na 1\n",
        ["decoder.onnx: metadata: expected vocab_size: 2-2, as tokens.txt has", ""],
    );
    check(CTC, &[], b"<blk> 0\na 1\n", ["model.onnx: output: expected at most 2 tokens", ""]);
    check(ENCODER, &[], b"", ["tokens.txt: tokens: expected at least one, found none", ""]);
    // A graph whose states are not what its metadata says.
    let at = ENCODER.windows(4).rposition(|bytes| bytes == b"16,8").expect("encoder_dims in the metadata");
    let mut other = ENCODER.to_vec();
    other[at..at + 4].copy_from_slice(b"24,8");
    check(
        &other,
        both,
        TOKENS,
        ["encoder.onnx: input: expected cached_nonlin_attn_0 [1, N, 8, 18] of Float32", "12] of"],
    );
}

#[test]
fn a_paraformer_that_is_another_one_is_named() {
    let Some(runtime) = runtime_or_skip("a foreign Paraformer") else { return };
    let [encoder, decoder, tokens] = PARAFORMER;
    let check = |encoder: &[u8], decoder: &[u8], tokens: &[u8], expected: [&str; 2]| {
        let error = load(&runtime, encoder, &[decoder], tokens, Search::Greedy).expect_err("refused").to_string();
        assert!(error.starts_with(expected[0]) && error.contains(expected[1]), "{error}");
    };
    check(&encoder[..encoder.len() / 2], decoder, tokens, ["encoder.onnx: graph: expected an ONNX model", "refuses"]);
    check(encoder, &decoder[..9_000], tokens, ["decoder.onnx: graph: expected an ONNX model", "refuses"]);
    check(ENCODER, decoder, tokens, ["encoder.onnx: metadata: expected model_type: paraformer", "found zipformer2"]);
    check(DECODER, decoder, tokens, ["encoder.onnx: metadata: expected lfr_window_size", "found no such key"]);
    for (key, from, to, expected) in [
        ("lfr_window_size", "7", "5", ["encoder.onnx: metadata", "expected lfr_window_size: 7, found 5"]),
        ("lfr_window_shift", "6", "0", ["encoder.onnx: metadata", "lfr_window_shift: a number of 1-"]),
        ("decoder_num_blocks", "2", "3", ["decoder.onnx: inputs and outputs: expected", "3 states"]),
        ("decoder_kernel_size", "5", "9", ["decoder.onnx: inputs and outputs", "[N, 8, 8] of Float32"]),
        ("encoder_output_size", "8", "9", ["encoder.onnx: inputs and outputs", "[N, 18, 9] of"]),
        ("neg_mean", ",", ";", ["encoder.onnx: metadata: expected neg_mean: 560 numbers", ""]),
        (
            "vocab_size",
            "84",
            "99",
            ["encoder.onnx: metadata: expected vocab_size: at most 84, as tokens.txt has", "found 99"],
        ),
        ("vocab_size", "84", "83", ["decoder.onnx: inputs and outputs", "[N, tokens, 83]"]),
    ] {
        check(&with_metadata(encoder, key, from, to), decoder, tokens, expected);
    }
    check(encoder, JOINER, tokens, ["decoder.onnx: inputs and outputs: expected", "found encoder_out ["]);
    check(encoder, encoder, tokens, ["decoder.onnx: inputs and outputs", "found speech ["]);
    check(encoder, decoder, b"a 0\nb 1\n", ["encoder.onnx: metadata: expected vocab_size: at most 2", "found 84"]);
}

/// The graph with the first `from` behind `key` in its metadata written as `to`, which is as long.
fn with_metadata(graph: &[u8], key: &str, from: &str, to: &str) -> Vec<u8> {
    let find = |bytes: &[u8], wanted: &str| bytes.windows(wanted.len()).rposition(|bytes| bytes == wanted.as_bytes());
    let at = find(graph, key).expect("the key") + key.len();
    let behind = graph[at..].windows(from.len()).position(|bytes| bytes == from.as_bytes()).expect("the value");
    let mut graph = graph.to_vec();
    graph[at + behind..at + behind + from.len()].copy_from_slice(to.as_bytes());
    graph
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(18))]

    #[test]
    fn a_batch_is_as_many_batches_of_one(
        calls in proptest::collection::vec((0_usize..24_000, 4_000_usize..40_000), 1..9),
        kind in 0..3,
    ) {
        let Some(runtime) = runtime_or_skip("batches") else { return Ok(()) };
        let mut model = match kind {
            0 => transducer(&runtime, Search::Greedy),
            1 => transducer(&runtime, Search::Beam(3)),
            _ => paraformer(&runtime),
        };
        let audio = speak(AGITATED, 8.0);
        let start = |model: &StreamingModel, &(from, length): &(usize, usize)| {
            let mut stream = model.stream(0);
            stream.push(&audio[from..from + length]);
            stream.finish();
            stream
        };
        let mut alone: Vec<Stream> = calls.iter().map(|call| start(&model, call)).collect();
        for stream in &mut alone {
            while model.is_ready(stream) {
                model.decode(&mut [&mut *stream]).expect("decoded");
            }
        }
        let mut together: Vec<Stream> = calls.iter().map(|call| start(&model, call)).collect();
        loop {
            let mut ready: Vec<&mut Stream> = together.iter_mut().filter(|stream| model.is_ready(stream)).collect();
            if ready.is_empty() {
                break;
            }
            model.decode(&mut ready).expect("decoded");
        }
        for (alone, together) in alone.iter().zip(&together) {
            prop_assert_eq!(alone.tokens(), together.tokens());
        }
    }
}

fn transducer(runtime: &Runtime, search: Search) -> StreamingModel {
    load(runtime, ENCODER, &[DECODER, JOINER], TOKENS, search).expect("the model of the tests")
}

fn ctc(runtime: &Runtime) -> StreamingModel {
    load(runtime, CTC, &[], TOKENS, Search::Greedy).expect("the model of the tests")
}

fn paraformer(runtime: &Runtime) -> StreamingModel {
    let [encoder, decoder, tokens] = PARAFORMER;
    load(runtime, encoder, &[decoder], tokens, Search::Greedy).expect("the model of the tests")
}

fn load(
    runtime: &Runtime,
    encoder: &[u8],
    others: &[&[u8]],
    tokens: &[u8],
    search: Search,
) -> Result<StreamingModel, nlu::ModelError> {
    let file = |name, bytes| ModelFile { name, bytes };
    let others: Vec<ModelFile<'_>> =
        ["decoder.onnx", "joiner.onnx"].iter().zip(others).map(|(name, bytes)| file(name, bytes)).collect();
    let files = StreamingFiles {
        encoder: file(if encoder == CTC { "model.onnx" } else { "encoder.onnx" }, encoder),
        others: &others,
        tokens: file("tokens.txt", tokens),
        pieces: None,
    };
    StreamingModel::new(runtime, &files, &StreamingOptions { search, ..StreamingOptions::default() })
}

/// The fixtures' recordings, taken for 16 kHz, must give the texts and frames that sherpa-onnx gave.
#[track_caller]
fn check_golden(what: &str, golden: &str, make: impl Fn(&Runtime) -> StreamingModel) {
    let Some(runtime) = runtime_or_skip(what) else { return };
    let golden: BTreeMap<String, Vec<serde_json::Value>> = serde_json::from_str(golden).expect("the golden file");
    let mut model = make(&runtime);
    let mut tokens = 0;
    // Of a Paraformer's tokens sherpa-onnx tells no frames.
    let has_frames = golden.values().flatten().any(|said| said["frames"].as_array().is_some_and(|all| !all.is_empty()));
    for (file, expected) in golden {
        // Several recordings in one have a pause between them that ends an utterance.
        let parts: Vec<Vec<f32>> = file.trim_end_matches(".wav").split('+').map(recording).collect();
        let mut stream = model.stream(0);
        stream.push_wide(&parts.join(&[0.0; PAUSE][..]));
        stream.push_wide(&[0.0; AFTER]);
        stream.finish();
        let mut found = Vec::new();
        while model.is_ready(&stream) {
            model.decode(&mut [&mut stream]).expect("decoded");
            let (frames, silent) = stream.frames();
            if EndpointRules::default().is_end(frames, silent) || !model.is_ready(&stream) {
                let said = stream.tokens();
                if !said.is_empty() {
                    let text = model.tokens().text(said.iter().map(|&(token, _)| token));
                    let mut frames: Vec<u64> = said.iter().map(|&(_, frame)| frame).collect();
                    tokens += frames.len();
                    assert!(frames.is_sorted(), "{file}: {frames:?}");
                    if !has_frames {
                        frames.clear();
                    }
                    found.push(serde_json::json!({ "text": text, "frames": frames }));
                }
                model.next_utterance(&mut stream);
            }
        }
        assert_eq!(found, expected, "{file}");
    }
    assert!(tokens > 100, "only {tokens} tokens");
}

/// The samples of a fixture.
fn recording(name: &str) -> Vec<f32> {
    let path = format!("{}/../fixtures/audio/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let samples = hound::WavReader::open(path).expect("a fixture").into_samples::<i16>();
    samples.map(|sample| f32::from(sample.expect("a sample")) / 32_768.0).collect()
}

/// What is told of each call: its audio, the round it begins in, and samples of each of its pieces.
fn hear(models: Vec<StreamingModel>, calls: &[(&Vec<f32>, usize, usize)]) -> Vec<Vec<Transcript>> {
    let models = models.into_iter().map(|model| (Language::Mandarin, model)).collect();
    let mut recognizer = StreamingRecognizer::new(models, &[], EndpointRules::default());
    let mut said: Vec<Vec<Transcript>> = calls.iter().map(|_| Vec::new()).collect();
    let party = |call: usize| PartyId(call as u32 + 1);
    let mut open = vec![true; calls.len()];
    let mut round = 0;
    while open.contains(&true) {
        let mut out = Vec::new();
        for (call, (audio, begins, piece)) in calls.iter().enumerate().filter(|(_, (_, begins, _))| *begins <= round) {
            if !open[call] {
                continue;
            }
            if round == *begins {
                recognizer.open(party(call), Language::Mandarin);
            }
            let from = (round - begins) * piece;
            match audio.get(from..) {
                Some(rest) if !rest.is_empty() => recognizer.push(party(call), &rest[..rest.len().min(*piece)]),
                _ => {
                    recognizer.close(party(call), &mut out);
                    open[call] = false;
                }
            }
        }
        recognizer.run(&mut out);
        out.into_iter().for_each(|transcript| said[transcript.party.0 as usize - 1].push(transcript));
        round += 1;
    }
    said
}

fn finals(said: &[Transcript]) -> Vec<(u64, u64, Option<&str>)> {
    let finals = said.iter().filter(|transcript| transcript.is_final);
    finals.map(|transcript| (transcript.start, transcript.end, transcript.text.as_deref())).collect()
}
