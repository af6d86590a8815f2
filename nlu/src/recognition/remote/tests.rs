//! What answers of either protocol are taken for, and where they lie in the party's audio.

use super::*;
use crate::recognition::{Language, PhraseList};

const LIST: &str = "language = \"zh\"\n[[intent]]\nname = \"complaint\"\nphrases = [\"我要投诉\"]\n";
const PARTY: PartyId = PartyId(7);

#[test]
fn funasr_tells_more_and_more_and_then_all_of_it() {
    check(
        Protocol::FunAsr,
        &[
            (2_000, r#"{"mode":"2pass-online","text":"我要","is_final":false}"#, "1400-2000 我要"),
            (600, r#"{"mode":"2pass-online","text":"投诉"}"#, "1400-2600 我要投诉 (complaint)"),
            (
                900,
                r#"{"mode":"2pass-offline","text":"我要投诉一百二十块。"}"#,
                "1400-3500 我要投诉120块。 (complaint) final",
            ),
            (100, r#"{"text":"","is_final":true,"timestamp":1732600000}"#, ""),
            (0, r#"{"is_end":true,"is_final":true,"text":""}"#, "over"),
        ],
    );
}

#[test]
fn what_was_told_may_turn_out_to_be_nothing() {
    check(
        Protocol::FunAsr,
        &[
            (2_000, r#"{"mode":"2pass-online","text":"嗯"}"#, "1400-2000 嗯"),
            (100, r#"{"mode":"2pass-offline","text":""}"#, "1400-2100  final"),
            (100, r#"{"mode":"2pass-offline","text":""}"#, ""),
        ],
    );
}

#[test]
fn times_of_the_stream_are_taken_and_others_are_not() {
    let times = r#""timestamp":"[[1000,1200],[1200,1500]]""#;
    let with = |extra: &str| format!("{{\"mode\":\"2pass-offline\",\"text\":\"好 的，\",{times}{extra}}}");
    check(Protocol::FunAsr, &[(3_000, &with(",\"start_time\":900,\"end_time\":1600"), "1000-1500 好 的， final")]);
    check(Protocol::FunAsr, &[(3_000, &with(""), "2400-3000 好 的， final")]);
}

#[test]
fn words_in_letters_are_kept_apart() {
    check(
        Protocol::FunAsr,
        &[
            (1_000, r#"{"mode":"2pass-online","text":"i want"}"#, "400-1000 i want"),
            (500, r#"{"mode":"2pass-online","text":"app 的"}"#, "400-1500 i want app 的"),
        ],
    );
}

#[test]
fn sherpa_tells_all_of_it_each_time_and_says_what_is_final() {
    let answer = |text: &str, tokens: &str, times: &str, segment: u64, is_final: bool| {
        let start = 2 * segment;
        format!(
            "{{ \"text\": \"{text}\", \"tokens\": [{tokens}], \"timestamps\": [{times}], \"ys_probs\": [{}], \
             \"segment\": {segment}, \"start_time\": {start}.00, \"is_final\": {is_final}, \"is_eof\": false}}",
            vec!["-0.7"; times.split(',').filter(|time| !time.is_empty()).count()].join(",")
        )
    };
    let first = answer("", "", "", 0, false);
    let goes_on = answer(" WE WANT", "\" WE\", \" WA\", \"NT\"", "0.50, 0.80, 0.90", 0, false);
    let ended = answer(" WE WANT", "\" WE\", \" WA\", \"NT\"", "0.50, 0.80, 0.90", 0, true);
    let next = answer("好的", "\"好\", \"的\"", "0.20, 0.40", 1, false);
    check(
        Protocol::SherpaOnnx,
        &[
            (500, &first, ""),
            (500, &goes_on, "500-1000 WE WANT"),
            (100, &goes_on, ""),
            (1_200, &ended, "500-1000 WE WANT final"),
            (500, &next, "2200-2600 好的"),
            (0, "Done!", "over"),
        ],
    );
}

#[test]
fn sherpa_in_python_only_numbers_its_utterances() {
    check(
        Protocol::SherpaOnnx,
        &[
            (1_000, r#"{"text": "我", "segment": 0}"#, "400-1000 我"),
            (1_000, r#"{"text": "我要投诉", "segment": 0}"#, "400-2000 我要投诉 (complaint)"),
            (1_000, r#"{"text": "", "segment": 1}"#, "400-3000 我要投诉 (complaint) final"),
            (1_000, r#"{"text": "快", "segment": 1}"#, "3400-4000 快"),
        ],
    );
}

#[test]
fn confidences_are_those_of_the_least_sure_piece_or_the_usual_one() {
    let mut stream = stream(Protocol::SherpaOnnx);
    stream.audio(0, &[0.0; 16_000]);
    let mut out = Vec::new();
    let sure = r#"{"text":"ab c","tokens":["▁a","b","▁c"],"timestamps":[0,0.1,0.2],"ys_probs":[0,-0.6931472,5]}"#;
    stream.answer(sure, &mut out).expect("an answer");
    stream.answer(r#"{"text":"ab c","tokens":["▁x"],"timestamps":[0],"segment":1}"#, &mut out).expect("an answer");
    let confidences = |transcript: &Transcript| transcript.words.iter().map(|w| w.confidence).collect::<Vec<_>>();
    assert_eq!(confidences(&out[0]), [0.5, 1.0]);
    assert_eq!(confidences(out.last().expect("the next one")), [0.9, 0.9], "other words than the text's");
}

#[test]
fn lost_audio_moves_what_comes_behind() {
    let mut stream = stream(Protocol::SherpaOnnx);
    assert_eq!(stream.audio(80_000, &[0.5; 480]).len(), 4 * 960);
    assert_eq!(stream.audio(80_480, &[0.5; 480]).len(), 4 * 960);
    // 5 s are lost, of which one is sent as silence.
    assert_eq!(stream.audio(120_960, &[0.5; 480]).len(), 4 * (960 + 16_000));
    let mut out = Vec::new();
    let answer = r#"{"text":"好的","tokens":["好","的"],"timestamps":[0.06,1.14],"start_time":0.0}"#;
    stream.answer(answer, &mut out).expect("an answer");
    assert_eq!(out[0].words.iter().map(|word| word.start).collect::<Vec<_>>(), [80_480, 121_120]);
}

#[test]
fn audio_is_what_each_protocol_wants() {
    let (mut integers, mut floats) = (stream(Protocol::FunAsr), stream(Protocol::SherpaOnnx));
    let tone: Vec<f32> = (0..800).map(|at| (at as f32 * 0.3).sin()).collect();
    let (integers, floats) = (integers.audio(0, &tone), floats.audio(0, &tone));
    assert_eq!((integers.len(), floats.len()), (2 * 1_600, 4 * 1_600));
    for (integer, float) in integers.chunks_exact(2).zip(floats.chunks_exact(4)) {
        let integer = f32::from(i16::from_le_bytes([integer[0], integer[1]])) / 32_767.0;
        let float = f32::from_le_bytes([float[0], float[1], float[2], float[3]]);
        assert!((integer - float).abs() < 1e-4, "{integer} {float}");
    }
}

#[test]
fn the_greeting_names_the_listed_phrases() {
    let greeting = stream(Protocol::FunAsr).greeting().expect("one");
    let greeting: serde_json::Value = serde_json::from_str(&greeting).expect("JSON");
    assert_eq!((&greeting["mode"], &greeting["audio_fs"]), (&"2pass".into(), &16_000.into()));
    let likely: serde_json::Value = serde_json::from_str(greeting["hotwords"].as_str().expect("a text")).expect("JSON");
    assert_eq!(likely, serde_json::json!({ "我要投诉": 20 }));
    assert_eq!(stream(Protocol::SherpaOnnx).greeting(), None);
}

#[test]
fn what_is_no_answer_is_refused_and_named() {
    refuses(Protocol::FunAsr, "{", "expected a JSON object, found EOF");
    refuses(Protocol::FunAsr, "[1]", "expected a JSON object, found other JSON");
    refuses(
        Protocol::FunAsr,
        r#"{"mode":"2pass-online","text":1}"#,
        "expected a text as \"text\", found another value",
    );
    refuses(Protocol::FunAsr, r#"{"mode":"later","text":"a"}"#, "found another mode");
    refuses(Protocol::SherpaOnnx, r#"{"segment":1}"#, "expected a text as \"text\", found none");
    let long = "好".repeat(6_000);
    refuses(Protocol::SherpaOnnx, &format!("{{\"text\":\"{long}\"}}"), "at most 16 KiB and 4,000 words");
    refuses(Protocol::SherpaOnnx, &" ".repeat(ANSWER_BYTES_MAX + 1), "at most 256 KiB");
}

#[test]
fn an_utterance_cannot_grow_for_ever() {
    let mut stream = stream(Protocol::FunAsr);
    let mut out = Vec::new();
    let more = format!("{{\"mode\":\"2pass-online\",\"text\":\"{}\"}}", "好".repeat(1_000));
    let taken = (0..100).take_while(|_| stream.answer(&more, &mut out).is_ok()).count();
    assert_eq!(taken, 4);
}

#[track_caller]
fn refuses(protocol: Protocol, text: &str, expected: &str) {
    let mut out = Vec::new();
    let error = stream(protocol).answer(text, &mut out).expect_err(expected).to_string();
    assert!(error.contains(expected) && out.is_empty(), "{error}");
}

fn stream(protocol: Protocol) -> RemoteStream {
    let list = PhraseList::from_toml(LIST).expect("a list");
    RemoteStream::new(PARTY, protocol, Arc::new(Listed::of(&[list], Language::Mandarin)), 0.9)
}

/// Milliseconds of audio that are sent, an answer behind them, and what is understood: from and to (milliseconds), text,
/// intents, whether it is final; or that the stream is over.
#[track_caller]
fn check(protocol: Protocol, script: &[(u64, &str, &str)]) {
    let mut stream = stream(protocol);
    let mut position = 0;
    for &(milliseconds, answer, expected) in script {
        stream.audio(position, &vec![0.1; 8 * milliseconds as usize]);
        position += 8 * milliseconds;
        let mut out = Vec::new();
        stream.answer(answer, &mut out).expect("an answer");
        let mut said: Vec<String> = out.iter().map(render).collect();
        said.extend(stream.is_over().then(|| "over".to_owned()));
        assert_eq!(said.join(", "), expected, "{answer}");
    }
}

fn render(transcript: &Transcript) -> String {
    let Transcript { start, end, is_final, text, phrases, .. } = transcript;
    let intents: String = phrases.iter().map(|phrase| format!(" ({})", phrase.intent)).collect();
    let is_final = if *is_final { " final" } else { "" };
    format!("{}-{} {}{intents}{is_final}", start / 8, end / 8, text.as_deref().unwrap_or("no text"))
}
