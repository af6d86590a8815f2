//! What the shipped voice model says of clips made by recipe, step by step, as it was written down: a model, a front end or a
//! smoothing that is exchanged shows here.
//!
//! `CALMLINE_WRITE_GOLDEN=1` writes anew what it says now; look at the difference before it is kept.

mod runtime;

use std::fmt::Write as _;
use std::path::PathBuf;

use nlu::{AcousticModel, Listener, ListenerSettings, Observation, PartyId, Source};
use runtime::runtime_or_skip;

const PARTY: PartyId = PartyId(7);
/// The fixtures are at 8 kHz: pieces as packets bring them.
const PIECE: usize = 160;
/// Of the observations, two a second, every so many are written down.
const EVERY: usize = 2;
/// Other processors round otherwise.
const TOLERANCE: f32 = 0.02;

#[test]
fn clips_made_by_recipe_are_heard_as_before() {
    let Some(runtime) = runtime_or_skip("clips as before") else { return };
    for clip in ["calm-caller", "angry-caller", "agent", "bot"] {
        let model = AcousticModel::built_in(&runtime).expect("the model that comes with the program loads");
        let heard = listen(Listener::new(Some(model), ListenerSettings::default()), clip);
        assert!(heard.iter().all(|observation| observation.source == Source::Model), "{clip}");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/voice/{clip}.tsv"));
        if std::env::var_os("CALMLINE_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, written(&heard)).expect("a file");
        }
        let golden = std::fs::read_to_string(&path).expect("the golden file is committed");
        check(clip, &golden, &heard);
    }
}

/// Every line as it is heard: where and at which level exactly, numbers within the tolerance.
#[track_caller]
fn check(clip: &str, golden: &str, heard: &[Observation]) {
    let now = written(heard);
    let lines = || golden.lines().zip(now.lines()).skip(1);
    assert_eq!(golden.lines().count(), now.lines().count(), "{clip}");
    for (line, (before, now)) in lines().enumerate() {
        let fields = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        for (before, now) in fields(before).iter().zip(&fields(now)) {
            let is_same = match (before.parse::<f32>(), now.parse::<f32>()) {
                (Ok(before), Ok(now)) => (before - now).abs() <= TOLERANCE,
                _ => before == now,
            };
            assert!(is_same, "{clip}, line {}: found {now}, expected {before}", line + 2);
        }
    }
}

/// One line per second: position, level, anger after smoothing, and neutral, anger, joy and sadness before it.
fn written(heard: &[Observation]) -> String {
    let mut text = "position\tlevel\tanger\tneutral\tangry\tjoy\tsad\n".to_owned();
    for Observation { position, level, anger, probabilities: [neutral, angry, joy, sad], .. } in
        heard.iter().step_by(EVERY)
    {
        writeln!(text, "{position}\t{level:?}\t{anger:.3}\t{neutral:.3}\t{angry:.3}\t{joy:.3}\t{sad:.3}")
            .expect("texts grow");
    }
    text
}

fn listen(mut listener: Listener, clip: &str) -> Vec<Observation> {
    let path = format!("{}/../fixtures/audio/{clip}.wav", env!("CARGO_MANIFEST_DIR"));
    let mut recording = hound::WavReader::open(path).expect("a fixture");
    let samples: Vec<f32> =
        recording.samples::<i16>().map(|sample| f32::from(sample.expect("a sample")) / 32_768.0).collect();
    let mut heard = Vec::new();
    listener.add(PARTY);
    for piece in samples.chunks(PIECE) {
        listener.push(PARTY, piece);
        listener.run(&mut heard);
    }
    heard
}
